//! What every field of a command must look like, whoever sends it: names, texts, limits. Checked at the edge and again by
//! the keeper.

use crate::admin::command::AdminCommand;
use crate::admin::command::AuditQuery;
use crate::admin::command::NewLimits;
use crate::admin::command::NewSystem;
use crate::admin::command::SystemChange;
use crate::admin::holder::HolderChange;
use crate::http::answer::malformed;
use crate::problem::Problem;
use crate::text::is_deceptive;
use crate::wire::MethodName;
use attest::records::Fingerprint;
use attest::records::SessionLimits;

/// What an id looks like, for the document; [`is_id`] decides.
pub const ID: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
/// What a fingerprint looks like, for the document.
pub const FINGERPRINT: &str = "^[0-9a-f]{64}$";
/// What a PEM certificate holds, for the document.
pub const PEM: &str = "-----BEGIN CERTIFICATE-----";
/// Characters of an id.
pub const MAX_ID_CHARS: usize = 64;
/// Characters of a display name: a long personal or product name.
pub const MAX_NAME_CHARS: usize = 100;
/// Characters of a contact or a distinguished name.
pub const MAX_TEXT_CHARS: usize = 500;
/// Octets of one certificate, PEM: the largest seen have 4 kB.
pub const MAX_CERTIFICATE_PEM_BYTES: usize = 16 * 1024;
/// Octets of a chain, PEM: four certificates of the largest kind seen.
pub const MAX_CHAIN_PEM_BYTES: usize = 32 * 1024;
/// Client certificates of one signing system: the one in use and the one that replaces it.
pub const MAX_SYSTEM_CERTIFICATES: usize = 2;
/// Return URLs of one signing system.
pub const MAX_RETURN_URLS: usize = 16;
/// Characters of a return URL.
pub const MAX_URL_CHARS: usize = 1_000;
/// Holders named one by one for a signing system; beyond that it may name every holder.
pub const MAX_NAMED_HOLDERS: usize = 500;
/// Signatures of one session.
pub const MAX_SESSION_SIGNATURES: u64 = 100_000_000;
/// Requests a second of one signing system.
pub const MAX_REQUESTS_PER_SECOND: u32 = 100_000;
/// Audit records in one answer.
pub const MAX_AUDIT_RECORDS: u64 = 1_000;

