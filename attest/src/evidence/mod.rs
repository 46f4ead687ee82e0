//! Evidence: fresh proofs of presence, kept so that a third party can check them again.
//!
//! The front hands evidence over as plain data; nothing in it is believed before it was verified here.

mod handshake;
mod hpki;

pub use hpki::EvidenceError;
pub use hpki::Expectations;
pub use hpki::HpkiEvidence;
pub use hpki::MAX_LEAF_BYTES;
pub use hpki::MAX_SIGNATURE_BYTES;
pub use hpki::MAX_TRANSCRIPT_BYTES;
pub use hpki::VerifiedHpki;
