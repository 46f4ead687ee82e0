//! What happened, in the words of the audit log.

use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Label;
use crate::audit::Opened;
use crate::audit::Principal;
use crate::audit::SignatureFacts;
use crate::audit::activation::ActivationAsked;
use crate::audit::activation::ListedEntry;
use crate::audit::record::AlarmSource;
use crate::audit::record::Asked;
use crate::audit::record::Continuation;
use crate::audit::record::Enrolment;
use crate::audit::record::SignIn;
use crate::audit::record::TrustChange;
use crate::audit::record::session_hash;
use crate::audit::signature::DigestValue;
use crate::audit::signature::Idempotency;
use crate::time::TimeStep;
use attest::activation::Entries;
use attest::activation::EntryKind;
use attest::activation::Requested;
use attest::algorithm::Dtbsr;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use attest::evidence::Binding;
use attest::notification_card::NotificationCard;
use attest::permit::Lease;
use attest::phone_change::PhoneChange;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::registry::LiveCredential;
use attest::saved::SavedSignIn;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::session::Withdrawal;
use attest::sign_in::Approval;
use attest::sign_in::SessionRecord;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// What a request says about a signature, besides digest and value.
pub struct Request {
    /// Request that asked for it.
    pub request_id: String,
    /// Session it rests on.
    pub session: Arc<LiveSession>,
    /// Credential that signs.
    pub credential: Arc<LiveCredential>,
    /// What a retry is recognised by.
    pub idempotency: Option<Idempotency>,
    /// Label of the document, as the signing system says now; an activation has its own.
    pub label: Option<String>,
    /// `detached`, `attached`, `cms`, `raw`, or `digest`: a raw signature of octets that were never here.
    pub packaging: &'static str,
}

/// How a signature was made.
pub struct Made<'a> {
    /// The scheme.
    pub scheme: SignatureScheme,
    /// What was asked for.
    pub requested: &'a Requested,
    /// What the key signed, unless it signed the octets themselves.
    pub dtbsr: Option<&'a Dtbsr>,
    /// The value, in the form CMS has it.
    pub signature: &'a [u8],
    /// The signing-time attribute.
    pub signing_time: UnixSeconds,
}

/// A signature, released only while `lease` holds.
pub fn signature(request: Request, made: &Made<'_>, lease: Lease) -> Entry {
    let Request { request_id, session, credential, idempotency, label, packaging } = request;
    let record = &credential.record;
    let approved = session.entry(&record.credential_id, made.requested);
    let label = approved
        .map(|entry| Label::salted(entry.label_salt, &entry.label))
        .or_else(|| label.map(|label| Label::new(&label)));
    let facts = SignatureFacts {
        holder_id: session.holder_id.clone(),
        system_id: session.system_id.clone(),
        session: session_hash(&session.session_id),
        method: session.method,
        evidence: session.evidence(),
        credential_id: record.credential_id.clone(),
        certificate: credential.certificate.clone(),
        content_digest: DigestValue::from(made.requested),
        dtbsr: made.dtbsr.map(DigestValue::from),
        algorithm: made.scheme.name().to_owned(),
        salt_len: match made.scheme {
            SignatureScheme::RsaPss { salt_len, .. } => Some(salt_len),
            _ => None,
        },
        packaging: packaging.to_owned(),
        level: match made.requested.kind() {
            EntryKind::Content => "B-B".to_owned(),
            EntryKind::Dtbsr => String::new(),
        },
        signing_time: made.signing_time,
        signature: STANDARD.encode(made.signature),
        label: None,
        idempotency,
    };
    let system = Principal::System(session.system_id.clone());
    let entry = Entry::signature(&request_id, system, facts, lease);
    match label {
        Some(Ok(label)) => entry.labelled(label),
        Some(Err(error)) => {
            tracing::warn!(request_id, %error, "a document label is not kept");
            entry
        }
        None => entry,
    }
}

/// An authenticator is about to be asked.
pub fn sign_in_asked(request_id: &str, challenge: &str, binding: &Binding) -> Entry {
    let asked = Asked { challenge: challenge.to_owned(), binding: binding.clone() };
    Entry::new(request_id, Principal::Unknown, Event::SignInAsked(Box::new(asked)))
}

