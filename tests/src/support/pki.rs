//! A throwaway PKI in files: servers, signing systems, operators, and an HPKI-like hierarchy with its lists.
//!
//! The hierarchy has the shape of the real one: a root, a CA for authentication certificates (cards) and a CA for
//! signature certificates (second keys), policy OIDs, hcRole, non-repudiation alone and critical, and lists of both
//! levels with numbers and key identifiers.

use der::Encode;
use der::asn1::ObjectIdentifier;
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
use rcgen::RsaKeySize;
use rcgen::SerialNumber;
use rcgen::SubjectPublicKeyInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use time::Duration;
use time::OffsetDateTime;
use x509_cert::ext::pkix::CertificatePolicies;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;

/// HPKI authentication certificates of persons (domain facts §1.2).
pub const AUTHENTICATION_POLICY: &str = "1.2.392.100495.1.5.1.2.3.1";
/// HPKI signature certificates.
pub const SIGNATURE_POLICY: &str = "1.2.392.100495.1.5.1.1.3.1";
/// JPKI user-authentication certificates (domain facts §2.1).
pub const USER_AUTHENTICATION_POLICY: &str = "1.2.392.200149.8.5.1.3.30";
/// The extension value of a real doctor's card: one HCActor, "Medical Doctor" (domain facts §1.4).
const MEDICAL_DOCTOR: &str = "30343032060628818542000131283126\
     3024A0223120A00C060A2A830886910F01060101A2100C0E4D65646963616C20446F63746F72";

static SERIAL: AtomicU64 = AtomicU64::new(1_000);

/// A certificate with its key, and both as PEM files.
#[derive(Debug)]
pub struct Pair {
    pub der: CertificateDer<'static>,
    pub key_der: Vec<u8>,
    pub serial: u64,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pair {
    /// For a TLS configuration.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.der.clone()]
    }

    /// For a TLS configuration.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key_der.clone()).into()
    }

    /// The certificate as PEM text.
    pub fn pem(&self) -> String {
        std::fs::read_to_string(&self.certificate).expect("a certificate file")
    }
}

/// When a certificate is good, from now.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    from: Duration,
    until: Duration,
}

impl Validity {
    pub const CURRENT: Self = Self { from: Duration::days(-2), until: Duration::days(365) };
    pub const OVER: Self = Self { from: Duration::days(-9), until: Duration::hours(-1) };

    /// Good now and for `seconds`.
    pub fn for_seconds(seconds: i64) -> Self {
        Self { from: Duration::days(-2), until: Duration::seconds(seconds) }
    }
}

/// A certification authority.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub pem: PathBuf,
    pub crl: PathBuf,
    folder: PathBuf,
}

impl Ca {
    /// A self-signed one, its files in `folder`.
    pub fn root(folder: &Path, name: &str) -> Self {
        let (key, params) = (KeyPair::generate().expect("a key"), ca_params(name, &[]));
        let certificate = params.self_signed(&key).expect("a root");
        Self::in_files(folder, name, &certificate.pem(), Issuer::new(params, key))
    }

    /// A generation of the JPKI's authority for user authentication, of this organization: all have one name.
    pub fn jpki(folder: &Path, organization: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        let mut params = ca_params("for user authentication", &[]);
        params.distinguished_name.push(DnType::OrganizationName, organization);
        let certificate = params.self_signed(&key).expect("a generation");
        // More than one generation may be made: each has files of its own.
        let name = format!("{organization} {}", SERIAL.fetch_add(1, Ordering::Relaxed));
        Self::in_files(folder, &name, &certificate.pem(), Issuer::new(params, key))
    }

    fn under(&self, name: &str, policy: &str) -> Self {
        let key = rsa_key();
        let mut params = ca_params(name, &[policies(policy)]);
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(next_serial());
        let certificate = params.signed_by(&key, &self.issuer).expect("a sub-CA");
        Self::in_files(&self.folder, name, &certificate.pem(), Issuer::new(params, key))
    }

