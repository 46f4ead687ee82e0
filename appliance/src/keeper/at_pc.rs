//! The asking PC's own page follows its own link: the holder's phone, which the browser reaches, approves.
//!
//! Everything is as on a phone, but for two things. The number need not be typed where it stands on this very page: the
//! browser that has the page's secret is the one that asked. And nothing that is built into the PC will do.

use super::Keeper;
use super::phones::Phones;
use super::phones::Shown;
use api::operations::at_pc::AtPc;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Portal;
use async_trait::async_trait;
use attest::evidence::Surface;
use attest::handoff::Handoff;
use attest::qr_link::PageSecret;
use attest::sessions::SessionError;
use attest::sign_in::link_token;

/// What the page of this browser stands for, where an authenticator at this PC will do.
struct Own {
    handoff: Handoff,
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
            Ok(Some((_, own))) => self.ask_sign_in(&own.handoff, now).await,
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
            Ok(Some((_, own))) => {
                self.phone_finish(request_id, &own.link, ceremony_id, credential).await
            }
            Ok(None) => PhoneDone::Over,
            Err(Unreadable) => PhoneDone::Unavailable,
        }
    }

    async fn pc_deny(&self, request_id: &str, id: &str, page_secret: &str) -> PhoneDone {
        match self.own(request_id, id, page_secret).await {
            Ok(Some((_, own))) => self.phone_deny(request_id, &own.link).await,
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
        Ok(match shown {
            Some(Shown::SignIn(handoff)) => {
                let link = link_token(id, &page.link_secret());
                Some((phones, Own { handoff: *handoff, page, link }))
            }
            Some(Shown::Enrolment(_) | Shown::Confirmation(_) | Shown::Change(_)) | None => None,
        })
    }

    async fn ask_at_pc(
        &self,
        request_id: &str,
        phones: &Phones,
        Own { handoff, page, link }: Own,
        (number, address): (Option<String>, &str),
    ) -> Result<PhoneAsked, SessionError> {
        let Some((record, _)) = self.sign_in_of(&handoff).await? else {
            return Ok(PhoneAsked::Over);
        };
        // The number of the asking screen is not on this page, and is typed as on a phone.
        let number = match record.number {
            Some(_) => number.unwrap_or_default(),
            None => page.number(),
        };
        self.ask_phone(request_id, phones, (&link, Surface::Pc), handoff, (&number, address)).await
    }
}
