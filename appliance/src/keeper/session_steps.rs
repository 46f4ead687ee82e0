//! Sessions as signing systems see them: their own only, and where each stands.

use super::Keeper;
use super::entries;
use super::phones::Phones;
use super::views;
use crate::audit::Principal;
use crate::problems;
use api::operations::Caller;
use api::problem::Code;
use api::problem::Problem;
use api::wire;
use attest::clock::UnixSeconds;
use attest::records::Method;
use attest::records::SigningSystem;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sign_in::DenyReason;
use attest::sign_in::Phase;
use attest::sign_in::SessionRecord;
use std::sync::Arc;

impl Keeper {
    pub(super) async fn own_session(
        &self,
        system: &SigningSystem,
        session_id: &str,
    ) -> Result<SessionRecord, Problem> {
        let found = self
            .parts
            .sessions
            .record(session_id)
            .await
            .map_err(|error| problems::session(&error))?;
        let (record, _) = found.ok_or(Code::SessionUnknown)?;
        match record.system_id == system.system_id {
            true => Ok(record),
            false => Err(Code::SessionUnknown.into()),
        }
    }

    pub(super) fn view(&self, record: &SessionRecord) -> Result<wire::SessionView, Problem> {
        let now = self.now()?;
        let mut view = wire::SessionView {
            session_id: record.session_id.clone(),
            state: wire::SessionState::Pending,
            purpose: views::purpose(record.is_activation()),
            method: None,
            holder: None,
            remaining_seconds: now.seconds_until(record.link_expires_at),
            remaining_signatures: None,
            remaining_entries: None,
            credentials: Vec::new(),
            reason: None,
        };
        match &record.phase {
            Phase::Pending { .. } if record.link_is_over(now) => {
                view.state = wire::SessionState::Expired
            }
            Phase::Pending { .. } => {}
            Phase::Approved { approval, code_expires_at, .. } => {
                view.state = match now < *code_expires_at {
                    true => wire::SessionState::Approved,
                    false => wire::SessionState::Expired,
                };
                view.method = Some(approval.method.into());
                view.holder = Some(approval.holder_id.clone());
                view.remaining_seconds = now.seconds_until(*code_expires_at);
            }
            Phase::Active { approval, expires_at, .. } => {
                view.method = Some(approval.method.into());
                view.holder = Some(approval.holder_id.clone());
                let live = self.parts.sessions.by_id(&record.session_id);
                match live.as_ref().map(|session| (session, session.over(now))) {
                    Some((session, None)) => {
                        view.state = wire::SessionState::Active;
                        view.remaining_seconds = now.seconds_until(*expires_at);
                        view.remaining_signatures = Some(session.remaining());
                        view.remaining_entries = views::remaining_entries(session);
                        view.credentials = self.usable_credentials(session, now);
                    }
                    Some((_, Some(reason))) => set_ended(&mut view, reason),
                    None => set_ended(&mut view, EndReason::Expired),
                }
            }
            Phase::Denied { reason } => {
                view.state = wire::SessionState::Denied;
                view.remaining_seconds = 0;
                view.reason = Some(deny_text(*reason).to_owned());
            }
            Phase::Ended { reason, holder_id, method, .. } => {
                view.method = Some((*method).into());
                view.holder = Some(holder_id.clone());
                set_ended(&mut view, *reason);
            }
        }
        Ok(view)
    }

    /// The methods wanted, all of them open to the signing system; those open that can be served here, when none is named.
    pub(super) fn methods(
        &self,
        system: &SigningSystem,
        wanted: Option<Vec<wire::MethodName>>,
    ) -> Result<Vec<Method>, Problem> {
        let Some(wanted) = wanted else {
            let open = system.methods.iter().copied();
            let served: Vec<Method> = open.filter(|method| self.serves(*method)).collect();
            let first = system.methods.first().copied().unwrap_or(Method::Hpki);
            return if served.is_empty() { Err(not_served(first)) } else { Ok(served) };
        };
        if wanted.is_empty() {
            let detail = "methods: name one, or leave it out";
            return Err(Problem::with_detail(Code::MalformedRequest, detail));
        }
        let wanted: Vec<Method> = wanted.into_iter().map(Method::from).collect();
        if !wanted.iter().all(|method| system.methods.contains(method)) {
            let detail = "a method is not open to this signing system";
            return Err(Problem::with_detail(Code::FactorRefused, detail));
        }
        match wanted.iter().find(|method| !self.serves(**method)) {
            Some(method) => Err(not_served(*method)),
            None => Ok(wanted),
        }
    }

