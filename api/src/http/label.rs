//! `Document-Label`: what a document is called, for people. Never trusted, never a path, never an identity.

use crate::http::answer::malformed;
use crate::http::query;
use crate::http::query::Plus;
use crate::problem::Problem;
use crate::text::is_invisible;

/// Characters of a label.
pub(crate) const CHARACTERS: usize = 256;

/// Reads a header value: UTF-8 as it stands, percent-encoded UTF-8, or a quoted string (RFC 8941 §3.3.3). Control and
/// bidi characters are taken out; an empty rest is no label.
pub(crate) fn parse(value: &[u8]) -> Result<Option<String>, Problem> {
    let text = std::str::from_utf8(value)
        .map_err(|_| malformed("Document-Label: neither UTF-8 nor percent-encoded UTF-8"))?;
    let text = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => unquote(quoted)?,
        None => query::decode(text, Plus::Literal).unwrap_or_else(|_| text.to_owned()),
    };
    clean(&text)
}

/// Takes out what could deceive a reader, but not the private characters in which names are written; refuses a label that is too long.
pub(crate) fn clean(text: &str) -> Result<Option<String>, Problem> {
    let text: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    let text = text.trim();
    if text.chars().count() > CHARACTERS {
        return Err(malformed(format!("a label has at most {CHARACTERS} characters")));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn unquote(quoted: &str) -> Result<String, Problem> {
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some(escaped @ ('"' | '\\')) => text.push(escaped),
                _ => return Err(malformed("Document-Label: wrong escape in a quoted string")),
            },
            '"' => return Err(malformed("Document-Label: a quote inside a quoted string")),
            other => text.push(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_write_the_same_label() {
        let label = Some("処方箋 \"1\"".to_owned());
        assert_eq!(parse("処方箋 \"1\"".as_bytes()).unwrap(), label);
        assert_eq!(parse(b"%E5%87%A6%E6%96%B9%E7%AE%8B%20%221%22").unwrap(), label);
        assert_eq!(parse("\"処方箋 \\\"1\\\"\"".as_bytes()).unwrap(), label);
    }

    #[test]
    fn text_that_is_no_percent_encoding_stays_as_it_is() {
        assert_eq!(parse(b"NaCl 0.9% 500ml").unwrap().as_deref(), Some("NaCl 0.9% 500ml"));
        assert_eq!(parse(b"a+b").unwrap().as_deref(), Some("a+b"));
    }

    #[test]
    fn control_and_bidi_characters_are_taken_out() {
        let evil = "A\u{202e}fdp.exe\u{2066}\u{200b}%0d%0aX: y%1b[31m";
        assert_eq!(parse(evil.as_bytes()).unwrap().as_deref(), Some("Afdp.exeX: y[31m"));
        assert_eq!(parse("\u{200f}%00".as_bytes()).unwrap(), None);
        let fillers = "a\u{ad}b\u{3164}\u{180e}\u{e000}";
        assert_eq!(parse(fillers.as_bytes()).unwrap().as_deref(), Some("ab\u{e000}"));
    }

    #[test]
    fn length_holds_at_the_limit_and_fails_one_past_it() {
        assert!(parse("印".repeat(CHARACTERS).as_bytes()).is_ok());
        assert!(parse("印".repeat(CHARACTERS + 1).as_bytes()).is_err());
    }

    #[test]
    fn octets_that_are_no_utf8_are_refused() {
        assert!(parse(b"\xff\xfe").is_err());
    }
}
