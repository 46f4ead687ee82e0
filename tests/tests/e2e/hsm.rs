//! A token that misbehaves, by a PKCS#11 module that injects faults. One world for all, one test at a time.

use std::time::Duration;
use std::time::Instant;
use tests::support::admin;
use tests::support::ehr::Ehr;
use tests::support::ehr::Sign;
use tests::support::http::Reply;
use tests::support::world::DOCTOR;
use tests::support::world::Key;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::sync::Mutex;
use tokio::sync::MutexGuard;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

const KEYS: &[Key] = &[("p256", "p-256"), ("rsa2048", "rsa-2048"), ("p384", "p-384")];

/// The world with the shim, to oneself, the token sound.
async fn shimmed() -> MutexGuard<'static, World> {
    static SHIMMED: OnceCell<Mutex<World>> = OnceCell::const_new();
    let plan = || Plan {
        keys: KEYS,
        shim: true,
        tune: |settings| {
            settings.hsm_deadline_ms = 1_500;
            settings.hsm_sessions = 4;
            settings.hsm_queue = 16;
        },
        ..Plan::default()
    };
    let world =
        SHIMMED.get_or_init(|| async { Mutex::new(World::new(plan()).await) }).await.lock().await;
    world.shim("");
    sound(&world, "rsa2048").await;
    world
}

