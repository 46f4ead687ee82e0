//! What can happen: the kinds of record in the audit log.

use crate::audit::activation::ActivationAsked;
use crate::audit::record::AlarmSource;
use crate::audit::record::Asked;
use crate::audit::record::Continuation;
use crate::audit::record::Enrolment;
use crate::audit::record::SignIn;
use crate::audit::record::TrustChange;
use crate::audit::signature::SignatureFacts;
use crate::audit::signature::Withheld;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::session::EndReason;
use serde::Deserialize;
use serde::Serialize;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A signature was made and may leave.
    Signature(Box<SignatureFacts>),
    /// A key was used, but nothing left: what allowed it was withdrawn in between.
    SignatureWithheld {
        /// Why.
        reason: Withheld,
        /// What would have left, without the signature value.
        #[serde(flatten)]
        facts: Box<SignatureFacts>,
    },
    /// A signing system asks a holder to approve these entries and nothing else. Nobody has seen them yet.
    ActivationAsked(Box<ActivationAsked>),
    /// An authenticator is about to be asked under this challenge: what it will stand for if it answers. Nothing is proved.
    SignInAsked(Box<Asked>),
    /// A card proved its holder, who may now register a phone or a My Number card; or that My Number card proved itself.
    EnrolmentStarted(Box<Enrolment>),
    /// A phone was proved under that leave, and the same card was shown again to have it registered.
    EnrolmentConfirmed(Box<Enrolment>),
    /// Somebody proved presence for a transaction and confirmed it.
    SignInApproved(Box<SignIn>),
    /// The browser that began a sign-in keeps it from now on.
    SignInKept {
        /// The transaction, hashed.
        session: Fingerprint,
        /// Holder.
        holder_id: String,
        /// Signing system that asked.
        system_id: String,
    },
    /// The browser that keeps a sign-in went on with it by a click: evidence of before stands for presence.
    SignInContinued(Box<Continuation>),
    /// A sign-in was refused.
    SignInDenied {
        /// Transaction or session, hashed.
        session: Option<Fingerprint>,
        /// Signing system that asked.
        system_id: Option<String>,
        /// Holder, where one was named or found.
        holder_id: Option<String>,
        /// How presence was to be proved.
        method: Option<Method>,
        /// Stable code of the refusal.
        code: String,
        /// Detail for the auditor.
        detail: String,
    },
    /// A session became active: the code came back through the holder's own browser.
    SessionActivated {
        /// The session, hashed.
        session: Fingerprint,
        /// Holder.
        holder_id: String,
        /// Signing system.
        system_id: String,
        /// How presence was proved.
        method: Method,
        /// SHA-256 of the evidence, as in the sign-in's record.
        evidence: Fingerprint,
        /// When presence was proved.
        authenticated_at: UnixSeconds,
        /// First second at which it is over.
        expires_at: UnixSeconds,
        /// Signatures it allows.
        signatures: u64,
    },
    /// A session ended; nothing under it is released behind this record.
    SessionEnded {
        /// The session, hashed.
        session: Fingerprint,
        /// Holder.
        holder_id: String,
        /// Signing system.
        system_id: String,
        /// Why.
        reason: EndReason,
        /// Signatures it made.
        used: u64,
    },
    /// A change of trust was proposed by one operator and waits for another; or a phone was proved and waits for its holder's
    /// card.
    TrustProposed(TrustChange),
    /// Trust was granted, changed or removed.
    TrustChanged(TrustChange),
    /// A credential may not sign until two operators release it.
    CredentialQuarantined {
        /// Which.
        credential_id: String,
        /// Why.
        reason: String,
    },
    /// A request was refused.
    Denial {
        /// What was asked: `sign`, `session.create`, `admin.holder.add` ...
        operation: String,
        /// Stable code of the refusal.
        code: String,
        /// Credential named, if any.
        credential_id: Option<String>,
        /// Detail for the auditor.
        detail: String,
        /// Further refusals of the same kind that got no record of their own (flood).
        suppressed: u64,
    },
    /// The daemon started.
    Started {
        /// Version of the program.
        version: String,
        /// SHA-256 of the configuration file.
        configuration: Fingerprint,
        /// Records that were durable and kept at this start.
        records: u64,
        /// Octets of an unfinished write cut off at this start.
        cut_bytes: u64,
    },
    /// The daemon stopped in good order.
    Stopped {
        /// Why.
        reason: String,
    },
    /// From here on checkpoints are signed by another key. The old key signs a checkpoint over this record first.
    CheckpointKeyChanged {
        /// Old key, as verifier key text (C2SP signed-note).
        old: Option<String>,
        /// New key, likewise.
        new: String,
        /// Operators who approved it.
        approved_by: Vec<String>,
    },
    /// The clock jumped, or the floor of time was lowered by two operators.
    TimeStep {
        /// What the clock said or the floor was before, Unix milliseconds.
        from_ms: u64,
        /// What it says since, Unix milliseconds. With `approved_by`, records go on from this time.
        to_ms: u64,
        /// Operators who approved lowering the floor; empty when the clock jumped by itself.
        approved_by: Vec<String>,
    },
    /// Something is wrong with a part of the appliance.
    Alarm {
        /// Which part.
        source: AlarmSource,
        /// Stable code.
        code: String,
        /// Detail.
        detail: String,
    },
    /// A document label kept beside the log was erased.
    LabelErased {
        /// Record that commits to it.
        of: u64,
        /// Why.
        reason: String,
    },
    /// Somebody read the log.
    LogRead {
        /// `search`, `export`, `verify`, `prove`.
        operation: String,
        /// What was asked for.
        filter: String,
    },
}

