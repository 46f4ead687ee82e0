//! Sign-ins that browsers keep, where the house wants it: kept by fresh evidence, gone on with by one click.
//!
//! A click is judged as a session is: whatever would end a session, or keep one from beginning, holds here too. The signing
//! system names the holder, so that nobody goes on as whoever sat at a shared PC before them.

use super::Keeper;
use super::entries;
use super::phones::Phones;
use super::phones::terminal_line;
use super::sign_in::origin;
use super::sign_in::return_to;
use crate::audit::Principal;
use api::operations::own_page::Arrival;
use api::operations::own_page::Arrived;
use api::operations::portal::Terminal;
use api::operations::saved::SavedCookie;
use api::operations::saved::SavedOffer;
use api::operations::saved::SavedSignIns;
use api::operations::saved::WentOn;
use async_trait::async_trait;
use attest::clock::UnixSeconds;
use attest::gate::is_factor_of;
use attest::handoff::Entitlement;
use attest::hc_role::HcRole;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SigningSystem;
use attest::registry::Standing;
use attest::saved::SavedSignIn;
use attest::session::EndReason;
use attest::sessions::Kept;
use attest::sessions::SessionError;
use attest::sessions::WentOn as Moved;
use attest::sign_in::SessionRecord;
use attest::store::Rev;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;

/// A link that can still be used, and a saved sign-in that a click may put in the place of evidence.
struct Met {
    record: SessionRecord,
    system: Arc<SigningSystem>,
    saved: SavedSignIn,
    entitlement: Entitlement,
    left: u64,
    until: UnixSeconds,
    now: UnixSeconds,
}

impl Met {
    /// What the form is bound to besides the browser: the link, the evidence, and until when the page says it is good.
    fn shown(&self) -> Fingerprint {
        let (link, saved) = (&self.record.link.0, &self.saved);
        Fingerprint::of(format!("{link}/{}/{}", saved.approval.evidence, self.until.0).as_bytes())
    }
}

/// A click that does not do.
struct Refused {
    record: SessionRecord,
    /// By which evidence the browser keeps something.
    method: Option<Method>,
    /// Stable reason.
    code: &'static str,
}

/// Why a click does not do.
enum NotMet {
    /// The login link is over, or nobody's.
    LinkOver,
    /// The browser keeps nothing that does.
    Saved(Box<Refused>),
    /// The appliance cannot tell, which the log says.
    Unavailable,
}

impl NotMet {
    /// What a store or a clock says, with the request for which it was asked.
    fn unreadable(request_id: &str) -> impl Fn(SessionError) -> Self {
        move |error| {
            tracing::error!(request_id, %error, "a saved sign-in could not be read");
            Self::Unavailable
        }
    }
}

#[async_trait]
impl SavedSignIns for Keeper {
    async fn saved_offer(
        &self,
        request_id: &str,
        link: &str,
        cookie: &str,
        terminal: Terminal,
    ) -> Option<SavedOffer> {
        let met = self.meet_saved(request_id, link, cookie, &terminal).await.ok()?;
        Some(SavedOffer {
            form_token: self.forms.issue(&met.shown(), &met.saved.secret).into(),
            system: met.system.display_name.clone(),
            method: met.saved.approval.method.into(),
            since: met.saved.approval.authenticated_at.0,
            until: met.until.0,
            signatures: met.left,
            return_origin: met.record.return_url.as_deref().and_then(origin),
            remaining_seconds: met.now.seconds_until(met.record.link_expires_at),
            danger_test_mode: self.danger_test_mode(),
        })
    }

    async fn go_on(
        &self,
        request_id: &str,
        link: &str,
        cookie: &str,
        form_token: &str,
        terminal: Terminal,
    ) -> WentOn {
        let rate =
            self.phones.as_ref().map(|phones| phones.address_rate("saved", &terminal.address));
        if let Some(Err(seconds)) = rate {
            return WentOn::RateLimited { seconds };
        }
        let met = match self.meet_saved(request_id, link, cookie, &terminal).await {
            Ok(met) => met,
            Err(NotMet::LinkOver) => return WentOn::LinkOver,
            Err(NotMet::Unavailable) => return WentOn::Unavailable,
            Err(NotMet::Saved(refused)) => {
                let Refused { record, method, code } = *refused;
                self.note_click(request_id, &record, method, code).await;
                return WentOn::SavedOver;
            }
        };
        if !self.forms.check(&met.shown(), &met.saved.secret, form_token) {
            let method = Some(met.saved.approval.method);
            self.note_click(request_id, &met.record, method, "form_over").await;
            return WentOn::SavedOver;
        }
        self.click(request_id, met, &terminal_line(&terminal)).await
    }

    async fn forget_saved(&self, request_id: &str, cookie: &str) -> bool {
        let forgotten = self.parts.sessions.forget_browser(cookie).await;
        forgotten
            .inspect_err(|error| {
                tracing::error!(request_id, %error, "a saved sign-in could not be forgotten");
            })
            .is_ok()
    }
}

