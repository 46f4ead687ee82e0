//! What the audit log holds: one JSON object a record, fields always in this order, version first, no spaces.
//!
//! ```json
//! {"v":1,"seq":41,"time_ms":1795411200123,"synced":40,"request_id":"...",
//!  "principal":{"kind":"system","id":"ehr"},
//!  "event":{"kind":"signature","holder_id":"u-17",...}}
//! ```
//! The octets of that object are the leaf of the Merkle tree: they are never written again in another form. `seq` counts
//! from 0 without gaps and is the leaf's index. `time_ms` never goes back, but for the record after a
//! [`TimeStep`](Event::TimeStep) that lowers it. `synced` says how many records were durable when this one was taken, so
//! that a damaged record can be told from one that was still being written when the power went.
//!
//! A record never holds content, tokens, codes, PINs or labels. Digests of content and a salted commitment to the label
//! stand for them; evidence is kept whole, because a third party has to be able to judge it again.

use crate::audit::event::Event;
use attest::clock::UnixSeconds;
use attest::evidence::Binding;
use attest::records::Fingerprint;
use attest::records::Method;
use serde::Deserialize;
use serde::Serialize;

/// Version of the record's form.
pub const RECORD_VERSION: u8 = 1;
/// Longest evidence in a record; what is longer is refused before it is believed.
pub const MAX_EVIDENCE_BYTES: usize = 48 * 1024;

/// A record as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub v: u8,
    /// Number of the record, from 0 without gaps.
    pub seq: u64,
    /// When it was taken, milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// Records that were durable when it was taken.
    pub synced: u64,
    /// Request that caused it; the same as in the log lines and in the answer.
    pub request_id: String,
    /// Who acted.
    pub principal: Principal,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// When it was taken, whole seconds.
    pub fn time(&self) -> UnixSeconds {
        UnixSeconds(self.time_ms / 1000)
    }
}

/// What a caller says; the log adds number and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// See [`Record::request_id`].
    pub request_id: String,
    /// See [`Record::principal`].
    pub principal: Principal,
    /// See [`Record::event`].
    pub event: Event,
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Principal {
    /// A signing system.
    System(String),
    /// A holder, in a browser.
    Holder(String),
    /// An operator.
    Operator(String),
    /// Somebody who did not say who, or could not prove it.
    Unknown,
    /// The appliance itself.
    Appliance,
}

/// A proof of presence and what it was given for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The transaction, hashed.
    pub session: Fingerprint,
    /// Holder.
    pub holder_id: String,
    /// Signing system that asked.
    pub system_id: String,
    /// How.
    pub method: Method,
    /// When presence was proved.
    pub authenticated_at: UnixSeconds,
    /// SHA-256 over the octets of `evidence_json`.
    pub evidence: Fingerprint,
    /// The evidence in checkable form, JSON text kept octet by octet; at most [`MAX_EVIDENCE_BYTES`].
    pub evidence_json: String,
    /// The entries approved, by the digest of their list, as in [`ActivationAsked`](crate::audit::activation::ActivationAsked); nothing: a day session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entries: Option<Fingerprint>,
}

/// A click in the place of fresh evidence, and what it goes on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continuation {
    /// The transaction, hashed.
    pub session: Fingerprint,
    /// The session before it on the same evidence, hashed: it ends.
    pub from: Fingerprint,
    /// Holder.
    pub holder_id: String,
    /// Signing system that asked.
    pub system_id: String,
    /// How presence was proved.
    pub method: Method,
    /// When presence was proved.
    pub authenticated_at: UnixSeconds,
    /// SHA-256 of that evidence, as in the sign-in's record.
    pub evidence: Fingerprint,
    /// The browser that keeps it, hashed.
    pub browser: Fingerprint,
    /// Where the click came from.
    pub terminal: String,
}

/// A question to an authenticator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The challenge, base64url: the same one stands in the evidence, if there comes any.
    pub challenge: String,
    /// What an answer approves, in the words of the evidence.
    pub binding: Binding,
}

/// Leave to register a phone or a My Number card, given to whom a card proved; and, under the same ticket, the proof of the
/// My Number card itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The ticket, hashed.
    pub ticket: Fingerprint,
    /// Holder.
    pub holder_id: String,
    /// How presence was proved.
    pub method: Method,
    /// The card.
    pub factor: Fingerprint,
    /// The phone that the holder gives up for it.
    pub replaces: Option<Fingerprint>,
    /// Where: address and browser.
    pub terminal: String,
    /// SHA-256 over the octets of `evidence_json`.
    pub evidence: Fingerprint,
    /// See [`SignIn`].
    pub evidence_json: String,
}

/// A change to what the appliance believes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustChange {
    /// Kind of record: `holder`, `card`, `my_number_card`, `device`, `notification_card`, `credential`, `system`, `operator`,
    /// `anchor`, `mode`.
    pub what: String,
    /// Its id.
    pub id: String,
    /// `granted`, `changed`, `removed`, `rejected`; of a notification card also `handed_out`, `opened`, `locked`, `used`,
    /// `already_registered`.
    pub change: String,
    /// Holder concerned, if any.
    pub holder_id: Option<String>,
    /// Proposal, where two operators act.
    pub proposal_id: Option<String>,
    /// Operator who asked for it; empty where the holder did.
    pub proposed_by: String,
    /// Operators who approved it; empty where one is enough.
    pub approved_by: Vec<String>,
    /// SHA-256 of the record as it is stored from now on.
    pub record: Option<Fingerprint>,
    /// What an auditor should read: old and new value in words.
    pub detail: String,
}

