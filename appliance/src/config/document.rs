//! A TOML document with places, and every structural fault in it, not only the first.
//!
//! Deserialising stops at the first fault. So each fault found is noted and mended in memory with what stands at the same
//! place of the example file, and the document is read again, until nothing is left to say.

use crate::config::fault::Fault;
use crate::config::fault::nearest;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;
use toml::de::Error;

/// Faults after which the rest is not looked for: nobody reads more at once.
const MAX_FAULTS: usize = 100;

/// Words in a key that say that its value is a secret.
const SECRET_WORDS: [&str; 5] = ["pin", "password", "passwd", "passphrase", "secret"];

/// What a text says.
pub struct Reading<T> {
    /// The value, where there is no fault.
    pub value: Option<T>,
    /// Every structural fault.
    pub faults: Vec<Fault>,
    /// Line of each key path.
    pub lines: BTreeMap<String, usize>,
}

/// Reads `text` as `T`; `example` is a complete document of the same shape.
pub fn read<'i, T: DeserializeOwned>(text: &'i str, example: &'i str) -> Reading<T> {
    let (mut document, syntax) = DeTable::parse_recoverable(text);
    let lines = lines(text, document.get_ref());
    if !syntax.is_empty() {
        let faults = syntax.iter().map(|error| syntax_fault(text, error)).collect();
        return Reading { value: None, faults, lines };
    }
    let (example, _) = DeTable::parse_recoverable(example);
    let mut faults: Vec<Fault> = Vec::new();
    while faults.len() < MAX_FAULTS {
        let error = match T::deserialize(toml::Deserializer::from(document.clone())) {
            Ok(value) => {
                let value = faults.is_empty().then_some(value);
                return Reading { value, faults, lines };
            }
            Err(error) => error,
        };
        let place = place_of(document.get_ref(), error.span());
        let fault = structural_fault(text, &error, &place, example.get_ref());
        if faults.contains(&fault) {
            break;
        }
        faults.push(fault);
        mend(document.get_mut(), &error, &place, example.get_ref());
    }
    Reading { value: None, faults, lines }
}

/// Steps to a value: table keys, or indices in arrays as decimal text.
type Place = Vec<String>;

fn syntax_fault(text: &str, error: &Error) -> Fault {
    let mut fault = Fault::error(
        "",
        format!("this is not TOML: {}", error.message()),
        "write key = value lines under [table] headers; texts stand in quotes",
    );
    fault.line = error.span().map(|span| line(text, span.start));
    fault
}

fn structural_fault(text: &str, error: &Error, place: &Place, example: &DeTable<'_>) -> Fault {
    let (names, message) = (quoted(error.message()), error.message());
    let mut fault = match kind(message) {
        Kind::Unknown => {
            let (unknown, known) = names.split_first().unwrap_or((&"", &[]));
            unknown_fault(place, unknown, known)
        }
        Kind::Missing => {
            let mut missing = place.clone();
            missing.extend(names.first().map(|name| (*name).to_owned()));
            let key = joined(&missing);
            let name = names.first().copied().unwrap_or_default();
            Fault::error(key, "this key is missing", written(name, found(example, &missing)))
        }
        Kind::Value => {
            let name = place.last().map_or("", String::as_str);
            Fault::error(joined(place), in_words(message), written(name, found(example, place)))
        }
    };
    fault.line = error.span().map(|span| line(text, span.start));
    fault
}

fn unknown_fault(place: &Place, unknown: &str, known: &[&str]) -> Fault {
    let is_secret = SECRET_WORDS.iter().any(|word| unknown.to_lowercase().contains(word));
    if is_secret && nearest(unknown, known.iter().copied()).is_none() {
        return Fault::error(
            joined(place),
            "a secret never stands in this file, which others may read and back up",
            "delete the line, treat the secret as disclosed and change it; the PIN comes from the \
             systemd credential hsm-pin or from the private file that hsm.pin_file names",
        );
    }
    let instead = match nearest(unknown, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant}? Known here: {}", known.join(", ")),
        None => format!("delete it; known here: {}", known.join(", ")),
    };
    Fault::error(joined(place), "this key is unknown", instead)
}

/// What serde's message is about.
enum Kind {
    Unknown,
    Missing,
    Value,
}

fn kind(message: &str) -> Kind {
    match message {
        _ if message.starts_with("unknown field") => Kind::Unknown,
        _ if message.starts_with("missing field") => Kind::Missing,
        _ => Kind::Value,
    }
}

/// The names between backticks, in order.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// serde's message in an operator's words.
fn in_words(message: &str) -> String {
    let words = [
        ("invalid type: ", "this is "),
        ("invalid value: ", "this is "),
        ("invalid length ", "this has length "),
        ("unknown variant ", "this value is unknown: "),
        (
            "wanted exactly 1 element, more than 1 element",
            "two choices are written, one is possible",
        ),
        ("expected u64", "wanted is a whole number"),
        ("expected u32", "wanted is a whole number"),
        ("expected usize", "wanted is a whole number"),
        ("expected a string", "wanted is a text in quotes"),
        ("expected path string", "wanted is a path in quotes"),
        ("expected a boolean", "wanted is true or false"),
        ("expected a sequence", "wanted is a list [ ... ]"),
        ("invalid socket address syntax", "this is no address with port"),
    ];
    words.iter().fold(message.to_owned(), |text, (from, to)| text.replacen(from, to, 1))
}

