//! What a holder's browser asks: the page behind a login link, and its confirmation.
//!
//! Before possession of a card is proved every answer is the same page. Afterwards the person gets the reason and the next
//! step. Opening the page changes nothing; only the confirmed form does.

use super::Keeper;
use super::activation;
use super::card::CardFault;
use super::card::ProvedCard;
use super::card::Step;
use super::entries;
use super::phones::terminal_line;
use api::operations::CardHandshake;
use api::operations::Confirm;
use api::operations::Confirmation;
use api::operations::Confirmed;
use api::operations::SignIn;
use api::operations::SignInPage;
use api::operations::SignInRefusal;
use api::operations::WhyNot;
use async_trait::async_trait;
use attest::clock::UnixSeconds;
use attest::evidence::CardKind;
use attest::handoff::Entitlement;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::records::SigningSystem;
use attest::sessions::Approved;
use attest::sessions::SessionError;
use attest::sign_in::Approval;
use attest::sign_in::DenyReason;
use attest::sign_in::SessionRecord;
use attest::sign_in::split_link;
use std::sync::Arc;

/// A link that can still be used, and the card that was proved under it.
struct Met {
    record: SessionRecord,
    system: Arc<SigningSystem>,
    /// What is being agreed to.
    offered: SessionLimits,
    holder: Arc<Holder>,
    entitlement: Entitlement,
    proved: ProvedCard,
    now: UnixSeconds,
}

impl Met {
    /// What the form is bound to besides the card: the link, and what its page says is allowed.
    fn shown(&self) -> Fingerprint {
        let SessionLimits { seconds, idle_seconds, signatures } = self.offered;
        let entries = self.record.entries.as_ref().map(|entries| entries.digest().0);
        let (link, entries) = (&self.record.link.0, entries.unwrap_or_default());
        let text = format!("{link}/{seconds}/{idle_seconds}/{signatures}/{entries}");
        Fingerprint::of(text.as_bytes())
    }
}

/// Why a link and a card do not make a sign-in.
enum NotMet {
    /// Nothing is proved: the same page for every reason.
    Nothing,
    /// Possession is proved; the person may know.
    Refused(WhyNot),
}

#[async_trait]
impl SignIn for Keeper {
    async fn open_sign_in(
        &self,
        request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
    ) -> SignInPage {
        match self.meet(request_id, link, card, Step::Look).await {
            Ok(met) => SignInPage::Confirm(Confirm {
                form_token: self.forms.issue(&met.shown(), &met.proved.factor).into(),
                asks_number: met.record.number.is_some(),
                for_own_page: met.record.is_for_portal(),
                return_origins: self.return_origins(&met.record),
                remaining_seconds: met.now.seconds_until(met.record.link_expires_at),
                session_seconds: met.offered.seconds,
                signatures: met.offered.signatures,
                entries: activation::shown(&met.record),
                added: self.recently_added(&met.holder.holder_id, met.now),
                system: met.system.display_name.clone(),
                holder: met.holder.display_name.clone(),
                danger_test_mode: self.danger_test_mode(),
            }),
            Err(NotMet::Nothing) => SignInPage::PresentCard,
            Err(NotMet::Refused(refusal)) => SignInPage::Refused(refusal),
        }
    }

    async fn confirm_sign_in(
        &self,
        request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
        confirmation: Confirmation,
    ) -> Confirmed {
        let met = match self.meet(request_id, link, card, Step::Decide).await {
            Ok(met) => met,
            Err(NotMet::Nothing) => return Confirmed::Refused(SignInRefusal::ProofNotFresh.into()),
            Err(NotMet::Refused(refusal)) => return Confirmed::Refused(refusal),
        };
        if !self.forms.check(&met.shown(), &met.proved.factor, confirmation.form_token.as_str()) {
            return Confirmed::Refused(SignInRefusal::FormOver.into());
        }
        match confirmation.approve {
            true => self.approve(request_id, met, &confirmation).await,
            false => self.deny(request_id, met).await,
        }
    }

    async fn card_handshake_failed(&self, request_id: &str, kind: CardKind, reason: &str) {
        self.note_sign_in(request_id, None, kind.method(), "handshake_failed", reason).await;
    }
}

