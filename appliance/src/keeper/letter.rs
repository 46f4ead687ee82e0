//! A notification card's link is followed on a phone: the password, then the phone that is proved.

use super::Keeper;
use super::Parts;
use super::entries;
use super::phones::Phones;
use super::phones::terminal_line;
use super::sign_in::refusal_name;
use api::operations::SignInRefusal;
use api::operations::letter::LetterAsked;
use api::operations::letter::LetterDone;
use api::operations::letter::LetterPage;
use api::operations::letter::LetterTried;
use api::operations::letter::Letters;
use api::operations::portal::Terminal;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use attest::clock::UnixSeconds;
use attest::evidence::Fido2Error;
use attest::evidence::NewPasskey;
use attest::notification_card::CardError;
use attest::notification_card::CardStanding;
use attest::notification_card::MacUnavailable;
use attest::notification_card::NotificationCard;
use attest::notification_card::NotificationCards;
use attest::notification_card::PasswordMac;
use attest::notification_card::Registered;
use attest::notification_card::Tried;
use attest::password::Password;
use attest::sessions::SessionError;
use attest::sign_in::split_link;
use hsm::Hsm;
use std::sync::Arc;

/// Verifiers of passwords are made by the HSM's index key: without the token nobody can search for one.
struct HsmMac(Arc<Hsm>);

#[async_trait]
impl PasswordMac for HsmMac {
    async fn mac(&self, input: &[u8]) -> Result<[u8; 32], MacUnavailable> {
        self.0.index_hmac(input).await.map_err(|error| MacUnavailable(error.to_string()))
    }
}

/// The notification cards of an appliance made of these parts.
pub fn notification_cards(parts: &Parts) -> NotificationCards {
    let mac = Arc::new(HsmMac(parts.hsm.clone()));
    NotificationCards::new(parts.trust.clone(), parts.clock.clone(), mac)
}

#[async_trait]
impl Letters for Keeper {
    async fn letter_page(
        &self,
        request_id: &str,
        link: &str,
        registration: Option<&str>,
    ) -> LetterPage {
        let page = async {
            let now = self.parts.clock.now()?;
            let Some((card, _)) = self.letter(link).await? else {
                return Ok(LetterPage::Over);
            };
            Ok::<_, SessionError>(self.shown(&card, registration.unwrap_or_default(), now))
        };
        if self.phones.is_none() {
            return LetterPage::Unavailable;
        }
        page.await.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "a notification card could not be read");
            LetterPage::Unavailable
        })
    }

    async fn letter_password(
        &self,
        request_id: &str,
        link: &str,
        password: &str,
        terminal: Terminal,
    ) -> LetterTried {
        let Some(phones) = &self.phones else {
            return LetterTried::Unavailable;
        };
        // Step 1: whoever asks too often waits, whatever they ask.
        if let Err(seconds) = phones.address_rate("password", &terminal.address) {
            return LetterTried::RateLimited { seconds };
        }
        let terminal = terminal_line(&terminal);
        let tried = self.try_password(request_id, phones, link, password, &terminal).await;
        tried.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "a password could not be checked");
            LetterTried::Unavailable
        })
    }

    async fn letter_options(
        &self,
        request_id: &str,
        link: &str,
        registration: &str,
    ) -> LetterAsked {
        let (Some(phones), Ok(now)) = (&self.phones, self.parts.clock.now()) else {
            return LetterAsked::Unavailable;
        };
        let card = match self.letter(link).await {
            Ok(found) => found.map(|(card, _)| card),
            Err(error) => {
                tracing::error!(request_id, %error, "a notification card could not be read");
                return LetterAsked::Unavailable;
            }
        };
        let card = card.filter(|card| card.registers(registration, now).is_some());
        let holder = card.as_ref().and_then(|card| self.parts.registry.holder(&card.holder_id));
        let (Some(card), Some(holder)) = (card, holder.filter(|holder| holder.enabled)) else {
            return LetterAsked::Over;
        };
        if phones.holder_rate("enrol", &card.holder_id).is_err() {
            return LetterAsked::Unavailable;
        }
        let known = self.parts.registry.authenticators_of(&holder.holder_id);
        let started = phones.fido2.start_registration(
            &card.card_id,
            AuthenticatorKind::Phone,
            &holder,
            &known,
        );
        let asked = started.map_err(|error| error.to_string()).and_then(|started| {
            let options = serde_json::from_str(&started.options_json);
            let options = options.map_err(|error| error.to_string())?;
            Ok(LetterAsked::Options { ceremony_id: started.ceremony_id, options })
        });
        asked.unwrap_or_else(|error| {
            tracing::warn!(request_id, error, "no question to a phone");
            LetterAsked::Unavailable
        })
    }

    async fn letter_finish(
        &self,
        request_id: &str,
        link: &str,
        registration: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> LetterDone {
        let (Some(phones), Ok(now)) = (&self.phones, self.parts.clock.now()) else {
            return LetterDone::Unavailable;
        };
        let done = match self.letter(link).await {
            Ok(Some((card, _))) if card.registers(registration, now).is_some() => {
                let (card_id, answer) = (&card.card_id, credential.to_string());
                let new = phones.fido2.finish_registration(ceremony_id, card_id, &answer);
                self.finish_letter(request_id, phones, &card, registration, new).await
            }
            Ok(_) => Ok(LetterDone::Over),
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "what a phone proved could not be stored");
            LetterDone::Unavailable
        })
    }
}

