//! Everything that a command would change, worked out before anything is changed: what two operators read, and what is done.

use api::admin::answer::Change;
use attest::permit::HolderKey;
use attest::records::CardLink;
use attest::records::Credential;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Operator;
use attest::records::SigningSystem;
use attest::records::TrustRecord;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::store::Guard;
use attest::store::Rev;
use attest::store::Write;
use attest::trust::TrustError;
use attest::trust::TrustStore;
use std::sync::Arc;

/// What a command would do.
pub(super) struct Plan {
    /// One line: `link a card to holder u-17`.
    pub summary: String,
    /// What the audit log calls it.
    pub subject: Subject,
    /// What goes with it: each has a record of its own.
    pub with: Vec<Subject>,
    /// Whether it makes the appliance trust more.
    pub grants: bool,
    /// What both operators read. The same state gives the same lines, so that an approval is of exactly this.
    pub changes: Vec<Change>,
    /// What must still hold in the store.
    pub guards: Vec<Guard>,
    /// What is stored.
    pub writes: Vec<Write>,
    /// What the token does first: nothing is stored that it refuses.
    pub token: TokenStep,
    /// What changes in memory, in this order.
    pub effects: Vec<Effect>,
    /// Sessions that end.
    pub ends: Option<Ends>,
    /// Whether a pair in the token goes at the end, when all of it is durable and recorded.
    pub destroys: bool,
}

/// What the audit log calls a change.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    /// `holder`, `card`, `my_number_card`, `device`, `notification_card`, `credential`, `system`, `operator`, `anchor`, `mode`, `session`.
    pub what: &'static str,
    /// Its id.
    pub id: String,
    /// `granted`, `changed`, `removed`.
    pub change: &'static str,
    /// Holder concerned.
    pub holder_id: Option<String>,
}

/// What the token does first.
pub(super) enum TokenStep {
    /// Nothing.
    Nothing,
    /// Stores the certificate and puts the key into service.
    Certify(Arc<HolderKey>, Vec<u8>),
    /// Audits the key again and puts it into service.
    Load(Arc<HolderKey>),
}

/// What changes in memory.
pub(super) enum Effect {
    PutHolder(Holder),
    PutCard(CardLink),
    RemoveCard(Fingerprint),
    RemoveDevice(Fingerprint),
    RemoveJpki(Fingerprint),
    /// The credential and what was just judged of its certificate.
    PutCredential(Credential, Standing),
    /// The credential with another pair; what is under way with the one before is finished.
    RenewCredential(Credential),
    /// The credential with the pair that it has.
    UpdateCredential(Credential),
    /// A credential that may not sign any more; its keys leave service.
    StopCredential(Credential),
    PutSystem(SigningSystem),
    RemoveSystem(String),
    PutOperator(Operator),
    RemoveOperator(String),
    /// Anchors or test mode: everything is judged again.
    ReloadMaterial,
    /// A notification card that is withdrawn: its sheets are handed out no more.
    ForgetSheets(String),
}

/// Which sessions end, and why.
pub(super) struct Ends {
    /// Whether this one does.
    pub which: Box<dyn Fn(&LiveSession) -> bool + Send + Sync>,
    /// Why.
    pub reason: EndReason,
    /// Whose own pages are closed with them.
    pub pages_of: Option<String>,
}

impl Plan {
    /// A plan that changes nothing yet.
    pub fn new(summary: impl Into<String>, subject: Subject, grants: bool) -> Self {
        Self {
            summary: summary.into(),
            subject,
            with: Vec::new(),
            grants,
            changes: Vec::new(),
            guards: Vec::new(),
            writes: Vec::new(),
            token: TokenStep::Nothing,
            effects: Vec::new(),
            ends: None,
            destroys: false,
        }
    }

    /// Something that will be there.
    pub fn adds(mut self, what: &str, then: impl Into<String>) -> Self {
        self.changes.push(Change { what: what.into(), now: None, then: Some(then.into()) });
        self
    }

    /// Something that is there and says what this is about, and stays.
    pub fn about(self, what: &str, text: impl Into<String>) -> Self {
        self.adds(what, text)
    }

    /// Why, if the operator said so.
    pub fn because(self, reason: &Option<String>) -> Self {
        match reason {
            Some(reason) => self.about("because", reason),
            None => self,
        }
    }

    /// Something that changes.
    pub fn turns(mut self, what: &str, now: impl Into<String>, then: impl Into<String>) -> Self {
        let (now, then) = (now.into(), then.into());
        if now != then {
            self.changes.push(Change { what: what.into(), now: Some(now), then: Some(then) });
        }
        self
    }

    /// Something that goes.
    pub fn drops(mut self, what: &str, now: impl Into<String>) -> Self {
        self.changes.push(Change { what: what.into(), now: Some(now.into()), then: None });
        self
    }

    /// Stores a record that must not be there yet.
    pub fn creating<R: TrustRecord>(
        mut self,
        trust: &TrustStore,
        record: &R,
    ) -> Result<Self, TrustError> {
        self.guards.push(Guard::Absent(record.key()));
        self.writes.push(trust.sealed(record)?);
        Ok(self)
    }

    /// Stores a record in place of the revision that was read.
    pub fn replacing<R: TrustRecord>(
        mut self,
        trust: &TrustStore,
        record: &R,
        rev: Rev,
    ) -> Result<Self, TrustError> {
        self.guards.push(Guard::Rev(record.key(), rev));
        self.writes.push(trust.sealed(record)?);
        Ok(self)
    }

    /// Removes a record of the revision that was read.
    pub fn removing<R: TrustRecord>(mut self, record: &R, rev: Rev) -> Self {
        self.guards.push(Guard::Rev(record.key(), rev));
        self.writes.push(Write::Delete(record.key()));
        self
    }

    /// Changes this in memory.
    pub fn then(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Has the token do this first.
    pub fn after(mut self, token: TokenStep) -> Self {
        self.token = token;
        self
    }

    /// Ends the sessions that `which` names.
    pub fn ending(
        mut self,
        reason: EndReason,
        which: impl Fn(&LiveSession) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.ends = Some(Ends { which: Box::new(which), reason, pages_of: None });
        self
    }

    /// Ends every session of a holder, and closes their own pages.
    pub fn signing_out(mut self, reason: EndReason, holder_id: &str) -> Self {
        let of = holder_id.to_owned();
        let which = Box::new(move |session: &LiveSession| session.holder_id == of);
        self.ends = Some(Ends { which, reason, pages_of: Some(holder_id.to_owned()) });
        self
    }

    /// SHA-256 of the record as it will be stored, for the audit log.
    pub fn record(&self) -> Option<Fingerprint> {
        match self.writes.first() {
            Some(Write::Put { value, .. }) => Some(Fingerprint::of(value)),
            Some(Write::Delete(_)) | None => None,
        }
    }

    /// All of it in words, for the audit log.
    pub fn detail(&self) -> String {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let lines = self.changes.iter().map(|change| match (&change.now, &change.then) {
            (None, Some(then)) => format!("{}: {then}", change.what),
            (now, then) => format!("{}: {} -> {}", change.what, side(now), side(then)),
        });
        let all = std::iter::once(self.summary.clone()).chain(lines).collect::<Vec<_>>().join("; ");
        shortened(all, MAX_DETAIL_BYTES)
    }
}

/// Octets of the words in an audit record: a system with 500 holders has 32 kB of them.
const MAX_DETAIL_BYTES: usize = 40 * 1024;

fn shortened(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        let end = (0..=max_bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}