/// Checks every field of `command` by itself; what needs the registry is the keeper's.
///
/// # Errors
/// `malformed_request`, the detail names the field and what it must be.
pub fn check(command: &AdminCommand) -> Result<(), Problem> {
    use AdminCommand as C;
    match command {
        C::Status {} | C::Doctor {} | C::HolderList {} | C::SystemList {} | C::OperatorList {} => {}
        C::AnchorList {} | C::TestModeOn {} | C::TestModeOff {} | C::ProposalList {} => {}
        C::AuditHead {} | C::LetterList {} => {}
        C::HolderAdd(new) => {
            id("holder_id", &new.holder_id)?;
            name("display_name", &new.display_name)?;
            optional(&new.ca_contact, |contact| text("ca_contact", contact))?;
        }
        C::HolderDisable { holder_id, reason } | C::HolderRetire { holder_id, reason } => {
            id("holder_id", holder_id)?;
            because(reason)?;
        }
        C::HolderEnable { holder_id }
        | C::SessionEndAll { holder_id }
        | C::HolderShow { holder_id } => id("holder_id", holder_id)?,
        C::HolderUpdate { holder_id, change } => {
            id("holder_id", holder_id)?;
            if *change == HolderChange::default() {
                return Err(malformed("nothing is named that would change"));
            }
            optional(&change.display_name, |new| name("display_name", new))?;
            optional(&change.ca_contact, |contact| text("ca_contact", contact))?;
        }
        C::CardLink(new) => {
            id("holder_id", &new.holder_id)?;
            pem("certificate_pem", &new.certificate_pem, MAX_CERTIFICATE_PEM_BYTES)?;
        }
        C::CardUnlink { card, reason } | C::JpkiUnlink { card, reason } => {
            fingerprint("card", card)?;
            because(reason)?;
        }
        C::DeviceRemove { device, reason } => {
            fingerprint("device", device)?;
            because(reason)?;
        }
        C::CardList { holder_id }
        | C::DeviceList { holder_id }
        | C::JpkiList { holder_id }
        | C::KeyList { holder_id } => {
            optional(holder_id, |holder| id("holder", holder))?;
        }
        C::LetterIssue(new) => id("holder_id", &new.holder_id)?,
        C::LetterSheet { letter_id } | C::LetterWithdraw { letter_id } => {
            id("letter_id", letter_id)?;
        }
        C::KeyCreate(new) => {
            id("credential_id", &new.credential_id)?;
            id("holder_id", &new.holder_id)?;
            optional(&new.subject, |subject| text("subject", subject))?;
        }
        C::KeyRequest { credential_id } | C::KeyRelease { credential_id } => {
            id("credential_id", credential_id)?;
        }
        C::KeyRevoke { credential_id, reason } => {
            id("credential_id", credential_id)?;
            because(reason)?;
        }
        C::KeyRenew(new) => {
            id("credential_id", &new.credential_id)?;
            optional(&new.subject, |subject| text("subject", subject))?;
        }
        C::KeyDestroy { credential_id, public_key } => {
            id("credential_id", credential_id)?;
            fingerprint("public_key", public_key)?;
        }
        C::KeyInstall(new) => {
            id("credential_id", &new.credential_id)?;
            pem("chain_pem", &new.chain_pem, MAX_CHAIN_PEM_BYTES)?;
        }
        C::SystemAdd(new) => new_system(new)?,
        C::SystemUpdate { system_id, change } => {
            id("system_id", system_id)?;
            system_change(change)?;
        }
        C::SystemRemove { system_id } => id("system_id", system_id)?,
        C::OperatorAdd(new) => {
            id("operator_id", &new.operator_id)?;
            pem("certificate_pem", &new.certificate_pem, MAX_CERTIFICATE_PEM_BYTES)?;
        }
        C::OperatorRemove { operator_id } => id("operator_id", operator_id)?,
        C::AnchorAdd(new) => {
            pem("certificate_pem", &new.certificate_pem, MAX_CERTIFICATE_PEM_BYTES)?;
        }
        C::AnchorRemove { fingerprint: of, .. } => fingerprint("fingerprint", of)?,
        C::ModuleApprove(new) => fingerprint("module", &new.module)?,
        C::SessionList { holder_id, system_id } => {
            optional(holder_id, |holder| id("holder", holder))?;
            optional(system_id, |system| id("system", system))?;
        }
        C::SessionEnd { session_id } => id("session_id", session_id)?,
        C::ProposalShow { proposal_id }
        | C::ProposalApprove { proposal_id }
        | C::ProposalReject { proposal_id } => id("proposal_id", proposal_id)?,
        C::AuditSearch(query) => audit_query(query)?,
        C::AuditExport { limit, .. } => audit_limit(*limit)?,
        C::AuditEvidence { .. } => {}
    }
    Ok(())
}

/// Whether `text` is an id: 1 to 64 characters of `[A-Za-z0-9._-]`, the first a letter or digit.
///
/// One form only: no case folding, no Unicode, nothing that means something in a path. Two ids that differ only in case are
/// refused where they are made.
pub fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID_CHARS
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
}

/// Whether `text` reads the same to everybody: no control, bidirectional, invisible or line-separating character, no blank
/// at either end.
pub fn is_plain_text(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.chars().any(is_deceptive)
}

fn new_system(new: &NewSystem) -> Result<(), Problem> {
    id("system_id", &new.system_id)?;
    name("display_name", &new.display_name)?;
    if new.certificates_pem.is_empty() || new.certificates_pem.len() > MAX_SYSTEM_CERTIFICATES {
        return Err(malformed("certificates_pem: one certificate, or two while one is replaced"));
    }
    for certificate in &new.certificates_pem {
        pem("certificates_pem", certificate, MAX_CERTIFICATE_PEM_BYTES)?;
    }
    return_urls(&new.return_urls)?;
    holders(&new.holders)?;
    if new.all_holders != new.holders.is_empty() {
        return Err(malformed("holders: name at least one, or say all_holders, not both"));
    }
    methods(&new.methods)?;
    limits(new.limits)?;
    optional(&new.requests_per_second, |rate| requests_per_second(*rate))
}

