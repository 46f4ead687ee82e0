//! Keys in service: from a CKA_ID to an audited key and its handle, without asking the token.

use crate::audit::KeyFault;
use crate::connection::OpenSession;
use crate::error::HsmError;
use crate::house::HouseKey;
use crate::objects::Holdings;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use cryptoki::object::ObjectHandle;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Octets of a holder's CKA_ID. The house's have other lengths, so that neither can name the other's key.
pub(crate) const HOLDER_ID_LEN: usize = 16;

/// CKA_ID as people read it.
pub(crate) fn id_hex(cka_id: &[u8]) -> String {
    hex::encode(cka_id)
}

/// Whose key an entry is, and what it must look like in the token.
pub(crate) enum Identity {
    /// A holder's pair.
    Holder(Arc<HolderKey>),
    /// A pair of the house, with its public key.
    HousePair(HouseKey, Vec<u8>),
    /// The house's secret key.
    HouseSecret,
}

/// A key that may be used.
pub(crate) struct KeyEntry {
    identity: Identity,
    located: Mutex<Option<Located>>,
    /// Set when the token stopped showing the key; a module may have lost sight of the token, so that it is believed
    /// only after the module was initialised again.
    has_vanished: AtomicBool,
}

#[derive(Clone, Copy)]
struct Located {
    handle: ObjectHandle,
    /// The login that the handle belongs to.
    epoch: u64,
}

impl KeyEntry {
    pub(crate) fn new(identity: Identity, handle: ObjectHandle, epoch: u64) -> Arc<Self> {
        let located = Mutex::new(Some(Located { handle, epoch }));
        Arc::new(Self { identity, located, has_vanished: AtomicBool::new(false) })
    }

    /// The public key as it must be; none for a secret key.
    pub(crate) fn spki_der(&self) -> Option<&[u8]> {
        match &self.identity {
            Identity::Holder(key) => Some(&key.spki_der),
            Identity::HousePair(_, spki_der) => Some(spki_der),
            Identity::HouseSecret => None,
        }
    }

    /// The handle, searched and audited again when it is not of the present login.
    ///
    /// # Errors
    /// [`HsmError::KeyRefused`]: the token does not hold this key as it was any more. [`HsmError::KeyVanished`] before that
    /// when it shows nothing of it. [`HsmError::Token`].
    pub(crate) fn handle(&self, session: &OpenSession) -> Result<ObjectHandle, HsmError> {
        let epoch = session.connection().epoch();
        let located = *self.located.lock().unwrap_or_else(PoisonError::into_inner);
        match located {
            Some(located) if located.epoch == epoch => Ok(located.handle),
            _ => {
                let holdings = Holdings::of(session, self.cka_id())?;
                if holdings.handles().is_empty() && !self.has_vanished.swap(true, Ordering::AcqRel)
                {
                    return Err(HsmError::KeyVanished { cka_id_hex: id_hex(self.cka_id()) });
                }
                let handle = self.judge(&holdings)?;
                self.locate(handle, epoch);
                Ok(handle)
            }
        }
    }

    /// Judges what the token holds under this key's CKA_ID.
    ///
    /// # Errors
    /// [`HsmError::KeyRefused`].
    pub(crate) fn judge(&self, holdings: &Holdings) -> Result<ObjectHandle, HsmError> {
        let judged = match &self.identity {
            Identity::Holder(key) => holdings.judge(key),
            Identity::HousePair(_, spki_der) => holdings.judge_pair(spki_der),
            Identity::HouseSecret => holdings.judge_secret(),
        };
        judged.map_err(|fault| refused(self.cka_id(), fault))
    }

    pub(crate) fn locate(&self, handle: ObjectHandle, epoch: u64) {
        self.has_vanished.store(false, Ordering::Release);
        *self.located.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Located { handle, epoch });
    }

    /// Notes that a module just initialised does not show the key as it must be either.
    pub(crate) fn lose(&self) {
        self.has_vanished.store(true, Ordering::Release);
        self.forget();
    }

    /// Forgets the handle: it is searched and audited before the next use.
    pub(crate) fn forget(&self) {
        *self.located.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// CKA_ID.
    pub(crate) fn cka_id(&self) -> &[u8] {
        match &self.identity {
            Identity::Holder(key) => &key.cka_id,
            Identity::HousePair(house_key, _) => house_key.cka_id(),
            Identity::HouseSecret => HouseKey::IndexHmac.cka_id(),
        }
    }
}

/// A key refused, loudly: somebody changed the token.
pub(crate) fn refused(cka_id: &[u8], fault: KeyFault) -> HsmError {
    let cka_id_hex = id_hex(cka_id);
    tracing::error!(cka_id = %cka_id_hex, %fault, "ALARM: a key in the token is refused");
    HsmError::KeyRefused { cka_id_hex, fault }
}

/// The holders' keys in service, by CKA_ID.
///
/// An entry costs the map about 150 octets; the public key in it is shared with the caller's [`HolderKey`].
#[derive(Default)]
pub(crate) struct Index {
    keys: RwLock<HashMap<Vec<u8>, Arc<KeyEntry>>>,
}

impl Index {
    /// The entry of `key`: of the CKA_ID *and* the public key.
    ///
    /// # Errors
    /// [`HsmError::NotInService`]; [`HsmError::KeyRefused`] when the CKA_ID stands for another public key.
    pub(crate) fn entry(&self, key: &Arc<HolderKey>) -> Result<Arc<KeyEntry>, HsmError> {
        let entry = self.read().get(&key.cka_id).cloned();
        let entry =
            entry.ok_or_else(|| HsmError::NotInService { cka_id_hex: id_hex(&key.cka_id) })?;
        let same = match &entry.identity {
            Identity::Holder(known) => Arc::ptr_eq(known, key) || known == key,
            Identity::HousePair(..) | Identity::HouseSecret => false,
        };
        match same {
            true => Ok(entry),
            false => Err(refused(&key.cka_id, KeyFault::OtherPublicKey)),
        }
    }

    pub(crate) fn contains(&self, cka_id: &[u8]) -> bool {
        self.read().contains_key(cka_id)
    }

    /// Puts a key into service.
    pub(crate) fn insert(&self, key: Arc<HolderKey>, handle: ObjectHandle, epoch: u64) {
        let cka_id = key.cka_id.clone();
        let entry = KeyEntry::new(Identity::Holder(key), handle, epoch);
        if let Some(replaced) = self.write().insert(cka_id, entry) {
            replaced.lose();
        }
    }

    /// Takes a key out of service. Jobs that wait for it search it again and find what there is then.
    pub(crate) fn remove(&self, cka_id: &[u8]) {
        if let Some(removed) = self.write().remove(cka_id) {
            removed.lose();
        }
    }

    /// Every entry.
    pub(crate) fn entries(&self) -> Vec<Arc<KeyEntry>> {
        self.read().values().cloned().collect()
    }

    /// Keys in service.
    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    // Every write is one insert or remove: a panic leaves whole entries behind.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Vec<u8>, Arc<KeyEntry>>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Vec<u8>, Arc<KeyEntry>>> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A holder's key that the token has just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedKey {
    /// CKA_ID: 16 random octets.
    pub cka_id: Vec<u8>,
    /// SubjectPublicKeyInfo, DER: to be logged, because only this key may be certified.
    pub spki_der: Vec<u8>,
    /// Kind of key pair.
    pub key_type: KeyType,
}

impl From<GeneratedKey> for HolderKey {
    fn from(key: GeneratedKey) -> Self {
        Self { cka_id: key.cka_id, spki_der: key.spki_der, key_type: key.key_type }
    }
}
