//! Checkpoints as C2SP signed notes.
//!
//! ```text
//! hospital.example/inkan/audit          origin: the name of the log
//! 20852163                              size: records in the tree
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2...   root hash, base64
//!
//! — hospital.example/inkan/audit Az3grlgt...
//! ```
//! # Source
//! C2SP signed-note (format; signature type 0x02: ECDSA on P-256 with SHA-256, whose key ID is the first four octets of
//! SHA-256 over the DER SubjectPublicKeyInfo), C2SP tlog-checkpoint (text).

use crate::audit::hash::Hash;
use crate::audit::hash::sha256;
use async_trait::async_trait;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::Decode;
use der::asn1::ObjectIdentifier;
use std::fmt;
use std::str::FromStr;
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The tree at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, a schema-less URL.
    pub origin: String,
    /// Records.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// A public key that checks checkpoints: ECDSA on P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    spki_der: Vec<u8>,
    point: Vec<u8>,
}

/// A checkpoint with its signatures, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The whole note.
    pub text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    value: Vec<u8>,
}

/// What is wrong with a note or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the format of a signed note with a checkpoint in it.
    #[error("not a signed checkpoint: {0}")]
    Format(&'static str),
    /// No signature by a key that is trusted.
    #[error("the checkpoint is not signed by a key that is trusted here")]
    UnknownKey,
    /// Signed in the name of a trusted key, but not by it.
    #[error("the checkpoint's signature does not verify")]
    BadSignature,
    /// Not a public key on P-256.
    #[error("not the public key of an ECDSA key on P-256: {0}")]
    Key(&'static str),
}

/// Signs checkpoints: the house key in the HSM.
#[async_trait]
pub trait CheckpointSigner: Send + Sync {
    /// DER SubjectPublicKeyInfo of its key.
    fn spki_der(&self) -> &[u8];

    /// ECDSA with SHA-256 over `note_text`, as DER `Ecdsa-Sig-Value`.
    ///
    /// # Errors
    /// Why the key cannot be used now; asked again a second later.
    async fn sign(&self, note_text: &[u8]) -> Result<Vec<u8>, String>;
}

impl Checkpoint {
    /// The octets that are signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Format("it has less than three lines"));
        };
        // Extension lines are not used, and what is not understood is not accepted.
        if lines.next() != Some("") || lines.next().is_some() {
            return Err(NoteError::Format("it has more than three lines"));
        }
        if origin.is_empty() {
            return Err(NoteError::Format("its origin is empty"));
        }
        let number: u64 = size.parse().map_err(|_| NoteError::Format("its size is no number"))?;
        if number.to_string() != size {
            return Err(NoteError::Format("its size is not in its one form"));
        }
        let root = STANDARD.decode(root).ok().and_then(|root| Hash::from_slice(&root));
        let root = root.ok_or(NoteError::Format("its root is not 32 octets in base64"))?;
        Ok(Self { origin: origin.to_owned(), size: number, root })
    }
}

impl SignedCheckpoint {
    /// Puts a finished signature under `checkpoint`.
    pub fn new(checkpoint: Checkpoint, key: &VerifierKey, signature_der: Vec<u8>) -> Self {
        let signature =
            NoteSignature { name: key.name.clone(), key_id: key.id, value: signature_der };
        let octets = [signature.key_id.as_slice(), &signature.value].concat();
        let text =
            format!("{}\n\u{2014} {} {}\n", checkpoint.text(), key.name, STANDARD.encode(octets));
        Self { checkpoint, text, signatures: vec![signature] }
    }

    /// Whether one of `keys` signed it.
    ///
    /// # Errors
    /// [`NoteError::UnknownKey`] without a signature by any of them, [`NoteError::BadSignature`] with a false one.
    /// # Source
    /// C2SP signed-note: unknown signatures are ignored, a signature by a known key must verify.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(), NoteError> {
        let text = self.checkpoint.text();
        let mut verified = false;
        for signature in &self.signatures {
            let of_this_key =
                |key: &&VerifierKey| key.name == signature.name && key.id == signature.key_id;
            for key in keys.iter().filter(of_this_key) {
                key.verify(text.as_bytes(), &signature.value)?;
                verified = true;
            }
        }
        if verified { Ok(()) } else { Err(NoteError::UnknownKey) }
    }
}

