//! Listeners that are configured, whatever they serve.

use crate::config::Config;
use api::config::CardListener;
use std::net::SocketAddr;
use std::path::Path;

/// What one TLS listener is made of.
pub struct TlsListener<'c> {
    /// Key path: `listeners.signing`.
    pub key: &'static str,
    /// Key path of the names: `listeners.signing.host_names`.
    pub names_key: &'static str,
    /// Names served; empty where any will do.
    pub host_names: &'c [String],
    /// Certificate file.
    pub certificate: &'c Path,
    /// Private key file.
    pub private_key: &'c Path,
    /// Client CAs, if clients must show certificates.
    pub client_ca: Option<&'c Path>,
    /// Their lists.
    pub client_crls: &'c [std::path::PathBuf],
}

/// Every listener with a certificate.
pub fn tls_listeners(config: &Config) -> Vec<TlsListener<'_>> {
    let listeners = &config.listeners;
    let signing = listeners.signing.as_ref().map(|l| TlsListener {
        key: "listeners.signing",
        names_key: "listeners.signing.host_names",
        host_names: &l.host_names,
        certificate: &l.certificate,
        private_key: &l.key,
        client_ca: Some(&l.client_ca),
        client_crls: &l.client_crls,
    });
    let hpki = listeners
        .hpki
        .as_ref()
        .map(|l| card_listener("listeners.hpki", "listeners.hpki.host_names", l));
    let jpki = listeners
        .jpki
        .as_ref()
        .map(|l| card_listener("listeners.jpki", "listeners.jpki.host_names", l));
    let portal = listeners.portal.as_ref().map(|l| TlsListener {
        key: "listeners.portal",
        names_key: "listeners.portal.host_name",
        host_names: std::slice::from_ref(&l.host_name),
        certificate: &l.certificate,
        private_key: &l.key,
        client_ca: None,
        client_crls: &[],
    });
    let admin = listeners.admin.as_ref().map(|l| TlsListener {
        key: "listeners.admin",
        names_key: "listeners.admin.host_names",
        host_names: &l.host_names,
        certificate: &l.certificate,
        private_key: &l.key,
        client_ca: Some(&l.client_ca),
        client_crls: &l.client_crls,
    });
    let metrics = listeners.metrics.as_ref().and_then(|listener| {
        listener.tls.as_ref().map(|tls| TlsListener {
            key: "listeners.metrics.tls",
            names_key: "listeners.metrics.host_names",
            host_names: &listener.host_names,
            certificate: &tls.certificate,
            private_key: &tls.key,
            client_ca: Some(&tls.client_ca),
            client_crls: &tls.client_crls,
        })
    });
    [signing, hpki, jpki, portal, admin, metrics].into_iter().flatten().collect()
}

fn card_listener<'c>(
    key: &'static str,
    names_key: &'static str,
    listener: &'c CardListener,
) -> TlsListener<'c> {
    TlsListener {
        key,
        names_key,
        host_names: &listener.host_names,
        certificate: &listener.certificate,
        private_key: &listener.key,
        client_ca: None,
        client_crls: &[],
    }
}

/// The addresses that are listened on, with their key paths.
pub fn addresses_of(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let listeners = &config.listeners;
    let all = [
        ("listeners.signing.address", listeners.signing.as_ref().map(|l| l.address)),
        ("listeners.hpki.address", listeners.hpki.as_ref().map(|l| l.address)),
        ("listeners.jpki.address", listeners.jpki.as_ref().map(|l| l.address)),
        ("listeners.portal.address", listeners.portal.as_ref().map(|l| l.address)),
        ("listeners.admin.address", listeners.admin.as_ref().map(|l| l.address)),
        ("listeners.metrics.address", listeners.metrics.as_ref().map(|l| l.address)),
    ];
    all.into_iter().filter_map(|(key, address)| Some((key, address?))).collect()
}
