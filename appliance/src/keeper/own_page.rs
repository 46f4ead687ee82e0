//! The holder's own page: opened by a sign-in like any other, and rechecked at every click.

use super::Keeper;
use super::entries;
use super::signing::receipt;
use crate::audit::AuditError;
use crate::audit::Principal;
use api::admin::names::EnrollerName;
use api::operations::browser_secret::BrowserSecret;
use api::operations::own_page::Arrival;
use api::operations::own_page::Arrived;
use api::operations::own_page::Begun;
use api::operations::own_page::DeviceRemoval;
use api::operations::own_page::Own;
use api::operations::own_page::OwnAction;
use api::operations::own_page::OwnCard;
use api::operations::own_page::OwnDone;
use api::operations::own_page::OwnPage;
use api::operations::own_page::OwnPageView;
use api::operations::own_page::OwnPhone;
use api::operations::own_page::OwnSignIn;
use api::operations::own_page::OwnSignature;
use api::operations::own_page::OwnSignatures;
use api::operations::portal::Terminal;
use api::text::is_invisible;
use api::wire::MethodName;
use async_trait::async_trait;
use attest::authenticator::Authenticator;
use attest::authenticator::EnrolledBy;
use attest::clock::UnixSeconds;
use attest::own_page::NotOpened;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sessions::Wanted;
use attest::sign_in::link_token;
use std::sync::Arc;

/// Signatures on one page.
const SIGNATURES_A_PAGE: usize = 50;

/// A page that is open, and whose it is.
struct Met {
    holder: Arc<Holder>,
    now: UnixSeconds,
}

/// Why a browser does not see its page now.
enum NotMet {
    /// It is not open, or no longer.
    SignIn,
    /// Nobody can say whether what proved its holder still stands.
    Unavailable,
}

impl<T> From<NotMet> for Own<T> {
    fn from(not: NotMet) -> Self {
        match not {
            NotMet::SignIn => Self::SignIn,
            NotMet::Unavailable => Self::Unavailable,
        }
    }
}

#[async_trait]
impl OwnPage for Keeper {
    async fn begin_own_page(&self, request_id: &str, terminal: Terminal) -> Begun {
        let Some(phones) = &self.phones else {
            return Begun::Unavailable;
        };
        if let Err(seconds) = phones.rate_without_link("page", &terminal.address) {
            return Begun::RateLimited { seconds };
        }
        let wanted = Wanted {
            holder_id: None,
            methods: phones.own.methods.clone(),
            return_url: Some(format!("{}/arrive", phones.origin)),
            entries: None,
        };
        match self.parts.sessions.create(&phones.own, wanted).await {
            Ok(created) => {
                Begun::Link(link_token(&created.record.session_id, &created.link_secret).into())
            }
            Err(error) => {
                tracing::error!(request_id, %error, "a sign-in for the portal could not be stored");
                Begun::Unavailable
            }
        }
    }

    async fn arrive(&self, request_id: &str, arrival: Arrival) -> Arrived {
        if let Some(arrived) = self.arrive_for_system(request_id, &arrival).await {
            return arrived;
        }
        // A code that somebody sent opens nothing: it is good in the browser that began the sign-in.
        let Arrival { code, session_id, begun, .. } = &arrival;
        if begun.as_ref() != Some(session_id) {
            return Arrived::Over;
        }
        let closings = self.own_pages.closings();
        let redeemed = self.parts.sessions.redeem(session_id, code).await;
        let approval = match redeemed {
            Ok(Some(approval)) => approval,
            Ok(None) => return Arrived::Over,
            Err(error) => {
                tracing::error!(request_id, %error, "a code could not be exchanged for a page");
                return Arrived::Unavailable;
            }
        };
        let Ok(now) = self.parts.clock.now() else {
            return Arrived::Unavailable;
        };
        match self.own_pages.open(&approval, closings, now) {
            Ok(secret) => Arrived::OwnPage { secret: secret.into() },
            Err(NotOpened::Closed) => Arrived::Over,
            Err(error) => {
                tracing::warn!(request_id, %error, "a holder's page could not be opened");
                Arrived::Unavailable
            }
        }
    }

    async fn own_page(&self, request_id: &str, secret: &str) -> Own<OwnPageView> {
        self.on_page(request_id, secret, |met, form_token| {
            let Met { holder, .. } = met;
            let holder_id = &holder.holder_id;
            let mut sessions = self.parts.sessions.of_holder(holder_id);
            sessions.retain(|session| session.over(met.now).is_none());
            sessions.sort_by_key(|session| std::cmp::Reverse(session.authenticated_at));
            let phones = self.parts.registry.authenticators_of(holder_id);
            Own::Open(OwnPageView {
                holder: holder.display_name.clone(),
                holder_id: holder_id.clone(),
                form_token,
                sign_ins: sessions.iter().map(|session| self.own_sign_in(session)).collect(),
                phones: phones.iter().map(|phone| own_phone(phone)).collect(),
                cards: self.own_cards(holder_id),
                ca_contact: holder.ca_contact.clone(),
                danger_test_mode: self.danger_test_mode(),
            })
        })
        .await
    }

