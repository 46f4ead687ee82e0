//! Tables and lists for people, in columns that also line up with Japanese text.

use std::fmt;

/// Rows under headings.
pub struct TextTable {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table with these headings.
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return writeln!(f, "none");
        }
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| width(heading)).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        let headings = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells: Vec<_> =
                row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width)).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Name and value, one a line.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let widest = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
    pairs.iter().map(|(name, value)| format!("{}  {value}\n", padded(name, widest))).collect()
}

/// `text` with blanks up to `to` columns.
pub fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// Columns of a terminal.
fn width(text: &str) -> usize {
    text.chars().map(|char| if is_wide(char) { 2 } else { 1 }).sum()
}

/// Wide and full-width characters of Unicode's East Asian Width (UAX #11), as far as names use them.
fn is_wide(char: char) -> bool {
    matches!(char,
        '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{A4CF}'
        | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF00}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}' | '\u{20000}'..='\u{3FFFD}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_japanese_names() {
        let mut table = TextTable::new(&["ID", "NAME", "ENABLED"]);
        table.row(vec!["u-1".into(), "山田".into(), "yes".into()]);
        table.row(vec!["u-22".into(), "Sato".into(), "no".into()]);
        assert_eq!(table.to_string(), "ID    NAME  ENABLED\nu-1   山田  yes\nu-22  Sato  no\n");
    }

    #[test]
    fn empty_table_says_so() {
        assert_eq!(TextTable::new(&["ID"]).to_string(), "none\n");
    }
}
