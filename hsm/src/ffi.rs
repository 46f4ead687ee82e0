//! C_SignInit and C_Sign, called directly: the only file of the crate with unsafe code.
//!
//! `cryptoki::Session::sign` asks for the length of the signature first, which is a third call and one more round trip
//! to a network HSM. We know every length beforehand.
#![expect(unsafe_code, reason = "calls through the module's function list")]

use crate::connection::OpenSession;
use crate::error::Call;
use crate::error::HsmError;
use crate::mechanism::SignMechanism;
use attest::algorithm::DigestAlgorithm;
use cryptoki::context::Function;
use cryptoki::error::Rv;
use cryptoki_sys::CK_FUNCTION_LIST;
use cryptoki_sys::CK_MECHANISM;
use cryptoki_sys::CK_OBJECT_HANDLE;
use cryptoki_sys::CK_RSA_PKCS_PSS_PARAMS;
use cryptoki_sys::CK_RV;
use cryptoki_sys::CK_SESSION_HANDLE;
use cryptoki_sys::CK_ULONG;
use libloading::Library;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr;

type SignInit =
    unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE) -> CK_RV;
type Sign =
    unsafe extern "C" fn(CK_SESSION_HANDLE, *mut u8, CK_ULONG, *mut u8, *mut CK_ULONG) -> CK_RV;
type GetFunctionList = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;

/// The two functions of the hot path.
#[derive(Clone, Copy)]
pub(crate) struct SignFunctions {
    sign_init: SignInit,
    sign: Sign,
}

impl SignFunctions {
    /// Takes them from the module at `path`.
    ///
    /// The loader gives one instance of a library per path and process, so that these are the functions of the instance
    /// that `cryptoki::Pkcs11::new(path)` works with. The library is never unloaded: vendors' modules leave threads
    /// and exit handlers behind.
    ///
    /// # Errors
    /// [`HsmError::ModuleLoad`], [`HsmError::ModuleIncomplete`].
    pub(crate) fn load(path: &Path) -> Result<Self, HsmError> {
        let failed = |error: libloading::Error| HsmError::ModuleLoad {
            path: path.into(),
            reason: error.to_string(),
        };
        // SAFETY: loading runs the initialisers of the library. Whoever configures `hsm.module` trusts that code with
        // every key; its digest is compared with the trust record by the appliance (`module_fingerprint`).
        let library = ManuallyDrop::new(unsafe { Library::new(path) }.map_err(failed)?);
        // SAFETY: PKCS #11 v2.40 §3.6 gives C_GetFunctionList this type. The symbol outlives the call because the
        // library is never unloaded (`ManuallyDrop` above).
        let get_function_list =
            unsafe { library.get::<GetFunctionList>(b"C_GetFunctionList\0") }.map_err(failed)?;
        let mut list: *mut CK_FUNCTION_LIST = ptr::null_mut();
        // SAFETY: `list` is a valid place for one pointer; the function may be called before C_Initialize
        // (PKCS #11 v2.40 §5.4).
        let rv = unsafe { get_function_list(&mut list) };
        if rv != cryptoki_sys::CKR_OK || list.is_null() {
            return Err(HsmError::ModuleIncomplete("C_GetFunctionList that succeeds"));
        }
        // SAFETY: on CKR_OK the pointer is the module's own static list (PKCS #11 v2.40 §5.4), not null (checked above);
        // the fields are read by value because the standard packs the structure on some platforms.
        let (sign_init, sign) = unsafe { ((*list).C_SignInit, (*list).C_Sign) };
        match (sign_init, sign) {
            (Some(sign_init), Some(sign)) => Ok(Self { sign_init, sign }),
            _ => Err(HsmError::ModuleIncomplete("C_SignInit and C_Sign")),
        }
    }

    /// Signs `input` with `key` in two calls; the signature has at most `max_len` octets.
    ///
    /// # Errors
    /// The call that failed. The session may be poisoned then (an operation left active): drop it.
    /// # Blocking
    /// For the token's signing time.
    /// # Source
    /// PKCS #11 v3.1 §5.13 (C_SignInit, C_Sign).
    pub(crate) fn sign(
        &self,
        session: &OpenSession,
        key: CK_OBJECT_HANDLE,
        mechanism: SignMechanism,
        input: &[u8],
        max_len: usize,
    ) -> Result<Vec<u8>, Call> {
        let mut pss = pss_params(mechanism);
        let (parameter, parameter_len) = match &mut pss {
            Some(params) => {
                (ptr::from_mut(params).cast::<c_void>(), size_of::<CK_RSA_PKCS_PSS_PARAMS>())
            }
            None => (ptr::null_mut(), 0),
        };
        let mut ck_mechanism = CK_MECHANISM {
            mechanism: mechanism.mechanism_type().into(),
            pParameter: parameter,
            ulParameterLen: parameter_len as CK_ULONG,
        };
        // SAFETY: the handle belongs to a session that is open as long as `session` lives, and no other thread uses it:
        // `Session` is not `Sync`. The module is initialised as long as a session exists: `OpenSession` keeps its
        // `Connection`, and only dropping the last holder of that calls C_Finalize. `pss` outlives the call; the module
        // copies what it keeps of it (PKCS #11 v3.1 §5.1: it keeps no pointer of the caller's).
        let rv = unsafe { (self.sign_init)(session.handle(), &mut ck_mechanism, key) };
        returned(rv, Function::SignInit)?;

        let mut signature = vec![0; max_len];
        let mut signature_len = max_len as CK_ULONG;
        // SAFETY: as above; `input` is read only (the standard's pointer is not const) and has the length given;
        // `signature` is writable for `signature_len` octets, beyond which the module answers CKR_BUFFER_TOO_SMALL.
        let rv = unsafe {
            (self.sign)(
                session.handle(),
                input.as_ptr().cast_mut(),
                input.len() as CK_ULONG,
                signature.as_mut_ptr(),
                &mut signature_len,
            )
        };
        returned(rv, Function::Sign)?;
        signature.truncate(usize::try_from(signature_len).unwrap_or(usize::MAX));
        Ok(signature)
    }
}

fn pss_params(mechanism: SignMechanism) -> Option<CK_RSA_PKCS_PSS_PARAMS> {
    let SignMechanism::RsaPss { digest, salt_len } = mechanism else { return None };
    let (hash, mgf) = match digest {
        DigestAlgorithm::Sha256 => (cryptoki_sys::CKM_SHA256, cryptoki_sys::CKG_MGF1_SHA256),
        DigestAlgorithm::Sha384 => (cryptoki_sys::CKM_SHA384, cryptoki_sys::CKG_MGF1_SHA384),
        DigestAlgorithm::Sha512 => (cryptoki_sys::CKM_SHA512, cryptoki_sys::CKG_MGF1_SHA512),
    };
    Some(CK_RSA_PKCS_PSS_PARAMS { hashAlg: hash, mgf, sLen: CK_ULONG::from(salt_len) })
}

fn returned(rv: CK_RV, function: Function) -> Result<(), Call> {
    match Rv::from(rv) {
        Rv::Ok => Ok(()),
        Rv::Error(rv) => Err(Call::new(function, rv)),
    }
}
