//! One sign-in: made by a signing system, met by a browser, ended approved, denied or expired; then a session.
//!
//! Everything is one durable record that moves forward by guarded writes, so of two browsers, two codes or two restarts
//! exactly one wins. Approval alone activates nothing: the code comes back through the holder's own browser.

use crate::activation::Entries;
use crate::clock::UnixSeconds;
use crate::own_page::PORTAL;
use crate::records::Fingerprint;
use crate::records::Method;
use crate::records::SessionLimits;
use crate::records::TrustRecord;
use crate::session::EndReason;
use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Seconds for which a login link can be used: time to fetch the card from the locker.
pub const LINK_SECONDS: u64 = 600;
/// Seconds for which a code can be exchanged: one redirect.
pub const CODE_SECONDS: u64 = 120;
/// Wrong numbers or codes after which a sign-in is denied.
pub const MAX_TRIES: u8 = 5;
/// Seconds for which an ended record still answers `GET /v1/sessions/{id}`.
const REMEMBERED_SECONDS: u64 = 24 * 3600;
/// Octets of each random secret.
const SECRET_BYTES: usize = 32;

/// Presence proved for one sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Whose.
    pub holder_id: String,
    /// How.
    pub method: Method,
    /// Digest of the evidence, as in the audit log.
    pub evidence: String,
    /// The card or authenticator: when its link goes, the session goes.
    pub factor: Fingerprint,
    /// Certificate of the evidence, DER base64, to be judged again at every new revocation list. An authenticator has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_b64: Option<String>,
    /// When that certificate ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_not_after: Option<UnixSeconds>,
    /// SHA-256 of the holder's second certificates that might sign then: when one is revoked, the session goes.
    pub second_certificates: Vec<Fingerprint>,
    /// When the first of those ends; nothing without one.
    pub second_certificates_not_after: Option<UnixSeconds>,
    /// When presence was proved.
    pub authenticated_at: UnixSeconds,
    /// What the holder read and agreed to. A record from before this was kept says nothing: its code is good for two minutes.
    #[serde(default = "SessionLimits::nothing")]
    pub limits: SessionLimits,
    /// From where, as its holder is shown it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// The saved sign-in that brought this evidence again; nothing: it was fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued: Option<Continued>,
}

/// A click in the browser that keeps a sign-in, in the place of fresh evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continued {
    /// Name of the [`SavedSignIn`](crate::saved::SavedSignIn): without it the code is worth nothing.
    pub saved_id: String,
    /// When.
    pub clicked_at: UnixSeconds,
}

/// Why a sign-in was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenyReason {
    /// The holder pressed "this is not mine".
    ByHolder,
    /// Too many wrong numbers.
    WrongNumber,
    /// Too many wrong codes.
    WrongCode,
    /// The signing system gave up before anybody signed in.
    Withdrawn,
    /// Presence was proved, but what was asked for may not be done.
    Refused,
}

/// Where a sign-in or session stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case", deny_unknown_fields)]
pub enum Phase {
    /// Waits for the holder.
    Pending {
        /// Wrong numbers so far.
        tries: u8,
    },
    /// Waits for the code.
    Approved {
        /// Who and how.
        approval: Approval,
        /// SHA-256 of the code.
        code: Fingerprint,
        /// Wrong codes so far.
        tries: u8,
        /// When the code is over.
        code_expires_at: UnixSeconds,
        /// Whether a browser keeps it already.
        #[serde(default, skip_serializing_if = "is_false")]
        kept: bool,
    },
    /// Signatures may be asked for.
    Active {
        /// Who and how.
        approval: Approval,
        /// SHA-256 of the signing token.
        token: Fingerprint,
        /// First second at which it is over.
        expires_at: UnixSeconds,
        /// Limits agreed to, or less where the signing system's had become smaller by then.
        limits: SessionLimits,
        /// Signatures that may have been used: the count in memory never passes it.
        reserved: u64,
        /// Newest use known to the record: the idle limit goes on from it over a restart.
        last_used: UnixSeconds,
        /// Of an activation: entries that may have been used, counted from 0.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        used_entries: Vec<usize>,
    },
    /// Final.
    Denied {
        /// Why.
        reason: DenyReason,
    },
    /// Final.
    Ended {
        /// Why.
        reason: EndReason,
        /// Whose it was.
        holder_id: String,
        /// How they had signed in.
        method: Method,
        /// SHA-256 of the signing token: its bearer is told why it serves no more.
        token: Fingerprint,
        /// Signatures that may have been used. A record from before this was kept says nothing: all of them may.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        used: Option<u64>,
    },
}

