//! OCSP: each condition of RFC 6960 §3.2 kept, and each broken alone. OpenSSL's responder answers, too.

mod world;

use self::world::Answer;
use self::world::RULES;
use self::world::World;
use self::world::after;
use self::world::good;
use self::world::key_hash;
use self::world::name_of;
use self::world::parse;
use self::world::responder;
use self::world::responder_to_check;
use self::world::time;
use self::world::unknown_extension;
use crate::pki::Ca;
use crate::pki::DAY;
use crate::pki::Draft;
use crate::pki::Leaf;
use crate::pki::NOW;
use crate::pki::earlier;
use crate::pki::extension;
use crate::pki::later;
use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::path::signature::SignatureFault;
use attest::revocation::CrlFault;
use attest::revocation::NotGood;
use attest::revocation::RevocationReason;
use attest::validity::CLOCK_SKEW_SECONDS;
use attest::validity::CertIdHash;
use attest::validity::MAX_ANSWERS;
use attest::validity::MAX_CERTIFICATES;
use attest::validity::MAX_RESPONSE_BYTES;
use attest::validity::OcspFault;
use attest::validity::OcspQuestion;
use attest::validity::OcspRules;
use attest::validity::PeriodFault;
use attest::validity::UNDATED_SECONDS;
use attest::validity::Validity;
use certval::ocsp::CertStatus;
use certval::ocsp::OcspResponse;
use certval::ocsp::ResponderId;
use certval::ocsp::RevokedInfo;
use certval::ocsp::SingleResponse;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc6960::ID_PKIX_OCSP_NONCE;
use der::Decode;
use der::Encode;
use der::asn1::OctetString;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyUsagePurpose;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;

#[test]
fn answer_of_the_issuer_is_believed_until_its_end() {
    let world = World::new();
    assert_eq!(world.changed(|_| {}), good(later(DAY)));
    let by_key = |answer: &mut Answer| {
        answer.data.responder_id = ResponderId::ByKey(key_hash(&world.ca.der));
    };
    assert_eq!(world.changed(by_key), good(later(DAY)));
    let sha1 = World { rules: OcspRules { hash: CertIdHash::Sha1, ..RULES }, ..World::new() };
    assert_eq!(sha1.changed(|_| {}), good(later(DAY)));
}

#[test]
fn revoked_and_unknown_are_not_good() {
    let world = World::new();
    let revoked = |revocation_reason| {
        let info = RevokedInfo { revocation_time: time(earlier(DAY)), revocation_reason };
        world.changed(|answer| answer.single().cert_status = CertStatus::revoked(info))
    };
    let at = earlier(DAY);
    let reason = RevocationReason::AffiliationChanged;
    assert_eq!(revoked(Some(CrlReason::AffiliationChanged)), Ok(Validity::Revoked { at, reason }));
    let reason = RevocationReason::Unspecified;
    assert_eq!(revoked(None), Ok(Validity::Revoked { at, reason }));
    let unknown = world.changed(|answer| answer.single().cert_status = CertStatus::unknown());
    assert_eq!(unknown, Err(OcspFault::Unknown));
}

#[test]
fn c8_answer_about_another_certificate_is_none() {
    let world = World::new();
    let other = World::new();
    let about = |change: fn(&mut SingleResponse, &SingleResponse)| {
        world.changed(|answer| {
            let (card, issuer) = (parse(&other.card.der), parse(&other.ca.der));
            let question = OcspQuestion::new(&card, &issuer, RULES).unwrap();
            let theirs = Answer::to(&question.to_der().unwrap(), issuer.subject());
            change(answer.single(), &theirs.data.responses[0]);
        })
    };
    let refused = Err(OcspFault::OtherCertificate);
    let serial = about(|a, b| a.cert_id.serial_number = b.cert_id.serial_number.clone());
    assert_eq!(serial, refused);
    let key = about(|a, b| a.cert_id.issuer_key_hash = b.cert_id.issuer_key_hash.clone());
    assert_eq!(key, refused, "another generation of the same name");
    let name = about(|a, _| a.cert_id.issuer_name_hash = OctetString::new([7; 32]).unwrap());
    assert_eq!(name, refused);
    let hash = about(|a, _| {
        a.cert_id.hash_algorithm.oid = const_oid::db::rfc5912::ID_SHA_384;
    });
    assert_eq!(hash, refused);
    let none = world.changed(|answer| answer.data.responses.clear());
    assert_eq!(none, refused);
    let without_parameters =
        world.changed(|answer| answer.single().cert_id.hash_algorithm.parameters = None);
    assert_eq!(without_parameters, good(later(DAY)), "NULL and nothing are the same");
}

