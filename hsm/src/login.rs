//! The PIN, and the one place that hands it to the token.

use crate::error::Call;
use crate::error::HsmError;
use crate::error::Recovery;
use cryptoki::error::Error;
use cryptoki::error::RvError;
use cryptoki::session::Session;
use cryptoki::session::SessionState;
use cryptoki::session::UserType;
use cryptoki::slot::TokenInfo;
use secrecy::SecretString;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Where the PIN stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinState {
    /// Not presented yet.
    Untried,
    /// The token accepted it.
    Accepted,
    /// The token refused it; it is not presented again in this process.
    Refused,
    /// One more wrong PIN locks the token: the appliance leaves that try to a person.
    FinalTry,
    /// The token is locked.
    Locked,
}

/// Logs sessions in, one at a time. Once the token has refused the PIN nothing of this process presents it again.
pub(crate) struct Login {
    pin: SecretString,
    state: Mutex<Presented>,
    /// Counts logins. Object handles found before a login are not valid after it.
    epoch: AtomicU64,
}

#[derive(Clone, Copy)]
struct Presented {
    pin: PinState,
    refusal: Option<Call>,
    /// The last login failed without a word of the PIN.
    doubtful: Option<Call>,
}

impl Login {
    pub(crate) fn new(pin: SecretString) -> Self {
        let state = Mutex::new(Presented { pin: PinState::Untried, refusal: None, doubtful: None });
        Self { pin, state, epoch: AtomicU64::new(0) }
    }

    /// Makes sure that `session` is logged in. One login serves every session of the process, so that most sessions
    /// find the work done.
    ///
    /// # Errors
    /// [`HsmError::PinRefused`], [`HsmError::PinLocked`], [`HsmError::PinFinalTry`], [`HsmError::PinNotInitialised`]:
    /// final. [`HsmError::Token`] for everything else.
    /// # Source
    /// PKCS #11 v3.1 §5.6.8 (C_Login), §3.2 (CKF_USER_PIN_LOCKED, CKF_USER_PIN_FINAL_TRY).
    pub(crate) fn ensure(
        &self,
        session: &Session,
        token: impl FnOnce() -> Result<TokenInfo, Error>,
    ) -> Result<(), HsmError> {
        // Held over C_Login on purpose: N sessions that lost their login together must not present a PIN N times.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.usable()?;
        if is_logged_in(session)? {
            return Ok(());
        }
        state.judge_flags(&token()?)?;
        match session.login(UserType::User, Some(&self.pin)) {
            Ok(()) => {
                (state.pin, state.doubtful) = (PinState::Accepted, None);
                self.epoch.fetch_add(1, Ordering::AcqRel);
                Ok(())
            }
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => Err(state.refused(error.into())),
        }
    }

    /// Number of logins so far: 0 before the first.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Where the PIN stands.
    pub(crate) fn state(&self) -> PinState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).pin
    }
}

/// Whether the session sees private objects.
pub(crate) fn is_logged_in(session: &Session) -> Result<bool, HsmError> {
    let state = session.get_session_info()?.session_state();
    Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
}

impl Presented {
    fn usable(&self) -> Result<(), HsmError> {
        match (self.pin, self.refusal) {
            (PinState::Untried | PinState::Accepted, _) => Ok(()),
            (PinState::FinalTry, _) => Err(HsmError::PinFinalTry),
            (PinState::Locked, _) | (PinState::Refused, None) => Err(HsmError::PinLocked),
            (PinState::Refused, Some(call)) => Err(HsmError::PinRefused(call)),
        }
    }

    fn judge_flags(&mut self, token: &TokenInfo) -> Result<(), HsmError> {
        if !token.user_pin_initialized() {
            return Err(HsmError::PinNotInitialised);
        }
        if token.user_pin_locked() {
            self.pin = PinState::Locked;
        } else if token.user_pin_final_try() {
            self.pin = PinState::FinalTry;
        } else if token.user_pin_count_low() {
            // Some modules call a wrong PIN CKR_FUNCTION_FAILED. It was one, for the token counted it.
            if let Some(call) = self.doubtful {
                return Err(self.refuse(call));
            }
            tracing::warn!("the token counts a wrong PIN since the last good login");
        }
        self.usable()
    }

    fn refused(&mut self, error: HsmError) -> HsmError {
        let HsmError::Token(call) = error else { return error };
        if call.recovery() != Recovery::PinRefused {
            self.doubtful = Some(call);
            return HsmError::Token(call);
        }
        self.refuse(call)
    }

    fn refuse(&mut self, call: Call) -> HsmError {
        self.refusal = Some(call);
        self.pin = match call.rv() {
            RvError::PinLocked => PinState::Locked,
            _ => PinState::Refused,
        };
        tracing::error!(%call, "ALARM: the token refused the PIN; it is not presented again");
        match self.pin {
            PinState::Locked => HsmError::PinLocked,
            _ => HsmError::PinRefused(call),
        }
    }
}
