//! The command-line tool `inkan`: operators' commands over the admin listener, and what works beside the appliance.

pub mod args;
mod audit;
pub mod audit_args;
pub mod client;
pub mod command;
mod doctor;
pub mod error;
mod evidence;
mod init;
pub mod letter;
pub mod show;
mod show_holder;
#[cfg(test)]
mod spelling;
pub mod system_args;
pub mod text;
pub mod values;

use crate::cli::args::Audit;
use crate::cli::args::CheckConfig;
use crate::cli::args::Cli;
use crate::cli::args::Command;
use crate::cli::args::Key;
use crate::cli::args::Proposal;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::letter::Letter;
use crate::cli::letter::SheetFile;
use crate::config;
use crate::config::Config;
use crate::config::Severity;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::admin::Outcome;
use api::admin::answer::AuditHeadView;
use api::admin::answer::AuditRecords;
use api::admin::answer::KeyRequestView;
use api::admin::answer::ProposalView;
use api::admin::evidence::EvidenceView;
use api::admin::letter::SheetView;
use clap::Parser;
use serde::Deserialize;
use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Reads the command line, does it, prints what came of it.
///
/// Exit code 0: done, or proposed. 1: not done, the reason and the next command are on standard error. 2: not understood.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(&cli, &mut out)),
        Err(error) => Err(CliError::Output(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut err = std::io::stderr().lock();
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(err, "inkan: {error}");
            if let Some(next) = error.next().or_else(|| after(&cli.command, &error)) {
                let _ = writeln!(err, "Next: {next}");
            }
            ExitCode::FAILURE
        }
    }
}

/// What to type after a refusal whose next step depends on what was asked for.
fn after(command: &Command, error: &CliError) -> Option<String> {
    match error {
        CliError::Refused(refusal)
            if ["not_found", "conflict"].contains(&refusal.code.as_str()) =>
        {
            command.list().map(str::to_owned)
        }
        _ => None,
    }
}

/// Does what `cli` says; results go to `out`.
///
/// # Errors
/// [`CliError`].
pub async fn run(cli: &Cli, out: &mut impl Write) -> Result<(), CliError> {
    match &cli.command {
        Command::CheckConfig(check) => check_config(cli, check, out),
        Command::Init(arguments) => {
            let file = cli.connection.config.as_deref().ok_or(CliError::NotGiven {
                what: "the configuration file",
                how: "inkan init --config FILE ...",
            })?;
            init::init(&Config::load(file)?.0, arguments, cli.json, out).await
        }
        Command::Doctor => doctor::doctor(&cli.connection, cli.json, out).await,
        Command::Audit(Audit::Verify { dir, key, checkpoint }) => {
            audit::verify(dir, key, checkpoint.as_deref(), cli.json, out)
        }
        Command::Audit(Audit::Search(search)) if search.dir.is_some() => {
            let dir = search.dir.as_deref().unwrap_or_else(|| Path::new("."));
            audit::search(dir, search, cli.json, out)
        }
        Command::Audit(Audit::Export { dir, from, out: file }) => {
            let client = || Client::new(&cli.connection);
            audit::export(client, dir.as_deref(), *from, file.as_deref(), out).await
        }
        command => match command::admin_command(command)? {
            Some(admin_command) => ask(cli, &admin_command, out).await,
            None => Err(CliError::Wrong("this command needs --dir or another option".into())),
        },
    }
}

async fn ask(cli: &Cli, command: &AdminCommand, out: &mut impl Write) -> Result<(), CliError> {
    let client = Client::new(&cli.connection)?;
    if let AdminCommand::ProposalApprove { proposal_id } = command
        && !confirmed(cli, &client, proposal_id, out).await?
    {
        writeln!(out, "Nothing has changed.")?;
        return Ok(());
    }
    // The place for what comes only once is there before it is asked for.
    let sheet = match &cli.command {
        Command::Letter(Letter::Sheet { out: Some(file), .. }) => Some(SheetFile::create(file)?),
        _ => None,
    };
    let answer = client.run(command).await?;
    if let Some(file) = sheet {
        let view =
            SheetView::deserialize(&answer.body).map_err(|error| not_ours(&client, &error))?;
        return Ok(write!(out, "{}", file.fill(&view)?)?);
    }
    if let (Command::Audit(Audit::Evidence { out: dir, .. }), Outcome::Done) =
        (&cli.command, answer.outcome)
    {
        let view =
            EvidenceView::deserialize(&answer.body).map_err(|error| not_ours(&client, &error))?;
        return Ok(write!(out, "{}", evidence::write(dir, &view)?)?);
    }
    if keeps_file(cli, &answer, out)? {
        return Ok(());
    }
    match cli.json {
        true => writeln!(out, "{:#}", answer.body)?,
        false => write!(out, "{}", shown(&client, command, &answer)?)?,
    }
    if let (false, AdminCommand::AuditSearch(_)) = (cli.json, command)
        && let Ok(found) = AuditRecords::deserialize(&answer.body)
    {
        audit::say_more(&found);
    }
    Ok(())
}

