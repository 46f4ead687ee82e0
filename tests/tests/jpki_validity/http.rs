//! A platform operator's service behind mutual TLS.

use crate::Asker;
use crate::World;
use crate::now;
use crate::unchanged;
use appliance::fetch::MAX_QUESTIONS;
use appliance::jpki_validity::contract::MAX_ANSWER_BYTES;
use attest::path::Certificate;
use attest::records::Fingerprint;
use attest::validity::CertificateId;
use attest::validity::Validity;
use attest::validity::ValidityError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tests::support::jpki_provider::Answer;
use tests::support::jpki_provider::Provider;
use tests::support::jpki_provider::Question;
use tests::support::pki::Ca;
use tests::support::pki::Validity as Period;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;

/// The certificate's SHA-256, as a service computes it.
fn digest(question: &Question) -> String {
    let asked: Value = serde_json::from_slice(&question.body).unwrap();
    let der = STANDARD.decode(asked["certificate"].as_str().unwrap()).unwrap();
    Fingerprint::of(&der).0
}

fn good(question: &Question) -> Value {
    let time = |seconds: i64| {
        let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        time.format(&Rfc3339).unwrap()
    };
    json!({
        "certificate_sha256": digest(question),
        "status": "good",
        "this_update": time(-60),
        "next_update": time(300),
    })
}

