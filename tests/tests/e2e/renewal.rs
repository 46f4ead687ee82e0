//! A key's life under one name (F24): renewed while it signs, the old pair kept, then destroyed by two, also over a crash.

use serde_json::Value;
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tests::support::admin;
use tests::support::cms;
use tests::support::ehr::Ehr;
use tests::support::ehr::Sign;
use tests::support::pki::Validity;
use tests::support::world::DOCTOR;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::task::JoinSet;

const CLIENTS: usize = 6;
/// Signatures that each client has at least before and after the switch.
const EACH_SIDE: usize = 5;

/// What one client did: keys of its requests and their answers, in order.
type Signed = Vec<(String, Vec<u8>)>;

async fn sign_on(
    ehr: Ehr,
    token: String,
    credential: String,
    client: usize,
    count: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
) -> Signed {
    let mut connection = ehr.connect().await;
    let mut signed = Signed::new();
    for n in 0..2_000 {
        if enough.load(Ordering::SeqCst) {
            break;
        }
        let key = format!("renewal-{client}-{n}");
        let sign = Sign {
            token: &token,
            credential: Some(&credential),
            idempotency_key: Some(&key),
            content: key.as_bytes(),
            ..Sign::default()
        };
        let reply = sign.send(&mut connection).await.expect(200);
        count.fetch_add(1, Ordering::SeqCst);
        signed.push((key, reply.body));
    }
    signed
}

async fn until(count: &AtomicUsize, least: usize) {
    for _time in 0..3_000 {
        if count.load(Ordering::SeqCst) >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{least} signatures are not made");
}

/// The request of the next pair.
async fn renew(world: &World, id: &str) -> Value {
    let line = format!("POST /keys/{id}/renew");
    admin::ask(world, &world.pki.registrar, &line, None).await.expect(201).json()
}

/// Has the request certified and the certificate installed by two.
async fn install(world: &World, id: &str, holder: &str, made: &Value) {
    let csr_pem = made["csr_pem"].as_str().expect("a request");
    let (pem, _) = world.pki.hpki_sign.second_certificate(csr_pem, holder, Validity::CURRENT);
    let chain = json!({ "chain_pem": format!("{pem}{}", world.pki.hpki_sign.pem_text()) });
    admin::grant(world, &format!("POST /keys/{id}/certificate"), Some(&chain)).await;
}

pub(crate) async fn key(world: &World, id: &str) -> Value {
    let listed = admin::ask(world, &world.pki.auditor, "GET /keys", None).await.expect(200).json();
    let keys = listed.as_array().expect("keys");
    keys.iter().find(|key| key["credential_id"] == id).expect("the key").clone()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The certificates in a signature, DER; in which place the signer's stands is for the order of the set.
fn certificates_in(signature: &[u8]) -> Vec<Vec<u8>> {
    let view = cades::SignedDataView::parse(signature).expect("a signature");
    view.certificates().iter().map(|der| der.to_vec()).collect()
}

#[tokio::test]
async fn renewed_key_signs_on_under_its_name_and_no_signature_fails_or_is_made_twice() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let id = &doctor.credential_id;
    let ehr = world.ehr();
    let session = ehr.sign_in(&doctor.card).await;
    let (count, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (token, id) = (session.token.clone(), id.clone());
        clients.spawn(sign_on(ehr.clone(), token, id, client, count.clone(), enough.clone()));
    }
    until(&count, CLIENTS * EACH_SIDE).await;
    let made = renew(world, id).await;
    assert_eq!(key(world, id).await["status"], "renewing");
    until(&count, count.load(Ordering::SeqCst) + CLIENTS).await;
    install(world, id, &doctor.holder_id, &made).await;
    until(&count, count.load(Ordering::SeqCst) + CLIENTS * EACH_SIDE).await;
    enough.store(true, Ordering::SeqCst);
    let signed: Signed = clients.join_all().await.into_iter().flatten().collect();

    // Every one has its own record; both pairs signed, each under its certificate.
    let records = admin::audit_records(world, &format!("event=signature&credential={id}")).await;
    assert_eq!(records.len(), signed.len());
    let certificates: HashSet<String> =
        records.iter().map(|record| text(&record["event"]["certificate"])).collect();
    assert_eq!(certificates.len(), 2);
    let (first, last) = (&signed[0], &signed[signed.len() - 1]);
    assert_ne!(certificates_in(&first.1), certificates_in(&last.1));
    for (content, signature) in [first, last] {
        cms::assert_good(world, signature, content.as_bytes(), true);
    }
    // The session lives, and a retry of what the old pair signed is the same octets again.
    let again = Sign {
        token: &session.token,
        credential: Some(id),
        idempotency_key: Some(&first.0),
        content: first.0.as_bytes(),
        ..Sign::default()
    };
    assert_eq!(again.send(&mut ehr.connect().await).await.expect(200).body, first.1);
    assert_eq!(ehr.state(&session.session_id).await, "active");

    // Revoked, the key ends the session, although that began under the certificate before.
    let revoke = format!("POST /keys/{id}/revoke");
    let done = admin::ask(world, &world.pki.registrar, &revoke, None).await.expect(200);
    assert_eq!(done.json()["sessions_ended"], 1);
    let more =
        Sign { token: &session.token, credential: Some(id), content: b"x", ..Sign::default() };
    more.send(&mut ehr.connect().await).await.expect_problem(401, "session_ended");
}

#[tokio::test]
async fn renewal_is_for_a_key_that_signs_once_at_a_time_and_is_given_up_by_two() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let (id, pki) = (&doctor.credential_id, &world.pki);
    let renewing = format!("POST /keys/{id}/renew");
    admin::ask(world, &pki.auditor, &renewing, None).await.expect_problem(403, "not_permitted");
    let made = renew(world, id).await;
    let twice = admin::ask(world, &pki.registrar, &renewing, None).await;
    assert!(twice.text().contains("inkan key request"), "{twice}");
    twice.expect_problem(409, "conflict");
    // The request again is for the same pair.
    let request = format!("GET /keys/{id}/request");
    let again = admin::ask(world, &pki.registrar, &request, None).await.expect(200).json();
    assert_eq!(again["spki_sha256"], made["spki_sha256"]);

    // The pair that signs is not to be destroyed; the next one is, by two.
    let shown = key(world, id).await;
    let destroy = |public_key: &Value| format!("DELETE /keys/{id}/pairs/{}", text(public_key));
    let in_use = admin::ask(world, &pki.registrar, &destroy(&shown["spki_sha256"]), None).await;
    in_use.expect_problem(409, "conflict");
    let nobodys = format!("DELETE /keys/{id}/pairs/{}", "0".repeat(64));
    admin::ask(world, &pki.registrar, &nobodys, None).await.expect_problem(404, "not_found");
    admin::grant(world, &destroy(&made["spki_sha256"]), None).await;
    let shown = key(world, id).await;
    assert_eq!((&shown["status"], &shown["next"]), (&json!("active"), &Value::Null));
    admin::ask(world, &pki.registrar, &request, None).await.expect_problem(409, "conflict");
    // And then another one may be made.
    renew(world, id).await;
    admin::ask(world, &pki.registrar, &format!("POST /keys/{id}/revoke"), None).await.expect(200);
    admin::ask(world, &pki.registrar, &renewing, None).await.expect_problem(409, "conflict");
}

