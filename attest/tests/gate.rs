//! For each rule of the gate: one test where it holds, one where only that rule is broken.
//!
//! `admits_when_every_rule_holds` is the test where all of them hold; every other test starts from that world.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use attest::activation::Requested;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::danger_testing::OpenGate;
use attest::danger_testing::START;
use attest::danger_testing::credential;
use attest::danger_testing::no_key;
use attest::danger_testing::sign_in;
use attest::danger_testing::system;
use attest::gate::GateError;
use attest::gate::Presented;
use attest::permit::BindError;
use attest::permit::LeaseWithdrawn;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::records::SessionLimits;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::session::Withdrawal;
use attest::sessions::Sessions;
use attest::trust::TrustStore;
use std::sync::Arc;

const LIMITS: SessionLimits = SessionLimits { seconds: 3_600, idle_seconds: 600, signatures: 20 };

async fn open() -> OpenGate {
    OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap()
}

fn digest() -> ContentDigest {
    ContentDigest::of(DigestAlgorithm::Sha256, b"document")
}

/// A sign-in that waits for its holder.
async fn asked(world: &OpenGate) -> String {
    let ehr = system("ehr", world.certificate.clone(), LIMITS);
    let wanted = attest::sessions::Wanted {
        holder_id: None,
        methods: vec![attest::records::Method::Hpki],
        return_url: Some("https://ehr.example/return".into()),
        entries: None,
    };
    world.sessions.create(&ehr, wanted).await.unwrap().record.session_id
}

#[tokio::test]
async fn admits_when_every_rule_holds() {
    let world = open().await;
    assert!(world.permit(digest()).await.is_ok());
}

#[tokio::test]
async fn rule_1_unpinned_certificate_is_refused() {
    let world = open().await;
    let other = Fingerprint::of(b"another certificate");
    let shown = Presented { certificate: &other, ..world.presented() };
    assert!(matches!(world.gate.admit(shown), Err(GateError::SystemUnknown)));
}

#[tokio::test]
async fn rule_2_token_of_another_system_is_unknown() {
    let world = open().await;
    let other = Fingerprint::of(b"client certificate of other");
    world.registry.put_system(system("other", other.clone(), LIMITS));
    let shown = Presented { certificate: &other, ..world.presented() };
    assert!(matches!(world.gate.admit(shown), Err(GateError::SessionUnknown)));
}

#[tokio::test]
async fn rule_2_wrong_token_is_unknown() {
    let world = open().await;
    let shown = Presented { signing_token: "guess", ..world.presented() };
    assert!(matches!(world.gate.admit(shown), Err(GateError::SessionUnknown)));
}

#[tokio::test]
async fn rule_3_ended_session_is_refused_at_permit_too() {
    let world = open().await;
    let admission = world.gate.admit(world.presented()).unwrap();
    world.session.end(EndReason::Logout);
    let scheme = KeyType::P256.default_scheme();
    let refused = world.gate.permit(admission, scheme, digest()).await;
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::Logout))));
}

#[tokio::test]
async fn rule_3_bearer_of_an_ended_sessions_token_is_told_why_also_after_a_restart() {
    let world = open().await;
    world.sessions.end(&world.session.session_id, EndReason::Logout).await.unwrap();
    world.session.end(EndReason::Logout);
    world.sessions.forget(&world.session);
    let refused = world.gate.admit(world.presented()).err().unwrap();
    assert!(matches!(refused, GateError::SessionOver(EndReason::Logout)));
    let trust = TrustStore::new(world.store.clone(), &[1; 32]);
    let sessions = Sessions::new(trust, world.clock.clone());
    sessions.load().await.unwrap();
    assert_eq!(sessions.over_by_token(&world.signing_token, "ehr"), Some(EndReason::Logout));
    assert_eq!(sessions.over_by_token(&world.signing_token, "other"), None);
}

#[tokio::test]
async fn rule_4_clock_limit_counts_from_the_evidence() {
    let world = open().await;
    for at in (0..3_600).step_by(300) {
        world.clock.set(START + at);
        world.permit(digest()).await.unwrap();
    }
    world.clock.set(START + 3_599);
    world.permit(digest()).await.unwrap();
    world.clock.set(START + 3_600);
    assert!(matches!(
        world.permit(digest()).await,
        Err(GateError::SessionOver(EndReason::Expired))
    ));
}

