//! The contract with a platform operator's service: `JPKI-PROVIDER.md` in types. Nothing here touches the network.

use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::records::Fingerprint;
use attest::revocation::RevocationReason;
use attest::validity::CertificateId;
use attest::validity::PeriodFault;
use attest::validity::Validity;
use attest::validity::ValidityError;
use attest::validity::believed_until;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Longest answer: the fields below have less than a kilobyte.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024;

/// The question: nothing but what is needed to answer it.
#[derive(Debug, Serialize)]
struct Question {
    /// The certificate, DER in base64.
    certificate: String,
    /// SHA-256 of its issuer's SubjectPublicKeyInfo: generations share a name.
    issuer_spki_sha256: String,
}

/// The answer, by status.
#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Good {
        certificate_sha256: String,
        #[serde(deserialize_with = "rfc3339")]
        this_update: UnixSeconds,
        #[serde(deserialize_with = "rfc3339")]
        next_update: UnixSeconds,
        #[serde(default)]
        predecessor: Option<Predecessor>,
    },
    Revoked {
        certificate_sha256: String,
        #[serde(deserialize_with = "rfc3339")]
        revoked_at: UnixSeconds,
        #[serde(default)]
        reason: RevocationReason,
    },
    Unknown {
        certificate_sha256: String,
    },
}