/// A proof of presence in the audit log's words.
pub fn sign_in(record: &SessionRecord, approval: &Approval, evidence_json: String) -> SignIn {
    SignIn {
        session: session_hash(&record.session_id),
        holder_id: approval.holder_id.clone(),
        system_id: record.system_id.clone(),
        method: approval.method,
        authenticated_at: approval.authenticated_at,
        evidence: Fingerprint(approval.evidence.clone()),
        evidence_json,
        entries: record.entries.as_ref().map(Entries::digest),
    }
}

/// A signing system asks for an activation, if that is what it does.
pub fn activation_asked(request_id: &str, record: &SessionRecord) -> Option<Entry> {
    let (entries, holder_id) = (record.entries.as_ref()?, record.holder_id.clone()?);
    let asked = ActivationAsked {
        session: session_hash(&record.session_id),
        holder_id,
        system_id: record.system_id.clone(),
        digest: entries.digest(),
        entries: entries.as_slice().iter().map(ListedEntry::from).collect(),
    };
    let system = Principal::System(record.system_id.clone());
    Some(Entry::new(request_id, system, Event::ActivationAsked(Box::new(asked))))
}

/// Somebody proved presence and confirmed a sign-in; its `evidence_json` lets anybody check it again.
pub fn sign_in_approved(request_id: &str, sign_in: SignIn) -> Entry {
    let holder = Principal::Holder(sign_in.holder_id.clone());
    Entry::new(request_id, holder, Event::SignInApproved(Box::new(sign_in)))
}

/// The browser that began a sign-in keeps it: from here on a click there may stand for its evidence.
pub fn sign_in_kept(request_id: &str, record: &SessionRecord, holder_id: &str) -> Entry {
    let kept = Event::SignInKept {
        session: session_hash(&record.session_id),
        holder_id: holder_id.to_owned(),
        system_id: record.system_id.clone(),
    };
    Entry::new(request_id, Principal::Holder(holder_id.to_owned()), kept)
}

/// A click in the browser that keeps a sign-in. Who clicked, nobody proved: the evidence is its holder's, of before.
pub fn sign_in_continued(
    request_id: &str,
    record: &SessionRecord,
    saved: &SavedSignIn,
    terminal: &str,
) -> Entry {
    let approval = &saved.approval;
    let continued = Continuation {
        session: session_hash(&record.session_id),
        from: session_hash(&saved.session_id),
        holder_id: approval.holder_id.clone(),
        system_id: record.system_id.clone(),
        method: approval.method,
        authenticated_at: approval.authenticated_at,
        evidence: Fingerprint(approval.evidence.clone()),
        browser: session_hash(&saved.browser),
        terminal: terminal.to_owned(),
    };
    Entry::new(request_id, Principal::Unknown, Event::SignInContinued(Box::new(continued)))
}

/// A sign-in came to nothing: `code` is stable, `detail` is for the auditor.
pub fn sign_in_denied(
    request_id: &str,
    record: Option<&SessionRecord>,
    method: Method,
    code: &str,
    detail: &str,
) -> Entry {
    let event = Event::SignInDenied {
        session: record.map(|record| session_hash(&record.session_id)),
        system_id: record.map(|record| record.system_id.clone()),
        holder_id: record.and_then(|record| record.holder_id.clone()),
        method: Some(method),
        code: code.to_owned(),
        detail: detail.to_owned(),
    };
    Entry::new(request_id, Principal::Unknown, event)
}

/// A card proved its holder, who may now register another factor; or the card that is registered proved itself.
pub fn enrolment_started(request_id: &str, enrolment: Enrolment) -> Entry {
    let holder = Principal::Holder(enrolment.holder_id.clone());
    Entry::new(request_id, holder, Event::EnrolmentStarted(Box::new(enrolment)))
}

/// What began was asked again, for the phone or card that was proved.
pub fn enrolment_confirmed(request_id: &str, enrolment: Enrolment) -> Entry {
    let holder = Principal::Holder(enrolment.holder_id.clone());
    Entry::new(request_id, holder, Event::EnrolmentConfirmed(Box::new(enrolment)))
}