impl Event {
    /// Every wire name.
    pub const KINDS: [&str; 23] = [
        "signature",
        "signature_withheld",
        "activation_asked",
        "sign_in_asked",
        "enrolment_started",
        "enrolment_confirmed",
        "sign_in_approved",
        "sign_in_kept",
        "sign_in_continued",
        "sign_in_denied",
        "session_activated",
        "session_ended",
        "trust_proposed",
        "trust_changed",
        "credential_quarantined",
        "denial",
        "started",
        "stopped",
        "checkpoint_key_changed",
        "time_step",
        "alarm",
        "label_erased",
        "log_read",
    ];

    /// The wire name: `signature`, `session_ended` ...
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Signature(_) => "signature",
            Self::SignatureWithheld { .. } => "signature_withheld",
            Self::ActivationAsked(_) => "activation_asked",
            Self::SignInAsked(_) => "sign_in_asked",
            Self::EnrolmentStarted(_) => "enrolment_started",
            Self::EnrolmentConfirmed(_) => "enrolment_confirmed",
            Self::SignInApproved(_) => "sign_in_approved",
            Self::SignInKept { .. } => "sign_in_kept",
            Self::SignInContinued(_) => "sign_in_continued",
            Self::SignInDenied { .. } => "sign_in_denied",
            Self::SessionActivated { .. } => "session_activated",
            Self::SessionEnded { .. } => "session_ended",
            Self::TrustProposed(_) => "trust_proposed",
            Self::TrustChanged(_) => "trust_changed",
            Self::CredentialQuarantined { .. } => "credential_quarantined",
            Self::Denial { .. } => "denial",
            Self::Started { .. } => "started",
            Self::Stopped { .. } => "stopped",
            Self::CheckpointKeyChanged { .. } => "checkpoint_key_changed",
            Self::TimeStep { .. } => "time_step",
            Self::Alarm { .. } => "alarm",
            Self::LabelErased { .. } => "label_erased",
            Self::LogRead { .. } => "log_read",
        }
    }

    /// Holder it concerns.
    pub fn holder_id(&self) -> Option<&str> {
        match self {
            Self::Signature(facts) | Self::SignatureWithheld { facts, .. } => {
                Some(&facts.holder_id)
            }
            Self::ActivationAsked(asked) => Some(&asked.holder_id),
            Self::SignInAsked(asked) => Some(&asked.binding.holder_id),
            Self::EnrolmentStarted(enrolment) | Self::EnrolmentConfirmed(enrolment) => {
                Some(&enrolment.holder_id)
            }
            Self::SignInApproved(sign_in) => Some(&sign_in.holder_id),
            Self::SignInContinued(continued) => Some(&continued.holder_id),
            Self::SignInKept { holder_id, .. }
            | Self::SessionActivated { holder_id, .. }
            | Self::SessionEnded { holder_id, .. } => Some(holder_id),
            Self::SignInDenied { holder_id, .. } => holder_id.as_deref(),
            Self::TrustProposed(change) | Self::TrustChanged(change) => change.holder_id.as_deref(),
            _ => None,
        }
    }

    /// Signing system it concerns.
    pub fn system_id(&self) -> Option<&str> {
        match self {
            Self::Signature(facts) | Self::SignatureWithheld { facts, .. } => {
                Some(&facts.system_id)
            }
            Self::ActivationAsked(asked) => Some(&asked.system_id),
            Self::SignInAsked(asked) => Some(&asked.binding.system_id),
            Self::SignInApproved(sign_in) => Some(&sign_in.system_id),
            Self::SignInContinued(continued) => Some(&continued.system_id),
            Self::SignInKept { system_id, .. }
            | Self::SessionActivated { system_id, .. }
            | Self::SessionEnded { system_id, .. } => Some(system_id),
            Self::SignInDenied { system_id, .. } => system_id.as_deref(),
            Self::TrustProposed(change) | Self::TrustChanged(change) => {
                (change.what == "system").then_some(change.id.as_str())
            }
            _ => None,
        }
    }

    /// Credential it concerns.
    pub fn credential_id(&self) -> Option<&str> {
        match self {
            Self::Signature(facts) | Self::SignatureWithheld { facts, .. } => {
                Some(&facts.credential_id)
            }
            Self::CredentialQuarantined { credential_id, .. } => Some(credential_id),
            Self::Denial { credential_id, .. } => credential_id.as_deref(),
            Self::TrustProposed(change) | Self::TrustChanged(change) => {
                (change.what == "credential").then_some(change.id.as_str())
            }
            _ => None,
        }
    }
}
