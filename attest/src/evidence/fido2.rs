//! Evidence of an authenticator: an assertion that its key signed after it verified its user.
//!
//! The browser's answer is judged by webauthn-rs when it comes; what is kept is judged once more here, by a check of our own
//! that anybody can repeat from the stored JSON and the portal's host name. The challenge is random; what it stood for is
//! recorded under it before the authenticator is asked, and again here.

use super::ceremony::RelyingParty;
use crate::algorithm::DigestAlgorithm;
use crate::algorithm::SignatureScheme;
use crate::clock::ClockBehindFloor;
use crate::clock::UnixSeconds;
use crate::path::signature;
use crate::path::signature::SignatureFault;
use crate::records::Fingerprint;
use crate::records::SessionLimits;
use crate::records::base64_der;
use crate::sign_in::RandomFailed;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::Decode;
use der::Encode;
use der::asn1::BitString;
use serde::Deserialize;
use serde::Serialize;
use spki::AlgorithmIdentifier;
use spki::SubjectPublicKeyInfo;
use spki::SubjectPublicKeyInfoOwned;
use webauthn_rs::prelude::COSEAlgorithm;
use webauthn_rs::prelude::COSEKey;
use webauthn_rs::prelude::COSEKeyType;
use webauthn_rs::prelude::ECDSACurve;
use webauthn_rs::prelude::WebauthnError;

/// Octets before extensions in authenticator data: rpIdHash, flags, signCount.
const FIXED_BYTES: usize = 37;
/// User present (WebAuthn §6.1, bit 0 of flags).
const FLAG_UP: u8 = 0x01;
/// User verified (bit 2).
const FLAG_UV: u8 = 0x04;

/// What a sign-in is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A session within its limits.
    Day,
    /// Signatures of particular entries, each once.
    Once,
    /// Leave to register another phone in place of this one; no session.
    ChangePhone,
    /// The phone that was proved since then takes the place of this one; no session.
    ConfirmPhone,
}

/// Before which screen the authenticator is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// A phone's own, which followed the link: the phone answers by itself.
    #[default]
    Phone,
    /// The asking PC's: a phone that its browser reaches, or a key on a wire. Never what is built into the PC, which
    /// others use, too.
    Pc,
}

impl Surface {
    fn is_phone(&self) -> bool {
        *self == Self::Phone
    }
}

/// What an assertion approves. The same words go into the audit log under the challenge before the authenticator is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// What for.
    pub purpose: Purpose,
    /// Which signing system asks.
    pub system_id: String,
    /// Whose presence.
    pub holder_id: String,
    /// The sign-in.
    pub session_id: String,
    /// The page that waits.
    pub handoff_id: String,
    /// Limits of the session.
    pub limits: SessionLimits,
    /// Before which screen.
    #[serde(default, skip_serializing_if = "Surface::is_phone")]
    pub surface: Surface,
    /// The list of entries, by its digest ([`Entries::digest`](crate::activation::Entries::digest)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Fingerprint>,
    /// The phone that takes the place of this one, by SHA-256 of its public key (SubjectPublicKeyInfo DER).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_key: Option<Fingerprint>,
}

/// One assertion, with everything that a third party needs to check it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fido2Evidence {
    /// SHA-256 of the credential id.
    pub authenticator: Fingerprint,
    /// Its public key, SubjectPublicKeyInfo DER.
    #[serde(with = "base64_der")]
    pub public_key_der: Vec<u8>,
    /// The challenge as it was sent: 32 random octets.
    #[serde(with = "base64_der")]
    pub challenge: Vec<u8>,
    /// Authenticator data (WebAuthn §6.1).
    #[serde(with = "base64_der")]
    pub authenticator_data: Vec<u8>,
    /// Client data (WebAuthn §5.8.1), as the browser wrote it.
    #[serde(with = "base64_der")]
    pub client_data_json: Vec<u8>,
    /// The signature over both.
    #[serde(with = "base64_der")]
    pub signature: Vec<u8>,
    /// What it approves.
    pub approved: Binding,
    /// When it came.
    pub proved_at: UnixSeconds,
}

