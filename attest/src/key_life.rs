//! What came before the pair that signs, and what comes after it: renewal, revocation, destruction.
//!
//! ```text
//! generated -> active -> (next pair made -> its certificate installed) -> the pair before is superseded -> destroyed
//!                     -> revoked -> destroyed
//! ```
//! A credential keeps its name over all of it, so that signing systems notice nothing. Certificates stay when their pairs
//! are gone: what they signed must still be verified.

use crate::clock::UnixSeconds;
use crate::permit::HolderKey;
use crate::records::Credential;
use crate::records::CredentialStatus;
use crate::records::Fingerprint;
use crate::records::base64_der;
use crate::records::base64_der_list;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// The part of a credential that is not about the pair that signs now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLife {
    /// The pair that takes over when its certificate is installed.
    pub next: Option<NextPair>,
    /// Pairs that signed before, oldest first.
    pub earlier: Vec<EarlierPair>,
    /// When and why it was revoked.
    pub revoked: Option<Ended>,
    /// When the pair of a revoked credential was destroyed.
    pub destroyed_at: Option<UnixSeconds>,
}

/// A pair without certificate, made to take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextPair {
    /// CKA_ID in the token.
    #[serde(with = "hex::serde")]
    pub cka_id: Vec<u8>,
    /// SubjectPublicKeyInfo DER as logged at generation: only this key may be certified.
    #[serde(with = "base64_der")]
    pub spki_der: Vec<u8>,
    /// Subject of its certification request, RFC 4514 text.
    pub subject: String,
    /// Since when.
    pub created_at: UnixSeconds,
}

/// A pair that another one took over from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierPair {
    /// CKA_ID in the token.
    #[serde(with = "hex::serde")]
    pub cka_id: Vec<u8>,
    /// SubjectPublicKeyInfo DER.
    #[serde(with = "base64_der")]
    pub spki_der: Vec<u8>,
    /// Certificate, then its issuers without the root, DER.
    #[serde(with = "base64_der_list")]
    pub chain: Vec<Vec<u8>>,
    /// Last second of its certificate.
    pub not_after: UnixSeconds,
    /// When the other one took over.
    pub superseded_at: UnixSeconds,
    /// When it was destroyed.
    pub destroyed_at: Option<UnixSeconds>,
}

/// When something ended, and why, as the operator said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// When.
    pub at: UnixSeconds,
    /// Why, where somebody said so.
    pub reason: Option<String>,
}

/// A pair that nobody needs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The pair.
    pub key: Arc<HolderKey>,
    /// What became of it, for people.
    pub because: &'static str,
    /// First second at which it may be destroyed.
    pub from: UnixSeconds,
    /// The credential when it is destroyed.
    pub after: Credential,
}

/// Why a pair is not destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSpent {
    /// No such pair.
    #[error("the credential never had a pair with this public key")]
    Unknown,
    /// It signs, or may again.
    #[error("this pair is in use; revoke the credential first, or renew it")]
    InUse,
    /// It is gone.
    #[error("this pair is destroyed already")]
    Destroyed,
}

impl Credential {
    /// The credential with `next` as the pair that signs, under the certificate in `chain`; the pair until now is earlier.
    pub fn switched(mut self, next: NextPair, chain: Vec<Vec<u8>>, now: UnixSeconds) -> Self {
        self.life.next = None;
        self.life.earlier.push(EarlierPair {
            cka_id: std::mem::replace(&mut self.cka_id, next.cka_id),
            spki_der: std::mem::replace(&mut self.spki_der, next.spki_der),
            chain: std::mem::replace(&mut self.chain, chain),
            not_after: self.not_after,
            superseded_at: now,
            destroyed_at: None,
        });
        self
    }

    /// The pair whose public key has this SHA-256, if it may go at some time; `grace` counts from when it ceased to sign.
    ///
    /// # Errors
    /// [`NotSpent`]
    pub fn spent(
        &self,
        public_key: &Fingerprint,
        grace: Duration,
        now: UnixSeconds,
    ) -> Result<Spent, NotSpent> {
        let is_it = |spki_der: &[u8]| Fingerprint::of(spki_der) == *public_key;
        let mut after = self.clone();
        if let Some(next) = after.life.next.take_if(|next| is_it(&next.spki_der)) {
            let key = self.pair(&next.cka_id, &next.spki_der);
            let because = "made for a renewal that is given up";
            return Ok(Spent { key, because, from: next.created_at, after });
        }
        let mut earlier = after.life.earlier.iter_mut();
        if let Some(pair) = earlier.find(|pair| is_it(&pair.spki_der)) {
            if pair.destroyed_at.replace(now).is_some() {
                return Err(NotSpent::Destroyed);
            }
            let key = self.pair(&pair.cka_id, &pair.spki_der);
            let from = pair.superseded_at.plus(grace);
            return Ok(Spent { key, because: "superseded by a renewal", from, after });
        }
        if !is_it(&self.spki_der) {
            return Err(NotSpent::Unknown);
        }
        let (because, from) = match self.status {
            CredentialStatus::Generated => ("never certified", self.created_at),
            CredentialStatus::Revoked => {
                // Where it is not known when, it signed as long as its certificate let it.
                let ended_at = self.life.revoked.as_ref().map_or(self.not_after, |end| end.at);
                ("revoked", ended_at.plus(grace))
            }
            CredentialStatus::Active | CredentialStatus::Quarantined => {
                return Err(NotSpent::InUse);
            }
            CredentialStatus::Destroyed => return Err(NotSpent::Destroyed),
        };
        after.status = CredentialStatus::Destroyed;
        after.life.destroyed_at = Some(now);
        Ok(Spent { key: self.pair(&self.cka_id, &self.spki_der), because, from, after })
    }

