//! What can go wrong, sorted by who can act.

use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;

/// Why a signature was not made, read or released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// The caller's fault: the content digest was made with another algorithm than the signature's. `malformed_request`.
    #[error("the content digest is {actual}, the signature needs {expected}", expected = .expected.name(), actual = .actual.name())]
    DigestAlgorithm {
        /// What the signature needs: one hash per signature.
        expected: DigestAlgorithm,
        /// What was given.
        actual: DigestAlgorithm,
    },
    /// The caller's fault: this kind of key cannot make this signature. `malformed_request`.
    #[error("a key of type {key_type} makes no {scheme} signature", key_type = .key_type.name(), scheme = .scheme.name())]
    Scheme {
        /// The kind of key.
        key_type: KeyType,
        /// The scheme asked for.
        scheme: SignatureScheme,
    },
    /// The caller's fault: the octets are not the shape they were said to be. `malformed_request`.
    #[error("the octets are no {shape}: {fault}")]
    Shape {
        /// The shape's name on the wire.
        shape: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
    /// The caller's fault: longer than the named limit. `body_too_large`.
    #[error("{what}: {actual} octets or entries, at most {limit} are allowed")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What was given.
        actual: usize,
    },
    /// The caller's fault: the content is not the one that was signed. `digest_mismatch`.
    #[error("the content is not what the message-digest attribute says")]
    OtherContent,
    /// The caller's fault: the signature already contains its content. `internal`, since only our own are attached.
    #[error("the signature already contains its content")]
    AlreadyAttached,
    /// Refused: the octets are not a signature in DER as this crate writes it.
    #[error("not a CAdES B-B signature in DER: {0}")]
    Malformed(&'static str),
    /// Refused: the parts of a signature do not belong together.
    #[error("the parts of the signature do not belong together: {0}")]
    Inconsistent(&'static str),
    /// The signature value does not verify with the certificate's public key: it must not leave, and the key that made
    /// it is not to be trusted. `credential_quarantined`.
    #[error("the signature does not verify with the public key of the certificate")]
    SignatureInvalid,
    /// Our fault: an installed certificate cannot be used. `internal`.
    #[error("certificate {index} of the chain: {fault}")]
    Certificate {
        /// Place in the chain; 0 is the signer's certificate.
        index: usize,
        /// What is wrong with it.
        fault: CertificateFault,
    },
    /// Our fault: a time that DER cannot express (after the year 9999). `internal`.
    #[error("the signing time {0} is beyond the year 9999")]
    SigningTime(u64),
}

/// What is wrong with an installed certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// There is none.
    #[error("the chain is empty")]
    Missing,
    /// Not an X.509 certificate in DER.
    #[error("not an X.509 certificate in DER: {0}")]
    Malformed(&'static str),
    /// Its key is of a kind that the appliance does not know.
    #[error("its public key is of a kind that is not supported")]
    UnknownKey,
}