impl FromStr for SignedCheckpoint {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Format("it is too long"));
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Format("it holds control characters"));
        }
        let split = note.rfind("\n\n").ok_or(NoteError::Format("it has no signature part"))?;
        let (text, signatures) = (note.get(..=split), note.get(split + 2..));
        let (Some(text), Some(signatures)) = (text, signatures) else {
            return Err(NoteError::Format("it has no signature part"));
        };
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or(NoteError::Format("its last line does not end"))?
            .split('\n')
            .map(parse_signature)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { checkpoint: Checkpoint::parse(text)?, text: note.to_owned(), signatures })
    }
}

fn parse_signature(line: &str) -> Result<NoteSignature, NoteError> {
    let malformed = NoteError::Format("a signature line is malformed");
    let rest = line.strip_prefix("\u{2014} ").ok_or(malformed.clone())?;
    let (name, value) = rest.split_once(' ').ok_or(malformed.clone())?;
    let octets = STANDARD.decode(value).map_err(|_| malformed.clone())?;
    match octets.split_first_chunk::<4>() {
        Some((key_id, value)) if is_key_name(name) && !value.is_empty() => {
            Ok(NoteSignature { name: name.to_owned(), key_id: *key_id, value: value.to_vec() })
        }
        _ => Err(malformed),
    }
}

impl VerifierKey {
    /// The key with this DER SubjectPublicKeyInfo, under the name that its signatures carry: the log's origin.
    ///
    /// # Errors
    /// [`NoteError::Key`] when it is not a key on P-256, or the name is empty or has spaces or `+` in it.
    pub fn new(name: &str, spki_der: &[u8]) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Key("its name is empty or has spaces or '+' in it"));
        }
        let spki = SubjectPublicKeyInfoRef::from_der(spki_der)
            .map_err(|_| NoteError::Key("it is no DER SubjectPublicKeyInfo"))?;
        let curve = spki.algorithm.parameters_oid().ok();
        if spki.algorithm.oid != ID_EC_PUBLIC_KEY || curve != Some(SECP_256_R1) {
            return Err(NoteError::Key("it is of another kind or curve"));
        }
        let point = spki.subject_public_key.as_bytes();
        let point = point.ok_or(NoteError::Key("its point is malformed"))?.to_vec();
        let id = *sha256(&[spki_der]).0.first_chunk().unwrap_or(&[0; 4]);
        Ok(Self { name: name.to_owned(), id, spki_der: spki_der.to_vec(), point })
    }

    /// Checks one signature.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`].
    pub fn verify(&self, note_text: &[u8], signature_der: &[u8]) -> Result<(), NoteError> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(note_text, signature_der)
            .map_err(|_| NoteError::BadSignature)
    }

    /// Name that its signatures carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// First four octets of SHA-256 over the DER SubjectPublicKeyInfo, hexadecimal.
    pub fn id_hex(&self) -> String {
        hex::encode(self.id)
    }
}

/// Verifier key text: `<name>+<key ID hex>+<base64(0x02 || SubjectPublicKeyInfo)>`.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let material = [&[SIGNATURE_TYPE], self.spki_der.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, self.id_hex(), STANDARD.encode(material))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::Key("a verifier key is name+id+key"));
        };
        let material = STANDARD.decode(material).ok();
        let material = material.ok_or(NoteError::Key("its key is no base64"))?;
        match material.split_first() {
            Some((&SIGNATURE_TYPE, spki_der)) => {
                let key = Self::new(name, spki_der)?;
                match key.id_hex() == id {
                    true => Ok(key),
                    false => Err(NoteError::Key("its ID does not belong to it")),
                }
            }
            _ => Err(NoteError::Key("its signature type is not 0x02")),
        }
    }
}

