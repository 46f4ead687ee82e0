//! Trust records in the store, sealed.
//!
//! A seal is a MAC over store key, schema version and value, under a key that only the HSM can give at start. A record that
//! was edited, moved to another key or copied from another appliance does not check and is refused by name.

use crate::records::TrustRecord;
use crate::records::record_key;
use crate::store::Guard;
use crate::store::Key;
use crate::store::Outcome;
use crate::store::Rev;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Txn;
use crate::store::Versioned;
use crate::store::Write;
use aws_lc_rs::hmac;
use std::sync::Arc;

/// Octets of the MAC before the value: HMAC-SHA-256.
const SEAL_BYTES: usize = 32;
/// Records read in one scan.
const PAGE: usize = 1_000;
/// Guarded writes tried before giving up on a contended record.
pub(crate) const MAX_RETRIES: usize = 16;

/// Why a trust record was not given out or not stored.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The seal does not check: somebody edited the store.
    #[error(
        "the seal of the trust record {0} does not check: it was changed outside the appliance"
    )]
    SealBroken(String),
    /// Written by a later version of the daemon.
    #[error("the trust record {0} has a schema version that this daemon does not know")]
    UnknownVersion(String),
    /// Sealed by us, but not of this shape.
    #[error("the trust record {0} cannot be read: {1}")]
    Unreadable(String, serde_json::Error),
    /// It is already there, or changed in between.
    #[error("the trust record {0} is already there or changed in between")]
    Conflict(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sealed part of the store.
#[derive(Clone)]
pub struct TrustStore {
    store: Arc<dyn Store>,
    seal_key: hmac::Key,
}

impl TrustStore {
    /// Opens the sealed part with the HSM's sealing key.
    pub fn new(store: Arc<dyn Store>, seal_key: &[u8; 32]) -> Self {
        Self { store, seal_key: hmac::Key::new(hmac::HMAC_SHA256, seal_key) }
    }

    /// The record named `id`, with its revision for a guard.
    ///
    /// # Errors
    /// [`TrustError::SealBroken`] when it was edited on disk.
    pub async fn load<R: TrustRecord>(&self, id: &str) -> Result<Option<(R, Rev)>, TrustError> {
        let key = record_key::<R>(id);
        match self.store.get(&key).await? {
            None => Ok(None),
            Some(sealed) => self.open::<R>(&key, &sealed).map(|record| Some((record, sealed.rev))),
        }
    }

    /// The record named `id`, to be looked at only.
    ///
    /// # Errors
    /// [`TrustError::SealBroken`] when it was edited on disk.
    pub async fn find<R: TrustRecord>(&self, id: &str) -> Result<Option<R>, TrustError> {
        Ok(self.load(id).await?.map(|(record, _)| record))
    }

    /// The record named `id` as it lies there, its seal unread: for what must be known before the HSM can give the key. What
    /// it says is believed only once [`TrustStore::load`] has read the seal.
    ///
    /// # Errors
    /// [`TrustError::Unreadable`], [`TrustError::SealBroken`] when it is too short to hold a seal.
    pub async fn danger_peek_unsealed<R: TrustRecord>(
        store: &dyn Store,
        id: &str,
    ) -> Result<Option<R>, TrustError> {
        let key = record_key::<R>(id);
        let Some(sealed) = store.get(&key).await? else {
            return Ok(None);
        };
        let json = sealed.value.get(1 + SEAL_BYTES..).unwrap_or_default();
        let record = serde_json::from_slice(json);
        record.map(Some).map_err(|error| TrustError::Unreadable(printable(&key), error))
    }

    /// Every record of one kind; the first broken seal refuses them all.
    ///
    /// # Errors
    /// [`TrustError::SealBroken`] when one was edited on disk.
    pub async fn load_all<R: TrustRecord>(&self) -> Result<Vec<R>, TrustError> {
        let mut records = Vec::new();
        self.for_each(|record| records.push(record)).await?;
        Ok(records)
    }

    /// Gives `take` every record of one kind, a page of them in memory at a time; the first broken seal ends it.
    ///
    /// # Errors
    /// [`TrustError::SealBroken`] when one was edited on disk; those before it were taken.
    pub async fn for_each<R: TrustRecord>(
        &self,
        mut take: impl FnMut(R) + Send,
    ) -> Result<(), TrustError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(R::PREFIX.as_bytes(), after.as_deref(), PAGE).await?;
            for (key, sealed) in &page {
                take(self.open::<R>(key, sealed)?);
            }
            match page.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    /// Those of one kind whose names begin with `start`, up to `limit`, each with its revision.
    pub(crate) async fn load_under<R: TrustRecord>(
        &self,
        start: &str,
        limit: usize,
    ) -> Result<Vec<(R, Rev)>, TrustError> {
        let found = self.store.scan(&record_key::<R>(start), None, limit).await?;
        let open =
            |(key, sealed): &(Key, Versioned)| Ok((self.open::<R>(key, sealed)?, sealed.rev));
        found.iter().map(open).collect()
    }

    /// A name for `text` that tells nothing of it to whoever has not the seal's key: 32 hexadecimal digits.
    pub(crate) fn blind(&self, text: &str) -> String {
        // No sealed octets begin so: they begin with the length of a key, which is below 2^24.
        let mac = hmac::sign(&self.seal_key, &[b"blind/", text.as_bytes()].concat());
        hex::encode(mac.as_ref().get(..16).unwrap_or_default())
    }

    /// Stores a record that must not be there yet.
    ///
    /// # Errors
    /// [`TrustError::Conflict`] when it is.
    pub async fn create<R: TrustRecord>(&self, record: &R) -> Result<(), TrustError> {
        self.commit_first(record.id(), self.creation(record)?).await
    }

    /// What stores a new record, to be committed together with more.
    pub(crate) fn creation<R: TrustRecord>(&self, record: &R) -> Result<Txn, TrustError> {
        let guards = vec![Guard::Absent(record.key())];
        Ok(Txn { guards, writes: vec![self.sealed(record)?] })
    }

    /// Stores a record in place of the revision that was read.
    ///
    /// # Errors
    /// [`TrustError::Conflict`] when it changed in between.
    pub async fn replace<R: TrustRecord>(&self, record: &R, rev: Rev) -> Result<(), TrustError> {
        self.commit_first(record.id(), self.replacement(record, rev)?).await
    }

    /// What stores a record in place of the revision that was read, to be committed together with more.
    pub(crate) fn replacement<R: TrustRecord>(
        &self,
        record: &R,
        rev: Rev,
    ) -> Result<Txn, TrustError> {
        let guards = vec![Guard::Rev(record.key(), rev)];
        Ok(Txn { guards, writes: vec![self.sealed(record)?] })
    }

    /// Stores what `change` makes of the record named `id`, however often somebody else is first. Nothing when it is not there,
    /// or `change` leaves it as it is.
    ///
    /// # Errors
    /// [`TrustError::Conflict`] when somebody else was first each time.
    pub async fn update<R: TrustRecord>(
        &self,
        id: &str,
        change: impl Fn(R) -> Option<R>,
    ) -> Result<Option<R>, TrustError> {
        for _ in 0..MAX_RETRIES {
            let Some((found, rev)) = self.load::<R>(id).await? else {
                return Ok(None);
            };
            let Some(changed) = change(found) else {
                return Ok(None);
            };
            if self.commit(self.replacement(&changed, rev)?).await? == Outcome::Committed {
                return Ok(Some(changed));
            }
        }
        Err(TrustError::Conflict(id.to_owned()))
    }

    /// Removes a record; removing what is absent is no error.
    ///
    /// # Errors
    /// [`TrustError::Store`] when the store did not answer.
    pub async fn remove<R: TrustRecord>(&self, id: &str) -> Result<(), TrustError> {
        let writes = vec![Write::Delete(record_key::<R>(id))];
        self.commit_first(id.to_owned(), Txn { guards: Vec::new(), writes }).await
    }

    /// The write that stores `record` sealed, for a transaction of several records.
    ///
    /// # Errors
    /// [`TrustError::Unreadable`] when it cannot be written as JSON.
    pub fn sealed<R: TrustRecord>(&self, record: &R) -> Result<Write, TrustError> {
        let key = record.key();
        let json = serde_json::to_vec(record)
            .map_err(|error| TrustError::Unreadable(printable(&key), error))?;
        let seal = hmac::sign(&self.seal_key, &sealed_octets(&key, R::VERSION, &json));
        let value = [&[R::VERSION], seal.as_ref(), json.as_slice()].concat();
        Ok(Write::Put { key, value, expires: record.expires() })
    }

    /// The store underneath, for records that need no seal.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Commits all of `txn`, or nothing where somebody else was first.
    pub(crate) async fn commit(&self, txn: Txn) -> Result<Outcome, TrustError> {
        Ok(self.store.commit(txn).await?)
    }

    /// Whether anything is stored under `key`.
    pub(crate) async fn has(&self, key: &Key) -> Result<bool, TrustError> {
        Ok(self.store.get(key).await?.is_some())
    }

    async fn commit_first(&self, id: String, txn: Txn) -> Result<(), TrustError> {
        match self.commit(txn).await? {
            Outcome::Committed => Ok(()),
            Outcome::Conflict => Err(TrustError::Conflict(id)),
        }
    }

    fn open<R: TrustRecord>(&self, key: &[u8], sealed: &Versioned) -> Result<R, TrustError> {
        let broken = || TrustError::SealBroken(printable(key));
        let (version, rest) = sealed.value.split_first().ok_or_else(broken)?;
        let (seal, json) = rest.split_at_checked(SEAL_BYTES).ok_or_else(broken)?;
        hmac::verify(&self.seal_key, &sealed_octets(key, *version, json), seal)
            .map_err(|_| broken())?;
        if *version != R::VERSION {
            return Err(TrustError::UnknownVersion(printable(key)));
        }
        serde_json::from_slice(json).map_err(|error| TrustError::Unreadable(printable(key), error))
    }
}

/// What the MAC is over: length-prefixed key, version, value.
fn sealed_octets(key: &[u8], version: u8, json: &[u8]) -> Vec<u8> {
    let key_len = u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&key_len, key, &[version], json].concat()
}

