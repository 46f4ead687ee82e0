//! Every command that a page or an answer tells somebody to type is one that exists, in its one spelling.

use super::args::Cli;
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::path::Path;

const PAGES: [&str; 3] = [
    include_str!("../../ADMIN.md"),
    include_str!("../../../README.md"),
    include_str!("../../../SECURITY.md"),
];
/// Folders whose texts are answered to operators.
const SOURCES: [&str; 3] = ["src/admin", "src/cli", "../api/src/admin"];

/// `noun verb` behind each `inkan` of `text`.
fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("inkan ").skip(1).filter_map(|rest| {
        let is_part = |character: char| character.is_ascii_lowercase() || character == '-';
        let word = |text: &str| text.find(|at| !is_part(at)).unwrap_or(text.len());
        let (noun, rest) = rest.split_at(word(rest));
        let rest = rest.strip_prefix(' ')?;
        Some((noun, &rest[..word(rest)]))
    })
}

#[test]
fn every_command_that_is_named_exists() {
    let mut texts: Vec<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    for folder in SOURCES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        texts.extend(files.map(|file| std::fs::read_to_string(file).unwrap()));
    }
    let inkan = Cli::command();
    let mut found = BTreeSet::new();
    for (noun, verb) in texts.iter().flat_map(|text| named(text)) {
        let Some(noun_of) = inkan.find_subcommand(noun) else { continue };
        if noun_of.has_subcommands() && !verb.is_empty() {
            assert!(noun_of.find_subcommand(verb).is_some(), "inkan {noun} {verb}");
            found.insert((noun, verb));
        }
    }
    assert!(found.len() > 40 && found.contains(&("card", "link")), "{found:?}");
}

#[test]
fn no_command_has_two_places() {
    let inkan = Cli::command();
    let verbs = |noun: &str| -> BTreeSet<String> {
        let noun = inkan.find_subcommand(noun).unwrap();
        noun.get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
    };
    assert!(verbs("card").contains("link") && verbs("card").contains("unlink"));
    assert!(verbs("holder").iter().all(|verb| !verb.contains("card")));
}