#[tokio::test]
async fn rule_5_idle_session_is_refused() {
    let world = open().await;
    world.clock.set(START + 600);
    assert!(matches!(world.permit(digest()).await, Err(GateError::SessionOver(EndReason::Idle))));
}

#[tokio::test]
async fn rule_6_count_is_never_exceeded_by_fifty_at_once() {
    let world = Arc::new(open().await);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.permit(digest()).await.is_ok() })
        })
        .collect();
    let mut permitted = 0;
    for task in tasks {
        permitted += usize::from(task.await.unwrap());
    }
    assert_eq!(permitted, 20);
    assert!(matches!(
        world.permit(digest()).await,
        Err(GateError::SessionOver(EndReason::Exhausted))
    ));
}

#[tokio::test]
async fn rule_6_batch_larger_than_what_is_left_takes_nothing() {
    let world = open().await;
    let admission = world.gate.admit(world.presented()).unwrap();
    let scheme = KeyType::P256.default_scheme();
    let refused = world.gate.permit_all(admission, scheme, vec![digest().into(); 21]).await;
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::Exhausted))));
    assert_eq!(world.session.used(), 0);
}

#[tokio::test]
async fn rule_6_reservation_not_given_back_counts_as_used_after_a_crash() {
    let world = open().await;
    world.permit(digest()).await.unwrap();
    let after_crash = reopened(&world).await;
    assert!(after_crash.used() >= 1 && after_crash.used() == world.session.reserved());
}

#[tokio::test]
async fn rule_6_clean_stop_gives_the_unused_reservation_back() {
    let world = open().await;
    world.permit(digest()).await.unwrap();
    world.sessions.give_back().await.unwrap();
    assert_eq!(reopened(&world).await.used(), 1);
}

async fn reopened(world: &OpenGate) -> Arc<attest::session::LiveSession> {
    let trust = TrustStore::new(world.store.clone(), &[1; 32]);
    let sessions = Sessions::new(trust, world.clock.clone());
    sessions.load().await.unwrap();
    sessions.by_token(&world.signing_token).unwrap()
}

#[tokio::test]
async fn rule_7_disabled_holder_is_refused() {
    let world = open().await;
    let mut holder = (*world.registry.holder("u-1").unwrap()).clone();
    holder.enabled = false;
    world.registry.put_holder(holder);
    assert!(matches!(world.permit(digest()).await, Err(GateError::HolderDisabled)));
}

#[tokio::test]
async fn rule_8_holder_outside_the_systems_list_is_refused() {
    let world = open().await;
    let mut limited = system("ehr", world.certificate.clone(), LIMITS);
    limited.holders = Some(vec!["u-2".into()]);
    world.registry.put_system(limited);
    assert!(matches!(world.permit(digest()).await, Err(GateError::HolderNotAllowed)));
}

#[tokio::test]
async fn rule_9_key_of_another_doctor_is_unknown() {
    let world = open().await;
    let other = LiveCredential::new(credential("hers", "u-2", no_key(KeyType::P256)));
    world.registry.put_credential(other).judge(Standing::Good);
    let shown = Presented { credential_id: Some("hers"), ..world.presented() };
    assert!(matches!(world.gate.admit(shown), Err(GateError::CredentialUnknown)));
}

#[tokio::test]
async fn rule_10_credential_that_is_not_active_is_refused() {
    let world = open().await;
    for status in
        [CredentialStatus::Generated, CredentialStatus::Quarantined, CredentialStatus::Revoked]
    {
        let mut record = credential("key", "u-1", no_key(KeyType::P256));
        record.status = status;
        world.registry.put_credential(LiveCredential::new(record)).judge(Standing::Good);
        let refused = world.permit(digest()).await;
        assert!(matches!(refused, Err(GateError::CredentialNotActive(actual)) if actual == status));
    }
}

