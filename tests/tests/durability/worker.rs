//! A worker process and what it said.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;

/// A running worker. It is killed when this is dropped.
pub struct Worker {
    child: Child,
    lines: Receiver<String>,
    /// Everything it said so far.
    pub said: Vec<String>,
}

impl Worker {
    /// Starts one; `environment` is added to its own.
    pub fn start(arguments: &[String], environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_durability-worker"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        for (name, value) in environment {
            command.env(name, value);
        }
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // A last line without its end was not said.
            for line in out.split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line that begins with `start`, or for the end of the worker; whether the line came.
    pub fn wait_for(&mut self, start: &str, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.starts_with(start);
                    self.said.push(line);
                    if found {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    /// Hears for `time`.
    pub fn hear(&mut self, time: Duration) {
        self.wait_for("\0", time);
    }

    /// `kill -9`, then everything that was said before.
    pub fn kill(mut self) -> Vec<String> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.hear(Duration::from_secs(10));
        std::mem::take(&mut self.said)
    }

    /// Waits for the worker's own end; `None` when it does not come, then it is killed.
    pub fn end(mut self, patience: Duration) -> Option<Vec<String>> {
        self.hear(patience);
        match self.child.try_wait() {
            Ok(None) => {
                // Its output is closed, so it is about to end.
                std::thread::sleep(Duration::from_millis(200));
                matches!(self.child.try_wait(), Ok(Some(_)))
            }
            _ => true,
        }
        .then(|| std::mem::take(&mut self.said))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
