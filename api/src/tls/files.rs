//! Reading PEM files, and noticing that they changed.

use crate::error::FrontError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// The files of one listener's TLS identity.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// CAs of client certificates (signing, admin) or CA hints (cards).
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) client_crls: Vec<PathBuf>,
}

/// What `stat` says about the files: changes when one of them was written or replaced, whatever time its owner gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<FileStamp>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

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

fn stamp_of(path: &Path) -> Option<FileStamp> {
    let facts = std::fs::metadata(path).ok()?;
    let changed = (facts.ctime(), facts.ctime_nsec());
    Some(FileStamp { device: facts.dev(), inode: facts.ino(), length: facts.len(), changed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn file_put_in_the_place_of_another_is_noticed_though_it_looks_as_old_and_as_long() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, newer] = ["certificate", "newer"].map(|name| folder.path().join(name));
        for file in [&certificate, &newer] {
            std::fs::write(file, "0123456789").unwrap();
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        let (key, client_ca) = (certificate.clone(), None);
        let files = TlsFiles { certificate, key, client_ca, client_crls: Vec::new() };
        let before = files.stamp();
        assert_eq!(files.stamp(), before);
        std::fs::rename(newer, &files.certificate).unwrap();
        assert_ne!(files.stamp(), before);
    }
}
