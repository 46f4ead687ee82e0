//! The commands as REST under `/admin/v1`: one table of routes, read by the matcher and by the OpenAPI file.

use crate::admin::answer;
use crate::admin::check::MAX_AUDIT_RECORDS;
use crate::admin::check::check;
use crate::admin::command::AdminCommand;
use crate::admin::command::AnchorPurposeName;
use crate::admin::command::AuditQuery;
use crate::admin::command::NewAnchor;
use crate::admin::command::NewCard;
use crate::admin::command::NewCertificate;
use crate::admin::command::NewChain;
use crate::admin::command::NewHolder;
use crate::admin::command::NewKey;
use crate::admin::command::NewModule;
use crate::admin::command::NewOperator;
use crate::admin::command::NewRenewal;
use crate::admin::command::NewSubject;
use crate::admin::command::NewSystem;
use crate::admin::command::SystemChange;
use crate::admin::command::TestMode;
use crate::admin::evidence::EvidenceView;
use crate::admin::holder::HolderChange;
use crate::admin::holder::HolderSheet;
use crate::admin::letter::LetterView;
use crate::admin::letter::NewLetter;
use crate::admin::letter::SheetView;
use crate::admin::parts::Parts;
use crate::admin::parts::matched;
use crate::admin::parts::parsed;
pub use crate::admin::route::Route;
use crate::admin::route::get;
use crate::admin::route::grant;
use crate::admin::route::grant_by_name;
use crate::admin::route::make;
use crate::admin::route::open;
use crate::admin::route::withdraw;
use crate::admin::route::withdraw_because;
use crate::http::answer::malformed;
use crate::problem::Code;
use crate::problem::Problem;
use attest::records::Fingerprint;
use schemars::SchemaGenerator;

/// Where all of it stands.
pub const PREFIX: &str = "/admin/v1";

/// Reads a request.
///
/// # Shape
/// `segments`: what follows `/admin/v1/`, split at `/`, undecoded. `query`: undecoded, without `?`. `body`: all of it.
/// # Errors
/// `not_found` for a path that is not there, `method_not_allowed` for another method of it, `malformed_request` with what
/// is wrong.
pub fn command_of(
    method: &str,
    segments: &[&str],
    query: &str,
    body: &[u8],
) -> Result<AdminCommand, Problem> {
    let here = || ROUTES.iter().filter_map(|route| Some((route, matched(route.path, segments)?)));
    let Some((route, path)) = here().find(|(route, _)| route.method == method) else {
        return Err(match here().next() {
            Some(_) => Code::MethodNotAllowed.into(),
            None => Code::NotFound.into(),
        });
    };
    if route.body.is_none() && !matches!(body.trim_ascii(), b"" | b"{}") {
        return Err(malformed("this request takes no body"));
    }
    let command = (route.command)(&Parts { path, query: parsed(query, route.query)?, body })?;
    check(&command)?;
    Ok(command)
}

/// The methods that a path knows, for `Allow`; empty when the path is not there.
pub fn methods_of(segments: &[&str]) -> Vec<&'static str> {
    let here = ROUTES.iter().filter(|route| matched(route.path, segments).is_some());
    here.map(|route| route.method).collect()
}

