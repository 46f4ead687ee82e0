//! What was found about certificates, remembered within one snapshot.
//!
//! A valid path holds until its own end. A refusal that time cannot heal (expired, revoked, list missing or stale) holds as
//! long as the snapshot: ten thousand certificates of a CA whose list is gone cost nothing the second time.

use super::Purpose;
use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::path::PathError;
use crate::path::TrustAnchor;
use crate::path::ValidPath;
use crate::records::Fingerprint;
use crate::revocation::CrlFault;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Most certificates remembered; a hospital group has fewer. When full it starts anew.
const MAX_REMEMBERED: usize = 32 * 1024;

/// What a path is asked for: purpose, leaf, and the certificates that came with it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked(Purpose, Fingerprint);

impl Asked {
    pub(super) fn new(purpose: Purpose, leaf: &Certificate, more: &[Arc<Certificate>]) -> Self {
        let all = [leaf].into_iter().chain(more.iter().map(AsRef::as_ref));
        let names: Vec<_> = all.map(|one| one.fingerprint().0.as_str()).collect();
        Self(purpose, Fingerprint::of(names.concat().as_bytes()))
    }
}

/// A valid path but for its leaf: whoever asks has it in hand, and ten thousand of them would be most of the memory.
pub(super) struct Issuers {
    pub(super) anchor: TrustAnchor,
    /// From the certificate that the anchor issued to the one that issued the leaf.
    pub(super) certificates: Vec<Arc<Certificate>>,
    /// As in [`ValidPath`], the leaf included.
    pub(super) good_until: UnixSeconds,
}

impl From<ValidPath> for Issuers {
    fn from(path: ValidPath) -> Self {
        let ValidPath { anchor, mut certificates, good_until } = path;
        certificates.pop();
        certificates.shrink_to_fit();
        Self { anchor, certificates, good_until }
    }
}

#[derive(Default)]
pub(super) struct PathCache(Mutex<HashMap<Asked, Remembered>>);

struct Remembered {
    /// When it was found: it says nothing about earlier.
    since: UnixSeconds,
    found: Result<Arc<Issuers>, PathError>,
}

impl PathCache {
    /// What was found before and still holds at `now`.
    pub(super) fn get(
        &self,
        asked: &Asked,
        now: UnixSeconds,
    ) -> Option<Result<Arc<Issuers>, PathError>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Remembered { since, found } = all.get(asked)?;
        let holds = *since <= now && found.as_ref().map_or(true, |path| now <= path.good_until);
        holds.then(|| found.clone())
    }

    /// Remembers what was found at `now`, if it will hold.
    pub(super) fn put(
        &self,
        asked: Asked,
        now: UnixSeconds,
        found: &Result<Arc<Issuers>, PathError>,
    ) {
        if found.as_ref().is_err_and(|error| !is_lasting(error)) {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_REMEMBERED {
            all.clear();
        }
        all.insert(asked, Remembered { since: now, found: found.clone() });
    }
}

/// Refusals that only another list or other anchors can change. A stranger's certificate is not remembered at all, so that
/// nobody fills the memory with certificates of their own making.
fn is_lasting(error: &PathError) -> bool {
    match error {
        PathError::Expired { .. } | PathError::Revoked { .. } => true,
        PathError::RevocationUnknown { fault, .. } => !matches!(fault, CrlFault::Future { .. }),
        _ => false,
    }
}