/// A part of the appliance that raises alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmSource {
    /// The HSM or its module.
    Hsm,
    /// The clock.
    Clock,
    /// The store.
    Store,
    /// Certificates and revocation lists.
    Revocation,
    /// Disk space.
    Disk,
}

/// The one form in which a session or transaction id stands in the log.
pub fn session_hash(session_id: &str) -> Fingerprint {
    Fingerprint::of(session_id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::activation::ActivationAsked;
    use crate::audit::activation::ListedEntry;
    use crate::audit::signature::Withheld;
    use crate::audit::signature::tests::facts;
    use attest::activation::EntryKind;
    use attest::algorithm::DigestAlgorithm;
    use attest::algorithm::Dtbsr;
    use attest::records::SessionLimits;
    use attest::session::EndReason;

    fn record(event: Event) -> Record {
        Record {
            v: RECORD_VERSION,
            seq: 41,
            time_ms: 1_795_411_200_123,
            synced: 40,
            request_id: "r-1".to_owned(),
            principal: Principal::System("ehr".to_owned()),
            event,
        }
    }

    #[test]
    fn form_of_a_record_is_fixed() {
        let record = record(Event::SessionEnded {
            session: Fingerprint("ab".to_owned()),
            holder_id: "u-17".to_owned(),
            system_id: "ehr".to_owned(),
            reason: EndReason::Logout,
            used: 3,
        });
        let json = serde_json::to_string(&record).unwrap();
        let expected = concat!(
            r#"{"v":1,"seq":41,"time_ms":1795411200123,"synced":40,"request_id":"r-1","#,
            r#""principal":{"kind":"system","id":"ehr"},"#,
            r#""event":{"kind":"session_ended","session":"ab","holder_id":"u-17","system_id":"ehr","#,
            r#""reason":"logout","used":3}}"#,
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn every_kind_reads_back_and_names_itself() {
        let withheld = Withheld::Session(EndReason::Logout);
        let mut change = TrustChange {
            what: "credential".to_owned(),
            id: "rsa2048".to_owned(),
            change: "granted".to_owned(),
            holder_id: Some("u-17".to_owned()),
            proposal_id: Some("p-1".to_owned()),
            proposed_by: "op-1".to_owned(),
            approved_by: vec!["op-2".to_owned()],
            record: Some(Fingerprint::of(b"record")),
            detail: "certificate installed".to_owned(),
        };
        let events = [
            Event::Signature(Box::new(facts())),
            Event::SignatureWithheld { reason: withheld, facts: Box::new(facts()) },
            Event::SignatureWithheld { reason: Withheld::Credential, facts: Box::new(facts()) },
            Event::SignInAsked(Box::new(Asked {
                challenge: "AAAA".to_owned(),
                binding: Binding {
                    purpose: attest::evidence::Purpose::Day,
                    system_id: "ehr".to_owned(),
                    holder_id: "u-17".to_owned(),
                    session_id: "t".to_owned(),
                    handoff_id: "d".to_owned(),
                    limits: SessionLimits { seconds: 1, idle_seconds: 1, signatures: 1 },
                    surface: attest::evidence::Surface::Pc,
                    entries: Some(Fingerprint::of(b"list")),
                    new_key: None,
                },
            })),
            Event::ActivationAsked(Box::new(ActivationAsked {
                session: session_hash("t"),
                holder_id: "u-17".to_owned(),
                system_id: "ehr".to_owned(),
                digest: Fingerprint::of(b"list"),
                entries: vec![ListedEntry {
                    kind: EntryKind::Dtbsr,
                    digest: (&Dtbsr::of(DigestAlgorithm::Sha256, b"dtbs")).into(),
                    credential_id: "rsa2048".to_owned(),
                    label: Fingerprint::of(b"label"),
                }],
            })),
            Event::EnrolmentStarted(Box::new(Enrolment {
                ticket: session_hash("e"),
                holder_id: "u-17".to_owned(),
                method: Method::Hpki,
                factor: Fingerprint::of(b"card"),
                replaces: Some(Fingerprint::of(b"phone")),
                terminal: "127.0.0.1".to_owned(),
                evidence: Fingerprint::of(b"{}"),
                evidence_json: "{}".to_owned(),
            })),
            Event::SignInApproved(Box::new(SignIn {
                session: session_hash("t"),
                holder_id: "u-17".to_owned(),
                system_id: "ehr".to_owned(),
                method: Method::Fido2,
                authenticated_at: UnixSeconds(1),
                evidence: Fingerprint::of(b"{\"a\":1}"),
                evidence_json: "{\"a\":1}".to_owned(),
                entries: None,
            })),
            Event::SignInContinued(Box::new(Continuation {
                session: session_hash("t"),
                from: session_hash("s"),
                holder_id: "u-17".to_owned(),
                system_id: "ehr".to_owned(),
                method: Method::Fido2,
                authenticated_at: UnixSeconds(1),
                evidence: Fingerprint::of(b"{\"a\":1}"),
                browser: session_hash("b"),
                terminal: "127.0.0.1".to_owned(),
            })),
            Event::TrustProposed(change.clone()),
            {
                change.what = "system".to_owned();
                Event::TrustChanged(change)
            },
            Event::Stopped { reason: "SIGTERM".to_owned() },
            Event::TimeStep { from_ms: 2, to_ms: 1, approved_by: vec!["a".into(), "b".into()] },
            Event::Alarm {
                source: AlarmSource::Hsm,
                code: "verify_failed".to_owned(),
                detail: "p256".to_owned(),
            },
        ];
        for event in events {
            let record = record(event);
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record, "{json}");
            assert!(json.contains(&format!("\"kind\":\"{}\"", record.event.kind())), "{json}");
            assert!(Event::KINDS.contains(&record.event.kind()), "{json}");
        }
    }
}
