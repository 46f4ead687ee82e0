//! One initialised module with one token, and the sessions on it.

use crate::config::HsmConfig;
use crate::error::HsmError;
use crate::ffi::SignFunctions;
use crate::login::Login;
use crate::mechanism::SignMechanism;
use crate::token;
use crate::token::TokenFacts;
use aws_lc_rs::digest;
use cryptoki::context::CInitializeArgs;
use cryptoki::context::CInitializeFlags;
use cryptoki::context::Pkcs11;
use cryptoki::error::Error;
use cryptoki::error::RvError;
use cryptoki::mechanism::MechanismType;
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// SHA-256 of the module's file, to be compared with the trust record before the module is loaded.
///
/// # Errors
/// [`HsmError::File`].
pub fn module_fingerprint(path: &Path) -> Result<[u8; 32], HsmError> {
    let failed = |source| HsmError::File { path: path.into(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut chunk).map_err(failed)?;
        let Some(octets) = chunk.get(..read).filter(|octets| !octets.is_empty()) else { break };
        context.update(octets);
    }
    let digest = context.finish();
    digest.as_ref().try_into().map_err(|_| HsmError::Unreachable("SHA-256 has 32 octets"))
}

/// The process's claim on PKCS#11: C_Initialize and C_Finalize concern everybody in it, so there is one [`Connection`].
pub(crate) struct Claim(());

static CLAIMED: AtomicBool = AtomicBool::new(false);

impl Claim {
    /// # Errors
    /// [`HsmError::AlreadyOpen`].
    pub(crate) fn take() -> Result<Self, HsmError> {
        match CLAIMED.swap(true, Ordering::AcqRel) {
            false => Ok(Self(())),
            true => Err(HsmError::AlreadyOpen),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.store(false, Ordering::Release);
    }
}

/// An initialised module and the slot of its token. C_Finalize is called when the last holder lets go.
pub(crate) struct Connection {
    pkcs11: Pkcs11,
    slot: Slot,
    pub(crate) functions: SignFunctions,
    pub(crate) facts: TokenFacts,
    mechanisms: Vec<MechanismType>,
    login: Arc<Login>,
}

impl Connection {
    /// Loads and initialises the module and finds the token. Once; who wants to try again calls again.
    ///
    /// # Errors
    /// [`HsmError::ModuleLoad`], [`HsmError::ModuleIncomplete`], [`HsmError::TokenMissing`],
    /// [`HsmError::TokenAmbiguous`], [`HsmError::Token`].
    pub(crate) fn open(config: &HsmConfig, login: Arc<Login>) -> Result<Arc<Self>, HsmError> {
        let functions = SignFunctions::load(&config.module)?;
        let pkcs11 = Pkcs11::new(&config.module).map_err(|error| match error {
            Error::LibraryLoading(error) => {
                HsmError::ModuleLoad { path: config.module.clone(), reason: error.to_string() }
            }
            other => other.into(),
        })?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Left over by a C_Finalize that failed.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let described = describe(&pkcs11, config);
        let (slot, facts, mechanisms) = match described {
            Ok(described) => described,
            Err(error) => {
                finalize(&pkcs11);
                return Err(error);
            }
        };
        Ok(Arc::new(Self { pkcs11, slot, functions, facts, mechanisms, login }))
    }

    /// A read-only session, logged in: for signing.
    pub(crate) fn read_only(self: &Arc<Self>) -> Result<OpenSession, HsmError> {
        self.logged_in(self.pkcs11.open_ro_session(self.slot)?)
    }

    /// A read-write session, logged in: for administration.
    pub(crate) fn read_write(self: &Arc<Self>) -> Result<OpenSession, HsmError> {
        self.logged_in(self.pkcs11.open_rw_session(self.slot)?)
    }

    /// Whether the token offers `mechanism`.
    pub(crate) fn offers(&self, mechanism: SignMechanism) -> bool {
        self.mechanisms.contains(&mechanism.mechanism_type())
    }

    /// Number of logins so far; see [`Login::epoch`].
    pub(crate) fn epoch(&self) -> u64 {
        self.login.epoch()
    }

    fn logged_in(self: &Arc<Self>, session: Session) -> Result<OpenSession, HsmError> {
        self.login.ensure(&session, || self.pkcs11.get_token_info(self.slot))?;
        Ok(OpenSession { session, connection: Arc::clone(self) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        finalize(&self.pkcs11);
    }
}

/// A logged-in session. It keeps its connection, so that C_Finalize comes after every C_CloseSession.
pub(crate) struct OpenSession {
    // Dropped in this order.
    session: Session,
    connection: Arc<Connection>,
}

impl OpenSession {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Deref for OpenSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

type Described = (Slot, TokenFacts, Vec<MechanismType>);

fn describe(pkcs11: &Pkcs11, config: &HsmConfig) -> Result<Described, HsmError> {
    let slot = token::find(pkcs11, &config.token)?;
    let facts = TokenFacts::read(pkcs11, slot)?;
    let mechanisms = pkcs11.get_mechanism_list(slot)?;
    Ok((slot, facts, mechanisms))
}

fn finalize(pkcs11: &Pkcs11) {
    if let Err(error) = pkcs11.clone().finalize() {
        tracing::warn!(%error, "C_Finalize failed");
    }
}
