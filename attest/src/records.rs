//! Trust records: what the appliance believes about people, keys, systems and operators.
//!
//! Every one of them is stored sealed (see [`crate::trust`]); the configuration file holds plumbing only.

use crate::algorithm::KeyType;
use crate::clock::UnixSeconds;
use crate::key_life::KeyLife;
use crate::store::Key;
use crate::withdrawn::Withdrawn;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A record kept sealed in the store.
pub trait TrustRecord: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// First octets of its store key: `h/`, `k/` ...
    const PREFIX: &'static str;
    /// Schema version byte written with it.
    const VERSION: u8 = 1;

    /// What follows the prefix.
    fn id(&self) -> String;

    /// When the store may forget it.
    fn expires(&self) -> Option<UnixSeconds> {
        None
    }

    /// The whole store key.
    fn key(&self) -> Key {
        record_key::<Self>(&self.id())
    }
}

/// The store key of the record of type `R` named `id`.
pub fn record_key<R: TrustRecord>(id: &str) -> Key {
    [R::PREFIX.as_bytes(), id.as_bytes()].concat()
}

/// SHA-256 of something, as lower-case hexadecimal text (64 characters).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Fingerprint of `octets`.
    pub fn of(octets: &[u8]) -> Self {
        Self(hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets)))
    }
}

/// A medical professional (本人). `holder_id` is 本人ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// 本人ID: 1 to 64 characters of `[A-Za-z0-9._-]`.
    pub holder_id: String,
    /// What people call them; shown on pages, never used to find anybody.
    pub display_name: String,
    /// Whether they may sign.
    pub enabled: bool,
    /// Whom to call at their certification authority.
    pub ca_contact: Option<String>,
    /// Since when.
    pub created_at: UnixSeconds,
    /// What was taken from them, and why.
    #[serde(default)]
    pub withdrawn: Withdrawn,
}

impl TrustRecord for Holder {
    const PREFIX: &'static str = "h/";
    fn id(&self) -> String {
        self.holder_id.clone()
    }
}

/// One card's certificate belongs to one holder. Matched by issuer, serial and key, never by a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardLink {
    /// SHA-256 over issuer DER, serial DER and SubjectPublicKeyInfo DER of the certificate.
    pub card: Fingerprint,
    /// Whose card.
    pub holder_id: String,
    /// Subject, printable, for the two operators who compare it.
    pub subject: String,
    /// Last second of the certificate; links made before this was kept do not say.
    #[serde(default)]
    pub not_after: Option<UnixSeconds>,
    /// Since when.
    pub linked_at: UnixSeconds,
}

impl CardLink {
    /// Last second of the last of these cards; none where there is no card, or one whose link does not say.
    pub fn last_end(cards: &[Arc<Self>]) -> Option<UnixSeconds> {
        let ends: Option<Vec<UnixSeconds>> = cards.iter().map(|link| link.not_after).collect();
        ends?.into_iter().max()
    }
}

impl TrustRecord for CardLink {
    const PREFIX: &'static str = "l/";
    fn id(&self) -> String {
        self.card.0.clone()
    }
}

/// Where a credential stands. Nothing leads back from `Revoked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// The key pair exists, no certificate yet.
    Generated,
    /// May sign.
    Active,
    /// A signature did not verify with its public key; released only by two operators.
    Quarantined,
    /// Its certificate is revoked or the officer ended it.
    Revoked,
    /// It is revoked or was never certified, and its pair is destroyed.
    Destroyed,
}

impl CredentialStatus {
    /// Whether it will never sign again.
    pub fn is_final(self) -> bool {
        match self {
            Self::Generated | Self::Active | Self::Quarantined => false,
            Self::Revoked | Self::Destroyed => true,
        }
    }
}

/// A second key and its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Name on the wire: 1 to 64 characters of `[A-Za-z0-9._-]`, unique on the appliance.
    pub credential_id: String,
    /// Whose.
    pub holder_id: String,
    /// Kind of key pair.
    pub key_type: KeyType,
    /// CKA_ID in the token: 16 random octets.
    #[serde(with = "hex::serde")]
    pub cka_id: Vec<u8>,
    /// SubjectPublicKeyInfo DER as logged at generation: only this key may be certified.
    #[serde(with = "base64_der")]
    pub spki_der: Vec<u8>,
    /// Certificate, then its issuers without the root, DER; empty until installed.
    #[serde(with = "base64_der_list")]
    pub chain: Vec<Vec<u8>>,
    /// Where it stands.
    pub status: CredentialStatus,
    /// Validity of the certificate: `[not_before, not_after]`, inclusive both ends.
    pub not_before: UnixSeconds,
    /// See `not_before`.
    pub not_after: UnixSeconds,
    /// hcRole texts of the certificate.
    pub hc_roles: Vec<String>,
    /// Subject of the certificate, RFC 4514 text.
    pub subject: String,
    /// Since when.
    pub created_at: UnixSeconds,
    /// Pairs before and after the one that signs.
    #[serde(default)]
    pub life: KeyLife,
}

impl TrustRecord for Credential {
    const PREFIX: &'static str = "k/";
    fn id(&self) -> String {
        self.credential_id.clone()
    }
}

/// How somebody proves presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// HPKI card.
    Hpki,
    /// My Number card (JPKI user-authentication certificate).
    Jpki,
    /// FIDO2 authenticator.
    Fido2,
}

impl Method {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hpki => "hpki",
            Self::Jpki => "jpki",
            Self::Fido2 => "fido2",
        }
    }
}

