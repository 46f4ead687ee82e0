//! A throwaway hierarchy (root, sub-CA, one signer a kind of key) and keys in software.

use attest::algorithm::DigestAlgorithm::Sha256;
use attest::algorithm::DigestAlgorithm::Sha384;
use attest::algorithm::DigestAlgorithm::Sha512;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::RsaEncoding;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::signature::RsaPssSaltLength;
use aws_lc_rs::signature::RsaSignatureEncoding;
use cades::SigningCertificate;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::DnValue;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::RsaKeySize;
use rcgen::SerialNumber;
use std::sync::OnceLock;

/// A signer: chain (signer, sub-CA) and private key.
pub struct Signer {
    pub key_type: KeyType,
    pub chain: Vec<Vec<u8>>,
    pkcs8: Vec<u8>,
}

impl Signer {
    pub fn certificate(&self) -> SigningCertificate {
        SigningCertificate::new(&self.chain).unwrap()
    }

    /// What a token would do: a signature over `message` in the form that CMS wants.
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Vec<u8> {
        match scheme {
            SignatureScheme::RsaPkcs1 { digest } => {
                let by_digest: [&'static dyn RsaEncoding; 3] = [
                    &signature::RSA_PKCS1_SHA256,
                    &signature::RSA_PKCS1_SHA384,
                    &signature::RSA_PKCS1_SHA512,
                ];
                self.sign_rsa(by_digest[digest as usize], message)
            }
            SignatureScheme::RsaPss { digest, salt_len } => {
                let by_digest = [
                    signature::RSA_PSS_SHA256,
                    signature::RSA_PSS_SHA384,
                    signature::RSA_PSS_SHA512,
                ];
                let [sha256, sha384, sha512] = by_digest;
                let encoding = match digest {
                    Sha256 => sha256,
                    Sha384 => sha384,
                    Sha512 => sha512,
                };
                let salt_len = RsaPssSaltLength::Custom(u16::from(salt_len));
                let encoding: RsaSignatureEncoding = encoding.with_pss_salt_length(salt_len);
                self.sign_rsa(Box::leak(Box::new(encoding)), message)
            }
            SignatureScheme::Ecdsa { digest } => {
                let algorithm: &'static EcdsaSigningAlgorithm = match (self.key_type, digest) {
                    (KeyType::P256, Sha256) => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
                    (KeyType::P384, Sha384) => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
                    (KeyType::P521, Sha256) => &signature::ECDSA_P521_SHA256_ASN1_SIGNING,
                    (KeyType::P521, Sha384) => &signature::ECDSA_P521_SHA384_ASN1_SIGNING,
                    (KeyType::P521, Sha512) => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
                    other => panic!("no software for {other:?}"),
                };
                let key = EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).unwrap();
                key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
            }
            SignatureScheme::Ed25519 => {
                let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.pkcs8).unwrap();
                key.sign(message).as_ref().to_vec()
            }
        }
    }

    fn sign_rsa(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let key = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
        let mut value = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), message, &mut value).unwrap();
        value
    }
}

/// The hierarchy, made once a test run.
pub struct Pki {
    pub anchor_pem: String,
    sub_ca: CertifiedIssuer<'static, KeyPair>,
    signers: [OnceLock<Signer>; KeyType::ALL.len()],
}

impl Pki {
    pub fn get() -> &'static Self {
        static PKI: OnceLock<Pki> = OnceLock::new();
        PKI.get_or_init(|| {
            let root =
                CertifiedIssuer::self_signed(ca("試験ルート認証局"), KeyPair::generate().unwrap());
            let root = root.unwrap();
            let key = KeyPair::generate().unwrap();
            let sub_ca = CertifiedIssuer::signed_by(ca("試験認証局"), key, &root).unwrap();
            Pki { anchor_pem: root.as_ref().pem(), sub_ca, signers: Default::default() }
        })
    }

    /// The signer with this kind of key.
    pub fn signer(&self, key_type: KeyType) -> &Signer {
        let index = KeyType::ALL.iter().position(|of_all| *of_all == key_type).unwrap();
        self.signers[index].get_or_init(|| self.make_signer(key_type))
    }

    /// One more signer with a new key of this kind.
    pub fn make_signer(&self, key_type: KeyType) -> Signer {
        let key = generate(key_type);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "印鑑 太郎");
        params
            .distinguished_name
            .push(DnType::CountryName, DnValue::PrintableString("JP".try_into().unwrap()));
        // The highest bit is set, so that DER needs a leading zero octet.
        params.serial_number = Some(SerialNumber::from(vec![0x9e, key_type as u8, 0x01]));
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        let certificate = params.signed_by(&key, &self.sub_ca).unwrap();
        let sub_ca = self.sub_ca.as_ref();
        let chain = vec![certificate.der().to_vec(), sub_ca.der().to_vec()];
        Signer { key_type, chain, pkcs8: key.serialize_der() }
    }
}

/// Every scheme that is signed and verified in the tests.
pub fn schemes(key_type: KeyType) -> Vec<SignatureScheme> {
    let pss = |digest, salt_len| SignatureScheme::RsaPss { digest, salt_len };
    match key_type {
        KeyType::Rsa2048 => vec![
            SignatureScheme::RsaPkcs1 { digest: Sha256 },
            SignatureScheme::RsaPkcs1 { digest: Sha384 },
            SignatureScheme::RsaPkcs1 { digest: Sha512 },
            pss(Sha256, 32),
            pss(Sha384, 48),
            pss(Sha512, 64),
            pss(Sha256, 0),
            pss(Sha256, 20),
            pss(Sha256, 222),
        ],
        KeyType::Rsa3072 | KeyType::Rsa4096 => {
            vec![SignatureScheme::RsaPkcs1 { digest: Sha256 }, pss(Sha256, 32)]
        }
        KeyType::P521 => {
            vec![
                SignatureScheme::Ecdsa { digest: Sha512 },
                SignatureScheme::Ecdsa { digest: Sha256 },
            ]
        }
        KeyType::P256 | KeyType::P384 | KeyType::Ed25519 => vec![key_type.default_scheme()],
    }
}

fn generate(key_type: KeyType) -> KeyPair {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match key_type {
        KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
        KeyType::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyType::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyType::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
        KeyType::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
    }
    .unwrap()
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::CountryName, DnValue::PrintableString("JP".try_into().unwrap()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