async fn sign(ehr: &Ehr, token: &str, credential: &str) -> Reply {
    let sign =
        Sign { token, credential: Some(credential), content: b"document", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await
}

/// Waits until `credential` signs again.
async fn sound(world: &World, credential: &str) -> Duration {
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < Duration::from_secs(20) {
        let reply = sign(&ehr, &session.token, credential).await;
        if reply.status == 200 {
            return begun.elapsed();
        }
        last = Some(reply);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!(
        "the token does not come back: {}",
        last.map(|reply| reply.to_string()).unwrap_or_default()
    );
}

fn calls(world: &World) -> Vec<String> {
    let log = std::fs::read_to_string(world.folder.join("shim-log")).unwrap_or_default();
    log.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// Waits until the metrics show `count` sessions in `state`: the pool looks at them ten times a second.
async fn hsm_sessions(world: &World, state: &str, count: f64) {
    let now = || world.metric("inkan_hsm_sessions", &[state]);
    for _look in 0..100 {
        if (now() - count).abs() < f64::EPSILON {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} sessions are {state}, not {count}", now());
}

#[tokio::test]
async fn s8_flipped_bit_in_a_signature_is_not_released_and_quarantines_the_key() {
    let world = shimmed().await;
    let ehr = world.ehr();
    world.enrol_key("flipped", DOCTOR, "p-256", tests::support::pki::Validity::CURRENT).await;
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session.token, "flipped").await.expect(200);

    world.shim("C_Sign flip 1\n");
    let reply = sign(&ehr, &session.token, "flipped").await;
    assert!(reply.status >= 400, "a wrong signature left the house");
    let query = format!("request={}", reply.request_id());
    let kinds: Vec<String> = kinds(&world, &query).await;
    assert!(kinds.contains(&"credential_quarantined".to_owned()), "{kinds:?}");
    assert!(!kinds.contains(&"signature".to_owned()));
    assert!(world.metric("inkan_signatures_total", &["mismatch"]) >= 1.0);
    assert!((world.metric("inkan_quarantined_credentials", &[]) - 1.0).abs() < f64::EPSILON);

    // The token is sound again, the key stays shut.
    world.shim("");
    sign(&ehr, &session.token, "flipped").await.expect_problem(409, "credential_quarantined");
    sign(&ehr, &session.token, "p256").await.expect(200);
    let release = "POST /keys/flipped/release";
    let proposal = admin::propose(&world, &world.pki.officer, release, None).await;
    let approve = format!("POST /proposals/{proposal}/approve");
    admin::ask(&world, &world.pki.officer, &approve, None)
        .await
        .expect_problem(403, "not_permitted");
    sign(&ehr, &session.token, "flipped").await.expect_problem(409, "credential_quarantined");
    admin::ask(&world, &world.pki.officer2, &approve, None).await.expect(200);
    let fresh = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &fresh.token, "flipped").await.expect(200);
}

async fn kinds(world: &World, query: &str) -> Vec<String> {
    let records = admin::audit_records(world, query).await;
    records.iter().map(|record| record["event"]["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn k3_key_use_that_hangs_for_ever_holds_up_nobody_else() {
    let world = shimmed().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    world.shim("C_Sign hang 1\n");
    let begun = Instant::now();
    let hung = tokio::spawn({
        let (ehr, token) = (ehr.clone(), session.token.clone());
        async move { sign(&ehr, &token, "p256").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _time in 0..20 {
        sign(&ehr, &session.token, "rsa2048").await.expect(200);
    }
    let reply = hung.await.unwrap().expect_problem(503, "hsm_unavailable");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(!reply.header("retry-after").is_empty());
    assert!(
        !kinds(&world, &format!("request={}", reply.request_id()))
            .await
            .contains(&"signature".to_owned())
    );
    world.shim("release\n");
    sound(&world, "p256").await;
}

#[tokio::test]
async fn k4_every_fault_of_the_token_is_answered_and_overcome() {
    let world = shimmed().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    for fault in [
        "CKR_SESSION_HANDLE_INVALID",
        "CKR_DEVICE_REMOVED",
        "CKR_TOKEN_NOT_PRESENT",
        "CKR_USER_NOT_LOGGED_IN",
        "CKR_HOST_MEMORY",
        "CKR_DEVICE_MEMORY",
        "CKR_GENERAL_ERROR",
        "CKR_FUNCTION_FAILED",
    ] {
        for function in ["C_SignInit", "C_Sign"] {
            world.shim(&format!("{function} {fault} 1\n"));
            let reply = sign(&ehr, &session.token, "p256").await;
            let answered = reply.status == 200 || reply.code() == "hsm_unavailable";
            assert!(answered, "{function} {fault}: {reply}");
            let back = sound(&world, "p256").await;
            assert!(back < Duration::from_secs(10), "{function} {fault}: {back:?}");
        }
    }
}

#[tokio::test]
async fn k4_locked_pin_is_tried_once_and_never_again() {
    let mut world = shimmed().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let logins = |world: &World| calls(world).iter().filter(|call| *call == "C_Login").count();
    let before = logins(&world);
    world.shim("C_SignInit CKR_USER_NOT_LOGGED_IN 8\nC_Login CKR_PIN_LOCKED\n");
    for _time in 0..8 {
        let reply = sign(&ehr, &session.token, "p256").await;
        assert!(reply.status == 200 || reply.code() == "hsm_unavailable", "{reply}");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tried = logins(&world) - before;
    assert!(tried <= 1, "the PIN was tried {tried} times");
    // A PIN error ends signing until somebody has looked: a restart brings it back.
    world.shim("");
    world.daemon.stop(Duration::from_secs(15));
    world.restart();
    sound(&world, "p256").await;
}

#[tokio::test]
async fn retry_of_a_running_request_is_told_so_although_it_took_the_last_signature() {
    let world = shimmed().await;
    let identity = world.pki.clients.client("last", tests::support::pki::Validity::CURRENT);
    let system = serde_json::json!({
        "system_id": "last", "display_name": "last", "certificates_pem": [identity.pem()],
        "return_urls": [tests::support::world::RETURN_URL], "all_holders": true,
        "methods": ["hpki"], "limits": { "signatures": 1 }, "requests_per_second": 1_000,
    });
    admin::grant(&world, "POST /systems", Some(&system)).await;
    let ehr = Ehr::new(&world, &identity);
    let session = ehr.sign_in(&world.pki.card).await;
    world.shim("C_Sign sleep 1000ms\n");
    let again = |content: &'static [u8]| {
        let (ehr, token) = (ehr.clone(), session.token.clone());
        async move {
            let sign = Sign {
                token: &token,
                credential: Some("p256"),
                idempotency_key: Some("k"),
                content,
                ..Sign::default()
            };
            sign.send(&mut ehr.connect().await).await
        }
    };
    let first = tokio::spawn(again(b"document"));
    tokio::time::sleep(Duration::from_millis(400)).await;
    let retry = again(b"document").await.expect_problem(409, "idempotency_running");
    assert!(!retry.header("retry-after").is_empty());
    let first = first.await.unwrap().expect(200);
    world.shim("");
    assert_eq!(again(b"document").await.expect(200).body, first.body);
    again(b"another").await.expect_problem(422, "idempotency_conflict");
    sign(&ehr, &session.token, "p256").await.expect_problem(401, "session_exhausted");
}

/// One C_SignInit and one C_Sign for each signature, nothing else (PERF4).
#[tokio::test]
async fn perf4_signature_takes_two_calls_of_the_token() {
    let world = shimmed().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let mut connection = ehr.connect().await;
    for credential in ["p256", "rsa2048", "p384"] {
        // Once to warm up, then counted. A checkpoint is signed about once a second, with the same two calls.
        let sign = Sign {
            token: &session.token,
            credential: Some(credential),
            content: b"x",
            ..Sign::default()
        };
        sign.send(&mut connection).await.expect(200);
        let before = calls(&world).len();
        let begun = Instant::now();
        for _time in 0..50 {
            sign.send(&mut connection).await.expect(200);
        }
        let checkpoints = begun.elapsed().as_secs() as usize + 2;
        let made: Vec<String> = calls(&world).into_iter().skip(before).collect();
        let (inits, signs): (Vec<_>, Vec<_>) = made.iter().partition(|call| *call == "C_SignInit");
        assert!(signs.iter().all(|call| *call == "C_Sign"), "{signs:?}");
        for count in [inits.len(), signs.len()] {
            assert!((50..=50 + checkpoints).contains(&count), "{count} calls for 50 signatures");
        }
    }
}

#[tokio::test]
async fn full_queue_is_answered_at_once_with_a_time_to_come_back() {
    let world = shimmed().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    world.shim("C_Sign sleep 200ms\n");
    let mut clients = JoinSet::new();
    for _client in 0..60 {
        let (ehr, token) = (ehr.clone(), session.token.clone());
        clients.spawn(async move { sign(&ehr, &token, "p256").await });
    }
    let replies = clients.join_all().await;
    let (done, full): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!done.is_empty() && !full.is_empty(), "{} done, {} refused", done.len(), full.len());
    for reply in full {
        assert_eq!((reply.status, reply.code().as_str()), (503, "hsm_unavailable"), "{reply}");
        assert!(!reply.header("retry-after").is_empty());
    }
    world.shim("");
}

/// The module runs in the daemon's own process: its crash is the daemon's, and systemd starts it again.
#[tokio::test]
async fn k2_module_that_crashes_costs_no_record_and_a_restart_signs_again_within_five_seconds() {
    let mut world = World::new(Plan { shim: true, ..Plan::default() }).await;
    let session = world.ehr().sign_in(&world.pki.card).await;
    let mut released = Vec::new();
    for _time in 0..10 {
        let reply = sign(&world.ehr(), &session.token, "p256").await.expect(200);
        released.push(reply.header("signature-receipt").to_owned());
    }
    world.shim("C_Sign crash 1\n");
    let crash =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    let outcome = crash.try_send(&mut world.ehr().connect().await).await;
    assert!(!outcome.is_ok_and(|reply| reply.status == 200));
    world.daemon.wait_end(Duration::from_secs(5)).expect("the daemon outlived its module's crash");
    world.shim("");

    // What systemd does; the session goes on.
    let begun = Instant::now();
    world.restart();
    let reply = sign(&world.ehr(), &session.token, "p256").await.expect(200);
    let back = begun.elapsed();
    assert!(back < Duration::from_secs(5), "back after {back:?}");
    released.push(reply.header("signature-receipt").to_owned());
    let records = admin::audit_records(&world, "event=signature").await;
    let recorded: Vec<String> = records.iter().map(|record| record["seq"].to_string()).collect();
    assert_eq!(recorded, released, "signatures released and recorded");
    // The next stop is a clean one: nothing is left behind that a start would complain of.
    assert!(world.daemon.stop(Duration::from_secs(15)).is_some_and(|status| status.success()));
    world.restart();
    sign(&world.ehr(), &session.token, "p256").await.expect(200);
}

/// K3 without a restart: the same process signs on while calls hang, and with every session again when they come back.
#[tokio::test]
async fn k3_hangs_of_every_session_are_survived_by_the_same_process() {
    let world = shimmed().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let before = std::fs::read_to_string(&world.launch.pid_file).unwrap();
    world.shim("C_Sign hang 4\n");
    let mut hung = JoinSet::new();
    for _session in 0..4 {
        let (ehr, token) = (ehr.clone(), session.token.clone());
        hung.spawn(async move { sign(&ehr, &token, "p256").await });
    }
    // A checkpoint may hang in the place of one of them.
    let replies = hung.join_all().await;
    let refused = replies.iter().filter(|reply| reply.code() == "hsm_unavailable").count();
    let signed = replies.iter().filter(|reply| reply.status == 200).count();
    assert!(refused >= 3 && refused + signed == 4, "{refused} refused, {signed} signed");
    // Each hung session is replaced by another; nothing has come back yet.
    let back = sound(&world, "p256").await;
    assert!(back < Duration::from_secs(5), "{back:?}");
    hsm_sessions(&world, "hung", 4.0).await;
    sign(&ehr, &session.token, "p256").await.expect(200);
    world.shim("release\n");
    hsm_sessions(&world, "hung", 0.0).await;
    hsm_sessions(&world, "live", 4.0).await;
    sign(&ehr, &session.token, "p256").await.expect(200);
    assert_eq!(std::fs::read_to_string(&world.launch.pid_file).unwrap(), before);
}
