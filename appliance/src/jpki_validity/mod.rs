//! Who says whether a My Number card's certificate is valid: what the configuration chose, behind one trait.

use crate::config::Jpki;
use crate::config::ValidityKind;
use attest::judge::Judge;
use attest::validity::CrlValidity;
use attest::validity::JpkiValidity;
use attest::validity::NoProvider;
use std::sync::Arc;

/// The provider that `config` chose.
pub fn provider(config: &Jpki, judge: &Arc<Judge>) -> Arc<dyn JpkiValidity> {
    match config.validity.as_ref().map(|validity| validity.kind) {
        None => Arc::new(NoProvider),
        Some(ValidityKind::Crl) => Arc::new(CrlValidity::new(judge.clone())),
    }
}
