//! The appliance's own keys. K12.

use crate::HouseKey;
use crate::Hsm;
use crate::HsmError;
use crate::audit::KeyFault;
use crate::house;
use crate::spki;
use crate::tests::alone;
use crate::tests::bench::pin;
use crate::tests::bench::refused;
use aws_lc_rs::signature as lc;
use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;
use cryptoki::object::ObjectClass;

#[test]
fn doors_are_closed_before_the_ceremony() {
    alone(|bench| {
        let hsm = bench.open();
        assert!(hsm.checkpoint_public_key().is_err());
        assert!(matches!(refused(hsm.checkpoint_public_key()), HsmError::NoHouseKeys));
        assert!(matches!(refused(bench.block_on(hsm.self_test())), HsmError::NoHouseKeys));
        assert!(matches!(refused(bench.block_on(hsm.index_hmac(b""))), HsmError::NoHouseKeys));
        let checkpoint = bench.block_on(hsm.sign_checkpoint(b"x"));
        assert!(matches!(refused(checkpoint), HsmError::NoHouseKeys));
    });
}

#[test]
fn ceremony_makes_each_key_once_and_they_survive_a_restart() {
    alone(|bench| {
        let hsm = bench.open();
        assert_eq!(bench.block_on(hsm.ensure_house_keys()).unwrap(), HouseKey::ALL);
        assert_eq!(bench.block_on(hsm.ensure_house_keys()).unwrap(), []);
        let public_key = hsm.checkpoint_public_key().unwrap();
        let mac = bench.block_on(hsm.index_hmac(b"sato")).unwrap();
        let sealing = bench.block_on(hsm.sealing_key()).unwrap();
        let digest = bench.block_on(hsm.key_set_digest()).unwrap();
        assert_ne!(*sealing, mac);
        assert_ne!(bench.block_on(hsm.index_hmac(b"suzuki")).unwrap(), mac);
        assert_ne!(bench.block_on(hsm.index_hmac(house::SEALING_CONTEXT)).unwrap(), *sealing);
        bench.block_on(hsm.shutdown());

        let hsm = bench.open();
        assert!(hsm.checkpoint_public_key().is_ok());
        assert_eq!(hsm.checkpoint_public_key().unwrap(), public_key);
        assert_eq!(bench.block_on(hsm.index_hmac(b"sato")).unwrap(), mac);
        assert_eq!(bench.block_on(hsm.sealing_key()).unwrap(), sealing);
        assert_eq!(bench.block_on(hsm.key_set_digest()).unwrap(), digest);
    });
}

#[test]
fn checkpoint_signature_verifies_with_the_public_key() {
    alone(|bench| {
        let hsm = bench.open();
        bench.block_on(hsm.ensure_house_keys()).unwrap();
        let note = b"inkan.example/log\n17\nroot\n";
        let signature = bench.block_on(hsm.sign_checkpoint(note)).unwrap();
        let spki_der = hsm.checkpoint_public_key().unwrap();
        let key = lc::UnparsedPublicKey::new(
            &lc::ECDSA_P256_SHA256_ASN1,
            spki::subject_public_key(&spki_der).unwrap(),
        );
        key.verify(note, signature.as_bytes()).unwrap();
        assert!(key.verify(b"another", signature.as_bytes()).is_err());
    });
}

#[test]
fn wrong_signature_fails_self_test_and_checkpoint() {
    alone(|bench| {
        let hsm = bench.open_faulty();
        bench.block_on(hsm.ensure_house_keys()).unwrap();
        bench.block_on(hsm.self_test()).unwrap();
        bench.faults("C_Sign flip 1");
        let error = refused(bench.block_on(hsm.self_test()));
        assert!(matches!(error, HsmError::SignatureWrong("inkan-house:self-test")), "{error}");
        bench.faults("C_Sign flip 1\n");
        let error = refused(bench.block_on(hsm.sign_checkpoint(b"x")));
        assert!(matches!(error, HsmError::SignatureWrong("inkan-house:checkpoint")), "{error}");
        bench.block_on(hsm.self_test()).unwrap();
    });
}

#[test]
fn interrupted_ceremony_is_finished_by_the_next() {
    alone(|bench| {
        let hsm = bench.open_faulty();
        bench.faults("C_GenerateKey CKR_DEVICE_MEMORY 1");
        let error = refused(bench.block_on(hsm.ensure_house_keys()));
        assert!(matches!(error, HsmError::TokenFull(_)), "{error}");
        bench.block_on(hsm.shutdown());
        let hsm = bench.open();
        assert!(hsm.checkpoint_public_key().is_err());
        assert_eq!(bench.block_on(hsm.ensure_house_keys()).unwrap(), [HouseKey::IndexHmac]);
        bench.block_on(hsm.self_test()).unwrap();
    });
}

#[test]
fn secret_house_key_gives_nothing_away() {
    alone(|bench| {
        let hsm = bench.open();
        bench.block_on(hsm.ensure_house_keys()).unwrap();
        bench.block_on(hsm.shutdown());
        bench.tamper(|session| {
            let template = [Attribute::Class(ObjectClass::SECRET_KEY)];
            let found = session.find_objects(&template).unwrap();
            assert_eq!(found.len(), 1);
            assert!(session.get_attributes(found[0], &[AttributeType::Value]).unwrap().is_empty());
            assert!(session.update_attributes(found[0], &[Attribute::Extractable(true)]).is_err());
            assert!(session.copy_object(found[0], &[Attribute::Extractable(true)]).is_err());
        });
    });
}

#[test]
fn second_house_key_of_the_same_name_stops_the_start() {
    alone(|bench| {
        let hsm = bench.open();
        bench.block_on(hsm.ensure_house_keys()).unwrap();
        bench.block_on(hsm.shutdown());
        bench.tamper(|session| {
            let key = HouseKey::IndexHmac;
            let template = crate::template::mac_key(key.cka_id(), key.name());
            let mechanism = cryptoki::mechanism::Mechanism::GenericSecretKeyGen;
            session.generate_key(&mechanism, &template).unwrap();
        });
        let error = refused(Hsm::open(bench.config(), pin()));
        let HsmError::KeyRefused { fault, .. } = error else { panic!("{error}") };
        assert_eq!(fault, KeyFault::SecretKeys(2));
    });
}
