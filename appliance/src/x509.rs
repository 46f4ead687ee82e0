//! What the configuration check and the operators' views read from a certificate. Nothing here decides about trust: that is
//! `attest`'s path validation.

use attest::clock::UnixSeconds;
use der::Decode;
use der::Encode;
use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Why octets are no certificate or list.
#[derive(Debug, thiserror::Error)]
pub enum X509Error {
    /// Not DER of this shape.
    #[error("this is not well-formed: {0}")]
    Malformed(#[from] der::Error),
    /// A list that never ends cannot be fresh.
    #[error("the list does not say when the next one comes")]
    NoNextUpdate,
    /// No PEM certificate.
    #[error("this is no PEM certificate: {0}")]
    NotPem(rustls_pki_types::pem::Error),
}

/// What a certificate says.
pub struct Facts {
    /// Subject, RFC 4514 text, control and direction-changing characters escaped.
    pub subject: String,
    /// Issuer, likewise.
    pub issuer: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// First second of validity, Unix seconds.
    pub not_before: u64,
    /// Last second of validity, Unix seconds.
    pub not_after: u64,
    /// Whether basicConstraints says CA.
    pub is_ca: bool,
    /// SubjectPublicKeyInfo, DER.
    pub spki_der: Vec<u8>,
    dns_names: Vec<String>,
    ip_addresses: Vec<IpAddr>,
}

impl Facts {
    /// Reads a certificate, DER.
    ///
    /// # Errors
    /// [`X509Error::Malformed`].
    pub fn of(certificate_der: &[u8]) -> Result<Self, X509Error> {
        let certificate = Certificate::from_der(certificate_der)?;
        let tbs = certificate.tbs_certificate();
        let constraints = tbs.get_extension::<BasicConstraints>()?;
        let mut facts = Self {
            subject: printable(&tbs.subject().to_string()),
            issuer: printable(&tbs.issuer().to_string()),
            serial: hex::encode(tbs.serial_number().as_bytes()),
            not_before: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            spki_der: tbs.subject_public_key_info().to_der()?,
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
        };
        if let Some((_, SubjectAltName(names))) = tbs.get_extension::<SubjectAltName>()? {
            names.iter().for_each(|name| facts.add(name));
        }
        Ok(facts)
    }

    fn add(&mut self, name: &GeneralName) {
        match name {
            GeneralName::DnsName(name) => self.dns_names.push(name.as_str().to_ascii_lowercase()),
            GeneralName::IpAddress(octets) => {
                self.ip_addresses.extend(ip_address(octets.as_bytes()))
            }
            _ => {}
        }
    }

    /// Whether a client that asks for `host` accepts this certificate.
    ///
    /// # Source
    /// RFC 9525 §6.3: a wildcard stands for the whole left-most label only.
    pub fn is_for_host(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.ip_addresses.contains(&address);
        }
        let behind_first_label = host.split_once('.').map(|(_, rest)| rest);
        self.dns_names.iter().any(|name| match name.strip_prefix("*.") {
            Some(domain) => behind_first_label == Some(domain),
            None => name == host,
        })
    }

    /// The names in it.
    pub fn names(&self) -> Vec<String> {
        let addresses = self.ip_addresses.iter().map(IpAddr::to_string);
        self.dns_names.iter().cloned().chain(addresses).collect()
    }
}

/// The first certificate of a PEM text, DER.
///
/// # Errors
/// [`X509Error::NotPem`].
pub fn certificate_of_pem(pem: &str) -> Result<Vec<u8>, X509Error> {
    use rustls_pki_types::pem::PemObject;
    let der = rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes());
    der.map(|der| der.to_vec()).map_err(X509Error::NotPem)
}

/// Every certificate of a PEM text, DER, in its order.
///
/// # Errors
/// [`X509Error::NotPem`].
pub fn certificates_of_pem(pem: &str) -> Result<Vec<Vec<u8>>, X509Error> {
    use rustls_pki_types::pem::PemObject;
    let list = rustls_pki_types::CertificateDer::pem_slice_iter(pem.as_bytes());
    list.map(|der| der.map(|der| der.to_vec()).map_err(X509Error::NotPem)).collect()
}

/// When the next list comes at the latest, Unix seconds.
///
/// # Errors
/// [`X509Error`].
pub fn next_update(crl_der: &[u8]) -> Result<u64, X509Error> {
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(crl_der)?;
    let next = list.tbs_cert_list.next_update.ok_or(X509Error::NoNextUpdate)?;
    Ok(next.to_unix_duration().as_secs())
}

/// Unix seconds as RFC 3339, UTC.
pub fn rfc3339(unix_seconds: u64) -> String {
    UnixSeconds(unix_seconds).to_string()
}

/// Unix seconds as a day, UTC.
pub fn date(unix_seconds: u64) -> String {
    rfc3339(unix_seconds).split('T').next().unwrap_or_default().to_owned()
}

/// Control, direction-changing and invisible characters become `\u{...}`, so that a name reads as it is (C12).
pub fn printable(text: &str) -> String {
    let escaped =
        text.chars().map(|char| match api::admin::check::is_plain_text(&format!("|{char}|")) {
            true => char.to_string(),
            false => char.escape_unicode().to_string(),
        });
    escaped.collect()
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(octets).map(IpAddr::from).ok())
}

/// `der` as PEM (RFC 7468).
pub fn pem(label: &'static str, der: &[u8]) -> String {
    // The label is one of ours and the length is bounded: encoding cannot fail.
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap_or_default()
}
