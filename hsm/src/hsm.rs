//! The pool as its callers see it.

use crate::ceremony::Loaded;
use crate::config::HsmConfig;
use crate::dispatcher::Refusal;
use crate::error::HsmError;
use crate::house;
use crate::house::HouseKey;
use crate::keys::GeneratedKey;
use crate::keys::KeyEntry;
use crate::located::House;
use crate::login::Login;
use crate::login::PinState;
use crate::mechanism;
use crate::mechanism::SignMechanism;
use crate::pool::Job;
use crate::pool::Shared;
use crate::signature;
use crate::signature::EcdsaDer;
use crate::signature::SignatureValue;
use crate::status::HsmState;
use crate::status::HsmStatus;
use crate::supervisor::Command;
use crate::supervisor::Supervisor;
use crate::verify;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use attest::permit::HolderKey;
use attest::permit::Permit;
use attest::permit::ToSign;
use secrecy::SecretString;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::time::timeout;
use zeroize::Zeroize;
use zeroize::Zeroizing;

/// A connected token: signs for holders by permit, and for the house through narrow doors.
///
/// Share it in an `Arc` and call [`Hsm::shutdown`] at the end. Dropping it without that does the same and blocks for it:
/// a module that still works while the process runs its exit handlers crashes.
pub struct Hsm {
    shared: Arc<Shared>,
    supervisor: Option<JoinHandle<()>>,
    commands: mpsc::Sender<Command>,
    administrations: AtomicUsize,
}

/// Acts of administration that may wait for their turn. Each of them may take seconds; operators are few.
const MAX_ADMINISTRATIONS: usize = 16;

