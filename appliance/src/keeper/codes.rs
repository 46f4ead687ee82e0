//! Every code that a refusal can have stands in `appliance/ADMIN.md`, and no other: read from the sources, so that neither can lag.

use api::problem::Code;
use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../../ADMIN.md");
/// Words of this form in the keeper's sources that are no refusal.
const OTHERS: [&str; 6] = [
    // What became of a notification card, in its own records.
    "already_registered",
    // Alarms.
    "key_set_changed",
    "superseded_pair_faulty",
    // What a record is about.
    "my_number_card",
    "notification_card",
    "user_verified",
];
/// Why a list was not taken: in log lines, never a refusal of somebody.
const LISTS: &str = "revocation/store.rs";

/// Codes of the section `title`, from the first cells of its table.
fn listed(title: &str) -> BTreeSet<String> {
    let section = PAGE.split("\n### ").find(|part| part.starts_with(title)).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let mut codes = BTreeSet::new();
    for word in words {
        assert!(codes.insert(word.to_owned()), "{word} stands twice");
    }
    codes
}

/// Rust sources under `folder`.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.to_string_lossy().into_owned(), text));
        }
    }
}

fn sources_of(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    assert!(found.len() > 20, "{folder}");
    found
}

/// The text literals of `code` that look like a word of ours.
fn words(code: &str) -> impl Iterator<Item = &str> {
    let is_word = |text: &&str| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.chars().all(|at| at.is_ascii_lowercase() || at.is_ascii_digit() || at == '_')
    };
    code.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).filter(is_word)
}

/// What `fn code` of the errors in `attest` gives, and what the keeper writes itself.
fn in_sources() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (path, text) in sources_of("../attest/src") {
        let bodies = text.split("fn code(&self) -> &'static str {").skip(1);
        let bodies = bodies.filter(|_| !path.ends_with(LISTS));
        let bodies = bodies.map(|body| body.split("\n    }\n").next().unwrap());
        codes.extend(bodies.flat_map(words).map(str::to_owned));
    }
    for (path, text) in sources_of("src/keeper") {
        let text = text.split("#[cfg(test)]\nmod").next().unwrap();
        if path.ends_with("codes.rs") {
            continue;
        }
        codes.extend(words(text).filter(|word| word.contains('_')).map(str::to_owned));
    }
    codes.retain(|code| !OTHERS.contains(&code.as_str()));
    codes
}

#[test]
fn every_code_of_a_refusal_is_on_the_page_and_every_code_on_the_page_can_come() {
    let titles = ["Refused sign-ins", "The card", "Whether it is still valid", "The phone"];
    let mut on_page: BTreeSet<String> = BTreeSet::new();
    for title in titles {
        for code in listed(title) {
            assert!(on_page.insert(code.clone()), "{code} stands in two tables");
        }
    }
    // One word without an underscore that the keeper itself says.
    assert!(on_page.remove("unavailable"));
    let in_sources = in_sources();
    assert!(in_sources.len() > 90, "the search finds what is there: {}", in_sources.len());
    let missing: Vec<_> = in_sources.difference(&on_page).collect();
    let stale: Vec<_> = on_page.difference(&in_sources).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing {missing:?}, stale {stale:?}");
}

#[test]
fn every_code_that_a_signing_system_is_told_is_on_the_page() {
    let codes = Code::ALL.iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(listed("What signing systems are told"), codes);
}
