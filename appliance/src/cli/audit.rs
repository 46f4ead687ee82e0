//! The audit log at the command line: verified and read from its files, or asked for.

use crate::admin::audit_view;
use crate::audit::Archive;
use crate::audit::verify;
use crate::cli::args::AuditSearch;
use crate::cli::client::Client;
use crate::cli::command;
use crate::cli::error::CliError;
use crate::cli::show;
use api::admin::AdminCommand;
use api::admin::answer::AuditLines;
use api::admin::answer::AuditRecords;
use api::admin::check::MAX_AUDIT_RECORDS;
use serde::Deserialize;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// Checks a log with nothing but its files, the public keys and, where there is one, a checkpoint kept outside.
///
/// # Errors
/// [`CliError::Found`] when the log is not good; everything found was printed.
pub fn verify(
    dir: &Path,
    keys: &[PathBuf],
    checkpoint: Option<&Path>,
    json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let keys = keys.iter().map(|key| public_key(key)).collect::<Result<Vec<_>, _>>()?;
    let outside = checkpoint.map(read).transpose()?;
    let report = verify::verify(dir, &keys, outside.as_deref());
    let report = report.map_err(|error| CliError::Wrong(format!("{}: {error}", dir.display())))?;
    match json {
        true => {
            let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
            let answer = serde_json::json!({
                "good": report.is_good(),
                "records": report.records,
                "checkpoints": report.checkpoints,
                "unsigned": report.unsigned,
                "findings": findings,
                "more_findings": report.more_findings,
                "notices": report.notices,
            });
            writeln!(out, "{answer:#}")?;
        }
        false => writeln!(out, "{report}")?,
    }
    match report.is_good() {
        true => Ok(()),
        false => Err(CliError::Found(format!("{}: the log is not good", dir.display()))),
    }
}

/// Finds records in the files of a log.
///
/// # Errors
/// [`CliError`] when the log cannot be read.
pub fn search(
    dir: &Path,
    search: &AuditSearch,
    json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let archive = archive(dir)?;
    let query = command::audit_query(search)?;
    let found = audit_view::found(&archive, audit_view::filter(&query), search.limit);
    let found = found.map_err(|error| CliError::Wrong(format!("{}: {error}", dir.display())))?;
    match json {
        true => writeln!(
            out,
            "{:#}",
            serde_json::json!({ "records": found.records, "next": found.next })
        )?,
        false => {
            write!(out, "{}", show::records(&found))?;
            say_more(&found);
        }
    }
    Ok(())
}

/// Says on standard error, so that standard output stays one record a line, that there is none, or where the search goes on.
pub fn say_more(found: &AuditRecords) {
    if found.records.is_empty() {
        let _ = writeln!(std::io::stderr().lock(), "none");
    }
    if let Some(next) = found.next {
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(std::io::stderr().lock(), "more: --from {next}");
    }
}

/// Writes records as lines: from the files in `dir`, or from the appliance page by page.
///
/// # Errors
/// [`CliError`]; what was written before is whole lines.
pub async fn export(
    client: impl FnOnce() -> Result<Client, CliError>,
    dir: Option<&Path>,
    from: u64,
    file: Option<&Path>,
    out: &mut impl Write,
) -> Result<(), CliError> {
    // What is asked for is there before a file of an earlier export is written over.
    let source = match dir {
        Some(dir) => Source::Files(archive(dir)?, dir),
        None => Source::Appliance(Box::new(client()?)),
    };
    let mut lines: Box<dyn Write + '_> = match file {
        Some(path) => Box::new(std::io::BufWriter::new(
            std::fs::File::create(path)
                .map_err(|source| CliError::File { path: path.to_owned(), source })?,
        )),
        None => Box::new(out),
    };
    match source {
        Source::Files(archive, dir) => {
            let exported = archive.export(from, u64::MAX, &mut *lines);
            exported.map_err(|error| CliError::Wrong(format!("{}: {error}", dir.display())))?;
        }
        Source::Appliance(client) => pages(&client, from, &mut *lines).await?,
    }
    lines.flush()?;
    Ok(())
}

/// Where an export comes from.
enum Source<'d> {
    Files(Archive, &'d Path),
    Appliance(Box<Client>),
}

async fn pages(client: &Client, from: u64, lines: &mut dyn Write) -> Result<(), CliError> {
    let mut next = Some(from);
    while let Some(from) = next {
        let answer =
            client.run(&AdminCommand::AuditExport { from, limit: MAX_AUDIT_RECORDS }).await?;
        let page = AuditLines::deserialize(&answer.body).map_err(|error| CliError::Answer {
            url: client.url().to_owned(),
            reason: error.to_string(),
        })?;
        for line in &page.lines {
            writeln!(lines, "{line}")?;
        }
        // An answer that does not go on would be asked for without end.
        next = page.next.filter(|next| *next > from);
    }
    Ok(())
}

fn archive(dir: &Path) -> Result<Archive, CliError> {
    Archive::open(dir).map_err(|error| CliError::Wrong(format!("{}: {error}", dir.display())))
}

fn public_key(path: &Path) -> Result<Vec<u8>, CliError> {
    let pem = read(path)?;
    verify::public_key_from_pem(&pem).map_err(|error| {
        CliError::Wrong(format!("{}: {error}; inkan audit head --key-out FILE", path.display()))
    })
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|source| CliError::File { path: path.to_owned(), source })
}