#[test]
fn two_answers_about_one_certificate_are_none() {
    let world = World::new();
    let twice = world.changed(|answer| {
        let mut second = answer.single().clone();
        second.cert_status = CertStatus::unknown();
        answer.data.responses.push(second);
    });
    assert_eq!(twice, Err(OcspFault::Twice));
}

#[test]
fn c8_nonce_comes_back_as_it_was_sent() {
    let world = World::new();
    let with = |extensions: Vec<Extension>| {
        world.changed(|answer| answer.data.response_extensions = Some(extensions))
    };
    let nonce = |octets: &[u8]| Extension {
        extn_id: ID_PKIX_OCSP_NONCE,
        critical: false,
        extn_value: OctetString::new(OctetString::new(octets).unwrap().to_der().unwrap()).unwrap(),
    };
    assert_eq!(world.changed(|a| a.data.response_extensions = None), Err(OcspFault::Nonce));
    assert_eq!(with(vec![nonce(&[7; 32])]), Err(OcspFault::Nonce), "another one");
    let twice = world.changed(|answer| {
        answer.data.response_extensions.as_mut().unwrap().push(nonce(&[7; 32]));
    });
    assert_eq!(twice, Err(OcspFault::Nonce), "and another one");
    let shorter = world.changed(|answer| {
        let sent = &answer.data.response_extensions.as_ref().unwrap()[0];
        let sent = OctetString::from_der(sent.extn_value.as_bytes()).unwrap();
        assert_eq!(sent.as_bytes().len(), 32);
        answer.data.response_extensions = Some(vec![nonce(&sent.as_bytes()[..31])]);
    });
    assert_eq!(shorter, Err(OcspFault::Nonce));
    let without = World { rules: OcspRules { nonce: false, ..RULES }, ..World::new() };
    let sent = |answer: &mut Answer| assert!(answer.data.response_extensions.is_none());
    assert_eq!(without.changed(sent), good(later(DAY)), "none sent, none wanted");
}

#[test]
fn responder_that_the_issuers_key_certified_for_answers_may_answer() {
    let world = World::new();
    assert_eq!(world.delegated(&world.ca, responder()), good(later(DAY)));
    let responder = world.ca.issue(responder());
    let by_key = world.signed_by(&responder.key, |answer| {
        answer.data.responder_id = ResponderId::ByKey(key_hash(&responder.der));
        answer.certificates = vec![world.ca.der.clone(), responder.der.clone()];
    });
    assert_eq!(by_key, good(later(DAY)));
}

