//! My Number cards of holders: which card's certificate is whose.
//!
//! ```text
//! none --proved, the HPKI card shown again--> linked --renewed, as the provider vouches--> linked
//!                                             linked --unlinked--> none
//! ```
//! Nobody but approved verifiers may keep tables of these certificates' numbers (公的個人認証法), and a stolen disk must give
//! none: a link is named by a MAC that only the HSM can make, and the certificate in it is sealed. A holder has one card; a
//! record of its own, [`JpkiSlot`], says which, and of two who change it at once one wins. A card is never linked by a name:
//! its subject is a random text that changes with every renewal.

mod link_ticket;

pub use link_ticket::LINK_TICKET_SECONDS;
pub use link_ticket::LinkState;
pub use link_ticket::LinkTicket;

use crate::authenticator::Enroller;
use crate::clock::Clock;
use crate::clock::UnixSeconds;
use crate::enroller;
use crate::enroller::Entitled;
use crate::factor_rules::FactorRules;
use crate::qr_link::one_line;
use crate::records::Fingerprint;
use crate::records::Holder;
use crate::records::TrustRecord;
use crate::records::record_key;
use crate::sessions::SessionError;
use crate::sessions::evidence_used;
use crate::sessions::note_evidence;
use crate::sign_in::random_id;
use crate::sign_in::random_secret;
use crate::sign_in::same;
use crate::store::Guard;
use crate::store::Outcome;
use crate::store::Txn;
use crate::store::Write;
use crate::ticket::CONFIRM_SECONDS;
use crate::trust::MAX_RETRIES;
use crate::trust::TrustStore;
use crate::validity::CertificateId;
use crate::vault::Sealed;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// What the HSM's MAC is computed over: it names the link of a certificate, and nothing is learned from it without the HSM.
pub fn index_input(certificate: &CertificateId) -> Vec<u8> {
    // The first part has a fixed length, so that no two certificates have one input. Leading zeros are no part of a number.
    let mut serial = certificate.serial.as_slice();
    while let [0, rest @ ..] = serial {
        serial = rest;
    }
    [b"jpki link v1\0", certificate.issuer_key.0.as_bytes(), b"/", serial].concat()
}

/// What the certificate in the link named `card` is sealed for.
pub fn certificate_purpose(card: &Fingerprint) -> String {
    format!("inkan jpki certificate v1/{}", card.0)
}

/// One My Number card belongs to one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JpkiLink {
    /// The HSM's MAC over [`index_input`], hexadecimal.
    pub card: Fingerprint,
    /// Whose card.
    pub holder_id: String,
    /// By what the holder proved to be themselves.
    pub enrolled_by: Enroller,
    /// Since when.
    pub linked_at: UnixSeconds,
    /// From where it was linked, as a page showed it.
    pub terminal: String,
    /// The certificate, DER, sealed for [`certificate_purpose`]: judged again while sessions rest on it.
    pub certificate: Sealed,
    /// When its certificate last took the place of the one before it.
    pub renewed_at: Option<UnixSeconds>,
    /// From where it was shown then, as a page showed it.
    #[serde(default)]
    pub renewed_from: Option<String>,
}

impl TrustRecord for JpkiLink {
    const PREFIX: &'static str = "j/";
    fn id(&self) -> String {
        self.card.0.clone()
    }
}

/// Which My Number card a holder has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JpkiSlot {
    /// Whose.
    pub holder_id: String,
    /// The link.
    pub card: Fingerprint,
}

impl TrustRecord for JpkiSlot {
    const PREFIX: &'static str = "js/";
    fn id(&self) -> String {
        self.holder_id.clone()
    }
}

/// A card that was proved, as it is stored.
#[derive(Clone, Debug)]
pub struct NewCard {
    /// See [`JpkiLink::card`].
    pub card: Fingerprint,
    /// See [`JpkiLink::certificate`].
    pub certificate: Sealed,
    /// What the evidence is remembered by as used.
    pub once_key: Fingerprint,
}

