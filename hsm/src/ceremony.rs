//! Acts of administration on keys: made, put into service, certified, destroyed. All of them run on the supervisor.

use crate::audit::KeyFault;
use crate::connection::OpenSession;
use crate::csr;
use crate::error::Call;
use crate::error::HsmError;
use crate::house::HouseKey;
use crate::keys;
use crate::keys::GeneratedKey;
use crate::keys::HOLDER_ID_LEN;
use crate::located;
use crate::located::Fresh;
use crate::located::House;
use crate::mechanism::SignMechanism;
use crate::objects::Holdings;
use crate::signature;
use crate::signature::SignatureValue;
use crate::supervisor::Supervisor;
use crate::template;
use crate::verify;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use attest::permit::ToSign;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use der::Decode;
use der::Encode;
use std::sync::Arc;
use x509_cert::Certificate;

/// CKA_LABEL of holders' objects. It says whose appliance made them and nothing about the holder.
const HOLDER_LABEL: &str = "inkan-holder";

/// What [`Hsm::load_all`](crate::Hsm::load_all) did.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Keys put into service.
    pub in_service: usize,
    /// Keys refused, each with its fault: they cannot sign.
    pub refused: Vec<HsmError>,
}

impl Supervisor {
    /// Makes a pair and checks what came out. Nothing is searched: the cost does not grow with the number of keys.
    pub(crate) fn generate(&mut self, key_type: KeyType) -> Result<GeneratedKey, HsmError> {
        self.administer(|this, session| {
            let mut cka_id = vec![0; HOLDER_ID_LEN];
            aws_lc_rs::rand::fill(&mut cka_id)
                .map_err(|_| HsmError::Unreachable("the system's random generator failed"))?;
            let (fresh, holdings) = make_pair(session, key_type, &cka_id, HOLDER_LABEL)?;
            let spki_der = checked_pair(session, &fresh, &holdings, key_type, &cka_id)?;
            this.note_made(&cka_id, &holdings);
            this.fresh.insert(cka_id.clone(), fresh);
            Ok(GeneratedKey { cka_id, spki_der, key_type })
        })
    }

    /// Destroys a pair that was made for a caller who gave up: nobody knows of it.
    pub(crate) fn discard_unclaimed(&mut self, key: GeneratedKey) {
        if let Err(error) = self.destroy(&key.into()) {
            tracing::error!(%error, "a key pair that nobody waits for could not be destroyed");
        }
    }

    /// Puts one key into service.
    pub(crate) fn load(&mut self, key: Arc<HolderKey>) -> Result<(), HsmError> {
        holder_id(&key)?;
        self.administer(|this, session| {
            let holdings = this.holdings(session, &key.cka_id)?;
            this.put_into_service(session, key, &holdings)
        })
    }

    /// Puts keys into service after one enumeration of the token.
    pub(crate) fn load_all(&mut self, keys: Vec<Arc<HolderKey>>) -> Result<Loaded, HsmError> {
        self.administer(|this, session| {
            let inventory = this.take_inventory(session)?;
            let nothing = Holdings::default();
            let mut loaded = Loaded::default();
            for key in keys {
                let holdings = inventory.get(&key.cka_id).unwrap_or(&nothing);
                let judged =
                    holder_id(&key).and_then(|()| this.put_into_service(session, key, holdings));
                match judged {
                    Ok(()) => loaded.in_service += 1,
                    Err(error) => loaded.refused.push(error),
                }
            }
            Ok(loaded)
        })
    }

    /// A certification request for a key that is neither in service nor certified.
    ///
    /// A key's life has one direction: made, certified, in service. A request is a signature over octets that somebody
    /// outside chose in part (the subject), so it is for the first stage only. Being in service is noted in this process;
    /// being certified is noted in the token itself, as the certificate object beside the key, so that neither a restart
    /// nor an older store brings the first stage back.
    pub(crate) fn certification_request(
        &mut self,
        key: &HolderKey,
        subject: &str,
    ) -> Result<Vec<u8>, HsmError> {
        holder_id(key)?;
        let info_der = csr::info(&key.spki_der, subject)?;
        let certified = || HsmError::AlreadyCertified { cka_id_hex: keys::id_hex(&key.cka_id) };
        self.administer(|this, session| {
            let holdings = this.holdings(session, &key.cka_id)?;
            if this.shared.index.contains(&key.cka_id) || !holdings.certificates.is_empty() {
                return Err(certified());
            }
            let handle = judged(this, key, &holdings)?;
            let signature = sign_request(session, handle, key, &info_der)?;
            csr::assemble(&info_der, key.key_type, &signature)
        })
    }

