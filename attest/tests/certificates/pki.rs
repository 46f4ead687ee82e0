//! A small PKI in memory, shaped like HPKI: a root, a CA under it, cards, lists. P-256 keys, because they are quick to make.

use attest::clock::UnixSeconds;
use attest::hc_role::CONFIRMED_ROLES;
use attest::judge::HPKI_AUTHENTICATION_POLICY;
use attest::judge::Judge;
use attest::judge::Material;
use attest::judge::Profiles;
use attest::path::Certificate;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::records::Fingerprint;
use attest::revocation::CrlLimits;
use const_oid::ObjectIdentifier;
use der::Encode;
use der::asn1::UtcTime;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertificateRevocationListParams;
use rcgen::CustomExtension;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyIdMethod;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::RevocationReason;
use rcgen::RevokedCertParams;
use rcgen::SerialNumber;
use rcgen::SigningKey;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use time::OffsetDateTime;
use x509_cert::ext::pkix::CertificatePolicies;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;

/// The time of these tests: 2027-01-15T08:00:00Z.
pub const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub const DAY: u64 = 24 * 3600;

static SERIAL: AtomicU64 = AtomicU64::new(1);

pub fn later(seconds: u64) -> UnixSeconds {
    UnixSeconds(NOW.0 + seconds)
}

pub fn earlier(seconds: u64) -> UnixSeconds {
    UnixSeconds(NOW.0 - seconds)
}

pub fn date(at: UnixSeconds) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(at.0).unwrap()).unwrap()
}

/// A CA with its key.
pub struct Ca {
    pub der: Vec<u8>,
    pub params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is made from; change `params` as needed.
pub struct Draft {
    pub params: CertificateParams,
}

/// A leaf with its key.
pub struct Leaf {
    pub der: Vec<u8>,
    pub key: KeyPair,
    pub serial: u64,
}

impl Ca {
    pub fn root(name: &str) -> Self {
        Self::root_with(name, KeyPair::generate().unwrap())
    }

    pub fn root_with(name: &str, key: KeyPair) -> Self {
        let params = ca_params(name);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params.clone(), key), params }
    }

    /// A CA under this one, for the authentication policy.
    pub fn sub(&self, name: &str) -> Self {
        let mut params = ca_params(name);
        params.custom_extensions.push(policies(&[HPKI_AUTHENTICATION_POLICY]));
        self.sub_with(params, KeyPair::generate().unwrap())
    }

    pub fn sub_with(&self, mut params: CertificateParams, key: KeyPair) -> Self {
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(next_serial().1);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params.clone(), key), params }
    }

    /// Its key.
    pub fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    pub fn issue(&self, draft: Draft) -> Leaf {
        self.issue_for(draft, KeyPair::generate().unwrap())
    }

    pub fn issue_for(&self, draft: Draft, key: KeyPair) -> Leaf {
        let mut params = draft.params;
        let (serial, number) = next_serial();
        params.serial_number.get_or_insert(number);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Leaf { der, key, serial }
    }

    /// A doctor's card as the default profile wants it.
    pub fn card(&self) -> Leaf {
        self.issue(Draft::card("Sanjushi Kagurazaka"))
    }

    /// A list from an hour ago, good for four days, without entries.
    pub fn crl(&self, number: u64) -> Vec<u8> {
        self.crl_with(crl_params(number))
    }

    pub fn crl_revoking(&self, number: u64, serials: &[u64]) -> Vec<u8> {
        let mut params = crl_params(number);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date(earlier(7200)),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        params.revoked_certs = serials.iter().map(revoked).collect();
        self.crl_with(params)
    }

    pub fn crl_with(&self, params: CertificateRevocationListParams) -> Vec<u8> {
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// A CA with the name of `self` and another key, which nobody certified.
    pub fn impostor(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = self.params.self_signed(&key).unwrap().der().to_vec();
        let params = self.params.clone();
        Self { der, issuer: Issuer::new(params.clone(), key), params }
    }
}

