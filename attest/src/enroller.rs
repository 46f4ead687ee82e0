//! Whether who enrols a factor is still entitled to: an enabled holder, by a factor that is still theirs.

use crate::authenticator::Authenticator;
use crate::authenticator::Enroller;
use crate::jpki::JpkiLink;
use crate::records::CardLink;
use crate::records::Holder;
use crate::records::Method;
use crate::records::TrustRecord;
use crate::sessions::SessionError;
use crate::store::Guard;
use crate::store::Txn;
use crate::trust::TrustStore;

/// Whether holder and enrolling factor are as when the holder was proved; guards in `txn` that they stay so.
pub(crate) async fn guard(
    trust: &TrustStore,
    holder_id: &str,
    enrolled_by: &Enroller,
    txn: &mut Txn,
) -> Result<bool, SessionError> {
    let factor = &enrolled_by.factor.0;
    let holder = trust.load::<Holder>(holder_id).await?;
    let Some((holder, rev)) = holder.filter(|(holder, _)| holder.enabled) else {
        return Ok(false);
    };
    txn.guards.push(Guard::Rev(holder.key(), rev));
    let (owner, guard) = match enrolled_by.method {
        Method::Hpki => match trust.load::<CardLink>(factor).await? {
            Some((link, rev)) => (link.holder_id.clone(), Guard::Rev(link.key(), rev)),
            None => return Ok(false),
        },
        Method::Fido2 => match trust.load::<Authenticator>(factor).await? {
            Some((found, rev)) => (found.holder_id.clone(), Guard::Rev(found.key(), rev)),
            None => return Ok(false),
        },
        Method::Jpki => match trust.load::<JpkiLink>(factor).await? {
            Some((link, rev)) => (link.holder_id.clone(), Guard::Rev(link.key(), rev)),
            None => return Ok(false),
        },
    };
    txn.guards.push(guard);
    Ok(owner == holder_id)
}
