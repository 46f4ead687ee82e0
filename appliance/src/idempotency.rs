//! Safe retries: one idempotency key, one signature.
//!
//! The durable side is the audit record itself, which carries the key's hash and the request's fingerprint; here are only the
//! requests still running. The scope of a key is the signing system and the session that was presented with it.

use attest::records::Fingerprint;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// SHA-256 over parts, each length-prefixed, so that no two lists of parts read the same.
pub fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut octets = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        octets.extend_from_slice(&part.len().to_be_bytes());
        octets.extend_from_slice(part);
    }
    Fingerprint::of(&octets)
}

/// Requests with an idempotency key that are being signed now.
#[derive(Clone, Default)]
pub struct Running {
    keys: Arc<Mutex<HashMap<Fingerprint, Fingerprint>>>,
}

/// Why a request with this key may not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The same request is still running.
    Running,
    /// Another request with this key is running.
    Conflict,
}

/// One running request; over when dropped.
pub struct RunningGuard {
    running: Running,
    key: Fingerprint,
}

impl Running {
    /// Starts the request `request` under the scoped key `key`.
    ///
    /// # Errors
    /// [`Blocked`] while another one runs under this key.
    pub fn start(&self, key: Fingerprint, request: &Fingerprint) -> Result<RunningGuard, Blocked> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.get(&key) {
            Some(other) if other == request => Err(Blocked::Running),
            Some(_) => Err(Blocked::Conflict),
            None => {
                keys.insert(key.clone(), request.clone());
                Ok(RunningGuard { running: self.clone(), key })
            }
        }
    }

    /// Whether a request under this scoped key is running now.
    pub fn is_running(&self, key: &Fingerprint) -> bool {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_key_twice_runs_once_and_again_after_the_first_is_over() {
        let running = Running::default();
        let key = Fingerprint::of(b"k");
        let (one, other) = (Fingerprint::of(b"1"), Fingerprint::of(b"2"));
        let guard = running.start(key.clone(), &one).ok().unwrap();
        assert_eq!(running.start(key.clone(), &one).err(), Some(Blocked::Running));
        assert_eq!(running.start(key.clone(), &other).err(), Some(Blocked::Conflict));
        assert!(running.is_running(&key));
        drop(guard);
        assert!(!running.is_running(&key));
        assert!(running.start(key, &other).is_ok());
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(fingerprint(&[b"a", b"bc"]), fingerprint(&[b"ab", b"c"]));
    }
}