fn system_change(change: &SystemChange) -> Result<(), Problem> {
    if *change == SystemChange::default() {
        return Err(malformed("nothing is named that would change"));
    }
    optional(&change.display_name, |new| name("display_name", new))?;
    optional(&change.add_certificate_pem, |new| {
        pem("add_certificate_pem", new, MAX_CERTIFICATE_PEM_BYTES)
    })?;
    optional(&change.remove_certificate, |gone| fingerprint("remove_certificate", gone))?;
    optional(&change.return_urls, |new| return_urls(new))?;
    optional(&change.holders, |new| holders(new))?;
    if change.all_holders == Some(true) && change.holders.is_some() {
        return Err(malformed("holders: name them, or say all_holders, not both"));
    }
    if change.all_holders == Some(false) && change.holders.is_none() {
        return Err(malformed("holders: name those that remain when all_holders ends"));
    }
    optional(&change.methods, |new| methods(new))?;
    limits(change.limits)?;
    optional(&change.requests_per_second, |rate| requests_per_second(*rate))
}

fn audit_query(query: &AuditQuery) -> Result<(), Problem> {
    let ids = [
        ("holder", &query.holder_id),
        ("system", &query.system_id),
        ("credential", &query.credential_id),
        ("operator", &query.operator_id),
        ("event", &query.event),
        ("request", &query.request_id),
    ];
    for (field, value) in ids {
        optional(value, |value| id(field, value))?;
    }
    optional(&query.limit, |limit| audit_limit(*limit))
}

fn audit_limit(limit: u64) -> Result<(), Problem> {
    in_range("limit", limit, 1, MAX_AUDIT_RECORDS)
}

fn return_urls(urls: &[String]) -> Result<(), Problem> {
    if urls.len() > MAX_RETURN_URLS {
        return Err(malformed(format!("return_urls: at most {MAX_RETURN_URLS}")));
    }
    urls.iter().try_for_each(|url| return_url(url))
}

/// `https://host[:port]/path[?query]`, or `http` on loopback (RFC 8252 §7.3), without user, fragment or anything that would
/// be written differently by somebody else: it is compared octet by octet.
fn return_url(url: &str) -> Result<(), Problem> {
    let wrong = || {
        malformed(
            "return_urls: each is https://host[:port]/path without user, fragment, blank or \
             non-ASCII character, exactly as it will be asked for (http only on localhost)",
        )
    };
    let is_written_plainly = url.len() <= MAX_URL_CHARS
        && url.bytes().all(|octet| octet.is_ascii_graphic())
        && !url.contains(['#', '@', '\\', '"', '<', '>', '`']);
    let parsed: http::Uri = url.parse().map_err(|_| wrong())?;
    let host = parsed.host().unwrap_or_default();
    let is_allowed = match parsed.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => ["localhost", "127.0.0.1", "[::1]"].contains(&host),
        _ => false,
    };
    let keeps_names_free = parsed.query().is_none_or(|query| {
        !query
            .split('&')
            .any(|pair| ["code", "state"].contains(&pair.split('=').next().unwrap_or("")))
    });
    match is_written_plainly && is_allowed && keeps_names_free {
        true => Ok(()),
        false => Err(wrong()),
    }
}

fn holders(holders: &[String]) -> Result<(), Problem> {
    if holders.len() > MAX_NAMED_HOLDERS {
        return Err(malformed(format!(
            "holders: at most {MAX_NAMED_HOLDERS} one by one; beyond that say all_holders"
        )));
    }
    no_duplicates("holders", holders)?;
    holders.iter().try_for_each(|holder| id("holders", holder))
}

fn methods(methods: &[MethodName]) -> Result<(), Problem> {
    if methods.is_empty() {
        return Err(malformed("methods: at least one of hpki, jpki, fido2"));
    }
    no_duplicates("methods", methods)
}

fn limits(limits: NewLimits) -> Result<(), Problem> {
    let ceiling = SessionLimits::CEILING_SECONDS;
    optional(&limits.seconds, |value| in_range("limits.seconds", *value, 60, ceiling))?;
    optional(&limits.idle_seconds, |value| in_range("limits.idle_seconds", *value, 60, ceiling))?;
    optional(&limits.signatures, |value| {
        in_range("limits.signatures", *value, 1, MAX_SESSION_SIGNATURES)
    })
}

fn requests_per_second(rate: u32) -> Result<(), Problem> {
    in_range("requests_per_second", rate.into(), 1, MAX_REQUESTS_PER_SECOND.into())
}

fn id(field: &str, value: &str) -> Result<(), Problem> {
    match is_id(value) {
        true => Ok(()),
        false => Err(malformed(format!(
            "{field}: 1 to {MAX_ID_CHARS} characters of A-Z a-z 0-9 . _ - beginning with a letter or digit"
        ))),
    }
}

fn name(field: &str, value: &str) -> Result<(), Problem> {
    short_text(field, value, MAX_NAME_CHARS)
}