#[tokio::test]
async fn rule_10_credential_that_stops_after_admission_is_refused_as_its_record_says_by_now() {
    for status in [CredentialStatus::Quarantined, CredentialStatus::Revoked] {
        let world = open().await;
        let admission = world.gate.admit(world.presented()).unwrap();
        let mut record = credential("key", "u-1", no_key(KeyType::P256));
        record.status = status;
        world.registry.put_credential(LiveCredential::new(record));
        let scheme = KeyType::P256.default_scheme();
        let refused = world.gate.permit(admission, scheme, digest()).await;
        assert!(matches!(refused, Err(GateError::CredentialNotActive(actual)) if actual == status));
    }
}

#[tokio::test]
async fn rule_11_certificate_is_good_in_its_last_second_only() {
    let world = open().await;
    let mut record = credential("key", "u-1", no_key(KeyType::P256));
    record.not_after = attest::clock::UnixSeconds(START + 10);
    world.registry.put_credential(LiveCredential::new(record)).judge(Standing::Good);
    world.clock.set(START + 10);
    world.permit(digest()).await.unwrap();
    world.clock.set(START + 11);
    assert!(matches!(world.permit(digest()).await, Err(GateError::CertificateExpired)));
}

#[tokio::test]
async fn rule_11_unknown_revocation_status_is_refused() {
    let world = open().await;
    for standing in [Standing::Unknown, Standing::Revoked, Standing::Refused] {
        world.registry.credential("key").unwrap().judge(standing);
        let refused = world.permit(digest()).await;
        assert!(
            matches!(refused, Err(GateError::CertificateNotGood(actual)) if actual == standing)
        );
    }
}

#[tokio::test]
async fn rule_12_digest_of_another_algorithm_is_refused() {
    let world = open().await;
    let sha512 = ContentDigest::of(DigestAlgorithm::Sha512, b"document");
    assert!(matches!(world.permit(sha512).await, Err(GateError::DigestAlgorithm { .. })));
    assert_eq!(world.session.used(), 0);
}

#[tokio::test]
async fn rule_13_evidence_certificate_of_unknown_status_is_refused_until_it_is_known() {
    let world = open().await;
    world.session.judge_evidence(Standing::Unknown);
    let refused = world.permit(digest()).await;
    assert!(matches!(refused, Err(GateError::EvidenceNotGood(Standing::Unknown))));
    world.session.judge_evidence(Standing::Good);
    assert!(world.permit(digest()).await.is_ok());
}

#[tokio::test]
async fn rule_13_session_whose_evidence_was_not_judged_since_the_start_signs_nothing() {
    let world = open().await;
    assert_eq!(reopened(&world).await.evidence_standing(), Standing::Unknown);
}

#[tokio::test]
async fn session_ends_with_the_first_certificate_that_it_rests_on() {
    let world = open().await;
    let at = |seconds| attest::clock::UnixSeconds(START + seconds);
    for (card, second, over) in [(200, Some(100), 101), (100, Some(200), 101), (99, None, 100)] {
        let id = asked(&world).await;
        let approval = attest::sign_in::Approval {
            certificate_not_after: Some(at(card)),
            second_certificates_not_after: second.map(at),
            ..attest::danger_testing::approval("u-1", &id)
        };
        let once_key = Fingerprint::of(id.as_bytes());
        let approved = world.sessions.approve(&id, approval, &once_key, None).await.unwrap();
        let attest::sessions::Approved::Code(Some(code)) = approved else { panic!("no code") };
        let outcome = world.sessions.activate(&id, &code, LIMITS).await.unwrap();
        let attest::sessions::Activation::Active { session, .. } = outcome else { panic!("no") };
        assert_eq!(session.over(at(over - 1)), None);
        assert_eq!(session.over(at(over)), Some(EndReason::Expired));
    }
}

