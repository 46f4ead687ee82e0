//! The phone's side of a sign-in: who asks, the number, the question, its answer.
//!
//! Until an authenticator has answered, nobody is told whether there is such a holder, or whether they have a phone.

use super::Keeper;
use super::activation;
use super::entries;
use super::phones::Phones;
use super::portal::sign_in_purpose;
use super::sign_in::refusal_name;
use crate::audit::record::SignIn;
use crate::audit::record::session_hash;
use api::operations::SignInRefusal;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use attest::activation::Entries;
use attest::authenticator::Authenticator;
use attest::clock::UnixSeconds;
use attest::evidence::Binding;
use attest::evidence::Fido2Error;
use attest::evidence::Purpose as Approves;
use attest::evidence::Started;
use attest::evidence::Surface;
use attest::evidence::VerifiedFido2;
use attest::handoff::Entitlement;
use attest::handoff::Handoff;
use attest::handoff::HandoffApproved;
use attest::handoff::NumberChecked;
use attest::records::Method;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;
use attest::sign_in::SessionRecord;
use attest::sign_in::split_link;
use std::sync::Arc;

impl Keeper {
    pub(super) async fn ask_sign_in(&self, handoff: &Handoff, now: UnixSeconds) -> PhonePage {
        let Ok(found) = self.sign_in_of(handoff).await else {
            return PhonePage::Unavailable;
        };
        let found = found.filter(|(record, _)| handoff.is_open(now) && !record.link_is_over(now));
        let Some((record, system)) = found else {
            return PhonePage::Over;
        };
        let offered = self.offered(&system, &record, Method::Fido2);
        PhonePage::Ask {
            purpose: sign_in_purpose(&record, &system, handoff),
            terminal: handoff.terminal.clone(),
            number_of_asking_screen: record.number.is_some(),
            session_seconds: offered.seconds,
            signatures: offered.signatures,
            entries: activation::shown(&record),
            remaining_seconds: now.seconds_until(handoff.link.expires_at()),
        }
    }

    /// The number was typed: the question to whichever phone the holder has, or to none that looks the same.
    pub(super) async fn ask_phone(
        &self,
        request_id: &str,
        phones: &Phones,
        (link, surface): (&str, Surface),
        handoff: Handoff,
        (number, address): (&str, &str),
    ) -> Result<PhoneAsked, SessionError> {
        let now = self.parts.clock.now()?;
        let found = self.sign_in_of(&handoff).await?;
        let found =
            found.filter(|(record, _)| !record.link_is_over(now) && self.takes_phones(record));
        let (Some((record, system)), Some((_, secret))) = (found, split_link(link)) else {
            return Ok(PhoneAsked::Over);
        };
        let holder_id = &handoff.holder_id;
        let rates = || match record.is_for_portal() {
            true => phones.rate_without_link("question", address),
            false => Ok(()),
        };
        if let Err(seconds) = rates().and_then(|()| phones.holder_rate("phone", holder_id)) {
            return Ok(PhoneAsked::RateLimited { seconds });
        }
        // Step 1: the number, which is on the screen before the person.
        match phones.handoffs.check_number(&handoff.handoff_id, secret, number).await? {
            NumberChecked::Right(_) => {}
            NumberChecked::Wrong { denied } => {
                self.note_phone(request_id, &record, holder_id, "wrong_number", "").await;
                if denied && record.number.is_some() {
                    self.parts.sessions.deny(&record.session_id, DenyReason::WrongNumber).await?;
                }
                return Ok(PhoneAsked::WrongNumber { over: denied });
            }
            NumberChecked::Over => return Ok(PhoneAsked::Over),
        }
        // Step 2: what an answer would approve.
        let binding = Binding {
            purpose: match record.entries {
                Some(_) => Approves::Once,
                None => Approves::Day,
            },
            system_id: system.system_id.clone(),
            holder_id: holder_id.clone(),
            session_id: record.session_id.clone(),
            handoff_id: handoff.handoff_id.clone(),
            limits: self.offered(&system, &record, Method::Fido2),
            surface,
            entries: record.entries.as_ref().map(Entries::digest),
            new_key: None,
        };
        let known = self.parts.registry.authenticators_of(holder_id);
        Ok(self.ask_to_approve(request_id, phones, binding, &known).await)
    }

