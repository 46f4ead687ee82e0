//! A command as the request that asks for it: the other direction of [`rest`](crate::admin::rest), for clients.

use crate::admin::command::AdminCommand;
use crate::admin::command::AuditQuery;
use crate::admin::command::Because;
use crate::admin::command::NewChain;
use crate::admin::command::NewSubject;
use crate::admin::command::TestMode;
use serde::Serialize;
use serde_json::Value;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRequest {
    /// HTTP method.
    pub method: &'static str,
    /// Path and query below [`PREFIX`](crate::admin::rest::PREFIX).
    pub target: String,
    /// JSON body, where there is one.
    pub body: Option<Value>,
}

/// The request for `command`; [`command_of`](crate::admin::rest::command_of) reads it back as the same command.
pub fn request_of(command: &AdminCommand) -> AdminRequest {
    use AdminCommand as C;
    match command {
        C::Status {} => get("/status"),
        C::Doctor {} => get("/doctor"),
        C::HolderAdd(new) => post("/holders", new),
        C::HolderList {} => get("/holders"),
        C::HolderShow { holder_id } => get(format!("/holders/{holder_id}")),
        C::HolderUpdate { holder_id, change } => patch(format!("/holders/{holder_id}"), change),
        C::HolderDisable { holder_id, reason } => {
            post_because(format!("/holders/{holder_id}/disable"), reason)
        }
        C::HolderRetire { holder_id, reason } => {
            post_because(format!("/holders/{holder_id}/retire"), reason)
        }
        C::HolderEnable { holder_id } => act(format!("/holders/{holder_id}/enable")),
        C::CardLink(new) => post("/cards", new),
        C::CardUnlink { card, reason } => delete_because(format!("/cards/{}", card.0), reason),
        C::CardList { holder_id } => get(asked("/cards", &[("holder", holder_id.clone())])),
        C::DeviceList { holder_id } => get(asked("/devices", &[("holder", holder_id.clone())])),
        C::JpkiList { holder_id } => get(asked("/jpki", &[("holder", holder_id.clone())])),
        C::JpkiUnlink { card, reason } => delete_because(format!("/jpki/{}", card.0), reason),
        C::DeviceRemove { device, reason } => {
            delete_because(format!("/devices/{}", device.0), reason)
        }
        C::LetterIssue(new) => post("/letters", new),
        C::LetterList {} => get("/letters"),
        C::LetterSheet { letter_id } => act(format!("/letters/{letter_id}/sheet")),
        C::LetterWithdraw { letter_id } => delete(format!("/letters/{letter_id}")),
        C::KeyCreate(new) => post("/keys", new),
        C::KeyRequest { credential_id } => get(format!("/keys/{credential_id}/request")),
        C::KeyInstall(new) => {
            let chain = NewChain { chain_pem: new.chain_pem.clone() };
            post(format!("/keys/{}/certificate", new.credential_id), &chain)
        }
        C::KeyRenew(new) => {
            let subject = NewSubject { subject: new.subject.clone() };
            post(format!("/keys/{}/renew", new.credential_id), &subject)
        }
        C::KeyDestroy { credential_id, public_key } => {
            delete(format!("/keys/{credential_id}/pairs/{}", public_key.0))
        }
        C::KeyList { holder_id } => get(asked("/keys", &[("holder", holder_id.clone())])),
        C::KeyRevoke { credential_id, reason } => {
            post_because(format!("/keys/{credential_id}/revoke"), reason)
        }
        C::KeyRelease { credential_id } => act(format!("/keys/{credential_id}/release")),
        C::SystemAdd(new) => post("/systems", new),
        C::SystemUpdate { system_id, change } => patch(format!("/systems/{system_id}"), change),
        C::SystemRemove { system_id } => delete(format!("/systems/{system_id}")),
        C::SystemList {} => get("/systems"),
        C::OperatorAdd(new) => post("/operators", new),
        C::OperatorRemove { operator_id } => delete(format!("/operators/{operator_id}")),
        C::OperatorList {} => get("/operators"),
        C::AnchorAdd(new) => post("/anchors", new),
        C::AnchorRemove { purpose, fingerprint } => {
            delete(format!("/anchors/{}/{}", purpose.name(), fingerprint.0))
        }
        C::AnchorList {} => get("/anchors"),
        C::TestModeOn {} => post("/test-mode", &TestMode { on: true }),
        C::TestModeOff {} => post("/test-mode", &TestMode { on: false }),
        C::ModuleApprove(new) => post("/module", new),
        C::SessionList { holder_id, system_id } => {
            let filters = [("holder", holder_id.clone()), ("system", system_id.clone())];
            get(asked("/sessions", &filters))
        }
        C::SessionEnd { session_id } => delete(format!("/sessions/{session_id}")),
        C::SessionEndAll { holder_id } => delete(format!("/holders/{holder_id}/sessions")),
        C::ProposalList {} => get("/proposals"),
        C::ProposalShow { proposal_id } => get(format!("/proposals/{proposal_id}")),
        C::ProposalApprove { proposal_id } => act(format!("/proposals/{proposal_id}/approve")),
        C::ProposalReject { proposal_id } => act(format!("/proposals/{proposal_id}/reject")),
        C::AuditHead {} => get("/audit/head"),
        C::AuditSearch(query) => audit_search(query),
        C::AuditExport { from, limit } => get(format!("/audit/export?from={from}&limit={limit}")),
        C::AuditEvidence { seq } => act(format!("/audit/records/{seq}/evidence")),
    }
}

