//! Answers of the admin API for people.

use crate::cli::letter;
use crate::cli::show_holder;
use crate::cli::text::TextTable;
use crate::cli::text::pairs;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::admin::Outcome;
use api::admin::answer::AnchorView;
use api::admin::answer::AuditHeadView;
use api::admin::answer::AuditLines;
use api::admin::answer::AuditRecords;
use api::admin::answer::CardView;
use api::admin::answer::Change;
use api::admin::answer::DeviceView;
use api::admin::answer::DoctorView;
use api::admin::answer::DoneView;
use api::admin::answer::HolderView;
use api::admin::answer::JpkiView;
use api::admin::answer::KeyRequestView;
use api::admin::answer::KeyView;
use api::admin::answer::OperatorView;
use api::admin::answer::ProposalView;
use api::admin::answer::ProposedView;
use api::admin::answer::SessionEntry;
use api::admin::answer::StatusView;
use api::admin::answer::SystemView;
use api::admin::answer::Verdict;
use api::admin::command::RoleName;
use api::admin::names::DeviceKindName;
use attest::records::Role;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Characters of a fingerprint that people compare at a glance; the whole is in `--json` and in proposals.
const SHORT_FINGERPRINT: usize = 16;

/// `answer` to `command`, as text.
///
/// # Errors
/// When the answer has another shape, as that of another version may have.
pub fn answer(command: &AdminCommand, answer: &AdminAnswer) -> Result<String, serde_json::Error> {
    use AdminCommand as C;
    let body = &answer.body;
    if answer.outcome == Outcome::Proposed {
        return Ok(proposed(&read(body)?));
    }
    Ok(match command {
        C::Status {} => status(&read(body)?),
        C::Doctor {} => doctor(&read(body)?),
        C::HolderList {} => holders(&read::<Vec<_>>(body)?),
        C::HolderShow { .. } => show_holder::sheet(&read(body)?),
        C::CardList { .. } => cards(&read::<Vec<_>>(body)?),
        C::DeviceList { .. } => devices(&read::<Vec<_>>(body)?),
        C::JpkiList { .. } => jpki(&read::<Vec<_>>(body)?),
        C::LetterList {} => letter::list(&read::<Vec<_>>(body)?),
        C::LetterSheet { .. } => letter::sheet(&read(body)?),
        C::KeyList { .. } => keys(&read::<Vec<_>>(body)?),
        C::KeyCreate(_) | C::KeyRenew(_) | C::KeyRequest { .. } => {
            read::<KeyRequestView>(body)?.csr_pem
        }
        C::SystemList {} => systems(&read::<Vec<_>>(body)?),
        C::OperatorList {} => operators(&read::<Vec<_>>(body)?),
        C::AnchorList {} => anchors(&read::<Vec<_>>(body)?),
        C::SessionList { .. } => sessions(&read::<Vec<_>>(body)?),
        C::ProposalList {} => proposals(&read::<Vec<_>>(body)?),
        C::ProposalShow { .. } => proposal(&read(body)?),
        C::ProposalApprove { .. } => format!("Approved: {}", done(&read(body)?)),
        C::AuditHead {} => audit_head(&read(body)?),
        C::AuditSearch(_) => records(&read(body)?),
        C::AuditExport { .. } => read::<AuditLines>(body)?.lines.join("\n"),
        _ => done(&read(body)?),
    })
}

fn read<T: DeserializeOwned>(body: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(body)
}

fn status(status: &StatusView) -> String {
    let counts = status.counts;
    let mut lines = vec![
        ("state", status.state.clone()),
        ("you", format!("{} ({})", status.operator_id, role(status.role))),
        ("version", status.version.clone()),
        ("time", format!("{}, up {} s", status.time, status.uptime_seconds)),
        (
            "holders",
            format!(
                "{}, {} disabled, {} cards, {} My Number cards",
                counts.holders, counts.holders_disabled, counts.cards, counts.jpki
            ),
        ),
        (
            "keys",
            format!(
                "{} active, {} without certificate, {} quarantined",
                counts.keys_active, counts.keys_generated, counts.keys_quarantined
            ),
        ),
        ("systems", format!("{}, {} live sessions", counts.systems, counts.sessions)),
        ("operators", format!("{}, {} open proposals", counts.operators, counts.proposals_open)),
    ];
    if let Some(hsm) = &status.hsm {
        let sessions = format!(
            "{} sessions, {} hung, {} waiting",
            hsm.sessions_live, hsm.sessions_hung, hsm.queued
        );
        lines.push(("token", format!("{} ({}): {sessions}", hsm.token_label, hsm.token_serial)));
    }
    if let Some(audit) = &status.audit {
        lines.push(("audit", format!("{} records", audit.size)));
    }
    if status.danger_test_mode {
        lines.push((
            "TEST MODE",
            "published test cards may sign in: never for real documents".into(),
        ));
    }
    let alarms: String = status.alarms.iter().map(|alarm| format!("ALARM: {alarm}\n")).collect();
    let next = match (counts.proposals_open, status.alarms.is_empty()) {
        (_, false) => "\nNext: inkan doctor\n",
        (1.., true) => "\nNext: inkan proposals\n",
        (0, true) => "",
    };
    format!("{}{alarms}{next}", pairs(&lines))
}

