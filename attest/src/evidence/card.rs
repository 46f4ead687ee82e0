//! Evidence of a card, HPKI or My Number: a TLS 1.2 handshake with us that the card's key signed.
//!
//! The front terminates TLS; it hands over the card's certificate, the handshake messages and the card's signature over them
//! (CertificateVerify). That signature covers the host name asked for, both random numbers, our certificate and our own
//! signature over the key exchange, so it was made for this appliance and for one connection only. Everything is checked
//! again here, and can be checked again by anybody from the stored JSON and the two certificates in it.

use super::handshake::Handshake;
use crate::algorithm::DigestAlgorithm;
use crate::algorithm::SignatureScheme;
use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::path::CertificateFault;
use crate::path::signature;
use crate::path::signature::SignatureFault;
use crate::records::Fingerprint;
use crate::records::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;
use std::time::Duration;

/// Longest leaf certificate; with the transcript it fits one record of the store.
pub const MAX_LEAF_BYTES: usize = 16 * 1024;
/// Longest transcript: a browser's has 4 to 8 kB.
pub const MAX_TRANSCRIPT_BYTES: usize = 48 * 1024;
/// Longest signature: RSA of 8192 bits.
pub const MAX_SIGNATURE_BYTES: usize = 1024;

/// Which card signed. Each kind has its own listener and its own authorities, and evidence of one never serves as the other's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CardKind {
    /// HPKI card.
    #[default]
    Hpki,
    /// My Number card, by its user-authentication certificate.
    Jpki,
}

impl CardKind {
    /// What its evidence proves presence by.
    pub fn method(self) -> Method {
        match self {
            Self::Hpki => Method::Hpki,
            Self::Jpki => Method::Jpki,
        }
    }

    /// What the digest of its evidence begins with.
    fn context(self) -> &'static [u8] {
        match self {
            Self::Hpki => b"inkan hpki evidence v1",
            Self::Jpki => b"inkan jpki evidence v1",
        }
    }

    /// Evidence of an HPKI card does not say so: its form is older than the other kind.
    fn is_hpki(&self) -> bool {
        *self == Self::Hpki
    }
}

/// A handshake as the front saw it; nothing of it is proved before [`CardEvidence::verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardEvidence {
    /// By whose listener it was made.
    #[serde(default, skip_serializing_if = "CardKind::is_hpki")]
    pub kind: CardKind,
    /// Certificate the client sent first, DER.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub leaf_der: Vec<u8>,
    /// The handshake messages that CertificateVerify signs (RFC 5246 §7.4.8), ClientHello to ClientKeyExchange.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub transcript: Vec<u8>,
    /// SignatureScheme code point of CertificateVerify (RFC 8446 §4.2.3; SignatureAndHashAlgorithm in RFC 5246).
    pub signature_scheme: u16,
    /// Its signature.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub signature: Vec<u8>,
    /// When the handshake finished.
    pub handshake_at: UnixSeconds,
}

/// What evidence is held against.
#[derive(Clone, Copy, Debug)]
pub struct Expectations<'a> {
    /// The kind of card.
    pub kind: CardKind,
    /// Host name of the card listener for this sign-in; compared without case.
    pub host: &'a str,
    /// SHA-256 of the certificates that the card listener uses: two while one is replaced.
    pub server_certificates: &'a [Fingerprint],
    /// When the transaction was made; an older handshake was not made for it.
    pub not_before: UnixSeconds,
    /// The time now.
    pub now: UnixSeconds,
    /// How old the handshake may be.
    pub max_age: Duration,
}

