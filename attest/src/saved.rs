//! A sign-in that one browser keeps for one signing system: a click goes on with the evidence of before.
//!
//! It is kept where fresh evidence has just approved a day session in that same browser, and for that signing system alone.
//! What was agreed to then is never widened: every limit counts from the evidence, and the signatures of all the sessions
//! that rest on it count together. A click ends the session before it, so that one of them lives at a time. Logout removes
//! the record, in the transaction that ends the session; an activation is never kept.

use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use crate::records::SessionLimits;
use crate::records::TrustRecord;
use crate::session::LiveSession;
use crate::session::SessionFacts;
use crate::sign_in::Approval;
use crate::sign_in::SessionRecord;
use crate::sign_in::same;
use serde::Deserialize;
use serde::Serialize;

/// Sign-ins kept of one holder, in all their browsers for all signing systems: the oldest evidence goes.
pub const MAX_OF_HOLDER: usize = 16;
/// Characters of a holder's and of a browser's part of a name.
const PART_CHARACTERS: usize = 32;
/// Characters of a browser's secret.
const SECRET_CHARACTERS: usize = 43;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSignIn {
    /// Names the browser: blinded holder, then 16 random octets, hexadecimal.
    pub browser: String,
    /// SHA-256 of its secret.
    pub secret: Fingerprint,
    /// For which signing system.
    pub system_id: String,
    /// The evidence, and what was agreed to by it.
    pub approval: Approval,
    /// The newest session that rests on it.
    pub session_id: String,
    /// Signatures that this session was given.
    pub left: u64,
    /// First second at which it is over: that of the session which fresh evidence opened.
    pub expires_at: UnixSeconds,
}

impl TrustRecord for SavedSignIn {
    const PREFIX: &'static str = "g/";

    fn id(&self) -> String {
        saved_id(&self.browser, &self.system_id)
    }

    fn expires(&self) -> Option<UnixSeconds> {
        Some(self.expires_at)
    }
}

impl SavedSignIn {
    /// Whether a click may stand for evidence in this sign-in, as far as the records say: the same signing system, which
    /// names the same holder, for a day session.
    pub fn is_for(&self, record: &SessionRecord) -> bool {
        record.may_be_kept()
            && record.system_id == self.system_id
            && record.holder_id.as_ref() == Some(&self.approval.holder_id)
            && record.accepts(self.approval.method)
    }

    /// Whether what is asked for now is no more than what was agreed to then.
    pub fn covers(&self, asked: SessionLimits, second_certificates: &[Fingerprint]) -> bool {
        let agreed = &self.approval;
        asked.at_most(agreed.limits) == asked
            && second_certificates.iter().all(|one| agreed.second_certificates.contains(one))
    }

    /// The session that a click at `now` would open, to be judged as sessions are.
    pub fn as_session(&self, now: UnixSeconds) -> LiveSession {
        let Approval { holder_id, method, evidence, factor, .. } = self.approval.clone();
        LiveSession::new(SessionFacts {
            session_id: self.session_id.clone(),
            holder_id,
            system_id: self.system_id.clone(),
            method,
            evidence,
            factor,
            certificate_b64: self.approval.certificate_b64.clone(),
            second_certificates: self.approval.second_certificates.clone(),
            terminal: self.approval.terminal.clone(),
            authenticated_at: self.approval.authenticated_at,
            expires_at: self.expires_at,
            limits: SessionLimits { signatures: self.left, ..self.approval.limits },
            used: 0,
            last_used: now,
            entries: None,
            used_entries: Vec::new(),
        })
    }
}

/// The name of what `browser` keeps for a signing system.
pub(crate) fn saved_id(browser: &str, system_id: &str) -> String {
    format!("{browser}/{system_id}")
}

/// What a browser's cookie says: its name, and the secret that exists nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie<'a> {
    pub(crate) browser: &'a str,
    secret: &'a str,
}

impl<'a> Cookie<'a> {
    /// Reads a cookie; nothing for nonsense.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (browser, secret) = text.split_once('.')?;
        let is_name = browser.len() == 2 * PART_CHARACTERS
            && browser.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
        let is_secret = secret.len() == SECRET_CHARACTERS
            && secret.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
        (is_name && is_secret).then_some(Self { browser, secret })
    }

    /// Whether `saved` is this browser's; constant time.
    pub(crate) fn opens(&self, saved: &SavedSignIn) -> bool {
        saved.browser == self.browser
            && same(&saved.secret, &Fingerprint::of(self.secret.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::danger_testing::START;
    use crate::danger_testing::approval;

    const AGREED: SessionLimits = SessionLimits { seconds: 600, idle_seconds: 60, signatures: 10 };

    fn saved() -> SavedSignIn {
        let mut approval = approval("u-1", "evidence");
        approval.limits = AGREED;
        approval.second_certificates = vec![Fingerprint::of(b"one"), Fingerprint::of(b"two")];
        SavedSignIn {
            browser: "0".repeat(64),
            secret: Fingerprint::of("s".repeat(43).as_bytes()),
            system_id: "ehr".into(),
            approval,
            session_id: "session".into(),
            left: 10,
            expires_at: UnixSeconds(START + 600),
        }
    }

    #[test]
    fn cookie_opens_what_has_its_name_and_its_secret() {
        let text = format!("{}.{}", "0".repeat(64), "s".repeat(43));
        assert!(Cookie::parse(&text).unwrap().opens(&saved()));
        let other_secret = format!("{}.{}", "0".repeat(64), "t".repeat(43));
        assert!(!Cookie::parse(&other_secret).unwrap().opens(&saved()));
        let other_browser = format!("{}.{}", "1".repeat(64), "s".repeat(43));
        assert!(!Cookie::parse(&other_browser).unwrap().opens(&saved()));
    }

    #[test]
    fn cookie_of_any_other_form_is_none() {
        let (name, secret) = ("0".repeat(64), "s".repeat(43));
        for bad in [
            String::new(),
            ".".into(),
            name.clone(),
            format!("{name}{secret}"),
            format!("{}.{secret}", "A".repeat(64)),
            format!("{}/.{secret}", "0".repeat(63)),
            format!("{name}.{}", "s".repeat(42)),
            format!("{name}.{}", "s".repeat(44)),
            format!("{name}.{}.", "s".repeat(42)),
        ] {
            assert_eq!(Cookie::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_asked_for_is_covered_up_to_each_limit_and_not_past_it() {
        let one = [Fingerprint::of(b"one")];
        assert!(saved().covers(AGREED, &one));
        assert!(saved().covers(SessionLimits { seconds: 1, ..AGREED }, &[]));
        for more in [
            SessionLimits { seconds: 601, ..AGREED },
            SessionLimits { idle_seconds: 61, ..AGREED },
            SessionLimits { signatures: 11, ..AGREED },
        ] {
            assert!(!saved().covers(more, &one), "{more:?}");
        }
        assert!(!saved().covers(AGREED, &[Fingerprint::of(b"one"), Fingerprint::of(b"three")]));
    }
}
