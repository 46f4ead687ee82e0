//! Who may ask for what, and what takes two: the whole of it, in one match that the compiler keeps complete.
//!
//! `appliance/ADMIN.md` shows the same as a matrix; a test compares every cell.

use api::admin::AdminCommand;
use attest::records::Role;

/// How many operators a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One, at once: it reads, withdraws trust, or makes nothing usable.
    One,
    /// Two different ones: it grants trust, or there is no way back from it and no hurry.
    Two,
    /// Two when it widens what somebody may do, one when it only narrows it.
    TwoToWiden,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Roles that may ask for it: run it alone, or propose it.
    pub asks: &'static [Role],
    /// How many it takes.
    pub takes: Takes,
    /// Roles of which the second operator may be.
    pub seconds: &'static [Role],
}

/// The row of `command`.
pub fn rule(command: &AdminCommand) -> Rule {
    use AdminCommand as C;
    match command {
        // Reading.
        C::Status {} | C::Doctor {} | C::OperatorList {} | C::AnchorList {} => one(EVERYBODY),
        C::ProposalList {} | C::ProposalShow { .. } => one(EVERYBODY),
        C::AuditHead {} => one(EVERYBODY),
        C::HolderList {} | C::CardList { .. } | C::KeyList { .. } => one(READ_HOLDERS),
        C::DeviceList { .. } | C::HolderShow { .. } => one(READ_HOLDERS),
        C::JpkiList { .. } => one(READ_HOLDERS),
        C::SystemList {} => one(READ_SYSTEMS),
        C::SessionList { .. } => one(EVERYBODY),
        C::AuditSearch(_) | C::AuditExport { .. } => one(READ_AUDIT),
        // It says who somebody is.
        C::AuditEvidence { .. } => two(READ_AUDIT, SECURITY),

        // People, cards, keys.
        C::HolderAdd(_) | C::HolderEnable { .. } => two(REGISTRATION, REGISTRATION),
        C::HolderUpdate { .. } => two(REGISTRATION, REGISTRATION),
        C::CardLink(_) | C::KeyInstall(_) => two(REGISTRATION, REGISTRATION),
        C::KeyCreate(_) | C::KeyRenew(_) | C::KeyRequest { .. } => one(REGISTRATION),
        // There is no way back from these, and what is urgent about them one does by disabling or revoking.
        C::KeyDestroy { .. } | C::HolderRetire { .. } => two(REGISTRATION, REGISTRATION),
        C::HolderDisable { .. } | C::CardUnlink { .. } | C::KeyRevoke { .. } => one(REGISTRATION),
        C::DeviceRemove { .. } | C::JpkiUnlink { .. } => one(REGISTRATION),
        C::KeyRelease { .. } => two(SECURITY, SECURITY),

        // Notification cards: who issued one and who approved it have a sheet each.
        C::LetterIssue(_) => two(REGISTRATION, REGISTRATION),
        C::LetterSheet { .. } | C::LetterWithdraw { .. } => one(REGISTRATION),
        C::LetterList {} => one(READ_HOLDERS),

        // Signing systems.
        C::SystemAdd(_) => two(ADMINISTRATION, ADMINISTRATION),
        C::SystemUpdate { .. } => {
            Rule { takes: Takes::TwoToWiden, ..two(ADMINISTRATION, ADMINISTRATION) }
        }
        C::SystemRemove { .. } => one(ADMINISTRATION),

        // The appliance itself.
        C::OperatorAdd(_) | C::AnchorAdd(_) => two(SECURITY, SECURITY),
        C::TestModeOn {} | C::ModuleApprove(_) => two(SECURITY, SECURITY),
        C::OperatorRemove { .. } | C::AnchorRemove { .. } | C::TestModeOff {} => one(SECURITY),

        // Sessions: whoever is there ends them.
        C::SessionEnd { .. } | C::SessionEndAll { .. } => one(OPERATING),

        // Deciding: whether this one may is the row of what was proposed.
        C::ProposalApprove { .. } | C::ProposalReject { .. } => one(OPERATING),
    }
}

