//! Holders' keys: made, audited, certified, destroyed; and what an attacker with the PIN tries. K5 to K9, K11.

use crate::Hsm;
use crate::HsmError;
use crate::audit::KeyFault;
use crate::spki;
use crate::tests::Bench;
use crate::tests::alone;
use crate::tests::bench::eventually;
use crate::tests::bench::pin;
use crate::tests::bench::refused;
use crate::tests::certificates::certify;
use crate::tests::signing;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;
use cryptoki::object::ObjectClass;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use std::sync::Arc;

const SUBJECT: &str = "CN=Taro Yamada,O=Sakura Hospital,C=JP";

fn one(session: &Session, class: ObjectClass, cka_id: &[u8]) -> ObjectHandle {
    let template = [Attribute::Class(class), Attribute::Id(cka_id.to_vec())];
    let found = session.find_objects(&template).unwrap();
    assert_eq!(found.len(), 1);
    found[0]
}

/// Reopens the pool and tries to put `key` into service.
fn reload(bench: &Bench, key: &Arc<HolderKey>) -> Result<(), HsmError> {
    let hsm = bench.open();
    let loaded = bench.block_on(hsm.load(key));
    let all = bench.block_on(hsm.load_all(vec![Arc::clone(key)])).unwrap();
    assert_eq!(all.in_service == 1, loaded.is_ok(), "load and load_all disagree");
    assert_eq!(all.refused.len(), usize::from(loaded.is_err()));
    bench.block_on(hsm.shutdown());
    loaded
}

