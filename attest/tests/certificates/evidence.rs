//! Evidence of a card: real handshakes verify, and each thing that is wrong with one is found alone.

use crate::pki::Draft;
use crate::pki::NOW;
use crate::pki::World;
use crate::pki::earlier;
use crate::pki::later;
use crate::tls::Capture;
use crate::tls::HOST;
use crate::tls::Handshake;
use crate::tls::Server;
use crate::tls::server_config;
use attest::clock::UnixSeconds;
use attest::evidence::CardEvidence;
use attest::evidence::CardKind;
use attest::evidence::EvidenceError;
use attest::evidence::Expectations;
use attest::evidence::MAX_TRANSCRIPT_BYTES;
use attest::path::signature::SignatureFault;
use attest::records::Fingerprint;
use proptest::prelude::*;
use rcgen::KeyPair;
use rcgen::RsaKeySize;
use rustls::ServerConnection;
use rustls::SignatureScheme;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// A good handshake with the certificate that the server used.
struct Good {
    server: Fingerprint,
    evidence: CardEvidence,
}

fn good() -> Good {
    let server = Server::new();
    let card = World::new().ca.card();
    let evidence = Handshake::new(&server, vec![card.der], card.key.serialize_der()).run();
    Good { server: Fingerprint::of(&server.der), evidence }
}

fn expecting(server: &Fingerprint) -> Expectations<'_> {
    Expectations {
        kind: CardKind::Hpki,
        host: HOST,
        server_certificates: std::slice::from_ref(server),
        not_before: earlier(60),
        now: later(60),
        max_age: Duration::from_secs(120),
    }
}

fn verify(good: &Good, evidence: &CardEvidence) -> Result<(), EvidenceError> {
    evidence.verify(&expecting(&good.server)).map(|_| ())
}

#[test]
fn real_handshake_is_evidence() {
    let good = good();
    let verified = good.evidence.verify(&expecting(&good.server)).unwrap();
    assert_eq!(verified.leaf_der(), good.evidence.leaf_der);
    assert_eq!(verified.handshake_at(), NOW);
    assert_eq!(verified.digest(), &good.evidence.digest());
}

#[test]
fn evidence_of_a_good_card_is_judged() {
    let world = World::new();
    let server = Server::new();
    let card = world.ca.card();
    let evidence = Handshake::new(&server, vec![card.der], card.key.serialize_der()).run();
    let verified = evidence.verify(&expecting(&Fingerprint::of(&server.der))).unwrap();
    let identity = world.judge.judge_card(&verified, NOW).unwrap();
    assert_eq!(identity.subject, "CN=Sanjushi Kagurazaka,C=JP");
}

#[test]
fn evidence_of_one_kind_of_card_never_serves_as_the_others() {
    let good = good();
    let jpki = CardEvidence { kind: CardKind::Jpki, ..good.evidence.clone() };
    let expected = Expectations { kind: CardKind::Jpki, ..expecting(&good.server) };
    assert_eq!(verify(&good, &jpki), Err(EvidenceError::OtherKind));
    assert_eq!(good.evidence.verify(&expected).unwrap_err(), EvidenceError::OtherKind);
    assert_eq!(jpki.verify(&expected).unwrap().kind(), CardKind::Jpki);
    assert_ne!(jpki.digest(), good.evidence.digest(), "the digest says which card it was");
    assert_eq!(jpki.replay_key(), good.evidence.replay_key(), "one handshake serves once");
}

#[test]
fn evidence_of_an_hpki_card_has_the_form_it_always_had() {
    let good = good();
    let json = serde_json::to_value(&good.evidence).unwrap();
    let names: BTreeSet<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let always = ["leaf_der", "transcript", "signature_scheme", "signature", "handshake_at"];
    assert_eq!(names, always.into());
    let jpki = CardEvidence { kind: CardKind::Jpki, ..good.evidence };
    assert_eq!(serde_json::to_value(&jpki).unwrap()["kind"], "jpki");
}

