//! CMS signatures in the profile CAdES B-B: the format only, no I/O, no key, no clock.
//!
//! What goes wrong in a signature format is found years later, by somebody else's verifier. So this crate writes one
//! shape only, in DER, byte for byte the same for the same inputs; and it never hands out a signature that the
//! certificate's public key has not verified. A signature is made in three steps, each a type of its own:
//!
//! ```text
//!  SigningCertificate --prepare--> Prepared --signed_attrs_der()--> the HSM signs
//!  (once a credential)                |                                  |
//!                                     '------------verify(signature)-----'--> Verified --assemble()--> detached DER
//! ```
//!
//! [`attach`] inserts the content into a detached signature, [`SignedDataView`] reads one back (strictly: only what this
//! crate writes), [`RawShape`] says whether octets for a raw signature are what they are said to be.
//!
//! # Source
//! ETSI EN 319 122-1 §6 (baseline B-B); RFC 5652; RFC 5035; RFC 5753, 5754, 4056, 8419 (algorithms in CMS).
#![forbid(unsafe_code)]

mod algorithm;
mod attach;
mod certificate;
mod error;
mod prepared;
mod public_key;
mod read;
mod shape;
mod signed_attrs;
mod signed_data;
mod signed_info;
mod time;
mod view;
mod write;

pub use algorithm::can_sign;
pub use algorithm::content_digest_algorithm;
pub use attach::attach;
pub use certificate::CERTIFICATE_MAX_BYTES;
pub use certificate::CHAIN_MAX;
pub use certificate::SigningCertificate;
pub use error::CertificateFault;
pub use error::CmsError;
pub use prepared::Prepared;
pub use prepared::Verified;
pub use prepared::prepare;
pub use public_key::PublicKey;
pub use shape::RawShape;
pub use view::SignedDataView;
