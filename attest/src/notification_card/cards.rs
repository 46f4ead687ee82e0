//! What is done with notification cards: made, tried, used, withdrawn.

use super::CardStanding;
use super::CardState;
use super::NotificationCard;
use super::REGISTRATION_SECONDS;
use super::Registered;
use super::Tried;
use crate::authenticator::Authenticator;
use crate::authenticator::EnrolledBy;
use crate::authenticator::LetterEnroller;
use crate::authenticator::PhoneSlot;
use crate::clock::Clock;
use crate::evidence::NewPasskey;
use crate::password::Password;
use crate::qr_link::one_line;
use crate::records::Fingerprint;
use crate::records::Holder;
use crate::records::TrustRecord;
use crate::records::record_key;
use crate::sessions::SessionError;
use crate::sign_in::MAX_TRIES;
use crate::sign_in::RandomFailed;
use crate::sign_in::link_token;
use crate::sign_in::random_id;
use crate::sign_in::random_secret;
use crate::sign_in::same;
use crate::store::Guard;
use crate::store::Outcome;
use crate::store::Rev;
use crate::store::Txn;
use crate::trust::MAX_RETRIES;
use crate::trust::TrustError;
use crate::trust::TrustStore;
use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// What the verifier's MAC is over begins with this.
const CONTEXT: &[u8] = b"inkan notification card v1\0";

/// Which card of a holder is the live one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LiveCard {
    holder_id: String,
    card_id: String,
}

impl TrustRecord for LiveCard {
    const PREFIX: &'static str = "v/";

    fn id(&self) -> String {
        self.holder_id.clone()
    }
}

/// Makes MACs under a key that never leaves the HSM.
#[async_trait]
pub trait PasswordMac: Send + Sync {
    /// The MAC of `input`.
    ///
    /// # Errors
    /// [`MacUnavailable`] when the HSM does not answer; nothing was compared.
    async fn mac(&self, input: &[u8]) -> Result<[u8; 32], MacUnavailable>;
}

