//! What becomes of a password, and of a phone that was proved.

use super::NotificationCard;
use crate::authenticator::Authenticator;
use std::fmt;
use zeroize::Zeroizing;

/// What became of a password.
pub enum Tried {
    /// It is the one: this browser may register a phone.
    Right {
        /// The card.
        card: Box<NotificationCard>,
        /// For the browser alone; exists nowhere else.
        registration: Zeroizing<String>,
    },
    /// It is not.
    Wrong {
        /// The card.
        card: Box<NotificationCard>,
        /// How many more may be tried.
        left: u8,
    },
    /// It was wrong too often before.
    Locked(Box<NotificationCard>),
    /// It is the one, but the holder has a phone: this card registers nothing any more.
    AlreadyRegistered(Box<NotificationCard>),
    /// No such card, or it is over: nobody is told which.
    Over,
}

/// What became of a phone that was proved.
#[derive(Debug)]
pub enum Registered {
    /// It is the holder's phone now; to be put into the registry.
    Done(Box<Authenticator>),
    /// The holder has a phone: this card registers nothing any more.
    AlreadyRegistered,
    /// This very authenticator is registered already.
    Known,
    /// The holder is disabled.
    NotEntitled,
    /// The registration is over: by time, another browser, wrong passwords, an operator.
    Over,
}

/// Without the browser's secret: a log line or a failed assertion must not give it away.
impl fmt::Debug for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right { card, registration: _ } => {
                f.debug_struct("Right").field("card", card).finish_non_exhaustive()
            }
            Self::Wrong { card, left } => {
                f.debug_struct("Wrong").field("card", card).field("left", left).finish()
            }
            Self::Locked(card) => f.debug_tuple("Locked").field(card).finish(),
            Self::AlreadyRegistered(card) => {
                f.debug_tuple("AlreadyRegistered").field(card).finish()
            }
            Self::Over => f.write_str("Over"),
        }
    }
}
