//! The daemon. `inkand --config FILE`; sockets come from systemd or are bound here.
#![forbid(unsafe_code)]

use api::error::with_sources;
use appliance::config::Config;
use appliance::config::LogFormat;
use appliance::daemon::Daemon;
use appliance::daemon::StartError;
use appliance::state::State;
use appliance::systemd;
use attest::records::Fingerprint;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing_subscriber::EnvFilter;

/// Inkan's signing daemon. Everything it is told stands in its configuration file; nothing secret stands in argv.
#[derive(Parser)]
#[command(name = "inkand", version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, default_value = "/etc/inkan/inkan.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (config, fingerprint) = match Config::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(faults) => return complain(&faults),
    };
    start_log(&config);
    if let Err(error) = appliance::harden::process() {
        return complain(&error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(config, fingerprint)),
        Err(error) => complain(&error),
    }
}

async fn run(config: Config, fingerprint: Fingerprint) -> ExitCode {
    let daemon = systemd::sockets()
        .map_err(StartError::from)
        .and_then(|sockets| Daemon::listen(config, fingerprint, sockets));
    let mut daemon = match daemon {
        Ok(daemon) => daemon,
        Err(error) => return complain(&with_sources(&error)),
    };
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
        return complain(&"signals cannot be caught");
    };
    systemd::listening();
    // A HUP that comes while everything is being opened waits in its stream.
    let stopped = tokio::select! {
        result = daemon.open() => {
            announce(result);
            None
        }
        _ = terminate.recv() => Some("SIGTERM"),
        _ = interrupt.recv() => Some("SIGINT"),
    };
    let reason = match stopped {
        Some(reason) => reason,
        None => loop {
            tokio::select! {
                _ = terminate.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "SIGINT",
                _ = hangup.recv() => daemon.reload(),
            }
        },
    };
    let failed = matches!(*daemon.state(), State::Failed { .. });
    systemd::stopping();
    daemon.stop(reason).await;
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// A failed opening does not end the process: health and status go on answering, so that the operator sees why.
fn announce(opened: Result<(), StartError>) {
    match opened {
        Ok(()) => {
            tracing::info!("operational");
            systemd::ready();
        }
        Err(error) => tracing::error!(%error, "not operational; next: inkan doctor"),
    }
}

fn start_log(config: &Config) {
    let filter = log_filter(&config.log.filter);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    match config.log.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// What the configuration asks for, but for webauthn-rs: it would write down what authenticators say, and what goes wrong
/// there comes back as an error of ours.
fn log_filter(configured: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(configured).unwrap_or_else(|_| EnvFilter::new("info"));
    let silenced = ["webauthn_rs=off", "webauthn_rs_core=off"];
    let directives = silenced.into_iter().filter_map(|directive| directive.parse().ok());
    directives.fold(filter, EnvFilter::add_directive)
}

#[expect(clippy::print_stderr, reason = "what cannot be logged yet must still reach the operator")]
fn complain(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("inkand: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authenticators_say_is_logged_at_no_level() {
        for configured in ["trace", "webauthn_rs_core=trace", "not a filter ="] {
            let filter = log_filter(configured).to_string();
            let says = |part: &str| filter.split(',').any(|directive| directive == part);
            assert!(says("webauthn_rs_core=off") && says("webauthn_rs=off"), "{filter}");
            assert!(!says("webauthn_rs_core=trace"), "{filter}");
        }
    }
}
