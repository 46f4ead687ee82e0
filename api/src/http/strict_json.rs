//! JSON that every parser reads the same way (the I-JSON of RFC 7493, and a little less).
//!
//! Refused: names given twice, numbers that are no integers within ±(2^53 - 1), lone surrogates, more than 16 levels,
//! more than 64 names in one object, anything after the value. Types of the wire refuse unknown names on top. The value is
//! an object, and arrays hold strings or objects: serde would take an array of numbers for a type, field by field.

use crate::http::answer::malformed;
use crate::problem::Problem;
use serde::de::DeserializeOwned;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use std::borrow::Cow;
use std::fmt;

const LEVELS: usize = 16;
const NAMES: usize = 64;
const LARGEST: u64 = (1 << 53) - 1;
/// Octets of a parser's complaint that are handed on.
const COMPLAINT: usize = 200;

/// Parses `octets`.
///
/// # Errors
/// `malformed_request`; its detail says where.
pub fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    check(octets)?;
    serde_json::from_slice(octets).map_err(|error| complaint(&error))
}

/// Checks `octets` without keeping anything of them.
fn check(octets: &[u8]) -> Result<(), Problem> {
    let mut checked = serde_json::Deserializer::from_slice(octets);
    Strict { levels: LEVELS, place: Place::Top }
        .deserialize(&mut checked)
        .and_then(|()| checked.end())
        .map_err(|error| complaint(&error))
}

fn complaint(error: &serde_json::Error) -> Problem {
    let text: String = error.to_string().chars().filter(|c| !c.is_control()).collect();
    let end = text.floor_char_boundary(COMPLAINT);
    malformed(format!("JSON: {}", text.get(..end).unwrap_or_default()))
}

/// Walks through a value and keeps nothing but the names of the objects it is in.
#[derive(Clone, Copy)]
struct Strict {
    levels: usize,
    place: Place,
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Member,
    Item,
}

impl Strict {
    fn inner<E: Error>(self, place: Place) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { levels, place })
    }

    /// Anything but strings and objects: a member only.
    fn member<E: Error>(self) -> Result<(), E> {
        match self.place {
            Place::Member => Ok(()),
            Place::Top => Err(E::custom("not an object")),
            Place::Item => Err(E::custom("an item that is neither a string nor an object")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.member()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.member()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        if self.place == Place::Top { self.member() } else { Ok(()) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.member()?;
        if number > LARGEST { Err(E::custom("integer beyond 2^53 - 1")) } else { Ok(()) }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_u64(number.unsigned_abs())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom("number that is not an integer within its range"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.member()?;
        let inner = self.inner(Place::Item)?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner(Place::Member)?;
        let mut names: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Name(name)) = members.next_key()? {
            if names.contains(&name) {
                return Err(A::Error::custom("a name is given twice"));
            }
            if names.len() >= NAMES {
                return Err(A::Error::custom("too many names in one object"));
            }
            names.push(name);
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// A name, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        from.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::NewSession;
    use serde_json::Value;

    #[test]
    fn ordinary_json_is_read() {
        let new: NewSession = parse(br#" {"holder":"u-17","methods":["hpki"]} "#).unwrap();
        assert_eq!(new.holder.as_deref(), Some("u-17"));
        for number in [format!("{LARGEST}"), format!("-{LARGEST}"), "0".into()] {
            parse::<Value>(format!("{{\"n\":{number}}}").as_bytes()).unwrap();
        }
        parse::<Value>(br#"{"a":["b",{"c":[null]}],"d":true}"#).unwrap_err();
        parse::<Value>(br#"{"a":["b",{"c":null}],"d":true}"#).unwrap();
    }

    #[test]
    fn what_two_parsers_may_read_differently_is_refused() {
        let refused: &[&[u8]] = &[
            br#"{"a":1,"a":2}"#,
            br#"{"a":1,"\u0061":2}"#,
            br#"{"x":{"a":1,"a":1}}"#,
            br#"{"x":[{"a":[{"b":1,"b":1}]}]}"#,
            br#"{"n":NaN}"#,
            br#"{"n":Infinity}"#,
            br#"{"n":1e999}"#,
            br#"{"n":1.0}"#,
            br#"{"n":-0}"#,
            br#"{"n":01}"#,
            br#"{"n":9007199254740992}"#,
            br#"{"n":-9007199254740992}"#,
            br#"{"n":18446744073709551616}"#,
            br#"{"s":"\ud800"}"#,
            br#"{"s":"\udc00\ud800"}"#,
            b"{\"s\":\"\xff\"}",
            b"{\"s\":\"\x01\"}",
            b"[]",
            b"null",
            b"\"\"",
            b"1",
            br#"{"a":[[]]}"#,
            br#"{"a":[1,2]}"#,
            br#"{"a":[true]}"#,
            b"\xef\xbb\xbf{}",
            b"{} {}",
            b"{}x",
            b"{\"a\":[\"b\",]}",
            b"{\"a\":1,}",
            b"'a'",
            b"// c\n{}",
            b"",
        ];
        for octets in refused {
            let text = String::from_utf8_lossy(octets);
            assert!(parse::<Value>(octets).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_holds_at_the_limit_and_fails_one_past_it() {
        let nested = |levels: usize| {
            format!("{}{{}}{}", "{\"a\":".repeat(levels - 1), "}".repeat(levels - 1))
        };
        assert!(parse::<Value>(nested(LEVELS).as_bytes()).is_ok());
        assert!(parse::<Value>(nested(LEVELS + 1).as_bytes()).is_err());
        assert!(parse::<Value>(nested(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn names_hold_at_the_limit_and_fail_one_past_it() {
        let object = |names: usize| {
            let members: Vec<_> = (0..names).map(|n| format!("\"k{n}\":{n}")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(parse::<Value>(object(NAMES).as_bytes()).is_ok());
        assert!(parse::<Value>(object(NAMES + 1).as_bytes()).is_err());
        assert!(parse::<Value>(object(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn unknown_names_are_refused_by_the_types() {
        assert!(parse::<NewSession>(br#"{"holder":"u","hodler":"u"}"#).is_err());
    }

    #[test]
    fn complaint_says_where_to_the_last_digit() {
        let problem = parse::<NewSession>(br#"{"methods":[],"purpose":"week"}"#).unwrap_err();
        let detail = problem.detail.unwrap();
        assert!(
            detail
                .ends_with("unknown variant `week`, expected `day` or `once` at line 1 column 30"),
            "{detail}"
        );
    }

    #[test]
    fn complaints_are_short_and_without_control_characters() {
        let long = format!("{{\"purpose\":\"{}\\u0007\\n\"}}", "あ".repeat(1_000));
        let problem = parse::<NewSession>(long.as_bytes()).unwrap_err();
        let detail = problem.detail.unwrap();
        assert!(detail.len() < 300 && !detail.chars().any(char::is_control), "{detail}");
    }
}