/// The certificate that this one renews.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predecessor {
    issuer_spki_sha256: String,
    serial_hex: String,
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractFault {
    /// The service does not know the certificate.
    #[error("the service does not know the certificate")]
    Unknown,
    /// Not the JSON of the contract.
    #[error("it is not the JSON of the contract: {0}")]
    Json(String),
    /// It is about another certificate.
    #[error("it is about another certificate")]
    OtherCertificate,
    /// The predecessor is no certificate's id, or the certificate itself.
    #[error("its predecessor is none")]
    Predecessor,
    /// It may not be believed now.
    #[error(transparent)]
    Period(#[from] PeriodFault),
}

impl From<ContractFault> for ValidityError {
    fn from(fault: ContractFault) -> Self {
        let reason = fault.to_string();
        match fault {
            ContractFault::Unknown => Self::Unknown,
            ContractFault::Json(_)
            | ContractFault::OtherCertificate
            | ContractFault::Predecessor
            | ContractFault::Period(_) => Self::Unusable { reason },
        }
    }
}

/// The question about a certificate that `issuer` signed.
pub fn question(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let question = Question {
        certificate: STANDARD.encode(certificate.as_der()),
        issuer_spki_sha256: Fingerprint::of(issuer.spki_der()).0,
    };
    serde_json::json!(question).to_string().into_bytes()
}

/// What an answer says of the certificate `asked`, whose octets have the SHA-256 `digest`.
///
/// # Errors
/// [`ContractFault`]; never panics, whatever the octets.
pub fn read(
    answer: &[u8],
    asked: &CertificateId,
    digest: &Fingerprint,
    max_age_seconds: u64,
    now: UnixSeconds,
) -> Result<Validity, ContractFault> {
    let answer = api::parse_strict_json::<Answer>(answer)
        .map_err(|problem| ContractFault::Json(problem.detail.unwrap_or_default()))?;
    let echoed = match &answer {
        Answer::Good { certificate_sha256, .. }
        | Answer::Revoked { certificate_sha256, .. }
        | Answer::Unknown { certificate_sha256 } => certificate_sha256,
    };
    if *echoed != digest.0 {
        return Err(ContractFault::OtherCertificate);
    }
    match answer {
        Answer::Good { this_update, next_update, predecessor, .. } => {
            let until = believed_until(this_update, next_update, max_age_seconds, now)?;
            let predecessor = predecessor.map(|named| named.id(asked)).transpose()?;
            Ok(Validity::Good { until, predecessor })
        }
        Answer::Revoked { revoked_at, reason, .. } => {
            Ok(Validity::Revoked { at: revoked_at, reason })
        }
        Answer::Unknown { .. } => Err(ContractFault::Unknown),
    }
}

impl Predecessor {
    fn id(&self, successor: &CertificateId) -> Result<CertificateId, ContractFault> {
        let id = CertificateId::from_hex(&self.issuer_spki_sha256, &self.serial_hex);
        id.filter(|id| id != successor).ok_or(ContractFault::Predecessor)
    }
}

fn rfc3339<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<UnixSeconds, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(deserializer)?;
    let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
    u64::try_from(time.unix_timestamp()).map(UnixSeconds).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use serde_json::json;

    /// 2027-01-15T08:00:00Z.
    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const DAY: u64 = 86_400;

    fn digest() -> Fingerprint {
        Fingerprint::of(b"a certificate")
    }

    fn asked() -> CertificateId {
        CertificateId { issuer_key: Fingerprint::of(b"key"), serial: vec![7] }
    }

    fn good() -> Value {
        json!({
            "certificate_sha256": digest().0,
            "status": "good",
            "this_update": "2027-01-15T07:00:00Z",
            "next_update": "2027-01-15T09:00:00Z",
            "predecessor": { "issuer_spki_sha256": "0a".repeat(32), "serial_hex": "0133c349" },
        })
    }

    fn read_text(text: &str) -> Result<Validity, ContractFault> {
        read(text.as_bytes(), &asked(), &digest(), DAY, NOW)
    }

    /// What a good answer becomes when one member has another value, or none.
    fn changed(path: &str, value: Option<Value>) -> Result<Validity, ContractFault> {
        let mut answer = good();
        let (object, name) = path.rsplit_once('/').unwrap();
        let object = answer.pointer_mut(object).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => drop(object.insert(name.to_owned(), value)),
            None => drop(object.remove(name).unwrap()),
        }
        read_text(&answer.to_string())
    }

    fn until(seconds: u64) -> UnixSeconds {
        UnixSeconds(NOW.0 + seconds)
    }

    #[test]
    fn good_answer_is_read_with_its_end_and_its_predecessor() {
        let predecessor = CertificateId::from_hex(&"0a".repeat(32), "0133c349");
        assert!(predecessor.is_some());
        let said = read_text(&good().to_string());
        assert_eq!(said, Ok(Validity::Good { until: until(3_600), predecessor }));
        let said = changed("/predecessor", None);
        assert_eq!(said, Ok(Validity::Good { until: until(3_600), predecessor: None }));
        let in_japan = changed("/next_update", Some(json!("2027-01-15T17:00:01+09:00")));
        assert!(matches!(in_japan, Ok(Validity::Good { until: end, .. }) if end == until(1)));
    }

    #[test]
    fn revoked_and_unknown_are_read() {
        let revoked = |reason: &str| {
            let text = format!(
                r#"{{"certificate_sha256":"{}","status":"revoked","revoked_at":"2027-01-01T00:00:00Z"{reason}}}"#,
                digest().0
            );
            read_text(&text)
        };
        let at = UnixSeconds(1_798_761_600);
        let reason = RevocationReason::AffiliationChanged;
        let said = revoked(r#","reason":"affiliation_changed""#);
        assert_eq!(said, Ok(Validity::Revoked { at, reason }));
        let reason = RevocationReason::Unspecified;
        assert_eq!(revoked(""), Ok(Validity::Revoked { at, reason }));
        assert!(matches!(revoked(r#","reason":"moved""#), Err(ContractFault::Json(_))));
        let unknown = json!({ "certificate_sha256": digest().0, "status": "unknown" });
        assert_eq!(read_text(&unknown.to_string()), Err(ContractFault::Unknown));
    }

    #[test]
    fn answer_about_another_certificate_is_refused() {
        let other = json!(Fingerprint::of(b"another").0);
        let refused = Err(ContractFault::OtherCertificate);
        assert_eq!(changed("/certificate_sha256", Some(other.clone())), refused);
        let upper = json!(digest().0.to_uppercase());
        assert_eq!(changed("/certificate_sha256", Some(upper)), refused);
        for status in ["revoked\",\"revoked_at\":\"2027-01-01T00:00:00Z", "unknown"] {
            let text = format!(r#"{{"certificate_sha256":{other},"status":"{status}"}}"#);
            assert_eq!(read_text(&text), refused);
        }
    }

    #[test]
    fn every_member_is_wanted_and_no_other() {
        for path in ["/certificate_sha256", "/status", "/this_update", "/next_update"] {
            assert!(matches!(changed(path, None), Err(ContractFault::Json(_))), "{path}");
        }
        for path in ["/predecessor/issuer_spki_sha256", "/predecessor/serial_hex"] {
            assert!(matches!(changed(path, None), Err(ContractFault::Json(_))), "{path}");
        }
        for path in ["/revoked_at", "/holder", "/predecessor/name"] {
            let more = changed(path, Some(json!("2027-01-01T00:00:00Z")));
            assert!(matches!(more, Err(ContractFault::Json(_))), "{path}");
        }
        let twice = good().to_string().replacen('{', r#"{"status":"unknown","#, 1);
        assert!(matches!(read_text(&twice), Err(ContractFault::Json(_))));
        for status in [json!("GOOD"), json!("valid"), json!(true), Value::Null] {
            let wrong = changed("/status", Some(status));
            assert!(matches!(wrong, Err(ContractFault::Json(_))));
        }
        for time in [json!(1_800_000_000), json!("2027-01-15"), json!("1969-12-31T23:59:59Z")] {
            let wrong = changed("/this_update", Some(time));
            assert!(matches!(wrong, Err(ContractFault::Json(_))));
        }
        for text in ["", "[]", "null", "good", "{}"] {
            assert!(matches!(read_text(text), Err(ContractFault::Json(_))), "{text:?}");
        }
    }

    #[test]
    fn times_hold_to_the_second() {
        let end = |time: &str| match changed("/next_update", Some(json!(time))) {
            Ok(Validity::Good { until, .. }) => Ok(until),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => Err(fault),
        };
        assert_eq!(end("2027-01-15T08:00:00Z"), Ok(NOW));
        let over = UnixSeconds(NOW.0 - 1);
        assert_eq!(end("2027-01-15T07:59:59Z"), Err(PeriodFault::Over(over).into()));
        assert_eq!(end("2027-01-15T06:59:59Z"), Err(PeriodFault::Empty.into()));
        assert_eq!(end("2028-01-15T08:00:00Z"), Ok(until(DAY - 3_600)), "the maximal age");
        let begin = |time: &str| changed("/this_update", Some(json!(time)));
        assert!(begin("2027-01-15T08:01:00Z").is_ok());
        let future = Err(PeriodFault::Future(until(61)).into());
        assert_eq!(begin("2027-01-15T08:01:01Z"), future);
    }

    #[test]
    fn predecessor_that_is_none_is_refused() {
        let refused = Err(ContractFault::Predecessor);
        assert_eq!(changed("/predecessor/serial_hex", Some(json!("00"))), refused);
        assert_eq!(changed("/predecessor/issuer_spki_sha256", Some(json!("0a"))), refused);
        let itself = json!({ "issuer_spki_sha256": asked().issuer_key.0, "serial_hex": "07" });
        assert_eq!(changed("/predecessor", Some(itself)), refused);
    }
}