/// A world in which a pair is kept for this many seconds only.
fn kept_for(seconds: &'static str) -> Plan {
    match seconds {
        "3" => Plan {
            tune: |settings| settings.more.push_str("[keys]\ndestroy_after_seconds = 3\n"),
            ..Plan::default()
        },
        _ => Plan {
            shim: true,
            tune: |settings| settings.more.push_str("[keys]\ndestroy_after_seconds = 1\n"),
            ..Plan::default()
        },
    }
}

/// Revokes `p256`, whose pair is kept for one second; the line that destroys the pair, from now on.
pub(crate) async fn revoked_and_kept_its_time(world: &World) -> String {
    admin::ask(world, &world.pki.registrar, "POST /keys/p256/revoke", None).await.expect(200);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    format!("DELETE /keys/p256/pairs/{}", text(&key(world, "p256").await["spki_sha256"]))
}

/// Objects in the token, as SoftHSM has them on disk.
pub(crate) fn objects(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("the token").filter_map(Result::ok);
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => objects(&path),
            path => usize::from(path.extension().is_some_and(|extension| extension == "object")),
        })
        .sum()
}

#[tokio::test]
async fn superseded_pair_is_destroyed_by_two_after_the_grace_time_and_what_it_signed_stays_good() {
    let world = &World::new(kept_for("3")).await;
    let (pki, ehr) = (&world.pki, world.ehr());
    let session = ehr.sign_in(&pki.card).await;
    let sign = Sign {
        token: &session.token,
        credential: Some("p256"),
        idempotency_key: Some("before"),
        content: b"before",
        ..Sign::default()
    };
    let before = sign.send(&mut ehr.connect().await).await.expect(200);
    let made = renew(world, "p256").await;
    install(world, "p256", DOCTOR, &made).await;
    let old = key(world, "p256").await["earlier"][0].clone();
    let destroy = format!("DELETE /keys/p256/pairs/{}", text(&old["spki_sha256"]));
    let early = admin::ask(world, &pki.registrar, &destroy, None).await;
    assert!(early.text().contains(&text(&old["may_be_destroyed_from"])), "{early}");
    early.expect_problem(409, "conflict");

    tokio::time::sleep(Duration::from_secs(4)).await;
    let there = objects(&world.token.objects);
    let id = admin::propose(world, &pki.registrar, &destroy, None).await;
    let approve = format!("POST /proposals/{id}/approve");
    admin::ask(world, &pki.registrar, &approve, None).await.expect_problem(403, "not_permitted");
    assert_eq!(objects(&world.token.objects), there, "nothing goes before two have decided");
    admin::ask(world, &pki.officer, &approve, None).await.expect(200);
    // Private key, public key, certificate.
    assert_eq!(objects(&world.token.objects), there - 3);
    let records = admin::audit_records(world, "event=trust_changed&credential=p256").await;
    let changes: Vec<String> = records.iter().map(|of| text(&of["event"]["change"])).collect();
    assert_eq!(changes, ["created", "granted", "renewing", "granted", "removed", "destroyed"]);
    admin::ask(world, &pki.registrar, &destroy, None).await.expect_problem(409, "conflict");

    let again = sign.send(&mut ehr.connect().await).await.expect(200);
    assert_eq!(again.body, before.body);
    cms::assert_good(world, &again.body, b"before", true);
    let now = Sign { idempotency_key: None, content: b"now", ..sign };
    let signature = now.send(&mut ehr.connect().await).await.expect(200);
    cms::assert_good(world, &signature.body, b"now", true);
}

