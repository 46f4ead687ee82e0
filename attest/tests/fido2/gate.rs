//! The rules of the gate for a session that rests on a phone: rules 13 and 14, each broken alone.

use crate::world::LIMITS;
use crate::world::World;
use crate::world::entitled;
use crate::world::phone;
use attest::algorithm::KeyType;
use attest::authenticator::Authenticator;
use attest::danger_testing::credential;
use attest::danger_testing::holder;
use attest::danger_testing::no_key;
use attest::gate::Gate;
use attest::gate::GateError;
use attest::gate::Presented;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::registry::LiveCredential;
use attest::registry::Registry;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::session::SessionFacts;
use attest::sessions::Activation;
use attest::sessions::Sessions;
use attest::sign_in::SessionRecord;
use std::sync::Arc;

struct Open {
    world: World,
    gate: Gate,
    registry: Arc<Registry>,
    authenticator: Authenticator,
    session: Arc<LiveSession>,
    signing_token: String,
}

impl Open {
    async fn new() -> Self {
        let world = World::new().await;
        let mut phone = phone();
        let authenticator = world.enrol("u-1", &mut phone, None).await;
        let (proof, handoff, page) = world.proof(&authenticator, &mut phone).await;
        world.handoffs.approve(&proof, &entitled()).await.unwrap();
        let active = world.sessions.activate(&handoff.session_id, &page.code(), LIMITS).await;
        let Activation::Active { signing_token, session } = active.unwrap() else {
            panic!("no session")
        };
        let registry = Arc::new(Registry::default());
        registry.put_holder(holder("u-1"));
        registry.put_system(world.system.clone());
        registry.put_authenticator(authenticator.clone());
        let live = LiveCredential::new(credential("key", "u-1", no_key(KeyType::P256)));
        registry.put_credential(live).judge(Standing::Good);
        let gate = Gate::new(registry.clone(), world.sessions.clone(), world.clock.clone());
        Self { world, gate, registry, authenticator, session, signing_token }
    }

    fn admit(&self) -> Result<(), GateError> {
        let presented = Presented {
            certificate: &self.world.system.certificates[0],
            signing_token: &self.signing_token,
            credential_id: None,
        };
        self.gate.admit(presented).map(|_| ())
    }
}

#[tokio::test]
async fn admits_when_every_rule_holds_also_after_a_restart() {
    let open = Open::new().await;
    open.admit().unwrap();
    let restarted = Sessions::new(open.world.trust.clone(), open.world.clock.clone());
    restarted.load().await.unwrap();
    let session = restarted.by_token(&open.signing_token).unwrap();
    assert_eq!(session.evidence_standing(), Standing::Good, "nothing has to be judged first");
}

#[tokio::test]
async fn rule_13_holds_where_there_is_no_certificate_and_for_a_phone_alone() {
    for (method, expected) in [
        (Method::Fido2, Standing::Good),
        (Method::Hpki, Standing::Unknown),
        (Method::Jpki, Standing::Unknown),
    ] {
        let open = Open::new().await;
        let facts = SessionFacts {
            session_id: "s".into(),
            holder_id: "u-1".into(),
            system_id: "ehr".into(),
            method,
            evidence: String::new(),
            factor: open.authenticator.authenticator_id.clone(),
            certificate_b64: None,
            second_certificates: Vec::new(),
            terminal: None,
            authenticated_at: open.session.authenticated_at,
            expires_at: open.session.expires_at,
            limits: LIMITS,
            used: 0,
            last_used: open.session.authenticated_at,
            entries: None,
            used_entries: Vec::new(),
        };
        assert_eq!(LiveSession::new(facts).evidence_standing(), expected, "{method:?}");
    }
}

#[tokio::test]
async fn rule_13_session_whose_evidence_is_not_good_is_refused() {
    let open = Open::new().await;
    open.session.judge_evidence(Standing::Revoked);
    assert!(matches!(open.admit(), Err(GateError::EvidenceNotGood(Standing::Revoked))));
}

#[tokio::test]
async fn rule_14_session_of_a_phone_that_was_removed_is_refused() {
    let open = Open::new().await;
    open.registry.remove_authenticator(&open.authenticator.authenticator_id);
    let refused = open.admit();
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::EvidenceRevoked))));
}

#[tokio::test]
async fn rule_14_session_of_a_phone_that_is_somebody_elses_now_is_refused() {
    let open = Open::new().await;
    let mut hers = open.authenticator.clone();
    hers.holder_id = "u-2".into();
    open.registry.put_authenticator(hers);
    let refused = open.admit();
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::EvidenceRevoked))));
    assert!(open.registry.authenticators_of("u-1").is_empty());
    assert_eq!(open.registry.authenticators_of("u-2").len(), 1);
}

#[tokio::test]
async fn rule_14_card_of_the_same_name_does_not_stand_for_a_phone() {
    let open = Open::new().await;
    open.registry.remove_authenticator(&open.authenticator.authenticator_id);
    let mut link = attest::danger_testing::card("u-1");
    link.card = open.authenticator.authenticator_id.clone();
    open.registry.put_card(link);
    assert!(open.admit().is_err());
}

#[tokio::test]
async fn sign_in_record_of_before_reads_as_it_did() {
    let stored = r#"{
        "session_id":"00112233445566778899aabbccddeeff","system_id":"ehr","created_at":1,
        "link":"aa","link_expires_at":2,"holder_id":null,"methods":["hpki"],"return_url":null,
        "number":null,
        "phase":{"phase":"approved","approval":{"holder_id":"u-1","method":"hpki","evidence":"e",
            "factor":"f","certificate_b64":"AAAA","certificate_not_after":9,
            "second_certificates":[],"second_certificates_not_after":null,"authenticated_at":1},
            "code":"cc","tries":0,"code_expires_at":3}}"#;
    let record: SessionRecord = serde_json::from_str(stored).unwrap();
    let attest::sign_in::Phase::Approved { approval, .. } = &record.phase else { panic!("no") };
    assert_eq!(approval.certificate_b64.as_deref(), Some("AAAA"));
    // It does not say what was agreed to, which is nothing.
    assert_eq!(approval.limits, SessionLimits::NOTHING);
    let mut expected: serde_json::Value = serde_json::from_str(stored).unwrap();
    expected["phase"]["approval"]["limits"] = serde_json::to_value(approval.limits).unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), expected);
    assert_ne!(approval.factor, Fingerprint::of(b""));
}