/// A phone is proved, and waits for what began: the card, or the old phone, of this holder.
pub fn device_proposed(
    request_id: &str,
    holder_id: &str,
    authenticator_id: &Fingerprint,
    detail: String,
) -> Entry {
    let change = factor_change("device", holder_id, authenticator_id, "granted", detail);
    Entry::new(request_id, Principal::Unknown, Event::TrustProposed(change))
}

/// A My Number card is proved, and waits for the HPKI card of this holder to be shown again.
pub fn my_number_proposed(
    request_id: &str,
    holder_id: &str,
    card: &Fingerprint,
    detail: String,
) -> Entry {
    let change = factor_change("my_number_card", holder_id, card, "granted", detail);
    Entry::new(request_id, Principal::Holder(holder_id.to_owned()), Event::TrustProposed(change))
}

/// The holder agreed to give this phone up for another: the ticket that goes on from their change.
pub fn phone_change_agreed(
    request_id: &str,
    change: &PhoneChange,
    ticket_id: &str,
    old: &Fingerprint,
) -> Entry {
    let (from, to) = (session_hash(&change.change_id).0, session_hash(ticket_id).0);
    let detail = format!("change {from} goes on as ticket {to}");
    let proposed = factor_change("device", &change.holder_id, old, "removed", detail);
    Entry::new(
        request_id,
        Principal::Holder(change.holder_id.clone()),
        Event::TrustProposed(proposed),
    )
}

/// A holder registered a phone, or gave one up for it: `change` is `granted` or `removed`.
pub fn device_changed(
    request_id: &str,
    holder_id: &str,
    authenticator_id: &Fingerprint,
    change: &str,
    detail: String,
) -> Entry {
    let change = factor_change("device", holder_id, authenticator_id, change, detail);
    Entry::new(request_id, Principal::Holder(holder_id.to_owned()), Event::TrustChanged(change))
}

/// A phone is registered by a notification card, for which two operators answer: nobody proved to be the holder.
pub fn device_by_letter(
    request_id: &str,
    card: &NotificationCard,
    authenticator_id: &Fingerprint,
    detail: String,
) -> Entry {
    let change = TrustChange {
        proposed_by: card.issued_by.clone(),
        approved_by: vec![card.countersigned_by.clone()],
        ..factor_change("device", &card.holder_id, authenticator_id, "granted", detail)
    };
    Entry::new(request_id, Principal::Unknown, Event::TrustChanged(change))
}

/// A My Number card was registered for a holder, renewed, or given up: `change` is `granted` or `removed`.
pub fn my_number_changed(
    request_id: &str,
    holder_id: &str,
    card: &Fingerprint,
    change: &str,
    detail: String,
) -> Entry {
    let change = factor_change("my_number_card", holder_id, card, change, detail);
    Entry::new(request_id, Principal::Holder(holder_id.to_owned()), Event::TrustChanged(change))
}

fn factor_change(
    what: &str,
    holder_id: &str,
    factor: &Fingerprint,
    change: &str,
    detail: String,
) -> TrustChange {
    TrustChange {
        what: what.to_owned(),
        id: factor.0.clone(),
        change: change.to_owned(),
        holder_id: Some(holder_id.to_owned()),
        proposal_id: None,
        proposed_by: String::new(),
        approved_by: Vec::new(),
        record: None,
        detail,
    }
}

/// What became of a notification card, by its holder's doing: `change` is `opened`, `locked`, `used` or
/// `already_registered`.
pub fn letter_changed(
    request_id: &str,
    card: &NotificationCard,
    change: &str,
    detail: &str,
) -> Entry {
    let event = Event::TrustChanged(TrustChange {
        what: "notification_card".to_owned(),
        id: card.card_id.clone(),
        change: change.to_owned(),
        holder_id: Some(card.holder_id.clone()),
        proposal_id: None,
        proposed_by: String::new(),
        approved_by: Vec::new(),
        record: None,
        detail: detail.to_owned(),
    });
    // Whoever has link and password need not be the holder.
    Entry::new(request_id, Principal::Unknown, event)
}

