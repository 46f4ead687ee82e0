//! The proof that the gate opened, and the part of it that can still be withdrawn.
//!
//! A [`Permit`] is made by [`Gate::permit`](crate::gate::Gate::permit) and by nothing else. It begins as a permit for
//! what was requested: mostly a *content digest*. A key signs other octets, and [`Permit::bind_signed_attrs`] is the one place
//! where that changes hands; a permit for the octets themselves, or for their bare digest, binds to nothing else. What comes
//! out can be used once, by value, by the HSM border.

use crate::activation::Requested;
use crate::algorithm::Dtbsr;
use crate::algorithm::KeyType;
use crate::algorithm::SignatureScheme;
use crate::registry::LiveCredential;
use crate::session::EndReason;
use crate::session::LiveSession;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use der::Decode;
use der::asn1::OctetStringRef;
use der::asn1::SetOfVec;
use std::sync::Arc;
use x509_cert::attr::Attribute;

/// The holder's key that a permit opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderKey {
    /// CKA_ID of the pair in the token.
    pub cka_id: Vec<u8>,
    /// SubjectPublicKeyInfo DER logged at generation; the token's public key must equal it.
    pub spki_der: Vec<u8>,
    /// Kind of key pair.
    pub key_type: KeyType,
}

/// State of a permit for what was requested, whose octets are not fixed yet.
pub struct ForRequested {
    requested: Requested,
}

/// State of a permit for exact octets.
pub struct ForDtbs {
    to_sign: ToSign,
}

/// What the key signs over.
pub enum ToSign {
    /// RSA and ECDSA: the digest.
    Dtbsr(Dtbsr),
    /// Ed25519: the message itself.
    Message(Vec<u8>),
}

/// Leave to use one holder's key once. Not `Clone`, not serialisable, made only by the gate.
///
/// ```compile_fail
/// fn twice(permit: attest::permit::Permit) { drop(permit); drop(permit); }
/// ```
/// ```compile_fail
/// fn copy(permit: &attest::permit::Permit) -> attest::permit::Permit { permit.clone() }
/// ```
pub struct Permit<State = ForDtbs> {
    key: Arc<HolderKey>,
    scheme: SignatureScheme,
    state: State,
}

/// The octets handed over do not say what was permitted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BindError {
    /// Not a DER `SET OF Attribute`.
    #[error("the signed attributes are not a DER SET OF Attribute")]
    NotSignedAttrs,
    /// No or several message-digest attributes, or several values in it.
    #[error("the signed attributes do not have exactly one message-digest value")]
    NotOneMessageDigest,
    /// The octets, or the content that their message-digest attribute names, are not those permitted.
    #[error("the octets are not those that were permitted")]
    OtherContent,
    /// Permitted is another kind: content, octets at hand, or a bare digest. None serves for another.
    #[error("the permit is for another kind of request")]
    OtherKind,
    /// This kind of key signs octets, never their digest.
    #[error("this key cannot sign a bare digest")]
    NotByDigest,
}

impl Permit<ForRequested> {
    pub(crate) fn new(key: Arc<HolderKey>, scheme: SignatureScheme, requested: Requested) -> Self {
        Self { key, scheme, state: ForRequested { requested } }
    }

    /// Binds a permit for content to the DER of CMS signed attributes (tag 0x31), whose message-digest must be its digest.
    ///
    /// # Errors
    /// [`BindError`] when it is not; the permit is gone then, too.
    /// # Source
    /// RFC 5652 §5.4 (what is signed when signedAttrs are present), §11.2 (messageDigest: one value, an OCTET STRING).
    pub fn bind_signed_attrs(self, signed_attrs_der: &[u8]) -> Result<Permit, BindError> {
        let Requested::Content(content_digest) = &self.state.requested else {
            return Err(BindError::OtherKind);
        };
        let attributes = SetOfVec::<Attribute>::from_der(signed_attrs_der)
            .map_err(|_| BindError::NotSignedAttrs)?;
        let message_digest = message_digest(&attributes)?;
        if message_digest != content_digest.as_bytes() {
            return Err(BindError::OtherContent);
        }
        Ok(self.bind(signed_attrs_der))
    }