/// Every route.
pub const ROUTES: &[Route] = &[
    get::<answer::StatusView>("/status", "State, counts, alarms", &[], |_| {
        Ok(AdminCommand::Status {})
    }),
    get::<answer::DoctorView>(
        "/doctor",
        "Everything a new operator gets wrong, checked",
        &[],
        |_| Ok(AdminCommand::Doctor {}),
    ),
    get::<Vec<answer::HolderView>>("/holders", "Lists holders", &[], |_| {
        Ok(AdminCommand::HolderList {})
    }),
    grant::<NewHolder, answer::DoneView>("POST", "/holders", "Registers a holder", |parts| {
        Ok(AdminCommand::HolderAdd(parts.body()?))
    }),
    get::<HolderSheet>("/holders/{holder_id}", "Everything about one holder", &[], |parts| {
        Ok(AdminCommand::HolderShow { holder_id: parts.named("holder_id") })
    }),
    grant::<HolderChange, answer::DoneView>(
        "PATCH",
        "/holders/{holder_id}",
        "Changes what people read of a holder",
        |parts| {
            let holder_id = parts.named("holder_id");
            Ok(AdminCommand::HolderUpdate { holder_id, change: parts.body()? })
        },
    ),
    withdraw_because(
        "POST",
        "/holders/{holder_id}/disable",
        "Disables a holder, ends every session",
        |parts| {
            let reason = parts.reason()?;
            Ok(AdminCommand::HolderDisable { holder_id: parts.named("holder_id"), reason })
        },
    ),
    Route {
        may_be_proposed: true,
        ..withdraw_because(
            "POST",
            "/holders/{holder_id}/retire",
            "Ends a holder for good, and every session",
            |parts| {
                let reason = parts.reason()?;
                Ok(AdminCommand::HolderRetire { holder_id: parts.named("holder_id"), reason })
            },
        )
    },
    grant_by_name("POST", "/holders/{holder_id}/enable", "Enables a holder again", |parts| {
        Ok(AdminCommand::HolderEnable { holder_id: parts.named("holder_id") })
    }),
    withdraw(
        "DELETE",
        "/holders/{holder_id}/sessions",
        "Ends every session of a holder",
        |parts| Ok(AdminCommand::SessionEndAll { holder_id: parts.named("holder_id") }),
    ),
    get::<Vec<answer::CardView>>("/cards", "Lists card links", &["holder"], |parts| {
        Ok(AdminCommand::CardList { holder_id: parts.asked("holder") })
    }),
    grant::<NewCard, answer::DoneView>("POST", "/cards", "Links a card to a holder", |parts| {
        Ok(AdminCommand::CardLink(parts.body()?))
    }),
    withdraw_because("DELETE", "/cards/{card}", "Removes a card link", |parts| {
        let reason = parts.reason()?;
        Ok(AdminCommand::CardUnlink { card: Fingerprint(parts.named("card")), reason })
    }),
    get::<Vec<answer::DeviceView>>(
        "/devices",
        "Lists phones and security keys",
        &["holder"],
        |parts| Ok(AdminCommand::DeviceList { holder_id: parts.asked("holder") }),
    ),
    withdraw_because(
        "DELETE",
        "/devices/{device}",
        "Removes a phone or a security key, ends its sessions",
        |parts| {
            let reason = parts.reason()?;
            Ok(AdminCommand::DeviceRemove { device: Fingerprint(parts.named("device")), reason })
        },
    ),
    get::<Vec<LetterView>>("/letters", "Lists notification cards", &[], |_| {
        Ok(AdminCommand::LetterList {})
    }),
    grant::<NewLetter, answer::DoneView>(
        "POST",
        "/letters",
        "Issues a notification card; withdraws the holder's card before it",
        |parts| Ok(AdminCommand::LetterIssue(parts.body()?)),
    ),
    Route {
        answer: SchemaGenerator::subschema_for::<SheetView>,
        ..withdraw("POST", "/letters/{letter_id}/sheet", "One's own sheet, once", |parts| {
            Ok(AdminCommand::LetterSheet { letter_id: parts.named("letter_id") })
        })
    },
    withdraw("DELETE", "/letters/{letter_id}", "Withdraws a notification card", |parts| {
        Ok(AdminCommand::LetterWithdraw { letter_id: parts.named("letter_id") })
    }),
    get::<Vec<answer::JpkiView>>("/jpki", "Lists My Number cards", &["holder"], |parts| {
        Ok(AdminCommand::JpkiList { holder_id: parts.asked("holder") })
    }),
    withdraw_because(
        "DELETE",
        "/jpki/{card}",
        "Removes a My Number card, ends its sessions",
        |parts| {
            let reason = parts.reason()?;
            Ok(AdminCommand::JpkiUnlink { card: Fingerprint(parts.named("card")), reason })
        },
    ),
    get::<Vec<answer::KeyView>>("/keys", "Lists keys", &["holder"], |parts| {
        Ok(AdminCommand::KeyList { holder_id: parts.asked("holder") })
    }),
    make::<NewKey, answer::KeyRequestView>(
        "/keys",
        "Makes a key pair, answers its request",
        |parts| Ok(AdminCommand::KeyCreate(parts.body()?)),
    ),
    get::<answer::KeyRequestView>(
        "/keys/{credential_id}/request",
        "The request again",
        &[],
        |parts| Ok(AdminCommand::KeyRequest { credential_id: parts.named("credential_id") }),
    ),
    grant::<NewChain, answer::DoneView>(
        "POST",
        "/keys/{credential_id}/certificate",
        "Installs the certificate of a key",
        |parts| {
            let NewChain { chain_pem } = parts.body()?;
            let credential_id = parts.named("credential_id");
            Ok(AdminCommand::KeyInstall(NewCertificate { credential_id, chain_pem }))
        },
    ),
    make::<NewSubject, answer::KeyRequestView>(
        "/keys/{credential_id}/renew",
        "Makes the pair that takes over, answers its request",
        |parts| {
            let NewSubject { subject } = parts.body_or_default()?;
            let credential_id = parts.named("credential_id");
            Ok(AdminCommand::KeyRenew(NewRenewal { credential_id, subject }))
        },
    ),
    grant_by_name(
        "DELETE",
        "/keys/{credential_id}/pairs/{public_key}",
        "Destroys a pair that signs no more",
        |parts| {
            let public_key = Fingerprint(parts.named("public_key"));
            Ok(AdminCommand::KeyDestroy { credential_id: parts.named("credential_id"), public_key })
        },
    ),
    withdraw_because("POST", "/keys/{credential_id}/revoke", "Revokes a key for good", |parts| {
        let reason = parts.reason()?;
        Ok(AdminCommand::KeyRevoke { credential_id: parts.named("credential_id"), reason })
    }),
    grant_by_name("POST", "/keys/{credential_id}/release", "Ends a quarantine", |parts| {
        Ok(AdminCommand::KeyRelease { credential_id: parts.named("credential_id") })
    }),
    get::<Vec<answer::SystemView>>("/systems", "Lists signing systems", &[], |_| {
        Ok(AdminCommand::SystemList {})
    }),
    grant::<NewSystem, answer::DoneView>(
        "POST",
        "/systems",
        "Registers a signing system",
        |parts| Ok(AdminCommand::SystemAdd(parts.body()?)),
    ),
    grant::<SystemChange, answer::DoneView>(
        "PATCH",
        "/systems/{system_id}",
        "Changes a signing system; only what widens its rights takes two",
        |parts| {
            let system_id = parts.named("system_id");
            Ok(AdminCommand::SystemUpdate { system_id, change: parts.body()? })
        },
    ),
    withdraw(
        "DELETE",
        "/systems/{system_id}",
        "Removes a signing system, ends its sessions",
        |parts| Ok(AdminCommand::SystemRemove { system_id: parts.named("system_id") }),
    ),
    get::<Vec<answer::OperatorView>>("/operators", "Lists operators", &[], |_| {
        Ok(AdminCommand::OperatorList {})
    }),
    grant::<NewOperator, answer::DoneView>(
        "POST",
        "/operators",
        "Registers an operator",
        |parts| Ok(AdminCommand::OperatorAdd(parts.body()?)),
    ),
    withdraw("DELETE", "/operators/{operator_id}", "Removes an operator", |parts| {
        Ok(AdminCommand::OperatorRemove { operator_id: parts.named("operator_id") })
    }),
    get::<Vec<answer::AnchorView>>("/anchors", "Lists trust anchors", &[], |_| {
        Ok(AdminCommand::AnchorList {})
    }),
    grant::<NewAnchor, answer::DoneView>("POST", "/anchors", "Adds a trust anchor", |parts| {
        Ok(AdminCommand::AnchorAdd(parts.body()?))
    }),
    withdraw("DELETE", "/anchors/{purpose}/{fingerprint}", "Removes a trust anchor", |parts| {
        let fingerprint = Fingerprint(parts.named("fingerprint"));
        Ok(AdminCommand::AnchorRemove { purpose: purpose(&parts.named("purpose"))?, fingerprint })
    }),
    grant::<TestMode, answer::DoneView>("POST", "/test-mode", "Test mode on or off", |parts| {
        Ok(match parts.body::<TestMode>()?.on {
            true => AdminCommand::TestModeOn {},
            false => AdminCommand::TestModeOff {},
        })
    }),
    grant::<NewModule, answer::DoneView>("POST", "/module", "Approves a PKCS#11 module", |parts| {
        Ok(AdminCommand::ModuleApprove(parts.body()?))
    }),
    get::<Vec<answer::SessionEntry>>(
        "/sessions",
        "Lists live sessions",
        &["holder", "system"],
        |parts| {
            let holder_id = parts.asked("holder");
            Ok(AdminCommand::SessionList { holder_id, system_id: parts.asked("system") })
        },
    ),
    withdraw("DELETE", "/sessions/{session_id}", "Ends a session", |parts| {
        Ok(AdminCommand::SessionEnd { session_id: parts.named("session_id") })
    }),
    get::<Vec<answer::ProposalView>>("/proposals", "Lists proposals", &[], |_| {
        Ok(AdminCommand::ProposalList {})
    }),
    get::<answer::ProposalView>("/proposals/{proposal_id}", "One proposal", &[], |parts| {
        Ok(AdminCommand::ProposalShow { proposal_id: parts.named("proposal_id") })
    }),
    withdraw("POST", "/proposals/{proposal_id}/approve", "Lets a proposal happen", |parts| {
        Ok(AdminCommand::ProposalApprove { proposal_id: parts.named("proposal_id") })
    }),
    withdraw("POST", "/proposals/{proposal_id}/reject", "Ends a proposal", |parts| {
        Ok(AdminCommand::ProposalReject { proposal_id: parts.named("proposal_id") })
    }),
    get::<answer::AuditHeadView>("/audit/head", "The newest checkpoint", &[], |_| {
        Ok(AdminCommand::AuditHead {})
    }),
    get::<answer::AuditRecords>(
        "/audit/records",
        "Finds audit records",
        &[
            "holder",
            "system",
            "credential",
            "operator",
            "event",
            "request",
            "since",
            "until",
            "from",
            "limit",
        ],
        |parts| {
            Ok(AdminCommand::AuditSearch(AuditQuery {
                holder_id: parts.asked("holder"),
                system_id: parts.asked("system"),
                credential_id: parts.asked("credential"),
                operator_id: parts.asked("operator"),
                event: parts.asked("event"),
                request_id: parts.asked("request"),
                since: parts.number("since")?,
                until: parts.number("until")?,
                from: parts.number("from")?,
                limit: parts.number("limit")?,
            }))
        },
    ),
    get::<answer::AuditLines>(
        "/audit/export",
        "Audit records in order",
        &["from", "limit"],
        |parts| {
            let from = parts.number("from")?.unwrap_or(0);
            let limit = parts.number("limit")?.unwrap_or(MAX_AUDIT_RECORDS);
            Ok(AdminCommand::AuditExport { from, limit })
        },
    ),
    open::<EvidenceView>(
        "/audit/records/{seq}/evidence",
        "The evidence of a record; what is sealed takes two",
        |parts| Ok(AdminCommand::AuditEvidence { seq: parts.named_number("seq")? }),
    ),
];

