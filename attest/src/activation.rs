//! Activations: evidence bound to particular entries, good for exactly those signatures, each once.
//!
//! The signing system says beforehand what is to be signed; the holder reads the labels and approves the list; the session
//! that comes of it opens for nothing else. What was approved is named by one digest of the whole list, which the evidence
//! carries. An entry is used up durably before the key is: when nobody knows what became of it, it is gone.

use crate::algorithm::ContentDigest;
use crate::algorithm::DigestAlgorithm;
use crate::algorithm::Dtbsr;
use crate::records::Fingerprint;
use crate::sign_in::RandomFailed;
use aws_lc_rs::digest;
use aws_lc_rs::rand;
use serde::Deserialize;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Octets that hide a label behind its commitment.
pub const LABEL_SALT_BYTES: usize = 32;

/// What the value of an entry is the digest of. Kinds never serve each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Content, signed in CMS.
    Content,
    /// The exact octets that the key signs over (DTBS/R of EN 419241-1).
    Dtbsr,
}

impl EntryKind {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Dtbsr => "dtbsr",
        }
    }
}

/// What a request wants to have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// Content, by its digest.
    Content(ContentDigest),
    /// Octets that are at hand, by their digest.
    Octets(Dtbsr),
    /// Octets that nobody here ever sees, by their digest alone.
    BareDigest(Dtbsr),
}

impl Requested {
    /// The kind of entry that allows it.
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Content(_) => EntryKind::Content,
            Self::Octets(_) | Self::BareDigest(_) => EntryKind::Dtbsr,
        }
    }

    /// Algorithm of the digest.
    pub fn algorithm(&self) -> DigestAlgorithm {
        match self {
            Self::Content(digest) => digest.algorithm(),
            Self::Octets(dtbsr) | Self::BareDigest(dtbsr) => dtbsr.algorithm(),
        }
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Content(digest) => digest.as_bytes(),
            Self::Octets(dtbsr) | Self::BareDigest(dtbsr) => dtbsr.as_bytes(),
        }
    }
}

impl From<ContentDigest> for Requested {
    fn from(digest: ContentDigest) -> Self {
        Self::Content(digest)
    }
}

/// One signature that a signing system wants, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// What `value` is the digest of.
    pub kind: EntryKind,
    /// Its algorithm.
    pub algorithm: DigestAlgorithm,
    /// The digest.
    pub value: Vec<u8>,
    /// Which key is to sign.
    pub credential_id: String,
    /// What the holder reads; the signing system's word.
    pub label: String,
}

/// One signature that is approved with the list it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What `value` is the digest of.
    pub kind: EntryKind,
    /// Its algorithm.
    pub algorithm: DigestAlgorithm,
    /// The digest.
    #[serde(with = "hex::serde")]
    pub value: Vec<u8>,
    /// Which key is to sign.
    pub credential_id: String,
    /// What the holder reads; the signing system's word.
    pub label: String,
    /// Hides the label behind [`Entry::label_commitment`].
    #[serde(with = "hex::serde")]
    pub label_salt: [u8; LABEL_SALT_BYTES],
}

impl Entry {
    /// `SHA-256(salt || label)`: what may be said of the label where it cannot be erased.
    pub fn label_commitment(&self) -> Fingerprint {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.label_salt);
        context.update(self.label.as_bytes());
        Fingerprint(hex::encode(context.finish()))
    }

    fn is(&self, credential_id: &str, requested: &Requested) -> bool {
        self.kind == requested.kind()
            && self.algorithm == requested.algorithm()
            && self.value == requested.as_bytes()
            && self.credential_id == credential_id
    }
}