    fn in_files(folder: &Path, name: &str, pem: &str, issuer: Issuer<'static, KeyPair>) -> Self {
        let stem = name.to_lowercase().replace(' ', "-");
        let (pem_file, crl) =
            (folder.join(format!("{stem}.pem")), folder.join(format!("{stem}.crl")));
        std::fs::write(&pem_file, pem).expect("a CA file");
        Self { issuer, pem: pem_file, crl, folder: folder.to_owned() }
    }

    /// The CA's certificate as PEM text.
    pub fn pem_text(&self) -> String {
        std::fs::read_to_string(&self.pem).expect("a CA file")
    }

    /// Writes this CA's list with `revoked` on it: number `number`, good until `until` from now.
    pub fn write_crl(&self, number: u64, revoked: &[&Pair], until: Duration) {
        let serials: Vec<u64> = revoked.iter().map(|pair| pair.serial).collect();
        self.write_crl_of_serials(number, &serials, until);
    }

    /// The same for certificates of which only the serial number is known.
    pub fn write_crl_of_serials(&self, number: u64, revoked: &[u64], until: Duration) {
        let now = OffsetDateTime::now_utc();
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - Duration::hours(1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now - Duration::hours(2) + Duration::seconds(number.cast_signed()),
            next_update: now + until,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        // In one step, as an operator's script should do it.
        let new = self.crl.with_extension("new");
        std::fs::write(&new, list.der())
            .and_then(|()| std::fs::rename(&new, &self.crl))
            .expect("a list file");
    }

    /// A server certificate for `localhost`.
    pub fn server(&self, name: &str) -> Pair {
        self.server_for(name, &["localhost", "127.0.0.1"])
    }

    /// A server certificate for these host names.
    pub fn server_for(&self, name: &str, host_names: &[&str]) -> Pair {
        let names: Vec<_> = host_names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(name, params, Validity::CURRENT, KeyPair::generate().expect("a key"))
    }

    /// A TLS client certificate.
    pub fn client(&self, name: &str, validity: Validity) -> Pair {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.issue(name, params, validity, KeyPair::generate().expect("a key"))
    }

    /// A responder that answers for this CA and need not be checked itself.
    pub fn ocsp_responder(&self, name: &str) -> Pair {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let no_check = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
        let no_check = CustomExtension::from_oid_content(no_check, vec![5, 0]);
        params.custom_extensions = vec![no_check];
        self.issue(name, params, Validity::CURRENT, KeyPair::generate().expect("a key"))
    }

    /// A card as cards are today: RSA-2048, with this CA's kind of policy.
    pub fn card(&self, name: &str, policy: &str, validity: Validity) -> Pair {
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions = vec![policies(policy), hc_role()];
        self.issue(name, params, validity, rsa_key())
    }

    /// Certificates of as many cards as a crowd has people, all with one key: making keys would take hours.
    pub fn cards_of_a_crowd(&self, count: usize) -> Vec<CertificateDer<'static>> {
        let key = rsa_key();
        let card = |n| {
            let mut params = CertificateParams::default();
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.custom_extensions = vec![policies(AUTHENTICATION_POLICY), hc_role()];
            self.fill(&mut params, &format!("crowd-{n}"), Validity::CURRENT);
            params.signed_by(&key, &self.issuer).expect("a certificate").der().clone()
        };
        (0..count).map(card).collect()
    }

    /// A My Number card as the next ones are: P-384, a random text for a name.
    pub fn my_number_card(&self, name: &str, validity: Validity) -> Pair {
        self.my_number_card_with(name, validity, |_| {})
    }

    /// The same with something changed.
    pub fn my_number_card_with(
        &self,
        name: &str,
        validity: Validity,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions = vec![policies(USER_AUTHENTICATION_POLICY)];
        change(&mut params);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        self.issue(name, params, validity, key)
    }