    /// A question to one of `known`, or to none that looks the same: what an answer would approve is durable under the
    /// challenge before anybody sees it.
    pub(super) async fn ask_to_approve(
        &self,
        request_id: &str,
        phones: &Phones,
        binding: Binding,
        known: &[Arc<Authenticator>],
    ) -> PhoneAsked {
        let started = match phones.fido2.start_assertion(binding.clone(), known) {
            Ok(started) => started,
            Err(error) => return not_asked(request_id, &error),
        };
        let entry = entries::sign_in_asked(request_id, &started.challenge, &binding);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a question to a phone could not be recorded");
            return PhoneAsked::Unavailable;
        }
        asked(request_id, started)
    }

    /// The phone answered.
    pub(super) async fn finish_sign_in(
        &self,
        request_id: &str,
        phones: &Phones,
        handoff: Handoff,
        proof: Result<VerifiedFido2, Fido2Error>,
    ) -> Result<PhoneDone, SessionError> {
        let Some((record, system)) = self.sign_in_of(&handoff).await? else {
            return Ok(PhoneDone::Over);
        };
        // Step 1: the proof. Whatever is wrong with it, nobody is told.
        let proof = match proof {
            Ok(proof) => proof,
            Err(error) => {
                if let Fido2Error::CounterBack(id) = &error {
                    self.note_counter_back(request_id, id).await;
                }
                let (code, detail) = (error.code(), error.to_string());
                self.note_phone(request_id, &record, &handoff.holder_id, code, &detail).await;
                return Ok(not_proved(&error));
            }
        };
        // Step 2: possession is proved; from here on the person is told.
        let entitlement = match self.entitled(&record, &proof) {
            Ok(entitlement) => entitlement,
            Err(refusal) => {
                let detail = format!("device {}", proof.authenticator_id().0);
                let code = refusal_name(refusal);
                self.note_phone(request_id, &record, &handoff.holder_id, code, &detail).await;
                self.note_refused_proof(request_id, phones, &proof).await;
                let why = self.refused(&proof.binding().holder_id, refusal);
                return Ok(PhoneDone::Refused(why));
            }
        };
        // Step 3: the evidence is durable before anything that rests on it.
        let sign_in = SignIn {
            session: session_hash(&record.session_id),
            holder_id: proof.binding().holder_id.clone(),
            system_id: record.system_id.clone(),
            method: Method::Fido2,
            authenticated_at: proof.proved_at(),
            evidence: proof.digest(),
            evidence_json: proof.evidence_json().to_owned(),
            entries: proof.binding().entries.clone(),
        };
        if let Err(error) =
            self.parts.audit.append(entries::sign_in_approved(request_id, sign_in)).await
        {
            tracing::error!(request_id, %error, "a sign-in could not be recorded");
            return Ok(PhoneDone::Unavailable);
        }
        // Step 4: sign-in, hand-off and counter move together, or not at all.
        let lost = match phones.handoffs.approve(&proof, &entitlement).await {
            Ok(HandoffApproved::Done(authenticator)) => {
                let added = self.recently_added(&authenticator.holder_id, proof.proved_at());
                self.take_up(*authenticator).await;
                self.parts.metrics.sign_in(Method::Fido2.name(), "approved");
                let system = system.display_name.clone();
                return Ok(PhoneDone::SignedIn { system, added });
            }
            Ok(HandoffApproved::Over | HandoffApproved::LinkOver) => {
                ("link_over", Ok(PhoneDone::Over))
            }
            Ok(HandoffApproved::EvidenceUsed) => ("evidence_used", Ok(PhoneDone::NotProved)),
            Ok(HandoffApproved::FactorGone) => ("factor_gone", Ok(PhoneDone::NotProved)),
            Ok(HandoffApproved::CounterBack) => {
                self.note_counter_back(request_id, proof.authenticator_id()).await;
                ("fido2_counter_back", Ok(PhoneDone::NotProved))
            }
            Err(error) => ("not_stored", Err(error)),
        };
        self.note_lost_sign_in(request_id, &record, Method::Fido2, lost.0).await;
        lost.1
    }

    /// Whether the proved holder may sign in here.
    fn entitled(
        &self,
        record: &SessionRecord,
        proof: &VerifiedFido2,
    ) -> Result<Entitlement, SignInRefusal> {
        let now = self.parts.clock.now().map_err(|_| SignInRefusal::Unavailable)?;
        let holder = self.parts.registry.holder(&proof.binding().holder_id);
        let holder = holder.ok_or(SignInRefusal::HolderDisabled)?;
        if !holder.enabled {
            return Err(SignInRefusal::HolderDisabled);
        }
        let system = self.system_for(record, &holder.holder_id, Method::Fido2)?;
        // What the person read and the evidence says is what the session gets.
        if self.offered(&system, record, Method::Fido2) != proof.binding().limits {
            return Err(SignInRefusal::FormOver);
        }
        self.entitlement(&holder, &[], now)
    }

    /// The holder said no. True when it was still open.
    pub(super) async fn deny_sign_in(
        &self,
        request_id: &str,
        phones: &Phones,
        handoff: &Handoff,
        reason: DenyReason,
    ) -> Result<bool, SessionError> {
        if !phones.handoffs.deny(&handoff.handoff_id, reason).await? {
            return Ok(false);
        }
        self.parts.metrics.sign_in(Method::Fido2.name(), "denied");
        if let Some((record, _)) = self.sign_in_of(handoff).await? {
            self.parts.sessions.deny(&record.session_id, reason).await?;
            let holder_id = &handoff.holder_id;
            self.note_phone(request_id, &record, holder_id, "denied_by_holder", "").await;
        }
        Ok(true)
    }

    /// Counts and records a refusal, with the holder who was named, whether there is one or not.
    async fn note_phone(
        &self,
        request_id: &str,
        record: &SessionRecord,
        holder_id: &str,
        code: &str,
        detail: &str,
    ) {
        let named = SessionRecord { holder_id: Some(holder_id.to_owned()), ..record.clone() };
        self.note_sign_in(request_id, Some(&named), Method::Fido2, code, detail).await;
    }
}

/// The question as it leaves.
pub(super) fn asked(request_id: &str, started: Started) -> PhoneAsked {
    match serde_json::from_str(&started.options_json) {
        Ok(options) => PhoneAsked::Options { ceremony_id: started.ceremony_id, options },
        Err(error) => {
            tracing::error!(request_id, %error, "a question to a phone cannot be written");
            PhoneAsked::Unavailable
        }
    }
}

/// No question could be made.
pub(super) fn not_asked(request_id: &str, error: &Fido2Error) -> PhoneAsked {
    tracing::warn!(request_id, %error, "no question to a phone");
    PhoneAsked::Unavailable
}

/// What a faulty answer is told.
pub(super) fn not_proved(error: &Fido2Error) -> PhoneDone {
    match error {
        Fido2Error::Clock(_) | Fido2Error::Random(_) => PhoneDone::Unavailable,
        _ => PhoneDone::NotProved,
    }
}
