//! Reading PEM files, and noticing that they changed.

use crate::error::FrontError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

/// The files of one listener's TLS identity.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// CAs of client certificates (signing, admin) or CA hints (cards).
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) client_crls: Vec<PathBuf>,
}

/// What `stat` says about the files: changes exactly when one of them was written or replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<(SystemTime, u64)>>);

impl TlsFiles {
    /// The present stamp of every file.
    pub(crate) fn stamp(&self) -> Stamp {
        let fixed = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let all = fixed.into_iter().flatten().chain(&self.client_crls);
        Stamp(all.map(|path| stamp_of(path)).collect())
    }
}

/// Every certificate of a PEM file, in order.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FrontError> {
    let wanted = "PEM certificate";
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unreadable(path, wanted, &error))?
        .collect();
    let found = found.map_err(|error| unreadable(path, wanted, &error))?;
    if found.is_empty() {
        return Err(unreadable(path, wanted, &"there is none in the file"));
    }
    Ok(found)
}

/// The private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FrontError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| unreadable(path, "PEM private key (PKCS #8, PKCS #1 or SEC1)", &error))
}

/// Every revocation list of a file, PEM or one DER.
pub(crate) fn crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, FrontError> {
    let wanted = "revocation list (PEM or DER)";
    let octets = std::fs::read(path).map_err(|error| unreadable(path, wanted, &error))?;
    if octets.first() == Some(&0x30) {
        return Ok(vec![CertificateRevocationListDer::from(octets)]);
    }
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&octets).collect();
    let found = found.map_err(|error| unreadable(path, wanted, &error))?;
    if found.is_empty() {
        return Err(unreadable(path, wanted, &"there is none in the file"));
    }
    Ok(found)
}

fn unreadable(path: &Path, wanted: &'static str, reason: &dyn std::fmt::Display) -> FrontError {
    FrontError::File { path: path.to_owned(), wanted, reason: reason.to_string() }
}

fn stamp_of(path: &Path) -> Option<(SystemTime, u64)> {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}