impl Phase {
    /// Whose it is or was, once somebody has signed in.
    pub fn holder_id(&self) -> Option<&str> {
        match self {
            Self::Approved { approval, .. } | Self::Active { approval, .. } => {
                Some(&approval.holder_id)
            }
            Self::Ended { holder_id, .. } => Some(holder_id),
            Self::Pending { .. } | Self::Denied { .. } => None,
        }
    }

    /// Approved at `now`, waits for the code of this fingerprint.
    pub(crate) fn approved(approval: Approval, code: Fingerprint, now: UnixSeconds) -> Self {
        let code_expires_at = now.plus(Duration::from_secs(CODE_SECONDS));
        Self::Approved { approval, code, tries: 0, code_expires_at, kept: false }
    }
}

/// The durable record of one sign-in and the session it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    /// 16 random octets, hexadecimal.
    pub session_id: String,
    /// Who asked.
    pub system_id: String,
    /// When.
    pub created_at: UnixSeconds,
    /// SHA-256 of the link's secret.
    pub link: Fingerprint,
    /// When the link is over.
    pub link_expires_at: UnixSeconds,
    /// Who has to sign in; anybody allowed, when absent.
    pub holder_id: Option<String>,
    /// Methods that will do.
    pub methods: Vec<Method>,
    /// Where the browser goes with the code.
    pub return_url: Option<String>,
    /// SHA-256 of session id and number, where a number is typed instead.
    pub number: Option<Fingerprint>,
    /// What alone may be signed; nothing: a day session is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Entries>,
    /// Whether an activation was asked for whose entries are no longer kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub had_entries: bool,
    /// Where it stands.
    pub phase: Phase,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl TrustRecord for SessionRecord {
    const PREFIX: &'static str = "s/";

    fn id(&self) -> String {
        self.session_id.clone()
    }

    fn expires(&self) -> Option<UnixSeconds> {
        // Anybody may begin a sign-in for the portal, and nobody asks for its state: it is not kept for a day.
        let (last, remembered) = match &self.phase {
            _ if self.is_for_portal() => (self.link_expires_at, CODE_SECONDS),
            Phase::Active { expires_at, .. } => (*expires_at, REMEMBERED_SECONDS),
            _ => (self.link_expires_at, REMEMBERED_SECONDS),
        };
        Some(UnixSeconds(last.0.saturating_add(remembered)))
    }
}

impl SessionRecord {
    /// Moves on to the final `phase`. The entries go: nobody needs them any more, and their labels may name patients.
    pub(crate) fn close(&mut self, phase: Phase) {
        self.had_entries |= self.entries.take().is_some();
        self.phase = phase;
    }

    /// Whether it is, or was, for particular entries.
    pub fn is_activation(&self) -> bool {
        self.entries.is_some() || self.had_entries
    }

    /// Whether `secret` is the link's; constant time.
    pub fn is_link(&self, secret: &str) -> bool {
        same(&self.link, &Fingerprint::of(secret.as_bytes()))
    }

    /// Whether `number` is the one on the asking screen; constant time.
    pub fn is_number(&self, number: &str) -> bool {
        let typed = number_fingerprint(&self.session_id, number);
        self.number.as_ref().is_some_and(|expected| same(expected, &typed))
    }

    /// Whether the portal itself asks: no session comes of it.
    pub fn is_for_portal(&self) -> bool {
        self.system_id == PORTAL
    }

    /// Whether a browser may keep what is agreed to here: a day session, for a holder whom the signing system names, that
    /// goes back by the browser.
    pub fn may_be_kept(&self) -> bool {
        let is_day = !self.is_activation() && !self.is_for_portal();
        is_day && self.return_url.is_some() && self.holder_id.is_some()
    }

    /// Whether `method` will do.
    pub fn accepts(&self, method: Method) -> bool {
        self.methods.contains(&method)
    }

    /// Whether the link can no longer be used at `now`.
    pub fn link_is_over(&self, now: UnixSeconds) -> bool {
        now >= self.link_expires_at || !matches!(self.phase, Phase::Pending { .. })
    }
}

