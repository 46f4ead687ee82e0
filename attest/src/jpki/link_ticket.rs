//! Leave to link one My Number card, given to whom an HPKI card proved.
//!
//! ```text
//! issued --My Number card proved--> proved --HPKI card shown again--> done   (and any of them: over by the clock)
//!    \_____________ "do not register it" ___\_______________________> denied
//! ```
//! A proved card is linked to nobody yet: whoever stands at the PC shows the HPKI card once more, for this very card.

use super::JpkiLink;
use crate::authenticator::Enroller;
use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use crate::records::TrustRecord;
use crate::vault::Sealed;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// Seconds between the HPKI card and the My Number card: time to exchange them in the reader and type a PIN.
pub const LINK_TICKET_SECONDS: u64 = 300;
/// Seconds for which a ticket that is over is still known as such.
const REMEMBERED_SECONDS: u64 = 3600;

/// Where a ticket stands. Its time may be over in any state: [`LinkTicket::is_open`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum LinkState {
    /// Waits for a My Number card.
    Issued,
    /// A card is proved, and waits for the HPKI card to be shown again.
    Proved {
        /// See [`JpkiLink::card`].
        card: Fingerprint,
        /// See [`JpkiLink::certificate`].
        certificate: Sealed,
        /// Since when: an older handshake confirms nothing.
        at: UnixSeconds,
        /// First second at which it is too late.
        until: UnixSeconds,
    },
    /// Final: a card was linked with it.
    Done,
    /// Final: the holder said no.
    Denied,
}

/// The record. The browser has its secret in a cookie of the HPKI card's listener and, led on by a form, of the My Number card's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkTicket {
    /// 16 random octets, hexadecimal.
    pub ticket_id: String,
    /// SHA-256 of the secret.
    pub secret: Fingerprint,
    /// For whom.
    pub holder_id: String,
    /// By what the holder proved to be themselves.
    pub enrolled_by: Enroller,
    /// The card that the holder agreed to give up, if they had one.
    pub replaces: Option<Fingerprint>,
    /// From where it was asked for.
    pub terminal: String,
    /// Since when: an older handshake proves nothing about it.
    pub created_at: UnixSeconds,
    /// First second at which no card can be proved under it any more.
    pub expires_at: UnixSeconds,
    /// Where it stands.
    pub state: LinkState,
}

impl TrustRecord for LinkTicket {
    const PREFIX: &'static str = "jt/";

    fn id(&self) -> String {
        self.ticket_id.clone()
    }

    fn expires(&self) -> Option<UnixSeconds> {
        Some(self.expires_at.plus(Duration::from_secs(REMEMBERED_SECONDS)))
    }
}

impl LinkTicket {
    /// Whether a card can still be proved under it at `now`.
    pub fn is_open(&self, now: UnixSeconds) -> bool {
        self.state == LinkState::Issued && now < self.expires_at
    }

    /// When the card was proved that waits at `now` for the HPKI card, and until when it does.
    pub fn proved(&self, now: UnixSeconds) -> Option<(UnixSeconds, UnixSeconds)> {
        match &self.state {
            LinkState::Proved { at, until, .. } if now < *until => Some((*at, *until)),
            LinkState::Proved { .. } | LinkState::Issued | LinkState::Done | LinkState::Denied => {
                None
            }
        }
    }

    /// The link that comes of the card that waits, made at `now`.
    pub fn link(&self, now: UnixSeconds) -> Option<JpkiLink> {
        match &self.state {
            LinkState::Proved { card, certificate, until, .. } if now < *until => Some(JpkiLink {
                card: card.clone(),
                holder_id: self.holder_id.clone(),
                enrolled_by: self.enrolled_by.clone(),
                linked_at: now,
                terminal: self.terminal.clone(),
                certificate: certificate.clone(),
                renewed_at: None,
                renewed_from: None,
            }),
            LinkState::Proved { .. } | LinkState::Issued | LinkState::Done | LinkState::Denied => {
                None
            }
        }
    }
}
