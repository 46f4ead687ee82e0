//! One case of PKITS or x509-limbo on standard input, `{"result":"SUCCESS"}` or `{"result":"FAILURE"}` on standard output.
//!
//! ```text
//! ../shared/vectors/pkits/run_pkits.py --cmd target/debug/path-adapter --no-dsa
//! ../shared/vectors/x509-limbo/run_limbo.py --cmd target/debug/path-adapter
//! ```

use attest::path::CertvalValidator;
use serde_json::json;
use std::io::Read;
use std::io::Write;
use std::process::ExitCode;
use tests::conformance::Case;

/// Longest case: the suites stay below 1 MB.
const MAX_CASE_BYTES: u64 = 16 * 1024 * 1024;

fn main() -> ExitCode {
    let mut json = String::new();
    if let Err(error) = std::io::stdin().take(MAX_CASE_BYTES).read_to_string(&mut json) {
        return answer(json!({"result": "FAILURE", "why": error.to_string()}));
    }
    let verdict = match Case::from_json(&json) {
        Ok(case) => case.run(&CertvalValidator::new()),
        Err(error) => return answer(json!({"result": "FAILURE", "why": error})),
    };
    match verdict {
        Ok(()) => answer(json!({"result": "SUCCESS"})),
        Err(refusal) => {
            answer(json!({"result": "FAILURE", "code": refusal.code, "why": refusal.text}))
        }
    }
}

fn answer(answer: serde_json::Value) -> ExitCode {
    match writeln!(std::io::stdout(), "{answer}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
