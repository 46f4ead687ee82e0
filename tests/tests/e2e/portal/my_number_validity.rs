//! Sign-ins by My Number card while the provider of validity says good, revoked, unknown, too late, and nothing at all: an OCSP
//! responder of OpenSSL, and a service over HTTPS.

use super::house::House;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::http::PATIENCE;
use tests::support::http::Reply;
use tests::support::jpki_provider::Answer;
use tests::support::jpki_provider::Provider;
use tests::support::ocsp::Responder;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::world::Plan;

/// How long the appliance waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(1_500);
/// secp384r1, as it stands in a public key.
const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// A house that looks at its lists every second.
async fn house() -> House {
    let tune = |settings: &mut tests::support::config::Settings| settings.crl_refresh_seconds = 1;
    House::new(Plan { tune, ..Plan::default() }).await
}

fn ask_provider(house: &mut House, kind: &str, more: &str) {
    house.world.settings.jpki_validity = Some(format!(
        "[jpki.validity]\nkind = \"{kind}\"\ncache_seconds = 0\ntimeout_ms = {}\n\
         [jpki.validity.{kind}]\n{more}\n",
        TIMEOUT.as_millis()
    ));
    house.world.write_config();
    assert!(house.world.daemon.stop(PATIENCE).is_some());
    house.world.restart();
}

/// An answer is remembered to the end of its second, whatever the configuration.
async fn forgotten() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

/// What a person sees whose card is in the reader now, and why, as the log has it.
async fn refused(house: &House, card: &Pair) -> (Reply, String) {
    forgotten().await;
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, card).await;
    assert!(!page.text().contains("form_token"), "{page}");
    let denied = admin::audit_records(&house.world, "event=sign_in_denied").await;
    let code = denied.last().unwrap()["event"]["code"].as_str().unwrap().to_owned();
    (page, code)
}

async fn assert_refused(house: &House, card: &Pair, status: u16, code: &str, said: &str) {
    let (page, found) = refused(house, card).await;
    assert_eq!((page.status, found.as_str()), (status, code), "{page}");
    assert!(page.text().contains(said), "{said}: {page}");
}

async fn ends(house: &House, session_id: &str) -> bool {
    for _try in 0..100 {
        if house.clinic().state(session_id).await == "ended" {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

async fn doctor_with_card(house: &House) -> (Doctor, Pair) {
    let doctor = house.doctor(Validity::CURRENT).await;
    let card = house.my_number_card(&doctor);
    // As the next My Number cards are.
    assert!(card.der.windows(P384.len()).any(|octets| octets == P384));
    (doctor, card)
}

#[tokio::test(flavor = "multi_thread")]
async fn p384_card_signs_in_while_an_ocsp_responder_calls_it_good_and_never_otherwise() {
    let mut house = house().await;
    let responder = Responder::new(&house.world.pki.jpki, &house.world.pki.folder);
    let is_slow = Arc::new(AtomicBool::new(false));
    let (answers, slow) = (responder.clone(), is_slow.clone());
    let provider = Provider::plain(move |question| {
        let after = if slow.load(Ordering::SeqCst) { TIMEOUT * 3 } else { Duration::ZERO };
        Answer { after, ..answers.answer(question) }
    });
    let url = format!("url = \"http://localhost:{}/\"", provider.address.port());
    ask_provider(&mut house, "ocsp", &url);
    let house = &house;
    let (doctor, card) = doctor_with_card(house).await;

    // Good.
    responder.knows(&[&card], &[]);
    house.link(&doctor, &card).await.expect(200);
    forgotten().await;
    let session = house.sign_in_by_my_number(&card).await;
    house.sign(&session).await.expect(200);
    // Too late.
    is_slow.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    assert_refused(house, &card, 503, "validity_unavailable", "The card cannot be checked").await;
    assert!(begun.elapsed() < TIMEOUT * 3 + Duration::from_secs(5), "{:?}", begun.elapsed());
    is_slow.store(false, Ordering::SeqCst);
    // That nobody answers is remembered for ten seconds.
    tokio::time::sleep(TIMEOUT + Duration::from_secs(11)).await;
    house.sign_in_by_my_number(&card).await;
    // Unknown to the responder.
    responder.knows(&[], &[]);
    assert_refused(house, &card, 403, "validity_unknown", "").await;
    // Revoked: no sign-in, and what rests on it ends.
    responder.knows(&[], &[&card]);
    assert_refused(house, &card, 403, "certificate_revoked", "certificate is revoked").await;
    assert!(ends(house, &session.session_id).await);
    house.sign(&session).await.expect_problem(401, "session_ended");
    // Gone.
    drop(provider);
    assert_refused(house, &card, 503, "validity_unavailable", "The card cannot be checked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn card_that_a_service_does_not_know_or_is_late_about_signs_nobody_in() {
    let mut house = house().await;
    let pki = &house.world.pki;
    let service = pki.servers.server("service");
    let client = pki.clients.client("jpki-client", Validity::CURRENT);
    let (is_slow, is_known) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let (slow, known) = (is_slow.clone(), is_known.clone());
    let provider = Provider::tls(&service, &pki.clients.pem, move |question| {
        let after = if slow.load(Ordering::SeqCst) { TIMEOUT * 3 } else { Duration::ZERO };
        let status = if known.load(Ordering::SeqCst) { "good" } else { "unknown" };
        Answer { after, ..Answer::json(&said(&question.body, status)) }
    });
    let more = format!(
        "url = \"https://localhost:{}/v1/validity\"\nca = {:?}\ncertificate = {:?}\nkey = {:?}",
        provider.address.port(),
        pki.servers.pem,
        client.certificate,
        client.key
    );
    ask_provider(&mut house, "http", &more);
    let house = &house;
    let (doctor, card) = doctor_with_card(house).await;
    house.link(&doctor, &card).await.expect(200);
    forgotten().await;
    house.sign_in_by_my_number(&card).await;
    is_known.store(false, Ordering::SeqCst);
    assert_refused(house, &card, 403, "validity_unknown", "").await;
    is_known.store(true, Ordering::SeqCst);
    is_slow.store(true, Ordering::SeqCst);
    assert_refused(house, &card, 503, "validity_unavailable", "The card cannot be checked").await;
    is_slow.store(false, Ordering::SeqCst);
    // That nobody answers is remembered for ten seconds.
    tokio::time::sleep(TIMEOUT + Duration::from_secs(11)).await;
    house.sign_in_by_my_number(&card).await;
    drop(provider);
    assert_refused(house, &card, 503, "validity_unavailable", "The card cannot be checked").await;
}

/// The service's answer to this question.
fn said(question: &[u8], status: &str) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let asked: Value = serde_json::from_slice(question).unwrap();
    let der = STANDARD.decode(asked["certificate"].as_str().unwrap()).unwrap();
    let digest = attest::records::Fingerprint::of(&der).0;
    let time = |seconds: i64| {
        let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        time.format(&Rfc3339).unwrap()
    };
    match status {
        "good" => json!({
            "certificate_sha256": digest, "status": status,
            "this_update": time(-60), "next_update": time(300),
        }),
        _ => json!({ "certificate_sha256": digest, "status": status }),
    }
}