    /// The pair that signs.
    pub fn signing_pair(&self) -> Arc<HolderKey> {
        self.pair(&self.cka_id, &self.spki_der)
    }

    /// A pair of this credential: every one is of the same kind, so that a renewal changes nothing for signing systems.
    pub fn pair(&self, cka_id: &[u8], spki_der: &[u8]) -> Arc<HolderKey> {
        Arc::new(HolderKey {
            cka_id: cka_id.to_vec(),
            spki_der: spki_der.to_vec(),
            key_type: self.key_type,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::KeyType;
    use crate::danger_testing::credential;

    const GRACE: Duration = Duration::from_secs(100);
    const NOW: UnixSeconds = UnixSeconds(2_000_000_000);

    fn active() -> Credential {
        let key =
            HolderKey { cka_id: vec![1; 16], spki_der: b"first".to_vec(), key_type: KeyType::P256 };
        Credential { chain: vec![b"old".to_vec()], ..credential("key", "u-1", key) }
    }

    fn next() -> NextPair {
        NextPair {
            cka_id: vec![2; 16],
            spki_der: b"second".to_vec(),
            subject: "CN=x".into(),
            created_at: NOW,
        }
    }

    fn renewing() -> Credential {
        let mut renewing = active();
        renewing.life.next = Some(next());
        renewing
    }

    fn spent(credential: &Credential, public_key: &[u8]) -> Result<Spent, NotSpent> {
        credential.spent(&Fingerprint::of(public_key), GRACE, NOW)
    }

    #[test]
    fn switch_puts_the_next_pair_in_and_keeps_the_certificate_before() {
        let after = renewing().switched(next(), vec![b"new".to_vec()], NOW);
        assert_eq!((after.spki_der.as_slice(), after.chain.len()), (b"second".as_slice(), 1));
        assert_eq!(after.life.next, None);
        let [earlier] = after.life.earlier.as_slice() else { panic!("one pair before") };
        assert_eq!(earlier.chain, vec![b"old".to_vec()]);
        assert_eq!((earlier.superseded_at, earlier.destroyed_at), (NOW, None));
    }

    #[test]
    fn pair_that_signs_or_may_again_is_never_spent() {
        assert_eq!(spent(&active(), b"first"), Err(NotSpent::InUse));
        assert_eq!(spent(&renewing(), b"first"), Err(NotSpent::InUse));
        let quarantined = Credential { status: CredentialStatus::Quarantined, ..active() };
        assert_eq!(spent(&quarantined, b"first"), Err(NotSpent::InUse));
        assert_eq!(spent(&active(), b"other"), Err(NotSpent::Unknown));
    }

    #[test]
    fn superseded_pair_goes_after_the_grace_time_and_only_once() {
        let switched = renewing().switched(next(), vec![b"new".to_vec()], NOW);
        assert_eq!(spent(&switched, b"second"), Err(NotSpent::InUse));
        let gone = spent(&switched, b"first").unwrap();
        assert_eq!((gone.from, gone.key.cka_id.clone()), (NOW.plus(GRACE), vec![1; 16]));
        assert_eq!(gone.after.status, CredentialStatus::Active);
        assert_eq!(spent(&gone.after, b"first"), Err(NotSpent::Destroyed));
    }

    #[test]
    fn revoked_pair_goes_after_the_grace_time_and_its_certificate_stays() {
        let mut revoked = Credential { status: CredentialStatus::Revoked, ..active() };
        revoked.life.revoked = Some(Ended { at: NOW, reason: None });
        let gone = spent(&revoked, b"first").unwrap();
        assert_eq!((gone.from, gone.after.status), (NOW.plus(GRACE), CredentialStatus::Destroyed));
        assert_eq!(gone.after.chain, revoked.chain);
        assert_eq!(spent(&gone.after, b"first"), Err(NotSpent::Destroyed));
    }

    #[test]
    fn pair_revoked_nobody_knows_when_goes_after_its_certificate_and_the_grace_time() {
        let revoked = Credential { status: CredentialStatus::Revoked, not_after: NOW, ..active() };
        assert_eq!(spent(&revoked, b"first").unwrap().from, NOW.plus(GRACE));
    }

    #[test]
    fn next_pair_that_never_signed_needs_no_grace_time() {
        let gone = spent(&renewing(), b"second").unwrap();
        assert_eq!((gone.from, gone.after), (NOW, active()));
    }

    #[test]
    fn record_of_a_credential_from_before_renewals_is_read() {
        let mut old = serde_json::to_value(active()).unwrap();
        old.as_object_mut().unwrap().remove("life");
        assert_eq!(serde_json::from_value::<Credential>(old).unwrap(), active());
    }
}
