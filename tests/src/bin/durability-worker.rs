//! The process that crash tests kill: `durability-worker audit DIR KEY LIFE TASKS TOTAL` or `store DIR LIFE TASKS TOTAL`.
//!
//! Says `ready`, one line for each acknowledgement, and `end` or `stopped REASON`.

use std::path::Path;
use std::process::ExitCode;
use tests::durability::audit_work;
use tests::durability::say;
use tests::durability::store_work;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    let ended = match arguments.as_slice() {
        ["audit", directory, key, life, tasks, total] => {
            let (directory, key) = (Path::new(directory), Path::new(key));
            audit_work::run(directory, key, number(life), number(tasks), number(total)).await
        }
        ["store", directory, life, tasks, total] => {
            store_work::run(Path::new(directory), number(life), number(tasks), number(total)).await
        }
        _ => Err(
            "usage: durability-worker audit DIR KEY LIFE TASKS TOTAL | store DIR LIFE TASKS TOTAL"
                .to_owned(),
        ),
    };
    match ended {
        Ok(()) => {
            say("end");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            say(&format!("stopped {reason}"));
            ExitCode::FAILURE
        }
    }
}
