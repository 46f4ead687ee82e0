//! TLS of browsers and phones: the appliance shows its certificate and asks for none.

use super::files::TlsFiles;
use super::identity::Identity;
use super::mutual::alpn;
use super::mutual::refuse_resumption;
use crate::error::FrontError;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::version::TLS13;
use std::sync::Arc;

/// The rules of the portal at one moment: replaced as a whole.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    /// Last second of the server certificate, Unix seconds.
    pub(crate) not_after: u64,
}

impl ServerTls {
    /// Reads the files and sets up TLS.
    pub(crate) fn read(
        files: &TlsFiles,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, FrontError> {
        let identity = Identity::read(files, provider)?;
        let not_after = identity.not_after;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(identity));
        refuse_resumption(&mut config);
        config.alpn_protocols = alpn(true);
        Ok(Self { config: Arc::new(config), not_after })
    }
}