/// Why a ceremony or its evidence proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum Fido2Error {
    /// The answer is longer than any authenticator's.
    #[error("the browser's answer is too long")]
    TooLarge,
    /// Not what a browser sends.
    #[error("the browser's answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// Not what an authenticator sends.
    #[error("the authenticator's part of the answer cannot be read")]
    Malformed,
    /// Unknown, used, too late, or begun for something else; nobody is told which.
    #[error("no such ceremony is under way")]
    CeremonyOver,
    /// On a PC: built into it, or the browser does not say what it is.
    #[error("the authenticator is not one that is brought to the computer")]
    BuiltIn,
    /// A phone, or something that does not say what it is, where a security key was asked to register.
    #[error("the authenticator does not say that it is a security key")]
    NotSecurityKey,
    /// The authenticator is not one of those asked.
    #[error("the authenticator is not one of those asked")]
    NotAsked,
    /// An authenticator of the holder's own answered to an enrolment that leaves it out.
    #[error("the authenticator is registered already")]
    Known,
    /// A model that is not taken, or a key that may be copied where such are not.
    #[error("authenticators of this kind are not taken")]
    NotAccepted,
    /// An assertion where an enrolment was asked, or the reverse.
    #[error("the answer is of another kind than was asked")]
    Type,
    /// Another challenge.
    #[error("the answer is to another challenge")]
    Challenge,
    /// Another page, port or host, or a frame within one.
    #[error("the answer was made on another page than ours")]
    Origin,
    /// A credential of another relying party.
    #[error("the answer is for another relying party")]
    RpId,
    /// Nobody touched it.
    #[error("the authenticator saw nobody")]
    UserNotPresent,
    /// No biometrics, no PIN.
    #[error("the authenticator did not verify its user")]
    UserNotVerified,
    /// The user handle is not the one this authenticator was given.
    #[error("the authenticator answered for another user")]
    UserHandle,
    /// A kind of key that is not accepted.
    #[error("the authenticator has a kind of key that is not accepted")]
    Key,
    /// The signature does not verify.
    #[error("the authenticator's signature does not verify")]
    Signature,
    /// The counter did not go up: there may be a copy of the key.
    #[error("the counter of the authenticator {} went back", .0.0)]
    CounterBack(Fingerprint),
    /// Another step of the standard does not hold.
    #[error("the answer was refused: {0}")]
    Rejected(#[source] WebauthnError),
    /// Too many ceremonies at once; safe to retry.
    #[error("too many ceremonies are under way")]
    Busy,
    /// The relying party cannot be one.
    #[error("{0} cannot be the origin of a relying party: an https host name is needed")]
    RelyingParty(String),
    /// The clock cannot be trusted.
    #[error(transparent)]
    Clock(#[from] ClockBehindFloor),
    /// No random octets.
    #[error(transparent)]
    Random(#[from] RandomFailed),
}

impl Fido2Error {
    /// Stable word for logs, audit records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "fido2_too_large",
            Self::Unreadable(_) | Self::Malformed => "fido2_unreadable",
            Self::CeremonyOver => "fido2_ceremony_over",
            Self::BuiltIn => "fido2_built_in",
            Self::NotSecurityKey => "fido2_not_security_key",
            Self::NotAsked => "fido2_not_asked",
            Self::Known => "fido2_known",
            Self::NotAccepted => "fido2_not_accepted",
            Self::Type => "fido2_type",
            Self::Challenge => "fido2_challenge",
            Self::Origin => "fido2_origin",
            Self::RpId => "fido2_rp_id",
            Self::UserNotPresent => "fido2_user_not_present",
            Self::UserNotVerified => "fido2_user_not_verified",
            Self::UserHandle => "fido2_user_handle",
            Self::Key => "fido2_key",
            Self::Signature => "fido2_signature",
            Self::CounterBack(_) => "fido2_counter_back",
            Self::Rejected(_) => "fido2_rejected",
            Self::Busy => "fido2_busy",
            Self::RelyingParty(_) => "fido2_relying_party",
            Self::Clock(_) => "clock",
            Self::Random(_) => "random",
        }
    }

    /// The steps that have a name of their own here.
    pub(super) fn of(error: WebauthnError, authenticator: &Fingerprint) -> Self {
        match error {
            WebauthnError::InvalidClientDataType => Self::Type,
            WebauthnError::MismatchedChallenge => Self::Challenge,
            WebauthnError::InvalidRPOrigin | WebauthnError::CredentialCrossOrigin => Self::Origin,
            WebauthnError::InvalidRPIDHash => Self::RpId,
            WebauthnError::UserNotPresent => Self::UserNotPresent,
            WebauthnError::UserNotVerified => Self::UserNotVerified,
            WebauthnError::CredentialNotFound => Self::NotAsked,
            WebauthnError::AuthenticationFailure => Self::Signature,
            WebauthnError::CredentialPossibleCompromise => Self::CounterBack(authenticator.clone()),
            other => Self::Rejected(other),
        }
    }
}

