//! What becomes of a number, and of a phone that was proved.

use super::Ticket;
use crate::authenticator::Authenticator;
use crate::clock::UnixSeconds;

/// What became of opening a ticket.
#[derive(Debug)]
pub enum TicketOpened {
    /// The phone may register now.
    Opened(Box<Ticket>),
    /// The number typed is wrong; `denied` when that was the last try.
    WrongNumber {
        /// Whether the ticket is denied now.
        denied: bool,
    },
    /// Unknown, another's, used, denied or too late; nobody is told which.
    Over,
}

/// What became of an authenticator that was proved, or of the card or phone that was asked again for it.
#[derive(Debug)]
pub enum Enrolled {
    /// The card, or the old phone, has to be asked again; nothing is registered before.
    AsksAgain,
    /// It is the holder's now.
    Done {
        /// The new one: to be put into the registry.
        authenticator: Box<Authenticator>,
        /// The old one, gone: to be removed from the registry, its sessions to be ended.
        replaced: Option<Box<Authenticator>>,
    },
    /// Used, denied or too late.
    Over,
    /// This very authenticator is registered already.
    Known,
    /// The holder has another phone than the one they agreed to give up.
    OtherPhone,
    /// The holder has as many security keys as they may.
    KeysFull,
    /// What enrols was added too short a time ago to enrol another.
    TooNew {
        /// When it may.
        from: UnixSeconds,
    },
    /// The holder is disabled, or what proved them is theirs no more.
    NotEntitled,
    /// This very handshake, or answer of the old phone, was used before.
    EvidenceUsed,
    /// The old phone's counter went back in between: there may be a copy of its key.
    CounterBack,
}
