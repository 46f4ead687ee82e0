//! The trust records in memory, as the gate reads them for every signature.
//!
//! Loaded from the sealed store at start; every change goes to the store first and here afterwards.

use crate::authenticator::Authenticator;
use crate::authenticator::AuthenticatorKind;
use crate::jpki::JpkiLink;
use crate::permit::HolderKey;
use crate::records::CardLink;
use crate::records::Credential;
use crate::records::CredentialStatus;
use crate::records::Fingerprint;
use crate::records::Holder;
use crate::records::Operator;
use crate::records::SigningSystem;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

/// What the last check of a certificate (path, policy, revocation) said. Only `Good` signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    /// Not checked yet, or its revocation status cannot be determined.
    Unknown = 0,
    /// Passed.
    Good = 1,
    /// On a revocation list.
    Revoked = 2,
    /// Fails for good by another rule: path, policy, key usage.
    Refused = 3,
}

/// A [`Standing`] that every signature reads.
pub(crate) struct AtomicStanding(AtomicU8);

impl AtomicStanding {
    pub(crate) fn new(standing: Standing) -> Self {
        Self(AtomicU8::new(standing as u8))
    }

    pub(crate) fn store(&self, standing: Standing) {
        self.0.store(standing as u8, Ordering::Release);
    }

    pub(crate) fn load(&self) -> Standing {
        match self.0.load(Ordering::Acquire) {
            1 => Standing::Good,
            2 => Standing::Revoked,
            3 => Standing::Refused,
            _ => Standing::Unknown,
        }
    }
}

/// A credential in memory: the record and the flag that stops it at once.
pub struct LiveCredential {
    /// The record.
    pub record: Credential,
    /// The key it opens.
    pub key: Arc<HolderKey>,
    /// SHA-256 of its certificate; of nothing while there is none.
    pub certificate: Fingerprint,
    /// SHA-256 of the certificates that it signed under before.
    earlier: Vec<Fingerprint>,
    standing: AtomicStanding,
    /// Shared with what it was before a renewal: one stop stops what is under way with either pair.
    stopped: Arc<AtomicBool>,
}

impl LiveCredential {
    /// A credential whose certificate has not been judged yet: it may not sign before [`Self::judge`].
    pub fn new(record: Credential) -> Self {
        let stopped = Arc::new(AtomicBool::new(record.status != CredentialStatus::Active));
        Self::stopped_by(record, stopped, Standing::Unknown)
    }

    fn stopped_by(record: Credential, stopped: Arc<AtomicBool>, standing: Standing) -> Self {
        let leaf = |chain: &[Vec<u8>]| {
            Fingerprint::of(chain.first().map(Vec::as_slice).unwrap_or_default())
        };
        Self {
            key: record.signing_pair(),
            certificate: leaf(&record.chain),
            earlier: record.life.earlier.iter().map(|pair| leaf(&pair.chain)).collect(),
            standing: AtomicStanding::new(standing),
            stopped,
            record,
        }
    }

    /// Whether it signs under one of `certificates` (SHA-256), or did before a renewal.
    pub fn has_one_of(&self, certificates: &[Fingerprint]) -> bool {
        certificates.contains(&self.certificate)
            || self.earlier.iter().any(|earlier| certificates.contains(earlier))
    }

    /// The chain of a certificate (SHA-256) that it signs under, or did before a renewal.
    pub fn chain_of(&self, certificate: &Fingerprint) -> Option<&[Vec<u8>]> {
        if self.certificate == *certificate {
            return Some(&self.record.chain);
        }
        let mut earlier = self.earlier.iter().zip(&self.record.life.earlier);
        earlier.find(|(other, _)| *other == certificate).map(|(_, pair)| pair.chain.as_slice())
    }

    /// Stops it for good in this process; a new record makes a new `LiveCredential`.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Notes what the last check of its certificate said.
    pub fn judge(&self, standing: Standing) {
        self.standing.store(standing);
    }