const EVERYBODY: &[Role] = &Role::ALL;
const OPERATING: &[Role] = &[Role::SecurityOfficer, Role::Administrator, Role::RegistrationOfficer];
const SECURITY: &[Role] = &[Role::SecurityOfficer];
const REGISTRATION: &[Role] = &[Role::SecurityOfficer, Role::RegistrationOfficer];
const ADMINISTRATION: &[Role] = &[Role::SecurityOfficer, Role::Administrator];
const READ_HOLDERS: &[Role] = &[Role::SecurityOfficer, Role::RegistrationOfficer, Role::Auditor];
const READ_SYSTEMS: &[Role] = &[Role::SecurityOfficer, Role::Administrator, Role::Auditor];
const READ_AUDIT: &[Role] = &[Role::SecurityOfficer, Role::Auditor];

const fn one(asks: &'static [Role]) -> Rule {
    Rule { asks, takes: Takes::One, seconds: &[] }
}

const fn two(asks: &'static [Role], seconds: &'static [Role]) -> Rule {
    Rule { asks, takes: Takes::Two, seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::admin::rest::ROUTES;
    use api::admin::rest::command_of;
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../ADMIN.md");

    /// One command of each kind, by name.
    fn samples() -> BTreeMap<&'static str, AdminCommand> {
        let pem = "-----BEGIN CERTIFICATE-----\\nMA==\\n-----END CERTIFICATE-----";
        let hex = "0".repeat(64);
        let bodies = [
            ("POST /holders", r#"{"holder_id":"u","display_name":"U"}"#.to_owned()),
            ("POST /cards", format!(r#"{{"holder_id":"u","certificate_pem":"{pem}"}}"#)),
            ("POST /letters", r#"{"holder_id":"u"}"#.to_owned()),
            (
                "POST /keys",
                r#"{"credential_id":"k","holder_id":"u","key_type":"p-256"}"#.to_owned(),
            ),
            ("POST /keys/{credential_id}/certificate", format!(r#"{{"chain_pem":"{pem}"}}"#)),
            (
                "POST /systems",
                format!(
                    r#"{{"system_id":"s","display_name":"S","certificates_pem":["{pem}"],
                        "all_holders":true,"methods":["hpki"]}}"#
                ),
            ),
            ("PATCH /holders/{holder_id}", r#"{"ca_contact":"x"}"#.to_owned()),
            ("PATCH /systems/{system_id}", r#"{"raw_allowed":false}"#.to_owned()),
            (
                "POST /operators",
                format!(r#"{{"operator_id":"o","role":"auditor","certificate_pem":"{pem}"}}"#),
            ),
            ("POST /anchors", format!(r#"{{"purpose":"hpki_card","certificate_pem":"{pem}"}}"#)),
            ("POST /module", format!(r#"{{"module":"{hex}"}}"#)),
            ("POST /test-mode", r#"{"on":true}"#.to_owned()),
        ];
        let mut samples = BTreeMap::new();
        for route in ROUTES {
            let name = format!("{} {}", route.method, route.path);
            let body =
                bodies.iter().find(|(of, _)| *of == name).map_or("", |(_, body)| body.as_str());
            let path = route.path.replace("{purpose}", "hpki_card");
            let path = path
                .replace("{card}", &hex)
                .replace("{device}", &hex)
                .replace("{public_key}", &hex)
                .replace("{fingerprint}", &hex)
                .replace("{seq}", "7")
                .replace(['{', '}'], "");
            let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            let command = command_of(route.method, &segments, "", body.as_bytes());
            let command = command.unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
            samples.insert(command.name(), command);
        }
        samples.insert("test_mode_off", AdminCommand::TestModeOff {});
        samples
    }

    /// The matrix of the page: command, four cells, what it takes, the seconds.
    fn rows() -> BTreeMap<String, Vec<String>> {
        let matrix = PAGE.split("\n## ").find(|part| part.starts_with("Who may ask")).unwrap();
        let lines = matrix.lines().filter(|line| line.starts_with("| `"));
        lines
            .map(|line| {
                let cells: Vec<String> =
                    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
                (cells[0].trim_matches('`').to_owned(), cells[1..].to_vec())
            })
            .collect()
    }

    #[test]
    fn every_cell_of_the_page_is_the_rule_and_no_command_is_missing() {
        let (rows, samples) = (rows(), samples());
        let on_page: BTreeSet<_> = rows.keys().map(String::as_str).collect();
        assert_eq!(on_page, samples.keys().copied().collect());
        for (name, command) in &samples {
            let (row, rule) = (&rows[*name], rule(command));
            for (role, cell) in Role::ALL.iter().zip(row) {
                let expected = if rule.asks.contains(role) { "x" } else { "" };
                assert_eq!(cell, expected, "{name}, {}", role.name());
            }
            let takes = match rule.takes {
                Takes::One => "1",
                Takes::Two => "2",
                Takes::TwoToWiden => "2 to widen",
            };
            assert_eq!(row[4], takes, "{name}");
            let seconds: Vec<_> = rule.seconds.iter().map(|role| short(*role)).collect();
            assert_eq!(row[5], seconds.join(" "), "{name}");
        }
    }

    #[test]
    fn auditor_changes_nothing() {
        for (name, command) in samples() {
            if rule(&command).asks.contains(&Role::Auditor) {
                let reads = name.ends_with("_list")
                    || name.ends_with("_show")
                    || name.starts_with("audit_");
                assert!(reads || ["status", "doctor"].contains(&name), "{name}");
            }
            assert!(!rule(&command).seconds.contains(&Role::Auditor), "{name}");
        }
    }

    #[test]
    fn whatever_grants_trust_or_cannot_be_undone_without_hurry_takes_two() {
        let grants = [
            "holder_add",
            "holder_enable",
            "holder_update",
            "holder_retire",
            "card_link",
            "letter_issue",
            "key_install",
            "key_release",
            "key_destroy",
            "system_add",
            "operator_add",
            "anchor_add",
            "test_mode_on",
            "module_approve",
            "audit_evidence",
        ];
        for (name, command) in samples() {
            let takes = rule(&command).takes;
            assert_eq!(takes == Takes::Two, grants.contains(&name), "{name}");
            assert_eq!(takes == Takes::TwoToWiden, name == "system_update", "{name}");
        }
    }

    #[test]
    fn two_security_officers_are_enough_to_run_a_house() {
        for (name, command) in samples() {
            let rule = rule(&command);
            assert!(rule.asks.contains(&Role::SecurityOfficer), "{name}");
            assert!(
                rule.seconds.is_empty() || rule.seconds.contains(&Role::SecurityOfficer),
                "{name}"
            );
        }
    }

    #[test]
    fn routes_say_202_exactly_where_two_are_taken() {
        for route in ROUTES {
            let grants = route.may_be_proposed;
            let names: Vec<_> = samples()
                .into_iter()
                .filter(|(_, command)| rule(command).takes != Takes::One)
                .map(|(name, _)| name)
                .collect();
            let is_granting = names.iter().any(|name| route_of(name) == (route.method, route.path));
            assert_eq!(grants, is_granting, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn every_route_is_on_the_page() {
        for route in ROUTES {
            let row = format!("| `{} {}` | {} |", route.method, route.path, route.summary);
            assert!(PAGE.contains(&row), "{row}");
        }
    }

    fn route_of(name: &str) -> (&'static str, &'static str) {
        match name {
            "holder_add" => ("POST", "/holders"),
            "holder_enable" => ("POST", "/holders/{holder_id}/enable"),
            "holder_update" => ("PATCH", "/holders/{holder_id}"),
            "holder_retire" => ("POST", "/holders/{holder_id}/retire"),
            "card_link" => ("POST", "/cards"),
            "letter_issue" => ("POST", "/letters"),
            "key_install" => ("POST", "/keys/{credential_id}/certificate"),
            "key_destroy" => ("DELETE", "/keys/{credential_id}/pairs/{public_key}"),
            "key_release" => ("POST", "/keys/{credential_id}/release"),
            "system_add" => ("POST", "/systems"),
            "system_update" => ("PATCH", "/systems/{system_id}"),
            "operator_add" => ("POST", "/operators"),
            "anchor_add" => ("POST", "/anchors"),
            "test_mode_on" => ("POST", "/test-mode"),
            "module_approve" => ("POST", "/module"),
            "audit_evidence" => ("POST", "/audit/records/{seq}/evidence"),
            other => panic!("{other} grants and has no route"),
        }
    }

    fn short(role: Role) -> &'static str {
        match role {
            Role::SecurityOfficer => "SO",
            Role::Administrator => "AD",
            Role::RegistrationOfficer => "RO",
            Role::Auditor => "AU",
        }
    }
}