impl Draft {
    pub fn card(name: &str) -> Self {
        let mut params = leaf_params(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions = vec![policies(&[HPKI_AUTHENTICATION_POLICY]), doctor()];
        Self { params }
    }

    /// A card with other policies.
    pub fn with_policies(mut self, oids: &[ObjectIdentifier]) -> Self {
        self.params.custom_extensions = vec![policies(oids), doctor()];
        self
    }

    pub fn with_key_usages(mut self, usages: &[KeyUsagePurpose]) -> Self {
        self.params.key_usages = usages.to_vec();
        self
    }

    pub fn with_extended(mut self, usages: &[ExtendedKeyUsagePurpose]) -> Self {
        self.params.extended_key_usages = usages.to_vec();
        self
    }

    pub fn with_roles(mut self, extensions: Vec<CustomExtension>) -> Self {
        self.params.custom_extensions.truncate(1);
        self.params.custom_extensions.extend(extensions);
        self
    }

    pub fn valid(mut self, from: UnixSeconds, until: UnixSeconds) -> Self {
        (self.params.not_before, self.params.not_after) = (date(from), date(until));
        self
    }
}

/// A list made octet by octet, for what rcgen rightly refuses to make.
pub struct RawCrl {
    pub version: Vec<u8>,
    pub issuer: Vec<u8>,
    pub next_update: Option<UnixSeconds>,
    pub entries: Vec<Vec<u8>>,
    pub extensions: Vec<Vec<u8>>,
}

impl RawCrl {
    /// From an hour ago, good for four days, number 9.
    pub fn of(ca: &Ca) -> Self {
        let issuer = Certificate::from_der(&ca.der).unwrap().subject_der().to_vec();
        let next_update = Some(later(4 * DAY));
        let extensions = vec![Self::number(9)];
        Self { version: vec![2, 1, 1], issuer, next_update, entries: vec![], extensions }
    }

    pub fn number(number: u8) -> Vec<u8> {
        raw_extension(&[0x55, 0x1d, 20], false, &[2, 1, number])
    }

    pub fn critical_number() -> Vec<u8> {
        raw_extension(&[0x55, 0x1d, 20], true, &[2, 1, 9])
    }

    pub fn sign(&self, ca: &Ca) -> Vec<u8> {
        let entries = match self.entries.is_empty() {
            true => vec![],
            false => tlv(0x30, &self.entries.concat()),
        };
        let extensions = match self.extensions.is_empty() {
            true => vec![],
            false => tlv(0xa0, &tlv(0x30, &self.extensions.concat())),
        };
        let tbs = [
            self.version.clone(),
            ECDSA_WITH_SHA256.to_vec(),
            self.issuer.clone(),
            time(earlier(3600)),
            self.next_update.map(time).unwrap_or_default(),
            entries,
            extensions,
        ];
        let tbs = tlv(0x30, &tbs.concat());
        let signature = [vec![0], ca.issuer.key().sign(&tbs).unwrap()].concat();
        tlv(0x30, &[tbs, ECDSA_WITH_SHA256.to_vec(), tlv(0x03, &signature)].concat())
    }
}

pub fn raw_entry(serial: u64, extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut serial = serial.to_be_bytes().to_vec();
    while serial.len() > 1 && serial[0] == 0 && serial[1] < 0x80 {
        serial.remove(0);
    }
    let extensions = match extensions.is_empty() {
        true => vec![],
        false => tlv(0x30, &extensions.concat()),
    };
    tlv(0x30, &[tlv(2, &serial), time(earlier(7200)), extensions].concat())
}

pub fn raw_extension(oid: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if is_critical { vec![1, 1, 0xff] } else { vec![] };
    tlv(0x30, &[tlv(6, oid), critical, tlv(4, value)].concat())
}

fn time(at: UnixSeconds) -> Vec<u8> {
    UtcTime::from_unix_duration(Duration::from_secs(at.0)).unwrap().to_der().unwrap()
}

const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// Root, CA and judge, with both lists loaded.
pub struct World {
    pub root: Ca,
    pub ca: Ca,
    pub judge: Judge,
}

impl World {
    pub fn new() -> Self {
        Self::with(Profiles::default(), false)
    }

