//! A real browser: Chromium, driven over W3C WebDriver, with a profile, trust and a card of its own.
//!
//! Each [`Browser`] is a `chromedriver` and its Chromium in mount and PID namespaces of their own (`start.sh`), because:
//! - Chromium takes client certificates and trusted CAs from the NSS database of its `HOME`. There the software card and
//!   the test's server CA are put, so that no certificate error is ever bypassed. A driver passes its own environment on,
//!   so that each browser has its own driver.
//! - The choice of a certificate is a dialog that no WebDriver reaches. Only the policy `AutoSelectCertificateForUrls`
//!   answers it, and policies are read from `/etc/chromium` alone: no switch or preference stands for them. So a folder is
//!   mounted there that this browser alone sees. The machine's own is never touched.
//! - When the first process of a PID namespace ends, the kernel kills the others. It ends when its standard input does:
//!   when the browser is dropped, or when the test's process is gone, however that ended. Home and temporary files are in
//!   a tmpfs that goes with the namespace.
//!
//! Root makes namespaces as it is; others by way of a user namespace, where the machine lets them.

mod authenticator;
mod driver;
mod element;
mod page;

pub use authenticator::Authenticator;
pub use authenticator::Transport;
pub use element::By;
pub use element::ENTER;
pub use element::Element;
pub use element::TAB;

use super::build::target_dir;
use super::pki::Pair;
use super::pki::Pki;
use driver::Driver;
use serde_json::Value;
use serde_json::json;
use std::fs::File;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Nothing on a page takes longer, on a busy machine either.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a browser looks at pages with.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    /// Touch, a mobile viewport and a mobile user agent.
    pub is_phone: bool,
}

impl Screen {
    pub const PC: Self = Self { width: 1_280, height: 900, is_phone: false };
    pub const PHONE: Self = Self { width: 360, height: 740, is_phone: true };
    /// The narrowest that a page must fit (WCAG 2.2, 1.4.10).
    pub const NARROW: Self = Self { width: 320, height: 568, is_phone: true };
}

/// A browser before it is started.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Names its log and its screenshots: `target/browser/<name>-<step>.png`.
    pub name: &'a str,
    pub screen: Screen,
    /// As in `Accept-Language`.
    pub languages: &'a str,
    pub runs_scripts: bool,
    /// The card in its reader.
    pub card: Option<&'a Pair>,
    /// A second card, in a second reader, for this port alone.
    pub other_card: Option<(&'a Pair, u16)>,
    /// The CA that it trusts besides its own.
    pub server_ca: &'a Path,
}

impl<'a> Wanted<'a> {
    /// A Japanese PC without a card.
    pub fn new(name: &'a str, pki: &'a Pki) -> Self {
        Self {
            name,
            screen: Screen::PC,
            languages: "ja",
            runs_scripts: true,
            card: None,
            other_card: None,
            server_ca: &pki.servers.pem,
        }
    }

    /// Starts it, with an empty page.
    pub async fn start(&self) -> Browser {
        let folder = browser_dir();
        std::fs::create_dir_all(&folder).expect("a folder under target/");
        let log = folder.join(format!("{}.log", self.name));
        let namespace = Namespace::enter(self, &log);
        let address = wait_for_driver(&log);
        let driver = Driver::open(address, &self.capabilities()).await;
        Browser { driver, screenshots: folder.join(self.name), namespace }
    }

    fn policy(&self) -> Value {
        // One certificate at most is there for whoever asks: it is given without a dialog.
        let select = match self.other_card {
            None => vec![json!({ "pattern": "https://localhost", "filter": {} })],
            Some((other, port)) => vec![
                json!({ "pattern": format!("https://localhost:{port}"), "filter": subject(other) }),
                json!({
                    "pattern": "https://localhost",
                    "filter": self.card.map_or_else(|| json!({}), subject),
                }),
            ],
        };
        let select: Vec<String> = select.iter().map(Value::to_string).collect();
        json!({
            "AutoSelectCertificateForUrls": select,
            "DefaultJavaScriptSetting": if self.runs_scripts { 1 } else { 2 },
        })
    }

