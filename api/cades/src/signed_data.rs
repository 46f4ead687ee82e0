//! Writing `SignerInfo` and `SignedData`, each into one allocation.

use crate::algorithm::digest_algorithm_der;
use crate::write::CONTEXT_0;
use crate::write::OCTET_STRING;
use crate::write::SEQUENCE;
use crate::write::SET;
use crate::write::element;
use crate::write::element_len;
use crate::write::push_header;
use attest::algorithm::DigestAlgorithm;

/// What goes into a `SignedData` with one signer. All of it is DER already, but for the content.
#[derive(Clone, Copy, Debug)]
pub struct SignedData<'a> {
    /// Digest of the content.
    pub digest_alg: DigestAlgorithm,
    /// The content itself, for an attached signature.
    pub content: Option<&'a [u8]>,
    /// `[0] IMPLICIT CertificateSet`.
    pub certificates: &'a [u8],
    /// The one `SignerInfo`.
    pub signer_info: &'a [u8],
}

impl SignedData<'_> {
    /// `ContentInfo` around it, DER.
    ///
    /// ```text
    /// ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT SignedData }
    /// SignedData ::= SEQUENCE { version, digestAlgorithms SET OF, encapContentInfo, certificates [0] IMPLICIT SET OF,
    ///                           signerInfos SET OF }
    /// EncapsulatedContentInfo ::= SEQUENCE { eContentType OBJECT IDENTIFIER, eContent [0] EXPLICIT OCTET STRING OPTIONAL }
    /// ```
    /// # Source
    /// RFC 5652 §3, §5.1 (version 1: the content is id-data, the certificates are plain, the signer is named by issuer and
    /// serial number), §5.2 (eContent is absent from a detached signature).
    pub fn to_der(self) -> Vec<u8> {
        let digest_algorithms = element(SET, &[digest_algorithm_der(self.digest_alg)]);
        let e_content_len = self.content.map(|content| element_len(content.len()));
        let explicit_len = e_content_len.map_or(0, element_len);
        let encap_len = ID_DATA.len() + explicit_len;
        let signed_data_len = VERSION_1.len()
            + digest_algorithms.len()
            + element_len(encap_len)
            + self.certificates.len()
            + element_len(self.signer_info.len());
        let content_info_len = ID_SIGNED_DATA.len() + element_len(element_len(signed_data_len));

        let mut out = Vec::with_capacity(element_len(content_info_len));
        push_header(&mut out, SEQUENCE, content_info_len);
        out.extend_from_slice(ID_SIGNED_DATA);
        push_header(&mut out, CONTEXT_0, element_len(signed_data_len));
        push_header(&mut out, SEQUENCE, signed_data_len);
        out.extend_from_slice(VERSION_1);
        out.extend_from_slice(&digest_algorithms);
        push_header(&mut out, SEQUENCE, encap_len);
        out.extend_from_slice(ID_DATA);
        if let (Some(content), Some(e_content_len)) = (self.content, e_content_len) {
            push_header(&mut out, CONTEXT_0, e_content_len);
            push_header(&mut out, OCTET_STRING, content.len());
            out.extend_from_slice(content);
        }
        out.extend_from_slice(self.certificates);
        push_header(&mut out, SET, self.signer_info.len());
        out.extend_from_slice(self.signer_info);
        out
    }
}

/// `SignerInfo`, DER. `signed_attrs_der` has the tag of the octets to sign (0x31) and gets the implicit one here.
///
/// ```text
/// SignerInfo ::= SEQUENCE { version, sid SignerIdentifier, digestAlgorithm, signedAttrs [0] IMPLICIT SET OF Attribute,
///                           signatureAlgorithm, signature OCTET STRING }
/// ```
/// # Source
/// RFC 5652 §5.3 (version 1, because `sid` is an `IssuerAndSerialNumber`), §5.4.
pub fn signer_info_der(
    sid: &[u8],
    digest_alg: DigestAlgorithm,
    signed_attrs_der: &[u8],
    signature_algorithm: &[u8],
    signature: &[u8],
) -> Vec<u8> {
    let signed_attrs = signed_attrs_der.get(1..).unwrap_or_default();
    let digest_algorithm = digest_algorithm_der(digest_alg);
    let len = VERSION_1.len()
        + sid.len()
        + digest_algorithm.len()
        + signed_attrs_der.len()
        + signature_algorithm.len()
        + element_len(signature.len());
    let mut out = Vec::with_capacity(element_len(len));
    push_header(&mut out, SEQUENCE, len);
    for part in [VERSION_1, sid, digest_algorithm, &[CONTEXT_0], signed_attrs, signature_algorithm]
    {
        out.extend_from_slice(part);
    }
    push_header(&mut out, OCTET_STRING, signature.len());
    out.extend_from_slice(signature);
    out
}

/// `CMSVersion` 1.
pub const VERSION_1: &[u8] = b"\x02\x01\x01";
/// id-data.
pub const ID_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// id-signedData.
pub const ID_SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
