//! One person on one screen, for people.

use crate::cli::letter;
use crate::cli::show;
use crate::cli::text::TextTable;
use crate::cli::text::pairs;
use api::admin::answer::DoctorView;
use api::admin::answer::KeyView;
use api::admin::answer::PairView;
use api::admin::holder::HolderSheet;
use api::admin::holder::TakenView;

/// Everything about one person; at the end what is wrong, with the next command.
pub fn sheet(sheet: &HolderSheet) -> String {
    let holder = &sheet.holder;
    let state = match (&sheet.stop, holder.enabled) {
        (_, true) => "may sign".to_owned(),
        (Some(stop), false) => {
            let word = if stop.is_for_good { "LEFT FOR GOOD" } else { "DISABLED" };
            format!("{word} since {}{}", stop.at, because(&stop.reason))
        }
        (None, false) => "DISABLED".to_owned(),
    };
    let head = pairs(&[
        ("holder", holder.holder_id.clone()),
        ("name", holder.display_name.clone()),
        ("state", state),
        ("CA contact", holder.ca_contact.clone().unwrap_or_else(|| "nobody is named".into())),
        ("since", holder.created_at.clone()),
    ]);
    let parts = [
        ("HPKI cards", show::cards(&sheet.cards)),
        ("Second certificates", format!("{}{}", show::keys(&sheet.keys), other_pairs(&sheet.keys))),
        ("Phones", show::devices(&sheet.devices)),
        ("My Number card", show::jpki(&sheet.my_number_cards)),
        ("Notification cards", letter::list(&sheet.letters)),
        ("Live sessions", show::sessions(&sheet.sessions)),
        ("Taken away lately", taken(&sheet.taken)),
    ];
    let parts: String =
        parts.iter().map(|(title, table)| format!("\n{title}\n{}", indented(table))).collect();
    let findings = match sheet.findings.is_empty() {
        true => "\nNothing is wrong.\n".to_owned(),
        false => format!("\n{}", show::doctor(&DoctorView { checks: sheet.findings.clone() })),
    };
    format!("{head}{parts}{findings}")
}

fn taken(list: &[TakenView]) -> String {
    let mut table = TextTable::new(&["WHEN", "WHAT", "ID", "WHY"]);
    for taken in list {
        let reason = taken.reason.clone().unwrap_or_else(|| "-".to_owned());
        table.row(vec![taken.at.clone(), taken.what.clone(), taken.id.clone(), reason]);
    }
    table.to_string()
}

/// Pairs besides those that sign, and why keys were revoked.
fn other_pairs(keys: &[KeyView]) -> String {
    let mut lines = String::new();
    for key in keys {
        let id = &key.credential_id;
        if let Some(at) = &key.revoked_at {
            lines.push_str(&format!("{id}: revoked {at}{}\n", because(&key.revoked_because)));
        }
        if let Some(PairView { spki_sha256, since, .. }) = &key.next {
            lines.push_str(&format!(
                "{id}: next pair {spki_sha256} waits for its certificate since {since}\n"
            ));
        }
        for PairView { spki_sha256, since, may_be_destroyed_from, destroyed_at } in &key.earlier {
            let end = match destroyed_at {
                Some(at) => format!("destroyed {at}"),
                None => format!("may be destroyed from {may_be_destroyed_from}"),
            };
            lines.push_str(&format!("{id}: old pair {spki_sha256} superseded {since}, {end}\n"));
        }
    }
    lines
}

fn because(reason: &Option<String>) -> String {
    reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