    /// Stores a certificate beside its key and puts the key into service.
    pub(crate) fn install_certificate(
        &mut self,
        key: Arc<HolderKey>,
        certificate_der: &[u8],
    ) -> Result<(), HsmError> {
        holder_id(&key)?;
        let subject_der = subject_of(certificate_der, &key.spki_der)?;
        self.administer(|this, session| {
            let holdings = this.holdings(session, &key.cka_id)?;
            judged(this, &key, &holdings)?;
            let mut stored = holdings.certificates.iter();
            if !stored.any(|object| object.certificate_der == certificate_der) {
                let template =
                    template::certificate(&key.cka_id, HOLDER_LABEL, subject_der, certificate_der);
                let handle = session.create_object(&template).map_err(full)?;
                this.note_made(&key.cka_id, &Holdings::of_certificate(session, handle)?);
            }
            this.put_into_service(session, key, &holdings)
        })
    }

    /// Destroys every object under the key's CKA_ID, the private key first.
    pub(crate) fn destroy(&mut self, key: &HolderKey) -> Result<(), HsmError> {
        holder_id(key)?;
        self.administer(|this, session| {
            let holdings = Holdings::of(session, &key.cka_id)?;
            if !holdings.may_be_of(key) {
                return Err(keys::refused(&key.cka_id, KeyFault::OtherPublicKey));
            }
            this.shared.index.remove(&key.cka_id);
            this.fresh.remove(&key.cka_id);
            let destroyed = holdings
                .handles()
                .into_iter()
                .try_for_each(|handle| session.destroy_object(handle));
            // Whatever happened: what counts is what is left.
            let left = Holdings::of(session, &key.cka_id)?;
            this.note_destroyed(&key.cka_id, &holdings, &left);
            destroyed?;
            match left.handles().is_empty() {
                true => Ok(()),
                false => Err(HsmError::Malformed("success although the key is still there")),
            }
        })
    }

    /// Makes the house keys that are missing and checks those that are there; names the new ones.
    pub(crate) fn ensure_house_keys(&mut self) -> Result<Vec<HouseKey>, HsmError> {
        self.administer(|this, session| {
            let mut made = Vec::new();
            let checkpoint = this.ensure_pair(session, HouseKey::Checkpoint, &mut made)?;
            let self_test = this.ensure_pair(session, HouseKey::SelfTest, &mut made)?;
            let index_hmac = this.ensure_mac_key(session, &mut made)?;
            this.set_house(Some(House { checkpoint, self_test, index_hmac }));
            Ok(made)
        })
    }

    fn ensure_pair(
        &mut self,
        session: &OpenSession,
        key: HouseKey,
        made: &mut Vec<HouseKey>,
    ) -> Result<Arc<keys::KeyEntry>, HsmError> {
        let epoch = session.connection().epoch();
        let mut holdings = Holdings::of(session, key.cka_id())?;
        if holdings.handles().is_empty() {
            let (fresh, pair) = make_pair(session, HouseKey::PAIR_TYPE, key.cka_id(), key.name())?;
            checked_pair(session, &fresh, &pair, HouseKey::PAIR_TYPE, key.cka_id())?;
            self.note_made(key.cka_id(), &pair);
            made.push(key);
            holdings = pair;
        }
        located::house_pair(key, &holdings, epoch)
    }

    fn ensure_mac_key(
        &mut self,
        session: &OpenSession,
        made: &mut Vec<HouseKey>,
    ) -> Result<Arc<keys::KeyEntry>, HsmError> {
        let key = HouseKey::IndexHmac;
        let mut holdings = Holdings::of(session, key.cka_id())?;
        if holdings.handles().is_empty() {
            let template = template::mac_key(key.cka_id(), key.name());
            session
                .generate_key(&Mechanism::GenericSecretKeyGen, &template)
                .map_err(|error| missing_or_full(error, "CKM_GENERIC_SECRET_KEY_GEN"))?;
            holdings = Holdings::of(session, key.cka_id())?;
            self.note_made(key.cka_id(), &holdings);
            made.push(key);
        }
        located::house_secret(&holdings, session.connection().epoch())
    }

    /// What the token holds under `cka_id`; a pair made in this process is read by its handles, not searched.
    fn holdings(&self, session: &OpenSession, cka_id: &[u8]) -> Result<Holdings, HsmError> {
        match self.fresh.get(cka_id) {
            Some(fresh) if fresh.epoch == session.connection().epoch() => {
                Holdings::of_pair(session, fresh.public, fresh.private)
            }
            _ => Holdings::of(session, cka_id),
        }
    }

    fn put_into_service(
        &mut self,
        session: &OpenSession,
        key: Arc<HolderKey>,
        holdings: &Holdings,
    ) -> Result<(), HsmError> {
        let handle = judged(self, &key, holdings)?;
        self.fresh.remove(&key.cka_id);
        self.shared.index.insert(key, handle, session.connection().epoch());
        Ok(())
    }
}

fn judged(
    supervisor: &Supervisor,
    key: &HolderKey,
    holdings: &Holdings,
) -> Result<ObjectHandle, HsmError> {
    holdings.judge(key).map_err(|fault| {
        supervisor.shared.counters.keys_refused.add();
        keys::refused(&key.cka_id, fault)
    })
}