/// Every check, the bad ones with what to do.
pub fn doctor(doctor: &DoctorView) -> String {
    let mut text = String::new();
    for check in &doctor.checks {
        let mark = match check.verdict {
            Verdict::Good => "ok     ",
            Verdict::Warning => "WARNING",
            Verdict::Bad => "BAD    ",
        };
        text.push_str(&format!("{mark} {}: {}\n", check.subject, check.found));
        if let (Some(next), true) = (&check.next, check.verdict != Verdict::Good) {
            text.push_str(&format!("        next: {next}\n"));
        }
    }
    text
}

fn holders(list: &[HolderView]) -> String {
    let mut table = TextTable::new(&["HOLDER", "NAME", "ENABLED", "CARDS", "KEYS"]);
    for holder in list {
        table.row(vec![
            holder.holder_id.clone(),
            holder.display_name.clone(),
            yes(holder.enabled),
            holder.cards.to_string(),
            holder.credentials.join(" "),
        ]);
    }
    table.to_string()
}

pub(super) fn cards(list: &[CardView]) -> String {
    let mut table = TextTable::new(&["CARD", "HOLDER", "SUBJECT", "SINCE", "UNTIL"]);
    for card in list {
        let until = card.not_after.clone().unwrap_or_else(|| "-".to_owned());
        let cells = [&card.card, &card.holder_id, &card.subject, &card.linked_at, &until];
        table.row(cells.map(Clone::clone).to_vec());
    }
    table.to_string()
}

pub(super) fn jpki(list: &[JpkiView]) -> String {
    let mut table = TextTable::new(&["CARD", "HOLDER", "SINCE", "RENEWED", "REGISTERED FROM"]);
    for card in list {
        let renewed = card.renewed_at.clone().unwrap_or_else(|| "never".to_owned());
        let cells = [&card.card, &card.holder_id, &card.linked_at, &renewed, &card.terminal];
        table.row(cells.map(Clone::clone).to_vec());
    }
    table.to_string()
}

pub(super) fn devices(list: &[DeviceView]) -> String {
    let mut table =
        TextTable::new(&["DEVICE", "HOLDER", "KIND", "LABEL", "SINCE", "LAST USED", "NOTE"]);
    for device in list {
        let note = match (&device.counter_went_back_at, device.key_may_be_copied) {
            (Some(at), _) => format!("ITS COUNTER WENT BACK at {at}: remove it"),
            (None, true) => "key may be copied by its maker".to_owned(),
            (None, false) => String::new(),
        };
        let last_used = device.last_used_at.clone().unwrap_or_else(|| "never".to_owned());
        let kind = match device.kind {
            DeviceKindName::Phone => "phone",
            DeviceKindName::SecurityKey => "security key",
        };
        let kind = kind.to_owned();
        let cells = [&device.device, &device.holder_id, &kind, &device.label, &device.enrolled_at];
        let cells = cells.into_iter().cloned().chain([last_used, note]);
        table.row(cells.collect());
    }
    table.to_string()
}

pub(super) fn keys(list: &[KeyView]) -> String {
    let mut table =
        TextTable::new(&["KEY", "HOLDER", "TYPE", "STATUS", "CERTIFICATE", "DAYS LEFT", "SUBJECT"]);
    for key in list {
        let certificate = match key.certificate_good {
            Some(true) => "good",
            Some(false) => "NOT GOOD",
            None => "none",
        };
        table.row(vec![
            key.credential_id.clone(),
            key.holder_id.clone(),
            key.key_type.clone(),
            key.status.clone(),
            certificate.to_owned(),
            key.days_left.map_or_else(|| "-".into(), |days| days.to_string()),
            key.subject.clone().unwrap_or_default(),
        ]);
    }
    table.to_string()
}

fn systems(list: &[SystemView]) -> String {
    let mut table =
        TextTable::new(&["SYSTEM", "NAME", "CERTIFICATES", "HOLDERS", "METHODS", "RAW", "LIMITS"]);
    for system in list {
        let holders = match &system.holders {
            Some(holders) => format!("{}", holders.len()),
            None => "every".to_owned(),
        };
        let methods: Vec<_> = system.methods.iter().map(json_name).collect();
        let limits = format!(
            "{} h, idle {} min, {} signatures, {}/s",
            system.session_seconds / 3_600,
            system.session_idle_seconds / 60,
            system.session_signatures,
            system.requests_per_second
        );
        let certificates: Vec<_> = system.certificates.iter().map(|full| short(full)).collect();
        table.row(vec![
            system.system_id.clone(),
            system.display_name.clone(),
            certificates.join(" "),
            holders,
            methods.join(" "),
            raw(system).to_owned(),
            limits,
        ]);
    }
    table.to_string()
}

