//! Providers of validity as the appliance asks them: over loopback, with OpenSSL's responder behind one and mutual TLS in
//! front of the other.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end at once"
)]

mod http;
mod ocsp;

use appliance::config::Config;
use appliance::config::EXAMPLE;
use appliance::fetch::Fetcher;
use appliance::jpki_validity;
use appliance::jpki_validity::ValidityMetrics;
use attest::clock::UnixSeconds;
use attest::judge::Judge;
use attest::judge::Material;
use attest::path::Certificate;
use attest::revocation::CrlLimits;
use attest::validity::JpkiValidity;
use attest::validity::Validity;
use attest::validity::ValidityError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tempfile::TempDir;
use tests::support::pki::AUTHENTICATION_POLICY;
use tests::support::pki::Ca;
use tests::support::pki::Pair;
use tests::support::pki::Validity as Period;
use tests::support::pki::pem_to_der;

/// A CA of cards, and the files of this hospital's side.
struct World {
    folder: TempDir,
    ca: Ca,
    /// Issues the provider's server certificate.
    servers: Ca,
    /// Issues the appliance's client certificate.
    clients: Ca,
    client: Pair,
}

/// The appliance's side of one provider.
struct Asker {
    provider: Arc<dyn JpkiValidity>,
    issuer: Arc<Certificate>,
    metrics: prometheus::Registry,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = |name: &str| Ca::root(folder.path(), name);
        let (ca, servers, clients) = (root("JPKI"), root("Servers"), root("Clients"));
        let client = clients.client("appliance", Period::CURRENT);
        Self { ca, servers, clients, client, folder }
    }

    fn card(&self, name: &str) -> Pair {
        self.ca.card(name, AUTHENTICATION_POLICY, Period::CURRENT)
    }

    /// Asks the provider of this kind at `address`; `change` changes the configuration.
    fn asker(
        &self,
        kind: &str,
        address: SocketAddr,
        change: impl Fn(String) -> String,
    ) -> Result<Asker, String> {
        let file = |name: &str| format!("{}/{name}", self.folder.path().display());
        let text = EXAMPLE
            .replace("kind = \"http\"", &format!("kind = {kind:?}"))
            .replace(
                "https://jpki.platform.example/",
                &format!("https://localhost:{}/", address.port()),
            )
            .replace("http://ocsp.platform.example/", &format!("http://{address}/"))
            .replace("/etc/inkan/jpki/platform-ca.pem", &file("servers.pem"))
            .replace("/etc/inkan/jpki/client.pem", &file("appliance.pem"))
            .replace("/etc/inkan/jpki/client.key", &file("appliance.key"));
        let path = self.folder.path().join(format!("{}-{kind}.toml", address.port()));
        std::fs::write(&path, change(text)).unwrap();
        let (config, _) = Config::load(&path).map_err(|faults| faults.to_string())?;
        let fetcher = jpki_validity::with_service(Fetcher::new(config.crl_targets()), &config);
        let fetcher = Arc::new(fetcher.map_err(|error| error.to_string())?);
        let judge = Judge::new(Material::default(), CrlLimits::default(), &[]).unwrap();
        let metrics = prometheus::Registry::new();
        let counters = ValidityMetrics::new(&metrics).unwrap();
        let provider = jpki_validity::provider(&config, &fetcher, &Arc::new(judge), &counters);
        let issuer = Certificate::from_der(&pem_to_der(&self.ca.pem_text())).unwrap();
        Ok(Asker { provider, issuer: Arc::new(issuer), metrics })
    }
}

impl Asker {
    async fn check(&self, card: &Pair) -> Result<Validity, ValidityError> {
        let card = Certificate::from_der(&card.der).unwrap();
        self.provider.check(&card, &self.issuer, now()).await
    }

    /// `good`, or why not, as the stable words have it.
    async fn says(&self, card: &Pair) -> &'static str {
        match self.check(card).await {
            Ok(Validity::Good { .. }) => "good",
            Ok(Validity::Revoked { .. }) => "revoked",
            Err(error) => error.code(),
        }
    }

    fn metric(&self, line: &str) -> bool {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.metrics.gather()).unwrap();
        text.lines().any(|found| found == line)
    }
}

fn now() -> UnixSeconds {
    UnixSeconds::from(SystemTime::now())
}

fn unchanged(text: String) -> String {
    text
}
