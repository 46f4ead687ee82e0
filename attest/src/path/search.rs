//! Finding a path: from the leaf upwards, by name and key identifier, each step proved by its signature.
//!
//! Several generations of one CA share a name: the key identifier orders the candidates and the signature decides. The work
//! is bounded in depth, in signatures verified and in whole paths tried, whatever is offered.

use super::Certificate;
use super::MAX_CANDIDATES;
use super::MAX_PATH_CERTIFICATES;
use super::PathError;
use super::PathRequest;
use super::Place;
use super::TrustAnchor;
use super::ValidPath;
use super::signature::SignatureFault;
use std::sync::Arc;

/// Signatures verified in one search. A path of 8 through three generations each needs 24.
const MAX_SIGNATURES: usize = 128;
/// Whole paths validated in one search.
const MAX_PATHS: usize = 16;

/// A chain whose names and signatures fit together.
pub(super) struct Chain<'a> {
    pub anchor: &'a TrustAnchor,
    /// From the certificate that the anchor issued to the leaf.
    pub certificates: Vec<Arc<Certificate>>,
}

/// Calls `judge` for each chain found, the most promising first, until one is valid.
///
/// # Errors
/// The reason of the first chain refused; without any chain, why none was found.
pub(super) fn search<'a>(
    request: &PathRequest<'a>,
    judge: impl FnMut(Chain<'a>) -> Result<ValidPath, PathError>,
) -> Result<ValidPath, PathError> {
    if request.intermediates.len() > MAX_CANDIDATES {
        return Err(PathError::Limit("too many intermediate certificates"));
    }
    let target_key = request.target.spki_der();
    if request.anchors.iter().any(|anchor| anchor.certificate().spki_der() == target_key) {
        return Err(PathError::TargetIsAnchor);
    }
    let mut search =
        Search { request, judge, signatures: MAX_SIGNATURES, paths: MAX_PATHS, refusal: None };
    let mut chain = vec![Arc::clone(request.target)];
    match search.extend(&mut chain) {
        Some(path) => Ok(path),
        None => Err(search.refusal.map_or_else(|| unknown(request.target), |(_, error)| error)),
    }
}

struct Search<'r, 'a, J> {
    request: &'r PathRequest<'a>,
    judge: J,
    signatures: usize,
    paths: usize,
    /// How far the refusal kept had come, and the refusal.
    refusal: Option<(Progress, PathError)>,
}

/// How far a path came before it was refused; the furthest says most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    NoIssuer,
    NoSignature,
    Limit,
    WholeChain,
}

impl<'a, J> Search<'_, 'a, J>
where
    J: FnMut(Chain<'a>) -> Result<ValidPath, PathError>,
{
    /// `chain`: leaf first. Returns the first valid path through it.
    fn extend(&mut self, chain: &mut Vec<Arc<Certificate>>) -> Option<ValidPath> {
        let child = Arc::clone(chain.last()?);
        let anchors = self.ordered(&child, self.request.anchors, |anchor| anchor.certificate());
        let issuers = self.ordered(&child, self.request.intermediates, |issuer| issuer);
        if anchors.is_empty() && issuers.is_empty() {
            self.note(Progress::NoIssuer, unknown(&child));
        }
        for anchor in anchors {
            if self.signed(chain, &child, anchor.certificate())
                && let Some(path) = self.judge_chain(anchor, chain)
            {
                return Some(path);
            }
        }
        for issuer in issuers {
            if chain.iter().any(|one| same_entity(one, issuer)) {
                continue;
            }
            if chain.len() >= MAX_PATH_CERTIFICATES {
                self.note(Progress::Limit, PathError::PathTooLong);
                return None;
            }
            if self.signed(chain, &child, issuer) {
                chain.push(Arc::clone(issuer));
                let found = self.extend(chain);
                chain.pop();
                if found.is_some() {
                    return found;
                }
            }
            if self.paths == 0 || self.signatures == 0 {
                return None;
            }
        }
        None
    }

    fn judge_chain(
        &mut self,
        anchor: &'a TrustAnchor,
        chain: &[Arc<Certificate>],
    ) -> Option<ValidPath> {
        if self.paths == 0 {
            self.note(Progress::Limit, PathError::Limit("too many paths"));
            return None;
        }
        self.paths -= 1;
        let certificates = chain.iter().rev().cloned().collect();
        match (self.judge)(Chain { anchor, certificates }) {
            Ok(path) => Some(path),
            Err(error) => {
                self.note(Progress::WholeChain, error);
                None
            }
        }
    }

    fn signed(
        &mut self,
        chain: &[Arc<Certificate>],
        child: &Certificate,
        issuer: &Certificate,
    ) -> bool {
        if self.signatures == 0 {
            self.note(Progress::Limit, PathError::Limit("too many signatures"));
            return false;
        }
        self.signatures -= 1;
        match child.verify_signed_by(issuer) {
            Ok(()) => true,
            Err(fault) => {
                self.note(Progress::NoSignature, unsigned(chain, child, issuer, fault));
                false
            }
        }
    }

    /// Candidates whose subject is the child's issuer: matching key identifier first, valid now first.
    fn ordered<'c, T>(
        &self,
        child: &Certificate,
        candidates: &'c [T],
        certificate: impl Fn(&T) -> &Arc<Certificate>,
    ) -> Vec<&'c T> {
        let wanted = child.authority_key_id();
        let at = self.request.at;
        let mut named: Vec<_> =
            candidates.iter().filter(|one| child.names_as_issuer(certificate(one))).collect();
        named.sort_by_cached_key(|one| {
            let one = certificate(one);
            let other_key = wanted.is_some() && one.subject_key_id() != wanted;
            let outside = at < one.not_before() || at > one.not_after();
            (other_key, outside)
        });
        named
    }

    /// Keeps the refusal that came furthest; of equals the first, which was the most promising.
    fn note(&mut self, progress: Progress, error: PathError) {
        if self.refusal.as_ref().is_none_or(|(kept, _)| progress > *kept) {
            self.refusal = Some((progress, error));
        }
    }
}

/// RFC 5280 §6.1: no certificate twice; a re-issued certificate of the same subject and key adds nothing either.
fn same_entity(one: &Certificate, other: &Certificate) -> bool {
    one.spki_der() == other.spki_der() && certval::compare_names(one.subject(), other.subject())
}

fn unsigned(
    chain: &[Arc<Certificate>],
    child: &Certificate,
    issuer: &Certificate,
    fault: SignatureFault,
) -> PathError {
    let wanted = child.authority_key_id();
    if wanted.is_some() && issuer.subject_key_id() != wanted && fault == SignatureFault::Mismatch {
        return unknown(child);
    }
    let place = match chain.len() {
        1 => Place::Leaf,
        _ => Place::Ca(child.subject_text()),
    };
    PathError::Signature { place, fault }
}

fn unknown(child: &Certificate) -> PathError {
    PathError::UnknownIssuer { issuer: child.issuer_text() }
}
