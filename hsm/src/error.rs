//! What can go wrong at the token, sorted by who can act on it, and what each return value asks of the pool.

use crate::audit::KeyFault;
use crate::signature::MalformedSignature;
use attest::algorithm::KeyType;
use cryptoki::context::Function;
use cryptoki::error::RvError;
use std::path::PathBuf;

/// A PKCS#11 function that did not return CKR_OK: the function and its value stay together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} returned {}", self.function_name(), self.rv_name())]
pub struct Call {
    function: FunctionName,
    rv: RvError,
}

/// `cryptoki::context::Function` has no equality; its name has.
#[derive(Clone, Copy, Debug)]
struct FunctionName(Function);

impl PartialEq for FunctionName {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.0) == std::mem::discriminant(&other.0)
    }
}
impl Eq for FunctionName {}

impl Call {
    pub(crate) fn new(function: Function, rv: RvError) -> Self {
        Self { function: FunctionName(function), rv }
    }

    /// `C_Sign`, `C_Login` ...
    pub fn function_name(&self) -> String {
        format!("C_{:?}", self.function.0)
    }

    /// `CKR_DEVICE_REMOVED`, or `CKR_0x80000001` where the standard has no name.
    pub fn rv_name(&self) -> String {
        match self.rv {
            RvError::VendorDefined(value) | RvError::UnknownErrorCode(value) => {
                format!("CKR_{value:#010x}")
            }
            named => screaming(&format!("Ckr{named:?}")),
        }
    }

    pub(crate) fn rv(&self) -> RvError {
        self.rv
    }

