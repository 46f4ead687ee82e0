//! Certification paths: is this certificate, now, one of ours, for this policy, and not revoked?
//!
//! ```text
//! leaf ──> search: candidates by name and key, signatures checked, bounded ──> chain
//! chain ─> profile: rules of RFC 5280 §4 for issuers
//!       ─> rfc5280: §6.1 by certval (validity, names, constraints, policies, key usage, critical extensions, signatures)
//!       ─> revocation: §6.3 over lists that were accepted before
//! ```
//! Nothing is fetched: anchors, candidates and lists come from the caller. Nothing is soft: what is unknown is refused.
//! Validation is off the hot path; a [`ValidPath`] says until when it holds.

mod anchor;
mod certificate;
mod error;
mod name;
mod profile;
mod rfc5280;
mod search;
pub mod signature;
mod wildcard;

pub use anchor::TrustAnchor;
pub use certificate::Certificate;
pub use certificate::CertificateFault;
pub use certificate::MAX_CERTIFICATE_BYTES;
pub use certificate::MAX_EXTENSIONS;
pub(crate) use certificate::seconds;
pub use error::PathError;
pub use error::Place;
pub(crate) use name::deceives;
pub use name::printable;
pub use rfc5280::CertvalValidator;

use crate::clock::UnixSeconds;
use crate::revocation::CrlStore;
use const_oid::ObjectIdentifier;
use std::sync::Arc;

/// Most certificates in a path, leaf included, anchor not.
pub const MAX_PATH_CERTIFICATES: usize = 8;
/// Most intermediates that may be offered: a hospital's PKI has a handful, JPKI three generations.
pub const MAX_CANDIDATES: usize = 1024;

/// The policy inputs of RFC 5280 §6.1.1 (c) to (g).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// user-initial-policy-set; `2.5.29.32.0` is any-policy.
    pub initial_set: Vec<ObjectIdentifier>,
    /// initial-explicit-policy: the path must be valid for a policy of the set.
    pub explicit: bool,
    /// initial-policy-mapping-inhibit.
    pub inhibit_mapping: bool,
    /// initial-any-policy-inhibit.
    pub inhibit_any: bool,
}

impl PolicySettings {
    /// The path must be valid for one of `policies` itself, without mapping and without any-policy.
    pub fn exactly(policies: &[ObjectIdentifier]) -> Self {
        Self {
            initial_set: policies.to_vec(),
            explicit: true,
            inhibit_mapping: true,
            inhibit_any: true,
        }
    }
}

/// How revocation is judged.
#[derive(Clone, Copy)]
pub enum Revocation<'a> {
    /// Every certificate below the anchor must be covered by these lists.
    Lists(&'a CrlStore),
    /// Not here: a provider is asked about the leaf next. Only for anchors that issue the leaf themselves.
    OfLeafByProvider,
    /// Not at all. For conformance suites whose cases carry no lists; nothing of the appliance uses it.
    DangerUnchecked,
}

/// What a path is validated against.
#[derive(Clone, Copy)]
pub struct PathRequest<'a> {
    /// Trust anchors.
    pub anchors: &'a [TrustAnchor],
    /// CA certificates the path may go through, in any order; most are not needed.
    pub intermediates: &'a [Arc<Certificate>],
    /// The certificate that is judged.
    pub target: &'a Arc<Certificate>,
    /// The time, seconds since the Unix epoch.
    pub at: UnixSeconds,
    /// Policy inputs.
    pub policies: &'a PolicySettings,
    /// Revocation.
    pub revocation: Revocation<'a>,
}

/// A path that was valid at the time asked for.
#[derive(Clone, Debug)]
pub struct ValidPath {
    /// The anchor.
    pub anchor: TrustAnchor,
    /// From the certificate that the anchor issued to the leaf.
    pub certificates: Vec<Arc<Certificate>>,
    /// Last second at which the same certificates and lists would still be valid together.
    pub good_until: UnixSeconds,
}

/// Validates certification paths. One implementation today, [`CertvalValidator`]; the trait is where another would go.
pub trait PathValidator: Send + Sync {
    /// Finds and validates a path from the target to an anchor.
    ///
    /// # Errors
    /// [`PathError`]: the reason of the path that came furthest.
    fn validate(&self, request: &PathRequest<'_>) -> Result<ValidPath, PathError>;
}
