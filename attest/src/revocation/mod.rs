//! Revocation by lists (RFC 5280 §5 and §6.3), fail closed.
//!
//! ```text
//! octets ──> crl: parsed within limits ──> store: issuing CA's key, number never back, not from the future ──> accepted
//! certificate + issuer ──> check: every list in scope, current, all reasons covered ──> good until / revoked / unknown
//! ```
//! A list is verified once, when it is accepted, by the key of a CA that is configured; it then speaks only for certificates
//! of that CA whose path goes through the same key. Lists that somebody else signs for a CA (indirect lists, keys that sign
//! lists only) are not supported: such certificates stay unknown, that is, refused. Nothing is fetched here.

mod check;
mod crl;
mod store;

pub use check::CrlFault;
pub use check::NotGood;
pub use check::check;
pub use crl::Crl;
pub use crl::CrlParseError;
pub use crl::RevocationReason;
pub use crl::SignedCrl;
pub use store::Accepted;
pub use store::CrlFloor;
pub use store::CrlLimits;
pub use store::CrlRefusal;
pub use store::CrlStatus;
pub use store::CrlStore;