/// Why a list is none.
#[derive(Debug, thiserror::Error)]
pub enum EntriesError {
    /// Nothing in it.
    #[error("there is no entry")]
    Empty,
    /// A digest of another length than its algorithm makes.
    #[error("the value of entry {0} does not have the length of its algorithm")]
    Length(usize),
    /// A value that stands there already.
    #[error("entry {0} has the value of an earlier one")]
    Twice(usize),
    /// No random octets.
    #[error(transparent)]
    Random(#[from] RandomFailed),
}

/// The list that is approved as a whole: not empty, no value twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entries(Vec<Entry>);

impl Entries {
    /// The list of these, in their order.
    ///
    /// # Errors
    /// [`EntriesError`]; entries are counted from 1.
    pub fn new(wanted: Vec<NewEntry>) -> Result<Self, EntriesError> {
        if wanted.is_empty() {
            return Err(EntriesError::Empty);
        }
        let mut values = HashSet::new();
        let mut entries = Vec::with_capacity(wanted.len());
        for (index, new) in wanted.into_iter().enumerate() {
            let NewEntry { kind, algorithm, value, credential_id, label } = new;
            if value.len() != algorithm.digest_len() {
                return Err(EntriesError::Length(index + 1));
            }
            if !values.insert(value.clone()) {
                return Err(EntriesError::Twice(index + 1));
            }
            let mut label_salt = [0; LABEL_SALT_BYTES];
            rand::fill(&mut label_salt).map_err(|_| RandomFailed)?;
            entries.push(Entry { kind, algorithm, value, credential_id, label, label_salt });
        }
        Ok(Self(entries))
    }

    /// The entries, in the order in which they were asked for.
    pub fn as_slice(&self) -> &[Entry] {
        &self.0
    }

    /// How many.
    pub fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    /// Names the whole list: SHA-256 over one line for each entry, `kind/algorithm/value/credential/label commitment` and a
    /// line feed, the digests in hexadecimal. None of the parts has a slash in it.
    pub fn digest(&self) -> Fingerprint {
        let mut text = String::new();
        for entry in &self.0 {
            let (kind, algorithm) = (entry.kind.name(), entry.algorithm.name());
            let (value, credential_id) = (hex::encode(&entry.value), &entry.credential_id);
            let label = entry.label_commitment().0;
            // Writing into a string does not fail.
            let _ = writeln!(text, "{kind}/{algorithm}/{value}/{credential_id}/{label}");
        }
        Fingerprint::of(text.as_bytes())
    }
}

/// Why no entry allows what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSpent {
    /// It is none of the entries.
    NoEntry,
    /// Its entry was used before.
    Used,
}

/// The entries of a live activation, and which of them are used up.
pub(crate) struct Spending {
    entries: Entries,
    spent: Mutex<Spent>,
}

/// Both are written whole: a panic leaves nothing torn.
struct Spent {
    /// Entry by entry.
    is_spent: Vec<bool>,
    /// Of how many it is known that nothing more comes of them.
    settled: u64,
}

impl Spending {
    /// `used`: what the durable record has as used.
    pub(crate) fn new(entries: Entries, used: &[usize]) -> Self {
        let is_spent: Vec<bool> =
            (0..entries.as_slice().len()).map(|index| used.contains(&index)).collect();
        let settled = count(&is_spent);
        Self { entries, spent: Mutex::new(Spent { is_spent, settled }) }
    }

    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// The entry that allows `requested`, used or not.
    pub(crate) fn entry(&self, credential_id: &str, requested: &Requested) -> Option<&Entry> {
        self.entries.as_slice().get(self.find(credential_id, requested)?)
    }

    /// Uses up one entry for each of `requested`, all or none; which.
    pub(crate) fn spend(
        &self,
        credential_id: &str,
        requested: &[Requested],
    ) -> Result<Vec<usize>, NotSpent> {
        let mut held = self.spent();
        let mut taken = Vec::with_capacity(requested.len());
        for one in requested {
            let index = self.find(credential_id, one).ok_or(NotSpent::NoEntry)?;
            let is_spent = held.is_spent.get(index).copied().unwrap_or(true);
            if is_spent || taken.contains(&index) {
                return Err(NotSpent::Used);
            }
            taken.push(index);
        }
        mark(&mut held.is_spent, &taken, true);
        Ok(taken)
    }

    /// Nothing became of `taken`: the durable record says so.
    pub(crate) fn unspend(&self, taken: &[usize]) {
        mark(&mut self.spent().is_spent, taken, false);
    }

    /// Whether an unused entry of this credential allows `announced`, or any content where nothing is announced.
    pub(crate) fn expects(
        &self,
        credential_id: &str,
        announced: Option<&ContentDigest>,
    ) -> Result<(), NotSpent> {
        let held = self.spent();
        let announced = announced.cloned().map(Requested::Content);
        let is_meant = |entry: &Entry| match &announced {
            Some(requested) => entry.is(credential_id, requested),
            None => entry.kind == EntryKind::Content && entry.credential_id == credential_id,
        };
        let entries = self.entries.as_slice().iter().zip(&held.is_spent);
        let mut meant = entries.filter(|(entry, _)| is_meant(entry)).map(|(_, spent)| *spent);
        let first = meant.next().ok_or(NotSpent::NoEntry)?;
        match first && meant.all(|is_spent| is_spent) {
            true => Err(NotSpent::Used),
            false => Ok(()),
        }
    }

