//! `inkan letter`: notification cards, and their sheets on the terminal or as a file that prints.

use crate::cli::error::CliError;
use crate::cli::text::TextTable;
use crate::cli::text::pairs;
use api::admin::AdminCommand;
use api::admin::letter::LetterView;
use api::admin::letter::NewLetter;
use api::admin::letter::SheetHalf;
use api::admin::letter::SheetView;
use clap::Subcommand;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// `inkan letter`
#[derive(Debug, Subcommand)]
pub enum Letter {
    /// Issues a notification card (takes two operators); the holder's card before it is withdrawn
    Issue {
        /// 本人ID
        holder_id: String,
    },
    /// Lists notification cards
    List,
    /// Your own sheet of a card, once: the link for whoever proposed it, the password for whoever approved it
    Sheet {
        /// As `inkan letter list` shows it
        letter_id: String,
        /// Writes a page that prints, readable by you alone; standard output when left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Withdraws a notification card at once
    Withdraw {
        /// As `inkan letter list` shows it
        letter_id: String,
    },
}

impl Letter {
    /// As a command of the admin API.
    pub fn command(&self) -> AdminCommand {
        match self {
            Self::Issue { holder_id } => {
                AdminCommand::LetterIssue(NewLetter { holder_id: holder_id.clone() })
            }
            Self::List => AdminCommand::LetterList {},
            Self::Sheet { letter_id, .. } => {
                AdminCommand::LetterSheet { letter_id: letter_id.clone() }
            }
            Self::Withdraw { letter_id } => {
                AdminCommand::LetterWithdraw { letter_id: letter_id.clone() }
            }
        }
    }
}

/// Cards, and what is to be done about the newest.
pub fn list(list: &[LetterView]) -> String {
    let mut table = TextTable::new(&["CARD", "HOLDER", "STATE", "TRIES LEFT", "BY", "UNTIL"]);
    for letter in list {
        table.row(vec![
            letter.letter_id.clone(),
            letter.holder_id.clone(),
            letter.state.clone(),
            letter.tries_left.to_string(),
            format!("{}, {}", letter.issued_by, letter.countersigned_by),
            letter.expires_at.clone(),
        ]);
    }
    let waiting = list.iter().flat_map(|letter| {
        let next =
            |operator| format!("Next: {operator} types  inkan letter sheet {}\n", letter.letter_id);
        letter.sheets_wait_for.iter().map(next)
    });
    format!("{table}{}", waiting.collect::<String>())
}

/// A sheet, for the terminal.
pub fn sheet(sheet: &SheetView) -> String {
    let contact = sheet.ca_contact.clone().unwrap_or_else(|| "your registration officer".into());
    let (half, secret, other) = match &sheet.half {
        SheetHalf::Link { url } => ("link", url, "the password"),
        SheetHalf::Password { password } => ("password", password, "the link"),
    };
    let lines = [
        ("card", sheet.letter_id.clone()),
        ("for", format!("{} ({})", sheet.display_name, sheet.holder_id)),
        (half, secret.clone()),
        ("until", sheet.expires_at.clone()),
        ("contact", contact),
    ];
    format!(
        "{}\nThis is shown once. Give it to the holder by another way than {other}; alone it registers nothing.\n",
        pairs(&lines)
    )
}

/// A file for a sheet, made before the sheet is asked for: what comes once must have its place.
pub struct SheetFile {
    file: File,
    path: PathBuf,
    is_filled: bool,
}

impl SheetFile {
    /// A new file that its owner alone may read.
    ///
    /// # Errors
    /// [`CliError::File`], also when it is there already.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = opened.map_err(|source| CliError::File { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned(), is_filled: false })
    }

    /// Writes the sheet; what to say about it.
    ///
    /// # Errors
    /// [`CliError::File`]; then the sheet is lost and another card is issued.
    pub fn fill(mut self, sheet: &SheetView) -> Result<String, CliError> {
        let (path, id) = (self.path.clone(), &sheet.letter_id);
        let page = api::sheet::html(sheet)
            .ok_or_else(|| CliError::Wrong(format!("the sheet of {id} cannot be drawn")))?;
        let written = self.file.write_all(page.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|source| CliError::File { path: path.clone(), source })?;
        self.is_filled = true;
        Ok(format!(
            "{} holds your sheet of card {id}; it cannot be had again.\n\
             Next: print it, hand it to the holder, and delete the file.\n",
            path.display()
        ))
    }
}

impl Drop for SheetFile {
    /// A refusal leaves no empty file behind, which would stand in the way of the next try.
    fn drop(&mut self) {
        if !self.is_filled {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn view() -> SheetView {
        SheetView {
            letter_id: "c".repeat(32),
            holder_id: "u-17".into(),
            display_name: "山田 花子".into(),
            ca_contact: None,
            expires_at: "2026-12-29T18:30:00Z".into(),
            half: SheetHalf::Password { password: "7K2MD-9QX4T".into() },
        }
    }

    #[test]
    fn sheet_file_is_its_owners_alone_and_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sheet.html");
        SheetFile::create(&path).unwrap().fill(&view()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(&path).unwrap().contains("7K2MD-9QX4T"));
        assert!(SheetFile::create(&path).is_err());
    }

    #[test]
    fn sheet_file_of_a_refused_sheet_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sheet.html");
        drop(SheetFile::create(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn sheet_on_the_terminal_has_its_own_half() {
        let text = sheet(&view());
        assert!(text.contains("7K2MD-9QX4T") && text.contains("山田 花子 (u-17)"), "{text}");
    }
}
