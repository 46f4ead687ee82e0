//! Keys that were found in the token: the house's, and pairs that were made here.

use crate::audit::KeyFault;
use crate::error::HsmError;
use crate::house::HouseKey;
use crate::keys::Identity;
use crate::keys::KeyEntry;
use crate::keys::refused;
use crate::objects::Holdings;
use cryptoki::object::ObjectHandle;
use std::sync::Arc;

/// The house keys, located.
pub(crate) struct House {
    pub(crate) checkpoint: Arc<KeyEntry>,
    pub(crate) self_test: Arc<KeyEntry>,
    pub(crate) index_hmac: Arc<KeyEntry>,
}

/// A pair made in this process: its handles are known, so that nothing needs to be searched.
pub(crate) struct Fresh {
    pub(crate) public: ObjectHandle,
    pub(crate) private: ObjectHandle,
    pub(crate) epoch: u64,
}

/// A house pair as the token holds it.
pub(crate) fn house_pair(
    key: HouseKey,
    holdings: &Holdings,
    epoch: u64,
) -> Result<Arc<KeyEntry>, HsmError> {
    let refused = |fault| refused(key.cka_id(), fault);
    let [public] = holdings.public.as_slice() else {
        return Err(refused(KeyFault::PublicKeys(holdings.public.len())));
    };
    match &public.key {
        Some((HouseKey::PAIR_TYPE, spki_der)) => {
            let handle = holdings.judge_pair(spki_der).map_err(refused)?;
            let identity = Identity::HousePair(key, spki_der.clone());
            Ok(KeyEntry::new(identity, handle, epoch))
        }
        _ => Err(refused(KeyFault::OtherPublicKey)),
    }
}

/// The house's secret key as the token holds it.
pub(crate) fn house_secret(holdings: &Holdings, epoch: u64) -> Result<Arc<KeyEntry>, HsmError> {
    let cka_id = HouseKey::IndexHmac.cka_id();
    let handle = holdings.judge_secret().map_err(|fault| refused(cka_id, fault))?;
    Ok(KeyEntry::new(Identity::HouseSecret, handle, epoch))
}
