//! A request of the admin API taken apart along its route: names in the path, filters, a body.

use crate::admin::command::Because;
use crate::http::answer::malformed;
use crate::http::strict_json;
use crate::problem::Problem;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// A request taken apart along its route.
pub(super) struct Parts<'a> {
    pub(super) path: BTreeMap<&'static str, &'a str>,
    pub(super) query: BTreeMap<&'a str, &'a str>,
    pub(super) body: &'a [u8],
}

impl Parts<'_> {
    pub(super) fn named(&self, parameter: &str) -> String {
        self.path.get(parameter).copied().unwrap_or_default().to_owned()
    }

    pub(super) fn asked(&self, parameter: &str) -> Option<String> {
        self.query.get(parameter).map(|value| (*value).to_owned())
    }

    pub(super) fn number(&self, parameter: &str) -> Result<Option<u64>, Problem> {
        self.query.get(parameter).map(|value| whole(parameter, value)).transpose()
    }

    /// The same of the path.
    pub(super) fn named_number(&self, parameter: &str) -> Result<u64, Problem> {
        whole(parameter, self.path.get(parameter).copied().unwrap_or_default())
    }

    /// Why something is withdrawn.
    pub(super) fn reason(&self) -> Result<Option<String>, Problem> {
        Ok(self.body_or_default::<Because>()?.reason)
    }

    /// Nothing at all stands for the body in which nothing is said.
    pub(super) fn body_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        match self.body.trim_ascii() {
            b"" => Ok(T::default()),
            _ => self.body(),
        }
    }

    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        strict_json::parse(self.body)
    }
}

fn whole(parameter: &str, value: &str) -> Result<u64, Problem> {
    let number = value.bytes().all(|octet| octet.is_ascii_digit()).then(|| value.parse().ok());
    number.flatten().ok_or_else(|| malformed(format!("{parameter}: a whole number")))
}

/// The parameters of `segments` when they are of this shape.
pub(super) fn matched<'a>(
    path: &'static str,
    segments: &[&'a str],
) -> Option<BTreeMap<&'static str, &'a str>> {
    let pattern: Vec<&'static str> = path.trim_start_matches('/').split('/').collect();
    if pattern.len() != segments.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (pattern, segment) in pattern.into_iter().zip(segments) {
        match pattern.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => drop(parameters.insert(name, *segment)),
            None if pattern == *segment => {}
            None => return None,
        }
    }
    Some(parameters)
}

/// Every value is plain: nothing here needs percent-encoding, and what has it is refused with its field by `check`.
pub(super) fn parsed<'a>(
    query: &'a str,
    known: &[&str],
) -> Result<BTreeMap<&'a str, &'a str>, Problem> {
    let mut values = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !known.contains(&name) {
            return Err(malformed(format!("query: known here are {known:?}")));
        }
        if values.insert(name, value).is_some() {
            return Err(malformed(format!("query: {name} stands twice")));
        }
    }
    Ok(values)
}
