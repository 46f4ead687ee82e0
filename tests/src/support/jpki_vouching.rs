//! A provider of validity that says what it is told to: that every certificate is good, and which one renews which.

use super::jpki_provider::Answer;
use super::jpki_provider::Provider;
use super::jpki_provider::Question;
use super::pki::Ca;
use super::pki::Pair;
use super::pki::Validity;
use super::pki::pem_to_der;
use super::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::Encode;

/// What it says of certificates by their SHA-256, besides that they are good.
pub type Told = Arc<Mutex<HashMap<String, Value>>>;

/// In place of a SHA-256: it takes its time over everybody.
pub const EVERYBODY: &str = "slow";
/// How long the appliance waits for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

pub fn sha256(octets: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets))
}

impl World {
    /// Starts the daemon again with such a provider.
    pub fn ask_vouching_provider(&mut self) -> (Provider, Told) {
        let told = Told::default();
        let pki = &self.pki;
        let service = pki.servers.server("service");
        let client = pki.clients.client("jpki-client", Validity::CURRENT);
        let known = told.clone();
        let provider =
            Provider::tls(&service, &pki.clients.pem, move |asked| answer(asked, &known));
        let validity = format!(
            "[jpki.validity]\nkind = \"http\"\ncache_seconds = 0\ntimeout_ms = {}\n\
             [jpki.validity.http]\nurl = \"https://localhost:{}/v1/validity\"\nca = {:?}\n\
             certificate = {:?}\nkey = {:?}\n",
            TIMEOUT.as_millis(),
            provider.address.port(),
            pki.servers.pem,
            client.certificate,
            client.key,
        );
        self.settings.jpki_validity = Some(validity);
        self.write_config();
        assert!(self.daemon.stop(Duration::from_secs(10)).is_some());
        self.restart();
        (provider, told)
    }
}

/// From now on it says that `new` renews `old`, both of `ca`.
pub fn vouch(told: &Told, ca: &Ca, new: &Pair, old: &Pair) {
    let parse = |der: &[u8]| Certificate::from_der(der).expect("a certificate");
    let ca = parse(&pem_to_der(&ca.pem_text()));
    let spki = ca.tbs_certificate().subject_public_key_info().to_der().expect("a public key");
    let serial = hex::encode(parse(&old.der).tbs_certificate().serial_number().as_bytes());
    let predecessor = json!({ "issuer_spki_sha256": sha256(&spki), "serial_hex": serial });
    let more = json!({ "status": "good", "predecessor": predecessor });
    told.lock().expect("no panic under it").insert(sha256(&new.der), more);
}

fn answer(question: &Question, told: &Told) -> Answer {
    let asked: Value = serde_json::from_slice(&question.body).expect("JSON");
    let certificate = asked["certificate"].as_str().and_then(|b64| STANDARD.decode(b64).ok());
    let digest = sha256(&certificate.expect("a certificate"));
    let time = |seconds: i64| {
        let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        time.format(&Rfc3339).expect("a time")
    };
    let told = told.lock().expect("no panic under it");
    let good = json!({ "status": "good" });
    let mut answer = told.get(&digest).unwrap_or(&good).clone();
    if answer["status"] == "good" {
        answer["certificate_sha256"] = json!(digest);
        answer["this_update"] = json!(time(-60));
        answer["next_update"] = json!(time(300));
    }
    let after = if told.contains_key(EVERYBODY) { TIMEOUT } else { Duration::ZERO };
    Answer { after, ..Answer::json(&answer) }
}
