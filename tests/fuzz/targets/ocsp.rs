//! OCSP responses, as they come from a responder: the octets as they are, or, after a first octet of 1, as the signed part
//! of a response that a CA of ours signs, for a fuzzer signs nothing.
#![no_main]

use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::validity::CertIdHash;
use attest::validity::OcspQuestion;
use attest::validity::OcspRules;
use attest::validity::Validity;
use libfuzzer_sys::fuzz_target;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::SigningKey;
use std::sync::OnceLock;

/// 2027-01-15T08:00:00Z; seeds.py has the same.
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
/// The private key 7: nobody's. seeds.py has the same.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAA\n\
    AAAAAAAAAAAAAAAAAAAAAAAAAAehRANCAASOUztvoL97RiW7MGZ8Aftgfvn4uKgP\n\
    71swBihwMYeyo3PrHb3gMxg2bQafg6b1kABTxzYzywQbIcVeGobB9AC0\n\
    -----END PRIVATE KEY-----\n";

struct World {
    key: KeyPair,
    issuer: Certificate,
    certificate: Certificate,
}

fuzz_target!(|octets: &[u8]| {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(world);
    let rules = OcspRules { hash: CertIdHash::Sha256, nonce: false, max_age_seconds: 864_000 };
    let question = OcspQuestion::new(&world.certificate, &world.issuer, rules).expect("a question");
    let response = match octets.split_first() {
        Some((1, signed)) => sign(&world.key, signed),
        _ => octets.to_vec(),
    };
    let said = question.read(&response, NOW, &|_| Ok(NOW));
    if let Ok(Validity::Good { until, predecessor }) = said {
        assert!(until >= NOW && predecessor.is_none());
    }
});

fn world() -> World {
    let key = KeyPair::from_pem(KEY).expect("a key");
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(7_u64.into());
        params
    };
    let parse = |der: &[u8]| Certificate::from_der(der).expect("a certificate");
    let issuer = parse(named("CA").self_signed(&key).expect("a CA").der());
    let ca = Issuer::new(named("CA"), &key);
    let certificate = parse(named("card").signed_by(&key, &ca).expect("a card").der());
    World { issuer, certificate, key }
}

/// `OCSPResponse` around `signed`.
fn sign(key: &KeyPair, signed: &[u8]) -> Vec<u8> {
    // ecdsa-with-SHA256
    let algorithm = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let signature = [vec![0], key.sign(signed).expect("a signature")].concat();
    let basic = tlv(0x30, &[signed, &algorithm, &tlv(3, &signature)].concat());
    // id-pkix-ocsp-basic
    let kind = [6, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
    let inside = tlv(0x30, &[kind.to_vec(), tlv(4, &basic)].concat());
    tlv(0x30, &[tlv(0x0a, &[0]), tlv(0xa0, &inside)].concat())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|octet| *octet == 0).collect();
    match value.len() {
        0..=127 => [vec![tag, value.len() as u8], value.to_vec()].concat(),
        _ => [vec![tag, 0x80 | length.len() as u8], length, value.to_vec()].concat(),
    }
}