    /// What the last check of its certificate said.
    pub fn standing(&self) -> Standing {
        self.standing.load()
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Whether nothing stands against it; times are compared by the gate.
    pub fn may_sign(&self) -> bool {
        !self.is_stopped() && self.standing() == Standing::Good
    }
}

#[derive(Default)]
struct Tables {
    holders: HashMap<String, Arc<Holder>>,
    cards: HashMap<Fingerprint, Arc<CardLink>>,
    authenticators: HashMap<Fingerprint, Arc<Authenticator>>,
    authenticators_of: HashMap<String, Vec<Fingerprint>>,
    jpki: HashMap<Fingerprint, Arc<JpkiLink>>,
    jpki_of: HashMap<String, Fingerprint>,
    credentials: HashMap<String, Arc<LiveCredential>>,
    credentials_of: HashMap<String, Vec<String>>,
    systems: HashMap<String, Arc<SigningSystem>>,
    system_of: HashMap<Fingerprint, String>,
    operators: HashMap<String, Arc<Operator>>,
    operator_of: HashMap<Fingerprint, String>,
}

impl Tables {
    fn forget_authenticator(&mut self, id: &Fingerprint) {
        let Some(gone) = self.authenticators.remove(id) else {
            return;
        };
        if let Some(of) = self.authenticators_of.get_mut(&gone.holder_id) {
            of.retain(|other| other != id);
            if of.is_empty() {
                self.authenticators_of.remove(&gone.holder_id);
            }
        }
    }
}

/// Every holder, card, authenticator, credential, signing system and operator.
#[derive(Default)]
pub struct Registry {
    tables: RwLock<Tables>,
}

impl Registry {
    /// Puts or replaces a holder.
    pub fn put_holder(&self, holder: Holder) {
        self.write().holders.insert(holder.holder_id.clone(), Arc::new(holder));
    }

    /// Puts or replaces a card link.
    pub fn put_card(&self, link: CardLink) {
        self.write().cards.insert(link.card.clone(), Arc::new(link));
    }

    /// Removes a card link.
    pub fn remove_card(&self, card: &Fingerprint) {
        self.write().cards.remove(card);
    }

    /// Puts or replaces an authenticator.
    pub fn put_authenticator(&self, authenticator: Authenticator) {
        let mut tables = self.write();
        let id = authenticator.authenticator_id.clone();
        tables.forget_authenticator(&id);
        let of = tables.authenticators_of.entry(authenticator.holder_id.clone()).or_default();
        of.push(id.clone());
        tables.authenticators.insert(id, Arc::new(authenticator));
    }

    /// Removes an authenticator.
    pub fn remove_authenticator(&self, authenticator_id: &Fingerprint) {
        self.write().forget_authenticator(authenticator_id);
    }

    /// Puts a My Number card's link in the place of the one that its holder had, if any.
    pub fn put_jpki(&self, link: JpkiLink) {
        let mut tables = self.write();
        let (card, holder_id) = (link.card.clone(), link.holder_id.clone());
        if let Some(old) = tables.jpki_of.insert(holder_id, card.clone()) {
            tables.jpki.remove(&old);
        }
        tables.jpki.insert(card, Arc::new(link));
    }

    /// Removes a My Number card's link.
    pub fn remove_jpki(&self, card: &Fingerprint) {
        let mut tables = self.write();
        if let Some(gone) = tables.jpki.remove(card)
            && tables.jpki_of.get(&gone.holder_id) == Some(card)
        {
            tables.jpki_of.remove(&gone.holder_id);
        }
    }

    /// Puts or replaces a credential; a replaced one is stopped first.
    pub fn put_credential(&self, credential: LiveCredential) -> Arc<LiveCredential> {
        let credential = Arc::new(credential);
        let mut tables = self.write();
        let id = credential.record.credential_id.clone();
        let ids = tables.credentials_of.entry(credential.record.holder_id.clone()).or_default();
        // In order, so that a restart changes nothing that a signing system is shown.
        if let Err(at) = ids.binary_search(&id) {
            ids.insert(at, id.clone());
        }
        if let Some(replaced) = tables.credentials.insert(id, Arc::clone(&credential)) {
            replaced.stop();
        }
        credential
    }

