//! What was typed, as a command of the admin API: names as they are, files read.

use crate::audit::Event;
use crate::cli::args;
use crate::cli::args::Command;
use crate::cli::error::CliError;
use crate::cli::system_args::Limits;
use crate::cli::system_args::SystemAdd;
use crate::cli::system_args::SystemUpdate;
use crate::cli::values::Method;
use crate::cli::values::Purpose;
use crate::cli::values::Role;
use crate::cli::values::Switch;
use crate::x509;
use api::admin::AdminCommand;
use api::admin::command::AnchorPurposeName;
use api::admin::command::AuditQuery;
use api::admin::command::NewAnchor;
use api::admin::command::NewCard;
use api::admin::command::NewCertificate;
use api::admin::command::NewHolder;
use api::admin::command::NewKey;
use api::admin::command::NewLimits;
use api::admin::command::NewModule;
use api::admin::command::NewOperator;
use api::admin::command::NewRenewal;
use api::admin::command::NewSystem;
use api::admin::command::RoleName;
use api::admin::command::SystemChange;
use api::admin::holder::HolderChange;
use api::wire::MethodName;
use attest::algorithm::KeyType;
use attest::records::Fingerprint;
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The admin command that `command` is; `None` for what the tool does itself.
///
/// # Errors
/// [`CliError`] when a file or a value cannot be meant.
pub fn admin_command(command: &Command) -> Result<Option<AdminCommand>, CliError> {
    Ok(Some(match command {
        Command::Status => AdminCommand::Status {},
        Command::Holder(holder) => self::holder(holder),
        Command::Card(card) => self::card(card)?,
        Command::Device(device) => self::device(device),
        Command::Jpki(jpki) => self::jpki(jpki),
        Command::Letter(letter) => letter.command(),
        Command::Key(key) => self::key(key)?,
        Command::System(system) => self::system(system)?,
        Command::Operator(operator) => self::operator(operator)?,
        Command::Anchor(anchor) => self::anchor(anchor)?,
        Command::TestMode { switch: Switch::On } => AdminCommand::TestModeOn {},
        Command::TestMode { switch: Switch::Off } => AdminCommand::TestModeOff {},
        Command::Module(args::Module::Approve { module }) => {
            AdminCommand::ModuleApprove(NewModule { module: module_fingerprint(module)? })
        }
        Command::Session(session) => self::session(session),
        Command::Proposals { one } => proposal(one.as_ref()),
        Command::Approve { proposal_id, .. } => {
            AdminCommand::ProposalApprove { proposal_id: proposal_id.clone() }
        }
        Command::Reject { proposal_id } => {
            AdminCommand::ProposalReject { proposal_id: proposal_id.clone() }
        }
        Command::Audit(args::Audit::Head { .. }) => AdminCommand::AuditHead {},
        Command::Audit(args::Audit::Search(search)) if search.dir.is_none() => {
            AdminCommand::AuditSearch(audit_query(search)?)
        }
        Command::Audit(args::Audit::Evidence { seq, .. }) => {
            AdminCommand::AuditEvidence { seq: *seq }
        }
        Command::Audit(_) | Command::Doctor | Command::CheckConfig(_) | Command::Init(_) => {
            return Ok(None);
        }
    }))
}

fn holder(holder: &args::Holder) -> AdminCommand {
    use args::Holder as H;
    match holder {
        H::Add { holder_id, name, ca_contact } => AdminCommand::HolderAdd(NewHolder {
            holder_id: holder_id.clone(),
            display_name: name.clone(),
            ca_contact: ca_contact.clone(),
        }),
        H::List => AdminCommand::HolderList {},
        H::Show { holder_id } => AdminCommand::HolderShow { holder_id: holder_id.clone() },
        H::Update { holder_id, name, ca_contact } => AdminCommand::HolderUpdate {
            holder_id: holder_id.clone(),
            change: HolderChange { display_name: name.clone(), ca_contact: ca_contact.clone() },
        },
        H::Disable { holder_id, reason } => {
            AdminCommand::HolderDisable { holder_id: holder_id.clone(), reason: reason.clone() }
        }
        H::Retire { holder_id, reason } => {
            AdminCommand::HolderRetire { holder_id: holder_id.clone(), reason: reason.clone() }
        }
        H::Enable { holder_id } => AdminCommand::HolderEnable { holder_id: holder_id.clone() },
    }
}

fn card(card: &args::Card) -> Result<AdminCommand, CliError> {
    Ok(match card {
        args::Card::Link { holder_id, certificate } => AdminCommand::CardLink(NewCard {
            holder_id: holder_id.clone(),
            certificate_pem: certificate_pem(certificate)?,
        }),
        args::Card::Unlink { card, reason } => {
            AdminCommand::CardUnlink { card: fingerprint(card), reason: reason.clone() }
        }
        args::Card::List(of) => AdminCommand::CardList { holder_id: of.holder.clone() },
    })
}

