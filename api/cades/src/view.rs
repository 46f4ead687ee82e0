//! Reading a signature back: only what this crate writes, octet for octet.

use crate::algorithm;
use crate::certificate::CERTIFICATE_MAX_BYTES;
use crate::certificate::CHAIN_MAX;
use crate::certificate::CertificateNames;
use crate::error::CmsError;
use crate::public_key::PublicKey;
use crate::read::Element;
use crate::read::Fault;
use crate::read::Reader;
use crate::read::set_of;
use crate::read::single;
use crate::signed_attrs;
use crate::signed_attrs::SignedAttrsView;
use crate::signed_data::ID_DATA;
use crate::signed_data::ID_SIGNED_DATA;
use crate::signed_data::SignedData;
use crate::signed_data::VERSION_1;
use crate::time;
use crate::write::CONTEXT_0;
use crate::write::INTEGER;
use crate::write::OBJECT_IDENTIFIER;
use crate::write::OCTET_STRING;
use crate::write::SEQUENCE;
use crate::write::SET;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;

/// A CAdES B-B signature as [`Verified::assemble`](crate::Verified::assemble) and [`attach`](crate::attach()) write it.
///
/// Other people's signatures, however good, are refused: another order, another attribute, a second signer, BER.
#[derive(Clone, Debug)]
pub struct SignedDataView<'a> {
    content: Option<&'a [u8]>,
    certificates: Vec<&'a [u8]>,
    certificates_der: &'a [u8],
    signer_info_der: &'a [u8],
    signer: Signer<'a>,
}

#[derive(Clone, Debug)]
struct Signer<'a> {
    certificate_der: &'a [u8],
    spki_der: &'a [u8],
    scheme: SignatureScheme,
    content_digest: ContentDigest,
    signing_time: UnixSeconds,
    signed_attrs_der: Vec<u8>,
    signature: &'a [u8],
}

impl<'a> SignedDataView<'a> {
    /// Reads a detached or attached signature and checks that its parts belong together: the certificate is the one that
    /// `sid` and signing-certificate-v2 name, the content (when it is inside) is the one that message-digest names.
    ///
    /// It does not verify the signature value; that is [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`CmsError::Malformed`] when it is not DER or not of the shape written here; [`CmsError::Inconsistent`] and
    /// [`CmsError::OtherContent`] when its parts do not belong together.
    pub fn parse(der: &'a [u8]) -> Result<Self, CmsError> {
        let parts = Parts::read(der).map_err(CmsError::Malformed)?;
        let certificates = read_certificates(parts.certificates).map_err(CmsError::Malformed)?;
        let signer = Signer::read(parts.digest_alg, parts.signer_info, &certificates)?;
        let view = Self {
            content: parts.content,
            certificates,
            certificates_der: parts.certificates.der,
            signer_info_der: parts.signer_info.der,
            signer,
        };
        match view.content {
            Some(content) => view.check_content(content).map(|()| view),
            None => Ok(view),
        }
    }

