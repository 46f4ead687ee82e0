//! What the token holds under one CKA_ID, and whether that is the key it should be.

use crate::audit;
use crate::audit::KeyFault;
use crate::connection::OpenSession;
use crate::error::Call;
use crate::error::HsmError;
use crate::login;
use crate::spki;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use cryptoki::context::Function;
use cryptoki::error::Error;
use cryptoki::error::RvError;
use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;
use cryptoki::object::ObjectClass;
use cryptoki::object::ObjectHandle;
use std::collections::HashMap;
use std::num::NonZeroUsize;

/// A private key as far as it can be seen.
pub(crate) struct PrivateObject {
    pub(crate) handle: ObjectHandle,
    /// The first rule it breaks.
    audit: Result<(), KeyFault>,
    family: Option<cryptoki::object::KeyType>,
    /// RSA only.
    pub(crate) modulus: Option<Vec<u8>>,
}

/// A public key.
pub(crate) struct PublicObject {
    pub(crate) handle: ObjectHandle,
    /// `None` when it is of no kind this appliance knows.
    pub(crate) key: Option<(KeyType, Vec<u8>)>,
}

/// A secret key.
pub(crate) struct SecretObject {
    pub(crate) handle: ObjectHandle,
    audit: Result<(), KeyFault>,
}

/// A certificate.
pub(crate) struct CertificateObject {
    pub(crate) handle: ObjectHandle,
    pub(crate) certificate_der: Vec<u8>,
}

/// Everything the token holds under one CKA_ID.
#[derive(Default)]
pub(crate) struct Holdings {
    pub(crate) private: Vec<PrivateObject>,
    pub(crate) public: Vec<PublicObject>,
    pub(crate) secret: Vec<SecretObject>,
    pub(crate) certificates: Vec<CertificateObject>,
}

/// Everything the token holds, by CKA_ID.
pub(crate) type Inventory = HashMap<Vec<u8>, Holdings>;

impl Holdings {
    /// Looks `cka_id` up in the token. Linear in the number of objects on some tokens.
    pub(crate) fn of(session: &OpenSession, cka_id: &[u8]) -> Result<Self, HsmError> {
        let mut holdings = Self::default();
        for handle in find(session, &[Attribute::Id(cka_id.to_vec())])? {
            holdings.read(session, handle)?;
        }
        Ok(holdings)
    }

    /// Reads a pair whose handles are known: nothing is searched.
    pub(crate) fn of_pair(
        session: &OpenSession,
        public: ObjectHandle,
        private: ObjectHandle,
    ) -> Result<Self, HsmError> {
        let mut holdings = Self::default();
        holdings.read(session, public)?;
        holdings.read(session, private)?;
        Ok(holdings)
    }

    /// Reads one certificate.
    pub(crate) fn of_certificate(
        session: &OpenSession,
        certificate: ObjectHandle,
    ) -> Result<Self, HsmError> {
        let mut holdings = Self::default();
        holdings.read(session, certificate)?;
        Ok(holdings)
    }

    /// Whether nothing speaks against these objects being those of `key`: destroying asks for less than signing.
    pub(crate) fn may_be_of(&self, key: &HolderKey) -> bool {
        let is_it = |object: &PublicObject| {
            object.key.as_ref().is_some_and(|(_, spki_der)| *spki_der == key.spki_der)
        };
        self.public.is_empty() || self.public.iter().any(is_it)
    }

    /// The private key of `key`, if these are exactly its two objects and both are as they must be.
    ///
    /// # Errors
    /// The first [`KeyFault`].
    pub(crate) fn judge(&self, key: &HolderKey) -> Result<ObjectHandle, KeyFault> {
        self.judge_pair(&key.spki_der)
    }

    /// Like [`Self::judge`], for a key of which only the public key is known.
    pub(crate) fn judge_pair(&self, spki_der: &[u8]) -> Result<ObjectHandle, KeyFault> {
        let [private] = self.private.as_slice() else {
            return Err(KeyFault::PrivateKeys(self.private.len()));
        };
        let [public] = self.public.as_slice() else {
            return Err(KeyFault::PublicKeys(self.public.len()));
        };
        match &public.key {
            Some((key_type, found)) if found == spki_der => private.belongs_to(*key_type, found)?,
            _ => return Err(KeyFault::OtherPublicKey),
        }
        private.audit?;
        Ok(private.handle)
    }

    /// The one secret key, if it is as it must be.
    ///
    /// # Errors
    /// The first [`KeyFault`].
    pub(crate) fn judge_secret(&self) -> Result<ObjectHandle, KeyFault> {
        let [secret] = self.secret.as_slice() else {
            return Err(KeyFault::SecretKeys(self.secret.len()));
        };
        secret.audit?;
        Ok(secret.handle)
    }

    /// Every object, to be destroyed: the private key first, so that nothing half-destroyed can sign.
    pub(crate) fn handles(&self) -> Vec<ObjectHandle> {
        let private = self.private.iter().map(|object| object.handle);
        let secret = self.secret.iter().map(|object| object.handle);
        let public = self.public.iter().map(|object| object.handle);
        let certificates = self.certificates.iter().map(|object| object.handle);
        private.chain(secret).chain(public).chain(certificates).collect()
    }

    fn read(&mut self, session: &OpenSession, handle: ObjectHandle) -> Result<(), HsmError> {
        let attributes = attributes(session, handle)?;
        self.add(session, handle, &attributes)
    }

