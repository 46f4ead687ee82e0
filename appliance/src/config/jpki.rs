//! My Number cards at sign-in: who says whether a card's certificate is valid.

use crate::config::CrlSource;
use serde::Deserialize;
use std::collections::BTreeMap;

/// My Number cards at sign-in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jpki {
    /// Who says whether a card's certificate is valid. Without it every My Number card is refused.
    pub validity: Option<Validity>,
}

/// Who says whether a card's certificate is valid. The tables of the kinds that are not chosen may stay: they are not read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Which of them is asked.
    pub kind: ValidityKind,
    /// For `crl`: revocation lists of every generation and place, by target id.
    #[serde(default)]
    pub crls: BTreeMap<String, CrlSource>,
}

/// Which kind of provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidityKind {
    /// Revocation lists.
    Crl,
}

impl Jpki {
    /// The revocation lists that are asked, if it is lists.
    pub fn crls(&self) -> Option<&BTreeMap<String, CrlSource>> {
        match &self.validity {
            Some(Validity { kind: ValidityKind::Crl, crls }) => Some(crls),
            None => None,
        }
    }
}