impl Keeper {
    /// Everything that must hold before a form is shown, and again before it is believed.
    async fn meet(
        &self,
        request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
        step: Step,
    ) -> Result<Met, NotMet> {
        let handshake = card.ok_or(NotMet::Nothing)?;
        let now = self
            .parts
            .clock
            .now()
            .map_err(|_| NotMet::Refused(SignInRefusal::Unavailable.into()))?;
        // Step 1: the link. Nothing about it is told before the card is proved, so a wrong one is remembered, not answered.
        let unavailable = |_| NotMet::Refused(SignInRefusal::Unavailable.into());
        let record = self.linked(link).await.map_err(unavailable)?;
        // Step 2: the card. A handshake older than the link proves nothing about this sign-in.
        let not_before = record.as_ref().map_or(now, |record| record.created_at);
        let method = handshake.kind.method();
        let proved = match self.prove_card(handshake, not_before, now).await {
            Ok(proved) => proved,
            Err(CardFault { refusal, code, detail, is_proved }) => {
                if step.is_noted(code) {
                    self.note_sign_in(request_id, record.as_ref(), method, code, &detail).await;
                }
                return Err(match is_proved || record.is_some() {
                    true => NotMet::Refused(refusal),
                    false => NotMet::Nothing,
                });
            }
        };
        // Step 3: possession is proved; from here on the person is told.
        let link_over = NotMet::Refused(SignInRefusal::LinkOver.into());
        let record = record.filter(|record| !record.link_is_over(now)).ok_or(link_over)?;
        let met = self.holder_of(&record, &proved, now);
        let (system, holder, entitlement) = match met {
            Ok(met) => met,
            Err(refusal) => {
                let (code, detail) = (refusal_name(refusal), format!("card {}", proved.factor.0));
                self.note_sign_in(request_id, Some(&record), method, code, &detail).await;
                return Err(NotMet::Refused(self.refused_with(&proved, refusal)));
            }
        };
        let offered = self.offered(&system, &record, method);
        Ok(Met { record, system, offered, holder, entitlement, proved, now })
    }

    /// The sign-in of a login link, in whatever state.
    pub(super) async fn linked(&self, link: &str) -> Result<Option<SessionRecord>, SessionError> {
        let Some((session_id, secret)) = split_link(link) else {
            return Ok(None);
        };
        let found = self.parts.sessions.record(session_id).await.inspect_err(|error| {
            tracing::error!(%error, "a sign-in could not be read");
        })?;
        Ok(found.map(|(record, _)| record).filter(|record| record.is_link(secret)))
    }

    /// Whose card it is, and whether this sign-in is for them.
    fn holder_of(
        &self,
        record: &SessionRecord,
        card: &ProvedCard,
        now: UnixSeconds,
    ) -> Result<(Arc<SigningSystem>, Arc<Holder>, Entitlement), SignInRefusal> {
        let holder = self.holder_of_card(card)?;
        if record.holder_id.as_ref().is_some_and(|wanted| *wanted != holder.holder_id) {
            return Err(SignInRefusal::OtherHolder);
        }
        if !holder.enabled {
            return Err(SignInRefusal::HolderDisabled);
        }
        let system = self.system_for(record, &holder.holder_id, card.method)?;
        let entitlement = self.entitlement(&holder, &card.roles, now)?;
        Ok((system, holder, entitlement))
    }

    async fn approve(&self, request_id: &str, met: Met, confirmed: &Confirmation) -> Confirmed {
        let number = confirmed.number.as_deref();
        let (proved, method) = (&met.proved, met.proved.method);
        let evidence_json = proved.evidence_json.clone();
        let terminal = terminal_line(&confirmed.terminal);
        let approval = Approval {
            holder_id: met.holder.holder_id.clone(),
            method,
            evidence: Fingerprint::of(evidence_json.as_bytes()).0,
            factor: proved.factor.clone(),
            certificate_b64: proved.certificate_b64.clone(),
            certificate_not_after: Some(proved.not_after),
            second_certificates: met.entitlement.certificates.clone(),
            second_certificates_not_after: Some(met.entitlement.not_after),
            authenticated_at: proved.proved_at,
            limits: met.offered,
            terminal: Some(terminal.clone()),
            continued: None,
        };
        // The evidence is durable before anything that rests on it. A wrong number is no approval.
        // That nothing came of a recorded approval is recorded, too, and never thinned out.
        let is_number = number.is_some_and(|number| met.record.is_number(number));
        if met.record.number.is_none() || is_number {
            if let Err(refusal) = self.renew(request_id, proved, &terminal).await {
                return Confirmed::Refused(self.refused_with(proved, refusal));
            }
            let sign_in = entries::sign_in(&met.record, &approval, evidence_json);
            let entry = entries::sign_in_approved(request_id, sign_in);
            if let Err(error) = self.parts.audit.append(entry).await {
                tracing::error!(request_id, %error, "a sign-in could not be recorded");
                return Confirmed::Refused(SignInRefusal::Unavailable.into());
            }
        }
        let outcome = self
            .parts
            .sessions
            .approve(&met.record.session_id, approval, &proved.replay_key, number)
            .await;
        match outcome {
            Ok(Approved::Code(code)) => {
                self.parts.metrics.sign_in(method.name(), "approved");
                self.after_approval(&met, code)
            }
            Ok(Approved::LinkOver) => {
                self.note_lost_sign_in(request_id, &met.record, method, "link_over").await;
                Confirmed::Refused(SignInRefusal::LinkOver.into())
            }
            Ok(Approved::EvidenceUsed) => {
                self.note_lost_sign_in(request_id, &met.record, method, "evidence_used").await;
                Confirmed::Refused(SignInRefusal::ProofNotFresh.into())
            }
            Ok(Approved::WrongNumber { .. }) => {
                self.note_sign_in(request_id, Some(&met.record), method, "wrong_number", "").await;
                Confirmed::Refused(SignInRefusal::WrongNumber.into())
            }
            Err(error) => {
                tracing::error!(request_id, %error, "a sign-in could not be stored");
                self.note_lost_sign_in(request_id, &met.record, method, "not_stored").await;
                Confirmed::Refused(SignInRefusal::Unavailable.into())
            }
        }
    }

