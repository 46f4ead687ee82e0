//! What must hold between the values of a configuration, without looking at any file they name.

use crate::config::Config;
use crate::config::Fault;
use crate::config::jpki;
use crate::config::listeners::addresses_of;
use crate::config::listeners::tls_listeners;
use crate::config::named_files::Purpose;
use crate::config::named_files::named_files;
use attest::judge::HcRoleSource;
use attest::records::SessionLimits;
use hsm::error::HsmError;
use http::Uri;
use std::net::SocketAddr;
use tracing_subscriber::EnvFilter;

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
    if config.sessions.saved_sign_ins && config.listeners.portal.is_none() {
        faults.push(Fault::error(
            "sessions.saved_sign_ins",
            "without [listeners.portal] no browser can keep a sign-in",
            "write a table [listeners.portal], or delete the line",
        ));
    }
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