    fn capabilities(&self) -> Value {
        let Screen { width, height, is_phone } = self.screen;
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                format!("--window-size={width},{height}"),
                format!("--accept-lang={}", self.languages),
                "--user-data-dir=/dev/shm/profile",
            ],
            "prefs": { "intl.accept_languages": self.languages },
        });
        if is_phone {
            options["mobileEmulation"] = json!({
                "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2, "touch": true },
                "clientHints": { "platform": "Android", "mobile": true },
            });
        }
        let patience_ms = PATIENCE.as_millis();
        json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "timeouts": { "pageLoad": patience_ms, "script": patience_ms },
            "webauthn:virtualAuthenticators": true,
        })
    }
}

/// A running browser with one window. Gone when it is dropped, with all that it wrote but its screenshots and its log.
#[derive(Debug)]
pub struct Browser {
    driver: Driver,
    /// The screenshots' path up to the step.
    screenshots: PathBuf,
    namespace: Namespace,
}

impl Browser {
    /// The process whose only child is the first of the browser's namespaces.
    pub fn process_id(&self) -> u32 {
        self.namespace.0.id()
    }
}

/// The policy's filter for this card: its file is called what its subject is.
fn subject(card: &Pair) -> Value {
    let name = card.certificate.file_stem().and_then(|stem| stem.to_str());
    json!({ "SUBJECT": { "CN": name.expect("a name") } })
}

/// Why no browser can be started here, if so.
pub fn missing() -> Option<String> {
    let runs = |command: &mut Command| {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        status.status().is_ok_and(|status| status.success())
    };
    for (program, package) in [
        ("chromium", "chromium"),
        ("chromedriver", "chromium-driver"),
        ("certutil", "libnss3-tools"),
        ("pk12util", "libnss3-tools"),
    ] {
        if !runs(Command::new("sh").args(["-c", "command -v \"$0\"", program])) {
            return Some(format!("no {program} here (Debian package {package})"));
        }
    }
    let can_enter = runs(unshare().arg("true"));
    (!can_enter).then(|| "no namespaces can be made here (root is needed)".to_owned())
}

/// `target/browser/`: screenshots, logs, and what is fetched for tests in a browser.
pub fn browser_dir() -> PathBuf {
    target_dir().join("browser")
}

/// The first process of a browser's namespaces.
#[derive(Debug)]
struct Namespace(Child);

impl Namespace {
    fn enter(wanted: &Wanted<'_>, log: &Path) -> Self {
        let log = File::create(log).expect("the browser's log");
        let mut command = unshare();
        command.args(["sh", "-c", include_str!("start.sh")]);
        command.env("POLICY", wanted.policy().to_string()).env("SERVER_CA", wanted.server_ca);
        command.env("CARD", wanted.card.map_or(Path::new(""), |card| &card.certificate));
        command.env("CARD_KEY", wanted.card.map_or(Path::new(""), |card| &card.key));
        let other = wanted.other_card.map(|(card, _)| card);
        command.env("OTHER_CARD", other.map_or(Path::new(""), |card| &card.certificate));
        command.env("OTHER_CARD_KEY", other.map_or(Path::new(""), |card| &card.key));
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("the log")).stderr(log);
        Self(command.spawn().expect("unshare"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
}

/// It says its port when it can be asked.
fn wait_for_driver(log: &Path) -> SocketAddr {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let port = said.split_once("started successfully on port ").and_then(|(_, rest)| {
            rest.split_once('.').and_then(|(port, _)| port.parse::<u16>().ok())
        });
        if let Some(port) = port {
            return (Ipv4Addr::LOCALHOST, port).into();
        }
        assert!(Instant::now() < until, "chromedriver does not start:\n{said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
