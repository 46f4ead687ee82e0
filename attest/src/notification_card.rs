//! Notification cards (通知カード): a phone is registered by a link and a password, without a computer and without a card.
//!
//! ```text
//! issued --a password typed--> opened --the right one--> registering --phone proved--> done
//!    \______________________________|__________________________|__> already_registered, withdrawn
//!                                   wrong five times in all: locked          (and any of them: over by the clock)
//! ```
//! Two operators hand the link and the password out on two sheets. A try is counted, durably, before anything is compared, so
//! that neither eight tries at once nor a crash ever count fewer; a right one gives its own count back. Tries wait for one
//! another: one that is not decided yet locks nobody out. The password's verifier is a MAC that only the HSM makes: whoever
//! has the disk cannot search for it. A holder has one live card: a new one withdraws the old one. It registers the holder's
//! first phone and never replaces one.

mod cards;
mod outcome;

pub use cards::CardError;
pub use cards::MacUnavailable;
pub use cards::NewCard;
pub use cards::NotificationCards;
pub use cards::PasswordMac;
pub use outcome::Registered;
pub use outcome::Tried;

use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use crate::records::TrustRecord;
use crate::sign_in::MAX_TRIES;
use crate::sign_in::same;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// Seconds for which the right password opens a registration: time to set up a fingerprint and try again.
pub const REGISTRATION_SECONDS: u64 = 900;
/// Seconds for which a card that is over is still listed.
const REMEMBERED_SECONDS: u64 = 30 * 24 * 3600;

/// Where a card stands, as stored. Tries lock it and the clock ends it in the first three: [`NotificationCard::standing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum CardState {
    /// Nobody has typed a password.
    Issued,
    /// Somebody has.
    Opened,
    /// The right one was typed; this browser may register a phone.
    Registering {
        /// SHA-256 of the secret that the browser keeps.
        registration: Fingerprint,
        /// Where it is, in one line.
        terminal: String,
        /// First second at which the password has to be typed again.
        until: UnixSeconds,
    },
    /// Final.
    Done {
        /// The phone that was registered.
        authenticator_id: Fingerprint,
        /// SHA-256 of the secret of the browser that did it.
        registration: Fingerprint,
    },
    /// The password was right, but the holder has a phone. Final.
    AlreadyRegistered,
    /// An operator withdrew it, or issued another one. Final.
    Withdrawn,
}

/// What can be done with a card now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStanding {
    /// A password may be typed.
    Live,
    /// The password was wrong too often.
    Locked,
    /// Its time is over.
    Expired,
    /// Used, withdrawn, or no use: see the state.
    Over,
}

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationCard {
    /// 16 random octets, hexadecimal.
    pub card_id: String,
    /// SHA-256 of the link's secret.
    secret: Fingerprint,
    /// For whom.
    pub holder_id: String,
    /// 16 random octets, hexadecimal.
    salt: String,
    /// The HSM's MAC over context, id, salt and password, hexadecimal.
    verifier: Fingerprint,
    /// Passwords that were wrong, and those of which it is not decided yet.
    pub tries: u8,
    /// Operator who asked for it.
    pub issued_by: String,
    /// Operator who approved it.
    pub countersigned_by: String,
    /// Since when.
    pub issued_at: UnixSeconds,
    /// First second at which it is over.
    pub expires_at: UnixSeconds,
    /// Where it stands.
    pub state: CardState,
}

impl TrustRecord for NotificationCard {
    const PREFIX: &'static str = "c/";

    fn id(&self) -> String {
        self.card_id.clone()
    }

    fn expires(&self) -> Option<UnixSeconds> {
        Some(self.expires_at.plus(Duration::from_secs(REMEMBERED_SECONDS)))
    }
}

impl NotificationCard {
    /// What can be done with it at `now`.
    pub fn standing(&self, now: UnixSeconds) -> CardStanding {
        match self.state {
            CardState::Done { .. } | CardState::AlreadyRegistered | CardState::Withdrawn => {
                CardStanding::Over
            }
            CardState::Issued | CardState::Opened | CardState::Registering { .. } => {
                match (now >= self.expires_at, self.tries >= MAX_TRIES) {
                    (true, _) => CardStanding::Expired,
                    (false, true) => CardStanding::Locked,
                    (false, false) => CardStanding::Live,
                }
            }
        }
    }

    /// Whether the browser with this secret may register a phone at `now`; until when.
    pub fn registers(&self, registration: &str, now: UnixSeconds) -> Option<UnixSeconds> {
        let registration = Fingerprint::of(registration.as_bytes());
        match &self.state {
            CardState::Registering { registration: of, until, .. }
                if self.standing(now) == CardStanding::Live
                    && now < *until
                    && same(of, &registration) =>
            {
                Some(*until)
            }
            _ => None,
        }
    }

    /// The browser in which the right password was typed last, while it registers.
    pub(crate) fn terminal(&self) -> Option<&str> {
        match &self.state {
            CardState::Registering { terminal, .. } => Some(terminal),
            _ => None,
        }
    }

    /// Which phone the browser with this secret registered.
    pub fn registered_by(&self, registration: &str) -> Option<&Fingerprint> {
        match &self.state {
            CardState::Done { authenticator_id, registration: of }
                if same(of, &Fingerprint::of(registration.as_bytes())) =>
            {
                Some(authenticator_id)
            }
            _ => None,
        }
    }

    fn is_secret(&self, secret: &str) -> bool {
        same(&self.secret, &Fingerprint::of(secret.as_bytes()))
    }
}
