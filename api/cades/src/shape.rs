//! What the octets of a raw signature are, checked before they are signed.

use crate::error::CmsError;
use crate::read::Fault;
use crate::read::single;
use crate::signed_attrs::SignedAttrsView;
use crate::signed_info;
use crate::write::SET;

/// What raw octets are said to be. Octets of one shape are never octets of the other: one begins with `<`, one with 0x31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RawShape {
    /// A `ds:SignedInfo` element, canonicalised: what an XML signature (XAdES) signs.
    SignedInfo,
    /// CMS signed attributes, DER `SET OF Attribute`: what another CMS or CAdES builder signs.
    SignedAttrs,
}

impl RawShape {
    /// Most octets of either shape.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Checks that `octets` are of this shape, so that a raw signature cannot be made over anything that means something
    /// else somewhere else.
    ///
    /// SignedInfo: one well-formed element `SignedInfo` of XML Signature, UTF-8, without what canonicalisation takes away
    /// (declaration, document type, processing instruction, comment, CDATA section), naming no SHA-1 or MD5. It is not
    /// canonicalised again: a builder that leaves an empty-element tag in gets a signature that verifies nowhere.
    /// SignedAttrs: DER down to the leaves, with exactly one content-type and one message-digest as long as SHA-2.
    ///
    /// # Errors
    /// [`CmsError::Shape`], [`CmsError::TooLong`] past [`RawShape::MAX_BYTES`].
    /// # Source
    /// W3C XML Signature §4.4, Canonical XML 1.0 §1.1; RFC 5652 §5.3, §5.4, §11.1, §11.2.
    pub fn check(self, octets: &[u8]) -> Result<(), CmsError> {
        if octets.len() > Self::MAX_BYTES {
            let (limit, actual) = (Self::MAX_BYTES, octets.len());
            return Err(CmsError::TooLong { what: self.name(), limit, actual });
        }
        let checked = match self {
            Self::SignedInfo => signed_info::check(octets),
            Self::SignedAttrs => check_signed_attrs(octets),
        };
        checked.map_err(|fault| CmsError::Shape { shape: self.name(), fault })
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedInfo => "signed_info",
            Self::SignedAttrs => "signed_attrs",
        }
    }
}

fn check_signed_attrs(octets: &[u8]) -> Result<(), Fault> {
    let attributes = SignedAttrsView::parse(single(octets, SET)?.value)?;
    attributes.content_type()?;
    match attributes.message_digest()?.len() {
        32 | 48 | 64 => Ok(()),
        _ => Err("message-digest is no SHA-2 digest"),
    }
}