/// The HSM made no MAC.
#[derive(Debug, thiserror::Error)]
#[error("no password can be checked: {0}")]
pub struct MacUnavailable(pub String);

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The HSM.
    #[error(transparent)]
    Mac(#[from] MacUnavailable),
    /// The records.
    #[error(transparent)]
    Record(#[from] SessionError),
}

impl From<TrustError> for CardError {
    fn from(error: TrustError) -> Self {
        Self::Record(error.into())
    }
}

impl From<RandomFailed> for CardError {
    fn from(error: RandomFailed) -> Self {
        Self::Record(error.into())
    }
}

/// A card just made, with the secrets that exist nowhere else.
pub struct NewCard {
    /// The record.
    pub card: NotificationCard,
    /// The card that it withdraws.
    pub withdraws: Option<NotificationCard>,
    /// For the link of the first sheet.
    pub link: Zeroizing<String>,
    /// For the second sheet.
    pub password: Password,
    /// What stores it, together with what records it.
    pub issuance: Txn,
}

/// Every notification card: durable records moved forward by guarded writes.
pub struct NotificationCards {
    trust: TrustStore,
    clock: Arc<dyn Clock>,
    mac: Arc<dyn PasswordMac>,
    /// Held from a try's count to its outcome.
    trying: Mutex<()>,
}

impl NotificationCards {
    /// Cards over the sealed store, with verifiers by `mac`.
    pub fn new(trust: TrustStore, clock: Arc<dyn Clock>, mac: Arc<dyn PasswordMac>) -> Self {
        Self { trust, clock, mac, trying: Mutex::default() }
    }

    /// Makes a card for `holder_id`, good for `lifetime`. It is there once the caller has committed its issuance, which
    /// withdraws the card before it.
    ///
    /// # Errors
    /// [`CardError`].
    pub async fn make(
        &self,
        holder_id: &str,
        [issued_by, countersigned_by]: [&str; 2],
        lifetime: Duration,
    ) -> Result<NewCard, CardError> {
        let now = self.clock.now().map_err(SessionError::from)?;
        let (card_id, salt) = (random_id()?, random_id()?);
        let (secret, password) = (Zeroizing::new(random_secret()?), Password::random()?);
        let verifier = self.verifier(&card_id, &salt, &password).await?;
        let card = NotificationCard {
            secret: Fingerprint::of(secret.as_bytes()),
            holder_id: holder_id.to_owned(),
            salt,
            verifier,
            tries: 0,
            issued_by: issued_by.to_owned(),
            countersigned_by: countersigned_by.to_owned(),
            issued_at: now,
            expires_at: now.plus(lifetime),
            state: CardState::Issued,
            card_id,
        };
        let mut issuance = self.trust.creation(&card)?;
        let before = self.trust.load::<LiveCard>(holder_id).await?;
        let slot_key = record_key::<LiveCard>(holder_id);
        let mut withdraws = None;
        match before {
            None => issuance.guards.push(Guard::Absent(slot_key)),
            Some((slot, rev)) => {
                issuance.guards.push(Guard::Rev(slot_key, rev));
                if let Some((old, withdrawal)) = self.withdrawal(&slot.card_id).await? {
                    issuance.guards.extend(withdrawal.guards);
                    issuance.writes.extend(withdrawal.writes);
                    withdraws = Some(old);
                }
            }
        }
        let slot = LiveCard { holder_id: holder_id.to_owned(), card_id: card.card_id.clone() };
        issuance.writes.push(self.trust.sealed(&slot)?);
        let link = Zeroizing::new(link_token(&card.card_id, &secret));
        Ok(NewCard { card, withdraws, link, password, issuance })
    }

    /// What withdraws a card, to be committed by the caller together with what records it; nothing when there is none, or
    /// when it is used or withdrawn.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn withdrawal(
        &self,
        card_id: &str,
    ) -> Result<Option<(NotificationCard, Txn)>, SessionError> {
        let now = self.clock.now()?;
        let found = self.trust.load::<NotificationCard>(card_id).await?;
        let Some((card, rev)) = found.filter(|(card, _)| card.standing(now) != CardStanding::Over)
        else {
            return Ok(None);
        };
        let withdrawn = NotificationCard { state: CardState::Withdrawn, ..card.clone() };
        Ok(Some((card, self.trust.replacement(&withdrawn, rev)?)))
    }

    /// The card that a new one would withdraw.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn live_of(&self, holder_id: &str) -> Result<Option<NotificationCard>, SessionError> {
        Ok(self.live_withdrawal(holder_id).await?.map(|(card, _)| card))
    }

    /// The same, with what withdraws it: as [`Self::withdrawal`].
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn live_withdrawal(
        &self,
        holder_id: &str,
    ) -> Result<Option<(NotificationCard, Txn)>, SessionError> {
        match self.trust.find::<LiveCard>(holder_id).await? {
            Some(slot) => self.withdrawal(&slot.card_id).await,
            None => Ok(None),
        }
    }

    /// One card, in whatever state.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_id(&self, card_id: &str) -> Result<Option<NotificationCard>, SessionError> {
        Ok(self.trust.find(card_id).await?)
    }

    /// Every card that is still remembered.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn all(&self) -> Result<Vec<NotificationCard>, SessionError> {
        Ok(self.trust.load_all().await?)
    }

    /// The card of a link, in whatever state; changes nothing. Whether it is locked is known when nothing is being tried.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_link(
        &self,
        card_id: &str,
        secret: &str,
    ) -> Result<Option<NotificationCard>, SessionError> {
        let found = self.by_id(card_id).await?.filter(|card| card.is_secret(secret));
        if found.as_ref().is_none_or(|card| card.tries < MAX_TRIES) {
            return Ok(found);
        }
        let _decided = self.trying.lock().await;
        self.by_id(card_id).await
    }

    /// A password was typed in the browser `terminal`.
    ///
    /// # Errors
    /// [`CardError`]. Where the HSM did not answer the try is not counted: nothing was compared.
    pub async fn try_password(
        &self,
        card_id: &str,
        secret: &str,
        password: &Password,
        terminal: &str,
    ) -> Result<Tried, CardError> {
        // Step 1: the try is counted, and that is durable, before anything is compared. The one before it is decided: whoever
        // clicks twice is not locked out by their own first click.
        let _one_at_a_time = self.trying.lock().await;
        let counted = match self.count(card_id, secret).await? {
            Counted::Try(card) => card,
            Counted::Locked(card) => return Ok(Tried::Locked(card)),
            Counted::Over => return Ok(Tried::Over),
        };
        // Step 2: the HSM, and a comparison in constant time.
        let verifier = match self.verifier(card_id, &counted.salt, password).await {
            Ok(verifier) => verifier,
            Err(error) => {
                self.give_back(card_id).await?;
                return Err(error);
            }
        };
        if !same(&counted.verifier, &verifier) {
            let left = MAX_TRIES.saturating_sub(counted.tries);
            return Ok(Tried::Wrong { card: counted, left });
        }
        // Step 3: the count is given back, and this browser may go on.
        Ok(self.begin(card_id, terminal).await?)
    }

    /// The phone is proved: everything happens in one transaction, or nothing.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn finish(
        &self,
        card_id: &str,
        registration: &str,
        new: &NewPasskey,
    ) -> Result<Registered, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            // Step 1: this browser's registration goes on.
            let found = self.trust.load::<NotificationCard>(card_id).await?;
            let Some((mut card, rev)) =
                found.filter(|(card, _)| card.registers(registration, now).is_some())
            else {
                return Ok(Registered::Over);
            };
            // Step 2: the holder may still have a phone, and has none.
            let holder = self.trust.load::<Holder>(&card.holder_id).await?;
            let Some((holder, holder_rev)) = holder.filter(|(holder, _)| holder.enabled) else {
                return Ok(Registered::NotEntitled);
            };
            let mut txn = Txn::default();
            txn.guards.push(Guard::Rev(card.key(), rev));
            txn.guards.push(Guard::Rev(holder.key(), holder_rev));
            if self.leave_to_phone(&mut card, &mut txn).await? {
                if self.trust.commit(txn).await? == Outcome::Committed {
                    return Ok(Registered::AlreadyRegistered);
                }
                continue;
            }
            // Step 3: nobody has this authenticator (WebAuthn §7.1, credentialId of any user).
            let new_key = record_key::<Authenticator>(&new.authenticator_id.0);
            if self.trust.has(&new_key).await? {
                return Ok(Registered::Known);
            }
            txn.guards.push(Guard::Absent(new_key));
            // Step 4: it is the holder's phone, and the card is used.
            let by = LetterEnroller { notification_card: card.card_id.clone() };
            let by = EnrolledBy::NotificationCard(by);
            let terminal = card.terminal().unwrap_or_default();
            let phone = Authenticator::proved(new, &card.holder_id, by, terminal, now);
            let slot = PhoneSlot {
                holder_id: card.holder_id.clone(),
                authenticator_id: new.authenticator_id.clone(),
            };
            card.state = CardState::Done {
                authenticator_id: new.authenticator_id.clone(),
                registration: Fingerprint::of(registration.as_bytes()),
            };
            txn.writes.push(self.trust.sealed(&phone)?);
            txn.writes.push(self.trust.sealed(&slot)?);
            txn.writes.push(self.trust.sealed(&card)?);
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(Registered::Done(Box::new(phone)));
            }
        }
        Err(SessionError::Contended)
    }

    async fn count(&self, card_id: &str, secret: &str) -> Result<Counted, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<NotificationCard>(card_id).await?;
            let Some((mut card, rev)) = found.filter(|(card, _)| card.is_secret(secret)) else {
                return Ok(Counted::Over);
            };
            match card.standing(now) {
                CardStanding::Live => {}
                CardStanding::Locked => return Ok(Counted::Locked(Box::new(card))),
                CardStanding::Expired | CardStanding::Over => return Ok(Counted::Over),
            }
            card.tries = card.tries.saturating_add(1);
            if card.state == CardState::Issued {
                card.state = CardState::Opened;
            }
            if self.replace(&card, rev).await? == Outcome::Committed {
                return Ok(Counted::Try(Box::new(card)));
            }
        }
        Err(SessionError::Contended)
    }

    /// Nothing was compared: this try does not count.
    async fn give_back(&self, card_id: &str) -> Result<(), SessionError> {
        for _ in 0..MAX_RETRIES {
            let Some((mut card, rev)) = self.trust.load::<NotificationCard>(card_id).await? else {
                return Ok(());
            };
            card.tries = card.tries.saturating_sub(1);
            if self.replace(&card, rev).await? == Outcome::Committed {
                return Ok(());
            }
        }
        Err(SessionError::Contended)
    }

    /// The password was right. Its own count is among the tries until here.
    async fn begin(&self, card_id: &str, terminal: &str) -> Result<Tried, SessionError> {
        let registration = Zeroizing::new(random_secret()?);
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let Some((mut card, rev)) = self.trust.load::<NotificationCard>(card_id).await? else {
                return Ok(Tried::Over);
            };
            card.tries = card.tries.saturating_sub(1);
            match card.standing(now) {
                CardStanding::Live => {}
                CardStanding::Locked => return Ok(Tried::Locked(Box::new(card))),
                CardStanding::Expired | CardStanding::Over => return Ok(Tried::Over),
            }
            let mut txn = Txn { guards: vec![Guard::Rev(card.key(), rev)], writes: Vec::new() };
            if self.leave_to_phone(&mut card, &mut txn).await? {
                if self.trust.commit(txn).await? == Outcome::Committed {
                    return Ok(Tried::AlreadyRegistered(Box::new(card)));
                }
                continue;
            }
            let until = now.plus(Duration::from_secs(REGISTRATION_SECONDS)).min(card.expires_at);
            card.state = CardState::Registering {
                registration: Fingerprint::of(registration.as_bytes()),
                terminal: one_line(terminal),
                until,
            };
            txn.writes.push(self.trust.sealed(&card)?);
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(Tried::Right { card: Box::new(card), registration });
            }
        }
        Err(SessionError::Contended)
    }

    /// True when the holder has a phone: the card ends by `txn`. Otherwise `txn` guards that there is still none.
    async fn leave_to_phone(
        &self,
        card: &mut NotificationCard,
        txn: &mut Txn,
    ) -> Result<bool, SessionError> {
        let key = record_key::<PhoneSlot>(&card.holder_id);
        match self.trust.load::<PhoneSlot>(&card.holder_id).await? {
            None => {
                txn.guards.push(Guard::Absent(key));
                Ok(false)
            }
            Some((_, rev)) => {
                txn.guards.push(Guard::Rev(key, rev));
                card.state = CardState::AlreadyRegistered;
                txn.writes.push(self.trust.sealed(card)?);
                Ok(true)
            }
        }
    }

    async fn verifier(
        &self,
        card_id: &str,
        salt: &str,
        password: &Password,
    ) -> Result<Fingerprint, CardError> {
        // Id and salt have fixed lengths: no two inputs are the same octets.
        let input = Zeroizing::new(
            [CONTEXT, card_id.as_bytes(), salt.as_bytes(), password.octets()].concat(),
        );
        Ok(Fingerprint(hex::encode(self.mac.mac(&input).await?)))
    }

    async fn replace(&self, card: &NotificationCard, rev: Rev) -> Result<Outcome, SessionError> {
        Ok(self.trust.commit(self.trust.replacement(card, rev)?).await?)
    }
}

/// A try before it is compared.
enum Counted {
    /// Counted.
    Try(Box<NotificationCard>),
    /// No more may be tried.
    Locked(Box<NotificationCard>),
    /// There is nothing to try.
    Over,
}