    /// The second certificate of the key whose request this is: non-repudiation alone, critical. Gives PEM.
    pub fn second_certificate(
        &self,
        csr_pem: &str,
        name: &str,
        validity: Validity,
    ) -> (String, u64) {
        let request = pem_to_der(csr_pem);
        let spki =
            SubjectPublicKeyInfo::from_der(&spki_of_request(&request)).expect("a public key");
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::ContentCommitment];
        params.custom_extensions = vec![policies(SIGNATURE_POLICY), hc_role()];
        let serial = self.fill(&mut params, name, validity);
        let certificate = params.signed_by(&spki, &self.issuer).expect("a second certificate");
        (certificate.pem(), serial)
    }

    fn issue(
        &self,
        name: &str,
        mut params: CertificateParams,
        validity: Validity,
        key: KeyPair,
    ) -> Pair {
        let serial = self.fill(&mut params, name, validity);
        let issued = params.signed_by(&key, &self.issuer).expect("a certificate");
        let certificate = self.folder.join(format!("{name}.pem"));
        let key_file = self.folder.join(format!("{name}.key"));
        std::fs::write(&certificate, issued.pem()).expect("a certificate file");
        write_private(&key_file, key.serialize_pem().as_bytes());
        let der = issued.der().clone();
        Pair { der, key_der: key.serialize_der(), serial, certificate, key: key_file }
    }

    fn fill(&self, params: &mut CertificateParams, name: &str, validity: Validity) -> u64 {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let now = OffsetDateTime::now_utc();
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = now + validity.from;
        params.not_after = now + validity.until;
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "JP");
        params.distinguished_name.push(DnType::CommonName, name);
        serial
    }
}

/// Everybody's certificates.
pub struct Pki {
    pub servers: Ca,
    pub clients: Ca,
    /// Nobody here trusts it.
    pub strangers: Ca,
    pub hpki_root: Ca,
    /// Issues cards.
    pub hpki_auth: Ca,
    /// Issues second certificates.
    pub hpki_sign: Ca,
    /// Issues My Number cards' user-authentication certificates.
    pub jpki: Ca,
    pub server: Pair,
    pub ehr: Pair,
    pub ehr2: Pair,
    /// Of the right CA, but registered for nothing.
    pub unregistered: Pair,
    /// Registered for nothing, on the list.
    pub revoked_client: Pair,
    /// Registered for nothing, over.
    pub expired_client: Pair,
    /// Of a CA that nobody here trusts.
    pub stranger: Pair,
    pub officer: Pair,
    pub officer2: Pair,
    pub administrator: Pair,
    pub registrar: Pair,
    pub auditor: Pair,
    pub card: Pair,
    pub card2: Pair,
    /// Linked to the first doctor, on the list.
    pub revoked_card: Pair,
    /// Linked to the first doctor, over.
    pub expired_card: Pair,
    /// Good, but nobody's.
    pub unlinked_card: Pair,
    /// With the policy of signature certificates.
    pub wrong_policy_card: Pair,
    pub folder: PathBuf,
}

