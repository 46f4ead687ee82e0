//! Evidence: fresh proofs of presence, kept so that a third party can check them again.
//!
//! The front hands evidence over as plain data; nothing in it is believed before it was verified here.

mod brought;
mod card;
mod ceremony;
mod decoy;
mod fido2;
mod handshake;
mod under_way;

pub(crate) use fido2::spki_der;

pub use card::CardEvidence;
pub use card::CardKind;
pub use card::EvidenceError;
pub use card::Expectations;
pub use card::MAX_LEAF_BYTES;
pub use card::MAX_SIGNATURE_BYTES;
pub use card::MAX_TRANSCRIPT_BYTES;
pub use card::VerifiedCard;
pub use ceremony::CEREMONY_SECONDS;
pub use ceremony::Fido2;
pub use ceremony::MAX_CREDENTIAL_BYTES;
pub use ceremony::NewPasskey;
pub use ceremony::RelyingParty;
pub use ceremony::Started;
pub use ceremony::VerifiedFido2;
pub use fido2::Binding;
pub use fido2::Fido2Error;
pub use fido2::Fido2Evidence;
pub use fido2::Purpose;
pub use fido2::Surface;
pub use under_way::MAX_WITHOUT_LINK;
