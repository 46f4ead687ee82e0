//! What is wrong with a configuration, said so that the next edit cures it.

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works today and will bite.
    Warning,
    /// The daemon does not start with it.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// Key path: `listeners.signing.key`; empty for the file as a whole.
    pub key: String,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub wrong: String,
    /// What to write or do instead.
    pub instead: String,
}

impl Fault {
    /// A fault with which the daemon does not start.
    pub fn error(
        key: impl Into<String>,
        wrong: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, key.into(), wrong.into(), instead.into())
    }

    /// Something that will bite.
    pub fn warning(
        key: impl Into<String>,
        wrong: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, key.into(), wrong.into(), instead.into())
    }

    /// A number outside of its range, both ends included.
    pub fn out_of_range(key: &str, value: u64, least: u64, most: u64) -> Option<Self> {
        let is_outside = !(least..=most).contains(&value);
        let instead = format!("write {least} to {most}");
        is_outside.then(|| Self::error(key, format!("{value} is out of range"), instead))
    }

    fn new(severity: Severity, key: String, wrong: String, instead: String) -> Self {
        Self { severity, key, line: None, wrong, instead }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}")?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ", {}", self.key)?;
        }
        write!(f, ": {}\n    {}", self.wrong, self.instead)
    }
}

/// Every error of a configuration file.
#[derive(Debug, thiserror::Error)]
pub struct ConfigFaults {
    /// The file.
    pub file: PathBuf,
    /// At least one error; warnings are not among them.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the configuration cannot be used", self.file.display())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

/// The known name that is nearest to `unknown`, if one is near enough to be meant.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (unknown.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|known| (distance(unknown, known), known));
    distances.filter(|(distance, _)| *distance <= allowed).min().map(|(_, known)| known)
}

/// Edit distance (Levenshtein): insertions, deletions and replacements.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, (diagonal, b)) in row.iter().skip(1).zip(row.iter().zip(&b)) {
            left = (left + 1).min(above + 1).min(diagonal + usize::from(a != *b));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_found_and_a_far_one_is_not_guessed() {
        let known = ["sessions", "queue", "deadline_ms", "pin_file"];
        assert_eq!(nearest("sesions", known), Some("sessions"));
        assert_eq!(nearest("deadline", known), None);
        assert_eq!(nearest("deadlin_ms", known), Some("deadline_ms"));
        assert_eq!(nearest("slot", known), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn fault_reads_as_one_sentence_and_what_to_write() {
        let mut fault = Fault::error("hsm.sesions", "unknown key", "write sessions = 4");
        fault.line = Some(7);
        assert_eq!(
            fault.to_string(),
            "error, line 7, hsm.sesions: unknown key\n    write sessions = 4"
        );
    }
}
