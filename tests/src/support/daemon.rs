//! The real `inkand` as a child process, and what it writes.

use super::build::programs;
use super::token::Token;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// How a daemon is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub config: PathBuf,
    /// Standard output and error, appended.
    pub log: PathBuf,
    /// Its process id goes there, for the [`Reaper`].
    pub pid_file: PathBuf,
    pub environment: Vec<(String, String)>,
    /// Where it says whether it is ready.
    pub metrics: SocketAddr,
}

impl Launch {
    /// The environment of systemd and of the token.
    pub fn environment_of(token: &Token) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().expect("a UTF-8 path").to_owned();
        vec![
            ("CREDENTIALS_DIRECTORY".to_owned(), text(&token.credentials)),
            ("SOFTHSM2_CONF".to_owned(), text(&token.conf)),
        ]
    }
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    launch: Launch,
}

impl Daemon {
    /// Starts it and does not wait.
    pub fn spawn(launch: &Launch) -> Self {
        let log = File::options().create(true).append(true).open(&launch.log).expect("the log");
        let mut command = Command::new(&programs().inkand);
        command.arg("--config").arg(&launch.config).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("the log")).stderr(log);
        command.env_remove("NOTIFY_SOCKET").env_remove("LISTEN_FDS");
        command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().expect("inkand");
        std::fs::write(&launch.pid_file, child.id().to_string()).expect("the pid file");
        Self { child, launch: launch.clone() }
    }

    /// Starts it and waits until it is ready to sign.
    pub fn start(launch: &Launch) -> Self {
        let mut daemon = Self::spawn(launch);
        daemon.wait_ready(Duration::from_secs(60));
        daemon
    }

    /// A process that has ended, to stand where a daemon will be.
    pub fn spawn_ended(launch: &Launch) -> Self {
        let mut child = Command::new("true").spawn().expect("true");
        child.wait().expect("a child");
        Self { child, launch: launch.clone() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/readyz` says 200.
    pub fn wait_ready(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("inkand ended ({status}) instead of getting ready:\n{}", self.log_tail());
            }
            if probe(self.launch.metrics, "/readyz").is_some_and(|(status, _)| status == 200) {
                return;
            }
            assert!(Instant::now() < until, "inkand is not ready:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it says that it does not become ready, or ends; gives the end of its log.
    pub fn wait_refusal(&mut self, patience: Duration) -> String {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            let readiness = probe(self.launch.metrics, "/readyz");
            assert!(
                readiness.is_none_or(|(status, _)| status != 200),
                "ready:\n{}",
                self.log_tail()
            );
            let log = self.log_tail();
            if !self.is_running() || log.contains("not operational") {
                return log;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("neither ready nor refused:\n{}", self.log_tail());
    }

    /// Waits until it ends by itself.
    pub fn wait_end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// SIGTERM, and how it ended within `patience`.
    pub fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        self.wait_end(patience)
    }

    /// SIGKILL, at any moment of its life.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("a child");
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        // Gone already is as good.
        let _ = kill(Pid::from_raw(pid), signal);
    }

    /// Everything it wrote since the first start.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.launch.log).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill();
        }
    }
}

/// A plain GET on loopback, for monitoring: status and body.
pub fn probe(to: SocketAddr, path: &str) -> Option<(u16, String)> {
    use std::io::Read;
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect_timeout(&to, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// Ends a daemon and removes its folder when the test process is gone, even if nothing in it could still run.
#[derive(Debug)]
pub struct Reaper(Child);

impl Reaper {
    /// Watches over the process in `pid_file` and over `folder`.
    pub fn watch(pid_file: &Path, folder: &Path) -> Self {
        const SCRIPT: &str = r#"cat >/dev/null
            pid=$(cat "$1" 2>/dev/null) &&
            exe=$(readlink "/proc/$pid/exe" 2>/dev/null) &&
            [ "${exe% (deleted)}" = "$3" ] && kill -9 "$pid"
            [ -n "$INKAN_KEEP" ] || rm -rf "$2""#;
        let inkand = std::fs::canonicalize(&programs().inkand).expect("inkand");
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "reaper"]).arg(pid_file).arg(folder).arg(inkand);
        // It must outlive a terminal's interrupt, which reaches the whole process group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Self(command.stdin(Stdio::piped()).spawn().expect("sh"))
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
