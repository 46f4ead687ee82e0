//! Ceremonies under way, and whose places they take.

use super::ceremony::CEREMONY_SECONDS;
use super::fido2::Binding;
use super::fido2::Fido2Error;
use super::fido2::Purpose;
use crate::authenticator::Authenticator;
use crate::authenticator::AuthenticatorKind;
use crate::clock::UnixSeconds;
use crate::own_page::PORTAL;
use crate::records::Fingerprint;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use webauthn_rs::prelude::PasskeyAuthentication;
use webauthn_rs::prelude::PasskeyRegistration;

/// Ceremonies at once that were asked for: ten thousand holders do not sign in within the same two minutes.
const MAX_CEREMONIES: usize = 4_096;
/// Ceremonies at once for what anybody may begin without a login link. One more ends the oldest of them, and no other.
pub const MAX_WITHOUT_LINK: usize = 512;
/// Ceremonies at once for one ticket or hand-off: cancelled and tried again, or two phones.
const MAX_PER_OWNER: usize = 8;

/// Every ceremony under way, by its name.
#[derive(Default)]
pub(super) struct Ceremonies {
    under_way: HashMap<String, Ceremony>,
    /// How many were begun, in this process.
    begun: u64,
}

pub(super) struct Ceremony {
    pub(super) owner: String,
    share: Share,
    /// How many were begun before it.
    begun: u64,
    pub(super) expires_at: UnixSeconds,
    pub(super) step: Step,
}

impl Ceremonies {
    /// Begins a ceremony for `owner`, if there is a place for it.
    pub(super) fn begin(
        &mut self,
        ceremony_id: String,
        owner: &str,
        step: Step,
        now: UnixSeconds,
    ) -> Result<(), Fido2Error> {
        self.under_way.retain(|_, ceremony| ceremony.expires_at > now);
        let share = Share::of(&step);
        self.make_room(share, owner)?;
        let expires_at = now.plus(Duration::from_secs(CEREMONY_SECONDS));
        let (owner, begun) = (owner.to_owned(), self.begun);
        self.begun = begun.saturating_add(1);
        self.under_way.insert(ceremony_id, Ceremony { owner, share, begun, expires_at, step });
        Ok(())
    }

    /// Takes a ceremony out, whatever comes of it.
    pub(super) fn take(&mut self, ceremony_id: &str) -> Option<Ceremony> {
        self.under_way.remove(ceremony_id)
    }

    /// A place in `share`, or none is free.
    fn make_room(&mut self, share: Share, owner: &str) -> Result<(), Fido2Error> {
        let ceremonies = &mut self.under_way;
        match share {
            Share::Asked => {
                let asked = ceremonies.values().filter(|ceremony| ceremony.share == share);
                let of_owner = asked.clone().filter(|ceremony| ceremony.owner == owner).count();
                match asked.count() < MAX_CEREMONIES && of_owner < MAX_PER_OWNER {
                    true => Ok(()),
                    false => Err(Fido2Error::Busy),
                }
            }
            Share::WithoutLink => {
                // One live question a page: the one asked last.
                ceremonies.retain(|_, ceremony| ceremony.share != share || ceremony.owner != owner);
                let others = ceremonies.iter().filter(|(_, ceremony)| ceremony.share == share);
                if others.clone().count() >= MAX_WITHOUT_LINK
                    && let Some((oldest, _)) = others.min_by_key(|(_, ceremony)| ceremony.begun)
                {
                    let oldest = oldest.clone();
                    ceremonies.remove(&oldest);
                }
                Ok(())
            }
        }
    }
}

/// Whose places a ceremony takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// A signing system asked for it, or a factor or letter was shown before: there is a login link or a ticket.
    Asked,
    /// What begins a change of phone or a sign-in for the portal itself: nobody answers for whoever began it.
    WithoutLink,
}

impl Share {
    fn of(step: &Step) -> Self {
        let Step::Assertion(assertion) = step else {
            return Self::Asked;
        };
        let Binding { purpose, system_id, .. } = &assertion.binding;
        match purpose {
            Purpose::ConfirmPhone => Self::Asked,
            Purpose::Day | Purpose::Once | Purpose::ChangePhone if system_id == PORTAL => {
                Self::WithoutLink
            }
            Purpose::Day | Purpose::Once | Purpose::ChangePhone => Self::Asked,
        }
    }
}

pub(super) enum Step {
    Registration(Box<Registration>),
    Assertion(Box<Assertion>),
}

pub(super) struct Registration {
    pub(super) state: PasskeyRegistration,
    pub(super) user_handle: Vec<u8>,
    pub(super) known: Vec<Fingerprint>,
    pub(super) kind: AuthenticatorKind,
}

pub(super) struct Assertion {
    pub(super) state: PasskeyAuthentication,
    pub(super) challenge: Vec<u8>,
    pub(super) binding: Binding,
    pub(super) asked: Vec<Arc<Authenticator>>,
}
