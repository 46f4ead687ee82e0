//! Valid paths, remembered per certificate within one snapshot.

use super::Purpose;
use crate::clock::UnixSeconds;
use crate::path::ValidPath;
use crate::records::Fingerprint;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Most paths remembered; a hospital has fewer cards. When full it starts anew.
const MAX_PATHS: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct PathCache(Mutex<HashMap<(Purpose, Fingerprint), Remembered>>);

struct Remembered {
    path: Arc<ValidPath>,
    /// When it was validated: it says nothing about earlier.
    since: UnixSeconds,
}

impl PathCache {
    /// A path that is valid at `now`, if one was found before.
    pub(super) fn get(
        &self,
        purpose: Purpose,
        leaf: &Fingerprint,
        now: UnixSeconds,
    ) -> Option<Arc<ValidPath>> {
        let paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = paths.get(&(purpose, leaf.clone()))?;
        let holds = remembered.since <= now && now <= remembered.path.good_until;
        holds.then(|| Arc::clone(&remembered.path))
    }

    pub(super) fn put(
        &self,
        purpose: Purpose,
        leaf: &Fingerprint,
        now: UnixSeconds,
        path: Arc<ValidPath>,
    ) {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() >= MAX_PATHS {
            paths.clear();
        }
        paths.insert((purpose, leaf.clone()), Remembered { path, since: now });
    }
}