    async fn deny(&self, request_id: &str, met: Met) -> Confirmed {
        match self.parts.sessions.deny(&met.record.session_id, DenyReason::ByHolder).await {
            Ok(true) => {
                let method = met.proved.method;
                self.parts.metrics.sign_in(method.name(), "denied");
                self.note_sign_in(request_id, Some(&met.record), method, "denied_by_holder", "")
                    .await;
                Confirmed::Denied { system: met.system.display_name.clone() }
            }
            Ok(false) => Confirmed::Refused(SignInRefusal::LinkOver.into()),
            Err(error) => {
                tracing::error!(request_id, %error, "a denial could not be stored");
                Confirmed::Refused(SignInRefusal::Unavailable.into())
            }
        }
    }

    fn after_approval(&self, met: &Met, code: Option<String>) -> Confirmed {
        match code.and_then(|code| self.way_back(&met.record, &code)) {
            Some(url) => Confirmed::Return { url },
            None => Confirmed::Done { system: met.system.display_name.clone() },
        }
    }

    /// Where the answer leads, one after the other.
    fn return_origins(&self, record: &SessionRecord) -> Vec<String> {
        let portal = self.keeping_portal(record).map(|phones| phones.origin.clone());
        let system = record.return_url.as_deref().and_then(origin);
        portal.into_iter().chain(system).collect()
    }

    /// Records that nothing came of an approval: never thinned out.
    pub(super) async fn note_lost_sign_in(
        &self,
        request_id: &str,
        record: &SessionRecord,
        method: Method,
        code: &str,
    ) {
        self.parts.metrics.sign_in(method.name(), "refused");
        let detail = "nothing came of the approval that is recorded under this request";
        let entry = entries::sign_in_denied(request_id, Some(record), method, code, detail);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a lost sign-in could not be recorded");
        }
    }

    /// Counts and records a refused sign-in.
    pub(super) async fn note_sign_in(
        &self,
        request_id: &str,
        record: Option<&SessionRecord>,
        method: Method,
        code: &str,
        detail: &str,
    ) {
        self.parts.metrics.sign_in(method.name(), "refused");
        let reason = format!("{code}: {detail}");
        let entry = entries::sign_in_denied(request_id, record, method, code, detail);
        self.note("sign-in", request_id, &reason, entry).await;
    }
}

/// The registered return URL with code and state.
pub(super) fn return_to(return_url: &str, code: &str, session_id: &str) -> String {
    let separator = if return_url.contains('?') { '&' } else { '?' };
    format!("{return_url}{separator}code={code}&state={session_id}")
}

/// Scheme, host and port of a URL.
pub(super) fn origin(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// Stable word for the log.
pub(super) fn refusal_name(refusal: SignInRefusal) -> &'static str {
    match refusal {
        SignInRefusal::CardNotRegistered => "card_not_registered",
        SignInRefusal::OtherHolder => "other_holder",
        SignInRefusal::OtherCard => "other_card",
        SignInRefusal::HolderDisabled => "holder_disabled",
        SignInRefusal::NotAllowedHere => "not_allowed_here",
        SignInRefusal::NetworkNotAllowed => "network_not_allowed",
        SignInRefusal::KeysFull => "security_keys_full",
        SignInRefusal::RoleMissing => "role_missing",
        SignInRefusal::EntitlementOver => "entitlement_over",
        SignInRefusal::CardExpired => "card_expired",
        SignInRefusal::CardNotYetValid => "card_not_yet_valid",
        SignInRefusal::CardRevoked => "card_revoked",
        SignInRefusal::RevocationUnknown => "revocation_unknown",
        SignInRefusal::WrongCertificate => "wrong_certificate",
        SignInRefusal::TestCard => "test_card",
        SignInRefusal::WrongNumber => "wrong_number",
        SignInRefusal::LinkOver => "link_over",
        SignInRefusal::FormOver => "form_over",
        SignInRefusal::ProofNotFresh => "proof_not_fresh",
        SignInRefusal::TooOften => "too_often",
        SignInRefusal::Unavailable => "unavailable",
        SignInRefusal::CardNotKnown => "card_not_known",
        SignInRefusal::NoValidityProvider => "validity_no_provider",
        SignInRefusal::OtherKindOfCard => "other_kind_of_card",
    }
}
