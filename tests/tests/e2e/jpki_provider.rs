//! The provider of validity for My Number cards, as operators meet it.

use serde_json::Value;
use serde_json::json;
use tests::support::config::Settings;
use tests::support::http::PATIENCE;
use tests::support::jpki_provider::Answer;
use tests::support::jpki_provider::Provider;
use tests::support::jpki_provider::Question;
use tests::support::pki::pem_to_der;
use tests::support::world::Plan;
use tests::support::world::World;

/// What the doctor finds about the provider.
fn found(world: &World) -> Value {
    let said = world.inkan(&["--json", "doctor"]);
    let view: Value = serde_json::from_slice(&said.stdout).unwrap();
    let checks = view["checks"].as_array().unwrap();
    let of_provider =
        |check: &&Value| check["subject"].as_str().unwrap().starts_with("validity of cards of ");
    checks.iter().find(of_provider).unwrap_or_else(|| panic!("{view:#}")).clone()
}

fn has(check: &Value, verdict: &str, words: &str, next: &str) {
    assert_eq!(check["verdict"], verdict, "{check:#}");
    assert!(check["found"].as_str().unwrap().contains(words), "{check:#}");
    assert!(check["next"].as_str().unwrap_or_default().contains(next), "{check:#}");
}

/// A service that knows nobody, and no question that is not about the CA itself.
fn knows_nobody(ca_der: &[u8]) -> impl Fn(&Question) -> Answer + Send + Sync + 'static {
    use attest::records::Fingerprint;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let (certificate, digest) = (STANDARD.encode(ca_der), Fingerprint::of(ca_der).0);
    move |question| {
        let asked: Value = serde_json::from_slice(&question.body).unwrap();
        match asked["certificate"] == certificate.as_str() {
            true => Answer::json(&json!({ "certificate_sha256": digest, "status": "unknown" })),
            false => Answer::status(400),
        }
    }
}

fn configure(world: &mut World, service: &Provider) {
    let (ca, client) = (&world.pki.servers.pem, &world.pki.ehr);
    world.settings.jpki_validity = Some(format!(
        "[jpki.validity]\nkind = \"http\"\n[jpki.validity.http]\nurl = \"https://localhost:{}/\"\n\
         ca = {ca:?}\ncertificate = {:?}\nkey = {:?}\n",
        service.address.port(),
        client.certificate,
        client.key
    ));
    world.write_config();
    world.daemon.stop(PATIENCE);
    world.restart();
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_the_provider_once_and_says_what_to_do() {
    let none = |settings: &mut Settings| settings.jpki_validity = Some(String::new());
    let mut world = World::new(Plan { tune: none, ..Plan::default() }).await;
    has(&found(&world), "bad", "no provider", "write a table [jpki.validity]");
    let answers = knows_nobody(&pem_to_der(&world.pki.jpki.pem_text()));
    let service = Provider::tls(&world.pki.server, &world.pki.clients.pem, answers);
    configure(&mut world, &service);
    has(&found(&world), "good", "the provider answers", "");
    assert_eq!(service.questions().len(), 1);
    assert_eq!(service.questions()[0].client, Some(world.pki.ehr.der.clone()));
    assert_eq!(world.metric("inkan_jpki_validity_provider_seconds_count", &[]), 1.0);
    assert_eq!(world.metric("inkan_jpki_validity_checks_total", &["result=\"unknown\""]), 0.0);
    drop(service);
    has(&found(&world), "bad", "cannot say now", "is the provider up");
    let of_another = knows_nobody(b"another CA");
    let service = Provider::tls(&world.pki.server, &world.pki.clients.pem, of_another);
    configure(&mut world, &service);
    has(&found(&world), "bad", "answered 400", "whoever runs the provider");
}