fn printable(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixSeconds;
    use crate::records::Holder;
    use crate::store::memory::MemoryStore;

    fn holder(id: &str) -> Holder {
        Holder {
            holder_id: id.into(),
            display_name: "山田 花子".into(),
            enabled: true,
            ca_contact: None,
            created_at: UnixSeconds(1),
            withdrawn: Default::default(),
        }
    }

    async fn stored() -> (Arc<MemoryStore>, TrustStore) {
        let store = Arc::new(MemoryStore::default());
        let trust = TrustStore::new(store.clone(), &[7; 32]);
        trust.create(&holder("u-1")).await.unwrap();
        (store, trust)
    }

    #[tokio::test]
    async fn sealed_record_comes_back() {
        let (_, trust) = stored().await;
        assert_eq!(trust.load::<Holder>("u-1").await.unwrap().unwrap().0, holder("u-1"));
        assert_eq!(trust.load_all::<Holder>().await.unwrap(), vec![holder("u-1")]);
    }

    #[tokio::test]
    async fn every_flipped_octet_breaks_the_seal() {
        let (store, trust) = stored().await;
        let good = store.raw(b"h/u-1").unwrap();
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            store.danger_put_raw(b"h/u-1", bad);
            let refused = trust.load::<Holder>("u-1").await;
            assert!(
                matches!(refused, Err(TrustError::SealBroken(ref key)) if key == "h/u-1"),
                "{index}"
            );
        }
    }

    #[tokio::test]
    async fn record_moved_to_another_key_is_refused() {
        let (store, trust) = stored().await;
        let good = store.raw(b"h/u-1").unwrap();
        store.danger_put_raw(b"h/u-2", good);
        assert!(matches!(trust.load::<Holder>("u-2").await, Err(TrustError::SealBroken(_))));
        assert!(matches!(trust.load_all::<Holder>().await, Err(TrustError::SealBroken(_))));
    }

    #[tokio::test]
    async fn record_sealed_by_another_hsm_is_refused() {
        let (store, _) = stored().await;
        let other = TrustStore::new(store, &[8; 32]);
        assert!(matches!(other.load::<Holder>("u-1").await, Err(TrustError::SealBroken(_))));
    }

    #[tokio::test]
    async fn update_is_made_of_what_somebody_else_has_just_stored() {
        let (store, trust) = stored().await;
        let renamed = Holder { display_name: "山田 次郎".into(), ..holder("u-1") };
        let Write::Put { value, .. } = trust.sealed(&renamed).unwrap() else { panic!("no value") };
        let others = std::cell::Cell::new(3);
        let disabled = trust.update("u-1", |found: Holder| {
            // Three times somebody else is first.
            if others.replace(others.get().max(1) - 1) > 0 {
                store.danger_put_raw(b"h/u-1", value.clone());
            }
            Some(Holder { enabled: false, ..found })
        });
        let disabled = disabled.await.unwrap().unwrap();
        assert_eq!(disabled, Holder { enabled: false, ..renamed });
        assert_eq!(trust.load::<Holder>("u-1").await.unwrap().unwrap().0, disabled);
    }

    #[tokio::test]
    async fn update_that_is_always_second_gives_up_and_one_that_changes_nothing_stores_nothing() {
        let (store, trust) = stored().await;
        let good = store.raw(b"h/u-1").unwrap();
        let contended = trust.update("u-1", |found: Holder| {
            store.danger_put_raw(b"h/u-1", good.clone());
            Some(found)
        });
        assert!(matches!(contended.await, Err(TrustError::Conflict(_))));
        let rev = trust.load::<Holder>("u-1").await.unwrap().unwrap().1;
        assert_eq!(trust.update("u-1", |_: Holder| None).await.unwrap(), None);
        assert_eq!(trust.update("u-2", |found: Holder| Some(found)).await.unwrap(), None);
        assert_eq!(trust.load::<Holder>("u-1").await.unwrap().unwrap().1, rev);
    }

    #[tokio::test]
    async fn second_create_is_a_conflict() {
        let (_, trust) = stored().await;
        assert!(matches!(trust.create(&holder("u-1")).await, Err(TrustError::Conflict(_))));
    }
}