fn audit_search(query: &AuditQuery) -> AdminRequest {
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let filters = [
        ("holder", query.holder_id.clone()),
        ("system", query.system_id.clone()),
        ("credential", query.credential_id.clone()),
        ("operator", query.operator_id.clone()),
        ("event", query.event.clone()),
        ("request", query.request_id.clone()),
        ("since", number(query.since)),
        ("until", number(query.until)),
        ("from", number(query.from)),
        ("limit", number(query.limit)),
    ];
    get(asked("/audit/records", &filters))
}

fn get(target: impl Into<String>) -> AdminRequest {
    AdminRequest { method: "GET", target: target.into(), body: None }
}

fn act(target: String) -> AdminRequest {
    AdminRequest { method: "POST", target, body: None }
}

fn delete(target: String) -> AdminRequest {
    AdminRequest { method: "DELETE", target, body: None }
}

fn post_because(target: String, reason: &Option<String>) -> AdminRequest {
    post(target, &Because { reason: reason.clone() })
}

fn delete_because(target: String, reason: &Option<String>) -> AdminRequest {
    AdminRequest { method: "DELETE", ..post_because(target, reason) }
}

fn patch(target: String, change: &impl Serialize) -> AdminRequest {
    AdminRequest { method: "PATCH", ..post(target, change) }
}

fn post(target: impl Into<String>, body: &impl Serialize) -> AdminRequest {
    // Every body is a struct of texts and numbers, which JSON always holds.
    let body = serde_json::to_value(body).ok();
    AdminRequest { method: "POST", target: target.into(), body }
}

/// Filters are ids and numbers: nothing in them needs percent-encoding.
fn asked(path: &str, filters: &[(&str, Option<String>)]) -> String {
    let given =
        filters.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
    let query: Vec<String> = given.collect();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", query.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::command::NewCertificate;
    use crate::admin::command::NewKey;
    use crate::admin::command::NewRenewal;
    use crate::admin::command::SystemChange;
    use crate::admin::holder::HolderChange;
    use crate::admin::rest::command_of;
    use attest::algorithm::KeyType;
    use attest::records::Fingerprint;

    fn read_back(command: &AdminCommand) -> AdminCommand {
        let AdminRequest { method, target, body } = request_of(command);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let segments: Vec<&str> = path.strip_prefix('/').unwrap().split('/').collect();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        command_of(method, &segments, query, body.as_bytes()).unwrap()
    }

    #[test]
    fn every_kind_of_request_is_read_back_as_its_command() {
        let (id, card) = ("u-1".to_owned(), Fingerprint::of(b"card"));
        let pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        let change = SystemChange { raw_allowed: Some(true), ..SystemChange::default() };
        let query = AuditQuery {
            holder_id: Some(id.clone()),
            event: Some("signature".into()),
            since: Some(1),
            limit: Some(5),
            ..AuditQuery::default()
        };
        let commands = [
            AdminCommand::Status {},
            AdminCommand::HolderDisable { holder_id: id.clone(), reason: None },
            AdminCommand::HolderShow { holder_id: id.clone() },
            AdminCommand::HolderUpdate {
                holder_id: id.clone(),
                change: HolderChange { ca_contact: Some("03-0000".into()), ..Default::default() },
            },
            AdminCommand::HolderRetire { holder_id: id.clone(), reason: Some("退職".into()) },
            AdminCommand::CardUnlink { card, reason: Some("lost".into()) },
            AdminCommand::KeyList { holder_id: Some(id.clone()) },
            AdminCommand::KeyList { holder_id: None },
            AdminCommand::KeyCreate(NewKey {
                credential_id: "k".into(),
                holder_id: id.clone(),
                key_type: KeyType::P256,
                subject: None,
            }),
            AdminCommand::KeyInstall(NewCertificate { credential_id: "k".into(), chain_pem: pem }),
            AdminCommand::KeyRenew(NewRenewal { credential_id: "k".into(), subject: None }),
            AdminCommand::KeyDestroy {
                credential_id: "k".into(),
                public_key: Fingerprint::of(b"key"),
            },
            AdminCommand::SystemUpdate { system_id: "ehr".into(), change },
            AdminCommand::TestModeOn {},
            AdminCommand::TestModeOff {},
            AdminCommand::SessionList { holder_id: None, system_id: Some("ehr".into()) },
            AdminCommand::ProposalApprove { proposal_id: id },
            AdminCommand::AuditSearch(query),
            AdminCommand::AuditExport { from: 3, limit: 10 },
            AdminCommand::AuditEvidence { seq: 71 },
        ];
        for command in commands {
            assert_eq!(read_back(&command), command);
        }
    }
}
