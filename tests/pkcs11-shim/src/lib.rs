//! A PKCS#11 module that forwards to another one and injects faults: a test instrument, never part of the appliance.
//!
//! Load it in place of the real module. It reads three environment variables, once:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `SHIM_MODULE` | the real module; default `/usr/lib/softhsm/libsofthsm2.so` |
//! | `SHIM_CONTROL` | file of faults, looked at on every call and read again when it changed; absent file: no fault |
//! | `SHIM_LOG` | file to which every call is appended, `C_Sign CKR_OK`; not set: no log |
//!
//! A line of the control file names a function, a fault and how often it strikes; without a number it strikes until the
//! file changes. Counts begin anew when the file changes. The first line that matches and is not used up counts.
//!
//! ```text
//! C_Sign CKR_DEVICE_REMOVED 1      the next call returns this without reaching the module
//! C_Sign 0x80000001                the same with a number
//! C_Sign sleep 5ms                 every call takes 5 ms longer
//! C_Sign hang 1                    the next call does not return, unless a line `release` appears
//! C_Sign flip 1                    a bit of the next signature is wrong
//! C_Sign crash 1                   the next call is a segmentation fault
//! C_GetTokenInfo flags 0x20000     these flags are added to the token's
//! ```
#![expect(unsafe_code, reason = "a C library: exports and forwards C functions")]
#![expect(non_snake_case, reason = "the functions have the standard's names")]

mod control;
mod forward;
mod log;
mod rv;

use cryptoki_sys::CK_FUNCTION_LIST;
use cryptoki_sys::CK_FUNCTION_LIST_PTR_PTR;
use cryptoki_sys::CK_RV;
use cryptoki_sys::CKR_ARGUMENTS_BAD;
use cryptoki_sys::CKR_GENERAL_ERROR;
use cryptoki_sys::CKR_OK;
use libloading::Library;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::OnceLock;

/// The real module's functions, and ours.
struct Lists {
    real: CK_FUNCTION_LIST,
    ours: CK_FUNCTION_LIST,
}

static LISTS: OnceLock<Option<Lists>> = OnceLock::new();

/// The one symbol that PKCS#11 v2.40 wants exported.
///
/// # Safety
/// `list` must be null or valid for one pointer, as PKCS #11 v2.40 §5.4 says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    if list.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    match LISTS.get_or_init(load) {
        Some(lists) => {
            // SAFETY: not null (above), and the caller says that it is valid. The list lives as long as the process.
            unsafe { *list = ptr::from_ref(&lists.ours).cast_mut() };
            CKR_OK
        }
        None => CKR_GENERAL_ERROR,
    }
}

fn real() -> Option<&'static CK_FUNCTION_LIST> {
    LISTS.get().and_then(Option::as_ref).map(|lists| &lists.real)
}

fn load() -> Option<Lists> {
    let path =
        std::env::var_os("SHIM_MODULE").unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into());
    type GetFunctionList = unsafe extern "C" fn(CK_FUNCTION_LIST_PTR_PTR) -> CK_RV;
    // SAFETY: the test that sets SHIM_MODULE trusts it. Never unloaded, so that its functions stay callable.
    let library = ManuallyDrop::new(unsafe { Library::new(path) }.ok()?);
    // SAFETY: the type is that of PKCS #11 v2.40 §5.4.
    let get_function_list =
        unsafe { library.get::<GetFunctionList>(b"C_GetFunctionList\0") }.ok()?;
    let mut list = ptr::null_mut();
    // SAFETY: `list` is a valid place for one pointer.
    let rv = unsafe { get_function_list(&mut list) };
    if rv != CKR_OK || list.is_null() {
        return None;
    }
    // SAFETY: on CKR_OK it is the module's own static list; copied.
    let real = unsafe { *list };
    Some(Lists { real, ours: forward::list(&real) })
}