#[tokio::test]
async fn session_has_what_was_agreed_to_and_never_more_than_the_system_has_now() {
    let world = open().await;
    let larger = SessionLimits { seconds: 7_200, idle_seconds: 1_200, signatures: 40 };
    for (agreed, present) in [(LIMITS, larger), (larger, LIMITS)] {
        let id = asked(&world).await;
        let approval = attest::sign_in::Approval {
            limits: agreed,
            ..attest::danger_testing::approval("u-1", &id)
        };
        let once_key = Fingerprint::of(id.as_bytes());
        let approved = world.sessions.approve(&id, approval, &once_key, None).await.unwrap();
        let attest::sessions::Approved::Code(Some(code)) = approved else { panic!("no code") };
        let outcome = world.sessions.activate(&id, &code, present).await.unwrap();
        let attest::sessions::Activation::Active { session, .. } = outcome else { panic!("no") };
        assert_eq!(session.limits, LIMITS);
        assert_eq!(session.expires_at.0, START + LIMITS.seconds);
    }
}

#[tokio::test]
async fn second_certificate_has_fallen_when_it_is_revoked_and_not_when_its_status_is_unknown() {
    let world = open().await;
    let live = world.registry.credential("key").unwrap();
    let (mine, other) = ([live.certificate.clone()], [Fingerprint::of(b"other")]);
    for (standing, falls) in [
        (Standing::Good, false),
        (Standing::Unknown, false),
        (Standing::Revoked, true),
        (Standing::Refused, true),
    ] {
        live.judge(standing);
        assert_eq!(world.registry.has_fallen("u-1", &mine), falls, "{standing:?}");
        assert!(!world.registry.has_fallen("u-1", &other));
        assert!(!world.registry.has_fallen("u-2", &mine));
    }
    let mut record = live.record.clone();
    for (status, falls) in
        [(CredentialStatus::Quarantined, false), (CredentialStatus::Revoked, true)]
    {
        record.status = status;
        world.registry.put_credential(LiveCredential::new(record.clone()));
        assert_eq!(world.registry.has_fallen("u-1", &mine), falls, "{status:?}");
    }
}

#[tokio::test]
async fn fault_of_a_pair_stops_it_and_not_the_one_that_a_renewal_put_in_its_place() {
    let world = open().await;
    let old = world.registry.credential("key").unwrap();
    let renewed = attest::records::Credential { cka_id: vec![9; 16], ..old.record.clone() };
    world.registry.renew_credential(renewed, Some(Standing::Good));
    let new = world.registry.credential("key").unwrap();
    assert!(!world.registry.stop_pair(&old));
    assert!(!old.is_stopped() && new.may_sign());
    assert!(world.registry.stop_pair(&new));
    assert!(new.is_stopped());
}

#[tokio::test]
async fn rule_14_session_of_a_card_no_longer_linked_is_refused() {
    let world = open().await;
    world.registry.remove_card(&world.session.factor);
    let refused = world.permit(digest()).await;
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::EvidenceRevoked))));
    let mut link = attest::danger_testing::card("u-1");
    link.holder_id = "u-2".into();
    world.registry.put_card(link);
    assert!(world.permit(digest()).await.is_err());
}

#[tokio::test]
async fn approved_sign_in_is_denied_with_what_withdraws_its_session() {
    let world = open().await;
    let id = asked(&world).await;
    let approval = attest::danger_testing::approval("u-1", "fresh");
    let once_key = Fingerprint::of(b"fresh");
    let approved = world.sessions.approve(&id, approval, &once_key, None).await.unwrap();
    let attest::sessions::Approved::Code(Some(code)) = approved else { panic!("no code") };
    assert_eq!(world.sessions.deny_approved(&|other| other.holder_id == "u-2").await.unwrap(), 0);
    assert_eq!(world.sessions.deny_approved(&|other| other.holder_id == "u-1").await.unwrap(), 1);
    let outcome = world.sessions.activate(&id, &code, LIMITS).await.unwrap();
    assert!(matches!(outcome, attest::sessions::Activation::Denied(_)));
}

#[tokio::test]
async fn credential_left_out_is_the_only_usable_one() {
    let world = open().await;
    let shown = Presented { credential_id: None, ..world.presented() };
    assert_eq!(world.gate.admit(shown).unwrap().credential().record.credential_id, "key");
    let second = LiveCredential::new(credential("second", "u-1", no_key(KeyType::P256)));
    world.registry.put_credential(second).judge(Standing::Good);
    assert!(matches!(world.gate.admit(shown), Err(GateError::CredentialAmbiguous(2))));
}

