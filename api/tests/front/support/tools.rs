//! Clients of other hands: curl and `openssl s_client`.

use super::pki::Pair;
use super::pki::Pki;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

/// `curl` as a signing system or a browser would use it, on a blocking thread. Panics when curl is not installed: it is
/// part of what the tests need.
pub async fn curl(
    pki: &Pki,
    pair: Option<&Pair>,
    to: SocketAddr,
    path: &str,
    more: &[&str],
) -> Output {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--include", "--max-time", "20", "--cacert"])
        .arg(&pki.servers.file);
    if let Some(pair) = pair {
        command.arg("--cert").arg(&pair.certificate_file).arg("--key").arg(&pair.key_file);
    }
    command.args(more).arg(format!("https://localhost:{}{path}", to.port()));
    run(command, b"").await
}

/// `openssl s_client` that sends `octets` and reads until the peer hangs up.
pub async fn s_client(
    pki: &Pki,
    pair: Option<&Pair>,
    to: SocketAddr,
    more: &[&str],
    octets: &[u8],
) -> Output {
    let mut command = Command::new("timeout");
    command.args(["20", "openssl", "s_client", "-servername", "localhost", "-ign_eof", "-connect"]);
    command.arg(to.to_string()).arg("-CAfile").arg(&pki.servers.file);
    if let Some(pair) = pair {
        command.arg("-cert").arg(&pair.certificate_file).arg("-key").arg(&pair.key_file);
    }
    command.args(more);
    run(command, octets).await
}

/// `openssl s_client` with other settings of its environment.
pub async fn s_client_with(
    pki: &Pki,
    pair: &Pair,
    to: SocketAddr,
    more: &[&str],
    environment: &[(&str, &str)],
) -> Output {
    let mut command = s_client_command(pki, pair, to);
    command.args(more).envs(environment.iter().copied());
    run(command, b"").await
}

/// `openssl s_client` over TLS 1.2 that is given commands: `R` renegotiates.
pub async fn s_client_commands(pki: &Pki, pair: &Pair, to: SocketAddr, commands: &[u8]) -> Output {
    let mut command = s_client_command(pki, pair, to);
    command.arg("-tls1_2");
    run(command, commands).await
}

fn s_client_command(pki: &Pki, pair: &Pair, to: SocketAddr) -> Command {
    let mut command = Command::new("timeout");
    command.args(["20", "openssl", "s_client", "-servername", "localhost", "-connect"]);
    command.arg(to.to_string()).arg("-CAfile").arg(&pki.servers.file);
    command.arg("-cert").arg(&pair.certificate_file).arg("-key").arg(&pair.key_file);
    command
}

async fn run(mut command: Command, input: &[u8]) -> Output {
    let input = input.to_vec();
    let run = move || {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A peer that hangs up before it has read everything is for the test to judge.
        let _ = stdin.write_all(&input);
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

pub fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&all).into_owned()
}
