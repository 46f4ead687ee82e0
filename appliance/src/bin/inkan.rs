//! The command-line tool of operators.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    appliance::cli::main()
}