/// No phone was registered: `code` is stable, `detail` is for the auditor.
pub fn enrolment_denied(request_id: &str, code: &str, detail: &str) -> Entry {
    not_enrolled("device.enrol", request_id, code, detail)
}

/// No My Number card was registered or renewed.
pub fn link_denied(request_id: &str, code: &str, detail: &str) -> Entry {
    not_enrolled("my_number_card.link", request_id, code, detail)
}

/// A phone whose removal is recorded under this request is there all the same.
pub fn removal_failed(request_id: &str) -> Entry {
    let detail = "nothing came of the removal that is recorded under this request";
    not_enrolled("device.remove", request_id, "not_stored", detail)
}

fn not_enrolled(operation: &str, request_id: &str, code: &str, detail: &str) -> Entry {
    let event = Event::Denial {
        operation: operation.to_owned(),
        code: code.to_owned(),
        credential_id: None,
        detail: detail.to_owned(),
        suppressed: 0,
    };
    Entry::new(request_id, Principal::Unknown, event)
}

/// The code came back: signatures may be asked for.
pub fn session_activated(request_id: &str, session: &LiveSession) -> Entry {
    let event = Event::SessionActivated {
        session: session_hash(&session.session_id),
        holder_id: session.holder_id.clone(),
        system_id: session.system_id.clone(),
        method: session.method,
        evidence: session.evidence(),
        authenticated_at: session.authenticated_at,
        expires_at: session.expires_at,
        signatures: session.limits.signatures,
    };
    Entry::new(request_id, Principal::System(session.system_id.clone()), event)
}

/// A session ends at this record's place: nothing under it is released behind it.
pub fn session_ended(
    request_id: &str,
    principal: Principal,
    session: &Arc<LiveSession>,
    reason: EndReason,
) -> Entry {
    let event = Event::SessionEnded {
        session: session_hash(&session.session_id),
        holder_id: session.holder_id.clone(),
        system_id: session.system_id.clone(),
        reason,
        used: session.used(),
    };
    Entry::new(request_id, principal, event)
        .withdrawing(vec![Withdrawal::Session(session.clone(), reason)])
}

/// A request to sign was refused; `suppressed` others of late have no record of their own.
pub fn denial(
    request_id: &str,
    system_id: Option<&str>,
    credential_id: Option<&str>,
    code: &str,
    detail: &str,
) -> Entry {
    let principal = match system_id {
        Some(system_id) => Principal::System(system_id.to_owned()),
        None => Principal::Unknown,
    };
    let event = Event::Denial {
        operation: "sign".to_owned(),
        code: code.to_owned(),
        credential_id: credential_id.map(str::to_owned),
        detail: detail.to_owned(),
        suppressed: 0,
    };
    Entry::new(request_id, principal, event)
}

/// A credential signs no more until two operators release it.
pub fn quarantined(request_id: &str, credential: &Arc<LiveCredential>) -> Entry {
    let event = Event::CredentialQuarantined {
        credential_id: credential.record.credential_id.clone(),
        reason: "a signature did not verify with the credential's public key".to_owned(),
    };
    Entry::new(request_id, Principal::Appliance, event)
        .withdrawing(vec![Withdrawal::Credential(credential.clone())])
}

/// Something is wrong with a part of the appliance.
pub fn alarm(source: AlarmSource, code: &str, detail: &str) -> Entry {
    let event = Event::Alarm { source, code: code.to_owned(), detail: detail.to_owned() };
    Entry::new("appliance", Principal::Appliance, event)
}

/// The daemon is about to open its door.
pub fn started(configuration: &Fingerprint, found: &Opened) -> Entry {
    let event = Event::Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration: configuration.clone(),
        records: found.records,
        cut_bytes: found.cut_bytes,
    };
    Entry::new("start", Principal::Appliance, event)
}

/// The daemon stops in good order.
pub fn stopped(reason: &str) -> Entry {
    Entry::new("stop", Principal::Appliance, Event::Stopped { reason: reason.to_owned() })
}

/// The clock jumped.
pub fn time_step(step: TimeStep) -> Entry {
    let event =
        Event::TimeStep { from_ms: step.from_ms, to_ms: step.to_ms, approved_by: Vec::new() };
    Entry::new("clock", Principal::Appliance, event)
}