fn fault(error: HsmError) -> KeyFault {
    match error {
        HsmError::KeyRefused { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

fn made_key(bench: &Bench, key_type: KeyType) -> Arc<HolderKey> {
    let hsm = bench.open();
    let key = bench.key(&hsm, key_type);
    bench.block_on(hsm.shutdown());
    key
}

#[test]
fn generated_key_gives_nothing_away_and_cannot_be_changed() {
    alone(|bench| {
        for key_type in [KeyType::Rsa2048, KeyType::P256, KeyType::Ed25519] {
            let key = made_key(&bench, key_type);
            bench.tamper(|session| {
                let private = one(session, ObjectClass::PRIVATE_KEY, &key.cka_id);
                // K5: the value is not readable.
                for secret in [AttributeType::Value, AttributeType::PrivateExponent] {
                    assert!(session.get_attributes(private, &[secret]).unwrap().is_empty());
                }
                // K7: no attribute can be switched.
                for change in [
                    Attribute::Extractable(true),
                    Attribute::Sensitive(false),
                    Attribute::Decrypt(true),
                    Attribute::Unwrap(true),
                    Attribute::Derive(true),
                    Attribute::Modifiable(true),
                    Attribute::Copyable(true),
                    Attribute::Id(vec![1; 16]),
                ] {
                    let changed = session.update_attributes(private, std::slice::from_ref(&change));
                    assert!(changed.is_err(), "{change:?}");
                }
                // K9: no extractable copy.
                for copy in
                    [vec![Attribute::Extractable(true)], vec![Attribute::Token(false)], vec![]]
                {
                    assert!(session.copy_object(private, &copy).is_err(), "{copy:?}");
                }
                // K6: not wrapped, whatever the wrapping key may do besides.
                let wrapping = session
                    .generate_key(
                        &Mechanism::AesKeyGen,
                        &[
                            Attribute::ValueLen(Ulong::new(32)),
                            Attribute::Wrap(true),
                            Attribute::Decrypt(true),
                        ],
                    )
                    .unwrap();
                for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
                    assert!(session.wrap_key(&mechanism, wrapping, private).is_err());
                }
                // K5: it signs only.
                let mechanism = Mechanism::RsaPkcs;
                assert!(session.decrypt(&mechanism, private, &[1; 256]).is_err());
            });
            reload(&bench, &key).unwrap();
        }
    });
}

/// Makes a pair behind the appliance's back that differs from a good one in `change`.
fn weak_pair(bench: &Bench, key_type: KeyType, change: Attribute) -> Arc<HolderKey> {
    let cka_id = vec![0x77; 16];
    let spki_der = bench.tamper(|session| {
        let template = [Attribute::Id(cka_id.clone())];
        for old in session.find_objects(&template).unwrap() {
            session.destroy_object(old).unwrap();
        }
        let mut private = crate::template::private(&cka_id, "trojan");
        private.retain(|kept| kept.attribute_type() != change.attribute_type());
        private.push(change.clone());
        let public = crate::template::public(key_type, &cka_id, "trojan").unwrap();
        let (mechanism, _) = crate::template::pair_mechanism(key_type);
        let (public, _) = session.generate_key_pair(&mechanism, &public, &private).unwrap();
        spki_of(session, public)
    });
    Arc::new(HolderKey { cka_id, spki_der, key_type })
}

fn spki_of(session: &Session, public: ObjectHandle) -> Vec<u8> {
    let attributes = session.get_attributes(public, &spki::ATTRIBUTES).unwrap();
    spki::from_attributes(&attributes).unwrap().1
}

#[test]
fn key_with_one_weak_attribute_is_refused_and_the_attribute_is_named() {
    alone(|bench| {
        let cases = [
            (Attribute::Extractable(true), "CKA_EXTRACTABLE"),
            (Attribute::Sensitive(false), "CKA_SENSITIVE"),
            (Attribute::Private(false), "CKA_PRIVATE"),
            (Attribute::Decrypt(true), "CKA_DECRYPT"),
            (Attribute::Unwrap(true), "CKA_UNWRAP"),
            (Attribute::Derive(true), "CKA_DERIVE"),
            (Attribute::SignRecover(true), "CKA_SIGN_RECOVER"),
            (Attribute::Sign(false), "CKA_SIGN"),
            (Attribute::Modifiable(true), "CKA_MODIFIABLE"),
            (Attribute::Copyable(true), "CKA_COPYABLE"),
        ];
        for (change, name) in cases {
            let key = weak_pair(&bench, KeyType::P256, change);
            let fault = fault(refused(reload(&bench, &key)));
            assert!(
                matches!(fault, KeyFault::Attribute { attribute, .. } if attribute == name),
                "{name}: {fault}"
            );
        }
    });
}

#[test]
fn imported_key_is_refused_because_it_is_not_local() {
    alone(|bench| {
        let cka_id = vec![0x55; 16];
        let spki_der = bench.tamper(|session| {
            let params = spki::ec_params(KeyType::P256).unwrap();
            let mut private = crate::template::private(&cka_id, "imported");
            private.push(Attribute::Class(ObjectClass::PRIVATE_KEY));
            private.push(Attribute::KeyType(cryptoki::object::KeyType::EC));
            private.push(Attribute::EcParams(params.clone()));
            private.push(Attribute::Value(vec![0x11; 32]));
            session.create_object(&private).unwrap();
            // The public key of that scalar is of no interest: the audit comes first.
            let mut point = vec![4, 65, 4];
            point.resize(67, 0x42);
            let mut public = crate::template::public(KeyType::P256, &cka_id, "imported").unwrap();
            public.push(Attribute::Class(ObjectClass::PUBLIC_KEY));
            public.push(Attribute::KeyType(cryptoki::object::KeyType::EC));
            public.push(Attribute::EcPoint(point));
            spki_of(session, session.create_object(&public).unwrap())
        });
        let key = Arc::new(HolderKey { cka_id, spki_der, key_type: KeyType::P256 });
        let fault = fault(refused(reload(&bench, &key)));
        let KeyFault::Attribute { attribute, found, .. } = fault else { panic!("{fault}") };
        // SoftHSM clears these three for an import; the first in the audit's order is named.
        assert_eq!((attribute, found), ("CKA_ALWAYS_SENSITIVE", Some(false)));
    });
}

#[test]
fn second_key_of_the_same_id_makes_both_unusable() {
    alone(|bench| {
        let key = made_key(&bench, KeyType::P256);
        bench.tamper(|session| {
            let private = crate::template::private(&key.cka_id, "trojan");
            let public = crate::template::public(KeyType::P256, &[1; 16], "trojan").unwrap();
            let (mechanism, _) = crate::template::pair_mechanism(KeyType::P256);
            session.generate_key_pair(&mechanism, &public, &private).unwrap();
        });
        assert_eq!(fault(refused(reload(&bench, &key))), KeyFault::PrivateKeys(2));
    });
}

#[test]
fn replaced_pair_is_refused_by_its_public_key() {
    alone(|bench| {
        let key = made_key(&bench, KeyType::P256);
        bench.tamper(|session| {
            for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
                session.destroy_object(one(session, class, &key.cka_id)).unwrap();
            }
            let private = crate::template::private(&key.cka_id, "trojan");
            let public = crate::template::public(KeyType::P256, &key.cka_id, "trojan").unwrap();
            let (mechanism, _) = crate::template::pair_mechanism(KeyType::P256);
            session.generate_key_pair(&mechanism, &public, &private).unwrap();
        });
        assert_eq!(fault(refused(reload(&bench, &key))), KeyFault::OtherPublicKey);
    });
}

#[test]
fn replaced_rsa_private_key_beside_the_right_public_key_is_refused() {
    alone(|bench| {
        let key = made_key(&bench, KeyType::Rsa2048);
        bench.tamper(|session| {
            session.destroy_object(one(session, ObjectClass::PRIVATE_KEY, &key.cka_id)).unwrap();
            let private = crate::template::private(&key.cka_id, "trojan");
            let public = crate::template::public(KeyType::Rsa2048, &[1; 16], "trojan").unwrap();
            let (mechanism, _) = crate::template::pair_mechanism(KeyType::Rsa2048);
            session.generate_key_pair(&mechanism, &public, &private).unwrap();
        });
        assert_eq!(fault(refused(reload(&bench, &key))), KeyFault::OtherPrivateKey);
    });
}

#[test]
fn missing_half_is_named() {
    alone(|bench| {
        let key = made_key(&bench, KeyType::P256);
        bench.tamper(|session| {
            session.destroy_object(one(session, ObjectClass::PUBLIC_KEY, &key.cka_id)).unwrap();
        });
        assert_eq!(fault(refused(reload(&bench, &key))), KeyFault::PublicKeys(0));
        bench.tamper(|session| {
            session.destroy_object(one(session, ObjectClass::PRIVATE_KEY, &key.cka_id)).unwrap();
        });
        assert_eq!(fault(refused(reload(&bench, &key))), KeyFault::PrivateKeys(0));
    });
}

#[test]
fn key_that_is_not_in_service_does_not_sign() {
    alone(|bench| {
        let hsm = bench.open();
        let key = Arc::new(HolderKey::from(bench.block_on(hsm.generate(KeyType::P256)).unwrap()));
        let scheme = KeyType::P256.default_scheme();
        let error = refused(signing::sign(&bench, &hsm, &key, scheme));
        assert!(matches!(error, HsmError::NotInService { .. }), "{error}");
        bench.block_on(hsm.load(&key)).unwrap();
        signing::sign(&bench, &hsm, &key, scheme).unwrap();
        hsm.unload(&key);
        let error = refused(signing::sign(&bench, &hsm, &key, scheme));
        assert!(matches!(error, HsmError::NotInService { .. }), "{error}");
    });
}

#[test]
fn id_with_another_public_key_does_not_sign() {
    alone(|bench| {
        let hsm = bench.open();
        let key = bench.key(&hsm, KeyType::P256);
        let other = bench.key(&hsm, KeyType::P256);
        let mixed = Arc::new(HolderKey { spki_der: other.spki_der.clone(), ..(*key).clone() });
        let error = refused(signing::sign(&bench, &hsm, &mixed, KeyType::P256.default_scheme()));
        assert_eq!(fault(error), KeyFault::OtherPublicKey);
    });
}

#[test]
fn house_key_cannot_be_named_as_a_holders() {
    alone(|bench| {
        let hsm = bench.open();
        bench.block_on(hsm.ensure_house_keys()).unwrap();
        let key = Arc::new(HolderKey {
            cka_id: crate::HouseKey::Checkpoint.name().as_bytes().to_vec(),
            spki_der: hsm.checkpoint_public_key().unwrap(),
            key_type: KeyType::P256,
        });
        assert_eq!(fault(refused(bench.block_on(hsm.load(&key)))), KeyFault::ForeignId);
        assert_eq!(fault(refused(bench.block_on(hsm.destroy(&key)))), KeyFault::ForeignId);
        let request = bench.block_on(hsm.certification_request(&key, SUBJECT));
        assert_eq!(fault(refused(request)), KeyFault::ForeignId);
    });
}

#[test]
fn scheme_that_the_key_cannot_make_is_refused_before_the_token_is_asked() {
    alone(|bench| {
        let hsm = bench.open_faulty();
        let key = bench.key(&hsm, KeyType::P256);
        bench.forget_calls();
        for key_type in [KeyType::Rsa2048, KeyType::P384, KeyType::Ed25519] {
            let error = refused(signing::sign(&bench, &hsm, &key, key_type.default_scheme()));
            assert!(matches!(error, HsmError::SchemeNotForKey { .. }), "{error}");
        }
        assert!(bench.calls().is_empty());
    });
}

/// `openssl req -verify` and what it prints.
#[test]
fn destroyed_key_is_gone_with_its_certificate() {
    alone(|bench| {
        let hsm = bench.open();
        let empty = bench.block_on(hsm.key_set_digest()).unwrap();
        let key = bench.key(&hsm, KeyType::P256);
        bench.block_on(hsm.install_certificate(&key, &certify(&key.spki_der))).unwrap();
        bench.block_on(hsm.destroy(&key)).unwrap();
        let error = refused(signing::sign(&bench, &hsm, &key, KeyType::P256.default_scheme()));
        assert!(matches!(error, HsmError::NotInService { .. }), "{error}");
        assert_eq!(bench.block_on(hsm.key_set_digest()).unwrap(), empty);
        bench.block_on(hsm.destroy(&key)).unwrap();
        bench.block_on(hsm.shutdown());
        bench.tamper(|session| assert!(session.find_objects(&[]).unwrap().is_empty()));
    });
}

#[test]
fn destroying_under_a_wrong_public_key_is_refused() {
    alone(|bench| {
        let hsm = bench.open();
        let key = bench.key(&hsm, KeyType::P256);
        let other = bench.key(&hsm, KeyType::P256);
        let mixed = HolderKey { spki_der: other.spki_der.clone(), ..(*key).clone() };
        assert_eq!(fault(refused(bench.block_on(hsm.destroy(&mixed)))), KeyFault::OtherPublicKey);
        signing::sign(&bench, &hsm, &key, KeyType::P256.default_scheme()).unwrap();
    });
}

/// Copies a directory tree of plain files.
fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn token_rolled_back_to_yesterday_is_noticed() {
    alone(|bench| {
        let digest = |hsm: &Hsm| bench.block_on(hsm.key_set_digest()).unwrap();
        let hsm = bench.open();
        bench.key(&hsm, KeyType::P256);
        let yesterday = digest(&hsm);
        bench.block_on(hsm.shutdown());
        let (tokens, backup) = (bench.dir.join("tokens"), bench.dir.join("backup"));
        copy_tree(&tokens, &backup);

        let hsm = bench.open();
        assert_eq!(digest(&hsm), yesterday, "the digest depends on more than the objects");
        bench.key(&hsm, KeyType::P256);
        let today = digest(&hsm);
        assert_ne!(today, yesterday);
        bench.block_on(hsm.shutdown());
        let hsm = bench.open();
        assert_eq!(digest(&hsm), today, "kept up to date and read anew differ");
        bench.block_on(hsm.shutdown());

        std::fs::remove_dir_all(&tokens).unwrap();
        copy_tree(&backup, &tokens);
        let hsm = bench.open();
        assert_eq!(digest(&hsm), yesterday);
    });
}

#[test]
fn full_token_is_named_and_signing_goes_on() {
    alone(|bench| {
        let hsm = bench.open_faulty();
        let key = bench.key(&hsm, KeyType::P256);
        bench.faults("C_GenerateKeyPair CKR_DEVICE_MEMORY 1\nC_CreateObject CKR_DEVICE_MEMORY 1");
        let error = refused(bench.block_on(hsm.generate(KeyType::P256)));
        assert!(matches!(error, HsmError::TokenFull(_)), "{error}");
        let error = refused(bench.block_on(hsm.install_certificate(&key, &certify(&key.spki_der))));
        assert!(matches!(error, HsmError::TokenFull(_)), "{error}");
        signing::sign(&bench, &hsm, &key, KeyType::P256.default_scheme()).unwrap();
        assert_eq!(hsm.status().counters.reinitialisations, 0);
    });
}

#[test]
fn pair_that_came_after_its_deadline_is_destroyed() {
    alone(|bench| {
        let config = crate::HsmConfig { admin_deadline_ms: 1_000, ..bench.faulty_config() };
        let hsm = Hsm::open(config, pin()).unwrap();
        let empty = bench.block_on(hsm.key_set_digest()).unwrap();
        bench.faults("C_GenerateKeyPair sleep 2s 1");
        let error = refused(bench.block_on(hsm.generate(KeyType::P256)));
        assert!(matches!(error, HsmError::Deadline), "{error}");
        eventually("the pair is gone", || bench.count("C_DestroyObject") == 2);
        assert_eq!(bench.block_on(hsm.key_set_digest()).unwrap(), empty);
        bench.block_on(hsm.shutdown());
        bench.tamper(|session| assert!(session.find_objects(&[]).unwrap().is_empty()));
    });
}

#[test]
fn keys_are_loaded_at_start_in_one_enumeration() {
    alone(|bench| {
        let hsm = bench.open_faulty();
        let made: Vec<_> = (0..5).map(|_| bench.key(&hsm, KeyType::P256)).collect();
        bench.block_on(hsm.shutdown());
        bench.forget_calls();
        let hsm = bench.open_faulty();
        let loaded = bench.block_on(hsm.load_all(made.clone())).unwrap();
        assert_eq!((loaded.in_service, loaded.refused.len()), (5, 0));
        assert_eq!(bench.count("C_FindObjectsInit"), 1);
        assert_eq!(hsm.status().keys_in_service, 5);

        // What changed since is not answered from that enumeration.
        let later = Arc::new(HolderKey::from(bench.block_on(hsm.generate(KeyType::P256)).unwrap()));
        bench.block_on(hsm.destroy(&made[0])).unwrap();
        let loaded = bench.block_on(hsm.load_all(vec![later, Arc::clone(&made[0])])).unwrap();
        assert_eq!(loaded.in_service, 1);
        assert_eq!(fault(loaded.refused.into_iter().next().unwrap()), KeyFault::PrivateKeys(0));
    });
}

#[test]
fn making_a_key_searches_nothing() {
    alone(|bench| {
        let hsm = bench.open_faulty();
        bench.key(&hsm, KeyType::P256);
        bench.forget_calls();
        let key = Arc::new(HolderKey::from(bench.block_on(hsm.generate(KeyType::P256)).unwrap()));
        bench.block_on(hsm.certification_request(&key, SUBJECT)).unwrap();
        bench.block_on(hsm.install_certificate(&key, &certify(&key.spki_der))).unwrap();
        assert_eq!(bench.count("C_FindObjectsInit"), 0);
        assert_eq!(bench.count("C_GenerateKeyPair"), 1);
    });
}