/// Why evidence proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Evidence of another kind of card.
    #[error("the evidence is that of another kind of card")]
    OtherKind,
    /// A part is longer than its limit.
    #[error("the {0} of the evidence is too long")]
    TooLarge(&'static str),
    /// The messages are not those of a full TLS 1.2 handshake with client authentication.
    #[error("the handshake cannot be read: {0}")]
    Transcript(&'static str),
    /// Not TLS 1.2.
    #[error("the handshake is not one of TLS 1.2")]
    Version,
    /// The cipher suite has no ephemeral key exchange or no authenticated encryption.
    #[error("the handshake has the cipher suite {0:#06x}, which is not accepted")]
    CipherSuite(u16),
    /// Without extended_master_secret a handshake can be joined to another (RFC 7627 §1).
    #[error("the handshake has no extended master secret")]
    NoExtendedMasterSecret,
    /// The client asked for another host.
    #[error("the handshake was not made for this host name")]
    Host,
    /// The client was shown another server's certificate.
    #[error("the handshake was not made with a certificate of this appliance")]
    ServerCertificate,
    /// Our key did not sign the key exchange: somebody showed our certificate only.
    #[error("the key exchange was not signed by this appliance")]
    ServerKeyExchange,
    /// The leaf is not the certificate in the signed messages.
    #[error("the certificate is not the one in the signed messages")]
    OtherLeaf,
    /// The certificate cannot be read.
    #[error(transparent)]
    Leaf(#[from] CertificateFault),
    /// A signature scheme that is not accepted.
    #[error("the signature scheme {0:#06x} is not accepted")]
    SignatureScheme(u16),
    /// The card's signature over the messages does not verify.
    #[error("the card's signature over the handshake: {0}")]
    Signature(SignatureFault),
    /// The handshake is older than allowed, older than the transaction, or from the future.
    #[error("the handshake is not fresh: {0}")]
    NotFresh(&'static str),
}

impl EvidenceError {
    /// Stable word for logs, audit records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherKind => "evidence_other_kind",
            Self::TooLarge(_) => "evidence_too_large",
            Self::Transcript(_) => "evidence_transcript",
            Self::Version => "evidence_tls_version",
            Self::CipherSuite(_) => "evidence_cipher_suite",
            Self::NoExtendedMasterSecret => "evidence_no_extended_master_secret",
            Self::Host => "evidence_host",
            Self::ServerCertificate => "evidence_server_certificate",
            Self::ServerKeyExchange => "evidence_server_key_exchange",
            Self::OtherLeaf => "evidence_other_leaf",
            Self::Leaf(_) => "evidence_leaf",
            Self::SignatureScheme(_) => "evidence_signature_scheme",
            Self::Signature(_) => "evidence_signature",
            Self::NotFresh(_) => "evidence_not_fresh",
        }
    }
}

/// Evidence that was verified: somebody with the card's key (and its PIN) made this connection. Only
/// [`CardEvidence::verify`] makes one. Whose card it is, and whether it is good, is not said yet.
#[derive(Clone, Debug)]
pub struct VerifiedCard {
    kind: CardKind,
    leaf_der: Vec<u8>,
    digest: Fingerprint,
    replay_key: Fingerprint,
    handshake_at: UnixSeconds,
}

impl VerifiedCard {
    /// The kind of card that its listener asked for; what its certificate is, is not said yet.
    pub fn kind(&self) -> CardKind {
        self.kind
    }

    /// The card's certificate, DER.
    pub fn leaf_der(&self) -> &[u8] {
        &self.leaf_der
    }

    /// [`CardEvidence::digest`].
    pub fn digest(&self) -> &Fingerprint {
        &self.digest
    }

    /// [`CardEvidence::replay_key`].
    pub fn replay_key(&self) -> &Fingerprint {
        &self.replay_key
    }

    /// When presence was proved.
    pub fn handshake_at(&self) -> UnixSeconds {
        self.handshake_at
    }
}

impl CardEvidence {
    /// Verifies everything that the evidence claims, except whose card it is and whether the card is good.
    ///
    /// # Errors
    /// [`EvidenceError`], the first that is found.
    /// # Source
    /// RFC 5246 §7.4; RFC 7627 §4; RFC 8422 §5.4.
    pub fn verify(&self, expected: &Expectations<'_>) -> Result<VerifiedCard, EvidenceError> {
        if self.kind != expected.kind {
            return Err(EvidenceError::OtherKind);
        }
        self.check_sizes()?;
        self.check_freshness(expected)?;
        let handshake = Handshake::parse(&self.transcript)?;
        check_parameters(&handshake, expected)?;
        check_server(&handshake, expected)?;
        if handshake.client_certificate != self.leaf_der {
            return Err(EvidenceError::OtherLeaf);
        }
        let leaf = Certificate::from_der(&self.leaf_der)?;
        let scheme = scheme_of(self.signature_scheme)
            .ok_or(EvidenceError::SignatureScheme(self.signature_scheme))?;
        signature::verify(scheme, leaf.public_key(), &self.transcript, &self.signature)
            .map_err(EvidenceError::Signature)?;
        Ok(VerifiedCard {
            kind: self.kind,
            leaf_der: self.leaf_der.clone(),
            digest: self.digest(),
            replay_key: self.replay_key(),
            handshake_at: self.handshake_at,
        })
    }

    /// SHA-256 over all of the evidence: what the audit record names.
    ///
    /// # Shape
    /// The text `inkan hpki evidence v1` (or `jpki`), then leaf, transcript, scheme (2 octets), signature, time (8 octets),
    /// each after its length as 8 octets, big-endian.
    pub fn digest(&self) -> Fingerprint {
        let scheme = self.signature_scheme.to_be_bytes();
        let at = self.handshake_at.0.to_be_bytes();
        let parts = [&self.leaf_der[..], &self.transcript, &scheme, &self.signature, &at];
        let mut octets = self.kind.context().to_vec();
        for part in parts {
            octets.extend_from_slice(&(part.len() as u64).to_be_bytes());
            octets.extend_from_slice(part);
        }
        Fingerprint::of(&octets)
    }

    /// SHA-256 over the signed messages alone: evidence is used once, and this is what is remembered.
    ///
    /// Time and signature are left out on purpose: the first is the front's word, and of an ECDSA signature everybody can
    /// make a second one over the same messages.
    pub fn replay_key(&self) -> Fingerprint {
        Fingerprint::of(&self.transcript)
    }

    fn check_sizes(&self) -> Result<(), EvidenceError> {
        let parts = [
            (self.leaf_der.len(), MAX_LEAF_BYTES, "certificate"),
            (self.transcript.len(), MAX_TRANSCRIPT_BYTES, "transcript"),
            (self.signature.len(), MAX_SIGNATURE_BYTES, "signature"),
        ];
        match parts.into_iter().find(|(len, max, _)| len > max) {
            Some((_, _, what)) => Err(EvidenceError::TooLarge(what)),
            None => Ok(()),
        }
    }

    fn check_freshness(&self, expected: &Expectations<'_>) -> Result<(), EvidenceError> {
        let at = self.handshake_at;
        if at > expected.now {
            return Err(EvidenceError::NotFresh("it is from the future"));
        }
        if at < expected.not_before {
            return Err(EvidenceError::NotFresh("it is older than the sign-in"));
        }
        if at.plus(expected.max_age) < expected.now {
            return Err(EvidenceError::NotFresh("it is too old"));
        }
        Ok(())
    }
}

fn check_parameters(
    handshake: &Handshake<'_>,
    expected: &Expectations<'_>,
) -> Result<(), EvidenceError> {
    if !CIPHER_SUITES.contains(&handshake.cipher_suite) {
        return Err(EvidenceError::CipherSuite(handshake.cipher_suite));
    }
    if !handshake.has_extended_master_secret {
        return Err(EvidenceError::NoExtendedMasterSecret);
    }
    match handshake.host.eq_ignore_ascii_case(expected.host.as_bytes()) {
        true => Ok(()),
        false => Err(EvidenceError::Host),
    }
}

/// The certificate shown is ours, and its key took part: in TLS 1.2 a client signs before it knows that the server has the
/// key, so a stranger who shows our certificate could otherwise collect the card's signature.
fn check_server(
    handshake: &Handshake<'_>,
    expected: &Expectations<'_>,
) -> Result<(), EvidenceError> {
    let shown = Fingerprint::of(handshake.server_certificate);
    if !expected.server_certificates.contains(&shown) {
        return Err(EvidenceError::ServerCertificate);
    }
    let server = Certificate::from_der(handshake.server_certificate)
        .map_err(|_| EvidenceError::ServerCertificate)?;
    let scheme =
        scheme_of(handshake.key_exchange_scheme).ok_or(EvidenceError::ServerKeyExchange)?;
    let message =
        [handshake.client_random, handshake.server_random, handshake.key_exchange].concat();
    signature::verify(scheme, server.public_key(), &message, handshake.key_exchange_signature)
        .map_err(|_| EvidenceError::ServerKeyExchange)
}

/// Code points of RFC 8446 §4.2.3 that are accepted; in TLS 1.2 those of ECDSA do not fix the curve.
fn scheme_of(code: u16) -> Option<SignatureScheme> {
    use DigestAlgorithm::Sha256;
    use DigestAlgorithm::Sha384;
    use DigestAlgorithm::Sha512;
    Some(match code {
        0x0401 => SignatureScheme::RsaPkcs1 { digest: Sha256 },
        0x0501 => SignatureScheme::RsaPkcs1 { digest: Sha384 },
        0x0601 => SignatureScheme::RsaPkcs1 { digest: Sha512 },
        0x0804 | 0x0809 => SignatureScheme::RsaPss { digest: Sha256, salt_len: 32 },
        0x0805 | 0x080a => SignatureScheme::RsaPss { digest: Sha384, salt_len: 48 },
        0x0806 | 0x080b => SignatureScheme::RsaPss { digest: Sha512, salt_len: 64 },
        0x0403 => SignatureScheme::Ecdsa { digest: Sha256 },
        0x0503 => SignatureScheme::Ecdsa { digest: Sha384 },
        0x0603 => SignatureScheme::Ecdsa { digest: Sha512 },
        0x0807 => SignatureScheme::Ed25519,
        _ => return None,
    })
}

fn to_base64<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(octets))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > MAX_TRANSCRIPT_BYTES.div_ceil(3) * 4 {
        return Err(D::Error::custom("too long"));
    }
    STANDARD.decode(text).map_err(D::Error::custom)
}

/// ECDHE with AES-GCM or ChaCha20-Poly1305 (RFC 5289, RFC 7905): what the card listener offers.
const CIPHER_SUITES: [u16; 6] = [0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];