/// What is read of client data; a browser may add more.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    is_cross_origin: bool,
}

impl Fido2Evidence {
    /// Checks the assertion again, for the portal `relying_party`. Whether the authenticator was the holder's then is said by
    /// the audit log, not here.
    ///
    /// # Errors
    /// [`Fido2Error`], the first step that does not hold.
    /// # Source
    /// WebAuthn Level 2 §7.2, steps 11 to 20.
    pub fn check(&self, relying_party: &RelyingParty) -> Result<(), Fido2Error> {
        // Steps 11 to 13: what the browser says it did.
        let client: ClientData =
            serde_json::from_slice(&self.client_data_json).map_err(Fido2Error::Unreadable)?;
        if client.kind != "webauthn.get" {
            return Err(Fido2Error::Type);
        }
        if client.challenge != URL_SAFE_NO_PAD.encode(&self.challenge) {
            return Err(Fido2Error::Challenge);
        }
        if client.origin != relying_party.origin() || client.is_cross_origin {
            return Err(Fido2Error::Origin);
        }
        // Steps 15 to 17: what the authenticator says it did.
        let fixed: &[u8; FIXED_BYTES] =
            self.authenticator_data.first_chunk().ok_or(Fido2Error::Malformed)?;
        let (rp_id_hash, rest) = fixed.split_at(digest::SHA256_OUTPUT_LEN);
        let flags = rest.first().copied().unwrap_or_default();
        if rp_id_hash != sha256(relying_party.rp_id().as_bytes()).as_ref() {
            return Err(Fido2Error::RpId);
        }
        if flags & FLAG_UP == 0 {
            return Err(Fido2Error::UserNotPresent);
        }
        if flags & FLAG_UV == 0 {
            return Err(Fido2Error::UserNotVerified);
        }
        // Steps 19 and 20: it signed both.
        let key = SubjectPublicKeyInfoOwned::from_der(&self.public_key_der)
            .map_err(|_| Fido2Error::Key)?;
        let signed = [&self.authenticator_data, sha256(&self.client_data_json).as_ref()].concat();
        signature::verify(scheme_of(&key)?, &key, &signed, &self.signature).map_err(|fault| {
            match fault {
                SignatureFault::Mismatch => Fido2Error::Signature,
                SignatureFault::Key | SignatureFault::Algorithm(_) => Fido2Error::Key,
            }
        })
    }
}

/// ES256 with P-256 and ES384 with P-384 (WebAuthn §5.8.5), nothing else: phones and security keys have them.
fn scheme_of(key: &SubjectPublicKeyInfoOwned) -> Result<SignatureScheme, Fido2Error> {
    let curve = key.algorithm.parameters.as_ref().ok_or(Fido2Error::Key)?;
    let digest = match curve.decode_as::<ObjectIdentifier>() {
        Ok(rfc5912::SECP_256_R_1) => DigestAlgorithm::Sha256,
        Ok(rfc5912::SECP_384_R_1) => DigestAlgorithm::Sha384,
        _ => return Err(Fido2Error::Key),
    };
    Ok(SignatureScheme::Ecdsa { digest })
}

/// A COSE key (RFC 9053 §7.1) as SubjectPublicKeyInfo (RFC 5480 §2).
///
/// # Errors
/// [`Fido2Error::Key`] for everything but ES256 with P-256 and ES384 with P-384.
pub(crate) fn spki_der(key: &COSEKey) -> Result<Vec<u8>, Fido2Error> {
    let COSEKeyType::EC_EC2(point) = &key.key else {
        return Err(Fido2Error::Key);
    };
    let curve = match (&key.type_, &point.curve) {
        (COSEAlgorithm::ES256, ECDSACurve::SECP256R1) => rfc5912::SECP_256_R_1,
        (COSEAlgorithm::ES384, ECDSACurve::SECP384R1) => rfc5912::SECP_384_R_1,
        _ => return Err(Fido2Error::Key),
    };
    let uncompressed = [&[0x04], point.x.as_slice(), point.y.as_slice()].concat();
    let spki = SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier { oid: rfc5912::ID_EC_PUBLIC_KEY, parameters: Some(curve) },
        subject_public_key: BitString::from_bytes(&uncompressed).map_err(|_| Fido2Error::Key)?,
    };
    spki.to_der().map_err(|_| Fido2Error::Key)
}

fn sha256(octets: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, octets)
}