#[test]
fn evidence_can_be_checked_again_from_its_json_alone() {
    let good = good();
    let json = serde_json::to_string(&good.evidence).unwrap();
    assert!(json.len() < 96 * 1024, "fits one record");
    let read: CardEvidence = serde_json::from_str(&json).unwrap();
    assert_eq!(read, good.evidence);
    assert_eq!(verify(&good, &read), Ok(()));
    let with_more = json.replacen('{', "{\"more\":1,", 1);
    assert!(serde_json::from_str::<CardEvidence>(&with_more).is_err());
}

#[test]
fn every_scheme_that_cards_and_clients_use_is_verified() {
    let rsa = || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let ec = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let cases: [(KeyPair, SignatureScheme); 10] = [
        (rsa(), SignatureScheme::RSA_PKCS1_SHA256),
        (rsa(), SignatureScheme::RSA_PKCS1_SHA384),
        (rsa(), SignatureScheme::RSA_PKCS1_SHA512),
        (rsa(), SignatureScheme::RSA_PSS_SHA256),
        (rsa(), SignatureScheme::RSA_PSS_SHA384),
        (rsa(), SignatureScheme::RSA_PSS_SHA512),
        (ec(&rcgen::PKCS_ECDSA_P256_SHA256), SignatureScheme::ECDSA_NISTP256_SHA256),
        (ec(&rcgen::PKCS_ECDSA_P384_SHA384), SignatureScheme::ECDSA_NISTP384_SHA384),
        (ec(&rcgen::PKCS_ECDSA_P521_SHA512), SignatureScheme::ECDSA_NISTP521_SHA512),
        (ec(&rcgen::PKCS_ED25519), SignatureScheme::ED25519),
    ];
    let world = World::new();
    let server = Server::new();
    let fingerprint = Fingerprint::of(&server.der);
    for (key, scheme) in cases {
        let key_der = key.serialize_der();
        let card = world.ca.issue_for(Draft::card("A"), key).der;
        let mut handshake = Handshake::new(&server, vec![card], key_der);
        handshake.schemes = vec![scheme];
        let evidence = handshake.run();
        assert_eq!(evidence.signature_scheme, u16::from(scheme));
        evidence.verify(&expecting(&fingerprint)).unwrap_or_else(|e| panic!("{scheme:?}: {e}"));
    }
}

#[test]
fn handshake_for_another_host_is_refused() {
    let good = good();
    let expected = |host| Expectations { host, ..expecting(&good.server) };
    assert!(good.evidence.verify(&expected("CARD.hospital.EXAMPLE")).is_ok());
    for other in ["portal.hospital.example", "card.hospital.example.", "", "ard.hospital.example"] {
        let error = good.evidence.verify(&expected(other)).unwrap_err();
        assert_eq!(error, EvidenceError::Host, "{other}");
    }
}

#[test]
fn handshake_with_another_servers_certificate_is_refused() {
    let good = good();
    let other = Fingerprint::of(&Server::new().der);
    let error = good.evidence.verify(&expecting(&other)).unwrap_err();
    assert_eq!(error, EvidenceError::ServerCertificate);
    let both = [other, good.server.clone()];
    let expected = Expectations { server_certificates: &both, ..expecting(&good.server) };
    assert!(good.evidence.verify(&expected).is_ok(), "two while one is replaced");
}

#[test]
fn freshness_holds_to_the_second() {
    let good = good();
    let at = |handshake_at| CardEvidence { handshake_at, ..good.evidence.clone() };
    // Expectations: not before NOW-60, now NOW+60, at most 120 s old.
    for (time, fresh) in
        [(earlier(61), false), (earlier(60), true), (later(60), true), (later(61), false)]
    {
        assert_eq!(verify(&good, &at(time)).is_ok(), fresh, "{time:?}");
    }
    let expected = Expectations {
        not_before: UnixSeconds(0),
        max_age: Duration::from_secs(119),
        ..expecting(&good.server)
    };
    assert!(at(earlier(59)).verify(&expected).is_ok());
    let error = at(earlier(60)).verify(&expected).unwrap_err();
    assert_eq!(error, EvidenceError::NotFresh("it is too old"));
}