fn purpose(name: &str) -> Result<AnchorPurposeName, Problem> {
    match name {
        "hpki_card" => Ok(AnchorPurposeName::HpkiCard),
        "second_certificate" => Ok(AnchorPurposeName::SecondCertificate),
        "jpki_card" => Ok(AnchorPurposeName::JpkiCard),
        _ => Err(malformed("purpose: hpki_card, second_certificate or jpki_card")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, query: &str, body: &str) -> Result<AdminCommand, Code> {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap().split('/').collect();
        command_of(method, &segments, query, body.as_bytes()).map_err(|problem| problem.code)
    }

    #[test]
    fn each_route_is_reached_by_its_own_method_and_path() {
        for route in ROUTES {
            let twins = ROUTES
                .iter()
                .filter(|other| (other.method, other.path) == (route.method, route.path));
            assert_eq!(twins.count(), 1, "{} {}", route.method, route.path);
            let path = route.path.replace(['{', '}'], "");
            let refused = ask("TRACE", &path, "", "");
            assert_eq!(refused, Err(Code::MethodNotAllowed), "{path}");
            assert_ne!(ask(route.method, &path, "", ""), Err(Code::NotFound), "{path}");
        }
    }

    #[test]
    fn path_parameter_becomes_the_name_of_the_thing() {
        let command = ask("POST", "/holders/u-17/disable", "", "");
        assert_eq!(
            command,
            Ok(AdminCommand::HolderDisable { holder_id: "u-17".into(), reason: None })
        );
    }

    #[test]
    fn path_that_is_not_there_is_not_found() {
        for path in ["/", "/nothing", "/holders/u/disable/x", "//holders", "/Holders"] {
            assert_eq!(ask("GET", path, "", ""), Err(Code::NotFound), "{path}");
        }
    }

    #[test]
    fn parameter_that_is_no_id_is_malformed() {
        for id in ["..", "%2e%2e", "a;b", "", "a%00", "u\u{301}"] {
            let refused = ask("POST", &format!("/holders/{id}/disable"), "", "");
            assert_eq!(refused, Err(Code::MalformedRequest), "{id:?}");
        }
    }

    #[test]
    fn unknown_duplicate_and_missing_fields_are_malformed() {
        let good = r#"{"holder_id":"u-1","display_name":"A"}"#;
        assert!(ask("POST", "/holders", "", good).is_ok());
        for bad in [
            r#"{"holder_id":"u-1","display_name":"A","extra":1}"#,
            r#"{"holder_id":"u-1","holder_id":"u-2","display_name":"A"}"#,
            r#"{"holder_id":"u-1"}"#,
            r#"{"holder_id":"u-1","display_name":"\ud800"}"#,
            r#"[]"#,
            "",
        ] {
            assert_eq!(ask("POST", "/holders", "", bad), Err(Code::MalformedRequest), "{bad}");
        }
    }

    #[test]
    fn body_where_none_belongs_is_malformed() {
        assert!(ask("GET", "/status", "", "{}").is_ok());
        assert_eq!(ask("GET", "/status", "", r#"{"a":1}"#), Err(Code::MalformedRequest));
    }

    #[test]
    fn unknown_and_duplicate_query_parameters_are_malformed() {
        assert!(ask("GET", "/keys", "holder=u-1", "").is_ok());
        for bad in ["holder=a&holder=b", "owner=a", "holder=%2e", "holder=a&&x=1"] {
            assert_eq!(ask("GET", "/keys", bad, ""), Err(Code::MalformedRequest), "{bad}");
        }
        for bad in ["limit=0", "limit=1001", "limit=-1", "limit=+1", "limit=1e3", "from="] {
            assert_eq!(ask("GET", "/audit/export", bad, ""), Err(Code::MalformedRequest), "{bad}");
        }
    }

    #[test]
    fn command_comes_back_from_its_stored_form_and_nothing_else_does() {
        let command = ask("POST", "/test-mode", "", r#"{"on":true}"#).unwrap();
        let stored = serde_json::to_string(&command).unwrap();
        assert_eq!(stored, r#"{"command":"test_mode_on"}"#);
        assert_eq!(serde_json::from_str::<AdminCommand>(&stored).unwrap(), command);
        let wider = r#"{"command":"test_mode_on","on":true}"#;
        assert!(serde_json::from_str::<AdminCommand>(wider).is_err());
    }
}