fn jpki(jpki: &args::Jpki) -> AdminCommand {
    match jpki {
        args::Jpki::Unlink { card, reason } => {
            AdminCommand::JpkiUnlink { card: fingerprint(card), reason: reason.clone() }
        }
        args::Jpki::List(of) => AdminCommand::JpkiList { holder_id: of.holder.clone() },
    }
}

fn device(device: &args::Device) -> AdminCommand {
    match device {
        args::Device::Remove { device, reason } => {
            AdminCommand::DeviceRemove { device: fingerprint(device), reason: reason.clone() }
        }
        args::Device::List(of) => AdminCommand::DeviceList { holder_id: of.holder.clone() },
    }
}

fn key(key: &args::Key) -> Result<AdminCommand, CliError> {
    use args::Key as K;
    Ok(match key {
        K::Create { credential_id, holder, key_type, subject, .. } => {
            AdminCommand::KeyCreate(NewKey {
                credential_id: credential_id.clone(),
                holder_id: holder.clone(),
                key_type: key_type_named(key_type)?,
                subject: subject.clone(),
            })
        }
        K::Request { credential_id, .. } => {
            AdminCommand::KeyRequest { credential_id: credential_id.clone() }
        }
        K::Install { credential_id, chain } => AdminCommand::KeyInstall(NewCertificate {
            credential_id: credential_id.clone(),
            chain_pem: certificate_pem(chain)?,
        }),
        K::Renew { credential_id, subject, .. } => AdminCommand::KeyRenew(NewRenewal {
            credential_id: credential_id.clone(),
            subject: subject.clone(),
        }),
        K::Destroy { credential_id, public_key } => AdminCommand::KeyDestroy {
            credential_id: credential_id.clone(),
            public_key: fingerprint(public_key),
        },
        K::List(of) => AdminCommand::KeyList { holder_id: of.holder.clone() },
        K::Revoke { credential_id, reason } => {
            AdminCommand::KeyRevoke { credential_id: credential_id.clone(), reason: reason.clone() }
        }
        K::Release { credential_id } => {
            AdminCommand::KeyRelease { credential_id: credential_id.clone() }
        }
    })
}

fn system(system: &args::System) -> Result<AdminCommand, CliError> {
    Ok(match system {
        args::System::Add(add) => AdminCommand::SystemAdd(new_system(add)?),
        args::System::Update(update) => AdminCommand::SystemUpdate {
            system_id: update.system_id.clone(),
            change: system_change(update)?,
        },
        args::System::List => AdminCommand::SystemList {},
        args::System::Remove { system_id } => {
            AdminCommand::SystemRemove { system_id: system_id.clone() }
        }
    })
}

fn new_system(add: &SystemAdd) -> Result<NewSystem, CliError> {
    let certificates = add.certificate.iter().map(|file| certificate_pem(file));
    Ok(NewSystem {
        system_id: add.system_id.clone(),
        display_name: add.name.clone(),
        certificates_pem: certificates.collect::<Result<_, _>>()?,
        return_urls: add.return_url.clone(),
        holders: add.holder.clone(),
        all_holders: add.all_holders,
        methods: add.method.iter().map(|method| method_name(*method)).collect(),
        raw_allowed: add.raw,
        bare_digests_allowed: add.bare_digests,
        limits: limits(add.limits),
        requests_per_second: add.limits.requests_per_second,
    })
}

fn system_change(update: &SystemUpdate) -> Result<SystemChange, CliError> {
    let new_certificate = update.add_certificate.as_deref().map(certificate_pem);
    let methods = update.method.as_ref();
    let all_holders = match (&update.holder, update.all_holders) {
        (_, true) => Some(true),
        (Some(_), false) => Some(false),
        (None, false) => None,
    };
    Ok(SystemChange {
        display_name: update.name.clone(),
        add_certificate_pem: new_certificate.transpose()?,
        remove_certificate: update.remove_certificate.as_deref().map(fingerprint),
        return_urls: update.return_url.clone(),
        holders: update.holder.clone(),
        all_holders,
        methods: methods.map(|list| list.iter().map(|method| method_name(*method)).collect()),
        raw_allowed: update.raw.map(|switch| switch == Switch::On),
        bare_digests_allowed: update.bare_digests.map(|switch| switch == Switch::On),
        limits: limits(update.limits),
        requests_per_second: update.limits.requests_per_second,
    })
}

fn limits(limits: Limits) -> NewLimits {
    NewLimits {
        seconds: limits.session_seconds,
        idle_seconds: limits.idle_seconds,
        signatures: limits.signatures,
    }
}