#[tokio::test]
async fn lease_is_withdrawn_by_logout_and_by_quarantine() {
    let world = open().await;
    let (_, lease) = world.permit(digest()).await.unwrap();
    assert_eq!(lease.check(), Ok(()));
    Withdrawal::Credential(world.registry.credential("key").unwrap()).apply();
    assert_eq!(lease.check(), Err(LeaseWithdrawn::Credential));
    Withdrawal::Session(world.session.clone(), EndReason::Logout).apply();
    assert_eq!(lease.check(), Err(LeaseWithdrawn::Session(EndReason::Logout)));
}

#[tokio::test]
async fn permit_for_one_content_does_not_bind_other_content() {
    let world = open().await;
    let octets = || Requested::Octets(Dtbsr::of(DigestAlgorithm::Sha256, b"document"));
    let (permit, _) = world.permit(octets()).await.unwrap();
    assert_eq!(permit.bind_octets(b"another document").err(), Some(BindError::OtherContent));
    let (permit, _) = world.permit(octets()).await.unwrap();
    assert!(permit.bind_octets(b"document").is_ok());
}

#[tokio::test]
async fn two_browsers_racing_for_one_link_get_one_code() {
    let world = open().await;
    let id = asked(&world).await;
    let sessions = world.sessions.clone();
    let tasks: Vec<_> = (0..8)
        .map(|browser| {
            let (sessions, id) = (sessions.clone(), id.clone());
            tokio::spawn(async move {
                let approval = attest::danger_testing::approval("u-1", "evidence");
                let once_key = Fingerprint::of(format!("evidence {browser}").as_bytes());
                matches!(
                    sessions.approve(&id, approval, &once_key, None).await,
                    Ok(attest::sessions::Approved::Code(Some(_)))
                )
            })
        })
        .collect();
    let mut codes = 0;
    for task in tasks {
        codes += usize::from(task.await.unwrap());
    }
    assert_eq!(codes, 1);
}

#[tokio::test]
async fn evidence_is_good_for_one_sign_in() {
    let world = open().await;
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let id = asked(&world).await;
        let approval = attest::danger_testing::approval("u-1", "one handshake");
        let once_key = Fingerprint::of(b"one handshake");
        outcomes.push(world.sessions.approve(&id, approval, &once_key, None).await.unwrap());
    }
    assert!(matches!(outcomes[0], attest::sessions::Approved::Code(Some(_))));
    assert!(matches!(outcomes[1], attest::sessions::Approved::EvidenceUsed));
}

#[tokio::test]
async fn wrong_code_five_times_denies_the_sign_in() {
    let world = open().await;
    let id = asked(&world).await;
    let approval = attest::danger_testing::approval("u-1", "fresh");
    let attest::sessions::Approved::Code(Some(code)) =
        world.sessions.approve(&id, approval, &Fingerprint::of(b"fresh"), None).await.unwrap()
    else {
        panic!("no code");
    };
    for attempt in 1..=5 {
        let outcome = world.sessions.activate(&id, "guess", LIMITS).await.unwrap();
        let last = attempt == 5;
        assert!(
            matches!(outcome, attest::sessions::Activation::WrongCode { denied } if denied == last)
        );
    }
    let outcome = world.sessions.activate(&id, &code, LIMITS).await.unwrap();
    assert!(matches!(outcome, attest::sessions::Activation::Denied(_)));
}

#[tokio::test]
async fn session_of_another_holder_does_not_open_this_holders_key() {
    let world = open().await;
    world.registry.put_holder(attest::danger_testing::holder("u-2"));
    world.registry.put_card(attest::danger_testing::card("u-2"));
    let ehr = system("ehr", world.certificate.clone(), LIMITS);
    let (token, _) = sign_in(&world.sessions, &ehr, "u-2").await.unwrap();
    let shown = Presented { signing_token: &token, ..world.presented() };
    assert!(matches!(world.gate.admit(shown), Err(GateError::CredentialUnknown)));
}