#[test]
fn c8_responder_that_may_not_answer_is_refused_for_each_reason() {
    let world = World::new();
    let refused = |by: &Ca, draft: Draft| match world.delegated(by, draft) {
        Err(OcspFault::NotAuthorised(why)) => why,
        other => panic!("{other:?}"),
    };
    let key = "the issuer's key did not sign its certificate";
    assert_eq!(refused(&world.ca.impostor(), responder()), key, "another generation of one name");
    assert_eq!(refused(&Ca::root("Elsewhere"), responder()), key);
    assert!(refused(&world.ca, responder().with_extended(&[])).contains("OCSPSigning"));
    let other = responder().with_extended(&[ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(refused(&world.ca, other).contains("OCSPSigning"));
    let agrees = responder().with_key_usages(&[KeyUsagePurpose::KeyAgreement]);
    assert!(refused(&world.ca, agrees).contains("key usage"));
    let mut critical = responder();
    critical.params.custom_extensions.push(extension(&[1, 2, 3, 4], vec![5, 0], true));
    assert!(refused(&world.ca, critical).contains("critical extension"));
    let not_now = "its certificate is not valid now";
    assert_eq!(refused(&world.ca, responder().valid(earlier(DAY), earlier(1))), not_now);
    assert_eq!(refused(&world.ca, responder().valid(later(1), later(DAY))), not_now);
    for valid in [responder().valid(earlier(DAY), NOW), responder().valid(NOW, later(DAY))] {
        assert_eq!(world.delegated(&world.ca, valid), good(later(DAY)), "both ends count");
    }
}

#[test]
fn responder_without_nocheck_must_not_be_revoked_itself() {
    let world = World::new();
    let responder = world.ca.issue(responder_to_check());
    let read = |lists: fn(&Certificate) -> Result<UnixSeconds, NotGood>| {
        let respond = |request: &[u8]| {
            let mut answer = Answer::to(request, &name_of(&responder.der));
            answer.certificates = vec![responder.der.clone()];
            answer.sign(&responder.key)
        };
        world.read_by(respond, lists)
    };
    assert_eq!(read(|_| Ok(later(1))), good(later(DAY)));
    let revoked =
        read(|_| Err(NotGood::Revoked { at: earlier(1), reason: RevocationReason::KeyCompromise }));
    assert_eq!(revoked, Err(OcspFault::ResponderRevoked));
    let missing = || CrlFault::Missing { issuer: "CN=JPKI".to_owned() };
    let unknown =
        read(|_| Err(NotGood::Unknown(CrlFault::Missing { issuer: "CN=JPKI".to_owned() })));
    assert_eq!(unknown, Err(OcspFault::ResponderUnknown(missing())));
}

#[test]
fn c8_signature_of_somebody_else_is_refused() {
    let world = World::new();
    let mismatch = Err(OcspFault::Signature(SignatureFault::Mismatch));
    let impostor = world.ca.impostor();
    assert_eq!(world.signed_by(impostor.key(), |_| {}), mismatch, "the issuer's name, another key");
    let responder = world.ca.issue(responder());
    let borrowed = world.changed(|answer| {
        answer.data.responder_id = ResponderId::ByName(name_of(&responder.der));
        answer.certificates = vec![responder.der.clone()];
    });
    assert_eq!(borrowed, mismatch, "a responder's certificate without its key");
    let absent = world.signed_by(&responder.key, |answer| {
        answer.data.responder_id = ResponderId::ByName(name_of(&responder.der));
    });
    assert_eq!(absent, Err(OcspFault::NoResponder));
}

#[test]
fn every_octet_that_is_changed_is_noticed() {
    let world = World::new();
    let (card, issuer) = (parse(&world.card.der), parse(&world.ca.der));
    let question = OcspQuestion::new(&card, &issuer, RULES).unwrap();
    let response = Answer::to(&question.to_der().unwrap(), issuer.subject()).sign(world.ca.key());
    let read = |octets: &[u8]| question.read(octets, NOW, &|_| Ok(NOW));
    assert!(read(&response).is_ok());
    for at in 0..response.len() {
        assert!(read(&response[..at]).is_err(), "cut at {at}");
        let mut changed = response.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "changed at {at}");
    }
    assert!(read(&[response.clone(), vec![0]].concat()).is_err(), "something behind it");
}

#[test]
fn c8_times_hold_to_the_second() {
    let world = World::new();
    let this_update =
        |at: UnixSeconds| world.changed(|answer| answer.single().this_update = time(at));
    assert_eq!(this_update(later(CLOCK_SKEW_SECONDS)), good(later(DAY)));
    let future = later(CLOCK_SKEW_SECONDS + 1);
    assert_eq!(this_update(future), Err(OcspFault::Period(PeriodFault::Future(future))));
    let produced = |at: UnixSeconds| world.changed(|answer| answer.data.produced_at = time(at));
    assert_eq!(produced(later(CLOCK_SKEW_SECONDS)), good(later(DAY)));
    assert_eq!(produced(future), Err(OcspFault::Period(PeriodFault::Future(future))));
    let next_update =
        |at: UnixSeconds| world.changed(|answer| answer.single().next_update = Some(time(at)));
    assert_eq!(next_update(NOW), good(NOW));
    assert_eq!(next_update(earlier(1)), Err(OcspFault::Period(PeriodFault::Over(earlier(1)))));
    assert_eq!(next_update(earlier(3601)), Err(OcspFault::Period(PeriodFault::Empty)));
}

#[test]
fn answer_without_an_end_is_believed_for_a_while_only() {
    let world = World::new();
    let undated = |at: UnixSeconds| {
        world.changed(|answer| {
            answer.single().this_update = time(at);
            answer.single().next_update = None;
        })
    };
    assert_eq!(undated(NOW), good(later(UNDATED_SECONDS)));
    assert_eq!(undated(earlier(UNDATED_SECONDS)), good(NOW));
    let over = undated(earlier(UNDATED_SECONDS + 1));
    assert_eq!(over, Err(OcspFault::Period(PeriodFault::Over(earlier(1)))));
}

#[test]
fn answer_is_too_old_at_the_maximal_age_whatever_it_says_of_its_end() {
    let world = World::new();
    let from = |at: UnixSeconds| world.changed(|answer| answer.single().this_update = time(at));
    assert_eq!(from(earlier(10 * DAY)), good(NOW));
    assert_eq!(from(earlier(10 * DAY + 1)), Err(OcspFault::Period(PeriodFault::Over(earlier(1)))));
}

#[test]
fn critical_extension_that_is_not_understood_ends_it() {
    let world = World::new();
    let whole = |critical| {
        world.changed(|answer| {
            let extensions = answer.data.response_extensions.as_mut().unwrap();
            extensions.push(unknown_extension(critical));
        })
    };
    let single = |critical| {
        world.changed(|answer| {
            answer.single().single_extensions = Some(vec![unknown_extension(critical)]);
        })
    };
    let refused = Err(OcspFault::CriticalExtension("1.2.3.4".to_owned()));
    assert_eq!((whole(true), single(true)), (refused.clone(), refused));
    assert_eq!((whole(false), single(false)), (good(later(DAY)), good(later(DAY))));
}

#[test]
fn counts_hold_at_their_limits_and_not_past_them() {
    let world = World::new();
    let certificates = |count: usize| {
        world.changed(|answer| answer.certificates = vec![world.card.der.clone(); count])
    };
    assert_eq!(certificates(MAX_CERTIFICATES), good(later(DAY)));
    assert_eq!(certificates(MAX_CERTIFICATES + 1), Err(OcspFault::TooMany("certificates")));
    let answers = |count: usize| {
        world.changed(|answer| {
            let mut other = answer.single().clone();
            other.cert_id.issuer_name_hash = OctetString::new([7; 32]).unwrap();
            answer.data.responses.resize(count, other);
        })
    };
    assert_eq!(answers(MAX_ANSWERS), good(later(DAY)));
    assert_eq!(answers(MAX_ANSWERS + 1), Err(OcspFault::TooMany("answers")));
}

#[test]
fn c8_size_limit_holds_to_the_octet() {
    let world = World::new();
    let of_length = |length: usize| {
        world.read(|request| {
            let mut answer = Answer::to(request, &name_of(&world.ca.der));
            let mut sign = |padding: usize| {
                let mut extension = unknown_extension(false);
                extension.extn_value = OctetString::new(vec![0; padding]).unwrap();
                answer.data.response_extensions.as_mut().unwrap().truncate(1);
                answer.data.response_extensions.as_mut().unwrap().push(extension);
                answer.sign(world.ca.key())
            };
            let half = MAX_RESPONSE_BYTES / 2;
            let padding = length - (sign(half).len() - half);
            // ECDSA signatures differ by an octet or two: signed until the length is the one wanted.
            let mut signed = (0..1_000).map(|_| sign(padding));
            signed.find(|response| response.len() == length).unwrap()
        })
    };
    assert_eq!(of_length(MAX_RESPONSE_BYTES), good(later(DAY)));
    let longer = MAX_RESPONSE_BYTES + 1;
    assert_eq!(of_length(longer), Err(OcspFault::TooLarge(longer)));
}

#[test]
fn responses_without_an_answer_say_who_can_act() {
    let world = World::new();
    let status = |response: OcspResponse| world.read(|_| response.to_der().unwrap());
    assert_eq!(status(OcspResponse::try_later()), Err(OcspFault::Busy("tryLater")));
    assert_eq!(status(OcspResponse::internal_error()), Err(OcspFault::Busy("internalError")));
    for (response, word) in [
        (OcspResponse::malformed_request(), "malformedRequest"),
        (OcspResponse::sig_required(), "sigRequired"),
        (OcspResponse::unauthorized(), "unauthorized"),
    ] {
        assert_eq!(status(response), Err(OcspFault::Refused(word)));
    }
    let other_type = world.read(|request| {
        let response = Answer::to(request, &name_of(&world.ca.der)).sign(world.ca.key());
        let mut response = OcspResponse::from_der(&response).unwrap();
        response.response_bytes.as_mut().unwrap().response_type =
            ObjectIdentifier::new_unwrap("1.2.3.4");
        response.to_der().unwrap()
    });
    assert_eq!(other_type, Err(OcspFault::Type("1.2.3.4".to_owned())));
}

#[test]
fn openssl_understands_the_question_and_its_answer_is_understood() {
    let now = UnixSeconds::from(SystemTime::now());
    let ca = Ca::root("JPKI for user authentication");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let valid = |draft: Draft| draft.valid(UnixSeconds(now.0 - DAY), after(now, DAY));
    let signer = ca.issue(valid(responder()));
    let cards = [ca.card(), ca.card(), ca.card()];
    let [good_card, revoked_card, unknown_card] = &cards;
    std::fs::write(at("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
    std::fs::write(at("responder.pem"), pem("CERTIFICATE", &signer.der)).unwrap();
    std::fs::write(at("responder.key"), signer.key.serialize_pem()).unwrap();
    let index = format!(
        "V\t301231235959Z\t\t{:02X}\tunknown\t/CN=a\n\
         R\t301231235959Z\t260101000000Z,keyCompromise\t{:02X}\tunknown\t/CN=b\n",
        good_card.serial, revoked_card.serial
    );
    std::fs::write(at("index.txt"), index).unwrap();
    for hash in [CertIdHash::Sha256, CertIdHash::Sha1] {
        let ask = |card: &Leaf| {
            let (card, issuer) = (parse(&card.der), parse(&ca.der));
            let question = OcspQuestion::new(&card, &issuer, OcspRules { hash, ..RULES }).unwrap();
            let response = openssl_ocsp(folder.path(), &question.to_der().unwrap());
            question.read(&response, now, &|_| Err(NotGood::Unknown(CrlFault::DistributionPoints)))
        };
        let Ok(Validity::Good { until, predecessor: None }) = ask(good_card) else {
            panic!("{:?}", ask(good_card))
        };
        assert!(until > after(now, 3_000) && until <= after(now, 3_700), "{until}");
        let reason = RevocationReason::KeyCompromise;
        let revoked = Validity::Revoked { at: UnixSeconds(1_767_225_600), reason };
        assert_eq!(ask(revoked_card), Ok(revoked));
        assert_eq!(ask(unknown_card), Err(OcspFault::Unknown));
    }
}

/// OpenSSL's responder, by files instead of a connection.
fn openssl_ocsp(folder: &Path, request: &[u8]) -> Vec<u8> {
    std::fs::write(folder.join("request.der"), request).unwrap();
    let done = Command::new("openssl")
        .args(["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "responder.pem"])
        .args(["-rkey", "responder.key", "-reqin", "request.der", "-respout", "response.der"])
        .args(["-nmin", "60"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::read(folder.join("response.der")).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap()
}