fn operator(operator: &args::OperatorCommand) -> Result<AdminCommand, CliError> {
    use args::OperatorCommand as O;
    Ok(match operator {
        O::Add { operator_id, role, certificate } => AdminCommand::OperatorAdd(NewOperator {
            operator_id: operator_id.clone(),
            role: role_name(*role),
            certificate_pem: certificate_pem(certificate)?,
        }),
        O::List => AdminCommand::OperatorList {},
        O::Remove { operator_id } => {
            AdminCommand::OperatorRemove { operator_id: operator_id.clone() }
        }
    })
}

fn anchor(anchor: &args::Anchor) -> Result<AdminCommand, CliError> {
    Ok(match anchor {
        args::Anchor::Add { purpose, file } => AdminCommand::AnchorAdd(NewAnchor {
            purpose: purpose_name(*purpose),
            certificate_pem: certificate_pem(file)?,
        }),
        args::Anchor::List => AdminCommand::AnchorList {},
        args::Anchor::Remove { purpose, fingerprint } => AdminCommand::AnchorRemove {
            purpose: purpose_name(*purpose),
            fingerprint: self::fingerprint(fingerprint),
        },
    })
}

fn session(session: &args::Session) -> AdminCommand {
    match session {
        args::Session::List { holder, system } => {
            AdminCommand::SessionList { holder_id: holder.clone(), system_id: system.clone() }
        }
        args::Session::End { session_id } => {
            AdminCommand::SessionEnd { session_id: session_id.clone() }
        }
        args::Session::EndAll { holder_id } => {
            AdminCommand::SessionEndAll { holder_id: holder_id.clone() }
        }
    }
}

fn proposal(one: Option<&args::Proposal>) -> AdminCommand {
    match one {
        None | Some(args::Proposal::List) => AdminCommand::ProposalList {},
        Some(args::Proposal::Show { proposal_id }) => {
            AdminCommand::ProposalShow { proposal_id: proposal_id.clone() }
        }
        Some(args::Proposal::Approve { proposal_id, .. }) => {
            AdminCommand::ProposalApprove { proposal_id: proposal_id.clone() }
        }
        Some(args::Proposal::Reject { proposal_id }) => {
            AdminCommand::ProposalReject { proposal_id: proposal_id.clone() }
        }
    }
}

/// What is looked for in the audit log.
///
/// # Errors
/// [`CliError::Wrong`] when a time cannot be read.
pub fn audit_query(search: &args::AuditSearch) -> Result<AuditQuery, CliError> {
    if let Some(event) = &search.event
        && !Event::KINDS.contains(&event.as_str())
    {
        let known = Event::KINDS.join(", ");
        return Err(CliError::Wrong(format!("--event {event}: write one of {known}")));
    }
    Ok(AuditQuery {
        holder_id: search.holder.clone(),
        system_id: search.system.clone(),
        credential_id: search.credential.clone(),
        operator_id: search.operator.clone(),
        event: search.event.clone(),
        request_id: search.request.clone(),
        since: search.since.as_deref().map(unix_seconds).transpose()?,
        until: search.until.as_deref().map(unix_seconds).transpose()?,
        from: search.from,
        limit: Some(search.limit),
    })
}

/// Unix seconds, or RFC 3339 as `inkan` prints times.
fn unix_seconds(text: &str) -> Result<u64, CliError> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let seconds = time.and_then(|time| u64::try_from(time.unix_timestamp()).ok());
    seconds.ok_or_else(|| {
        CliError::Wrong(format!("{text}: write 2026-04-01T09:00:00+09:00, or Unix seconds"))
    })
}

/// A certificate file as PEM; DER is turned into PEM.
pub fn certificate_pem(path: &Path) -> Result<String, CliError> {
    let octets =
        std::fs::read(path).map_err(|source| CliError::File { path: path.to_owned(), source })?;
    if let Ok(text) = std::str::from_utf8(&octets)
        && text.contains("-----BEGIN")
    {
        // What stands around the certificates (text of `openssl x509 -text`, a key) does not travel.
        let list = x509::certificates_of_pem(text)
            .map_err(|source| CliError::Certificate { path: path.to_owned(), source })?;
        if list.is_empty() {
            let wrong = format!("{} holds no certificate", path.display());
            return Err(CliError::Wrong(wrong));
        }
        return Ok(list.iter().map(|der| x509::pem("CERTIFICATE", der)).collect());
    }
    match x509::Facts::of(&octets) {
        Ok(_) => Ok(x509::pem("CERTIFICATE", &octets)),
        Err(source) => Err(CliError::Certificate { path: path.to_owned(), source }),
    }
}

