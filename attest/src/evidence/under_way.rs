//! Ceremonies under way, and whose places they take.

use super::fido2::Binding;
use super::fido2::Fido2Error;
use crate::authenticator::Authenticator;
use crate::clock::UnixSeconds;
use crate::own_page::PORTAL;
use crate::records::Fingerprint;
use std::collections::HashMap;
use std::sync::Arc;
use webauthn_rs::prelude::PasskeyAuthentication;
use webauthn_rs::prelude::PasskeyRegistration;

/// Ceremonies at once: ten thousand holders do not sign in within the same two minutes.
const MAX_CEREMONIES: usize = 4_096;
/// Ceremonies at once for what anybody may begin without a login link. One more ends the oldest of them, and no other.
pub const MAX_WITHOUT_LINK: usize = 512;
/// Ceremonies at once for one ticket or hand-off: cancelled and tried again, or two phones.
const MAX_PER_OWNER: usize = 8;

pub(super) struct Ceremony {
    pub(super) owner: String,
    pub(super) share: Share,
    /// How many were begun before it, in this process.
    pub(super) begun: u64,
    pub(super) expires_at: UnixSeconds,
    pub(super) step: Step,
}

/// Whose places a ceremony takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// A signing system asked for it, or a factor or letter was shown.
    Asked,
    /// A change of phone or a sign-in for the portal itself: nobody answers for whoever began it.
    WithoutLink,
}

impl Share {
    pub(super) fn of(step: &Step) -> Self {
        match step {
            Step::Assertion(assertion) if assertion.binding.system_id == PORTAL => {
                Self::WithoutLink
            }
            Step::Assertion(_) | Step::Registration(_) => Self::Asked,
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
}

pub(super) struct Assertion {
    pub(super) state: PasskeyAuthentication,
    pub(super) challenge: Vec<u8>,
    pub(super) binding: Binding,
    pub(super) asked: Vec<Arc<Authenticator>>,
}

/// A place in `share`, or none is free.
pub(super) fn make_room(
    ceremonies: &mut HashMap<String, Ceremony>,
    share: Share,
    owner: &str,
) -> Result<(), Fido2Error> {
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