impl Keeper {
    /// The card of a link, in whatever state, with the link's secret.
    async fn letter<'l>(
        &self,
        link: &'l str,
    ) -> Result<Option<(NotificationCard, &'l str)>, SessionError> {
        let (Some(phones), Some((card_id, secret))) = (&self.phones, split_link(link)) else {
            return Ok(None);
        };
        let card = phones.cards.by_link(card_id, secret).await?;
        Ok(card.map(|card| (card, secret)))
    }

    fn shown(&self, card: &NotificationCard, registration: &str, now: UnixSeconds) -> LetterPage {
        if let Some(id) = card.registered_by(registration)
            && let Some(phone) = self.parts.registry.authenticator(id)
        {
            return LetterPage::Registered { label: phone.label.clone() };
        }
        let until = card.registers(registration, now);
        match (card.standing(now), until, self.parts.registry.holder(&card.holder_id)) {
            (CardStanding::Live, Some(until), Some(holder)) => LetterPage::Register {
                holder: holder.display_name.clone(),
                holder_id: holder.holder_id.clone(),
                remaining_seconds: now.seconds_until(until),
            },
            (CardStanding::Live, ..) => LetterPage::AskPassword,
            (CardStanding::Locked, ..) => {
                LetterPage::Locked { contact: self.contact(&card.holder_id) }
            }
            (CardStanding::Expired | CardStanding::Over, ..) => LetterPage::Over,
        }
    }

    async fn try_password(
        &self,
        request_id: &str,
        phones: &Phones,
        link: &str,
        typed: &str,
        terminal: &str,
    ) -> Result<LetterTried, CardError> {
        let now = self.parts.clock.now().map_err(SessionError::from)?;
        // Step 2: a card that lives, and something that can be a password; neither changes anything yet.
        let Some((card, secret)) = self.letter(link).await? else {
            return Ok(LetterTried::Over);
        };
        match card.standing(now) {
            CardStanding::Live => {}
            CardStanding::Locked => {
                return Ok(LetterTried::Locked { contact: self.contact(&card.holder_id) });
            }
            CardStanding::Expired | CardStanding::Over => return Ok(LetterTried::Over),
        }
        let Some(password) = Password::parse(typed) else {
            return Ok(LetterTried::NoPassword);
        };
        // Step 3: the try is counted, then judged.
        let tried = phones.cards.try_password(&card.card_id, secret, &password, terminal).await?;
        Ok(match tried {
            Tried::Right { card, registration } => {
                self.begin_letter(request_id, &card, &registration, terminal, now).await
            }
            Tried::Wrong { card, left } => self.wrong_password(request_id, &card, left).await,
            Tried::Locked(card) => LetterTried::Locked { contact: self.contact(&card.holder_id) },
            Tried::AlreadyRegistered(card) => {
                let detail = "the password was right; the holder has a phone";
                self.record_letter(request_id, &card, "already_registered", detail).await;
                LetterTried::AlreadyRegistered { contact: self.contact(&card.holder_id) }
            }
            Tried::Over => LetterTried::Over,
        })
    }

    /// The password was right. That this is recorded is durable before anybody has the registration's secret.
    async fn begin_letter(
        &self,
        request_id: &str,
        card: &NotificationCard,
        registration: &str,
        terminal: &str,
        now: UnixSeconds,
    ) -> LetterTried {
        let holder = self.parts.registry.holder(&card.holder_id);
        let entitled = match &holder {
            // Who may not sign by any method registers nothing.
            Some(holder) => self.entitlement(holder, &[], now).map(|_| ()),
            None => Err(SignInRefusal::HolderDisabled),
        };
        if let Err(refusal) = entitled {
            let detail = format!("notification card {}", card.card_id);
            self.note_enrolment(request_id, refusal_name(refusal), &detail).await;
            return LetterTried::Refused(self.refused(&card.holder_id, refusal));
        }
        let detail = format!("the password was right, in {terminal}");
        match self.record_letter(request_id, card, "opened", &detail).await {
            true => LetterTried::Right { registration: registration.into() },
            false => LetterTried::Unavailable,
        }
    }

    async fn wrong_password(
        &self,
        request_id: &str,
        card: &NotificationCard,
        left: u8,
    ) -> LetterTried {
        self.parts.metrics.letter("wrong_password");
        let detail = format!("notification card {}: {left} tries left", card.card_id);
        self.note_enrolment(request_id, "wrong_password", &detail).await;
        if left > 0 {
            return LetterTried::Wrong { left };
        }
        // In no flood is this one counted only.
        let detail = "the password was wrong too often";
        self.record_letter(request_id, card, "locked", detail).await;
        LetterTried::Locked { contact: self.contact(&card.holder_id) }
    }

    /// The phone answered.
    async fn finish_letter(
        &self,
        request_id: &str,
        phones: &Phones,
        card: &NotificationCard,
        registration: &str,
        new: Result<NewPasskey, Fido2Error>,
    ) -> Result<LetterDone, SessionError> {
        let new = match new {
            Ok(new) => new,
            Err(error) => {
                self.note_enrolment(request_id, error.code(), &error.to_string()).await;
                return Ok(match error {
                    Fido2Error::Known => LetterDone::Known,
                    Fido2Error::Clock(_) | Fido2Error::Random(_) => LetterDone::Unavailable,
                    _ => LetterDone::NotProved,
                });
            }
        };
        // The record of it is durable before the phone serves. That nothing came of it is recorded, too.
        let entry =
            entries::device_by_letter(request_id, card, new.authenticator_id(), detail(card, &new));
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "an enrolment could not be recorded");
            return Ok(LetterDone::Unavailable);
        }
        let contact = || self.contact(&card.holder_id);
        let (code, lost) = match phones.cards.finish(&card.card_id, registration, &new).await {
            Ok(Registered::Done(phone)) => {
                let label = phone.label.clone();
                let detail = format!("it registered the phone {}", phone.authenticator_id.0);
                self.take_up(*phone).await;
                self.record_letter(request_id, card, "used", &detail).await;
                return Ok(LetterDone::Registered { label });
            }
            Ok(Registered::AlreadyRegistered) => {
                let detail = "the phone was proved; the holder has another one";
                self.record_letter(request_id, card, "already_registered", detail).await;
                ("other_phone", Ok(LetterDone::AlreadyRegistered { contact: contact() }))
            }
            Ok(Registered::Known) => ("fido2_known", Ok(LetterDone::Known)),
            Ok(Registered::NotEntitled) => {
                let disabled = self.refused(&card.holder_id, SignInRefusal::HolderDisabled);
                ("not_entitled", Ok(LetterDone::Refused(disabled)))
            }
            Ok(Registered::Over) => ("card_over", Ok(LetterDone::Over)),
            Err(error) => ("not_stored", Err(error)),
        };
        self.record_lost_enrolment(request_id, code).await;
        lost
    }

    /// Counts and records what became of a card; whether the record is durable.
    async fn record_letter(
        &self,
        request_id: &str,
        card: &NotificationCard,
        change: &'static str,
        detail: &str,
    ) -> bool {
        self.parts.metrics.letter(match change {
            "used" => "registered",
            other => other,
        });
        let entry = entries::letter_changed(request_id, card, change, detail);
        match self.parts.audit.append(entry).await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(request_id, %error, change, "a notification card's record is missing");
                false
            }
        }
    }
}

fn detail(card: &NotificationCard, new: &NewPasskey) -> String {
    format!(
        "a phone registered by notification card {}; model {} as it says itself; its maker may copy its key: {}",
        card.card_id,
        hex::encode(new.aaguid()),
        new.is_backup_eligible(),
    )
}