/// A module file, or the SHA-256 of one.
fn module_fingerprint(module: &str) -> Result<Fingerprint, CliError> {
    if module.len() == 64 && module.chars().all(|char| char.is_ascii_hexdigit()) {
        return Ok(fingerprint(module));
    }
    let octets =
        std::fs::read(module).map_err(|source| CliError::File { path: module.into(), source })?;
    if !octets.starts_with(b"\x7fELF") {
        let wrong =
            format!("{module} is no shared library: at the next start nothing could be loaded");
        return Err(CliError::Wrong(wrong));
    }
    Ok(Fingerprint::of(&octets))
}

/// As people paste it: colons and capitals do not matter.
fn fingerprint(text: &str) -> Fingerprint {
    Fingerprint(text.replace(':', "").to_ascii_lowercase())
}

fn key_type_named(name: &str) -> Result<KeyType, CliError> {
    let known = KeyType::ALL.map(KeyType::name);
    let found =
        KeyType::ALL.into_iter().find(|key_type| key_type.name() == name.to_ascii_lowercase());
    found.ok_or_else(|| CliError::Wrong(format!("{name}: write one of {}", known.join(", "))))
}

fn method_name(method: Method) -> MethodName {
    match method {
        Method::Hpki => MethodName::Hpki,
        Method::Jpki => MethodName::Jpki,
        Method::Fido2 => MethodName::Fido2,
    }
}

fn role_name(role: Role) -> RoleName {
    match role {
        Role::SecurityOfficer => RoleName::SecurityOfficer,
        Role::Administrator => RoleName::Administrator,
        Role::RegistrationOfficer => RoleName::RegistrationOfficer,
        Role::Auditor => RoleName::Auditor,
    }
}

fn purpose_name(purpose: Purpose) -> AnchorPurposeName {
    match purpose {
        Purpose::HpkiCard => AnchorPurposeName::HpkiCard,
        Purpose::SecondCertificate => AnchorPurposeName::SecondCertificate,
        Purpose::JpkiCard => AnchorPurposeName::JpkiCard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::CommandFactory;
    use clap::Parser;

    fn typed(line: &str) -> AdminCommand {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        admin_command(&cli.command).unwrap().unwrap()
    }

    #[test]
    fn command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn update_names_only_what_was_typed() {
        let AdminCommand::SystemUpdate { system_id, change } =
            typed("inkan system update ehr --raw off --signatures 5")
        else {
            panic!("another command");
        };
        assert_eq!(system_id, "ehr");
        let limits = NewLimits { signatures: Some(5), ..NewLimits::default() };
        let expected = SystemChange { raw_allowed: Some(false), limits, ..SystemChange::default() };
        assert_eq!(change, expected);
        let named = typed("inkan system update ehr --holder u-1 --holder u-2");
        let AdminCommand::SystemUpdate { change, .. } = named else { panic!("another command") };
        assert_eq!(change.holders, Some(vec!["u-1".into(), "u-2".into()]));
        assert_eq!(change.all_holders, Some(false));
    }

    #[test]
    fn fingerprint_is_taken_as_people_paste_it() {
        let pasted = ["AB:CD:"; 16].concat();
        let typed = typed(&format!("inkan card unlink {}", pasted.trim_end_matches(':')));
        assert_eq!(
            typed,
            AdminCommand::CardUnlink { card: Fingerprint("abcd".repeat(16)), reason: None }
        );
    }

    #[test]
    fn time_is_taken_as_people_write_it() {
        assert_eq!(unix_seconds("0").unwrap(), 0);
        assert_eq!(unix_seconds("1970-01-01T09:00:10+09:00").unwrap(), 10);
        assert!(unix_seconds("yesterday").is_err());
    }

    #[test]
    fn key_type_is_known_by_its_wire_name() {
        let typed = typed("inkan key create k --holder u --type RSA-3072");
        assert!(matches!(typed, AdminCommand::KeyCreate(new) if new.key_type == KeyType::Rsa3072));
        let unknown =
            Cli::try_parse_from("inkan key create k --holder u --type dsa".split(' ')).unwrap();
        assert!(admin_command(&unknown.command).unwrap_err().to_string().contains("p-256"));
    }

    #[test]
    fn certificate_file_sheds_what_stands_around_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let (pem, der) = (dir.path().join("a.pem"), dir.path().join("a.der"));
        let around = format!("Subject: somebody\n{}{}", certificate.pem(), key.serialize_pem());
        std::fs::write(&pem, around).unwrap();
        std::fs::write(&der, certificate.der()).unwrap();
        let read = certificate_pem(&pem).unwrap();
        assert!(!read.contains("PRIVATE KEY"));
        assert_eq!(read, certificate_pem(&der).unwrap());
    }
}
