//! `tests/MANUAL.md` speaks of what is there: every feature of the manual has its row, every file and test it names exists.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::path::Path;

const PAGE: &str = include_str!("../MANUAL.md");
/// F1 to F37.
const FEATURES: usize = 37;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Cells of the row of each feature.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| F"));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether `file` has a test function of this name.
fn has_test(file: &str, name: &str) -> bool {
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
    let place = text.find(&format!("fn {name}("));
    // The attribute stands above, and no other function between.
    place.is_some_and(|place| {
        let before = &text[..place];
        let attribute = before.rfind("#[test]").max(before.rfind("#[tokio::test"));
        attribute.is_some_and(|at| !before[at..].contains("fn "))
    })
}

#[test]
fn every_feature_of_the_manual_has_its_row() {
    let rows = rows();
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let expected: Vec<String> = (1..=FEATURES).map(|number| format!("F{number}")).collect();
    assert_eq!(numbers, expected);
    for row in &rows {
        assert_eq!(row.len(), 5, "{}: No, manual, where, tests, differently", row[0]);
        let (place, tests, why) = (row[2], row[3], row[4]);
        assert!(!place.is_empty() || !why.is_empty(), "{}: neither place nor reason", row[0]);
        assert!(!tests.is_empty() || why.contains("not here yet"), "{}: no test", row[0]);
    }
}

#[test]
fn every_place_named_is_there() {
    for row in rows() {
        for place in quoted(row[2]) {
            assert!(root().join(place).exists(), "{}: {place} is not there", row[0]);
        }
    }
}

#[test]
fn every_test_named_is_there() {
    let mut count = 0;
    for row in rows() {
        for named in quoted(row[3]) {
            let (file, name) = named.split_once("::").expect(named);
            assert!(has_test(file, name), "{}: there is no test {named}", row[0]);
            count += 1;
        }
    }
    assert!(count > FEATURES, "only {count} tests are named");
    // What is looked for is found only where it is.
    assert!(!has_test("tests/tests/manual.rs", "quoted"));
    assert!(!has_test("tests/tests/manual.rs", "nothing"));
}

/// Source files of the crates that refuse.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().filter_map(Result::ok) {
        match entry.path() {
            path if path.is_dir() => sources(&path, text),
            path if path.extension().is_some_and(|extension| extension == "rs") => {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
            _ => {}
        }
    }
}

#[test]
fn every_code_of_the_advice_for_the_night_is_one_that_the_appliance_gives() {
    let page = std::fs::read_to_string(root().join("appliance/ADMIN.md")).unwrap();
    let advice = page.split("\n## ").find(|part| part.starts_with("A holder cannot sign in"));
    let rows = advice.unwrap().lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells: Vec<&str> = rows.filter_map(|row| row.split('|').nth(2)).collect();
    let mut text = String::new();
    for folder in ["api/src", "attest/src", "appliance/src"] {
        sources(&root().join(folder), &mut text);
    }
    let codes: Vec<&str> = cells.into_iter().flat_map(quoted).collect();
    assert!(codes.len() > 8, "{codes:?}");
    for code in codes {
        assert!(text.contains(&format!("\"{code}\"")), "nothing is refused with {code}");
    }
}