/// The CKA_ID must be one that [`Supervisor::generate`] could have given.
fn holder_id(key: &HolderKey) -> Result<(), HsmError> {
    match key.cka_id.len() == HOLDER_ID_LEN {
        true => Ok(()),
        false => Err(keys::refused(&key.cka_id, KeyFault::ForeignId)),
    }
}

fn make_pair(
    session: &OpenSession,
    key_type: KeyType,
    cka_id: &[u8],
    label: &str,
) -> Result<(Fresh, Holdings), HsmError> {
    let (mechanism, name) = template::pair_mechanism(key_type);
    let public_template = template::public(key_type, cka_id, label)?;
    let private_template = template::private(cka_id, label);
    let (public, private) = session
        .generate_key_pair(&mechanism, &public_template, &private_template)
        .map_err(|error| missing_or_full(error, name))?;
    let fresh = Fresh { public, private, epoch: session.connection().epoch() };
    match Holdings::of_pair(session, public, private) {
        Ok(holdings) => Ok((fresh, holdings)),
        Err(error) => {
            discard(session, &fresh);
            Err(error)
        }
    }
}

/// The public key of a pair just made, when it is of the kind ordered and keeps every rule; else the pair is destroyed.
fn checked_pair(
    session: &OpenSession,
    fresh: &Fresh,
    holdings: &Holdings,
    key_type: KeyType,
    cka_id: &[u8],
) -> Result<Vec<u8>, HsmError> {
    let checked = match holdings.public.as_slice() {
        [public] => match &public.key {
            Some((found, spki_der)) if *found == key_type => {
                holdings.judge_pair(spki_der).map(|_| spki_der.clone())
            }
            _ => Err(KeyFault::OtherPublicKey),
        },
        several => Err(KeyFault::PublicKeys(several.len())),
    };
    checked.map_err(|fault| {
        discard(session, fresh);
        keys::refused(cka_id, fault)
    })
}

fn discard(session: &OpenSession, fresh: &Fresh) {
    for handle in [fresh.private, fresh.public] {
        if let Err(error) = session.destroy_object(handle) {
            tracing::error!(%error, "a key pair that was refused could not be destroyed");
        }
    }
}

/// Signs a certification request and checks the signature before anybody sees it.
fn sign_request(
    session: &OpenSession,
    handle: ObjectHandle,
    key: &HolderKey,
    info_der: &[u8],
) -> Result<SignatureValue, HsmError> {
    let scheme = key.key_type.default_scheme();
    let mechanism = SignMechanism::new(key.key_type, scheme)?;
    if !session.connection().offers(mechanism) {
        return Err(HsmError::MechanismMissing(mechanism.name()));
    }
    let to_sign = match scheme.digest() {
        Some(digest) => ToSign::Dtbsr(Dtbsr::of(digest, info_der)),
        None => ToSign::Message(info_der.to_vec()),
    };
    let input = crate::mechanism::sign_input(scheme, &to_sign)?;
    let len = signature::signature_len(key.key_type);
    let functions = session.connection().functions;
    let octets = functions.sign(session, handle.handle(), mechanism, &input, len)?;
    let signature = SignatureValue::from_token(key.key_type, octets)?;
    match verify::verifies(&key.spki_der, scheme, info_der, &signature)? {
        true => Ok(signature),
        false => Err(HsmError::SignatureWrong("holder's")),
    }
}

/// Subject of a certificate that is for the key of `spki_der`.
fn subject_of(certificate_der: &[u8], spki_der: &[u8]) -> Result<Vec<u8>, HsmError> {
    let certificate = Certificate::from_der(certificate_der)
        .map_err(|_| HsmError::Certificate("it is not DER of an X.509 certificate"))?;
    let tbs = certificate.tbs_certificate();
    let encoded = |der: der::Result<Vec<u8>>| {
        der.map_err(|_| HsmError::Certificate("a part of it cannot be encoded"))
    };
    match encoded(tbs.subject_public_key_info().to_der())? == spki_der {
        true => encoded(tbs.subject().to_der()),
        false => Err(HsmError::Certificate("it names another public key")),
    }
}

/// A token without room says CKR_DEVICE_MEMORY; where objects are made that is no trouble of the module.
fn full(error: cryptoki::error::Error) -> HsmError {
    match HsmError::from(error) {
        HsmError::Token(call) if is_full(&call) => HsmError::TokenFull(call),
        other => other,
    }
}

fn missing_or_full(error: cryptoki::error::Error, mechanism: &'static str) -> HsmError {
    match full(error) {
        HsmError::Token(call) if call.rv() == RvError::MechanismInvalid => {
            HsmError::MechanismMissing(mechanism)
        }
        other => other,
    }
}

fn is_full(call: &Call) -> bool {
    call.rv() == RvError::DeviceMemory
}
