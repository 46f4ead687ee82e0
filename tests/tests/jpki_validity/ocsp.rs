//! OpenSSL's responder.

use crate::World;
use crate::now;
use crate::unchanged;
use attest::revocation::RevocationReason;
use attest::validity::Validity;
use std::sync::Arc;
use std::time::Duration;
use tests::support::jpki_provider::Provider;
use tests::support::ocsp::Responder;
use tests::support::pki::Pair;

/// A world whose `good` card is known, whose `revoked` card is revoked, and with a responder that the CA certified.
struct Asked {
    world: World,
    responder: Responder,
    good: Pair,
    revoked: Pair,
    unknown: Pair,
}

impl Asked {
    fn new() -> Self {
        let world = World::new();
        let [good, revoked, unknown] = ["good", "revoked", "unknown"].map(|name| world.card(name));
        let responder = Responder::new(&world.ca, world.folder.path());
        responder.knows(&[&good], &[&revoked]);
        Self { world, responder, good, revoked, unknown }
    }

    fn serve(&self) -> Provider {
        let responder = self.responder.clone();
        Provider::plain(move |question| responder.answer(question))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opensslss_responder_is_asked_and_understood() {
    let asked = Asked::new();
    let provider = asked.serve();
    let asker = asked.world.asker("ocsp", provider.address, unchanged).unwrap();
    let Ok(Validity::Good { until, predecessor: None }) = asker.check(&asked.good).await else {
        panic!("not good")
    };
    assert!(until > now() && now().seconds_until(until) <= 600, "cut to what is remembered");
    let reason = RevocationReason::AffiliationChanged;
    let revoked = asker.check(&asked.revoked).await;
    assert!(matches!(revoked, Ok(Validity::Revoked { reason: found, .. }) if found == reason));
    assert_eq!(asker.says(&asked.unknown).await, "validity_unknown");
    assert_eq!(asker.says(&asked.good).await, "good");
    assert_eq!(provider.questions().len(), 3, "the last answer was remembered");
    let head = &provider.questions()[0].head;
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/ocsp-request\r\n"), "{head}");
    for line in [
        "inkan_jpki_validity_checks_total{result=\"good\"} 2",
        "inkan_jpki_validity_checks_total{result=\"revoked\"} 1",
        "inkan_jpki_validity_checks_total{result=\"unknown\"} 1",
        "inkan_jpki_validity_checks_total{result=\"unavailable\"} 0",
        "inkan_jpki_validity_provider_seconds_count 3",
    ] {
        assert!(asker.metric(line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn responder_that_understands_only_the_older_hash_is_asked_with_it() {
    let asked = Asked::new();
    let provider = asked.serve();
    let older = |text: String| text.replace("hash = \"sha-256\"", "hash = \"sha-1\"");
    let asker = asked.world.asker("ocsp", provider.address, older).unwrap();
    assert_eq!(asker.says(&asked.good).await, "good");
    let sha1 = [0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a];
    let question = &provider.questions()[0].body;
    assert!(question.windows(sha1.len()).any(|octets| octets == sha1));
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_to_another_question_is_refused_unless_none_is_wanted() {
    let asked = Asked::new();
    let responder = asked.responder.clone();
    let kept = Arc::new(std::sync::Mutex::new(None));
    // A responder, or somebody on the way, that gives the first answer again to everybody.
    let provider = Provider::plain(move |question| {
        kept.lock().unwrap().get_or_insert_with(|| responder.answer(question)).clone()
    });
    let asker =
        |change: fn(String) -> String| asked.world.asker("ocsp", provider.address, change).unwrap();
    assert_eq!(asker(unchanged).says(&asked.good).await, "good");
    assert_eq!(asker(unchanged).says(&asked.good).await, "validity_unusable");
    let without = asker(|text| text.replace("nonce = true", "nonce = false"));
    assert_eq!(without.says(&asked.good).await, "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn responder_that_is_gone_makes_nothing_good_and_its_last_answers_end() {
    let asked = Asked::new();
    let provider = asked.serve();
    let forgetful = |text: String| text.replace("cache_seconds = 600", "cache_seconds = 0");
    let asker = asked.world.asker("ocsp", provider.address, unchanged).unwrap();
    let forgets = asked.world.asker("ocsp", provider.address, forgetful).unwrap();
    for asker in [&asker, &forgets] {
        assert_eq!(asker.says(&asked.good).await, "good");
    }
    drop(provider);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(asker.says(&asked.good).await, "good", "remembered");
    assert_eq!(forgets.says(&asked.good).await, "validity_unavailable");
    assert_eq!(asker.says(&asked.unknown).await, "validity_unavailable", "never asked before");
}