/// Whether two fingerprints are equal, in constant time.
pub fn same(a: &Fingerprint, b: &Fingerprint) -> bool {
    a.0.as_bytes().ct_eq(b.0.as_bytes()).into()
}

/// SHA-256 over session id and number: a bare digest of six digits would be a table.
pub fn number_fingerprint(session_id: &str, number: &str) -> Fingerprint {
    Fingerprint::of(format!("{session_id}/{number}").as_bytes())
}

/// The system's random source gave nothing.
#[derive(Debug, thiserror::Error)]
#[error("the random source failed")]
pub struct RandomFailed;

/// 256 random bits, base64url.
///
/// # Errors
/// [`RandomFailed`].
pub fn random_secret() -> Result<String, RandomFailed> {
    let mut octets = [0; SECRET_BYTES];
    rand::fill(&mut octets).map_err(|_| RandomFailed)?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

/// 128 random bits, hexadecimal: names, not secrets.
///
/// # Errors
/// [`RandomFailed`].
pub fn random_id() -> Result<String, RandomFailed> {
    let mut octets = [0; 16];
    rand::fill(&mut octets).map_err(|_| RandomFailed)?;
    Ok(hex::encode(octets))
}

/// Six random decimal digits, evenly distributed.
///
/// # Errors
/// [`RandomFailed`].
pub fn random_number() -> Result<String, RandomFailed> {
    const RANGE: u32 = 1_000_000;
    const EVEN: u32 = u32::MAX - u32::MAX % RANGE;
    for _ in 0..64 {
        let mut octets = [0; 4];
        rand::fill(&mut octets).map_err(|_| RandomFailed)?;
        let value = u32::from_be_bytes(octets);
        if value < EVEN {
            return Ok(format!("{:06}", value % RANGE));
        }
    }
    Err(RandomFailed)
}

/// The path part of a login link: session id and secret in one token, so that the record is found without an index.
pub fn link_token(session_id: &str, secret: &str) -> String {
    format!("{session_id}.{secret}")
}

/// Session id and secret of a link's token.
pub fn split_link(token: &str) -> Option<(&str, &str)> {
    let (session_id, secret) = token.split_once('.')?;
    let well_formed = session_id.len() == 32
        && session_id.bytes().all(|octet| octet.is_ascii_hexdigit())
        && secret.len() == 43
        && secret
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
    well_formed.then_some((session_id, secret))
}

/// Hidden fields of confirming forms: a MAC over subject and card, so that showing a page changes nothing.
pub struct FormTokens {
    key: hmac::Key,
}

impl FormTokens {
    /// A fresh key: forms of an earlier process are over.
    ///
    /// # Errors
    /// [`RandomFailed`].
    pub fn new() -> Result<Self, RandomFailed> {
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| RandomFailed)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// The field for the page about `subject` (a sign-in's link, an enrolment) that was shown to `card`.
    pub fn issue(&self, subject: &Fingerprint, card: &Fingerprint) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, &form_octets(subject, card)))
    }

    /// Whether `token` is from the page about `subject` that was shown to `card`; constant time.
    pub fn check(&self, subject: &Fingerprint, card: &Fingerprint, token: &str) -> bool {
        let Ok(mac) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        hmac::verify(&self.key, &form_octets(subject, card), &mac).is_ok()
    }
}

fn form_octets(subject: &Fingerprint, card: &Fingerprint) -> Vec<u8> {
    // Both parts are hexadecimal text, so the slash separates them.
    format!("{}/{}", subject.0, card.0).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_token_splits_into_what_it_was_made_of() {
        let (id, secret) = (random_id().unwrap(), random_secret().unwrap());
        let token = link_token(&id, &secret);
        assert_eq!(split_link(&token), Some((id.as_str(), secret.as_str())));
    }

    #[test]
    fn malformed_link_tokens_are_refused() {
        for bad in
            ["", ".", "a.b", &"0".repeat(76), &format!("{}.{}", "g".repeat(32), "a".repeat(43))]
        {
            assert_eq!(split_link(bad), None, "{bad}");
        }
    }

    #[test]
    fn number_has_six_digits() {
        for _ in 0..100 {
            let number = random_number().unwrap();
            assert!(number.len() == 6 && number.bytes().all(|digit| digit.is_ascii_digit()));
        }
    }
}