    async fn own_device(&self, request_id: &str, secret: &str, device: &str) -> Own<DeviceRemoval> {
        self.on_page(request_id, secret, |met, form_token| {
            let phones = self.parts.registry.authenticators_of(&met.holder.holder_id);
            let (asked, others): (Vec<_>, Vec<_>) =
                phones.iter().partition(|phone| phone.authenticator_id.0 == device);
            match asked.first() {
                Some(phone) => Own::Open(DeviceRemoval {
                    phone: own_phone(phone),
                    form_token,
                    remaining_devices: others.into_iter().map(|phone| own_phone(phone)).collect(),
                    remaining_cards: self.own_cards(&met.holder.holder_id),
                    ca_contact: met.holder.ca_contact.clone(),
                }),
                None => Own::NotFound,
            }
        })
        .await
    }

    async fn own_action(
        &self,
        request_id: &str,
        secret: &str,
        form_token: &str,
        action: OwnAction,
    ) -> OwnDone {
        let met = match self.met(secret).await {
            Ok(met) => met,
            Err(NotMet::SignIn) => return OwnDone::SignIn,
            Err(NotMet::Unavailable) => return OwnDone::Unavailable,
        };
        if !self.own_pages.take_form(secret, form_token, met.now) {
            return OwnDone::FormOver;
        }
        let holder_id = &met.holder.holder_id;
        let done = match action {
            OwnAction::End { session_id } => {
                let session = self.parts.sessions.by_id(&session_id);
                let theirs = session.filter(|session| session.holder_id == *holder_id);
                let ended = self.end_all(request_id, holder_id, theirs.as_slice()).await;
                ended.map(|()| OwnDone::Done)
            }
            OwnAction::RemovePhone { device } => {
                self.remove_own_phone(request_id, holder_id, device).await
            }
            OwnAction::SignOut => {
                self.own_pages.close(secret);
                Some(OwnDone::SignedOut)
            }
            OwnAction::SignOutEverywhere => self.sign_out_everywhere(request_id, holder_id).await,
        };
        done.unwrap_or(OwnDone::Unavailable)
    }

    async fn own_signatures(
        &self,
        request_id: &str,
        secret: &str,
        before: Option<u64>,
    ) -> Own<OwnSignatures> {
        let met = match self.met(secret).await {
            Ok(met) => met,
            Err(not) => return not.into(),
        };
        let _one_at_a_time = self.reading_log.lock().await;
        let (audit, holder_id) = (Arc::clone(&self.parts.audit), met.holder.holder_id.clone());
        let read = move || audit.signatures_of(&holder_id, before, SIGNATURES_A_PAGE);
        let found = match tokio::task::spawn_blocking(read).await {
            Ok(found) => found,
            Err(error) => {
                let (seq, reason) = (before.unwrap_or_default(), error.to_string());
                Err(AuditError::Unreadable { seq, reason })
            }
        };
        match found {
            Ok(found) => Own::Open(OwnSignatures {
                signatures: found
                    .signatures
                    .into_iter()
                    .map(|found| OwnSignature {
                        at: found.time_ms / 1_000,
                        label: found.label.map(|label| readable(&label)),
                        system: self.system_name(&found.facts.system_id),
                        method: found.facts.method.into(),
                        receipt: receipt(found.seq),
                    })
                    .collect(),
                older: found.older,
            }),
            Err(error) => {
                tracing::error!(request_id, %error, "a holder's signatures could not be read");
                Own::Unavailable
            }
        }
    }
}

impl Keeper {
    /// The page of this secret, if it is open and what proved its holder still stands: as the gate asks of a session. Where
    /// nobody can say now, the page waits for who can: a holder is not sent to a sign-in that cannot be made either.
    async fn met(&self, secret: &str) -> Result<Met, NotMet> {
        let now = self.parts.clock.now().map_err(|_| NotMet::Unavailable)?;
        let by = self.own_pages.page(secret, now).ok_or(NotMet::SignIn)?;
        let holder = self.parts.registry.holder(&by.holder_id).filter(|holder| holder.enabled);
        match (holder, self.standing_of(&by, now).await) {
            (Some(holder), Standing::Good) => Ok(Met { holder, now }),
            (Some(_), Standing::Unknown) => Err(NotMet::Unavailable),
            (None, _) | (Some(_), Standing::Revoked | Standing::Refused) => {
                self.own_pages.close(secret);
                Err(NotMet::SignIn)
            }
        }
    }

    /// Closes every page of a holder, at an operator's word.
    pub fn close_own_pages(&self, holder_id: &str) {
        self.own_pages.close_all(holder_id);
    }