/// What became of a card that was proved, or of the HPKI card that was shown again for it.
#[derive(Debug)]
pub enum Linked {
    /// The HPKI card has to be shown again; nothing is linked before.
    AsksCard {
        /// First second at which it is too late.
        until: UnixSeconds,
    },
    /// It is the holder's card now.
    Done {
        /// The new link: to be put into the registry.
        link: Box<JpkiLink>,
        /// The old one, gone: to be removed from the registry, its sessions to be ended.
        replaced: Option<Box<JpkiLink>>,
    },
    /// Used or too late.
    Over,
    /// It is the holder's card already.
    Known,
    /// It is somebody else's card.
    OthersCard,
    /// The holder has another card than the one they agreed to give up.
    OtherCard,
    /// The holder is disabled, or what proved them is theirs no more.
    NotEntitled,
    /// This very handshake was used before.
    EvidenceUsed,
}

/// What became of a renewal.
#[derive(Debug)]
pub enum Renewed {
    /// The new certificate has the old one's place.
    Done {
        /// The new link: to be put into the registry.
        link: Box<JpkiLink>,
        /// The old one, gone: to be removed from the registry, its sessions to be ended.
        replaced: Box<JpkiLink>,
    },
    /// The new certificate is linked already: another sign-in was first.
    Known,
    /// The old one is not linked any more, or its holder is disabled.
    Gone,
    /// This very handshake was used before.
    EvidenceUsed,
}

/// Every link: durable records moved forward by guarded writes.
pub struct JpkiLinks {
    trust: TrustStore,
    clock: Arc<dyn Clock>,
    rules: FactorRules,
}

impl JpkiLinks {
    /// Links over the sealed store.
    pub fn new(trust: TrustStore, clock: Arc<dyn Clock>, rules: FactorRules) -> Self {
        Self { trust, clock, rules }
    }

