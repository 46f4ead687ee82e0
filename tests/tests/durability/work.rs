//! The two kinds of work, their acknowledgements over all lives, and their checks.

use crate::worker::Worker;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use tests::durability::audit_work;
use tests::durability::signer::make_key;
use tests::durability::store_work;
use tests::durability::store_work::Acknowledged;

/// What a worker works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Store,
    Audit,
}

/// One directory and everything that was ever acknowledged in it.
pub struct Work {
    kind: Kind,
    /// The checkpoint key: kept elsewhere, as in an HSM.
    keys: tempfile::TempDir,
    lives: u64,
    signatures: BTreeMap<u64, String>,
    steps: Acknowledged,
    /// Acknowledgements heard.
    pub acknowledged: u64,
}

impl Work {
    pub fn new(kind: Kind) -> Self {
        let keys = tempfile::tempdir().unwrap();
        make_key(&keys.path().join("key")).unwrap();
        let (signatures, steps) = (BTreeMap::new(), Acknowledged::default());
        Self { kind, keys, lives: 0, signatures, steps, acknowledged: 0 }
    }

    fn key(&self) -> PathBuf {
        self.keys.path().join("key")
    }

    /// Starts a worker on `directory` with `tasks` tasks and work for `total` steps.
    pub fn start(
        &mut self,
        directory: &Path,
        tasks: u64,
        total: u64,
        environment: &[(&str, String)],
    ) -> Worker {
        self.lives += 1;
        let (life, directory) = (self.lives.to_string(), directory.to_str().unwrap().to_owned());
        let (tasks, total) = (tasks.to_string(), total.to_string());
        let arguments = match self.kind {
            Kind::Store => vec!["store".to_owned(), directory, life, tasks, total],
            Kind::Audit => {
                let key = self.key().to_str().unwrap().to_owned();
                vec!["audit".to_owned(), directory, key, life, tasks, total]
            }
        };
        Worker::start(&arguments, environment)
    }

    /// Takes what a worker said.
    pub fn hear(&mut self, said: &[String]) {
        for line in said {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["a", seq, name] => {
                    let before = self.signatures.insert(seq.parse().unwrap(), (*name).to_owned());
                    assert_eq!(before, None, "record {seq} was acknowledged twice");
                }
                ["c" | "t", ..] => self.steps.hear(line),
                _ => continue,
            }
            self.acknowledged += 1;
        }
    }

    /// Opens the directory as the next start would and compares.
    pub fn check(&self, directory: &Path) -> u64 {
        let checked = match self.kind {
            Kind::Store => store_work::check(directory, &self.steps),
            Kind::Audit => audit_work::check(directory, &self.key(), &self.signatures),
        };
        checked.unwrap_or_else(|wrong| panic!("{:?} after life {}: {wrong}", self.kind, self.lives))
    }
}

/// Rounds of a test: `INKAN_ROUNDS`, or a few.
pub fn rounds(few: usize) -> usize {
    std::env::var("INKAN_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

/// Random enough to meet every moment, printed nowhere: the moment is the machine's anyway.
pub fn random_below(limit: u64) -> u64 {
    let mut octets = [0; 8];
    aws_lc_rs::rand::fill(&mut octets).unwrap();
    u64::from_be_bytes(octets) % limit
}