fn raw(system: &SystemView) -> &'static str {
    match (system.raw_allowed, system.bare_digests_allowed) {
        (true, true) => "yes, digests too",
        (true, false) => "yes",
        (false, _) => "no",
    }
}

fn operators(list: &[OperatorView]) -> String {
    let mut table = TextTable::new(&["OPERATOR", "ROLE", "CERTIFICATE", "SINCE"]);
    for operator in list {
        table.row(vec![
            operator.operator_id.clone(),
            role(operator.role).to_owned(),
            short(&operator.certificate),
            operator.created_at.clone(),
        ]);
    }
    table.to_string()
}

fn anchors(list: &[AnchorView]) -> String {
    let mut table = TextTable::new(&["PURPOSE", "FINGERPRINT", "SUBJECT", "UNTIL"]);
    for anchor in list {
        table.row(vec![
            anchor.purpose.name().to_owned(),
            anchor.fingerprint.clone(),
            anchor.subject.clone(),
            anchor.not_after.clone(),
        ]);
    }
    table.to_string()
}

pub(super) fn sessions(list: &[SessionEntry]) -> String {
    let mut table = TextTable::new(&[
        "SESSION", "HOLDER", "SYSTEM", "METHOD", "SINCE", "UNTIL", "USED", "LEFT",
    ]);
    for session in list {
        table.row(vec![
            session.session_id.clone(),
            session.holder_id.clone(),
            session.system_id.clone(),
            json_name(&session.method),
            session.authenticated_at.clone(),
            session.expires_at.clone(),
            session.used.to_string(),
            session.remaining.to_string(),
        ]);
    }
    table.to_string()
}

fn proposals(list: &[ProposalView]) -> String {
    let mut table = TextTable::new(&["PROPOSAL", "STATE", "BY", "UNTIL", "WHAT"]);
    for proposal in list {
        table.row(vec![
            proposal.proposal_id.clone(),
            proposal.state.clone(),
            proposal.proposed_by.clone(),
            proposal.expires_at.clone(),
            proposal.summary.clone(),
        ]);
    }
    let next = match list.iter().find(|proposal| proposal.state == "open") {
        Some(open) => format!("\nNext: inkan proposals show {}\n", open.proposal_id),
        None => String::new(),
    };
    format!("{table}{next}")
}

/// A proposal with everything that it would change.
pub fn proposal(proposal: &ProposalView) -> String {
    let roles: Vec<_> = proposal.approvable_by.iter().map(|name| role(*name)).collect();
    let mut lines = vec![
        ("proposal", proposal.proposal_id.clone()),
        ("what", proposal.summary.clone()),
        ("state", proposal.state.clone()),
        ("proposed by", format!("{}, {}", proposal.proposed_by, proposal.proposed_at)),
        ("until", proposal.expires_at.clone()),
        ("second operator", roles.join(" or ")),
    ];
    if let (Some(by), Some(at)) = (&proposal.decided_by, &proposal.decided_at) {
        lines.push(("decided by", format!("{by}, {at}")));
    }
    format!("{}\n{}", pairs(&lines), changes(&proposal.changes))
}

fn proposed(view: &ProposedView) -> String {
    let roles: Vec<_> = view.proposal.approvable_by.iter().map(|name| role(*name)).collect();
    format!(
        "{}\nNothing has changed yet. Next: another operator ({}) types\n  inkan approve {}\n",
        proposal(&view.proposal),
        roles.join(" or "),
        view.proposal_id
    )
}

fn done(view: &DoneView) -> String {
    let ended = match view.sessions_ended {
        0 => String::new(),
        count => format!("{count} sessions ended\n"),
    };
    format!("{}\n{}{ended}", view.done, changes(&view.changes))
}

fn changes(list: &[Change]) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let lines = list.iter().map(|change| match (&change.now, &change.then) {
        (None, Some(then)) => format!("  {}: {then}\n", change.what),
        (now, then) => format!("  {}: {} -> {}\n", change.what, side(now), side(then)),
    });
    lines.collect()
}

fn audit_head(head: &AuditHeadView) -> String {
    let checkpoint = head.checkpoint.as_deref().unwrap_or("no checkpoint is signed yet\n");
    let key = head.public_key_pem.as_deref().unwrap_or_default();
    format!("{} records\n\n{checkpoint}\n{key}", head.size)
}

/// Records, one a line.
pub fn records(list: &AuditRecords) -> String {
    list.records.iter().map(|record| format!("{record}\n")).collect()
}

fn role(name: RoleName) -> &'static str {
    Role::from(name).name()
}

fn json_name(value: &impl serde::Serialize) -> String {
    let name = serde_json::to_value(value).ok();
    name.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(SHORT_FINGERPRINT).collect()
}

fn yes(flag: bool) -> String {
    if flag { "yes".into() } else { "no".into() }
}
