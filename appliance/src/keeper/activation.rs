//! Activations as signing systems ask for them and holders see them: a list of entries, each signed once.

use super::Keeper;
use crate::audit::Principal;
use crate::problems;
use api::operations::Caller;
use api::operations::EntryShown;
use api::problem::Code;
use api::problem::Problem;
use api::wire;
use attest::activation::Entries;
use attest::activation::EntriesError;
use attest::activation::Entry;
use attest::activation::EntryKind;
use attest::activation::NewEntry;
use attest::algorithm::DigestAlgorithm;
use attest::gate::check_credential;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::records::SigningSystem;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sign_in::SessionRecord;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// Characters of a digest that are shown, hexadecimal: enough to compare by eye.
const DIGEST_START: usize = 16;

impl Keeper {
    /// The entries that a sign-in is asked for; none: a day session.
    pub(super) fn entries_of(
        &self,
        system: &SigningSystem,
        new: &wire::NewSession,
    ) -> Result<Option<Entries>, Problem> {
        let entries = match (new.purpose, &new.entries) {
            (wire::Purpose::Day, None) => return Ok(None),
            (wire::Purpose::Day, Some(_)) => {
                return Err(malformed("entries go with purpose once"));
            }
            (wire::Purpose::Once, None) => return Err(malformed("purpose once takes entries")),
            (wire::Purpose::Once, Some(entries)) => entries,
        };
        let Some(holder_id) = &new.holder else {
            return Err(malformed("purpose once names its holder"));
        };
        let limit = self.parts.settings.entries;
        if entries.is_empty() || entries.len() > limit {
            return Err(malformed(format!("entries: 1 to {limit}")));
        }
        if u64::try_from(entries.len()).unwrap_or(u64::MAX) > system.limits.signatures {
            let detail =
                "entries: more than the signatures that a session of this signing system has";
            return Err(malformed(detail));
        }
        let entries = entries.iter().enumerate();
        let entries =
            entries.map(|(index, entry)| self.entry_of(system, holder_id, index + 1, entry));
        let entries = Entries::new(entries.collect::<Result<_, _>>()?);
        entries.map(Some).map_err(|error| match error {
            EntriesError::Empty | EntriesError::Length(_) | EntriesError::Twice(_) => {
                malformed(error.to_string())
            }
            EntriesError::Random(_) => Code::Internal.into(),
        })
    }

    fn entry_of(
        &self,
        system: &SigningSystem,
        holder_id: &str,
        number: usize,
        entry: &wire::NewEntry,
    ) -> Result<NewEntry, Problem> {
        let malformed = |what: String| malformed(format!("entry {number}: {what}"));
        let limit = self.parts.settings.entry_label_characters;
        if !(1..=limit).contains(&entry.label.chars().count()) {
            return Err(malformed(format!("a label has 1 to {limit} characters")));
        }
        if entry.kind == wire::EntryKind::Dtbsr && !system.raw_allowed {
            let detail = "entries of kind dtbsr are for output raw, which is not open to this signing system";
            return Err(Problem::with_detail(Code::NotPermitted, detail));
        }
        let credential = self.parts.registry.credential(&entry.credential);
        let credential = credential.filter(|live| live.record.holder_id == *holder_id);
        let credential = credential.ok_or(Code::CredentialUnknown)?;
        // Nobody is asked to approve what could not be signed.
        check_credential(&credential, self.now()?).map_err(|error| problems::gate(&error))?;
        let (algorithm, expected) =
            (DigestAlgorithm::from(entry.alg), credential.record.key_type.digest());
        if algorithm != expected {
            return Err(malformed(format!("this key signs {} digests", expected.name())));
        }
        let value = STANDARD.decode(&entry.value);
        Ok(NewEntry {
            kind: entry.kind.into(),
            algorithm,
            value: value.map_err(|_| malformed("value is not base64".to_owned()))?,
            credential_id: entry.credential.clone(),
            label: entry.label.clone(),
        })
    }

    /// The limits that a holder is asked to agree to now, by `method`.
    pub(super) fn offered(
        &self,
        system: &SigningSystem,
        record: &SessionRecord,
        method: Method,
    ) -> SessionLimits {
        let settings = &self.parts.settings;
        let within = |seconds, signatures| {
            let limits = SessionLimits { seconds, idle_seconds: seconds, signatures };
            limits.at_most(system.limits)
        };
        let limits = match &record.entries {
            Some(entries) => within(settings.once_seconds, entries.count()),
            None => system.limits,
        };
        match method {
            Method::Fido2 => within(settings.phone_session_seconds, u64::MAX).at_most(limits),
            Method::Hpki | Method::Jpki => limits,
        }
    }

    /// Nothing more comes of `count` signatures; an activation ends with its last.
    pub(super) async fn settle(&self, caller: &Caller, session: &Arc<LiveSession>, count: u64) {
        session.settle(count);
        if session.entries().is_none() {
            return;
        }
        let Ok(Some(reason @ EndReason::Exhausted)) = self.now().map(|now| session.over(now))
        else {
            return;
        };
        let ended = self.end_live(&caller.request_id, Principal::Appliance, session, reason).await;
        if let Err(error) = ended {
            // The watch tries again.
            tracing::error!(request_id = caller.request_id, %error, "the end of an activation is not durable");
        }
    }
}

/// What the holder sees of the entries.
pub(super) fn shown(record: &SessionRecord) -> Vec<EntryShown> {
    let shown = |entry: &Entry| EntryShown {
        label: entry.label.clone(),
        kind: match entry.kind {
            EntryKind::Content => wire::EntryKind::Content,
            EntryKind::Dtbsr => wire::EntryKind::Dtbsr,
        },
        digest_start: hex::encode(&entry.value).chars().take(DIGEST_START).collect(),
    };
    record.entries.iter().flat_map(|entries| entries.as_slice()).map(shown).collect()
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::with_detail(Code::MalformedRequest, detail)
}