    /// What an open page shows, with a one-time field for its forms.
    async fn on_page<T>(
        &self,
        request_id: &str,
        secret: &str,
        show: impl FnOnce(&Met, BrowserSecret) -> Own<T>,
    ) -> Own<T> {
        let met = match self.met(secret).await {
            Ok(met) => met,
            Err(not) => return not.into(),
        };
        match self.own_pages.form(secret, met.now) {
            Ok(Some(form_token)) => show(&met, form_token.into()),
            Ok(None) => Own::SignIn,
            Err(error) => {
                tracing::error!(request_id, %error, "no field for a form");
                Own::Unavailable
            }
        }
    }

    /// Ends sessions for their holder; `None` when the end of one is not durable: it is dead in memory all the same.
    async fn end_all(
        &self,
        request_id: &str,
        holder_id: &str,
        sessions: &[Arc<LiveSession>],
    ) -> Option<()> {
        let mut all = Some(());
        for session in sessions {
            let by = Principal::Holder(holder_id.to_owned());
            if let Err(error) = self.end_live(request_id, by, session, EndReason::Logout).await {
                tracing::error!(request_id, %error, "the end of a session is not durable");
                all = None;
            }
        }
        all
    }

    async fn sign_out_everywhere(&self, request_id: &str, holder_id: &str) -> Option<OwnDone> {
        // What is approved first: it becomes a session or is denied, and sessions are ended behind it.
        let theirs = holder_id.to_owned();
        let is_theirs = move |session: &LiveSession| session.holder_id == theirs;
        let denied = self.parts.sessions.deny_approved(&is_theirs).await;
        let denied = denied.inspect_err(|error| {
            tracing::error!(request_id, %error, "approved sign-ins could not be withdrawn");
        });
        let sessions = self.parts.sessions.of_holder(holder_id);
        self.end_all(request_id, holder_id, &sessions).await?;
        denied.ok()?;
        self.own_pages.close_all(holder_id);
        let ended = u64::try_from(sessions.len()).unwrap_or(u64::MAX);
        Some(OwnDone::SignedOutEverywhere { ended })
    }

    async fn remove_own_phone(
        &self,
        request_id: &str,
        holder_id: &str,
        device: String,
    ) -> Option<OwnDone> {
        let (phones, device) = (self.phones.as_ref()?, Fingerprint(device));
        let found = self.parts.registry.authenticator(&device);
        if found.is_none_or(|phone| phone.holder_id != holder_id) {
            // Removed meanwhile, by another page or an operator.
            return Some(OwnDone::Done);
        }
        // The record first: what is not in the log is not done.
        let detail = "removed by its holder".to_owned();
        let entry = entries::device_changed(request_id, holder_id, &device, "removed", detail);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "the removal of a phone could not be recorded");
            return None;
        }
        match phones.authenticators.remove(&device).await {
            Ok(Some(gone)) => {
                self.let_go(request_id, &gone).await;
                Some(OwnDone::Done)
            }
            Ok(None) => Some(OwnDone::Done),
            Err(error) => {
                tracing::error!(request_id, %error, "a phone could not be removed");
                self.record_not_removed(request_id).await;
                None
            }
        }
    }

    async fn record_not_removed(&self, request_id: &str) {
        let entry = entries::removal_failed(request_id);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a removal that failed could not be recorded");
        }
    }

    fn own_sign_in(&self, session: &LiveSession) -> OwnSignIn {
        OwnSignIn {
            session_id: session.session_id.clone(),
            system: self.system_name(&session.system_id),
            method: session.method.into(),
            since: session.authenticated_at.0,
            until: session.expires_at.0,
            remaining_signatures: session.remaining(),
            terminal: session.terminal.as_deref().map(str::to_owned),
        }
    }

    fn own_cards(&self, holder_id: &str) -> Vec<OwnCard> {
        let registry = &self.parts.registry;
        let cards = registry.cards_of(holder_id).into_iter().map(|link| OwnCard {
            kind: MethodName::Hpki,
            subject: Some(readable(&link.subject)),
            since: link.linked_at.0,
        });
        let my_number = registry.jpki_of(holder_id).map(|link| OwnCard {
            kind: MethodName::Jpki,
            subject: None,
            since: link.linked_at.0,
        });
        cards.chain(my_number).collect()
    }

    fn system_name(&self, system_id: &str) -> String {
        let system = self.parts.registry.system(system_id);
        system.map_or_else(|| system_id.to_owned(), |system| system.display_name.clone())
    }
}

fn own_phone(phone: &Authenticator) -> OwnPhone {
    let enrolled_by = match &phone.enrolled_by {
        EnrolledBy::Factor(by) => by.method.into(),
        EnrolledBy::NotificationCard(_) => EnrollerName::NotificationCard,
    };
    OwnPhone {
        kind: phone.kind,
        device: phone.authenticator_id.0.clone(),
        label: phone.label.clone(),
        since: phone.enrolled_at.0,
        enrolled_by,
        last_used: phone.last_used_at.map(|at| at.0),
    }
}

/// A text of somebody else's, without what nobody sees.
fn readable(text: &str) -> String {
    text.chars().filter(|character| !is_invisible(*character)).collect()
}
