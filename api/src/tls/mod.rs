//! TLS identities: who the appliance is on each listener, and what it asks of the peer.

pub(crate) mod card;
pub(crate) mod client;
pub(crate) mod files;
pub(crate) mod identity;
pub(crate) mod mutual;
mod possession;
pub(crate) mod server;

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// The one provider of cryptography for TLS, passed explicitly: nothing depends on a process-wide default.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
