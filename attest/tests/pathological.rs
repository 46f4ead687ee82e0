//! C3: chains that are made to be expensive are refused within 2 s and 32 MB of memory. Alone in its process, so that the
//! memory counted is its own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may end at once")]

use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::path::CertvalValidator;
use attest::path::MAX_CERTIFICATE_BYTES;
use attest::path::PathError;
use attest::path::PathRequest;
use attest::path::PathValidator;
use attest::path::PolicySettings;
use attest::path::Revocation;
use attest::path::TrustAnchor;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::GeneralSubtree;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::NameConstraints;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use time::OffsetDateTime;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const LIMIT: Duration = Duration::from_secs(2);
const LIMIT_KB: u64 = 32 * 1024;

type Pair = (CertificateParams, KeyPair);

/// One test, so that no other one allocates beside it.
#[test]
fn c3_pathological_chains_are_refused_in_time_and_memory() {
    let root = ca("Root", None);
    let stranger = ca("Stranger", None);
    let anchor = TrustAnchor::from_der(&signed(&root, &root)).unwrap();

    // 1,000 CAs in one chain: the leaf hangs 1,000 below the root.
    let mut chain = Vec::new();
    let mut above = root;
    for depth in 0..1_000 {
        let next = ca(&format!("CA {depth}"), None);
        chain.push(parse(&signed(&next, &above)));
        above = next;
    }
    let leaf = parse(&signed(&ca("Leaf", Some(())), &above));
    refused("deep chain", &anchor, &chain, &leaf, |error| *error == PathError::PathTooLong);

    // 1,000 CAs of one name, none of which signed the leaf.
    let same: Vec<_> = (0..1_000).map(|_| parse(&signed(&ca("Same", None), &stranger))).collect();
    let mut leaf = ca("Leaf", Some(()));
    leaf.0.use_authority_key_identifier_extension = true;
    let leaf = parse(&signed(&leaf, &ca("Same", None)));
    let wanted =
        |error: &PathError| matches!(error, PathError::UnknownIssuer { .. } | PathError::Limit(_));
    refused("one name, many keys", &anchor, &same, &leaf, wanted);

    // 30 CAs, each certified by each other: 870 certificates, a cycle wherever one goes, and no way to the root.
    let mesh: Vec<Pair> = (0..30).map(|index| ca(&format!("Mesh {index}"), None)).collect();
    let mut crossed = Vec::new();
    for subject in &mesh {
        for issuer in mesh.iter().filter(|issuer| !std::ptr::eq(*issuer, subject)) {
            crossed.push(parse(&signed(subject, issuer)));
        }
    }
    let leaf = parse(&signed(&ca("Leaf", Some(())), &mesh[0]));
    refused("mesh", &anchor, &crossed, &leaf, |_| true);

    // More candidates than are taken at all.
    let many: Vec<_> = (0..1_025).map(|_| Arc::clone(&crossed[0])).collect();
    refused("too many", &anchor, &many, &leaf, |error| matches!(error, PathError::Limit(_)));

    // As many name constraints as fit into the longest certificate, against as many names.
    let limited = constrained(1_500);
    let limited_ca = parse(&signed(&limited, &stranger));
    let mut leaf = ca("Leaf", Some(()));
    leaf.0.subject_alt_names =
        (0..1_500).map(|n| rcgen::SanType::DnsName(host(n).try_into().unwrap())).collect();
    let leaf = parse(&signed(&leaf, &limited));
    let stranger_anchor = TrustAnchor::from_der(&signed(&stranger, &stranger)).unwrap();
    refused("constraints", &stranger_anchor, &[limited_ca], &leaf, |error| {
        matches!(error, PathError::NameConstraints(_))
    });

    // 100,000 of them do not fit.
    let huge = signed(&constrained(100_000), &stranger);
    assert!(huge.len() > MAX_CERTIFICATE_BYTES);
    let started = Instant::now();
    assert!(Certificate::from_der(&huge).is_err());
    assert!(started.elapsed() < LIMIT);
}

fn refused(
    name: &str,
    anchor: &TrustAnchor,
    intermediates: &[Arc<Certificate>],
    leaf: &Arc<Certificate>,
    expected: impl Fn(&PathError) -> bool,
) {
    let policies = PolicySettings {
        initial_set: vec!["2.5.29.32.0".parse().unwrap()],
        explicit: false,
        inhibit_mapping: false,
        inhibit_any: false,
    };
    let before = peak_kb();
    let started = Instant::now();
    let error = CertvalValidator::new()
        .validate(&PathRequest {
            anchors: std::slice::from_ref(anchor),
            intermediates,
            target: leaf,
            at: NOW,
            policies: &policies,
            revocation: Revocation::DangerUnchecked,
        })
        .unwrap_err();
    let (took, grown) = (started.elapsed(), peak_kb() - before);
    assert!(expected(&error), "{name}: {error}");
    assert!(took < LIMIT, "{name}: {took:?}");
    assert!(grown < LIMIT_KB, "{name}: {grown} kB");
}

/// Highest resident set of this process so far.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

fn constrained(count: usize) -> Pair {
    let mut pair = ca("Constrained", None);
    let subtrees = (0..count).map(|n| GeneralSubtree::DnsName(format!("x{}", host(n)))).collect();
    pair.0.name_constraints =
        Some(NameConstraints { permitted_subtrees: subtrees, excluded_subtrees: vec![] });
    pair
}

fn host(number: usize) -> String {
    format!("h{number}.test")
}

/// A CA, or a leaf.
fn ca(name: &str, leaf: Option<()>) -> Pair {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
    params.use_authority_key_identifier_extension = true;
    if leaf.is_none() {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    }
    (params, KeyPair::generate().unwrap())
}

fn signed(subject: &Pair, issuer: &Pair) -> Vec<u8> {
    if std::ptr::eq(subject, issuer) {
        return subject.0.self_signed(&subject.1).unwrap().der().to_vec();
    }
    let issuer = Issuer::from_params(&issuer.0, &issuer.1);
    subject.0.signed_by(&subject.1, &issuer).unwrap().der().to_vec()
}

fn parse(der: &[u8]) -> Arc<Certificate> {
    Arc::new(Certificate::from_der(der).unwrap())
}