    /// The content, when the signature is attached.
    pub fn content(&self) -> Option<&'a [u8]> {
        self.content
    }

    /// What the message-digest attribute says.
    pub fn content_digest(&self) -> &ContentDigest {
        &self.signer.content_digest
    }

    /// What the signing-time attribute claims.
    pub fn signing_time(&self) -> UnixSeconds {
        self.signer.signing_time
    }

    /// How the signature was made.
    pub fn scheme(&self) -> SignatureScheme {
        self.signer.scheme
    }

    /// The signature value.
    pub fn signature(&self) -> &'a [u8] {
        self.signer.signature
    }

    /// The octets that were signed (tag 0x31).
    pub fn signed_attrs_der(&self) -> &[u8] {
        &self.signer.signed_attrs_der
    }

    /// The signer's certificate, DER.
    pub fn signer_certificate_der(&self) -> &'a [u8] {
        self.signer.certificate_der
    }

    /// All certificates, DER, in the order of the set.
    pub fn certificates(&self) -> &[&'a [u8]] {
        &self.certificates
    }

    /// Verifies the signature value with the key of the signer's certificate. Whether that certificate is to be believed
    /// is for the path validator.
    ///
    /// # Errors
    /// [`CmsError::SignatureInvalid`]; [`CmsError::Certificate`] when the key is of a kind that is not supported.
    pub fn verify(&self) -> Result<(), CmsError> {
        let of_signer = |fault| CmsError::Certificate { index: 0, fault };
        let public_key = PublicKey::from_spki_der(self.signer.spki_der).map_err(of_signer)?;
        public_key.verify(self.scheme(), self.signed_attrs_der(), self.signature())
    }

    /// Whether `content` is what was signed.
    ///
    /// # Errors
    /// [`CmsError::OtherContent`].
    /// # Source
    /// RFC 5652 §5.6: the message-digest attribute must be the digest of the content.
    pub fn check_content(&self, content: &[u8]) -> Result<(), CmsError> {
        let said = self.content_digest();
        match ContentDigest::of(said.algorithm(), content) == *said {
            true => Ok(()),
            false => Err(CmsError::OtherContent),
        }
    }

    /// What it takes to write the same signature round other content.
    pub(crate) fn with_content<'b>(&'b self, content: &'b [u8]) -> SignedData<'b> {
        SignedData {
            digest_alg: self.content_digest().algorithm(),
            content: Some(content),
            certificates: self.certificates_der,
            signer_info: self.signer_info_der,
        }
    }
}

/// The outer layers.
struct Parts<'a> {
    digest_alg: DigestAlgorithm,
    content: Option<&'a [u8]>,
    certificates: Element<'a>,
    signer_info: Element<'a>,
}

impl<'a> Parts<'a> {
    fn read(der: &'a [u8]) -> Result<Self, Fault> {
        let mut content_info = Reader::new(single(der, SEQUENCE)?.value);
        exactly(&mut content_info, OBJECT_IDENTIFIER, ID_SIGNED_DATA, "it is no signed-data")?;
        let explicit = content_info.expect(CONTEXT_0)?;
        content_info.finish()?;
        let mut signed_data = Reader::new(single(explicit.value, SEQUENCE)?.value);
        exactly(&mut signed_data, INTEGER, VERSION_1, "the version of the SignedData is not 1")?;
        let digest_algorithms = single(signed_data.expect(SET)?.value, SEQUENCE)?;
        let digest_alg = algorithm::read_digest_algorithm(digest_algorithms.der)
            .ok_or("the digest algorithm is not SHA-2 without parameters")?;
        let content = read_encap_content_info(signed_data.enter(SEQUENCE)?)?;
        let certificates = signed_data.expect(CONTEXT_0)?;
        let signer_info = single(signed_data.expect(SET)?.value, SEQUENCE)?;
        signed_data.finish()?;
        Ok(Self { digest_alg, content, certificates, signer_info })
    }
}

fn read_encap_content_info(mut encap_content_info: Reader<'_>) -> Result<Option<&[u8]>, Fault> {
    exactly(&mut encap_content_info, OBJECT_IDENTIFIER, ID_DATA, "the content is not id-data")?;
    let explicit = encap_content_info.optional(CONTEXT_0)?;
    encap_content_info.finish()?;
    explicit.map(|explicit| single(explicit.value, OCTET_STRING).map(|e| e.value)).transpose()
}

fn read_certificates(certificates: Element<'_>) -> Result<Vec<&[u8]>, Fault> {
    let certificates = set_of(certificates.value, CHAIN_MAX)?;
    match certificates.iter().any(|certificate| certificate.der.len() > CERTIFICATE_MAX_BYTES) {
        true => Err("a certificate is too long"),
        false => Ok(certificates.into_iter().map(|certificate| certificate.der).collect()),
    }
}