    /// Whether this appliance is set up for a method.
    pub(super) fn serves(&self, method: Method) -> bool {
        match method {
            Method::Hpki => true,
            Method::Jpki => self.my_numbers.as_ref().is_some_and(|jpki| jpki.listener.has_provider),
            Method::Fido2 => self.phones.is_some(),
        }
    }

    /// Where a card of this kind is asked for.
    pub(super) fn card_origin(&self, method: Method) -> &str {
        match (method, &self.my_numbers) {
            (Method::Jpki, Some(jpki)) => &jpki.listener.origin,
            (Method::Hpki | Method::Jpki | Method::Fido2, _) => &self.parts.settings.hpki_origin,
        }
    }

    /// Where a sign-in begins: on the portal where there is something to choose or a phone will do, else at the card.
    pub(super) fn login_origin(&self, record: &SessionRecord) -> &str {
        match self.portal_of(record) {
            Some(phones) => &phones.origin,
            None if record.accepts(Method::Hpki) => self.card_origin(Method::Hpki),
            None => self.card_origin(Method::Jpki),
        }
    }

    /// The portal, where this sign-in begins there.
    pub(super) fn portal_of(&self, record: &SessionRecord) -> Option<&Phones> {
        let takes_both = [Method::Hpki, Method::Jpki].iter().all(|card| record.accepts(*card));
        self.phones.as_ref().filter(|_| takes_both || record.accepts(Method::Fido2))
    }

    /// Records that a session is active and judges what it rests on once more: minutes may have passed since the sign-in.
    pub(super) async fn activated(
        &self,
        caller: &Caller,
        session: &Arc<LiveSession>,
    ) -> Result<UnixSeconds, Problem> {
        let live = self.parts.sessions.count();
        self.parts.metrics.sessions.set(i64::try_from(live).unwrap_or(i64::MAX));
        let entry = entries::session_activated(&caller.request_id, session);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id = caller.request_id, %error, "an activation could not be recorded");
            session.end(EndReason::Operator);
            return Err(Code::AuditUnavailable.into());
        }
        let now = self.now()?;
        let Some(reason) = self.judge_session(session).await else {
            return Ok(now);
        };
        let ended = self.end_live(&caller.request_id, Principal::Appliance, session, reason).await;
        if let Err(error) = ended {
            tracing::error!(request_id = caller.request_id, %error, "the end of a session is not durable");
        }
        Err(problems::ended(reason))
    }
}

/// Why a method cannot be used on this appliance, and what to do.
fn not_served(method: Method) -> Problem {
    let detail = match method {
        Method::Hpki => "no HPKI card can be used to sign in",
        Method::Jpki => {
            "no My Number card can be used to sign in: this appliance needs the tables [listeners.jpki] and \
             [jpki.validity] in its configuration"
        }
        Method::Fido2 => {
            "no portal is configured on this appliance, so no phone can be used to sign in"
        }
    };
    Problem::with_detail(Code::FactorRefused, detail)
}

/// Whether a state never changes any more.
pub(super) fn is_final(state: wire::SessionState) -> bool {
    matches!(
        state,
        wire::SessionState::Denied | wire::SessionState::Expired | wire::SessionState::Ended
    )
}

fn set_ended(view: &mut wire::SessionView, reason: EndReason) {
    view.state = wire::SessionState::Ended;
    view.remaining_seconds = 0;
    view.remaining_signatures = Some(0);
    view.remaining_entries = (view.purpose == wire::Purpose::Once).then_some(0);
    let reason = serde_json::to_value(reason).ok();
    view.reason = reason.and_then(|value| value.as_str().map(str::to_owned));
}

/// Why a sign-in was denied, for the signing system.
pub(super) fn deny_text(reason: DenyReason) -> &'static str {
    match reason {
        DenyReason::ByHolder => "the holder said that this sign-in is not theirs",
        DenyReason::WrongNumber => "a wrong number was typed too often",
        DenyReason::WrongCode => "a wrong code was sent too often",
        DenyReason::Withdrawn => "the signing system withdrew it",
        DenyReason::Refused => "the holder was proved, and may not do this",
    }
}
