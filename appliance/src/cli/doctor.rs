//! `inkan doctor`: what a new operator gets wrong, from the outside in: files, disk, listeners, certificate, then what the
//! appliance says about itself. Every finding comes with the next command.

use crate::audit::verify;
use crate::cli::args::Connection;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::show;
use crate::config;
use crate::config::Config;
use crate::config::Fault;
use crate::config::Severity;
use crate::config::addresses_of;
use crate::daemon::AUDIT_DIRECTORY;
use crate::daemon::STORE_DIRECTORY;
use crate::daemon::check_store_is_there;
use crate::disk::check_file_system;
use crate::disk::check_tree;
use crate::x509;
use api::admin::AdminCommand;
use api::admin::answer::AuditHeadView;
use api::admin::answer::DoctorCheck;
use api::admin::answer::DoctorView;
use api::admin::answer::Verdict;
use nix::sys::statvfs::statvfs;
use serde::Deserialize;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

/// How long a listener may take to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Free octets of the data directory's disk below which something must be done soon, and at once.
const FREE_SOON: u64 = 5 * 1024 * 1024 * 1024;
const FREE_AT_ONCE: u64 = 1024 * 1024 * 1024;
/// Days before the end of one's own certificate.
const OWN_CERTIFICATE_DAYS: u64 = 30;
/// Records of a log that is verified in passing; a larger one takes a command of its own.
const MAX_VERIFIED: u64 = 200_000;

/// Checks everything that can be reached from here.
///
/// # Errors
/// [`CliError::Found`] when something is bad; everything was printed.
pub async fn doctor(
    connection: &Connection,
    json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let mut checks = Vec::new();
    let config = connection.config.as_deref().and_then(|file| configuration(file, &mut checks));
    if let Some(config) = &config {
        disk(config, &mut checks);
        listeners(config, &mut checks);
    }
    own_certificate(connection, &mut checks);
    appliance(connection, config.as_ref(), &mut checks).await;
    let bad = checks.iter().filter(|check| check.verdict == Verdict::Bad).count();
    let view = DoctorView { checks };
    match json {
        true => writeln!(out, "{:#}", serde_json::json!(view))?,
        false => write!(out, "{}", show::doctor(&view))?,
    }
    match bad {
        0 => Ok(()),
        count => Err(CliError::Found(format!("bad: {count}; begin with the first"))),
    }
}

fn configuration(file: &Path, checks: &mut Vec<DoctorCheck>) -> Option<Config> {
    let examined = config::examine(file);
    for fault in &examined.faults {
        checks.push(of_fault(fault));
    }
    if examined.faults.is_empty() {
        checks.push(good("configuration", format!("{} has no fault", file.display())));
    }
    examined.config
}

fn of_fault(fault: &Fault) -> DoctorCheck {
    let place = fault.line.map(|line| format!("line {line}, ")).unwrap_or_default();
    let found = format!("{place}{}: {}", fault.key, fault.wrong);
    match fault.severity {
        Severity::Error => bad("configuration", found, &fault.instead),
        Severity::Warning => warning("configuration", found, &fault.instead),
    }
}

fn disk(config: &Config, checks: &mut Vec<DoctorCheck>) {
    let path = &config.data_dir;
    if !path.exists() {
        // Said of the configuration already.
        return;
    }
    checks.push(match check_file_system(path) {
        Ok(()) => good("file system", "keeps what it acknowledges"),
        Err(fault) => bad("file system", fault.to_string(), "put data_dir on ext4 or xfs"),
    });
    checks.push(match check_tree(path) {
        Ok(()) => good("data directory", "owners, modes and names are as they should be"),
        Err(fault) => {
            bad("data directory", fault.to_string(), "mend it, then: systemctl restart inkan")
        }
    });
    let Ok(space) = statvfs(path) else {
        return;
    };
    let free = space.blocks_available().saturating_mul(space.fragment_size());
    let found = format!("{} MiB free for {}", free / (1024 * 1024), path.display());
    checks.push(match free {
        0..FREE_AT_ONCE => {
            bad("disk", found, "make room: signing stops when the disk is nearly full")
        }
        FREE_AT_ONCE..FREE_SOON => {
            warning("disk", found, "make room, or move data_dir to a larger disk")
        }
        _ => good("disk", found),
    });
}

fn listeners(config: &Config, checks: &mut Vec<DoctorCheck>) {
    for (key, address) in addresses_of(config) {
        let subject = key.trim_end_matches(".address");
        checks.push(match TcpStream::connect_timeout(&reachable(address), CONNECT_TIMEOUT) {
            Ok(_) => good(subject, format!("{address} accepts connections")),
            Err(error) => bad(
                subject,
                format!("{address}: {error}"),
                "systemctl status inkan; journalctl -u inkan",
            ),
        });
    }
}