impl World {
    fn service(&self, answers: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> Provider {
        Provider::tls(&self.servers.server("service"), &self.clients.pem, answers)
    }

    fn asks(&self, provider: &Provider) -> Asker {
        self.asker("http", provider.address, unchanged).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_is_asked_with_what_is_needed_and_nothing_else() {
    let world = World::new();
    let service = world.service(|question| Answer::json(&good(question)));
    let (asker, card) = (world.asks(&service), world.card("card"));
    let Ok(Validity::Good { until, predecessor: None }) = asker.check(&card).await else {
        panic!("not good")
    };
    assert!(now().seconds_until(until) <= 300, "{until}");
    let [question] = service.questions().try_into().unwrap();
    let asked: Value = serde_json::from_slice(&question.body).unwrap();
    let issuer = Fingerprint::of(asker.issuer.spki_der()).0;
    let expected = json!({
        "certificate": STANDARD.encode(&card.der),
        "issuer_spki_sha256": issuer,
    });
    assert_eq!(asked, expected);
    assert!(question.head.starts_with("POST /v1/validity HTTP/1.1\r\n"), "{}", question.head);
    let headers: Vec<_> = question.head.lines().skip(1).filter_map(|l| l.split_once(':')).collect();
    let mut names: Vec<_> = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    assert_eq!(names, ["accept", "content-length", "content-type", "host"]);
    assert_eq!(question.client, Some(world.client.der.clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn service_names_the_certificate_that_was_renewed() {
    let world = World::new();
    let service = world.service(|question| {
        let mut answer = good(question);
        answer["predecessor"] =
            json!({ "issuer_spki_sha256": "0a".repeat(32), "serial_hex": "0133c349" });
        Answer::json(&answer)
    });
    let said = world.asks(&service).check(&world.card("renewed")).await;
    let Ok(Validity::Good { predecessor, .. }) = said else { panic!("{said:?}") };
    assert_eq!(predecessor, CertificateId::from_hex(&"0a".repeat(32), "0133c349"));
}

#[tokio::test(flavor = "multi_thread")]
async fn service_of_another_authority_or_name_is_not_asked() {
    let world = World::new();
    let card = world.card("card");
    let impostors = Ca::root(world.folder.path(), "Impostors");
    let wrong = [
        impostors.server("impostor"),
        world.servers.server_for("other-name", &["jpki.platform.example"]),
    ];
    for server in &wrong {
        let service =
            Provider::tls(server, &world.clients.pem, |question| Answer::json(&good(question)));
        assert_eq!(world.asks(&service).says(&card).await, "validity_unavailable");
        assert_eq!(service.questions().len(), 0, "no certificate of a person crossed");
    }
    let service = world.service(|question| Answer::json(&good(question)));
    assert_eq!(world.asks(&service).says(&card).await, "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificate_is_shown_and_a_new_one_is_taken_up() {
    let world = World::new();
    let service = world.service(|question| Answer::json(&good(question)));
    let asker = world.asks(&service);
    assert_eq!(asker.says(&world.card("first")).await, "good");
    let renewed = world.clients.client("appliance", Period::CURRENT);
    assert_eq!(asker.says(&world.card("second")).await, "good");
    let clients: Vec<_> = service.questions().iter().map(|one| one.client.clone()).collect();
    assert_eq!(clients, [Some(world.client.der.clone()), Some(renewed.der.clone())]);
    // A certificate that the service does not trust.
    std::fs::copy(
        world.servers.client("other", Period::CURRENT).certificate,
        &world.client.certificate,
    )
    .unwrap();
    std::fs::copy(world.folder.path().join("other.key"), &world.client.key).unwrap();
    assert_eq!(asker.says(&world.card("third")).await, "validity_unavailable");
}

#[tokio::test]
async fn files_that_do_not_fit_stop_the_start_and_name_themselves() {
    let world = World::new();
    let service = world.service(|question| Answer::json(&good(question)));
    let other = world.clients.client("other", Period::CURRENT);
    std::fs::copy(other.key, &world.client.key).unwrap();
    let refused = world.asker("http", service.address, unchanged).err().unwrap();
    assert!(refused.contains("appliance.key"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_asked_once_more_and_what_does_not_is_not() {
    let world = World::new();
    let card = world.card("card");
    for (statuses, said, asked) in [
        ([503, 200], "good", 2),
        ([429, 200], "good", 2),
        ([502, 504], "validity_unavailable", 2),
        ([503, 400], "validity_unusable", 2),
        ([400, 200], "validity_unusable", 1),
        ([403, 200], "validity_unusable", 1),
        ([404, 200], "validity_unusable", 1),
        ([302, 200], "validity_unusable", 1),
        ([204, 200], "validity_unusable", 1),
    ] {
        let count = AtomicUsize::new(0);
        let service =
            world.service(move |question| match statuses[count.fetch_add(1, Ordering::SeqCst)] {
                200 => Answer::json(&good(question)),
                status => Answer::status(status),
            });
        assert_eq!(world.asks(&service).says(&card).await, said, "{statuses:?}");
        assert_eq!(service.questions().len(), asked, "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_service_that_never_answers_holds_nobody_up() {
    let world = World::new();
    let service = world.service(|question| Answer {
        after: Duration::from_secs(10),
        ..Answer::json(&good(question))
    });
    let quick = |text: String| text.replace("timeout_ms = 3000", "timeout_ms = 300");
    let asker = world.asker("http", service.address, quick).unwrap();
    let start = Instant::now();
    let said = asker.check(&world.card("card")).await;
    assert!(matches!(said, Err(ValidityError::Unavailable { .. })), "{said:?}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_answer_holds_at_the_size_limit_and_not_past_it() {
    let world = World::new();
    let padded = |length: usize| {
        world.service(move |question| {
            let mut answer = Answer::json(&good(question));
            answer.body.resize(length, b' ');
            answer
        })
    };
    let card = world.card("card");
    let (full, over) = (padded(MAX_ANSWER_BYTES), padded(MAX_ANSWER_BYTES + 1));
    assert_eq!(world.asks(&full).says(&card).await, "good");
    assert_eq!(world.asks(&over).says(&card).await, "validity_unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_of_another_type_or_about_another_card_is_refused() {
    let world = World::new();
    let card = world.card("card");
    for (content_type, said) in [
        ("application/json", "good"),
        ("Application/JSON; charset=utf-8", "good"),
        ("text/html", "validity_unusable"),
        ("application/jsonp", "validity_unusable"),
        ("", "validity_unusable"),
    ] {
        let service = world.service(|question| Answer {
            content_type: content_type.to_owned(),
            ..Answer::json(&good(question))
        });
        assert_eq!(world.asks(&service).says(&card).await, said, "{content_type:?}");
    }
    let service = world.service(|question| {
        let mut answer = good(question);
        answer["certificate_sha256"] = json!(Fingerprint::of(b"another").0);
        Answer::json(&answer)
    });
    assert_eq!(world.asks(&service).says(&card).await, "validity_unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn rush_of_cards_is_put_to_the_service_a_few_at_a_time() {
    let world = World::new();
    let service = world.service(|question| Answer {
        after: Duration::from_millis(40),
        ..Answer::json(&good(question))
    });
    let patient = |text: String| text.replace("timeout_ms = 3000", "timeout_ms = 10000");
    let asker = world.asker("http", service.address, patient).unwrap();
    let one = world.card("one");
    // One key serves many certificates here: making forty RSA keys would be the slow part.
    let others: Vec<_> =
        (0..40).map(|n| world.ca.client(&format!("card-{n}"), Period::CURRENT)).collect();
    let asker = Arc::new(asker);
    let mut asked = JoinSet::new();
    for card in others.iter().chain(std::iter::repeat_n(&one, 60)) {
        let (asker, card) = (asker.clone(), Certificate::from_der(&card.der).unwrap());
        asked.spawn(async move { asker.provider.check(&card, &asker.issuer, now()).await });
    }
    let said = asked.join_all().await;
    assert!(said.iter().all(|said| matches!(said, Ok(Validity::Good { .. }))), "{said:?}");
    assert_eq!(service.questions().len(), 41, "sixty who ask about one card ask once");
    assert_eq!(service.most_at_once(), MAX_QUESTIONS);
}