impl Keeper {
    /// Whether the browser that begins this sign-in keeps it. One that goes straight to its only card begins nowhere here.
    pub(super) fn keeps(&self, record: &SessionRecord) -> bool {
        self.keeping_portal(record).is_some()
    }

    /// Over which portal it comes back, then.
    pub(super) fn keeping_portal(&self, record: &SessionRecord) -> Option<&Phones> {
        let is_wanted = self.parts.settings.saved_sign_ins && record.may_be_kept();
        self.portal_of(record).filter(|_| is_wanted)
    }

    /// Where a browser goes with the code: back to the signing system, over the portal's own address where the browser is to
    /// keep the sign-in. What it brings there besides the code, the signing system never learns.
    pub(super) fn way_back(&self, record: &SessionRecord, code: &str) -> Option<String> {
        let return_url = record.return_url.as_deref()?;
        Some(match self.keeping_portal(record) {
            Some(phones) => {
                let arrive =
                    return_to(&format!("{}/arrive", phones.origin), code, &record.session_id);
                format!("{arrive}&keep={}", self.keep_token(&record.session_id, code))
            }
            None => return_to(return_url, code, &record.session_id),
        })
    }

    /// A code that goes on to its signing system: the browser that began its sign-in keeps it, any other goes on without.
    /// `None`: it is of no such sign-in.
    pub(super) async fn arrive_for_system(
        &self,
        request_id: &str,
        arrival: &Arrival,
    ) -> Option<Arrived> {
        let Arrival { code, session_id, .. } = arrival;
        let failed = |error: SessionError| {
            tracing::error!(request_id, %error, "a sign-in that arrived could not be read or kept");
        };
        let found = self.parts.sessions.approved_by_code(session_id, code).await;
        let found = match found.map_err(failed) {
            Ok(found) => found.filter(|(record, _)| self.keeps(record))?,
            Err(()) => return Some(Arrived::Unavailable),
        };
        let record = &found.0;
        let url = return_to(record.return_url.as_deref()?, code, session_id);
        // What could not be kept is no reason to send anybody back to their card.
        let kept = self.keep(request_id, found, arrival).await.map_err(failed).ok().flatten();
        let kept =
            kept.map(|kept| SavedCookie { secret: kept.cookie.into(), seconds: kept.seconds });
        Some(Arrived::Return { url, kept })
    }

