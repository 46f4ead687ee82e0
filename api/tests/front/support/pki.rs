//! A throwaway PKI in files, as an operator would have it.

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
use rcgen::RevokedCertParams;
use rcgen::RsaKeySize;
use rcgen::SerialNumber;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use tempfile::TempDir;
use time::Duration;
use time::OffsetDateTime;

/// A certificate with its key, and both as PEM files.
#[derive(Debug)]
pub struct Pair {
    pub der: CertificateDer<'static>,
    pub key: Vec<u8>,
    pub serial: u64,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

impl Pair {
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.der.clone()]
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

/// A certification authority.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub der: CertificateDer<'static>,
    pub file: PathBuf,
    folder: PathBuf,
}

static SERIAL: AtomicU64 = AtomicU64::new(1_000);

impl Ca {
    pub fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, certificate.pem()).unwrap();
        let der = certificate.der().clone();
        Self { issuer: Issuer::new(params, key), der, file, folder: folder.to_owned() }
    }

    pub fn server(&self, name: &str, hosts: &[&str]) -> Pair {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(name, params, KeyPair::generate().unwrap())
    }

    pub fn client(&self, name: &str) -> Pair {
        self.issue(name, client_params(), KeyPair::generate().unwrap())
    }

    pub fn client_valid(&self, name: &str, from: Duration, until: Duration) -> Pair {
        let mut params = client_params();
        params.not_before = OffsetDateTime::now_utc() + from;
        params.not_after = OffsetDateTime::now_utc() + until;
        self.issue(name, params, KeyPair::generate().unwrap())
    }

    /// A card as cards are today: RSA-2048, and a policy that is critical.
    pub fn card(&self, name: &str) -> Pair {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        self.card_with(name, key)
    }

    pub fn card_with(&self, name: &str, key: KeyPair) -> Pair {
        let mut params = client_params();
        // SEQUENCE { SEQUENCE { OID 1.2.392.100495.1.5.1.1.0.1 } }
        let policies = hex::decode("3010300e060c2a830886910f010501010001").unwrap();
        let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], policies);
        policies.set_criticality(true);
        params.custom_extensions.push(policies);
        self.issue(name, params, key)
    }

    /// A revocation list, PEM, current for a day.
    pub fn crl(&self, name: &str, revoked: &[u64], next_update: Duration) -> PathBuf {
        let now = OffsetDateTime::now_utc();
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - Duration::hours(1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now - Duration::days(2),
            next_update: now + next_update,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let file = self.folder.join(format!("{name}.crl.pem"));
        std::fs::write(&file, params.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        file
    }

    fn issue(&self, name: &str, mut params: CertificateParams, key: KeyPair) -> Pair {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let certificate_file = self.folder.join(format!("{name}.pem"));
        let key_file = self.folder.join(format!("{name}.key"));
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let der = certificate.der().clone();
        Pair { der, key: key.serialize_der(), serial, certificate_file, key_file }
    }
}

fn client_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// The CAs and certificates of a small hospital.
pub struct Pki {
    pub servers: Ca,
    pub clients: Ca,
    pub cards: Ca,
    pub strangers: Ca,
    pub server: Pair,
    pub client: Pair,
    pub client2: Pair,
    pub card: Pair,
    pub folder: TempDir,
}

impl Pki {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = Ca::new(folder.path(), "Server CA");
        let clients = Ca::new(folder.path(), "Client CA");
        let cards = Ca::new(folder.path(), "Card CA");
        let strangers = Ca::new(folder.path(), "Another CA");
        Self {
            server: servers.server("server", &["localhost", "other.example"]),
            client: clients.client("client"),
            client2: clients.client("client2"),
            card: cards.card("card"),
            servers,
            clients,
            cards,
            strangers,
            folder,
        }
    }
}