/// Limits of one signing system's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLimits {
    /// Seconds from the evidence to the end; at most [`SessionLimits::CEILING_SECONDS`].
    pub seconds: u64,
    /// Seconds without a signature after which the session ends.
    pub idle_seconds: u64,
    /// Signatures in one session.
    pub signatures: u64,
}

impl SessionLimits {
    /// No session outlives a day.
    pub const CEILING_SECONDS: u64 = 24 * 3600;

    /// What allows nothing.
    pub const NOTHING: Self = Self { seconds: 0, idle_seconds: 0, signatures: 0 };

    pub(crate) fn nothing() -> Self {
        Self::NOTHING
    }

    /// These, but in nothing more than `present`.
    pub fn at_most(self, present: Self) -> Self {
        Self {
            seconds: self.seconds.min(present.seconds),
            idle_seconds: self.idle_seconds.min(present.idle_seconds),
            signatures: self.signatures.min(present.signatures),
        }
    }
}

impl Default for SessionLimits {
    /// 12 h (a long shift), 4 h idle (a long operation), 250 signatures (the heaviest day seen, rounded up).
    fn default() -> Self {
        Self { seconds: 12 * 3600, idle_seconds: 4 * 3600, signatures: 250 }
    }
}

/// An EHR or other server that asks for signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningSystem {
    /// 1 to 64 characters of `[A-Za-z0-9._-]`.
    pub system_id: String,
    /// What holders are shown.
    pub display_name: String,
    /// SHA-256 of the client certificates accepted: two while one is replaced.
    pub certificates: Vec<Fingerprint>,
    /// Exact return URLs allowed after a sign-in.
    pub return_urls: Vec<String>,
    /// Holders it may name; `None`: every holder.
    pub holders: Option<Vec<String>>,
    /// Methods it accepts.
    pub methods: Vec<Method>,
    /// Whether `output: raw` of `/v1/sign/digest` is open to it.
    pub raw_allowed: bool,
    /// Whether digests of octets that nobody here sees are signed for it, under an activation.
    #[serde(default)]
    pub bare_digests_allowed: bool,
    /// Limits of its sessions.
    pub limits: SessionLimits,
    /// Requests a second, sustained.
    pub requests_per_second: u32,
    /// Since when.
    pub created_at: UnixSeconds,
}

impl TrustRecord for SigningSystem {
    const PREFIX: &'static str = "y/";
    fn id(&self) -> String {
        self.system_id.clone()
    }
}

/// What an operator may do. One operator has one role (EN 419241-1 SRG_M).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Policy, operators, anchors, quarantine.
    SecurityOfficer,
    /// Signing systems, configuration, the running of the appliance.
    Administrator,
    /// Holders, cards, certificates: the certification authority's arm.
    RegistrationOfficer,
    /// Reads and verifies, changes nothing.
    Auditor,
}

impl Role {
    /// Every role, for tables and tests.
    pub const ALL: [Self; 4] =
        [Self::SecurityOfficer, Self::Administrator, Self::RegistrationOfficer, Self::Auditor];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SecurityOfficer => "security_officer",
            Self::Administrator => "administrator",
            Self::RegistrationOfficer => "registration_officer",
            Self::Auditor => "auditor",
        }
    }
}

/// A person with an admin certificate and one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// 1 to 64 characters of `[A-Za-z0-9._-]`.
    pub operator_id: String,
    /// The role.
    pub role: Role,
    /// SHA-256 of the client certificate.
    pub certificate: Fingerprint,
    /// Since when.
    pub created_at: UnixSeconds,
}

impl TrustRecord for Operator {
    const PREFIX: &'static str = "o/";
    fn id(&self) -> String {
        self.operator_id.clone()
    }
}

/// What a trust anchor is trusted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorPurpose {
    /// Card certificates at sign-in.
    HpkiCard,
    /// Holders' second certificates.
    SecondCertificate,
    /// My Number cards' user-authentication certificates at sign-in.
    JpkiCard,
}

/// A trust anchor: always a self-signed CA certificate, never an end entity's or an intermediate's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// What for.
    pub purpose: AnchorPurpose,
    /// The certificate.
    #[serde(with = "base64_der")]
    pub certificate_der: Vec<u8>,
    /// Since when.
    pub added_at: UnixSeconds,
}

impl TrustRecord for Anchor {
    const PREFIX: &'static str = "n/";
    fn id(&self) -> String {
        match self.purpose {
            AnchorPurpose::HpkiCard => format!("hpki_card/{}", self.fingerprint.0),
            AnchorPurpose::SecondCertificate => {
                format!("second_certificate/{}", self.fingerprint.0)
            }
            AnchorPurpose::JpkiCard => format!("jpki_card/{}", self.fingerprint.0),
        }
    }
}

/// Switches that lower or raise trust for the whole appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// Whether published test cards may sign in: off outside trials, loud when on.
    pub danger_test_mode: bool,
    /// SHA-256 of the PKCS#11 module approved; another module is refused.
    pub module: Fingerprint,
}

impl TrustRecord for Mode {
    const PREFIX: &'static str = "m/";
    fn id(&self) -> String {
        "mode".to_owned()
    }
}

/// DER and other octets as base64 text.
pub(crate) mod base64_der {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    pub fn serialize<S: Serializer>(der: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(der))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A list of DER octets as base64 texts.
pub(crate) mod base64_der_list {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    pub fn serialize<S: Serializer>(list: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|der| STANDARD.encode(der)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| STANDARD.decode(text).map_err(D::Error::custom)).collect()
    }
}