    /// Stops a credential whose pair is at fault; false when a renewal has replaced that pair: its fault is not the new one's.
    pub fn stop_pair(&self, faulty: &LiveCredential) -> bool {
        // No renewal comes in between: it writes these tables.
        let tables = self.write();
        let now = tables.credentials.get(&faulty.record.credential_id);
        let is_in_use = now.is_none_or(|now| now.record.cka_id == faulty.record.cka_id);
        if is_in_use {
            faulty.stop();
        }
        is_in_use
    }

    /// Puts what a credential has become without a break: nothing that is under way is stopped, a stop stops both. With
    /// another pair comes what was just judged of its certificate; else the last judgement stands.
    pub fn renew_credential(&self, record: Credential, judged: Option<Standing>) {
        let mut tables = self.write();
        let Some(before) = tables.credentials.get(&record.credential_id) else {
            drop(tables);
            self.put_credential(LiveCredential::new(record));
            return;
        };
        let standing = judged.unwrap_or_else(|| before.standing());
        let stopped = match judged {
            // A stopped pair has nothing under way, and its fault is not the new one's.
            Some(_) if before.is_stopped() => {
                Arc::new(AtomicBool::new(record.status != CredentialStatus::Active))
            }
            _ => Arc::clone(&before.stopped),
        };
        let id = record.credential_id.clone();
        let renewed = LiveCredential::stopped_by(record, stopped, standing);
        tables.credentials.insert(id, Arc::new(renewed));
    }

    /// Puts or replaces a signing system.
    pub fn put_system(&self, system: SigningSystem) {
        let mut tables = self.write();
        let id = system.system_id.clone();
        tables.system_of.retain(|_, of| *of != id);
        for certificate in &system.certificates {
            tables.system_of.insert(certificate.clone(), id.clone());
        }
        tables.systems.insert(id, Arc::new(system));
    }

    /// Removes a signing system.
    pub fn remove_system(&self, system_id: &str) {
        let mut tables = self.write();
        tables.system_of.retain(|_, of| of != system_id);
        tables.systems.remove(system_id);
    }

    /// Puts or replaces an operator.
    pub fn put_operator(&self, operator: Operator) {
        let mut tables = self.write();
        let id = operator.operator_id.clone();
        tables.operator_of.retain(|_, of| *of != id);
        tables.operator_of.insert(operator.certificate.clone(), id.clone());
        tables.operators.insert(id, Arc::new(operator));
    }

    /// Removes an operator.
    pub fn remove_operator(&self, operator_id: &str) {
        let mut tables = self.write();
        tables.operator_of.retain(|_, of| of != operator_id);
        tables.operators.remove(operator_id);
    }

    /// One holder.
    pub fn holder(&self, holder_id: &str) -> Option<Arc<Holder>> {
        self.read().holders.get(holder_id).cloned()
    }

    /// Whose card this is.
    pub fn card(&self, card: &Fingerprint) -> Option<Arc<CardLink>> {
        self.read().cards.get(card).cloned()
    }

    /// A holder's cards, by card.
    pub fn cards_of(&self, holder_id: &str) -> Vec<Arc<CardLink>> {
        let tables = self.read();
        sorted(tables.cards.values().filter(|link| link.holder_id == holder_id), |link| {
            &link.card.0
        })
    }

    /// Whose authenticator this is.
    pub fn authenticator(&self, authenticator_id: &Fingerprint) -> Option<Arc<Authenticator>> {
        self.read().authenticators.get(authenticator_id).cloned()
    }

    /// A holder's authenticators.
    pub fn authenticators_of(&self, holder_id: &str) -> Vec<Arc<Authenticator>> {
        let tables = self.read();
        let ids = tables.authenticators_of.get(holder_id).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| tables.authenticators.get(id).cloned()).collect()
    }

    /// A holder's phone.
    pub fn phone_of(&self, holder_id: &str) -> Option<Arc<Authenticator>> {
        let all = self.authenticators_of(holder_id);
        all.into_iter().find(|found| found.kind == AuthenticatorKind::Phone)
    }

    /// How many security keys a holder has.
    pub fn security_keys_of(&self, holder_id: &str) -> usize {
        let all = self.authenticators_of(holder_id);
        all.iter().filter(|found| found.kind == AuthenticatorKind::SecurityKey).count()
    }

