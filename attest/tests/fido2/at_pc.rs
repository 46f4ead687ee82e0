//! Signing in before the asking PC's screen: what is brought to it will do, what is built into it will not.

use crate::world::World;
use crate::world::binding;
use crate::world::phone;
use attest::danger_testing::SoftPhone;
use attest::evidence::Binding;
use attest::evidence::Fido2Error;
use attest::evidence::Surface;
use attest::evidence::VerifiedFido2;
use serde_json::Value;
use std::sync::Arc;

/// What a sign-in on a PC says of an enrolled phone that is wrong in one way.
async fn sign_in_with(
    change: impl FnOnce(&mut SoftPhone),
) -> Result<(VerifiedFido2, World), Fido2Error> {
    let world = World::new().await;
    let mut phone = phone();
    let authenticator = world.enrol("u-1", &mut phone, None).await;
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    let asked = Binding { surface: Surface::Pc, ..binding(&handoff) };
    let started = world.fido2.start_assertion(asked, &[Arc::new(authenticator)]).unwrap();
    phone.attachment = Some("cross-platform");
    change(&mut phone);
    world.answer(&started, &handoff, &mut phone).map(|proof| (proof, world))
}

#[tokio::test]
async fn what_is_brought_is_taken_and_its_evidence_says_so() {
    let (proof, world) = sign_in_with(|_| {}).await.unwrap();
    assert_eq!(proof.binding().surface, Surface::Pc);
    let kept: Value = serde_json::from_str(proof.evidence_json()).unwrap();
    assert_eq!(kept["approved"]["surface"], "pc");
    let kept: attest::evidence::Fido2Evidence =
        serde_json::from_str(proof.evidence_json()).unwrap();
    kept.check(world.fido2.relying_party()).unwrap();
}

#[tokio::test]
async fn what_is_built_in_or_not_named_is_refused() {
    for attachment in [Some("platform"), None, Some(""), Some("Cross-Platform")] {
        let refused = sign_in_with(|phone| phone.attachment = attachment).await;
        assert!(matches!(refused, Err(Fido2Error::BuiltIn)), "{attachment:?}");
    }
}

#[tokio::test]
async fn every_other_rule_holds_as_on_a_phone() {
    let refused = sign_in_with(|phone| phone.flags = 0x01).await;
    assert!(matches!(refused, Err(Fido2Error::UserNotVerified)));
    let refused = sign_in_with(|phone| phone.origin = "https://portal.example.jp".into()).await;
    assert!(matches!(refused, Err(Fido2Error::Origin)));
    let refused = sign_in_with(|phone| phone.user_handle = Some(vec![1; 16])).await;
    assert!(matches!(refused, Err(Fido2Error::UserHandle)));
}

/// A question that was put on a phone is the phone's: what is built into it is what it answers with.
#[tokio::test]
async fn phone_answers_its_own_question_with_what_is_built_in() {
    let world = World::new().await;
    let mut phone = phone();
    let authenticator = world.enrol("u-1", &mut phone, None).await;
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    let started = world.ask(&handoff, &[Arc::new(authenticator)]);
    let options: Value = serde_json::from_str(&started.options_json).unwrap();
    assert!(options.pointer("/publicKey/allowCredentials/0/transports").is_none());
    let proof = world.answer(&started, &handoff, &mut phone).unwrap();
    assert!(!proof.evidence_json().contains("surface"), "older evidence reads the same");
}

/// Nobody learns from the question who has an authenticator, or which.
#[tokio::test]
async fn questions_on_a_pc_look_alike_and_offer_nothing_built_in() {
    let world = World::new().await;
    let mut phone = phone();
    let known = Arc::new(world.enrol("u-1", &mut phone, None).await);
    let record = world.sign_in_wanting(None, None).await;
    let mut shapes = Vec::new();
    for (holder_id, known) in [("u-1", vec![known]), ("nobody", Vec::new())] {
        let (handoff, _) = world.handoff(&record, holder_id).await;
        let asked = Binding { surface: Surface::Pc, ..binding(&handoff) };
        let started = world.fido2.start_assertion(asked, &known).unwrap();
        let mut options: Value = serde_json::from_str(&started.options_json).unwrap();
        assert_eq!(options["publicKey"]["hints"], serde_json::json!(["hybrid", "security-key"]));
        options["publicKey"]["challenge"] = Value::Null;
        for allowed in options["publicKey"]["allowCredentials"].as_array_mut().unwrap() {
            let transports = serde_json::json!(["usb", "nfc", "ble", "smart-card", "hybrid"]);
            assert_eq!(allowed["transports"], transports);
            allowed["id"] = Value::Null;
        }
        shapes.push(options);
    }
    assert_eq!(shapes[0], shapes[1]);
}
