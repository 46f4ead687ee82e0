//! Authenticators: phones and security keys that prove presence by FIDO2.
//!
//! A holder has one phone at most, and [`MAX_SECURITY_KEYS`] security keys. Records of their own, [`PhoneSlot`] and
//! [`KeyRing`], say which: whoever adds, replaces or removes one does it in one transaction that guards that record, so that
//! of two who try at once one wins.

use crate::clock::UnixSeconds;
use crate::evidence::NewPasskey;
use crate::evidence::VerifiedFido2;
use crate::evidence::spki_der;
use crate::records::Fingerprint;
use crate::records::Method;
use crate::records::TrustRecord;
use crate::records::record_key;
use crate::sessions::SessionError;
use crate::sessions::note_evidence;
use crate::store::Guard;
use crate::store::Outcome;
use crate::store::Txn;
use crate::store::Write;
use crate::trust::MAX_RETRIES;
use crate::trust::TrustStore;
use serde::Deserialize;
use serde::Serialize;
use webauthn_rs::prelude::Passkey;

/// Security keys of one holder: one in use and one put away for the day it is lost.
pub const MAX_SECURITY_KEYS: usize = 2;

/// What an authenticator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticatorKind {
    /// A phone: one for each holder.
    #[default]
    Phone,
    /// A key on a wire or held to a reader: [`MAX_SECURITY_KEYS`] for each holder.
    SecurityKey,
}

impl AuthenticatorKind {
    /// In logs and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::SecurityKey => "security key",
        }
    }
}

/// The factor by which an authenticator was enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enroller {
    /// How presence was proved.
    pub method: Method,
    /// Its card or authenticator.
    pub factor: Fingerprint,
}

/// What enrolled an authenticator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EnrolledBy {
    /// Another factor of its holder, who was present.
    Factor(Enroller),
    /// A notification card: two operators handed out its link and its password.
    NotificationCard(LetterEnroller),
}

/// The notification card that enrolled an authenticator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LetterEnroller {
    /// Names it.
    pub notification_card: String,
}

/// A registered authenticator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticator {
    /// SHA-256 of the WebAuthn credential id.
    pub authenticator_id: Fingerprint,
    /// Whose.
    pub holder_id: String,
    /// What it is.
    pub kind: AuthenticatorKind,
    /// What people call it; set by us.
    pub label: String,
    /// Public key and credential id, as webauthn-rs keeps them.
    pub passkey: Passkey,
    /// Signature counter of its newest use; 0 for ever where it has none.
    pub counter: u32,
    /// The user handle it was given (WebAuthn §5.4.3): random, says nothing about anybody.
    #[serde(with = "hex::serde")]
    pub user_handle: Vec<u8>,
    /// Model as it says itself (16 octets, hexadecimal); nothing vouches for it.
    pub aaguid: String,
    /// Whether its key may be copied to other devices by its maker (the flag BE).
    pub is_backup_eligible: bool,
    /// By what it was enrolled.
    pub enrolled_by: EnrolledBy,
    /// From where, as the page showed it that asked for it.
    pub terminal: String,
    /// Since when.
    pub enrolled_at: UnixSeconds,
    /// Newest use.
    pub last_used_at: Option<UnixSeconds>,
    /// When its counter last went back: there may be a copy of its key.
    pub counter_went_back_at: Option<UnixSeconds>,
}

impl TrustRecord for Authenticator {
    const PREFIX: &'static str = "a/";
    fn id(&self) -> String {
        self.authenticator_id.0.clone()
    }
}

impl Authenticator {
    /// One just proved, for `holder_id`.
    pub fn proved(
        new: &NewPasskey,
        holder_id: &str,
        enrolled_by: EnrolledBy,
        terminal: &str,
        now: UnixSeconds,
    ) -> Self {
        Self {
            authenticator_id: new.authenticator_id.clone(),
            holder_id: holder_id.to_owned(),
            kind: new.kind,
            label: label(&new.authenticator_id),
            passkey: new.passkey.clone(),
            counter: new.counter,
            user_handle: new.user_handle.clone(),
            aaguid: hex::encode(new.aaguid),
            is_backup_eligible: new.is_backup_eligible,
            enrolled_by,
            terminal: terminal.to_owned(),
            enrolled_at: now,
            last_used_at: None,
            counter_went_back_at: None,
        }
    }

    /// SHA-256 of its public key (SubjectPublicKeyInfo DER), as evidence names the key.
    pub fn public_key(&self) -> Option<Fingerprint> {
        spki_der(self.passkey.get_public_key()).ok().map(|der| Fingerprint::of(&der))
    }