impl Hsm {
    /// Loads the module, finds the token, logs in, reads what it holds and starts the workers. No holder's key is in
    /// service yet: see [`Hsm::load_all`].
    ///
    /// # Errors
    /// [`HsmError::Config`]; [`HsmError::AlreadyOpen`]; [`HsmError::ModuleLoad`]; [`HsmError::TokenMissing`] and
    /// [`HsmError::TokenAmbiguous`]; [`HsmError::PinRefused`], [`HsmError::PinLocked`], [`HsmError::PinFinalTry`] after
    /// one try; [`HsmError::KeyRefused`] when a house key is not as it must be; [`HsmError::Token`] when the last of
    /// `start_attempts` failed.
    /// # Blocking
    /// For the module's start and one enumeration of the token: call it from a thread that may block.
    pub fn open(config: HsmConfig, pin: SecretString) -> Result<Self, HsmError> {
        config.check()?;
        let shared = Shared::new(config, Arc::new(Login::new(pin)));
        let (commands, inbox) = mpsc::channel();
        let (opened, is_open) = mpsc::channel();
        let (for_supervisor, to_self) = (Arc::clone(&shared), commands.clone());
        let supervisor = thread::Builder::new()
            .name("hsm-supervisor".into())
            .spawn(move || match Supervisor::open(for_supervisor, inbox, to_self) {
                Ok(supervisor) => {
                    let _ = opened.send(Ok(()));
                    supervisor.run();
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(HsmError::Thread)?;
        is_open.recv().map_err(|_| HsmError::Unreachable("the supervisor did not start"))??;
        let administrations = AtomicUsize::new(0);
        Ok(Self { shared, supervisor: Some(supervisor), commands, administrations })
    }

    /// Signs what `permit` permits with the key it opens, and uses the permit up. The only use of a holder's key.
    ///
    /// # Errors
    /// [`HsmError::NotInService`], [`HsmError::KeyRefused`], [`HsmError::SchemeNotForKey`],
    /// [`HsmError::MechanismMissing`]: asking again changes nothing. [`HsmError::Busy`], [`HsmError::Deadline`],
    /// [`HsmError::Down`], [`HsmError::Token`], [`HsmError::ShutDown`]: [`HsmError::is_retryable`], no signature left.
    /// # Source
    /// PKCS #11 v3.1 §5.13; RFC 8017 §8.1, §8.2; FIPS 186-5; RFC 8032.
    pub async fn sign(&self, permit: Permit) -> Result<SignatureValue, HsmError> {
        let key = Arc::clone(permit.key());
        self.sign_for_holder(&key, permit.scheme(), permit.to_sign()).await
    }

    /// Makes a pair for a holder: in the token, for signing only, never to leave it, and audited. It is not in service.
    ///
    /// # Errors
    /// [`HsmError::MechanismMissing`], [`HsmError::TokenFull`], [`HsmError::KeyRefused`] when the token made something
    /// else than was ordered (it is destroyed then), and those of every act of administration: [`HsmError::Busy`],
    /// [`HsmError::Deadline`], [`HsmError::Down`], [`HsmError::Hung`], [`HsmError::Token`].
    pub async fn generate(&self, key_type: KeyType) -> Result<GeneratedKey, HsmError> {
        let undo = |supervisor: &mut Supervisor, unclaimed| supervisor.discard_unclaimed(unclaimed);
        self.administer_or_undo(move |supervisor| supervisor.generate(key_type), undo).await
    }

    /// Checks one key in the token and puts it into service.
    ///
    /// The token must hold exactly one private and one public key of the CKA_ID, the public key must be the one logged
    /// at generation, and the private key must keep every rule of [`audit`](crate::audit).
    ///
    /// # Errors
    /// [`HsmError::KeyRefused`] with the fault named, and those of every act of administration.
    pub async fn load(&self, key: &Arc<HolderKey>) -> Result<(), HsmError> {
        let key = Arc::clone(key);
        self.administer(move |supervisor| supervisor.load(key)).await
    }

    /// Like [`Hsm::load`] for every key, in one enumeration of the token. A key that is refused does not stop the others.
    ///
    /// # Errors
    /// Those of every act of administration.
    pub async fn load_all(&self, keys: Vec<Arc<HolderKey>>) -> Result<Loaded, HsmError> {
        self.administer(move |supervisor| supervisor.load_all(keys)).await
    }

    /// Takes a key out of service at once: revoked, quarantined, disabled. [`Hsm::load`] brings it back.
    pub fn unload(&self, key: &HolderKey) {
        self.shared.index.remove(&key.cka_id);
    }

    /// A PKCS#10 request (DER) for a key that is neither in service nor certified, signed with it.
    ///
    /// # Shape
    /// `subject_rfc4514`: `CN=Taro Yamada,O=Hospital,C=JP`, at most [`MAX_SUBJECT_BYTES`](crate::csr::MAX_SUBJECT_BYTES).
    /// # Errors
    /// [`HsmError::AlreadyCertified`], [`HsmError::Subject`], [`HsmError::KeyRefused`], and those of every act of
    /// administration.
    /// # Source
    /// RFC 2986.
    pub async fn certification_request(
        &self,
        key: &HolderKey,
        subject_rfc4514: &str,
    ) -> Result<Vec<u8>, HsmError> {
        let (key, subject) = (key.clone(), subject_rfc4514.to_owned());
        self.administer(move |supervisor| supervisor.certification_request(&key, &subject)).await
    }

    /// Stores the certificate beside its key in the token and puts the key into service. From here on no certification
    /// request is made for the key, also by a later process.
    ///
    /// # Errors
    /// [`HsmError::Certificate`] when it is not one for this key, [`HsmError::KeyRefused`], [`HsmError::TokenFull`], and
    /// those of every act of administration.
    pub async fn install_certificate(
        &self,
        key: &Arc<HolderKey>,
        certificate_der: &[u8],
    ) -> Result<(), HsmError> {
        let (key, certificate_der) = (Arc::clone(key), certificate_der.to_vec());
        self.administer(move |supervisor| supervisor.install_certificate(key, &certificate_der))
            .await
    }

    /// Destroys the pair and its certificates. There is no way back.
    ///
    /// # Errors
    /// [`HsmError::KeyRefused`] when the CKA_ID stands for another public key, and those of every act of administration.
    pub async fn destroy(&self, key: &HolderKey) -> Result<(), HsmError> {
        let key = key.clone();
        self.administer(move |supervisor| supervisor.destroy(&key)).await
    }

    /// The key ceremony: makes the house keys that the token lacks and checks those it has; names the new ones.
    ///
    /// # Errors
    /// [`HsmError::KeyRefused`], [`HsmError::TokenFull`], [`HsmError::MechanismMissing`], and those of every act of
    /// administration.
    pub async fn ensure_house_keys(&self) -> Result<Vec<HouseKey>, HsmError> {
        self.administer(Supervisor::ensure_house_keys).await
    }

    /// Signs an audit checkpoint (ECDSA P-256 with SHA-256, DER) and verifies the signature.
    ///
    /// # Errors
    /// [`HsmError::NoHouseKeys`], [`HsmError::SignatureWrong`], and those of [`Hsm::sign`].
    pub async fn sign_checkpoint(&self, checkpoint: &[u8]) -> Result<EcdsaDer, HsmError> {
        self.sign_for_house(&self.house()?.checkpoint, HouseKey::Checkpoint, checkpoint).await
    }

    /// SubjectPublicKeyInfo (DER) of the key that signs checkpoints.
    ///
    /// # Errors
    /// [`HsmError::NoHouseKeys`].
    pub fn checkpoint_public_key(&self) -> Result<Vec<u8>, HsmError> {
        let house = self.house()?;
        let spki_der = house.checkpoint.spki_der();
        spki_der.map(<[u8]>::to_vec).ok_or(HsmError::Unreachable("the checkpoint key is a pair"))
    }

    /// Signs a random message in the token and verifies the signature outside it: token, module, session and
    /// algorithms work, whatever the token says of itself.
    ///
    /// # Errors
    /// [`HsmError::SignatureWrong`], and those of [`Hsm::sign_checkpoint`].
    pub async fn self_test(&self) -> Result<(), HsmError> {
        let mut message = [0; 32];
        aws_lc_rs::rand::fill(&mut message)
            .map_err(|_| HsmError::Unreachable("the system's random generator failed"))?;
        let key = Arc::clone(&self.house()?.self_test);
        self.sign_for_house(&key, HouseKey::SelfTest, &message).await.map(|_| ())
    }

    /// HMAC-SHA-256 of `data` under a key that never leaves the token: for indexes over things that must not be stored.
    ///
    /// # Errors
    /// [`HsmError::NoHouseKeys`], and those of [`Hsm::sign`].
    pub async fn index_hmac(&self, data: &[u8]) -> Result<[u8; 32], HsmError> {
        self.mac(house::index_input(data)).await.map(|mac| *mac)
    }

    /// The key that seals trust records: a MAC of a fixed context, so that it exists only where this token is.
    ///
    /// # Errors
    /// Those of [`Hsm::index_hmac`].
    pub async fn sealing_key(&self) -> Result<Zeroizing<[u8; 32]>, HsmError> {
        self.mac(house::SEALING_CONTEXT.to_vec()).await
    }

    /// SHA-256 over everything the token holds (class, CKA_ID, public part), independent of order: a token that was
    /// rolled back, or to which somebody added a key, has another one. As of the last connection plus what this process
    /// changed, so that it is comparable with what the next start reads.
    ///
    /// # Errors
    /// Those of every act of administration.
    pub async fn key_set_digest(&self) -> Result<[u8; 32], HsmError> {
        self.administer(|supervisor| Ok(supervisor.key_set_digest())).await
    }

    /// A snapshot; asks neither token nor module.
    pub fn status(&self) -> HsmStatus {
        let shared = &self.shared;
        let pin = shared.login.state();
        HsmStatus {
            state: self.state(pin),
            token: shared.facts.read().unwrap_or_else(PoisonError::into_inner).clone(),
            pin,
            sessions_live: shared.sessions_live.load(Ordering::Relaxed),
            sessions_hung: shared.sessions_hung.load(Ordering::Relaxed),
            queue_depth: shared.dispatcher.depth(),
            queue_capacity: shared.config.queue,
            keys_in_service: shared.index.len(),
            last_error: shared.counters.last_error(),
            counters: shared.counters.snapshot(),
        }
    }

    /// Refuses new work, serves what waits (within the deadline), closes every session and the module.
    pub async fn shutdown(&self) {
        let (closing, closed) = oneshot::channel();
        if self.commands.send(Command::Shutdown(closing)).is_ok() {
            // Answered by dropping it.
            let _ = closed.await;
        }
    }

    /// The inner half of [`Hsm::sign`], without the permit.
    pub(crate) async fn sign_for_holder(
        &self,
        key: &Arc<HolderKey>,
        scheme: SignatureScheme,
        to_sign: &ToSign,
    ) -> Result<SignatureValue, HsmError> {
        let mechanism = SignMechanism::new(key.key_type, scheme)?;
        let input = mechanism::sign_input(scheme, to_sign)?.into_owned();
        let entry = self.shared.index.entry(key)?;
        let signature_len = signature::signature_len(key.key_type);
        let octets = self.use_key(entry, mechanism, input, signature_len).await?;
        Ok(SignatureValue::from_token(key.key_type, octets)?)
    }

    async fn sign_for_house(
        &self,
        key: &Arc<KeyEntry>,
        name: HouseKey,
        message: &[u8],
    ) -> Result<EcdsaDer, HsmError> {
        let (key_type, scheme) = (HouseKey::PAIR_TYPE, house::house_scheme());
        let mechanism = SignMechanism::new(key_type, scheme)?;
        let to_sign = ToSign::Dtbsr(Dtbsr::of(key_type.digest(), message));
        let input = mechanism::sign_input(scheme, &to_sign)?.into_owned();
        let len = signature::signature_len(key_type);
        let octets = self.use_key(Arc::clone(key), mechanism, input, len).await?;
        let signature = SignatureValue::from_token(key_type, octets)?;
        let spki_der = key.spki_der().ok_or(HsmError::Unreachable("house pairs have one"))?;
        match (verify::verifies(spki_der, scheme, message, &signature)?, signature) {
            (true, SignatureValue::Ecdsa { der, .. }) => Ok(der),
            _ => {
                tracing::error!(
                    key = name.name(),
                    "ALARM: a signature of the token does not verify"
                );
                Err(HsmError::SignatureWrong(name.name()))
            }
        }
    }

    async fn mac(&self, input: Vec<u8>) -> Result<Zeroizing<[u8; 32]>, HsmError> {
        let key = Arc::clone(&self.house()?.index_hmac);
        let mut octets = self.use_key(key, SignMechanism::Sha256Hmac, input, 32).await?;
        let mac = <[u8; 32]>::try_from(octets.as_slice()).map(Zeroizing::new);
        octets.zeroize();
        mac.map_err(|_| HsmError::Malformed("a MAC of another length than 32 octets"))
    }

    async fn use_key(
        &self,
        key: Arc<KeyEntry>,
        mechanism: SignMechanism,
        input: Vec<u8>,
        signature_len: usize,
    ) -> Result<Vec<u8>, HsmError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { key, mechanism, input, signature_len, is_second_try: false, reply };
        self.shared.dispatcher.push(job).inspect_err(|error| {
            if matches!(error, HsmError::Busy) {
                self.shared.counters.busy.add();
            }
        })?;
        match within(self.shared.config.deadline(), answer).await {
            Some(result) => result.unwrap_or(Err(HsmError::Unreachable("a worker died"))),
            None => {
                self.shared.counters.deadlines.add();
                Err(HsmError::Deadline)
            }
        }
    }

    async fn administer<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Supervisor) -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, HsmError> {
        self.administer_or_undo(act, |_, _| {}).await
    }

    /// Lets the supervisor `act`; what nobody waits for any more when it is done is undone.
    async fn administer_or_undo<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Supervisor) -> Result<T, HsmError> + Send + 'static,
        undo: impl FnOnce(&mut Supervisor, T) + Send + 'static,
    ) -> Result<T, HsmError> {
        let _place = Place::take(&self.administrations)?;
        let (reply, answer) = oneshot::channel();
        let act = move |supervisor: &mut Supervisor| {
            if reply.is_closed() {
                return;
            }
            // A panic must not take the one thread with it that looks after the module.
            let acted = catch_unwind(AssertUnwindSafe(|| act(supervisor)));
            let acted = acted.unwrap_or(Err(HsmError::Unreachable("an act panicked")));
            if let Err(Ok(unclaimed)) = reply.send(acted) {
                undo(supervisor, unclaimed);
            }
        };
        self.commands.send(Command::Act(Box::new(act))).map_err(|_| HsmError::ShutDown)?;
        match within(self.shared.config.admin_deadline(), answer).await {
            Some(result) => result.unwrap_or(Err(HsmError::ShutDown)),
            None => {
                tracing::error!(
                    "ALARM: an act of administration does not come back from the token"
                );
                Err(HsmError::Deadline)
            }
        }
    }

    #[cfg(test)]
    pub(crate) async fn panic_in_administration(&self) -> Result<(), HsmError> {
        self.administer(|supervisor| supervisor.administer(|_, _| panic!("for a test"))).await
    }

    fn house(&self) -> Result<Arc<House>, HsmError> {
        let house = self.shared.house.read().unwrap_or_else(PoisonError::into_inner);
        house.clone().ok_or(HsmError::NoHouseKeys)
    }

    fn state(&self, pin: PinState) -> HsmState {
        match (self.shared.dispatcher.refusal(), pin) {
            (Some(Refusal::ShutDown), _) => HsmState::ShutDown,
            (_, PinState::Refused | PinState::Locked | PinState::FinalTry) => HsmState::PinRefused,
            (Some(Refusal::Down(reason)), _) => HsmState::Down { reason },
            (None, PinState::Untried | PinState::Accepted) => HsmState::Serving,
        }
    }
}

impl Drop for Hsm {
    fn drop(&mut self) {
        let (closing, _) = oneshot::channel();
        let _ = self.commands.send(Command::Shutdown(closing));
        if let Some(supervisor) = self.supervisor.take() {
            // It ends within the deadline, unless it hangs in the module itself.
            let until = Instant::now() + 2 * self.shared.config.deadline();
            while !supervisor.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// What came within `deadline`, in its last moment included; `Some(None)` when the sender is gone. Afterwards the sender
/// knows that nobody listens.
async fn within<T>(deadline: Duration, mut answer: oneshot::Receiver<T>) -> Option<Option<T>> {
    match timeout(deadline, &mut answer).await {
        Ok(answered) => Some(answered.ok()),
        Err(_) => {
            answer.close();
            answer.try_recv().ok().map(Some)
        }
    }
}

/// One of the places in the line of administration.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize) -> Result<Self, HsmError> {
        let place = Self(taken);
        match taken.fetch_add(1, Ordering::AcqRel) < MAX_ADMINISTRATIONS {
            true => Ok(place),
            false => Err(HsmError::Busy),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
