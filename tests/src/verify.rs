//! Other people's verifiers, run on our signatures: a signature is good when these say so.
//!
//! Three that share no CMS code with each other or with us: OpenSSL's `cms -verify -cades`, GnuTLS' `certtool
//! --p7-verify` (Nettle underneath), and `tests/verify/verify_cades.py` (asn1crypto, the whole B-B profile). Debian
//! packages: `openssl`, `gnutls-bin`, `python3-asn1crypto`, `python3-cryptography`. Nothing of the workspace is used
//! here, so that a crate's own tests can include this file.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a verifier that cannot be run is no verdict: the test fails"
)]

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

/// A signature in a file, its document, and the root it must lead to.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The CMS, DER.
    pub signature: &'a Path,
    /// The document signed; for an attached signature what must come out.
    pub content: &'a Path,
    /// Whether the document is not inside.
    pub detached: bool,
    /// The trust anchor, PEM.
    pub anchor: &'a Path,
}

/// What a verifier said against a signature.
#[derive(Clone, Debug)]
pub struct Refused(pub String);

/// `openssl cms -verify -cades -binary`. OpenSSL 3.0 knows no Ed25519 in CMS (RFC 8419).
///
/// # Errors
/// [`Refused`] with OpenSSL's own words, or when the content it extracted is another one.
/// # Panics
/// When `openssl` cannot be run.
pub fn openssl_cms_verify(signed: Signed<'_>) -> Result<(), Refused> {
    let extracted = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut command = Command::new("openssl");
    command.args(["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any"]);
    command.arg("-in").arg(signed.signature).arg("-CAfile").arg(signed.anchor);
    command.arg("-out").arg(extracted.path());
    if signed.detached {
        command.arg("-content").arg(signed.content);
    }
    verdict(run(&mut command), &[1, 2, 3, 4, 6])?;
    match same_content(extracted.path(), signed.content) {
        true => Ok(()),
        false => Err(Refused("the content that openssl took out is another one".to_owned())),
    }
}

/// `tests/verify/verify_cades.py`: the whole profile, every algorithm. Gives what it saw as one line of JSON.
///
/// # Errors
/// [`Refused`] with its reason.
/// # Panics
/// When Debian's Python or its modules are not there, or the program itself fails.
pub fn second_verify(signed: Signed<'_>) -> Result<String, Refused> {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(verifier_script()).arg("--signature").arg(signed.signature);
    command.arg("--anchor").arg(signed.anchor).arg("--content").arg(signed.content);
    let output = verdict(run(&mut command), &[1])?;
    let seen = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let packaging = if signed.detached { "\"detached\"" } else { "\"attached\"" };
    match seen.contains(packaging) {
        true => Ok(seen),
        false => Err(Refused(format!("the packaging is another one: {seen}"))),
    }
}

/// `certtool --p7-verify`: another library down to the arithmetic. It looks at no CAdES attribute, compares an attached
/// content with nothing, and GnuTLS 3.7 knows neither a detached content of no octets nor RSASSA-PSS other than with
/// SHA-256 and 32 octets of salt.
///
/// # Errors
/// [`Refused`] with GnuTLS' own words.
/// # Panics
/// When `certtool` cannot be run.
pub fn gnutls_verify(signed: Signed<'_>) -> Result<(), Refused> {
    let mut command = Command::new("certtool");
    command.args(["--p7-verify", "--inder"]).arg("--infile").arg(signed.signature);
    command.arg("--load-ca-certificate").arg(signed.anchor);
    if signed.detached {
        command.arg("--load-data").arg(signed.content);
    }
    verdict(run(&mut command), &[1]).map(|_| ())
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"))
}

/// Success, a refusal (one of the exit codes that mean one), or a verifier that is broken.
fn verdict(output: Output, refusals: &[i32]) -> Result<Output, Refused> {
    let words = || {
        let stderr = String::from_utf8_lossy(&output.stderr);
        format!("{}{}", stderr.trim(), String::from_utf8_lossy(&output.stdout).trim())
    };
    match output.status.code() {
        Some(0) => Ok(output),
        Some(code) if refusals.contains(&code) => Err(Refused(words())),
        other => panic!("the verifier itself failed ({other:?}): {}", words()),
    }
}

fn same_content(a: &Path, b: &Path) -> bool {
    std::fs::read(a).expect("the extracted content") == std::fs::read(b).expect("the content")
}

/// Found from whichever crate's tests include this file.
fn verifier_script() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = |folder: &Path| folder.join("tests/verify/verify_cades.py");
    let folder = here.ancestors().find(|folder| script(folder).is_file());
    script(folder.expect("tests/verify/verify_cades.py above the crate"))
}
