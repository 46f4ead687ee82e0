//! The password of a notification card: 50 random bits that people type.
//!
//! Ten characters of an alphabet in which none looks like another (Crockford's base 32), in two groups. Whoever types them may
//! write small letters, blanks, hyphens and full-width forms, and take O for 0 or I and L for 1.

use crate::sign_in::RandomFailed;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// Characters: 5 bits each.
pub const PASSWORD_CHARS: usize = 10;
/// Characters in a group.
const GROUP_CHARS: usize = 5;
/// Characters of which anything typed is read at all.
const MAX_TYPED_CHARS: usize = 64;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A password in the one form that its verifier is made over.
pub struct Password(Zeroizing<String>);

impl Password {
    /// A fresh one.
    ///
    /// # Errors
    /// [`RandomFailed`].
    pub fn random() -> Result<Self, RandomFailed> {
        let mut octets = Zeroizing::new([0; PASSWORD_CHARS]);
        rand::fill(octets.as_mut()).map_err(|_| RandomFailed)?;
        // 256 is a multiple of 32: every character is as likely as another.
        let characters = octets.iter().filter_map(|octet| ALPHABET.get(usize::from(octet % 32)));
        Ok(Self(Zeroizing::new(characters.map(|character| char::from(*character)).collect())))
    }

    /// What somebody typed, if it can be a password at all.
    pub fn parse(typed: &str) -> Option<Self> {
        let mut plain = Zeroizing::new(String::with_capacity(PASSWORD_CHARS));
        for character in typed.chars().take(MAX_TYPED_CHARS).filter(|c| !separates(*c)) {
            if plain.len() == PASSWORD_CHARS {
                return None;
            }
            plain.push(meant(character)?);
        }
        let is_whole = plain.len() == PASSWORD_CHARS && typed.chars().count() <= MAX_TYPED_CHARS;
        is_whole.then_some(Self(plain))
    }

    /// As it is printed: `7K2MD-9QX4T`.
    pub fn grouped(&self) -> Zeroizing<String> {
        let (first, second) = self.0.split_at_checked(GROUP_CHARS).unwrap_or((&self.0, ""));
        Zeroizing::new(format!("{first}-{second}"))
    }

    /// For the verifier.
    pub(crate) fn octets(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Blanks, and every line that a keyboard has for a hyphen.
fn separates(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '_' | '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '－' | 'ー' | 'ｰ' | '＿'
        )
}

/// The character of the alphabet that was meant.
fn meant(character: char) -> Option<char> {
    let plain = match character {
        // Full-width forms stand in the order of ASCII.
        '！'..='～' => char::from_u32(u32::from(character) - 0xFEE0)?,
        other => other,
    };
    let meant = match plain.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    u8::try_from(meant).ok().filter(|octet| ALPHABET.contains(octet)).map(char::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn read(typed: &str) -> Option<String> {
        Password::parse(typed).map(|password| password.0.to_string())
    }

    #[test]
    fn password_is_read_back_as_it_is_printed() {
        for _ in 0..200 {
            let password = Password::random().unwrap();
            assert_eq!(read(&password.grouped()), Some(password.0.to_string()));
        }
    }

    #[test]
    fn password_is_read_however_the_keyboard_writes_it() {
        for typed in [
            "0A1B2-CDE1F",
            "0a1b2cde1f",
            " oaib2 - cdelf ",
            "ＯＡＩＢ２－ＣＤＥｌＦ",
            "０ａ１ｂ２\u{3000}ｃｄｅ１ｆ",
            "0A1B2ーCDE1F",
            "0A1B2—CDE1F\n",
        ] {
            assert_eq!(read(typed).as_deref(), Some("0A1B2CDE1F"), "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_none() {
        let blanks = " ".repeat(MAX_TYPED_CHARS - PASSWORD_CHARS);
        assert!(read(&format!("{blanks}0A1B2CDE1F")).is_some());
        for typed in [
            "",
            "0A1B2CDE1",
            "0A1B2CDE1FG",
            "0A1B2CDE1U",
            "0A1B2CDE1\u{0}",
            "0A1B2CDE1あ",
            &format!("{blanks} 0A1B2CDE1F"),
        ] {
            assert_eq!(read(typed), None, "{typed}");
        }
    }

    #[test]
    fn every_character_occurs_and_no_two_passwords_are_the_same() {
        let all: Vec<String> =
            (0..500).map(|_| Password::random().unwrap().0.to_string()).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        let seen: HashSet<u8> = all.iter().flat_map(|password| password.bytes()).collect();
        assert_eq!(seen, ALPHABET.iter().copied().collect());
    }
}