#[test]
fn leaf_other_than_the_signed_one_is_refused() {
    let good = good();
    let other = World::new().ca.card().der;
    let evidence = CardEvidence { leaf_der: other, ..good.evidence.clone() };
    assert_eq!(verify(&good, &evidence), Err(EvidenceError::OtherLeaf));
}

#[test]
fn signature_of_another_key_is_refused() {
    let good = good();
    let server = Server::new();
    let card = World::new().ca.card();
    let other = Handshake::new(&server, vec![card.der], card.key.serialize_der()).run();
    let evidence = CardEvidence { signature: other.signature, ..good.evidence.clone() };
    let mismatch = Err(EvidenceError::Signature(SignatureFault::Mismatch));
    assert_eq!(verify(&good, &evidence), mismatch);
}

#[test]
fn scheme_other_than_the_one_used_is_refused() {
    let good = good();
    let with = |signature_scheme| {
        verify(&good, &CardEvidence { signature_scheme, ..good.evidence.clone() })
    };
    assert_eq!(with(0x0201), Err(EvidenceError::SignatureScheme(0x0201)), "SHA-1");
    assert_eq!(with(0x0401), Err(EvidenceError::Signature(SignatureFault::Key)));
    assert_eq!(with(0x0503), Err(EvidenceError::Signature(SignatureFault::Mismatch)));
}

#[test]
fn certificate_of_ours_shown_by_a_stranger_is_refused() {
    // In TLS 1.2 a client signs before it knows that the server has the key of the certificate shown. Here a stranger's
    // own handshake is made to show our certificate; our signature over the key exchange cannot be had.
    let (ours, stranger) = (Server::new(), Server::new());
    let card = World::new().ca.card();
    let evidence =
        Handshake::new(&stranger, vec![card.der.clone()], card.key.serialize_der()).run();
    let transcript = replace_certificate(&evidence.transcript, &stranger.der, &ours.der);
    let signature = card.key_signature(&transcript);
    let forged = CardEvidence { transcript, signature, ..evidence };
    let error = forged.verify(&expecting(&Fingerprint::of(&ours.der))).unwrap_err();
    assert_eq!(error, EvidenceError::ServerKeyExchange);
}

impl crate::pki::Leaf {
    fn key_signature(&self, message: &[u8]) -> Vec<u8> {
        rcgen::SigningKey::sign(&self.key, message).unwrap()
    }
}

/// A transcript with another first certificate of the server; lengths are put right.
fn replace_certificate(transcript: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut messages = messages(transcript);
    let length = |octets: &[u8]| octets.len().to_be_bytes()[5..].to_vec();
    let place = messages.iter().position(|message| message[0] == 11).unwrap();
    assert!(messages[place].ends_with(old));
    let entry = [length(new), new.to_vec()].concat();
    let list = [length(&entry), entry].concat();
    messages[place] = [vec![11], length(&list), list].concat();
    messages.concat()
}

/// Handshake messages with their headers.
fn messages(mut transcript: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while !transcript.is_empty() {
        let length = usize::from(transcript[1]) << 16
            | usize::from(transcript[2]) << 8
            | usize::from(transcript[3]);
        let (message, rest) = transcript.split_at(4 + length);
        messages.push(message.to_vec());
        transcript = rest;
    }
    messages
}

