//! Query strings and forms: every name known, none twice, percent-encoded UTF-8.

use crate::http::answer::malformed;
use crate::problem::Problem;

/// Values by name, in the order of the names asked for.
#[derive(Debug)]
pub(crate) struct Pairs<const N: usize>([Option<String>; N]);

impl<const N: usize> Pairs<N> {
    /// Reads `text`, in which only `names` may occur and each at most once.
    pub(crate) fn parse(
        text: &str,
        names: [&str; N],
        plus: Plus,
    ) -> Result<[Option<String>; N], Problem> {
        let mut values = Self(std::array::from_fn(|_| None));
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, plus)?;
            let place = names.iter().position(|known| *known == name);
            let Some(slot) = place.and_then(|place| values.0.get_mut(place)) else {
                let known = names.join(", ");
                return Err(malformed(format!("unknown parameter; known here: {known}")));
            };
            if slot.replace(decode(value, plus)?).is_some() {
                return Err(malformed(format!("parameter {name} is given twice")));
            }
        }
        Ok(values.0)
    }
}

/// What `+` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    /// Nothing: two readers would not agree, so it is refused (`%2B` or `%20` say what is meant).
    Refused,
    /// Itself.
    Literal,
    /// A space, as in `application/x-www-form-urlencoded`.
    Space,
}

/// Decodes percent-encoded UTF-8.
pub(crate) fn decode(text: &str, plus: Plus) -> Result<String, Problem> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'%' => {
                let high = rest.next().and_then(hex_digit);
                let low = rest.next().and_then(hex_digit);
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(malformed("a percent sign without two hexadecimal digits"));
                };
                octets.push(high << 4 | low);
            }
            b'+' if plus == Plus::Space => octets.push(b' '),
            b'+' if plus == Plus::Refused => {
                return Err(malformed("write %20 or %2B instead of +"));
            }
            other => octets.push(other),
        }
    }
    String::from_utf8(octets).map_err(|_| malformed("percent-encoded octets are not UTF-8"))
}

fn hex_digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<[Option<String>; 2], Problem> {
        Pairs::parse(text, ["level", "credential"], Plus::Refused)
    }

    #[test]
    fn known_parameters_are_read_in_any_order() {
        let [level, credential] = parse("credential=%E5%8D%B0&level=B-B").unwrap();
        assert_eq!((level.as_deref(), credential.as_deref()), (Some("B-B"), Some("印")));
        assert_eq!(parse("").unwrap(), [None, None]);
    }

    #[test]
    fn unknown_repeated_and_undecodable_parameters_are_refused() {
        for text in ["x=1", "level=B-B&level=B-B", "level=B-B&l%65vel=B-B", "level=%4", "level=%zz"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("level=%ff").is_err());
        assert!(parse("level=a+b").is_err());
        assert!(parse("LEVEL=B-B").is_err());
    }
}