    /// Nothing more comes of `count` entries that were used up.
    pub(crate) fn settle(&self, count: u64) {
        let mut held = self.spent();
        held.settled = held.settled.saturating_add(count);
    }

    /// Entries used up.
    pub(crate) fn used(&self) -> u64 {
        count(&self.spent().is_spent)
    }

    /// Whether all are used up and nothing more comes of any.
    pub(crate) fn is_done(&self) -> bool {
        self.spent().settled >= self.entries.count()
    }

    fn find(&self, credential_id: &str, requested: &Requested) -> Option<usize> {
        self.entries.as_slice().iter().position(|entry| entry.is(credential_id, requested))
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark(is_spent: &mut [bool], indices: &[usize], value: bool) {
    for index in indices {
        if let Some(flag) = is_spent.get_mut(*index) {
            *flag = value;
        }
    }
}

fn count(is_spent: &[bool]) -> u64 {
    u64::try_from(is_spent.iter().filter(|spent| **spent).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(octets: &[u8], label: &str) -> NewEntry {
        let value = ContentDigest::of(DigestAlgorithm::Sha256, octets).as_bytes().to_vec();
        NewEntry {
            kind: EntryKind::Content,
            algorithm: DigestAlgorithm::Sha256,
            value,
            credential_id: "key".into(),
            label: label.into(),
        }
    }

    #[test]
    fn list_is_neither_empty_nor_has_it_a_value_twice_or_of_a_wrong_length() {
        assert!(matches!(Entries::new(Vec::new()), Err(EntriesError::Empty)));
        assert!(Entries::new(vec![new(b"a", "A"), new(b"b", "A")]).is_ok());
        let twice = Entries::new(vec![new(b"a", "A"), new(b"a", "B")]);
        assert!(matches!(twice, Err(EntriesError::Twice(2))));
        let of_two_kinds = NewEntry { kind: EntryKind::Dtbsr, ..new(b"a", "B") };
        let twice = Entries::new(vec![new(b"a", "A"), of_two_kinds]);
        assert!(matches!(twice, Err(EntriesError::Twice(2))));
        let short = NewEntry { algorithm: DigestAlgorithm::Sha512, ..new(b"a", "A") };
        assert!(matches!(Entries::new(vec![short]), Err(EntriesError::Length(1))));
    }

    /// Written out so that anybody can make it again: `printf 'content/sha-256/.../key/...\n' | sha256sum`.
    #[test]
    fn digest_is_over_one_line_for_each_entry() {
        let mut entry = Entries::new(vec![new(b"a", "A")]).unwrap().0.remove(0);
        entry.label_salt = [0; LABEL_SALT_BYTES];
        let commitment = Fingerprint::of(&[[0; LABEL_SALT_BYTES].as_slice(), b"A"].concat()).0;
        let value = hex::encode(&entry.value);
        let line = format!("content/sha-256/{value}/key/{commitment}\n");
        assert_eq!(Entries(vec![entry]).digest(), Fingerprint::of(line.as_bytes()));
    }

    type Change = fn(&mut Vec<Entry>);

    #[test]
    fn digest_changes_with_each_part_of_an_entry_and_with_the_order() {
        let entries = Entries::new(vec![new(b"a", "A"), new(b"b", "B")]).unwrap();
        let digest = entries.digest();
        let changed = |change: Change| {
            let mut other = entries.clone();
            change(&mut other.0);
            other.digest()
        };
        assert_eq!(changed(|_| {}), digest);
        let changes: [Change; 6] = [
            |list| list[0].kind = EntryKind::Dtbsr,
            |list| list[0].algorithm = DigestAlgorithm::Sha512,
            |list| list[1].value[0] ^= 1,
            |list| list[0].credential_id = "other".into(),
            |list| list[1].label.push('!'),
            |list| list.swap(0, 1),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_ne!(changed(change), digest, "change {index}");
        }
    }
}