fn shown(
    client: &Client,
    command: &AdminCommand,
    answer: &AdminAnswer,
) -> Result<String, CliError> {
    show::answer(command, answer).map_err(|error| not_ours(client, &error))
}

fn not_ours(client: &Client, error: &serde_json::Error) -> CliError {
    CliError::Answer {
        url: client.url().to_owned(),
        reason: format!("{error}; are appliance and inkan of one version?"),
    }
}

/// Shows what an approval would change and asks; where nobody can be asked, only `--yes` says yes.
async fn confirmed(
    cli: &Cli,
    client: &Client,
    proposal_id: &str,
    out: &mut impl Write,
) -> Result<bool, CliError> {
    let says_yes = matches!(
        cli.command,
        Command::Approve { yes: true, .. }
            | Command::Proposals { one: Some(Proposal::Approve { yes: true, .. }) }
    );
    if says_yes {
        return Ok(true);
    }
    if cli.json || !std::io::stdin().is_terminal() {
        return Err(CliError::NotGiven {
            what: "there is no terminal to ask at, and your yes",
            how: "inkan proposals show ID, then inkan approve ID --yes",
        });
    }
    let command = AdminCommand::ProposalShow { proposal_id: proposal_id.to_owned() };
    let answer = client.run(&command).await?;
    write!(out, "{}", shown(client, &command, &answer)?)?;
    if ProposalView::deserialize(&answer.body).is_ok_and(|proposal| proposal.state != "open") {
        // The refusal says why.
        return Ok(true);
    }
    write!(out, "\nApprove exactly this? Type yes: ")?;
    out.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

/// Writes what came into the files that were named for it; true when there were any.
fn keeps_file(cli: &Cli, answer: &AdminAnswer, out: &mut impl Write) -> Result<bool, CliError> {
    let said = match &cli.command {
        Command::Key(
            Key::Create { credential_id, out: Some(file), .. }
            | Key::Renew { credential_id, out: Some(file), .. }
            | Key::Request { credential_id, out: Some(file) },
        ) => request_into(file, credential_id, answer)?,
        Command::Audit(Audit::Head { key_out, checkpoint_out }) => {
            head_into(key_out.as_deref(), checkpoint_out.as_deref(), answer)?
        }
        _ => None,
    };
    let Some(said) = said else {
        return Ok(false);
    };
    match cli.json {
        true => writeln!(out, "{:#}", answer.body)?,
        false => write!(out, "{said}")?,
    }
    Ok(true)
}

fn request_into(
    file: &Path,
    credential_id: &str,
    answer: &AdminAnswer,
) -> Result<Option<String>, CliError> {
    let Ok(view) = KeyRequestView::deserialize(&answer.body) else {
        return Ok(None);
    };
    let path = file.display();
    std::fs::write(file, view.csr_pem.as_bytes()).map_err(|error| {
        CliError::Wrong(format!(
            "{path}: {error}; the key {credential_id} is there, its request again: inkan key request \
             {credential_id} --out FILE"
        ))
    })?;
    Ok(Some(format!(
        "{path} holds the certification request of {credential_id}.\n\
         Next: have it certified, then type\n  inkan key install {credential_id} --chain CHAIN.pem\n"
    )))
}

fn head_into(
    key: Option<&Path>,
    checkpoint: Option<&Path>,
    answer: &AdminAnswer,
) -> Result<Option<String>, CliError> {
    let Ok(view) = AuditHeadView::deserialize(&answer.body) else {
        return Ok(None);
    };
    let wanted = [
        (key, view.public_key_pem, "the public key"),
        (checkpoint, view.checkpoint, "the checkpoint"),
    ];
    let mut said = None;
    for (file, content, what) in wanted {
        let Some(file) = file else { continue };
        let content = content.ok_or_else(|| CliError::Wrong(format!("{what} is not there yet")))?;
        std::fs::write(file, content.as_bytes())
            .map_err(|source| CliError::File { path: file.to_owned(), source })?;
        let line = format!("{} holds {what}.\n", file.display());
        said.get_or_insert_with(String::new).push_str(&line);
    }
    Ok(said)
}

fn check_config(cli: &Cli, check: &CheckConfig, out: &mut impl Write) -> Result<(), CliError> {
    if check.example {
        write!(out, "{}", config::EXAMPLE)?;
        return Ok(());
    }
    let file = check
        .file
        .as_deref()
        .or(cli.connection.config.as_deref())
        .ok_or(CliError::NotGiven { what: "the file", how: "inkan check-config FILE" })?;
    let examined = config::examine(file);
    for fault in &examined.faults {
        match cli.json {
            true => writeln!(
                out,
                "{}",
                serde_json::json!({
                    "severity": if fault.severity == Severity::Error { "error" } else { "warning" },
                    "key": fault.key, "line": fault.line, "wrong": fault.wrong, "instead": fault.instead,
                })
            )?,
            false => writeln!(out, "{fault}")?,
        }
    }
    let errors = examined.faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    match errors {
        0 => {
            let warnings = examined.faults.len();
            if !cli.json {
                writeln!(out, "{}: good, {warnings} warnings", file.display())?;
            }
            Ok(())
        }
        count => Err(CliError::Found(format!("{}: {count} errors", file.display()))),
    }
}