    pub(crate) fn recovery(&self) -> Recovery {
        Recovery::of(self.rv)
    }
}

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
pub enum HsmError {
    // The caller's fault.
    /// A key of this type cannot make such a signature.
    #[error("a {} key cannot make a signature {scheme}", key_type.name())]
    SchemeNotForKey {
        /// The key.
        key_type: KeyType,
        /// Name of the scheme asked for.
        scheme: &'static str,
    },
    /// The subject of a certification request is no RFC 4514 name, or empty.
    #[error("the subject is not an RFC 4514 name: {0}")]
    Subject(String),
    /// The certificate does not fit the key.
    #[error("the certificate is not for this key: {0}")]
    Certificate(&'static str),
    /// The configuration asks for something out of range.
    #[error("hsm.{field}: {reason}")]
    Config {
        /// Name of the field.
        field: &'static str,
        /// What is wrong, and what to write instead.
        reason: String,
    },

    // Refused.
    /// The key is not what it must be; it is not used.
    #[error("key {cka_id_hex} is refused: {fault}")]
    KeyRefused {
        /// CKA_ID, hexadecimal.
        cka_id_hex: String,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// The key was not loaded at start or after its generation, so it may not sign.
    #[error("key {cka_id_hex} is not in service")]
    NotInService {
        /// CKA_ID, hexadecimal.
        cka_id_hex: String,
    },
    /// The key is in service, or the token holds a certificate for it: it makes no certification requests any more.
    #[error("key {cka_id_hex} is in service or certified: no certification request is made for it")]
    AlreadyCertified {
        /// CKA_ID, hexadecimal.
        cka_id_hex: String,
    },

    // Busy or unavailable: nothing was signed, safe to ask again.
    /// The queue is full.
    #[error("the signing queue is full")]
    Busy,
    /// No answer within the deadline. Whatever the token still makes of it is thrown away.
    #[error("the token did not answer in time")]
    Deadline,
    /// The token cannot be reached; it is being tried again.
    #[error("the token is not reachable: {reason}")]
    Down {
        /// The last error, printable.
        reason: String,
    },
    /// A function of the module failed.
    #[error("{0}")]
    Token(#[from] Call),
    /// The token stopped showing a key that it had: the module is initialised again before that is believed.
    #[error("the token does not show key {cka_id_hex} any more")]
    KeyVanished {
        /// CKA_ID, hexadecimal.
        cka_id_hex: String,
    },
    /// A session hangs in the module, so that nothing can be changed safely; the process has to be restarted.
    #[error("a call hangs in the module: restart the service to change keys or to reconnect")]
    Hung,
    /// [`Hsm::shutdown`](crate::Hsm::shutdown) was called.
    #[error("the HSM pool is shut down")]
    ShutDown,

    // For the operator.
    /// The module could not be loaded.
    #[error("the PKCS#11 module {path} cannot be loaded: {reason}")]
    ModuleLoad {
        /// Its path.
        path: PathBuf,
        /// The loader's message.
        reason: String,
    },
    /// The module lacks something that PKCS#11 v2.40 requires.
    #[error("the PKCS#11 module has no {0}")]
    ModuleIncomplete(&'static str),
    /// This process has a module open already: it serves one.
    #[error("a PKCS#11 module is open in this process already")]
    AlreadyOpen,
    /// No token matches the configuration.
    #[error("no token {selector} (tokens present: {present})")]
    TokenMissing {
        /// What was looked for.
        selector: String,
        /// Labels and serials that there are.
        present: String,
    },
    /// Several tokens match the configuration.
    #[error("{count} tokens {selector}: name the token by its serial number")]
    TokenAmbiguous {
        /// What was looked for.
        selector: String,
        /// How many.
        count: usize,
    },
    /// The token refused the PIN. It is not tried again before the service is started with another one.
    #[error("the token refused the PIN ({0}); it is not tried again")]
    PinRefused(Call),
    /// The token says that one more wrong PIN locks it: the appliance does not make that try.
    #[error("the token has one PIN try left: set the right PIN and log in once by hand")]
    PinFinalTry,
    /// The token's PIN is locked.
    #[error("the token's PIN is locked")]
    PinLocked,
    /// The token has no user PIN yet.
    #[error("the token has no user PIN")]
    PinNotInitialised,
    /// The token has no room for another key.
    #[error("the token is full ({0})")]
    TokenFull(Call),
    /// The token does not offer a mechanism that is needed.
    #[error("the token does not offer {0}")]
    MechanismMissing(&'static str),
    /// The house keys have not been made yet.
    #[error(
        "the token has no house keys: is it the right token? a new one needs the key ceremony (inkan init)"
    )]
    NoHouseKeys,
    /// A signature of the appliance's own key did not verify with its public key.
    #[error("a signature by the {0} key does not verify")]
    SignatureWrong(&'static str),

    // Ours, or the module's.
    /// The token returned a signature of impossible shape.
    #[error("the token returned a malformed signature: {0}")]
    MalformedSignature(#[from] MalformedSignature),
    /// The token returned something that the standard does not allow.
    #[error("the token returned {0}")]
    Malformed(&'static str),
    /// A file of the module or PIN cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An operating-system thread could not be started.
    #[error("no thread: {0}")]
    Thread(std::io::Error),
    /// An invariant of this crate does not hold.
    #[error("unreachable: {0}")]
    Unreachable(&'static str),
}

impl HsmError {
    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy
            | Self::Deadline
            | Self::Down { .. }
            | Self::Token(_)
            | Self::KeyVanished { .. }
            | Self::Hung
            | Self::ShutDown
            | Self::MalformedSignature(_) => true,
            Self::SchemeNotForKey { .. }
            | Self::Subject(_)
            | Self::Certificate(_)
            | Self::Config { .. }
            | Self::KeyRefused { .. }
            | Self::NotInService { .. }
            | Self::AlreadyCertified { .. }
            | Self::ModuleLoad { .. }
            | Self::ModuleIncomplete(_)
            | Self::AlreadyOpen
            | Self::TokenMissing { .. }
            | Self::TokenAmbiguous { .. }
            | Self::PinRefused(_)
            | Self::PinFinalTry
            | Self::PinLocked
            | Self::PinNotInitialised
            | Self::TokenFull(_)
            | Self::MechanismMissing(_)
            | Self::NoHouseKeys
            | Self::SignatureWrong(_)
            | Self::Malformed(_)
            | Self::File { .. }
            | Self::Thread(_)
            | Self::Unreachable(_) => false,
        }
    }

    /// The module call that failed and says something about session or module. A full token says nothing of the kind.
    pub(crate) fn call(&self) -> Option<&Call> {
        match self {
            Self::Token(call) | Self::PinRefused(call) => Some(call),
            _ => None,
        }
    }
}

impl From<cryptoki::error::Error> for HsmError {
    /// Keeps the function and its value; every other error of the binding says that the module misbehaved.
    fn from(error: cryptoki::error::Error) -> Self {
        use cryptoki::error::Error;
        match error {
            Error::Pkcs11(rv, function) => Self::Token(Call::new(function, rv)),
            Error::NullFunctionPointer | Error::MissingSymbol(_) => {
                Self::ModuleIncomplete("function that PKCS#11 v2.40 requires")
            }
            Error::NotSupported => Self::Malformed("an attribute the binding does not know"),
            Error::TryFromInt(_)
            | Error::TryFromSlice(_)
            | Error::ParseInt(_)
            | Error::Utf8(_)
            | Error::NulError(_)
            | Error::InvalidValue => Self::Malformed("a value of impossible shape"),
            Error::LibraryLoading(_) | Error::PinNotSet => {
                Self::Unreachable("error of loading or of an empty PIN after the module was opened")
            }
        }
    }
}

/// What a return value says about the session and the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// The session is gone or poisoned: a new one, and the call once more.
    NewSession,
    /// The PIN is wrong, locked or expired: never again in this process.
    PinRefused,
    /// The module has lost its mind: C_Finalize and C_Initialize, by the supervisor.
    Reinitialise,
    /// The call itself is at fault; another try would end the same.
    Refuse,
}

impl Recovery {
    /// # Source
    /// PKCS #11 v3.1 §5.1 (return values), and what SoftHSM 2.6.1 was seen to do.
    fn of(rv: RvError) -> Self {
        match rv {
            RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::UserNotLoggedIn
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::SlotIdInvalid
            | RvError::ObjectHandleInvalid
            | RvError::KeyHandleInvalid
            | RvError::OperationActive
            | RvError::OperationNotInitialized => Self::NewSession,
            RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked
            | RvError::UserPinNotInitialized => Self::PinRefused,
            RvError::GeneralError
            | RvError::FunctionFailed
            | RvError::DeviceMemory
            | RvError::CryptokiNotInitialized => Self::Reinitialise,
            _ => Self::Refuse,
        }
    }
}

/// What `error` asks of session and module.
pub(crate) fn recovery(error: &HsmError) -> Recovery {
    match error {
        HsmError::PinLocked | HsmError::PinFinalTry | HsmError::PinNotInitialised => {
            Recovery::PinRefused
        }
        HsmError::KeyVanished { .. } => Recovery::Reinitialise,
        _ => error.call().map_or(Recovery::Refuse, Call::recovery),
    }
}

/// `CkrDeviceRemoved` -> `CKR_DEVICE_REMOVED`.
fn screaming(camel: &str) -> String {
    let mut name = String::with_capacity(camel.len() + 8);
    for (index, letter) in camel.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_names_the_function_and_the_value_as_the_standard_does() {
        let call = Call::new(Function::Sign, RvError::DeviceRemoved);
        assert_eq!(call.to_string(), "C_Sign returned CKR_DEVICE_REMOVED");
        let call = Call::new(Function::FindObjectsInit, RvError::VendorDefined(0x8000_0001));
        assert_eq!(call.to_string(), "C_FindObjectsInit returned CKR_0x80000001");
    }

    #[test]
    fn pin_errors_are_never_tried_again() {
        for rv in [RvError::PinIncorrect, RvError::PinLocked, RvError::PinExpired] {
            assert_eq!(Recovery::of(rv), Recovery::PinRefused, "{rv:?}");
        }
    }
}
