//! The subjects of a card and a second certificate side by side: two people decide by them whether both are of one person, and
//! where they differ has to meet the eye.

use crate::admin::plan::Plan;

impl Plan {
    /// Each attribute of `card` and `certificate` (RFC 4514 text), those that differ marked.
    pub(super) fn comparing(self, other: &str, card: &str, certificate: &str) -> Self {
        compared(card, certificate).into_iter().fold(self, |plan, (attribute, words)| {
            plan.about(&format!("beside {other}, {attribute}"), words)
        })
    }
}

/// Attribute type, and both values in words; in the order of the card, then what only the certificate has.
fn compared(card: &str, certificate: &str) -> Vec<(String, String)> {
    let (card, certificate) = (attributes(card), attributes(certificate));
    let mut kinds: Vec<&str> = Vec::new();
    for (kind, _) in card.iter().chain(&certificate) {
        if !kinds.contains(&kind.as_str()) {
            kinds.push(kind);
        }
    }
    let values = |of: &[(String, String)], kind: &str| {
        let values: Vec<_> =
            of.iter().filter(|(other, _)| other == kind).map(|(_, value)| value.as_str()).collect();
        match values.is_empty() {
            true => "nothing".to_owned(),
            false => values.join(", "),
        }
    };
    let line = |kind: &str| match (values(&card, kind), values(&certificate, kind)) {
        (card, certificate) if card == certificate => format!("same: {card}"),
        (card, certificate) => format!("DIFFERS: card {card} | second certificate {certificate}"),
    };
    kinds.iter().map(|kind| ((*kind).to_owned(), line(kind))).collect()
}

/// Attribute types and values of a distinguished name; an escaped separator separates nothing.
///
/// # Source
/// RFC 4514 §3.
fn attributes(name: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let mut is_escaped = false;
    for char in name.chars() {
        if !is_escaped && (char == ',' || char == '+') {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(char);
        }
        is_escaped = char == '\\' && !is_escaped;
    }
    let pair = |part: &String| {
        let (kind, value) = part.split_once('=').unwrap_or(("?", part));
        (kind.trim().to_owned(), value.trim().to_owned())
    };
    parts.iter().filter(|part| !part.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_differ_are_marked_and_those_that_agree_are_not() {
        let card = "CN=YAMADA HANAKO,serialNumber=1,O=A\\, B,C=JP";
        let certificate = "CN=YAMADA HANAKO,serialNumber=2,C=JP,OU=Ward";
        let lines = compared(card, certificate);
        let line = |kind: &str| {
            lines.iter().find(|(other, _)| other == kind).map(|(_, words)| words.as_str())
        };
        assert_eq!(line("CN"), Some("same: YAMADA HANAKO"));
        assert_eq!(line("serialNumber"), Some("DIFFERS: card 1 | second certificate 2"));
        assert_eq!(line("O"), Some("DIFFERS: card A\\, B | second certificate nothing"));
        assert_eq!(line("OU"), Some("DIFFERS: card nothing | second certificate Ward"));
        assert_eq!(line("C"), Some("same: JP"));
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn value_that_occurs_twice_is_compared_as_a_whole() {
        let lines = compared("OU=a+OU=b", "OU=a");
        assert_eq!(lines, [("OU".into(), "DIFFERS: card a, b | second certificate a".into())]);
    }
}