#[tokio::test]
async fn pair_that_the_token_does_not_let_go_is_decided_shown_and_destroyed_later() {
    let world = &World::new(kept_for("1")).await;
    let destroy = revoked_and_kept_its_time(world).await;
    let there = objects(&world.token.objects);
    world.shim("C_DestroyObject CKR_FUNCTION_FAILED\n");
    let done = admin::grant(world, &destroy, None).await;
    assert!(done.text().contains("did not answer"), "{done}");
    assert_eq!(key(world, "p256").await["status"], "destroyed");
    assert_eq!(objects(&world.token.objects), there);
    let doctor = admin::ask(world, &world.pki.auditor, "GET /doctor", None).await.expect(200);
    assert!(doctor.text().contains("1 pairs are to be destroyed"), "{doctor}");
    // Nobody types anything: within a minute the token is asked again.
    world.shim("");
    for _second in 0..90 {
        if objects(&world.token.objects) == there - 3 {
            let doctor = admin::ask(world, &world.pki.auditor, "GET /doctor", None).await;
            assert!(!doctor.text().contains("to be destroyed"), "{doctor}");
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("the pair is still there");
}

#[tokio::test]
async fn pair_whose_destruction_a_crash_cut_off_is_destroyed_at_the_next_start() {
    let mut world = World::new(kept_for("1")).await;
    let destroy = revoked_and_kept_its_time(&world).await;
    let id = admin::propose(&world, &world.pki.registrar, &destroy, None).await;
    let there = objects(&world.token.objects);
    // The process dies at the token, behind the record.
    world.shim("C_DestroyObject crash 1\n");
    let approve = format!("POST /proposals/{id}/approve");
    let broken = admin::try_ask(&world, &world.pki.officer, &approve, None).await;
    assert!(broken.is_err() || broken.is_ok_and(|reply| reply.status >= 500));
    assert_eq!(objects(&world.token.objects), there);

    world.shim("");
    world.restart();
    assert_eq!(objects(&world.token.objects), there - 3);
    assert_eq!(key(&world, "p256").await["status"], "destroyed");
    let records = admin::audit_records(&world, "event=trust_changed&credential=p256").await;
    let changes: Vec<String> = records.iter().map(|of| text(&of["event"]["change"])).collect();
    assert_eq!(changes, ["created", "granted", "removed", "removed", "destroyed"]);
}