    /// Binds a permit for octets to these: a raw signature.
    ///
    /// # Errors
    /// [`BindError::OtherContent`] when their digest is not the permitted one.
    pub fn bind_octets(self, octets: &[u8]) -> Result<Permit, BindError> {
        let Requested::Octets(dtbsr) = &self.state.requested else {
            return Err(BindError::OtherKind);
        };
        match Dtbsr::of(dtbsr.algorithm(), octets) == *dtbsr {
            true => Ok(self.bind(octets)),
            false => Err(BindError::OtherContent),
        }
    }

    /// Binds a permit for a bare digest to just that: the key signs it as it is.
    ///
    /// # Errors
    /// [`BindError::NotByDigest`] when the scheme signs messages, or digests of another algorithm.
    pub fn bind_bare_digest(self) -> Result<Permit, BindError> {
        let Requested::BareDigest(dtbsr) = self.state.requested else {
            return Err(BindError::OtherKind);
        };
        if self.scheme.digest() != Some(dtbsr.algorithm()) {
            return Err(BindError::NotByDigest);
        }
        let state = ForDtbs { to_sign: ToSign::Dtbsr(dtbsr) };
        Ok(Permit { key: self.key, scheme: self.scheme, state })
    }

    fn bind(self, octets: &[u8]) -> Permit {
        let to_sign = match self.scheme.digest() {
            Some(algorithm) => ToSign::Dtbsr(Dtbsr::of(algorithm, octets)),
            None => ToSign::Message(octets.to_vec()),
        };
        Permit { key: self.key, scheme: self.scheme, state: ForDtbs { to_sign } }
    }
}

impl<State> Permit<State> {
    /// The key it opens.
    pub fn key(&self) -> &Arc<HolderKey> {
        &self.key
    }

    /// How the signature is to be made.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl Permit<ForDtbs> {
    /// What the key is to sign over.
    pub fn to_sign(&self) -> &ToSign {
        &self.state.to_sign
    }
}

fn message_digest(attributes: &SetOfVec<Attribute>) -> Result<&[u8], BindError> {
    const ID_MESSAGE_DIGEST: ObjectIdentifier = rfc5911::ID_MESSAGE_DIGEST;
    let mut found = attributes.iter().filter(|attribute| attribute.oid == ID_MESSAGE_DIGEST);
    let (Some(attribute), None) = (found.next(), found.next()) else {
        return Err(BindError::NotOneMessageDigest);
    };
    let mut values = attribute.values.iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(BindError::NotOneMessageDigest);
    };
    let octets: &OctetStringRef = value.decode_as().map_err(|_| BindError::NotOneMessageDigest)?;
    Ok(octets.as_bytes())
}

/// The part of a permit that can still be withdrawn: checked once more, in the audit log's own order, before release.
#[derive(Clone)]
pub struct Lease {
    session: Arc<LiveSession>,
    credential: Arc<LiveCredential>,
}

/// Why a signature may not leave although its key was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseWithdrawn {
    /// The session ended in between.
    #[error("the session ended: {0:?}")]
    Session(EndReason),
    /// The credential was revoked or quarantined in between.
    #[error("the credential may no longer sign")]
    Credential,
}

impl Lease {
    pub(crate) fn new(session: Arc<LiveSession>, credential: Arc<LiveCredential>) -> Self {
        Self { session, credential }
    }

    /// Whether everything that can be withdrawn still stands. Compares flags only; called by the audit committer.
    ///
    /// # Errors
    /// [`LeaseWithdrawn`] with what fell away.
    pub fn check(&self) -> Result<(), LeaseWithdrawn> {
        if let Some(reason) = self.session.ended() {
            return Err(LeaseWithdrawn::Session(reason));
        }
        match self.credential.may_sign() {
            true => Ok(()),
            false => Err(LeaseWithdrawn::Credential),
        }
    }
}
