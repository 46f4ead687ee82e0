//! The appliance as a client: its own certificate, and the one authority that the server must come from.

use super::files;
use super::files::Stamp;
use super::files::TlsFiles;
use super::provider;
use crate::error::FrontError;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::version::TLS12;
use rustls::version::TLS13;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Mutual TLS to a server of somebody else. Replaced files are taken up at the next question; what cannot be used leaves
/// the older ones in force.
pub struct ClientTls {
    files: TlsFiles,
    ca: PathBuf,
    current: Mutex<(Stamp, Arc<ClientConfig>)>,
}

impl ClientTls {
    /// Reads the files: the only authorities that the server's certificate may come from, then the certificate that is
    /// shown to it with its key, all PEM.
    ///
    /// # Errors
    /// [`FrontError`] naming the file.
    pub fn open(ca: PathBuf, certificate: PathBuf, key: PathBuf) -> Result<Self, FrontError> {
        let client_ca = Some(ca.clone());
        let files = TlsFiles { certificate, key, client_ca, client_crls: Vec::new() };
        // The stamp first: what is replaced in between is read again.
        let stamp = files.stamp();
        let config = read(&files, &ca)?;
        Ok(Self { files, ca, current: Mutex::new((stamp, config)) })
    }

    /// What to connect with now: TLS 1.3 or 1.2, the server's name checked. The same value until a file changed.
    pub fn config(&self) -> Arc<ClientConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.files.stamp();
        if stamp != current.0 {
            match read(&self.files, &self.ca) {
                Ok(config) => current.1 = config,
                Err(error) => tracing::error!(%error, "the older client certificate stays in use"),
            }
            current.0 = stamp;
        }
        Arc::clone(&current.1)
    }
}

fn read(files: &TlsFiles, ca: &Path) -> Result<Arc<ClientConfig>, FrontError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(ca)? {
        roots.add(certificate).map_err(|error| FrontError::Certificate {
            path: ca.to_owned(),
            reason: error.to_string(),
        })?;
    }
    let chain = files::certificates(&files.certificate)?;
    let key = files::private_key(&files.key)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|source| FrontError::Key { path: files.key.clone(), source })?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A certificate and its key; the certificate is its own authority.
    fn write(folder: &Path) {
        let made = rcgen::generate_simple_self_signed(vec!["inkan.example".to_owned()]).unwrap();
        for (name, text) in
            [("own.pem", made.cert.pem()), ("own.key", made.signing_key.serialize_pem())]
        {
            // As tools replace files: beside it, then in its place.
            std::fs::write(folder.join("new"), text).unwrap();
            std::fs::rename(folder.join("new"), folder.join(name)).unwrap();
        }
    }

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        folder
    }

    fn open(folder: &Path) -> Result<ClientTls, FrontError> {
        let at = |name: &str| folder.join(name);
        ClientTls::open(at("own.pem"), at("own.pem"), at("own.key"))
    }

    #[test]
    fn replaced_files_are_taken_up_and_unusable_ones_are_not() {
        let folder = folder();
        let tls = open(folder.path()).unwrap();
        let first = tls.config();
        assert!(Arc::ptr_eq(&first, &tls.config()), "nothing changed");
        write(folder.path());
        let second = tls.config();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(folder.path().join("own.key"), "no key").unwrap();
        assert!(Arc::ptr_eq(&second, &tls.config()));
        write(folder.path());
        assert!(!Arc::ptr_eq(&second, &tls.config()), "and the next that can be used is");
    }

    #[test]
    fn key_of_another_certificate_is_refused() {
        let (folder, other) = (folder(), folder());
        std::fs::copy(other.path().join("own.key"), folder.path().join("own.key")).unwrap();
        assert!(matches!(open(folder.path()), Err(FrontError::Key { .. })));
    }
}
