//! What the keeper needs for phones: the relying party that the portal is, tickets, hand-offs, authenticators.

use super::Keeper;
use super::Parts;
use super::letter::notification_cards;
use crate::audit::Principal;
use crate::network::Network;
use crate::rate::RateLimiter;
use api::operations::portal::Terminal;
use api::rate::counted_as;
use api::text::is_invisible;
use attest::authenticator::Authenticator;
use attest::authenticator::AuthenticatorKind;
use attest::authenticator::Authenticators;
use attest::clock::UnixSeconds;
use attest::evidence::Fido2;
use attest::evidence::Fido2Error;
use attest::evidence::RelyingParty;
use attest::handoff::Handoff;
use attest::handoff::Handoffs;
use attest::notification_card::NotificationCards;
use attest::own_page::IDLE_SECONDS;
use attest::own_page::MAX_SECONDS;
use attest::own_page::PORTAL;
use attest::phone_change::PhoneChange;
use attest::phone_change::PhoneChanges;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::records::SigningSystem;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sessions::SessionError;
use attest::sign_in::link_token;
use attest::sign_in::split_link;
use attest::ticket::Ticket;
use attest::ticket::Tickets;
use hsm::Hsm;
use hsm::HsmError;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// What phones show as the one who asks.
const NAME: &str = "Inkan";
/// What the key of decoys is a MAC over: its purpose, and nothing else.
const DECOY_CONTEXT: &[u8] = b"inkan decoys v1";

/// See the module.
pub(super) struct Phones {
    /// `https://host:port` of the portal.
    pub origin: String,
    pub fido2: Fido2,
    pub tickets: Tickets,
    pub handoffs: Handoffs,
    pub changes: PhoneChanges,
    pub authenticators: Authenticators,
    pub cards: NotificationCards,
    /// The portal as one who asks for sign-ins: it has no certificate, and nothing can be signed for it.
    pub own: Arc<SigningSystem>,
    /// Apart from those of signing systems: whoever floods the portal takes no place from them.
    rates: RateLimiter,
    networks: Vec<Network>,
    per_minute: f64,
    per_minute_of_address: f64,
    per_minute_without_link: f64,
}

/// The name of an address among the rates.
fn counted(address: &str) -> String {
    address.parse::<IpAddr>().map_or_else(|_| address.to_owned(), |it| counted_as(it).to_string())
}

/// See [`Phones::own`]. Its limits are those of the holder's own page, as evidence says them.
fn own_system() -> SigningSystem {
    SigningSystem {
        system_id: PORTAL.to_owned(),
        display_name: "ご本人のページ".to_owned(),
        certificates: Vec::new(),
        return_urls: Vec::new(),
        holders: None,
        methods: vec![Method::Hpki, Method::Jpki, Method::Fido2],
        raw_allowed: false,
        bare_digests_allowed: false,
        limits: SessionLimits { seconds: MAX_SECONDS, idle_seconds: IDLE_SECONDS, signatures: 0 },
        requests_per_second: 0,
        created_at: UnixSeconds(0),
    }
}

/// From what the authenticators of people who have none are made: only this token gives it.
///
/// # Errors
/// [`HsmError`].
pub async fn decoy_key(hsm: &Hsm) -> Result<[u8; 32], HsmError> {
    hsm.index_hmac(DECOY_CONTEXT).await
}

/// What a QR code or the page with it stands for.
pub(super) enum Shown {
    SignIn(Box<Handoff>),
    Enrolment(Box<Ticket>),
    /// The second QR code of an enrolment: for the old phone.
    Confirmation(Box<Ticket>),
    Change(Box<PhoneChange>),
}

impl Phones {
    /// Phones of the portal at `origin`.
    pub fn new(origin: &str, parts: &Parts) -> Result<Self, Fido2Error> {
        let (trust, clock) = (|| parts.trust.clone(), || parts.clock.clone());
        let rules = || parts.settings.factor_rules.clone();
        let relying_party = RelyingParty::new(origin, NAME)?;
        Ok(Self {
            origin: relying_party.origin(),
            fido2: Fido2::new(relying_party, rules(), clock(), &parts.decoy_key)?,
            tickets: Tickets::new(trust(), clock(), rules()),
            handoffs: Handoffs::new(parts.sessions.clone(), trust(), clock()),
            changes: PhoneChanges::new(trust(), clock()),
            authenticators: Authenticators::new(trust()),
            cards: notification_cards(parts),
            own: Arc::new(own_system()),
            rates: RateLimiter::default(),
            networks: parts.settings.phone_networks.clone(),
            per_minute: f64::from(parts.settings.phones_per_minute),
            per_minute_of_address: f64::from(parts.settings.phones_per_minute_of_address),
            per_minute_without_link: f64::from(parts.settings.without_link_per_minute_of_address),
        })
    }

    /// Whether one more `step` may be taken from this address; otherwise after how many seconds.
    pub fn address_rate(&self, step: &str, address: &str) -> Result<(), u64> {
        self.take(&format!("address-{step}/{}", counted(address)), self.per_minute_of_address)
    }

    /// The same, much tighter, for what anybody may begin without a login link.
    pub fn rate_without_link(&self, step: &str, address: &str) -> Result<(), u64> {
        let name = format!("without-link-{step}/{}", counted(address));
        self.take(&name, self.per_minute_without_link)
    }

    /// Whether one more `step` may be taken for this holder id; otherwise after how many seconds.
    pub fn holder_rate(&self, step: &str, holder_id: &str) -> Result<(), u64> {
        self.take(&format!("{step}/{holder_id}"), self.per_minute)
    }

