//! What must hold between the values of a configuration, without looking at any file they name.

use crate::config::Config;
use crate::config::CrlSource;
use crate::config::Fault;
use crate::config::jpki;
use api::config::CardListener;
use attest::judge::HcRoleSource;
use attest::records::SessionLimits;
use hsm::error::HsmError;
use http::Uri;
use std::net::SocketAddr;
use std::path::Path;
use tracing_subscriber::EnvFilter;

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

/// Every fault between values.
pub fn check(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    hsm(config, &mut faults);
    paths(config, &mut faults);
    listeners(config, &mut faults);
    addresses(config, &mut faults);
    profiles(config, &mut faults);
    crls(config, &mut faults);
    jpki::check(&config.jpki, &mut faults);
    numbers(config, &mut faults);
    log_filter(config, &mut faults);
    let origins = [("hpki.origin", &config.hpki.origin), ("jpki.origin", &config.jpki.origin)];
    for (key, origin) in origins {
        if let Some(origin) = origin
            && !is_origin(origin)
        {
            faults.push(Fault::error(
                key,
                format!("{origin:?} is not an origin"),
                "write scheme, host and port only: origin = \"https://hpki.hospital.example:8444\"",
            ));
        }
    }
    my_number_cards(config, &mut faults);
    if config.keys.destroy_after_seconds < 86_400 {
        faults.push(Fault::warning(
            "keys.destroy_after_seconds",
            "a key pair may be destroyed before every shift has seen whether something misses it",
            "for trials only; a day (86400) at least, better a week",
        ));
    }
    if config.danger_allow_unsafe_file_system {
        faults.push(Fault::warning(
            "danger_allow_unsafe_file_system",
            "acknowledged signatures and logouts may be lost in a power cut",
            "for trials only; delete the line and put data_dir on ext4 or xfs",
        ));
    }
    faults
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

fn hsm(config: &Config, faults: &mut Vec<Fault>) {
    if let Err(HsmError::Config { field, reason }) = config.hsm.check() {
        faults.push(Fault::error(
            format!("hsm.{field}"),
            reason,
            "see `inkan check-config --example`",
        ));
    }
}

/// Cards sign the host name of the listener they are for, so that one kind of evidence never serves as the other.
fn my_number_cards(config: &Config, faults: &mut Vec<Fault>) {
    let Some(jpki) = &config.listeners.jpki else { return };
    let hpki = config.listeners.hpki.iter().flat_map(|hpki| &hpki.host_names);
    // Trials on one machine have one name; a card of the other kind is still one of the other authorities.
    let shared = |name: &&String| jpki.host_names.contains(name) && *name != "localhost";
    for name in hpki.filter(shared) {
        faults.push(Fault::error(
            "listeners.jpki.host_names",
            format!("{name} is a name of listeners.hpki, too"),
            "give each card its own name: it is what a card signs, and what browsers remember a card for",
        ));
    }
    if config.jpki.validity.is_none() {
        faults.push(Fault::warning(
            "listeners.jpki",
            "nobody is asked whether My Number cards are valid, so every one of them is refused",
            "write a table [jpki.validity]; `inkan check-config --example` has one",
        ));
    }
}

fn paths(config: &Config, faults: &mut Vec<Fault>) {
    for named in named_files(config) {
        if !named.path.is_absolute() && named.purpose != Purpose::Module {
            faults.push(Fault::error(
                named.key,
                format!(
                    "{} depends on the directory the daemon is started in",
                    named.path.display()
                ),
                "write an absolute path, beginning with /",
            ));
        }
    }
}

fn listeners(config: &Config, faults: &mut Vec<Fault>) {
    let listeners = &config.listeners;
    let needed = [
        (
            "listeners.signing",
            listeners.signing.is_none(),
            "no signing system could ask for a signature",
        ),
        ("listeners.hpki", listeners.hpki.is_none(), "nobody could sign in with a card"),
        ("listeners.admin", listeners.admin.is_none(), "nobody could administrate the appliance"),
    ];
    for (key, is_missing, wrong) in needed {
        if is_missing {
            let instead = format!("write a table [{key}]; `inkan check-config --example` has one");
            faults.push(Fault::error(key, wrong, instead));
        }
    }
    if let Some(portal) = &listeners.portal
        && portal.host_name.parse::<std::net::IpAddr>().is_ok()
    {
        faults.push(Fault::error(
            "listeners.portal.host_name",
            "passkeys are bound to a name; browsers refuse them for an address",
            "host_name = \"portal.inkan.hospital.example\"",
        ));
    }
    for listener in tls_listeners(config) {
        let key = listener.names_key;
        if listener.host_names.is_empty() && listener.key != "listeners.metrics.tls" {
            let wrong = "no host name is served, so every request would be refused";
            faults.push(Fault::error(key, wrong, "host_names = [\"inkan.hospital.example\"]"));
            continue;
        }
        for name in listener.host_names.iter().filter(|name| !is_host_name(name)) {
            faults.push(Fault::error(
                key,
                format!("{name:?} is no host name"),
                "write it in lower case, without scheme, port, path or trailing dot",
            ));
        }
    }
}

fn addresses(config: &Config, faults: &mut Vec<Fault>) {
    let all = addresses_of(config);
    for (index, (key, address)) in all.iter().enumerate() {
        if address.port() == 0 {
            let wrong = "port 0 is another port at each start, which nobody can find";
            faults.push(Fault::warning(*key, wrong, "write a fixed port"));
            continue;
        }
        let earlier = all.iter().take(index).find(|(_, other)| overlap(*other, *address));
        if let Some((other, _)) = earlier {
            faults.push(Fault::error(
                *key,
                format!("{address} is already listened on for {other}"),
                "give each listener its own port: they have different identity rules",
            ));
        }
    }
    if let Some(metrics) = &config.listeners.metrics
        && metrics.tls.is_none()
        && !metrics.address.ip().is_loopback()
    {
        faults.push(Fault::error(
            "listeners.metrics.address",
            format!("{} would be open to the network without TLS", metrics.address),
            "write a loopback address (127.0.0.1:9464), or add a table [listeners.metrics.tls]",
        ));
    }
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_place = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && same_place
}

fn profiles(config: &Config, faults: &mut Vec<Fault>) {
    let policies = [
        ("hpki.profile.policy_oids", &config.hpki.profile.policy_oids),
        ("jpki.profile.policy_oids", &config.jpki.profile.policy_oids),
        (
            "second_certificates.profile.policy_oids",
            &config.second_certificates.profile.policy_oids,
        ),
    ];
    for (key, oids) in policies {
        if oids.is_empty() {
            let wrong = "without a policy no certificate is ever accepted";
            faults.push(Fault::error(key, wrong, "leave the key out to have the published policy"));
        }
    }
    if config.hpki.profile.hc_role.source == HcRoleSource::None {
        faults.push(Fault::warning(
            "hpki.profile.hc_role.source",
            "anybody with a linked card may sign, qualified or not",
            "write \"either\" unless other persons than the qualified are meant to sign",
        ));
    }
}

fn crls(config: &Config, faults: &mut Vec<Fault>) {
    let tables = config.crl_tables();
    for (index, (key, crls)) in tables.iter().enumerate() {
        for (id, source) in *crls {
            let mut earlier = tables.iter().take(index);
            let other = earlier.find(|(_, crls)| crls.get(id).is_some_and(|other| other != source));
            if let Some((other, _)) = other {
                faults.push(Fault::error(
                    format!("{key}.{id}"),
                    format!("{other} has another source under the same name"),
                    "use another name, or the same source in both places",
                ));
            }
        }
        if crls.is_empty() {
            faults.push(Fault::error(
                *key,
                "without revocation lists no certificate is ever good: unknown is not good",
                "name a list for every authority, for example: medis = { file = \"/etc/inkan/medis.crl\" }",
            ));
        }
        for id in crls.keys().filter(|id| !api::admin::check::is_id(id)) {
            faults.push(Fault::error(
                format!("{key}.{id}"),
                "this name would not be readable in logs and metrics",
                "1 to 64 characters of A-Z a-z 0-9 . _ - beginning with a letter or digit",
            ));
        }
    }
}

fn numbers(config: &Config, faults: &mut Vec<Fault>) {
    let ranges = [
        ("hpki.handshake_seconds", config.hpki.handshake_seconds, 10, 600),
        ("revocation.refresh_seconds", config.revocation.refresh_seconds, 1, 86_400),
        ("revocation.alarm_hours", config.revocation.alarm_hours, 1, 30 * 24),
        ("revocation.max_age_hours", config.revocation.max_age_hours, 1, 365 * 24),
        ("keys.destroy_after_seconds", config.keys.destroy_after_seconds, 1, 10 * 365 * 86_400),
        ("sessions.max_seconds", config.sessions.max_seconds, 60, SessionLimits::CEILING_SECONDS),
        ("sessions.max_signatures", config.sessions.max_signatures, 1, 100_000_000),
        ("sessions.once_seconds", config.sessions.once_seconds, 30, 3_600),
        ("factors.wait_seconds", config.factors.wait_seconds, 0, 30 * 86_400),
        ("factors.show_seconds", config.factors.show_seconds, 0, 365 * 86_400),
        (
            "factors.phone_session_seconds",
            config.factors.phone_session_seconds,
            60,
            SessionLimits::CEILING_SECONDS,
        ),
        ("limits.digest_items", config.limits.digest_items as u64, 1, 5_000),
        // A list of the longest is still one record of the store.
        ("limits.entries", config.limits.entries as u64, 1, 100),
        ("limits.entry_label_characters", config.limits.entry_label_characters as u64, 1, 120),
        ("limits.sign_ins_per_minute", config.limits.sign_ins_per_minute.into(), 1, 100_000),
        ("limits.notification_card_days", config.limits.notification_card_days, 1, 365),
        ("limits.phones_per_minute", config.limits.phones_per_minute.into(), 1, 100_000),
        (
            "limits.phones_per_minute_of_address",
            config.limits.phones_per_minute_of_address.into(),
            1,
            1_000_000,
        ),
        (
            "limits.without_link_per_minute_of_address",
            config.limits.without_link_per_minute_of_address.into(),
            1,
            1_000_000,
        ),
        (
            "listeners.certificates.check_seconds",
            config.listeners.certificates.check_seconds,
            1,
            86_400,
        ),
    ];
    for (key, value, least, most) in ranges {
        faults.extend(Fault::out_of_range(key, value, least, most));
    }
}

/// A word that is no level is taken for a module, and then nothing at all is logged.
fn log_filter(config: &Config, faults: &mut Vec<Fault>) {
    let is_level = |word: &str| ["error", "warn", "info", "debug", "off"].contains(&word);
    for part in config.log.filter.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if !is_level(level.trim()) || EnvFilter::try_new(part).is_err() {
            faults.push(Fault::error(
                "log.filter",
                format!("{part:?} is no level and no module with a level"),
                "filter = \"info\", or by module: \"info,hsm=debug\"; levels are error, warn, info, debug and off",
            ));
        }
    }
}

/// RFC 1123 §2.1 host name in lower case, or an IP address.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let inner =
            label.bytes().all(|o| o.is_ascii_lowercase() || o.is_ascii_digit() || o == b'-');
        !label.is_empty()
            && label.len() <= 63
            && inner
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    is_address || (name.len() <= 253 && name.split('.').all(is_label))
}

fn is_origin(origin: &str) -> bool {
    let parsed: Option<Uri> = origin.parse().ok();
    parsed.is_some_and(|uri| {
        let is_bare = uri.path() == "/" && uri.query().is_none() && !origin.ends_with('/');
        uri.scheme_str() == Some("https") && is_bare && uri.host().is_some_and(is_host_name)
    })
}