/// Evidence whose transcript was changed and signed again by the card: what only the checks on the messages can find.
fn resigned(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Result<(), EvidenceError> {
    let server = Server::new();
    let card = World::new().ca.card();
    let leaf = card.der.clone();
    let evidence = Handshake::new(&server, vec![leaf], card.key.serialize_der()).run();
    let mut messages = messages(&evidence.transcript);
    change(&mut messages);
    let transcript = messages.concat();
    let signature = card.key_signature(&transcript);
    let evidence = CardEvidence { transcript, signature, ..evidence };
    let fingerprint = Fingerprint::of(&server.der);
    evidence.verify(&expecting(&fingerprint)).map(|_| ())
}

#[test]
fn messages_come_in_their_order_and_none_is_missing_or_more() {
    assert_eq!(resigned(|_| ()), Ok(()));
    let order = [
        "ClientHello",
        "ServerHello",
        "Certificate",
        "ServerKeyExchange",
        "CertificateRequest",
        "ServerHelloDone",
        "client Certificate",
        "ClientKeyExchange",
    ];
    for (index, name) in order.iter().enumerate() {
        let missing = resigned(|messages| drop(messages.remove(index)));
        assert!(matches!(missing, Err(EvidenceError::Transcript(_))), "{name}: {missing:?}");
        let twice = resigned(|messages| messages.insert(index, messages[index].clone()));
        assert!(matches!(twice, Err(EvidenceError::Transcript(_))), "{name}: {twice:?}");
    }
    let swapped = resigned(|messages| messages.swap(3, 4));
    assert_eq!(swapped, Err(EvidenceError::Transcript("ServerKeyExchange")));
    let more = resigned(|messages| messages.push(vec![20, 0, 0, 0]));
    assert_eq!(more, Err(EvidenceError::Transcript("trailing messages")));
}

#[test]
fn handshake_without_extended_master_secret_is_refused() {
    let without = resigned(|messages| {
        let hello = &mut messages[1];
        let place = hello.windows(4).position(|four| four == [0, 23, 0, 0]).unwrap();
        hello[place + 1] = 99;
    });
    assert_eq!(without, Err(EvidenceError::NoExtendedMasterSecret));
}

#[test]
fn handshake_of_another_version_is_refused() {
    for message in [0, 1] {
        let other = resigned(|messages| messages[message][5] = 2);
        assert_eq!(other, Err(EvidenceError::Version), "message {message}");
    }
    let tls13 = resigned(|messages| {
        // The extended_master_secret becomes a supported_versions extension.
        let hello = &mut messages[1];
        let place = hello.windows(4).position(|four| four == [0, 23, 0, 0]).unwrap();
        hello[place + 1] = 43;
    });
    assert_eq!(tls13, Err(EvidenceError::Version));
}

#[test]
fn cipher_suite_without_forward_secrecy_is_refused() {
    let rsa = resigned(|messages| {
        let hello = &mut messages[1];
        let session = usize::from(hello[38]);
        hello[39 + session..41 + session].copy_from_slice(&[0x00, 0x9c]);
    });
    assert_eq!(rsa, Err(EvidenceError::CipherSuite(0x009c)));
}

#[test]
fn randoms_and_key_exchange_are_under_our_signature() {
    for (message, octet) in [(0, 10), (1, 10), (3, 20)] {
        let changed = resigned(|messages| messages[message][octet] ^= 1);
        assert_eq!(changed, Err(EvidenceError::ServerKeyExchange), "message {message}");
    }
}

#[test]
fn replay_key_does_not_depend_on_what_others_can_change() {
    let good = good();
    let mut other = good.evidence.clone();
    other.handshake_at = later(5);
    other.signature.push(0);
    assert_eq!(other.replay_key(), good.evidence.replay_key());
    assert_ne!(other.digest(), good.evidence.digest());
    assert_ne!(self::good().evidence.replay_key(), good.evidence.replay_key());
}

#[test]
fn c16_odd_chains_are_read_by_their_first_certificate() {
    let world = World::new();
    let server = Server::new();
    let card = world.ca.card();
    let (root, ca) = (world.root.der.clone(), world.ca.der.clone());
    let chains = [
        vec![card.der.clone(), root.clone(), ca.clone()],
        vec![card.der.clone(), card.der.clone(), ca.clone(), ca.clone()],
    ];
    for chain in chains {
        let evidence = Handshake::new(&server, chain, card.key.serialize_der()).run();
        let verified = evidence.verify(&expecting(&Fingerprint::of(&server.der))).unwrap();
        assert!(world.judge.judge_card(&verified, NOW).is_ok());
    }
}

#[test]
fn c16_parts_longer_than_their_limits_are_refused() {
    let good = good();
    let long = |transcript| CardEvidence { transcript, ..good.evidence.clone() };
    let past = verify(&good, &long(vec![0; MAX_TRANSCRIPT_BYTES + 1]));
    assert_eq!(past, Err(EvidenceError::TooLarge("transcript")));
    let at = verify(&good, &long(vec![0; MAX_TRANSCRIPT_BYTES]));
    assert!(matches!(at, Err(EvidenceError::Transcript(_))));
    let leaf_der = vec![0x30; 100 * 1024];
    let leaf = CardEvidence { leaf_der, ..good.evidence.clone() };
    assert_eq!(verify(&good, &leaf), Err(EvidenceError::TooLarge("certificate")));
    let json = serde_json::to_string(&long(vec![0; 100 * 1024])).unwrap();
    assert!(serde_json::from_str::<CardEvidence>(&json).is_err());
}

#[test]
fn rsa_card_in_openssl_is_evidence() {
    // An independent client with an RSA card, PKCS#1 v1.5 only, as today's cards are.
    let world = World::new();
    let server = Server::new();
    let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let key_pem = key.serialize_pem();
    let card = world.ca.issue_for(Draft::card("A"), key).der;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("card.key"), key_pem).unwrap();
    std::fs::write(folder.path().join("card.der"), &card).unwrap();
    let capture = Arc::new(Capture::new(vec![SignatureScheme::RSA_PKCS1_SHA256]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", HOST, "-cert", "card.der"])
        .args(["-certform", "DER", "-key", "card.key", "-quiet", "-no_ign_eof"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut tcp, _) = listener.accept().unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut tls = ServerConnection::new(server_config(&server, &capture)).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).unwrap();
    }
    let leaf = tls.peer_certificates().unwrap()[0].to_vec();
    tls.send_close_notify();
    let _ = tls.complete_io(&mut tcp);
    drop(tcp);
    client.wait().unwrap();
    let evidence = capture.evidence(leaf, NOW);
    assert_eq!(evidence.signature_scheme, 0x0401);
    let verified = evidence.verify(&expecting(&Fingerprint::of(&server.der))).unwrap();
    assert!(world.judge.judge_card(&verified, NOW).is_ok());
}

#[test]
fn every_flipped_bit_of_the_messages_is_found() {
    let good = good();
    for index in 0..good.evidence.transcript.len() {
        let mut evidence = good.evidence.clone();
        evidence.transcript[index] ^= 0x01;
        assert!(verify(&good, &evidence).is_err(), "octet {index}");
    }
}

proptest! {
    #[test]
    fn damaged_messages_do_not_panic(index: prop::sample::Index, octets: [u8; 3], cut: prop::sample::Index) {
        static GOOD: OnceLock<CardEvidence> = OnceLock::new();
        let mut evidence = GOOD.get_or_init(|| good().evidence).clone();
        let place = index.index(evidence.transcript.len() - 3);
        evidence.transcript[place..place + 3].copy_from_slice(&octets);
        let server = Fingerprint::of(b"");
        prop_assert!(evidence.verify(&expecting(&server)).is_err());
        evidence.transcript.truncate(cut.index(evidence.transcript.len()));
        prop_assert!(evidence.verify(&expecting(&server)).is_err());
    }

    #[test]
    fn arbitrary_messages_do_not_panic(transcript in proptest::collection::vec(any::<u8>(), 0..400)) {
        let evidence = CardEvidence {
            kind: CardKind::Hpki,
            leaf_der: vec![],
            transcript,
            signature_scheme: 0x0401,
            signature: vec![],
            handshake_at: NOW,
        };
        let server = Fingerprint::of(b"");
        prop_assert!(evidence.verify(&expecting(&server)).is_err());
    }
}
