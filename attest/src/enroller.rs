//! Whether who enrols a factor is still entitled to: an enabled holder, by a factor that is still theirs and not too new.

use crate::authenticator::Authenticator;
use crate::authenticator::Enroller;
use crate::clock::UnixSeconds;
use crate::factor_rules::FactorRules;
use crate::jpki::JpkiLink;
use crate::records::CardLink;
use crate::records::Holder;
use crate::records::Method;
use crate::records::TrustRecord;
use crate::sessions::SessionError;
use crate::store::Guard;
use crate::store::Txn;
use crate::trust::TrustStore;

/// Whether a factor may enrol another.
pub(crate) enum Entitled {
    /// It may.
    Yes,
    /// It was added too short a time ago.
    NotBefore(UnixSeconds),
    /// It may not.
    No,
}

/// Whether holder and enrolling factor are as when the holder was proved, and the factor is old enough at `now`; guards in
/// `txn` that they stay so.
pub(crate) async fn guard(
    trust: &TrustStore,
    holder_id: &str,
    enrolled_by: &Enroller,
    rules: &FactorRules,
    now: UnixSeconds,
    txn: &mut Txn,
) -> Result<Entitled, SessionError> {
    let factor = &enrolled_by.factor.0;
    let holder = trust.load::<Holder>(holder_id).await?;
    let Some((holder, rev)) = holder.filter(|(holder, _)| holder.enabled) else {
        return Ok(Entitled::No);
    };
    txn.guards.push(Guard::Rev(holder.key(), rev));
    let found = match enrolled_by.method {
        // Two operators linked it.
        Method::Hpki => trust
            .load::<CardLink>(factor)
            .await?
            .map(|(link, rev)| (Guard::Rev(link.key(), rev), link.holder_id, None)),
        Method::Fido2 => trust.load::<Authenticator>(factor).await?.map(|(found, rev)| {
            (Guard::Rev(found.key(), rev), found.holder_id, Some(found.enrolled_at))
        }),
        Method::Jpki => trust
            .load::<JpkiLink>(factor)
            .await?
            .map(|(link, rev)| (Guard::Rev(link.key(), rev), link.holder_id, Some(link.linked_at))),
    };
    let Some((guard, owner, added_at)) = found else {
        return Ok(Entitled::No);
    };
    txn.guards.push(guard);
    if owner != holder_id {
        return Ok(Entitled::No);
    }
    Ok(match added_at.map(|added_at| rules.may_add_from(added_at)) {
        Some(from) if now < from => Entitled::NotBefore(from),
        Some(_) | None => Entitled::Yes,
    })
}
