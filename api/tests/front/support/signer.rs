//! A software key that makes real CMS: what the HSM does in the appliance.

use super::pki::Pair;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use cades::SigningCertificate;
use std::time::SystemTime;

pub struct Signer {
    certificate: SigningCertificate,
    key: EcdsaKeyPair,
}

impl Signer {
    /// `pair`: a P-256 key.
    pub fn new(pair: &Pair) -> Self {
        let chain = [pair.der.to_vec()];
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pair.key).unwrap();
        Self { certificate: SigningCertificate::new(&chain).unwrap(), key }
    }

    /// Detached CMS over content with this SHA-256.
    pub fn sign(&self, sha256: Vec<u8>) -> Vec<u8> {
        let digest = ContentDigest::new(DigestAlgorithm::Sha256, sha256).unwrap();
        let scheme = SignatureScheme::Ecdsa { digest: DigestAlgorithm::Sha256 };
        let now = UnixSeconds::from(SystemTime::now());
        let prepared = cades::prepare(&self.certificate, scheme, &digest, now).unwrap();
        let signature = self.key.sign(&SystemRandom::new(), prepared.signed_attrs_der()).unwrap();
        prepared.verify(signature.as_ref()).unwrap().assemble()
    }
}