impl Pki {
    /// Makes everything in `folder`. The slow part is a dozen RSA keys: about two seconds.
    pub fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("the folder of the PKI");
        let servers = Ca::root(folder, "Server CA");
        let clients = Ca::root(folder, "Client CA");
        let strangers = Ca::root(folder, "Strangers CA");
        let hpki_root = Ca::root(folder, "Test HPKI Root");
        let hpki_auth = hpki_root.under("Test HPKI Auth", AUTHENTICATION_POLICY);
        let hpki_sign = hpki_root.under("Test HPKI Sign", SIGNATURE_POLICY);
        let jpki = Ca::jpki(folder, "JPKI");
        let client = |name: &str| clients.client(name, Validity::CURRENT);
        let card = |name: &str| hpki_auth.card(name, AUTHENTICATION_POLICY, Validity::CURRENT);
        let pki = Self {
            server: servers.server("server"),
            ehr: client("ehr"),
            ehr2: client("ehr2"),
            unregistered: client("unregistered"),
            revoked_client: client("revoked-client"),
            expired_client: clients.client("expired-client", Validity::OVER),
            stranger: strangers.client("stranger", Validity::CURRENT),
            officer: client("officer"),
            officer2: client("officer2"),
            administrator: client("administrator"),
            registrar: client("registrar"),
            auditor: client("auditor"),
            card: card("card"),
            card2: card("card2"),
            revoked_card: card("revoked-card"),
            expired_card: hpki_auth.card("expired-card", AUTHENTICATION_POLICY, Validity::OVER),
            unlinked_card: card("unlinked-card"),
            wrong_policy_card: hpki_auth.card(
                "wrong-policy-card",
                SIGNATURE_POLICY,
                Validity::CURRENT,
            ),
            strangers,
            folder: folder.to_owned(),
            servers,
            clients,
            hpki_root,
            hpki_auth,
            hpki_sign,
            jpki,
        };
        let days = Duration::days(4);
        pki.clients.write_crl(1, &[&pki.revoked_client], days);
        pki.hpki_root.write_crl(1, &[], days);
        pki.hpki_auth.write_crl(1, &[&pki.revoked_card], days);
        pki.hpki_sign.write_crl(1, &[], days);
        pki.jpki.write_crl(1, &[], days);
        pki
    }
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, content: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content)).expect("a private file");
}

/// The DER inside the first PEM block.
pub fn pem_to_der(pem: &str) -> Vec<u8> {
    let (_, der) = der::pem::decode_vec(pem.as_bytes()).expect("PEM");
    der
}

fn spki_of_request(request_der: &[u8]) -> Vec<u8> {
    use der::Decode;
    let request = x509_cert::request::CertReq::from_der(request_der).expect("a PKCS #10 request");
    request.info.public_key.to_der().expect("a public key")
}

fn ca_params(name: &str, extensions: &[CustomExtension]) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.not_before = now - Duration::days(30);
    params.not_after = now + Duration::days(3_650);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "JP");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.custom_extensions = extensions.to_vec();
    params
}

fn policies(oid: &str) -> CustomExtension {
    let policy_identifier = ObjectIdentifier::new(oid).expect("an OID");
    let policies =
        CertificatePolicies(vec![PolicyInformation { policy_identifier, policy_qualifiers: None }]);
    let mut extension =
        CustomExtension::from_oid_content(&[2, 5, 29, 32], policies.to_der().expect("policies"));
    extension.set_criticality(true);
    extension
}

fn hc_role() -> CustomExtension {
    CustomExtension::from_oid_content(
        &[2, 5, 29, 9],
        hex::decode(MEDICAL_DOCTOR).expect("hexadecimal"),
    )
}

fn rsa_key() -> KeyPair {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).expect("an RSA key")
}

fn next_serial() -> SerialNumber {
    SerialNumber::from(SERIAL.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn openssl_verify(pki: &Pki, issuer: &Ca, certificate: &Path) -> String {
        let mut command = Command::new("openssl");
        command.args(["verify", "-crl_check_all", "-policy_check", "-x509_strict"]);
        command.arg("-CAfile").arg(&pki.hpki_root.pem).arg("-untrusted").arg(&issuer.pem);
        for ca in [&pki.hpki_root, issuer] {
            command.arg("-CRLfile").arg(&ca.crl);
        }
        let output = command.arg(certificate).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn openssl_accepts_the_good_card_and_names_what_is_wrong_with_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path());
        let verdict = |pair: &Pair| openssl_verify(&pki, &pki.hpki_auth, &pair.certificate);
        assert!(verdict(&pki.card).contains(": OK"), "{}", verdict(&pki.card));
        assert!(verdict(&pki.revoked_card).contains("certificate revoked"));
        assert!(verdict(&pki.expired_card).contains("certificate has expired"));
    }

    #[test]
    fn hc_role_of_the_cards_is_the_extension_of_a_real_one() {
        let der = hex::decode(MEDICAL_DOCTOR).unwrap();
        assert_eq!(der.len(), 54);
        assert!(der.ends_with(b"Medical Doctor"));
    }
}