    pub fn with(profiles: Profiles, danger_test_mode: bool) -> Self {
        let root = Ca::root("Root");
        let ca = root.sub("CA");
        let material = material(&[&root], &[&ca], profiles, danger_test_mode);
        let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
        judge.load_crl(&root.crl(1), NOW).unwrap();
        judge.load_crl(&ca.crl(1), NOW).unwrap();
        Self { root, ca, judge }
    }
}

/// Each root for both purposes.
pub fn material(roots: &[&Ca], cas: &[&Ca], profiles: Profiles, test_mode: bool) -> Material {
    let both = [AnchorPurpose::HpkiCard, AnchorPurpose::SecondCertificate];
    let anchor = |root: &Ca, purpose| Anchor {
        fingerprint: Fingerprint::of(&root.der),
        purpose,
        certificate_der: root.der.clone(),
        added_at: NOW,
    };
    Material {
        anchors: roots.iter().flat_map(|root| both.map(|purpose| anchor(root, purpose))).collect(),
        intermediates: cas.iter().map(|ca| ca.der.clone()).collect(),
        profiles,
        danger_test_mode: test_mode,
    }
}

pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = leaf_params(name);
    params.use_authority_key_identifier_extension = false;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(earlier(365 * DAY));
    params.not_after = date(later(3650 * DAY));
    params
}

pub fn crl_params(number: u64) -> CertificateRevocationListParams {
    CertificateRevocationListParams {
        this_update: date(earlier(3600)),
        next_update: date(later(4 * DAY)),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

/// certificatePolicies, critical, as HPKI has it.
pub fn policies(oids: &[ObjectIdentifier]) -> CustomExtension {
    let policy = |oid: &ObjectIdentifier| PolicyInformation {
        policy_identifier: *oid,
        policy_qualifiers: None,
    };
    let value = CertificatePolicies(oids.iter().map(policy).collect()).to_der().unwrap();
    extension(&[2, 5, 29, 32], value, true)
}

pub fn doctor() -> CustomExtension {
    role(CONFIRMED_ROLES[0].0)
}

/// subjectDirectoryAttributes with one hcRole.
pub fn role(text: &str) -> CustomExtension {
    let utf8 = tlv(0x0c, text.as_bytes());
    let scheme = tlv(0xa0, &[0x06, 0x0a, 0x2a, 0x83, 0x08, 0x86, 0x91, 0x0f, 1, 6, 1, 1]);
    let coded = tlv(0x31, &[scheme, tlv(0xa2, &utf8)].concat());
    let actors = tlv(0x31, &tlv(0x30, &tlv(0xa0, &coded)));
    let attribute = [vec![0x06, 6, 0x28, 0x81, 0x85, 0x42, 0, 1], tlv(0x31, &actors)].concat();
    extension(&[2, 5, 29, 9], tlv(0x30, &tlv(0x30, &attribute)), false)
}

pub fn extension(oid: &[u64], value: Vec<u8>, is_critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value);
    extension.set_criticality(is_critical);
    extension
}

pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        len @ 0..=127 => vec![len as u8],
        len @ 128..=255 => vec![0x81, len as u8],
        len => vec![0x82, (len >> 8) as u8, len as u8],
    };
    [vec![tag], length, value.to_vec()].concat()
}

fn leaf_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "JP");
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params.not_before = date(earlier(30 * DAY));
    params.not_after = date(later(365 * DAY));
    params
}

fn next_serial() -> (u64, SerialNumber) {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    (serial, SerialNumber::from(serial))
}

#[test]
fn role_extension_is_that_of_the_published_card() {
    // domain facts §1.4: the whole extension value of the doctor's test card.
    let published = "303430320606288185420001312831263024a0223120a00c060a2a830886910f01060101\
                     a2100c0e4d65646963616c20446f63746f72";
    assert_eq!(hex::encode(doctor().content()), published);
}
