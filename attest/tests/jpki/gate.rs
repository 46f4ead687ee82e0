//! The rules of the gate for a session that rests on a My Number card: rules 13 and 14, each broken alone.

use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::danger_testing::OpenGate;
use attest::danger_testing::START;
use attest::danger_testing::approval;
use attest::danger_testing::card;
use attest::danger_testing::no_key;
use attest::danger_testing::system;
use attest::gate::GateError;
use attest::jpki::JpkiLink;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::sessions::Activation;
use attest::sessions::Approved;
use attest::sessions::Wanted;
use attest::sign_in::Approval;
use attest::vault::Sealed;

const LIMITS: SessionLimits = SessionLimits { seconds: 3_600, idle_seconds: 600, signatures: 20 };

fn factor() -> Fingerprint {
    Fingerprint::of(b"my number card")
}

fn link(holder_id: &str) -> JpkiLink {
    JpkiLink {
        card: factor(),
        holder_id: holder_id.into(),
        enrolled_by: Enroller { method: Method::Hpki, factor: Fingerprint::of(b"u-1") },
        linked_at: UnixSeconds(START),
        terminal: "PC".into(),
        certificate: Sealed(String::new()),
        renewed_at: None,
        renewed_from: None,
    }
}

/// `u-1` is signed in by a My Number card; nobody has judged its certificate yet.
async fn unjudged() -> OpenGate {
    let mut world = OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap();
    let mut ehr = system("ehr", world.certificate.clone(), LIMITS);
    ehr.methods = vec![Method::Jpki];
    world.registry.put_system(ehr.clone());
    world.registry.put_jpki(link("u-1"));
    // No card of the other kind is left that could stand for it.
    world.registry.remove_card(&Fingerprint::of(b"u-1"));
    let return_url = Some("https://ehr.example/return".into());
    let wanted = Wanted { holder_id: None, methods: vec![Method::Jpki], return_url, entries: None };
    let id = world.sessions.create(&ehr, wanted).await.unwrap().record.session_id;
    let approval = Approval {
        method: Method::Jpki,
        factor: factor(),
        certificate_b64: None,
        ..approval("u-1", "jpki")
    };
    let once_key = Fingerprint::of(b"jpki");
    let approved = world.sessions.approve(&id, approval, &once_key, None).await.unwrap();
    let Approved::Code(Some(code)) = approved else { panic!("no code") };
    let activated = world.sessions.activate(&id, &code, LIMITS).await.unwrap();
    let Activation::Active { signing_token, session } = activated else { panic!("not active") };
    (world.signing_token, world.session) = (signing_token, session);
    world
}

async fn open() -> OpenGate {
    let world = unjudged().await;
    world.session.judge_evidence(Standing::Good);
    world
}

async fn is_open(world: &OpenGate) -> Result<(), GateError> {
    world.permit(ContentDigest::of(DigestAlgorithm::Sha256, b"document")).await.map(|_| ())
}

#[tokio::test]
async fn admits_when_every_rule_holds() {
    assert!(is_open(&open().await).await.is_ok());
}

#[tokio::test]
async fn rule_13_session_whose_evidence_is_not_good_is_refused() {
    let world = unjudged().await;
    let refused = is_open(&world).await;
    assert!(matches!(refused, Err(GateError::EvidenceNotGood(Standing::Unknown))), "{refused:?}");
    world.session.judge_evidence(Standing::Revoked);
    let refused = is_open(&world).await;
    assert!(matches!(refused, Err(GateError::EvidenceNotGood(Standing::Revoked))), "{refused:?}");
}

#[tokio::test]
async fn rule_14_session_of_a_my_number_card_that_was_unlinked_is_refused() {
    let world = open().await;
    world.registry.remove_jpki(&factor());
    let refused = is_open(&world).await;
    let over = GateError::SessionOver(EndReason::EvidenceRevoked);
    assert_eq!(refused.unwrap_err().to_string(), over.to_string());
}

#[tokio::test]
async fn rule_14_session_of_a_my_number_card_that_is_somebody_elses_now_is_refused() {
    let world = open().await;
    world.registry.remove_jpki(&factor());
    world.registry.put_jpki(link("u-2"));
    assert!(is_open(&world).await.is_err());
}

#[tokio::test]
async fn rule_14_hpki_card_of_the_same_name_does_not_stand_for_a_my_number_card() {
    let world = open().await;
    world.registry.remove_jpki(&factor());
    let mut same = card("u-1");
    same.card = factor();
    world.registry.put_card(same);
    assert!(is_open(&world).await.is_err());
}

#[tokio::test]
async fn another_card_of_the_same_holder_takes_the_place_of_the_one_before() {
    let world = open().await;
    let newer = JpkiLink { card: Fingerprint::of(b"newer"), ..link("u-1") };
    world.registry.put_jpki(newer.clone());
    assert!(world.registry.jpki(&factor()).is_none());
    assert_eq!(world.registry.jpki_of("u-1").unwrap().card, newer.card);
    assert!(is_open(&world).await.is_err(), "sessions rest on the card that proved them");
    // Removing the older one late takes nothing from the newer.
    world.registry.remove_jpki(&factor());
    assert!(world.registry.jpki_of("u-1").is_some());
}