    /// Every authenticator, by id.
    pub fn authenticators(&self) -> Vec<Arc<Authenticator>> {
        sorted(self.read().authenticators.values(), |found| &found.authenticator_id.0)
    }

    /// Whose My Number card this is.
    pub fn jpki(&self, card: &Fingerprint) -> Option<Arc<JpkiLink>> {
        self.read().jpki.get(card).cloned()
    }

    /// A holder's My Number card.
    pub fn jpki_of(&self, holder_id: &str) -> Option<Arc<JpkiLink>> {
        let tables = self.read();
        tables.jpki_of.get(holder_id).and_then(|card| tables.jpki.get(card)).cloned()
    }

    /// Every My Number card's link, by holder.
    pub fn jpki_links(&self) -> Vec<Arc<JpkiLink>> {
        sorted(self.read().jpki.values(), |link| &link.holder_id)
    }

    /// One credential.
    pub fn credential(&self, credential_id: &str) -> Option<Arc<LiveCredential>> {
        self.read().credentials.get(credential_id).cloned()
    }

    /// A holder's credentials, in the order they were made.
    pub fn credentials_of(&self, holder_id: &str) -> Vec<Arc<LiveCredential>> {
        let tables = self.read();
        let ids = tables.credentials_of.get(holder_id).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| tables.credentials.get(id).cloned()).collect()
    }

    /// Whether one of `certificates` (SHA-256) of the holder's is revoked, or refused for good.
    pub fn has_fallen(&self, holder_id: &str, certificates: &[Fingerprint]) -> bool {
        let has_fallen = |credential: &Arc<LiveCredential>| {
            credential.record.status.is_final()
                || matches!(credential.standing(), Standing::Revoked | Standing::Refused)
        };
        let credentials = self.credentials_of(holder_id);
        let mut named = credentials.iter().filter(|credential| credential.has_one_of(certificates));
        named.any(has_fallen)
    }

    /// One signing system by its id.
    pub fn system(&self, system_id: &str) -> Option<Arc<SigningSystem>> {
        self.read().systems.get(system_id).cloned()
    }

    /// The signing system that a client certificate is pinned to.
    pub fn system_of(&self, certificate: &Fingerprint) -> Option<Arc<SigningSystem>> {
        let tables = self.read();
        tables.system_of.get(certificate).and_then(|id| tables.systems.get(id)).cloned()
    }

    /// The operator that a client certificate belongs to.
    pub fn operator_of(&self, certificate: &Fingerprint) -> Option<Arc<Operator>> {
        let tables = self.read();
        tables.operator_of.get(certificate).and_then(|id| tables.operators.get(id)).cloned()
    }

    /// Every holder, by id.
    pub fn holders(&self) -> Vec<Arc<Holder>> {
        sorted(self.read().holders.values(), |holder| &holder.holder_id)
    }

    /// Every card link, by card.
    pub fn cards(&self) -> Vec<Arc<CardLink>> {
        sorted(self.read().cards.values(), |link| &link.card.0)
    }

    /// Every credential, by id.
    pub fn credentials(&self) -> Vec<Arc<LiveCredential>> {
        sorted(self.read().credentials.values(), |credential| &credential.record.credential_id)
    }

    /// Every signing system, by id.
    pub fn systems(&self) -> Vec<Arc<SigningSystem>> {
        sorted(self.read().systems.values(), |system| &system.system_id)
    }

    /// Every operator, by id.
    pub fn operators(&self) -> Vec<Arc<Operator>> {
        sorted(self.read().operators.values(), |operator| &operator.operator_id)
    }

    // A panic while the lock is held leaves whole entries behind, never torn ones: every write is one insert or remove.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sorted<'a, T: 'a>(
    all: impl Iterator<Item = &'a Arc<T>>,
    id: impl Fn(&T) -> &String,
) -> Vec<Arc<T>> {
    let mut all: Vec<_> = all.cloned().collect();
    all.sort_by(|a, b| id(a).cmp(id(b)));
    all
}