    /// In the browser that began the sign-in and was sent here with its approval, once.
    async fn keep(
        &self,
        request_id: &str,
        found: (SessionRecord, Rev),
        arrival: &Arrival,
    ) -> Result<Option<Kept>, SessionError> {
        let (system, holder_id) = (self.asking_system(&found.0), found.0.holder_id.clone());
        let (Some(system), Some(holder_id)) = (system, holder_id) else {
            return Ok(None);
        };
        let Arrival { code, session_id, begun, keep, saved } = arrival;
        let (subject, code) = arriving(session_id, code);
        let is_sent = keep.as_ref().is_some_and(|keep| self.forms.check(&subject, &code, keep));
        if !is_sent || begun.as_ref() != Some(session_id) {
            return Ok(None);
        }
        let entry = entries::sign_in_kept(request_id, &found.0, &holder_id);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "that a browser keeps a sign-in was not recorded");
            return Ok(None);
        }
        self.parts.sessions.keep(found, saved.as_deref(), system.limits).await
    }

    fn keep_token(&self, session_id: &str, code: &str) -> String {
        let (subject, code) = arriving(session_id, code);
        self.forms.issue(&subject, &code)
    }

    /// Everything that must hold before the click is offered, and again before it is believed.
    async fn meet_saved(
        &self,
        request_id: &str,
        link: &str,
        cookie: &str,
        terminal: &Terminal,
    ) -> Result<Met, NotMet> {
        let unreadable = NotMet::unreadable(request_id);
        let now = self.parts.clock.now().map_err(|error| unreadable(error.into()))?;
        // Step 1: a link for what may be kept.
        let record = self.linked(link).await.map_err(|_| NotMet::Unavailable)?;
        let record = record.filter(|record| !record.link_is_over(now) && self.keeps(record));
        let record = record.ok_or(NotMet::LinkOver)?;
        let of = |method, code| {
            NotMet::Saved(Box::new(Refused { record: record.clone(), method, code }))
        };
        // Step 2: what this browser keeps for this signing system, of the holder whom it names.
        let saved = self.parts.sessions.saved(cookie, &record.system_id).await;
        let saved = saved.map_err(&unreadable)?.filter(|saved| saved.is_for(&record));
        let saved = saved.ok_or_else(|| of(None, "saved_not_kept"))?;
        let (holder_id, method) = (&saved.approval.holder_id, saved.approval.method);
        let not = |code| of(Some(method), code);
        let is_elsewhere = |phones: &Phones| !phones.is_network_allowed(&terminal.address);
        if method == Method::Fido2 && self.phones.as_ref().is_some_and(is_elsewhere) {
            return Err(not("network_not_allowed"));
        }
        // Step 3: the holder, their factor and their entitlement, as of now.
        let system =
            self.system_for(&record, holder_id, method).map_err(|_| not("not_allowed_here"))?;
        let holder = self.parts.registry.holder(holder_id).ok_or_else(|| not("not_entitled"))?;
        let (registry, factor) = (&self.parts.registry, &saved.approval.factor);
        if !self.serves(method) || !is_factor_of(registry, method, factor, holder_id) {
            return Err(not("factor_gone"));
        }
        let roles = self.roles_of(&saved, now).ok_or_else(|| not("saved_evidence"))?;
        let entitlement = self.entitlement(&holder, &roles, now);
        let entitlement = entitlement.map_err(|_| not("entitlement_over"))?;
        if self.standing_of(&saved.approval, now).await != Standing::Good {
            return Err(not("saved_evidence"));
        }
        // Step 4: no more than was agreed to, and something of it left.
        let asked = self.offered(&system, &record, method);
        if !saved.covers(asked, &entitlement.certificates) {
            return Err(not("saved_asks_for_more"));
        }
        let proved_at = saved.approval.authenticated_at;
        let until = proved_at.plus(Duration::from_secs(asked.seconds)).min(saved.expires_at);
        let left = self.parts.sessions.left_of(&saved).await.map_err(&unreadable)?;
        if left == 0 || now >= until {
            return Err(not("saved_used_up"));
        }
        Ok(Met { record, system, saved, entitlement, left, until, now })
    }

    /// Roles in the certificate of the evidence, judged once more; nothing where it is not good. Only HPKI cards have them.
    fn roles_of(&self, saved: &SavedSignIn, now: UnixSeconds) -> Option<Vec<HcRole>> {
        match saved.approval.method {
            Method::Hpki => {
                let leaf = STANDARD.decode(saved.approval.certificate_b64.as_deref()?).ok()?;
                Some(self.parts.judge.judge_leaf(&leaf, now).ok()?.roles)
            }
            Method::Jpki | Method::Fido2 => Some(Vec::new()),
        }
    }

    /// The click is recorded, the session before ends, and the link goes on.
    async fn click(&self, request_id: &str, met: Met, terminal: &str) -> WentOn {
        let Met { record, saved, entitlement, .. } = &met;
        let method = saved.approval.method;
        let entry = entries::sign_in_continued(request_id, record, saved, terminal);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a click could not be recorded");
            return WentOn::Unavailable;
        }
        let moved = match self.end_before(request_id, saved).await {
            Ok(()) => {
                let sessions = &self.parts.sessions;
                sessions.go_on(&record.session_id, saved, entitlement, terminal).await
            }
            Err(error) => Err(error),
        };
        let (code, told) = match moved {
            Ok(Moved::Code(code)) => {
                self.parts.metrics.sign_in(method.name(), "continued");
                let url = record.return_url.as_deref();
                let url = url.map(|url| return_to(url, &code, &record.session_id));
                return url.map_or(WentOn::LinkOver, |url| WentOn::Return { url });
            }
            Ok(Moved::LinkOver) => ("link_over", WentOn::LinkOver),
            Ok(Moved::SavedOver) => ("saved_over", WentOn::SavedOver),
            Err(error) => {
                tracing::error!(request_id, %error, "a click could not be stored");
                ("not_stored", WentOn::Unavailable)
            }
        };
        self.note_lost_sign_in(request_id, record, method, code).await;
        told
    }

    /// One session lives at a time on this evidence: the one before ends, and what it used is known from here on.
    async fn end_before(&self, request_id: &str, saved: &SavedSignIn) -> Result<(), SessionError> {
        let (sessions, reason) = (&self.parts.sessions, EndReason::Continued);
        let Some(live) = sessions.by_id(&saved.session_id) else {
            return sessions.end(&saved.session_id, reason).await.map(|_| ());
        };
        let by = Principal::Holder(saved.approval.holder_id.clone());
        self.end_live(request_id, by, &live, reason).await.map_err(|error| {
            tracing::error!(request_id, %error, "the end of a session is not durable");
            SessionError::Contended
        })
    }

    /// Counts and records a click that did not do. Where the browser keeps nothing, as what the link asks for first.
    async fn note_click(
        &self,
        request_id: &str,
        record: &SessionRecord,
        method: Option<Method>,
        code: &str,
    ) {
        let method = method.or(record.methods.first().copied()).unwrap_or(Method::Hpki);
        let detail = "a click for a saved sign-in";
        self.note_sign_in(request_id, Some(record), method, code, detail).await;
    }
}

/// What the token of an arrival is bound to.
fn arriving(session_id: &str, code: &str) -> (Fingerprint, Fingerprint) {
    let subject = Fingerprint::of(format!("arrive/{session_id}").as_bytes());
    (subject, Fingerprint::of(code.as_bytes()))
}