    fn add(
        &mut self,
        session: &OpenSession,
        handle: ObjectHandle,
        attributes: &[Attribute],
    ) -> Result<(), HsmError> {
        match class(attributes) {
            Some(ObjectClass::PRIVATE_KEY) => {
                self.private.push(PrivateObject::new(handle, attributes));
            }
            Some(ObjectClass::PUBLIC_KEY) => {
                let key = spki::from_attributes(attributes).ok();
                self.public.push(PublicObject { handle, key });
            }
            Some(ObjectClass::SECRET_KEY) => {
                let audit = audit::secret_key(attributes);
                self.secret.push(SecretObject { handle, audit });
            }
            Some(ObjectClass::CERTIFICATE) => {
                self.certificates.push(CertificateObject::read(session, handle)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads every object of the token in one enumeration.
///
/// # Errors
/// [`HsmError::Token`].
pub(crate) fn enumerate(session: &OpenSession) -> Result<Inventory, HsmError> {
    let mut inventory = Inventory::new();
    for handle in find(session, &[])? {
        let attributes = attributes(session, handle)?;
        let holdings = inventory.entry(cka_id(&attributes)).or_default();
        holdings.add(session, handle, &attributes)?;
    }
    Ok(inventory)
}

/// Finds token objects. Nothing found is believed only by a session that is logged in: without a login private objects
/// are invisible, not forbidden.
///
/// # Errors
/// [`HsmError::Token`]; CKR_USER_NOT_LOGGED_IN when the login was lost.
pub(crate) fn find(
    session: &OpenSession,
    template: &[Attribute],
) -> Result<Vec<ObjectHandle>, HsmError> {
    let mut template = template.to_vec();
    template.push(Attribute::Token(true));
    let found = session
        .iter_objects_with_cache_size(&template, FIND_CHUNK)?
        .collect::<Result<Vec<_>, Error>>()?;
    match login::is_logged_in(session)? {
        true => Ok(found),
        false => Err(Call::new(Function::FindObjects, RvError::UserNotLoggedIn).into()),
    }
}

/// Handles asked for in one C_FindObjects.
const FIND_CHUNK: NonZeroUsize = match NonZeroUsize::new(1024) {
    Some(chunk) => chunk,
    None => NonZeroUsize::MIN,
};

/// Everything that is of interest of an object of any class, in the two calls that the lengths of CKA_ID, modulus and
/// point cost. A class that lacks an attribute leaves it out (PKCS #11 v3.1 §5.7.5).
fn attributes(session: &OpenSession, handle: ObjectHandle) -> Result<Vec<Attribute>, HsmError> {
    let wanted: Vec<_> =
        COMMON.into_iter().chain(spki::ATTRIBUTES).chain(audit::ATTRIBUTES).collect();
    readable(session.get_attributes(handle, &wanted))
}

const COMMON: [AttributeType; 2] = [AttributeType::Class, AttributeType::Id];

/// An object whose attributes have no shape that the standard allows counts as one without attributes: it is refused
/// where it is asked for, and in nobody's way otherwise. Errors of the token stay errors.
fn readable(attributes: Result<Vec<Attribute>, Error>) -> Result<Vec<Attribute>, HsmError> {
    match attributes.map_err(HsmError::from) {
        Err(HsmError::Malformed(_)) => Ok(Vec::new()),
        other => other,
    }
}

fn without_leading_zeros(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|octet| **octet == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

fn class(attributes: &[Attribute]) -> Option<ObjectClass> {
    attributes.iter().find_map(|attribute| match attribute {
        Attribute::Class(class) => Some(*class),
        _ => None,
    })
}

fn cka_id(attributes: &[Attribute]) -> Vec<u8> {
    attributes
        .iter()
        .find_map(|attribute| match attribute {
            Attribute::Id(id) => Some(id.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

impl PrivateObject {
    fn new(handle: ObjectHandle, attributes: &[Attribute]) -> Self {
        let family = attributes.iter().find_map(|attribute| match attribute {
            Attribute::KeyType(family) => Some(*family),
            _ => None,
        });
        let modulus = attributes.iter().find_map(|attribute| match attribute {
            Attribute::Modulus(modulus) => Some(without_leading_zeros(modulus).to_vec()),
            _ => None,
        });
        Self { handle, audit: audit::private_key(attributes), family, modulus }
    }

    /// As far as a token tells: the kind of key, and the modulus of an RSA key. For the rest every signature is
    /// verified before it is released.
    fn belongs_to(&self, key_type: KeyType, spki_der: &[u8]) -> Result<(), KeyFault> {
        use cryptoki::object::KeyType as Family;
        let expected = match key_type {
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => Family::RSA,
            KeyType::P256 | KeyType::P384 | KeyType::P521 => Family::EC,
            KeyType::Ed25519 => Family::EC_EDWARDS,
        };
        let same_modulus = match expected {
            Family::RSA => self.modulus.is_some() && self.modulus == spki::rsa_modulus(spki_der),
            _ => true,
        };
        match self.family == Some(expected) && same_modulus {
            true => Ok(()),
            false => Err(KeyFault::OtherPrivateKey),
        }
    }
}

impl CertificateObject {
    fn read(session: &OpenSession, handle: ObjectHandle) -> Result<Self, HsmError> {
        let attributes = readable(session.get_attributes(handle, &[AttributeType::Value]))?;
        let certificate_der = attributes
            .into_iter()
            .find_map(|attribute| match attribute {
                Attribute::Value(value) => Some(value),
                _ => None,
            })
            .unwrap_or_default();
        Ok(Self { handle, certificate_der })
    }
}