    /// A new ticket for `holder_id`, just proved by `enrolled_by`, and its secret. `replaces` names the card that the holder
    /// was shown and agreed to give up; `once_key` is what the HPKI card's handshake is remembered by as used. `None` when this
    /// very handshake was used before.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn issue(
        &self,
        holder_id: &str,
        enrolled_by: Enroller,
        replaces: Option<Fingerprint>,
        terminal: &str,
        once_key: &Fingerprint,
    ) -> Result<Option<(LinkTicket, String)>, SessionError> {
        let now = self.clock.now()?;
        let secret = random_secret()?;
        let ticket = LinkTicket {
            ticket_id: random_id()?,
            secret: Fingerprint::of(secret.as_bytes()),
            holder_id: holder_id.to_owned(),
            enrolled_by,
            replaces,
            terminal: one_line(terminal),
            created_at: now,
            expires_at: now.plus(Duration::from_secs(LINK_TICKET_SECONDS)),
            state: LinkState::Issued,
        };
        let mut txn = self.trust.creation(&ticket)?;
        if !note_evidence(&self.trust, once_key, now, &mut txn).await? {
            return Ok(None);
        }
        // The ticket's name is new, so that only another use of the handshake can have been first.
        Ok((self.trust.commit(txn).await? == Outcome::Committed).then_some((ticket, secret)))
    }

    /// The ticket of this secret, in whatever state; changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn ticket(
        &self,
        ticket_id: &str,
        secret: &str,
    ) -> Result<Option<LinkTicket>, SessionError> {
        let found = self.trust.find::<LinkTicket>(ticket_id).await?;
        let given = Fingerprint::of(secret.as_bytes());
        Ok(found.filter(|ticket| same(&ticket.secret, &given)))
    }

    /// The ticket of this name, in whatever state; changes nothing. Whoever asks has proved nothing yet.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_id(&self, ticket_id: &str) -> Result<Option<LinkTicket>, SessionError> {
        Ok(self.trust.find(ticket_id).await?)
    }

    /// The card is proved: it waits for the HPKI card. Its handshake is used up by that.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn prove(&self, ticket_id: &str, new: &NewCard) -> Result<Linked, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<LinkTicket>(ticket_id).await?;
            let Some((mut ticket, rev)) = found.filter(|(ticket, _)| ticket.is_open(now)) else {
                return Ok(Linked::Over);
            };
            // The person with the card is told now what they could not be told later.
            if let Some(taken) = self.whose(&new.card, &ticket.holder_id).await? {
                return Ok(taken);
            }
            let until = now.plus(Duration::from_secs(CONFIRM_SECONDS));
            let (card, certificate) = (new.card.clone(), new.certificate.clone());
            ticket.state = LinkState::Proved { card, certificate, at: now, until };
            let mut txn = self.trust.replacement(&ticket, rev)?;
            if !note_evidence(&self.trust, &new.once_key, now, &mut txn).await? {
                return Ok(Linked::EvidenceUsed);
            }
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(Linked::AsksCard { until });
            }
        }
        Err(SessionError::Contended)
    }

    /// The HPKI card that began the ticket was shown again, in a handshake that is remembered by `once_key` as used: everything
    /// happens in one transaction, or nothing.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn confirm(
        &self,
        ticket_id: &str,
        shown: &Enroller,
        once_key: &Fingerprint,
    ) -> Result<Linked, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<LinkTicket>(ticket_id).await?;
            let Some((mut ticket, rev)) = found.filter(|(ticket, _)| ticket.enrolled_by == *shown)
            else {
                return Ok(Linked::Over);
            };
            let Some(link) = ticket.link(now) else {
                return Ok(Linked::Over);
            };
            // Step 1: who links is still entitled to.
            let mut txn = Txn::default();
            txn.guards.push(Guard::Rev(ticket.key(), rev));
            let holder_id = &ticket.holder_id;
            match enroller::guard(&self.trust, holder_id, shown, &self.rules, now, &mut txn).await?
            {
                Entitled::Yes => {}
                Entitled::No | Entitled::NotBefore(_) => return Ok(Linked::NotEntitled),
            }
            // Step 2: nobody has this card.
            if let Some(taken) = self.whose(&link.card, holder_id).await? {
                return Ok(taken);
            }
            txn.guards.push(Guard::Absent(link.key()));
            // Step 3: the handshake proved nothing before.
            if !note_evidence(&self.trust, once_key, now, &mut txn).await? {
                return Ok(Linked::EvidenceUsed);
            }
            // Step 4: the slot is empty, or has the card that the holder gives up.
            let replaced = match self.vacate_slot(&ticket, &mut txn).await? {
                Ok(replaced) => replaced.map(Box::new),
                Err(OtherCard) => return Ok(Linked::OtherCard),
            };
            // Step 5: the new one in, the ticket done.
            ticket.state = LinkState::Done;
            self.put(&link, &mut txn)?;
            txn.writes.push(self.trust.sealed(&ticket)?);
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(Linked::Done { link: Box::new(link), replaced });
            }
        }
        Err(SessionError::Contended)
    }

    /// Why `card` cannot be linked for `holder_id`: it is somebody's.
    async fn whose(
        &self,
        card: &Fingerprint,
        holder_id: &str,
    ) -> Result<Option<Linked>, SessionError> {
        let found = self.trust.find::<JpkiLink>(&card.0).await?;
        Ok(found.map(|link| match link.holder_id == holder_id {
            true => Linked::Known,
            false => Linked::OthersCard,
        }))
    }

    /// The holder said no. True when it was not decided yet.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn deny(&self, ticket_id: &str) -> Result<bool, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<LinkTicket>(ticket_id).await?;
            let Some((mut ticket, rev)) =
                found.filter(|(ticket, _)| ticket.is_open(now) || ticket.proved(now).is_some())
            else {
                return Ok(false);
            };
            ticket.state = LinkState::Denied;
            let txn = self.trust.replacement(&ticket, rev)?;
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(true);
            }
        }
        Err(SessionError::Contended)
    }

    /// The provider vouches that `new`, which was proved at `terminal`, renews the linked `old`: it takes its place in one
    /// transaction. The handshake stays unused: the sign-in that it is for uses it.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn renew(
        &self,
        old: &Fingerprint,
        new: &NewCard,
        terminal: &str,
    ) -> Result<Renewed, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            if self.trust.find::<JpkiLink>(&new.card.0).await?.is_some() {
                return Ok(Renewed::Known);
            }
            let Some((replaced, old_rev)) = self.trust.load::<JpkiLink>(&old.0).await? else {
                return Ok(Renewed::Gone);
            };
            let holder = self.trust.load::<Holder>(&replaced.holder_id).await?;
            let Some((holder, holder_rev)) = holder.filter(|(holder, _)| holder.enabled) else {
                return Ok(Renewed::Gone);
            };
            let (used_key, _) = evidence_used(&new.once_key, now);
            if self.trust.has(&used_key).await? {
                return Ok(Renewed::EvidenceUsed);
            }
            let mut txn = Txn::default();
            txn.guards.push(Guard::Absent(used_key));
            txn.guards.push(Guard::Absent(record_key::<JpkiLink>(&new.card.0)));
            txn.guards.push(Guard::Rev(replaced.key(), old_rev));
            txn.guards.push(Guard::Rev(holder.key(), holder_rev));
            txn.writes.push(Write::Delete(replaced.key()));
            let link = JpkiLink {
                card: new.card.clone(),
                certificate: new.certificate.clone(),
                renewed_at: Some(now),
                renewed_from: Some(one_line(terminal)),
                ..replaced.clone()
            };
            self.put(&link, &mut txn)?;
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(Renewed::Done { link: Box::new(link), replaced: Box::new(replaced) });
            }
        }
        Err(SessionError::Contended)
    }

    /// What removes a link, to be committed by the caller together with what records it; nothing when there is none. The
    /// caller then removes it from the registry and ends the sessions that rest on it.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn removal(
        &self,
        card: &Fingerprint,
    ) -> Result<Option<(JpkiLink, Txn)>, SessionError> {
        let Some((found, rev)) = self.trust.load::<JpkiLink>(&card.0).await? else {
            return Ok(None);
        };
        let mut txn = Txn {
            guards: vec![Guard::Rev(found.key(), rev)],
            writes: vec![Write::Delete(found.key())],
        };
        let slot = self.trust.load::<JpkiSlot>(&found.holder_id).await?;
        if let Some((slot, slot_rev)) = slot
            && slot.card == *card
        {
            txn.guards.push(Guard::Rev(slot.key(), slot_rev));
            txn.writes.push(Write::Delete(slot.key()));
        }
        Ok(Some((found, txn)))
    }

    /// What removes the link of `holder_id`, as [`Self::removal`] does. With it, or where there is none, none is registered
    /// between reading and committing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn removal_of_holder(
        &self,
        holder_id: &str,
    ) -> Result<(Option<JpkiLink>, Txn), SessionError> {
        let mut txn = Txn::default();
        let Some((slot, rev)) = self.trust.load::<JpkiSlot>(holder_id).await? else {
            txn.guards.push(Guard::Absent(record_key::<JpkiSlot>(holder_id)));
            return Ok((None, txn));
        };
        txn.guards.push(Guard::Rev(slot.key(), rev));
        txn.writes.push(Write::Delete(slot.key()));
        let found = self.trust.load::<JpkiLink>(&slot.card.0).await?;
        if let Some((link, rev)) = &found {
            txn.guards.push(Guard::Rev(link.key(), *rev));
            txn.writes.push(Write::Delete(link.key()));
        }
        Ok((found.map(|(link, _)| link), txn))
    }

    fn put(&self, link: &JpkiLink, txn: &mut Txn) -> Result<(), SessionError> {
        let slot = JpkiSlot { holder_id: link.holder_id.clone(), card: link.card.clone() };
        txn.writes.push(self.trust.sealed(link)?);
        txn.writes.push(self.trust.sealed(&slot)?);
        Ok(())
    }

    async fn vacate_slot(
        &self,
        ticket: &LinkTicket,
        txn: &mut Txn,
    ) -> Result<Result<Option<JpkiLink>, OtherCard>, SessionError> {
        let Some((slot, rev)) = self.trust.load::<JpkiSlot>(&ticket.holder_id).await? else {
            txn.guards.push(Guard::Absent(record_key::<JpkiSlot>(&ticket.holder_id)));
            return Ok(Ok(None));
        };
        if ticket.replaces.as_ref() != Some(&slot.card) {
            return Ok(Err(OtherCard));
        }
        txn.guards.push(Guard::Rev(slot.key(), rev));
        txn.writes.push(Write::Delete(record_key::<JpkiLink>(&slot.card.0)));
        Ok(Ok(self.trust.find::<JpkiLink>(&slot.card.0).await?))
    }
}

/// The slot has another card than the ticket replaces.
struct OtherCard;