/// Whether `name` may stand in a signature line.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP_256_R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SIGNATURE_TYPE: u8 = 0x02;
/// Room for 16 post-quantum cosignatures, as the note specification asks verifiers to accept.
const MAX_NOTE_BYTES: usize = 128 * 1024;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::audit::hash::leaf_hash;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    use aws_lc_rs::signature::EcdsaKeyPair;
    use aws_lc_rs::signature::KeyPair;

    pub(crate) const ORIGIN: &str = "test.example/audit";

    /// A checkpoint key in software.
    pub(crate) struct SoftSigner {
        pair: EcdsaKeyPair,
        spki_der: Vec<u8>,
    }

    impl SoftSigner {
        pub(crate) fn new() -> Self {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let spki_der = pair.public_key().as_der().unwrap().as_ref().to_vec();
            Self { pair, spki_der }
        }

        pub(crate) fn key(&self) -> VerifierKey {
            VerifierKey::new(ORIGIN, &self.spki_der).unwrap()
        }

        pub(crate) fn sign_now(&self, text: &[u8]) -> Vec<u8> {
            self.pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()
        }
    }

    #[async_trait]
    impl CheckpointSigner for SoftSigner {
        fn spki_der(&self) -> &[u8] {
            &self.spki_der
        }

        async fn sign(&self, note_text: &[u8]) -> Result<Vec<u8>, String> {
            Ok(self.sign_now(note_text))
        }
    }

    fn signed() -> (SoftSigner, SignedCheckpoint) {
        let signer = SoftSigner::new();
        let checkpoint =
            Checkpoint { origin: ORIGIN.to_owned(), size: 42, root: leaf_hash(b"root") };
        let signature = signer.sign_now(checkpoint.text().as_bytes());
        let signed = SignedCheckpoint::new(checkpoint, &signer.key(), signature);
        (signer, signed)
    }

    #[test]
    fn signed_checkpoint_reads_back_and_verifies() {
        let (signer, signed) = signed();
        let again: SignedCheckpoint = signed.text.parse().unwrap();
        assert_eq!(again, signed);
        assert_eq!(again.verify(&[signer.key()]), Ok(()));
    }

    #[test]
    fn key_that_is_not_trusted_does_not_count() {
        let (_, signed) = signed();
        assert_eq!(signed.verify(&[SoftSigner::new().key()]), Err(NoteError::UnknownKey));
        assert_eq!(signed.verify(&[]), Err(NoteError::UnknownKey));
    }

    #[test]
    fn changed_checkpoint_does_not_verify() {
        let (signer, signed) = signed();
        let changed = signed.text.replacen("42", "43", 1);
        let changed: SignedCheckpoint = changed.parse().unwrap();
        assert_eq!(changed.verify(&[signer.key()]), Err(NoteError::BadSignature));
    }

    #[test]
    fn every_changed_octet_of_a_note_is_found() {
        let (signer, signed) = signed();
        for at in 0..signed.text.len() {
            let mut octets = signed.text.clone().into_bytes();
            octets[at] ^= 1;
            let verified = String::from_utf8(octets)
                .ok()
                .and_then(|text| text.parse::<SignedCheckpoint>().ok())
                .is_some_and(|note| note.verify(&[signer.key()]).is_ok());
            assert!(!verified, "octet {at}");
        }
    }

    #[test]
    fn further_signatures_are_kept_and_ignored() {
        let (signer, signed) = signed();
        let witnessed = format!("{}\u{2014} witness.example AAAAAAAA\n", signed.text);
        let witnessed: SignedCheckpoint = witnessed.parse().unwrap();
        assert_eq!(witnessed.verify(&[signer.key()]), Ok(()));
    }

    #[test]
    fn verifier_key_text_reads_back() {
        let key = SoftSigner::new().key();
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
        let (name, rest) =
            key.to_string().split_once('+').map(|(n, r)| (n.to_owned(), r.to_owned())).unwrap();
        let other = format!("{name}+00000000{}", &rest[8..]);
        assert!(other.parse::<VerifierKey>().is_err());
    }

    #[test]
    fn key_on_another_curve_is_refused() {
        let pair = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING);
        let spki = pair.unwrap().public_key().as_der().unwrap().as_ref().to_vec();
        assert!(matches!(VerifierKey::new(ORIGIN, &spki), Err(NoteError::Key(_))));
        let key = SoftSigner::new().key();
        assert!(VerifierKey::new("has space", key.spki_der()).is_err());
    }
}