/// An address that can be connected to: nobody connects to 0.0.0.0.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn own_certificate(connection: &Connection, checks: &mut Vec<DoctorCheck>) {
    let Some(path) = &connection.cert else {
        return;
    };
    let subject = "your certificate";
    let facts = std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|pem| x509::certificate_of_pem(&pem).map_err(|error| error.to_string()))
        .and_then(|der| x509::Facts::of(&der).map_err(|error| error.to_string()));
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let next =
        "have a new one made, then: inkan operator add NEW-ID --role ROLE --certificate FILE";
    checks.push(match facts {
        Err(error) => bad(subject, format!("{}: {error}", path.display()), "inkan --cert FILE ..."),
        Ok(facts) if facts.not_after < now => {
            bad(subject, format!("ended on {}", x509::date(facts.not_after)), next)
        }
        Ok(facts) => {
            let days = (facts.not_after - now) / 86_400;
            let found = format!("{}, {days} days left", facts.subject);
            match days < OWN_CERTIFICATE_DAYS {
                true => warning(subject, found, next),
                false => good(subject, found),
            }
        }
    });
}

/// What the appliance says about itself, and whether its log verifies where its files can be read.
async fn appliance(
    connection: &Connection,
    config: Option<&Config>,
    checks: &mut Vec<DoctorCheck>,
) {
    let client = match Client::new(connection) {
        Ok(client) => client,
        Err(error) => return checks.push(of_error(&error)),
    };
    match client.run(&AdminCommand::Doctor {}).await {
        Ok(answer) => match DoctorView::deserialize(&answer.body) {
            Ok(view) => checks.extend(view.checks),
            Err(error) => {
                let found = format!("its answer cannot be understood: {error}");
                checks.push(bad("appliance", found, "are appliance and inkan of one version?"));
            }
        },
        Err(error) => return checks.push(not_operational(&error, config)),
    }
    if let Some(config) = config
        && let Ok(answer) = client.run(&AdminCommand::AuditHead {}).await
        && let Ok(head) = AuditHeadView::deserialize(&answer.body)
    {
        checks.extend(log_verifies(&config.data_dir.join(AUDIT_DIRECTORY), &head));
    }
}

/// Why it does not serve operators yet, as far as that can be seen from beside it.
fn not_operational(error: &CliError, config: Option<&Config>) -> DoctorCheck {
    let is_closed =
        matches!(error, CliError::Refused(refusal) if refusal.code == "not_operational");
    let is_founded = |config: &Config| config.data_dir.join(STORE_DIRECTORY).is_dir();
    match config {
        Some(config) if is_closed && check_store_is_there(config).is_err() => {
            let found = "the store is gone; the audit log beside it has records";
            let next = format!(
                "systemctl stop inkan; put {} back from the backup",
                config.data_dir.join(STORE_DIRECTORY).display()
            );
            bad("appliance", found, next)
        }
        Some(config) if is_closed && !is_founded(config) => {
            let next = "inkan init --config FILE --operator ID:security_officer:CERT.pem ...";
            bad("appliance", "it was never provisioned", next)
        }
        _ if is_closed => bad(
            "appliance",
            error.to_string(),
            "journalctl -u inkan -n 50   (its last error says why)",
        ),
        _ => of_error(error),
    }
}

fn of_error(error: &CliError) -> DoctorCheck {
    let next = error.next().unwrap_or_else(|| "journalctl -u inkan".to_owned());
    bad("appliance", error.to_string(), next)
}

fn log_verifies(dir: &Path, head: &AuditHeadView) -> Option<DoctorCheck> {
    let pem = head.public_key_pem.as_deref()?;
    let by_hand = format!("inkan audit verify {} --key FILE", dir.display());
    if std::fs::read_dir(dir).is_err() {
        // Not beside the appliance, or not as its user: nothing is wrong.
        return None;
    }
    if head.size > MAX_VERIFIED {
        return Some(good(
            "audit log files",
            format!("{} records; to verify them: {by_hand}", head.size),
        ));
    }
    let key = verify::public_key_from_pem(pem).ok()?;
    Some(match verify::verify(dir, &[key], None) {
        Ok(report) if report.is_good() => good("audit log files", "every record verifies"),
        Ok(report) => bad("audit log files", report.to_string(), by_hand),
        Err(error) => bad("audit log files", error.to_string(), by_hand),
    })
}

fn good(subject: &str, found: impl Into<String>) -> DoctorCheck {
    DoctorCheck { subject: subject.into(), verdict: Verdict::Good, found: found.into(), next: None }
}

fn warning(subject: &str, found: impl Into<String>, next: impl Into<String>) -> DoctorCheck {
    let next = Some(next.into());
    DoctorCheck { subject: subject.into(), verdict: Verdict::Warning, found: found.into(), next }
}

fn bad(subject: &str, found: impl Into<String>, next: impl Into<String>) -> DoctorCheck {
    DoctorCheck { verdict: Verdict::Bad, ..warning(subject, found, next) }
}
