//! Where a new authenticator goes: the one place of a phone, or one of those of security keys.

use super::Ticket;
use crate::authenticator::Authenticator;
use crate::authenticator::AuthenticatorKind;
use crate::authenticator::KeyRing;
use crate::authenticator::MAX_SECURITY_KEYS;
use crate::authenticator::PhoneSlot;
use crate::records::Fingerprint;
use crate::records::TrustRecord;
use crate::records::record_key;
use crate::sessions::SessionError;
use crate::store::Guard;
use crate::store::Txn;
use crate::store::Write;
use crate::trust::TrustStore;

/// What became of a place.
pub(super) enum Place {
    /// It is taken by the transaction.
    Taken {
        /// The phone that had it, gone by the same transaction.
        replaced: Option<Box<Authenticator>>,
    },
    /// The holder has another phone than the ticket replaces.
    OtherPhone,
    /// The holder has as many security keys as they may.
    KeysFull,
}

/// Takes a place for `new_id` by `txn`, which guards that it is still free then.
pub(super) async fn take(
    trust: &TrustStore,
    ticket: &Ticket,
    new_id: &Fingerprint,
    txn: &mut Txn,
) -> Result<Place, SessionError> {
    match ticket.kind {
        AuthenticatorKind::Phone => take_slot(trust, ticket, new_id, txn).await,
        AuthenticatorKind::SecurityKey => take_on_ring(trust, ticket, new_id, txn).await,
    }
}

/// The slot is empty, or has the phone that the holder gives up.
async fn take_slot(
    trust: &TrustStore,
    ticket: &Ticket,
    new_id: &Fingerprint,
    txn: &mut Txn,
) -> Result<Place, SessionError> {
    let holder_id = &ticket.holder_id;
    let replaced = match trust.load::<PhoneSlot>(holder_id).await? {
        None => {
            txn.guards.push(Guard::Absent(record_key::<PhoneSlot>(holder_id)));
            None
        }
        Some((slot, _)) if ticket.replaces.as_ref() != Some(&slot.authenticator_id) => {
            return Ok(Place::OtherPhone);
        }
        Some((slot, rev)) => {
            txn.guards.push(Guard::Rev(slot.key(), rev));
            let old = slot.authenticator_id.0;
            txn.writes.push(Write::Delete(record_key::<Authenticator>(&old)));
            trust.find::<Authenticator>(&old).await?.map(Box::new)
        }
    };
    let slot = PhoneSlot { holder_id: holder_id.clone(), authenticator_id: new_id.clone() };
    txn.writes.push(trust.sealed(&slot)?);
    Ok(Place::Taken { replaced })
}

async fn take_on_ring(
    trust: &TrustStore,
    ticket: &Ticket,
    new_id: &Fingerprint,
    txn: &mut Txn,
) -> Result<Place, SessionError> {
    let holder_id = &ticket.holder_id;
    let mut ring = match trust.load::<KeyRing>(holder_id).await? {
        None => {
            txn.guards.push(Guard::Absent(record_key::<KeyRing>(holder_id)));
            KeyRing { holder_id: holder_id.clone(), authenticator_ids: Vec::new() }
        }
        Some((ring, rev)) => {
            txn.guards.push(Guard::Rev(ring.key(), rev));
            ring
        }
    };
    if ring.authenticator_ids.len() >= MAX_SECURITY_KEYS {
        return Ok(Place::KeysFull);
    }
    ring.authenticator_ids.push(new_id.clone());
    txn.writes.push(trust.sealed(&ring)?);
    Ok(Place::Taken { replaced: None })
}