fn text(field: &str, value: &str) -> Result<(), Problem> {
    short_text(field, value, MAX_TEXT_CHARS)
}

fn because(reason: &Option<String>) -> Result<(), Problem> {
    optional(reason, |reason| text("reason", reason))
}

fn short_text(field: &str, value: &str, max_chars: usize) -> Result<(), Problem> {
    match is_plain_text(value) && value.chars().count() <= max_chars {
        true => Ok(()),
        false => Err(malformed(format!(
            "{field}: 1 to {max_chars} visible characters, no line break, no invisible or \
             direction-changing character, no blank at the ends"
        ))),
    }
}

fn pem(field: &str, value: &str, max_bytes: usize) -> Result<(), Problem> {
    if value.contains("PRIVATE KEY-----") {
        return Err(malformed(format!(
            "{field}: this holds a private key, which must not leave its place; send the \
             certificate only, and treat the key as disclosed"
        )));
    }
    match value.len() <= max_bytes && value.contains(PEM) {
        true => Ok(()),
        false => {
            Err(malformed(format!("{field}: a PEM certificate of at most {max_bytes} octets")))
        }
    }
}

fn fingerprint(field: &str, value: &Fingerprint) -> Result<(), Problem> {
    let is_digit = |char: char| char.is_ascii_digit() || ('a'..='f').contains(&char);
    match value.0.len() == 64 && value.0.chars().all(is_digit) {
        true => Ok(()),
        false => Err(malformed(format!("{field}: 64 hexadecimal digits, lower case"))),
    }
}

fn in_range(field: &str, value: u64, min: u64, max: u64) -> Result<(), Problem> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(malformed(format!("{field}: {min} to {max}"))),
    }
}

fn no_duplicates<T: PartialEq>(field: &str, values: &[T]) -> Result<(), Problem> {
    let is_new =
        |(index, value): (usize, &T)| !values.iter().take(index).any(|other| other == value);
    match values.iter().enumerate().all(is_new) {
        true => Ok(()),
        false => Err(malformed(format!("{field}: nothing twice"))),
    }
}

fn optional<T>(
    value: &Option<T>,
    check: impl Fn(&T) -> Result<(), Problem>,
) -> Result<(), Problem> {
    value.as_ref().map_or(Ok(()), check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_at_its_limit_is_taken_and_one_past_is_refused() {
        assert!(is_id(&"a".repeat(64)));
        assert!(!is_id(&"a".repeat(65)));
        assert!(!is_id(""));
    }

    #[test]
    fn id_that_means_something_in_a_path_or_reads_like_another_is_refused() {
        for wrong in [".", "..", "-x", "a/b", "a%2fb", "a b", "a;b", "ａ", "a\u{200b}", "山", "a\n"]
        {
            assert!(!is_id(wrong), "{wrong:?}");
        }
        for right in ["u-17", "A.b_c-9", "0"] {
            assert!(is_id(right), "{right:?}");
        }
    }

    #[test]
    fn text_that_deceives_the_eye_is_refused() {
        assert!(is_plain_text("山田 花子 (内科)"));
        for wrong in ["", " a", "a ", "a\nb", "a\u{202e}b", "a\u{200b}", "a\u{2066}b", "\u{1b}[31m"]
        {
            assert!(!is_plain_text(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn return_url_is_https_or_loopback_and_nothing_else() {
        for right in [
            "https://ehr.example/return",
            "https://ehr.example:8443/a?tab=1",
            "http://localhost:8080/cb",
            "http://127.0.0.1/cb",
        ] {
            assert!(return_url(right).is_ok(), "{right}");
        }
        for wrong in [
            "http://ehr.example/return",
            "https://user@ehr.example/",
            "https://ehr.example/#x",
            "https://ehr.example/a b",
            "javascript:alert(1)",
            "/relative",
            "https://ehr.example/?code=1",
            "https://例え.jp/",
            "",
        ] {
            assert!(return_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pem_with_a_private_key_is_refused_by_name() {
        let both = "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n";
        let refused = pem("certificate_pem", both, 1_000).unwrap_err();
        assert!(refused.detail.unwrap().contains("private key"));
    }

    #[test]
    fn limits_hold_at_each_end() {
        assert!(in_range("x", 60, 60, 61).is_ok() && in_range("x", 61, 60, 61).is_ok());
        assert!(in_range("x", 59, 60, 61).is_err() && in_range("x", 62, 60, 61).is_err());
    }
}