    /// Whether a use with `counter` may follow: it goes up, or there is none at all (WebAuthn §7.2, signCount).
    pub fn is_followed_by(&self, counter: u32) -> bool {
        counter > self.counter || (counter == 0 && self.counter == 0)
    }
}

/// Eight characters that people compare between two screens, without a word of any language.
fn label(authenticator_id: &Fingerprint) -> String {
    let id = authenticator_id.0.to_ascii_uppercase();
    format!("{}-{}", id.get(..4).unwrap_or_default(), id.get(4..8).unwrap_or_default())
}

/// Which phone a holder has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneSlot {
    /// Whose.
    pub holder_id: String,
    /// The phone.
    pub authenticator_id: Fingerprint,
}

impl TrustRecord for PhoneSlot {
    const PREFIX: &'static str = "q/";
    fn id(&self) -> String {
        self.holder_id.clone()
    }
}

/// Which security keys a holder has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRing {
    /// Whose.
    pub holder_id: String,
    /// The keys, oldest first.
    pub authenticator_ids: Vec<Fingerprint>,
}

impl TrustRecord for KeyRing {
    const PREFIX: &'static str = "u/";
    fn id(&self) -> String {
        self.holder_id.clone()
    }
}

/// The durable authenticators.
pub struct Authenticators {
    trust: TrustStore,
}

impl Authenticators {
    /// Authenticators over the sealed store.
    pub fn new(trust: TrustStore) -> Self {
        Self { trust }
    }

    /// The phone that `holder_id` has.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn phone_of(&self, holder_id: &str) -> Result<Option<Authenticator>, SessionError> {
        let Some(slot) = self.trust.find::<PhoneSlot>(holder_id).await? else {
            return Ok(None);
        };
        Ok(self.trust.find(&slot.authenticator_id.0).await?)
    }

    /// What removes an authenticator, to be committed by the caller together with what records it; nothing when there is
    /// none. The caller then removes it from the registry and ends the sessions that rest on it.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn removal(
        &self,
        authenticator_id: &Fingerprint,
    ) -> Result<Option<(Authenticator, Txn)>, SessionError> {
        let Some((found, rev)) = self.trust.load::<Authenticator>(&authenticator_id.0).await?
        else {
            return Ok(None);
        };
        let mut txn = Txn {
            guards: vec![Guard::Rev(found.key(), rev)],
            writes: vec![Write::Delete(found.key())],
        };
        match found.kind {
            AuthenticatorKind::Phone => {
                let slot = self.trust.load::<PhoneSlot>(&found.holder_id).await?;
                if let Some((slot, rev)) = slot
                    && slot.authenticator_id == *authenticator_id
                {
                    txn.guards.push(Guard::Rev(slot.key(), rev));
                    txn.writes.push(Write::Delete(slot.key()));
                }
            }
            AuthenticatorKind::SecurityKey => {
                let ring = self.trust.load::<KeyRing>(&found.holder_id).await?;
                if let Some((mut ring, rev)) = ring {
                    ring.authenticator_ids.retain(|id| id != authenticator_id);
                    txn.guards.push(Guard::Rev(ring.key(), rev));
                    txn.writes.push(self.trust.sealed(&ring)?);
                }
            }
        }
        Ok(Some((found, txn)))
    }

    /// What removes the phone of `holder_id`, as [`Self::removal`] does. With it, or where there is none, none is registered
    /// between reading and committing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn removal_of_phone(
        &self,
        holder_id: &str,
    ) -> Result<(Option<Authenticator>, Txn), SessionError> {
        let mut txn = Txn::default();
        let Some((slot, rev)) = self.trust.load::<PhoneSlot>(holder_id).await? else {
            txn.guards.push(Guard::Absent(record_key::<PhoneSlot>(holder_id)));
            return Ok((None, txn));
        };
        txn.guards.push(Guard::Rev(slot.key(), rev));
        txn.writes.push(Write::Delete(slot.key()));
        let found = self.trust.load::<Authenticator>(&slot.authenticator_id.0).await?;
        if let Some((phone, rev)) = &found {
            txn.guards.push(Guard::Rev(phone.key(), *rev));
            txn.writes.push(Write::Delete(phone.key()));
        }
        Ok((found.map(|(phone, _)| phone), txn))
    }

    /// The same for every security key of `holder_id`.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn removal_of_keys(
        &self,
        holder_id: &str,
    ) -> Result<(Vec<Authenticator>, Txn), SessionError> {
        let mut txn = Txn::default();
        let Some((ring, rev)) = self.trust.load::<KeyRing>(holder_id).await? else {
            txn.guards.push(Guard::Absent(record_key::<KeyRing>(holder_id)));
            return Ok((Vec::new(), txn));
        };
        txn.guards.push(Guard::Rev(ring.key(), rev));
        txn.writes.push(Write::Delete(ring.key()));
        let mut found = Vec::new();
        for id in &ring.authenticator_ids {
            if let Some((key, rev)) = self.trust.load::<Authenticator>(&id.0).await? {
                txn.guards.push(Guard::Rev(key.key(), rev));
                txn.writes.push(Write::Delete(key.key()));
                found.push(key);
            }
        }
        Ok((found, txn))
    }

    /// Removes an authenticator at once; the record that was there.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn remove(
        &self,
        authenticator_id: &Fingerprint,
    ) -> Result<Option<Authenticator>, SessionError> {
        for _ in 0..MAX_RETRIES {
            let Some((found, txn)) = self.removal(authenticator_id).await? else {
                return Ok(None);
            };
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(Some(found));
            }
        }
        Err(SessionError::Contended)
    }

    /// Notes a proof that came to nothing: its counter and its evidence are used up all the same. The record as it is now, to be
    /// put into the registry; `None` when there is nothing to note.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn note_proof(
        &self,
        proof: &VerifiedFido2,
        now: UnixSeconds,
    ) -> Result<Option<Authenticator>, SessionError> {
        for _ in 0..MAX_RETRIES {
            let mut txn = Txn::default();
            let ProofUsed::Yes(used) = use_up(&self.trust, proof, now, &mut txn).await? else {
                return Ok(None);
            };
            if self.trust.commit(txn).await? == Outcome::Committed {
                return Ok(Some(*used));
            }
        }
        Err(SessionError::Contended)
    }

    /// Notes that the counter went back; the record as it is now, if there is one.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn note_counter_back(
        &self,
        authenticator_id: &Fingerprint,
        now: UnixSeconds,
    ) -> Result<Option<Authenticator>, SessionError> {
        let noted = self.trust.update(&authenticator_id.0, |found: Authenticator| {
            Some(Authenticator { counter_went_back_at: Some(now), ..found })
        });
        Ok(noted.await?)
    }
}

