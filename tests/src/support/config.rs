//! The daemon's configuration, as an operator would write it.

use super::pki::Pki;
use super::token::Token;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;

/// Loopback addresses of the six listeners.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub signing: SocketAddr,
    pub hpki: SocketAddr,
    pub jpki: SocketAddr,
    pub portal: SocketAddr,
    pub admin: SocketAddr,
    pub metrics: SocketAddr,
}

impl Ports {
    /// Six that were free a moment ago.
    pub fn free() -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        // All are held until all are known, so that they differ.
        let held = [bind(), bind(), bind(), bind(), bind(), bind()];
        let [signing, hpki, jpki, portal, admin, metrics] =
            held.each_ref().map(|listener| listener.local_addr().expect("an address"));
        Self { signing, hpki, jpki, portal, admin, metrics }
    }
}

/// What a test may want otherwise.
#[derive(Clone, Debug)]
pub struct Settings {
    pub module: PathBuf,
    pub token_label: String,
    pub hsm_sessions: usize,
    pub hsm_queue: usize,
    pub hsm_deadline_ms: u64,
    /// Octets of an attached document.
    pub attached_bytes: u64,
    /// Seconds without an octet of a body.
    pub body_pause_seconds: u64,
    /// Seconds between two looks at the revocation lists.
    pub crl_refresh_seconds: u64,
    /// Whether there is a portal.
    pub portal: bool,
    /// Whether there is a listener for My Number cards.
    pub jpki: bool,
    /// The table `[jpki.validity]`; `None`: revocation lists, "": there is none.
    pub jpki_validity: Option<String>,
    /// More lines at the end.
    pub more: String,
}

impl Settings {
    pub fn new(module: PathBuf, token: &Token) -> Self {
        Self {
            module,
            token_label: token.label.clone(),
            hsm_sessions: 4,
            hsm_queue: 4_096,
            hsm_deadline_ms: 5_000,
            attached_bytes: 96 * 1024 * 1024,
            body_pause_seconds: 2,
            crl_refresh_seconds: 60,
            portal: true,
            jpki: true,
            jpki_validity: None,
            more: String::new(),
        }
    }

    /// The TOML file.
    pub fn toml(&self, data_dir: &Path, ports: Ports, pki: &Pki) -> String {
        let listener = |address: SocketAddr| {
            format!(
                "address = \"{address}\"\nhost_names = [\"localhost\"]\ncertificate = {:?}\nkey = {:?}",
                pki.server.certificate, pki.server.key
            )
        };
        let portal = listener(ports.portal)
            .replace("host_names = [\"localhost\"]", "host_name = \"localhost\"");
        let portal = match self.portal {
            true => format!("[listeners.portal]\n{portal}\n"),
            false => String::new(),
        };
        let jpki = match self.jpki {
            true => format!("[listeners.jpki]\n{}\n", listener(ports.jpki)),
            false => String::new(),
        };
        let lists = || {
            let crl = &pki.jpki.crl;
            format!("[jpki.validity]\nkind = \"crl\"\ncrls = {{ jpki = {{ file = {crl:?} }} }}\n")
        };
        let jpki_validity = self.jpki_validity.clone().unwrap_or_else(lists);
        format!(
            r#"data_dir = {data_dir:?}
danger_allow_unsafe_file_system = {unsafe_file_system}

[hsm]
module = {module:?}
token = {{ label = "{label}" }}
sessions = {sessions}
queue = {queue}
deadline_ms = {deadline_ms}

[listeners.certificates]
check_seconds = 1

[listeners.signing]
{signing}
client_ca = {client_ca:?}
client_crls = [{client_crl:?}]
limits = {{ body_pause_seconds = {body_pause_seconds} }}
documents = {{ attached_bytes = {attached_bytes} }}

[listeners.hpki]
{hpki}

{jpki}
{portal}
[listeners.admin]
{admin}
client_ca = {client_ca:?}

[listeners.metrics]
address = "{metrics}"

[hpki]
intermediates = [{auth_ca:?}]
[hpki.crls]
root = {{ file = {root_crl:?} }}
auth = {{ file = {auth_crl:?} }}

{jpki_validity}
[second_certificates]
intermediates = [{sign_ca:?}]
[second_certificates.crls]
sign = {{ file = {sign_crl:?} }}

[revocation]
refresh_seconds = {refresh_seconds}

[sessions]
max_signatures = 1000000
{more}"#,
            unsafe_file_system = !is_safe_file_system(data_dir),
            module = self.module,
            label = self.token_label,
            sessions = self.hsm_sessions,
            queue = self.hsm_queue,
            deadline_ms = self.hsm_deadline_ms,
            signing = listener(ports.signing),
            client_ca = pki.clients.pem,
            client_crl = pki.clients.crl,
            refresh_seconds = self.crl_refresh_seconds,
            body_pause_seconds = self.body_pause_seconds,
            attached_bytes = self.attached_bytes,
            hpki = listener(ports.hpki),
            admin = listener(ports.admin),
            metrics = ports.metrics,
            auth_ca = pki.hpki_auth.pem,
            sign_ca = pki.hpki_sign.pem,
            root_crl = pki.hpki_root.crl,
            auth_crl = pki.hpki_auth.crl,
            sign_crl = pki.hpki_sign.crl,
            more = self.more,
        )
    }
}

/// Containers build on file systems that the daemon refuses unless told otherwise.
fn is_safe_file_system(folder: &Path) -> bool {
    let output = std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(folder).output();
    let kind = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    matches!(kind.as_deref(), Ok("ext2/ext3" | "xfs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::token::module;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn configuration_of_the_harness_has_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pki = Pki::new(&at("pki"));
        let token = Token::new(&at("hsm"), "inkan-e2e");
        std::fs::create_dir(at("data")).unwrap();
        std::fs::set_permissions(at("data"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut settings = Settings::new(module(), &token);
        settings.more = String::new();
        std::fs::write(at("inkan.toml"), settings.toml(&at("data"), Ports::free(), &pki)).unwrap();
        let examined = appliance::config::examine(&at("inkan.toml"));
        let errors: Vec<_> = examined
            .faults
            .iter()
            .filter(|fault| fault.severity == appliance::config::Severity::Error)
            .collect();
        assert!(examined.config.is_some() && errors.is_empty(), "{:#?}", examined.faults);
    }
}
