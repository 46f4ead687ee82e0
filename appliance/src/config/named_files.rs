//! Files that the configuration names, each with what it is for.

use crate::config::Config;
use crate::config::CrlSource;
use crate::config::jpki;
use crate::config::listeners::tls_listeners;
use std::path::Path;

/// What a file that the configuration names is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The data directory.
    Data,
    /// The PKCS#11 module.
    Module,
    /// The PIN.
    Pin,
    /// Private key of a listener, PEM.
    Key,
    /// Certificate of a listener and its issuers, PEM.
    Certificate,
    /// CA certificates, PEM.
    CaBundle,
    /// A revocation list.
    Crl,
}

/// One file that the configuration names.
pub struct Named<'c> {
    /// Key path.
    pub key: String,
    /// The file.
    pub path: &'c Path,
    /// What for.
    pub purpose: Purpose,
}

/// Every file that the configuration names.
pub fn named_files(config: &Config) -> Vec<Named<'_>> {
    let mut named = vec![
        Named { key: "data_dir".into(), path: &config.data_dir, purpose: Purpose::Data },
        Named { key: "hsm.module".into(), path: &config.hsm.module, purpose: Purpose::Module },
    ];
    if let Some(path) = &config.hsm.pin_file {
        named.push(Named { key: "hsm.pin_file".into(), path, purpose: Purpose::Pin });
    }
    for listener in tls_listeners(config) {
        let key = |name: &str| format!("{}.{name}", listener.key);
        let (certificate, private) = (listener.certificate, listener.private_key);
        named.push(Named {
            key: key("certificate"),
            path: certificate,
            purpose: Purpose::Certificate,
        });
        named.push(Named { key: key("key"), path: private, purpose: Purpose::Key });
        if let Some(path) = listener.client_ca {
            named.push(Named { key: key("client_ca"), path, purpose: Purpose::CaBundle });
        }
        let crls = listener.client_crls.iter();
        named.extend(crls.map(|path| Named {
            key: key("client_crls"),
            path,
            purpose: Purpose::Crl,
        }));
    }
    named.extend(jpki::named_files(&config.jpki));
    let cards = [
        ("listeners.hpki.card_ca_hints", &config.listeners.hpki),
        ("listeners.jpki.card_ca_hints", &config.listeners.jpki),
    ];
    for (key, listener) in cards {
        let hints = listener.as_ref().and_then(|listener| listener.card_ca_hints.as_deref());
        let purpose = Purpose::CaBundle;
        named.extend(hints.map(|path| Named { key: key.into(), path, purpose }));
    }
    let bundles = [
        ("hpki.intermediates", &config.hpki.intermediates),
        ("second_certificates.intermediates", &config.second_certificates.intermediates),
    ];
    for (key, paths) in bundles {
        let purpose = Purpose::CaBundle;
        named.extend(paths.iter().map(|path| Named { key: key.into(), path, purpose }));
    }
    for (table, crls) in config.crl_tables() {
        for (id, source) in crls {
            if let CrlSource::File(path) = source {
                named.push(Named {
                    key: format!("{table}.{id}.file"),
                    path,
                    purpose: Purpose::Crl,
                });
            }
        }
    }
    named
}