/// Whether a proof may be used now.
pub(crate) enum ProofUsed {
    /// It may; the authenticator as it is afterwards.
    Yes(Box<Authenticator>),
    /// The authenticator was removed in between.
    FactorGone,
    /// The counter went back in between: there may be a copy of the key.
    CounterBack,
    /// This very evidence was used before.
    EvidenceUsed,
}

/// Uses `proof` up, once: what that takes is added to `txn`.
pub(crate) async fn use_up(
    trust: &TrustStore,
    proof: &VerifiedFido2,
    now: UnixSeconds,
    txn: &mut Txn,
) -> Result<ProofUsed, SessionError> {
    let found = trust.load::<Authenticator>(&proof.authenticator_id().0).await?;
    let Some((mut found, rev)) =
        found.filter(|(found, _)| found.holder_id == proof.binding().holder_id)
    else {
        return Ok(ProofUsed::FactorGone);
    };
    if !found.is_followed_by(proof.counter()) {
        return Ok(ProofUsed::CounterBack);
    }
    proof.note_use(&mut found);
    txn.guards.push(Guard::Rev(found.key(), rev));
    txn.writes.push(trust.sealed(&found)?);
    Ok(match note_evidence(trust, &proof.replay_key(), now, txn).await? {
        true => ProofUsed::Yes(Box::new(found)),
        false => ProofUsed::EvidenceUsed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_enrolled_a_phone_is_read_back_as_it_was_stored() {
        let factor = Fingerprint::of(b"card");
        let card = EnrolledBy::Factor(Enroller { method: Method::Hpki, factor });
        let letter = LetterEnroller { notification_card: "id".to_owned() };
        for stored in [card, EnrolledBy::NotificationCard(letter)] {
            let json = serde_json::to_string(&stored).unwrap();
            assert_eq!(serde_json::from_str::<EnrolledBy>(&json).unwrap(), stored);
        }
        let both = r#"{"method":"hpki","factor":"x","notification_card":"id"}"#;
        assert!(serde_json::from_str::<EnrolledBy>(both).is_err());
    }
}