fn written(name: &str, example: Option<&Spanned<DeValue<'_>>>) -> String {
    let whole = "`inkan check-config --example` prints a complete file";
    match example.map(|value| value.get_ref()) {
        // A choice of one thing is written in one line; a table of many is better read in its place.
        Some(DeValue::Table(table)) if table.len() != 1 => {
            format!("write a table [{name}]; {whole}")
        }
        Some(value) => format!("for example: {name} = {}", toml_text(value)),
        None => whole.to_owned(),
    }
}

fn toml_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(values) => {
            let values: Vec<_> = values.iter().map(|value| toml_text(value.get_ref())).collect();
            format!("[{}]", values.join(", "))
        }
        DeValue::Table(table) => {
            let pairs = table
                .iter()
                .map(|(key, value)| format!("{} = {}", key.get_ref(), toml_text(value.get_ref())));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn joined(place: &Place) -> String {
    place.join(".")
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|octet| *octet == b'\n').count() + 1
}

/// The place whose key or value stands at `span`; the document itself when there is none.
fn place_of(document: &DeTable<'_>, span: Option<Range<usize>>) -> Place {
    let mut found = Vec::new();
    let Some(span) = span else {
        return found;
    };
    walk(document, &mut Vec::new(), &mut |place, key, value| {
        if found.is_empty() && (key == Some(&span) || *value == span) {
            found = place.clone();
        }
    });
    found
}

fn lines(text: &str, document: &DeTable<'_>) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    walk(document, &mut Vec::new(), &mut |place, key, value| {
        lines.insert(joined(place), line(text, key.unwrap_or(value).start));
    });
    lines
}

type Visit<'v> = &'v mut dyn FnMut(&Place, Option<&Range<usize>>, &Range<usize>);

fn walk(table: &DeTable<'_>, place: &mut Place, visit: Visit<'_>) {
    for (key, value) in table {
        place.push(key.get_ref().to_string());
        visit(place, Some(&key.span()), &value.span());
        walk_value(value.get_ref(), place, visit);
        place.pop();
    }
}

fn walk_value(value: &DeValue<'_>, place: &mut Place, visit: Visit<'_>) {
    match value {
        DeValue::Table(table) => walk(table, place, visit),
        DeValue::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                place.push(index.to_string());
                visit(place, None, &value.span());
                walk_value(value.get_ref(), place, visit);
                place.pop();
            }
        }
        _ => {}
    }
}

/// What stands at `place`. A key that only the operator chooses (a target id) finds the example's first.
fn found<'e, 'i>(example: &'e DeTable<'i>, place: &[String]) -> Option<&'e Spanned<DeValue<'i>>> {
    let (first, rest) = place.split_first()?;
    let known = example.iter().find(|(key, _)| key.get_ref() == first);
    let only = || example.iter().next().filter(|_| example.len() == 1);
    let (_, value) = known.or_else(only)?;
    if rest.is_empty() {
        return Some(value);
    }
    match value.get_ref() {
        DeValue::Table(table) => found(table, rest),
        _ => None,
    }
}

/// Makes the fault go away, so that the next one shows.
fn mend<'i>(document: &mut DeTable<'i>, error: &Error, place: &Place, example: &DeTable<'i>) {
    let mut place = place.clone();
    match kind(error.message()) {
        Kind::Unknown => put(document, &place, None),
        Kind::Missing => {
            place.extend(quoted(error.message()).first().map(|name| (*name).to_owned()));
            put(document, &place, found(example, &place));
        }
        // A choice that is none stands where a key stands: the whole choice goes.
        Kind::Value => {
            if found(example, &place).is_none() && place.len() > 1 {
                place.pop();
            }
            put(document, &place, found(example, &place));
        }
    }
}

/// Puts `mended` at `place`, or removes what is there.
fn put<'i>(table: &mut DeTable<'i>, place: &[String], mended: Option<&Spanned<DeValue<'i>>>) {
    let Some((first, rest)) = place.split_first() else {
        return;
    };
    let key = table.keys().find(|key| key.get_ref() == first).cloned();
    match (key, rest, mended) {
        (None, [], Some(mended)) => {
            let key = Spanned::new(0..0, first.clone().into());
            table.insert(key, mended.clone());
        }
        (Some(key), [], None) => drop(table.remove(&key)),
        (Some(key), [], Some(mended)) => drop(table.insert(key, mended.clone())),
        (Some(key), rest, mended) => match table.get_mut(&key).map(Spanned::get_mut) {
            Some(DeValue::Table(table)) => put(table, rest, mended),
            // A list with a wrong entry: all of it goes, the first wrong entry stands for the rest.
            Some(DeValue::Array(values)) => *values = Default::default(),
            _ => {}
        },
        (None, ..) => {}
    }
}
