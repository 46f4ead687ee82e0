//! A QR code on a PC's screen that a phone follows: what both know, and what only one of them does.
//!
//! The PC's page keeps one secret. Everything else comes out of it (the link in the QR code, the number on the screen, the
//! code that goes on), so that a page loaded again shows the same, and the store holds digests only. The phone learns the link
//! from the picture and the number from its holder; the code never reaches it.

use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use crate::sign_in::MAX_TRIES;
use crate::sign_in::RandomFailed;
use crate::sign_in::number_fingerprint;
use crate::sign_in::random_secret;
use crate::sign_in::same;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use zeroize::Zeroizing;

/// Longest description of a terminal, in characters: one line on a phone.
const MAX_TERMINAL_CHARS: usize = 120;

/// The secret of a PC's page: 256 random bits, base64url. For a cookie of that page alone; never in a link.
pub struct PageSecret(Zeroizing<String>);

impl PageSecret {
    /// A fresh one.
    ///
    /// # Errors
    /// [`RandomFailed`].
    pub fn random() -> Result<Self, RandomFailed> {
        random_secret().map(|secret| Self(Zeroizing::new(secret)))
    }

    /// The one that a browser sent back, if it has the right form.
    pub fn parse(text: &str) -> Option<Self> {
        let is_secret = text.len() == 43
            && text.bytes().all(
                |octet| matches!(octet, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'),
            );
        is_secret.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret of the same page's second QR code, for another phone than the first.
    pub fn second(&self) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(self.derive(b"inkan second code"))))
    }

    /// What the browser keeps.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What the store keeps.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }

    /// Secret of the link in the QR code; 43 characters, for [`link_token`](crate::sign_in::link_token).
    pub fn link_secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.derive(b"inkan link"))
    }

    /// The code that the page hands on once the phone is done.
    pub fn code(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.derive(b"inkan code"))
    }

    /// The number on the screen: six decimal digits.
    pub fn number(&self) -> String {
        let mac = self.derive(b"inkan number");
        // 64 bits over a million: the unevenness is less than one in ten thousand billion.
        let first: [u8; 8] = mac.as_ref().first_chunk().copied().unwrap_or_default();
        format!("{:06}", u64::from_be_bytes(first) % 1_000_000)
    }

    fn derive(&self, label: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes()), label)
    }
}

/// What became of a number typed on the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberTried {
    /// It is the one.
    Right,
    /// It is not.
    Wrong {
        /// Whether that was the last try.
        denied: bool,
    },
}

/// The part of a record that stands for a QR code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QrLink {
    /// SHA-256 of the link's secret.
    secret: Fingerprint,
    /// SHA-256 of the page's secret.
    page: Fingerprint,
    /// SHA-256 of an id and the number on the screen.
    number: Fingerprint,
    /// Wrong numbers so far.
    tries: u8,
    /// First second at which it is over.
    expires_at: UnixSeconds,
}

impl QrLink {
    /// A link for `page` until `expires_at`. `number` is the [`number_fingerprint`] of the number on the screen.
    pub(crate) fn new(page: &PageSecret, number: Fingerprint, expires_at: UnixSeconds) -> Self {
        Self {
            secret: Fingerprint::of(page.link_secret().as_bytes()),
            page: page.fingerprint(),
            number,
            tries: 0,
            expires_at,
        }
    }

    /// Whether `secret` is the link's; constant time.
    pub fn is_secret(&self, secret: &str) -> bool {
        same(&self.secret, &Fingerprint::of(secret.as_bytes()))
    }

    /// Whether it was made for `page`; constant time.
    pub fn is_page(&self, page: &PageSecret) -> bool {
        same(&self.page, &page.fingerprint())
    }

    /// Whether its time is over at `now`.
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        now >= self.expires_at
    }

    /// First second at which it is over: what the page counts down to.
    pub fn expires_at(&self) -> UnixSeconds {
        self.expires_at
    }

    /// [`number_fingerprint`] of the number on the screen.
    pub(crate) fn number(&self) -> &Fingerprint {
        &self.number
    }

    /// Compares a number typed (constant time) and counts a wrong one; to be stored before it is answered.
    pub(crate) fn try_number(&mut self, id: &str, typed: &str) -> NumberTried {
        if self.tries < MAX_TRIES && same(&self.number, &number_fingerprint(id, typed)) {
            return NumberTried::Right;
        }
        self.tries = self.tries.saturating_add(1);
        NumberTried::Wrong { denied: self.tries >= MAX_TRIES }
    }
}

/// The description of a terminal, as a phone can show it.
pub(crate) fn one_line(terminal: &str) -> String {
    terminal.chars().filter(|c| !c.is_control()).take(MAX_TERMINAL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_of_a_page_secret_is_always_the_same_and_never_the_secret() {
        let page = PageSecret::random().unwrap();
        let again = PageSecret::parse(page.text()).unwrap();
        assert_eq!(page.link_secret(), again.link_secret());
        assert_eq!((page.code(), page.number()), (again.code(), again.number()));
        let shown = [page.text().to_owned(), page.link_secret(), page.code()];
        assert!(shown[0] != shown[1] && shown[1] != shown[2] && shown[0] != shown[2]);
        assert!(page.number().len() == 6 && page.number().bytes().all(|c| c.is_ascii_digit()));
        assert_ne!(page.code(), PageSecret::random().unwrap().code());
        let (second, same) = (page.second(), again.second());
        assert_eq!(second.link_secret(), same.link_secret());
        assert_ne!(second.link_secret(), page.link_secret());
        assert!(PageSecret::parse(second.text()).is_some());
    }

    #[test]
    fn malformed_page_secrets_are_refused() {
        for bad in ["", &"a".repeat(42), &"a".repeat(44), &"=".repeat(43), &"あ".repeat(43)] {
            assert!(PageSecret::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn right_number_after_the_last_try_is_wrong() {
        let page = PageSecret::random().unwrap();
        let number = number_fingerprint("id", &page.number());
        let mut link = QrLink::new(&page, number, UnixSeconds(10));
        for left in (0..5).rev() {
            assert_eq!(link.try_number("id", "x"), NumberTried::Wrong { denied: left == 0 });
        }
        assert_eq!(link.try_number("id", &page.number()), NumberTried::Wrong { denied: true });
    }
}