    /// Whether a PC at `address` may show a QR code.
    pub fn is_network_allowed(&self, address: &str) -> bool {
        let is_in = |address| self.networks.iter().any(|network| network.contains(address));
        self.networks.is_empty() || address.parse().is_ok_and(is_in)
    }

    fn take(&self, name: &str, a_minute: f64) -> Result<(), u64> {
        let taken = self.rates.take(name, a_minute / 60.0, a_minute, Instant::now());
        taken.map_err(|wait| wait.as_secs().saturating_add(1))
    }

    /// What a link leads to, in whatever state.
    pub async fn by_link(&self, link: &str) -> Result<Option<Shown>, SessionError> {
        let Some((id, secret)) = split_link(link) else {
            return Ok(None);
        };
        if let Some(handoff) = self.handoffs.by_link(id, secret).await? {
            return Ok(Some(Shown::SignIn(Box::new(handoff))));
        }
        if let Some(ticket) = self.tickets.by_link(id, secret).await? {
            // A security key is registered on the PC's own page alone: nobody follows a link to it.
            let is_followed = ticket.kind == AuthenticatorKind::Phone;
            return Ok(is_followed.then(|| Shown::Enrolment(Box::new(ticket))));
        }
        if let Some(ticket) = self.tickets.by_second_link(id, secret).await? {
            return Ok(Some(Shown::Confirmation(Box::new(ticket))));
        }
        let change = self.changes.by_link(id, secret).await?;
        Ok(change.map(|change| Shown::Change(Box::new(change))))
    }

    /// What a page shows, in whatever state.
    pub async fn by_page(
        &self,
        id: &str,
        page: &PageSecret,
    ) -> Result<Option<Shown>, SessionError> {
        if let Some(handoff) = self.handoffs.by_page(id, page).await? {
            return Ok(Some(Shown::SignIn(Box::new(handoff))));
        }
        if let Some(ticket) = self.tickets.by_page(id, page).await? {
            return Ok(Some(Shown::Enrolment(Box::new(ticket))));
        }
        let change = self.changes.by_page(id, page).await?;
        Ok(change.map(|change| Shown::Change(Box::new(change))))
    }

    /// What the QR code of a page says.
    pub fn url(&self, id: &str, page: &PageSecret) -> String {
        format!("{}/phone/{}", self.origin, link_token(id, &page.link_secret()))
    }
}

impl Keeper {
    /// Puts a durable authenticator into memory. One that was removed in between stays removed.
    pub(super) async fn take_up(&self, authenticator: Authenticator) {
        let (registry, id) = (&self.parts.registry, authenticator.authenticator_id.clone());
        registry.put_authenticator(authenticator);
        match self.parts.trust.load::<Authenticator>(&id.0).await {
            Ok(Some(_)) => {}
            Ok(None) => registry.remove_authenticator(&id),
            Err(error) => {
                tracing::error!(%error, "an authenticator could not be read; it serves no more until a restart");
                registry.remove_authenticator(&id);
            }
        }
    }

    /// A phone that is gone, as the audit log says already: every session that rests on it ends.
    pub(super) async fn let_go(&self, request_id: &str, gone: &Authenticator) {
        let id = &gone.authenticator_id;
        self.parts.registry.remove_authenticator(id);
        self.end_what_rests_on(request_id, &gone.holder_id, id).await;
    }

    /// A factor is gone: every sign-in and session that rests on it ends.
    pub(super) async fn end_what_rests_on(
        &self,
        request_id: &str,
        holder_id: &str,
        factor: &Fingerprint,
    ) {
        let factor = factor.clone();
        let rests_on_it = move |session: &LiveSession| session.factor == factor;
        if let Err(error) = self.parts.sessions.deny_approved(&rests_on_it).await {
            tracing::error!(request_id, %error, "sign-ins by a factor that was given up may go on");
        }
        let all = self.parts.sessions.all();
        for session in all.iter().filter(|session| rests_on_it(session)) {
            let holder = Principal::Holder(holder_id.to_owned());
            let ended =
                self.end_live(request_id, holder, session, EndReason::EvidenceRevoked).await;
            if let Err(error) = ended {
                tracing::error!(request_id, %error, "the end of a session is not durable");
            }
        }
    }

    /// The counter of an authenticator went back: there may be a copy of its key.
    pub(super) async fn note_counter_back(&self, request_id: &str, id: &Fingerprint) {
        tracing::error!(
            request_id,
            device = id.0,
            "ALARM: a device's counter went back; its key may have been copied"
        );
        let (Some(phones), Ok(now)) = (&self.phones, self.parts.clock.now()) else {
            return;
        };
        match phones.authenticators.note_counter_back(id, now).await {
            Ok(Some(record)) => self.take_up(record).await,
            Ok(None) => {}
            Err(error) => tracing::error!(request_id, %error, "that could not be noted"),
        }
    }
}

/// Where a browser is, in one line that reads as it is written.
pub(super) fn terminal_line(terminal: &Terminal) -> String {
    let line = match terminal.browser.trim() {
        "" => terminal.address.clone(),
        browser => format!("{browser} ({})", terminal.address),
    };
    line.chars().filter(|character| !is_invisible(*character)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_reads_as_it_is_written() {
        let terminal = |browser: &str| Terminal {
            address: "192.0.2.7".to_owned(),
            browser: browser.to_owned(),
        };
        assert_eq!(terminal_line(&terminal("Chrome, Windows")), "Chrome, Windows (192.0.2.7)");
        assert_eq!(terminal_line(&terminal(" ")), "192.0.2.7");
        let turned = terminal("Chrome\u{202e}swodniW\u{200b}\r\nHost: x");
        assert_eq!(terminal_line(&turned), "ChromeswodniWHost: x (192.0.2.7)");
    }
}