impl<'a> Signer<'a> {
    fn read(
        digest_alg: DigestAlgorithm,
        signer_info: Element<'a>,
        certificates: &[&'a [u8]],
    ) -> Result<Self, CmsError> {
        let fields = SignerInfoFields::read(signer_info).map_err(CmsError::Malformed)?;
        if fields.digest_alg != digest_alg
            || algorithm::content_digest_algorithm(fields.scheme) != digest_alg
        {
            return Err(CmsError::Inconsistent("more than one digest algorithm is named"));
        }
        let (certificate_der, names) = find_certificate(certificates, fields.sid)?;
        let signing_certificate_v2 = names.signing_certificate_v2(digest_alg, certificate_der);
        let (content_digest, signing_time) =
            read_signed_attrs(digest_alg, fields.signed_attrs).map_err(CmsError::Malformed)?;
        let signed_attrs_der =
            signed_attrs::write(&content_digest, signing_time, &signing_certificate_v2)?;
        // The tags differ (RFC 5652 §5.4), lengths and contents may not.
        if signed_attrs_der.get(1..) != fields.signed_attrs.der.get(1..) {
            return Err(CmsError::Inconsistent(
                "the signed attributes are not those of a B-B signature under its certificate",
            ));
        }
        Ok(Self {
            certificate_der,
            spki_der: names.spki_der,
            scheme: fields.scheme,
            content_digest,
            signing_time,
            signed_attrs_der,
            signature: fields.signature,
        })
    }
}

struct SignerInfoFields<'a> {
    sid: &'a [u8],
    digest_alg: DigestAlgorithm,
    signed_attrs: Element<'a>,
    scheme: SignatureScheme,
    signature: &'a [u8],
}

impl<'a> SignerInfoFields<'a> {
    fn read(signer_info: Element<'a>) -> Result<Self, Fault> {
        let mut fields = Reader::new(signer_info.value);
        exactly(&mut fields, INTEGER, VERSION_1, "the version of the SignerInfo is not 1")?;
        let sid = fields.expect(SEQUENCE)?.der;
        let digest_alg = algorithm::read_digest_algorithm(fields.expect(SEQUENCE)?.der)
            .ok_or("the digest algorithm is not SHA-2 without parameters")?;
        let signed_attrs = fields.expect(CONTEXT_0)?;
        let scheme = algorithm::read_signature_algorithm(fields.expect(SEQUENCE)?.der)
            .ok_or("the signature algorithm is not known")?;
        let signature = fields.expect(OCTET_STRING)?.value;
        fields.finish()?;
        Ok(Self { sid, digest_alg, signed_attrs, scheme, signature })
    }
}

fn find_certificate<'a>(
    certificates: &[&'a [u8]],
    sid: &[u8],
) -> Result<(&'a [u8], CertificateNames<'a>), CmsError> {
    for certificate in certificates {
        let names = CertificateNames::read(certificate).map_err(CmsError::Malformed)?;
        if names.sid() == sid {
            return Ok((certificate, names));
        }
    }
    Err(CmsError::Inconsistent("the signer's certificate is not in it"))
}

/// Digest and time out of the attributes; that nothing else is in them shows when they are written again.
fn read_signed_attrs(
    digest_alg: DigestAlgorithm,
    signed_attrs: Element<'_>,
) -> Result<(ContentDigest, UnixSeconds), Fault> {
    let attributes = SignedAttrsView::parse(signed_attrs.value)?;
    let content_digest = ContentDigest::new(digest_alg, attributes.message_digest()?.to_vec())
        .map_err(|_| "the message-digest is not as long as its algorithm makes it")?;
    let signing_time =
        time::read(attributes.signing_time()?).ok_or("the signing-time is not in its DER form")?;
    Ok((content_digest, signing_time))
}

fn exactly(reader: &mut Reader<'_>, tag: u8, der: &[u8], fault: Fault) -> Result<(), Fault> {
    match reader.expect(tag)?.der == der {
        true => Ok(()),
        false => Err(fault),
    }
}
