//! The asking PC's own page follows its own link: the holder's phone, which the browser reaches, or a security key approves.
//!
//! Everything is as on a phone, but for two things. The number need not be typed where it stands on this very page: the
//! browser that has the page's secret is the one that asked. And nothing that is built into the PC will do. A security key is
//! registered here, too, and nowhere else.

use super::Keeper;
use super::phones::Phones;
use super::phones::Shown;
use api::operations::at_pc::AtPc;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use attest::evidence::Surface;
use attest::qr_link::PageSecret;
use attest::sessions::SessionError;
use attest::sign_in::link_token;

/// What the page of this browser stands for, where an authenticator at this PC will do.
struct Own {
    shown: Shown,
    page: PageSecret,
    /// The link that the page itself shows.
    link: String,
}

#[async_trait]
impl AtPc for Keeper {
    async fn pc_page(&self, request_id: &str, id: &str, page_secret: &str) -> PhonePage {
        let Ok(now) = self.parts.clock.now() else {
            return PhonePage::Unavailable;
        };
        match self.own(request_id, id, page_secret).await {
            Ok(Some((_, own))) => match own.shown {
                Shown::SignIn(handoff) => self.ask_sign_in(&handoff, now).await,
                Shown::Enrolment(ticket) => self.ask_enrolment(&ticket, now),
                Shown::Confirmation(_) | Shown::Change(_) => PhonePage::Over,
            },
            Ok(None) => PhonePage::Over,
            Err(Unreadable) => PhonePage::Unavailable,
        }
    }

    async fn pc_options(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        number: Option<String>,
        address: &str,
    ) -> PhoneAsked {
        let rate = self.phones.as_ref().map(|phones| phones.address_rate("question", address));
        if let Some(Err(seconds)) = rate {
            return PhoneAsked::RateLimited { seconds };
        }
        let (phones, own) = match self.own(request_id, id, page_secret).await {
            Ok(Some(found)) => found,
            Ok(None) => return PhoneAsked::Over,
            Err(Unreadable) => return PhoneAsked::Unavailable,
        };
        self.ask_at_pc(request_id, phones, own, (number, address)).await.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "an authenticator could not be asked");
            PhoneAsked::Unavailable
        })
    }

    async fn pc_finish(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> PhoneDone {
        match self.own(request_id, id, page_secret).await {
            Ok(Some((phones, own))) => {
                let (shown, credential_json) = (Ok(Some(own.shown)), credential.to_string());
                self.finish_shown(request_id, phones, shown, ceremony_id, &credential_json).await
            }
            Ok(None) => PhoneDone::Over,
            Err(Unreadable) => PhoneDone::Unavailable,
        }
    }

    async fn pc_deny(&self, request_id: &str, id: &str, page_secret: &str) -> PhoneDone {
        match self.own(request_id, id, page_secret).await {
            Ok(Some((phones, own))) => {
                self.deny_shown(request_id, phones, Ok(Some(own.shown))).await
            }
            Ok(None) => PhoneDone::Over,
            Err(Unreadable) => PhoneDone::Unavailable,
        }
    }
}

/// The store could not be read, which the log says.
struct Unreadable;

impl Keeper {
    async fn own(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
    ) -> Result<Option<(&Phones, Own)>, Unreadable> {
        let (Some(phones), Some(page)) = (&self.phones, PageSecret::parse(page_secret)) else {
            return Ok(None);
        };
        let shown = phones.by_page(id, &page).await.map_err(|error| {
            tracing::error!(request_id, %error, "a waiting page could not be read");
            Unreadable
        })?;
        let shown = shown.filter(|shown| match shown {
            Shown::SignIn(_) => true,
            Shown::Enrolment(ticket) => ticket.kind == AuthenticatorKind::SecurityKey,
            // Their pages ask for the phone, which follows the link.
            Shown::Confirmation(_) | Shown::Change(_) => false,
        });
        let link = link_token(id, &page.link_secret());
        Ok(shown.map(|shown| (phones, Own { shown, page, link })))
    }

    async fn ask_at_pc(
        &self,
        request_id: &str,
        phones: &Phones,
        Own { shown, page, link }: Own,
        (number, address): (Option<String>, &str),
    ) -> Result<PhoneAsked, SessionError> {
        let handoff = match shown {
            Shown::SignIn(handoff) => handoff,
            Shown::Enrolment(ticket) => {
                let number = page.number();
                return self.ask_new_phone(request_id, phones, &link, *ticket, &number).await;
            }
            Shown::Confirmation(_) | Shown::Change(_) => return Ok(PhoneAsked::Over),
        };
        let Some((record, _)) = self.sign_in_of(&handoff).await? else {
            return Ok(PhoneAsked::Over);
        };
        // The number of the asking screen is not on this page, and is typed as on a phone.
        let number = match record.number {
            Some(_) => number.unwrap_or_default(),
            None => page.number(),
        };
        self.ask_phone(request_id, phones, (&link, Surface::Pc), *handoff, (&number, address)).await
    }
}
