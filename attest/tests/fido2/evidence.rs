//! Stored evidence is checked again by what is in it, and each change breaks it.

use crate::world::ORIGIN;
use crate::world::World;
use crate::world::phone;
use attest::evidence::Fido2Error;
use attest::evidence::Fido2Evidence;
use attest::evidence::RelyingParty;

async fn stored() -> Fido2Evidence {
    let world = World::new().await;
    let mut phone = phone();
    let authenticator = world.enrol("u-1", &mut phone, None).await;
    let (proof, ..) = world.proof(&authenticator, &mut phone).await;
    serde_json::from_str(proof.evidence_json()).unwrap()
}

fn portal() -> RelyingParty {
    RelyingParty::new(ORIGIN, "Inkan").unwrap()
}

#[tokio::test]
async fn stored_evidence_checks_again_from_its_json_alone() {
    let evidence = stored().await;
    evidence.check(&portal()).unwrap();
    assert_eq!(evidence.approved.holder_id, "u-1");
}

#[tokio::test]
async fn evidence_of_another_portal_does_not_check() {
    let evidence = stored().await;
    let other_port = RelyingParty::new("https://portal.example.jp", "Inkan").unwrap();
    assert!(matches!(evidence.check(&other_port), Err(Fido2Error::Origin)));
}

#[tokio::test]
async fn every_changed_part_breaks_the_evidence() {
    let good = stored().await;
    let changes: [fn(&mut Fido2Evidence); 6] = [
        |evidence| evidence.signature[8] ^= 1,
        |evidence| evidence.challenge[0] ^= 1,
        |evidence| evidence.authenticator_data[0] ^= 1,
        |evidence| evidence.authenticator_data[36] ^= 1,
        |evidence| evidence.authenticator_data.truncate(36),
        |evidence| {
            let last = evidence.public_key_der.len() - 1;
            evidence.public_key_der[last] ^= 1;
        },
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(bad.check(&portal()).is_err(), "{index}");
    }
}

#[tokio::test]
async fn flags_are_read_before_the_signature() {
    let mut evidence = stored().await;
    evidence.authenticator_data[32] = 0x01;
    assert!(matches!(evidence.check(&portal()), Err(Fido2Error::UserNotVerified)));
    evidence.authenticator_data[32] = 0x04;
    assert!(matches!(evidence.check(&portal()), Err(Fido2Error::UserNotPresent)));
}

#[tokio::test]
async fn client_data_that_says_two_things_is_refused() {
    let mut evidence = stored().await;
    let text = String::from_utf8(evidence.client_data_json.clone()).unwrap();
    let twice = text.replacen('{', r#"{"origin":"https://evil.example","#, 1);
    evidence.client_data_json = twice.into_bytes();
    assert!(matches!(evidence.check(&portal()), Err(Fido2Error::Unreadable(_))));
}
