//! Every function of PKCS#11 v2.40, forwarded through the faults and the log.

use crate::control;
use crate::control::Fault;
use crate::log;
use crate::real;
use cryptoki_sys::*;
use std::ffi::c_void;
use std::ptr;
use std::thread;

/// Wraps functions that are simply forwarded.
macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            /// Forwards.
            unsafe extern "C" fn $name($($arg: $type),*) -> CK_RV {
                let rv = match before(stringify!($name)) {
                    Err(rv) => rv,
                    Ok(_) => match real().and_then(|list| list.$name) {
                        // SAFETY: the caller's arguments are handed on as they are to the function of this very type;
                        // what it demands of them the caller of this function has to keep.
                        Some(function) => unsafe { function($($arg),*) },
                        None => CKR_FUNCTION_NOT_SUPPORTED,
                    },
                };
                log::returned(stringify!($name), rv);
                rv
            }
        )*

        /// The real module's list with each of its functions replaced by ours.
        pub(crate) fn list(real: &CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
            let mut list = *real;
            $(
                if list.$name.is_some() {
                    list.$name = Some($name);
                }
            )*
            list.C_GetFunctionList = Some(crate::C_GetFunctionList);
            list.C_Sign = Some(C_Sign);
            list.C_GetTokenInfo = Some(C_GetTokenInfo);
            list
        }
    };
}

/// Lets a fault strike: `Err` is what the call returns, `Ok` what is still to be done to its result.
fn before(function: &str) -> Result<Option<Fault>, CK_RV> {
    let fault = control::strike(function);
    match fault {
        Some(Fault::Return(rv)) => return Err(rv),
        Some(Fault::Sleep(duration)) => thread::sleep(duration),
        Some(Fault::Hang) => control::hang(),
        // SAFETY: none. This is the segmentation fault that was ordered.
        Some(Fault::Crash) => unsafe { ptr::null_mut::<u8>().write_volatile(1) },
        Some(Fault::Flip | Fault::Flags(_)) | None => {}
    }
    Ok(fault)
}

/// Forwards, and makes a bit of the signature wrong when told.
unsafe extern "C" fn C_Sign(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    signature: *mut CK_BYTE,
    signature_len: *mut CK_ULONG,
) -> CK_RV {
    let rv = match (before("C_Sign"), real().and_then(|list| list.C_Sign)) {
        (Err(rv), _) => rv,
        (Ok(_), None) => CKR_FUNCTION_NOT_SUPPORTED,
        (Ok(fault), Some(function)) => {
            // SAFETY: as in `forward!`.
            let rv = unsafe { function(session, data, data_len, signature, signature_len) };
            if rv == CKR_OK && fault == Some(Fault::Flip) && !signature.is_null() {
                // SAFETY: on CKR_OK the module wrote at least one octet to `signature`.
                unsafe { *signature.add(*signature_len as usize / 2) ^= 1 };
            }
            rv
        }
    };
    log::returned("C_Sign", rv);
    rv
}

/// Forwards, and adds flags when told.
unsafe extern "C" fn C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    let rv = match (before("C_GetTokenInfo"), real().and_then(|list| list.C_GetTokenInfo)) {
        (Err(rv), _) => rv,
        (Ok(_), None) => CKR_FUNCTION_NOT_SUPPORTED,
        (Ok(fault), Some(function)) => {
            // SAFETY: as in `forward!`.
            let rv = unsafe { function(slot, info) };
            if let (CKR_OK, Some(Fault::Flags(flags)), false) = (rv, fault, info.is_null()) {
                // SAFETY: on CKR_OK the module filled the structure.
                unsafe { (*info).flags |= flags };
            }
            rv
        }
    };
    log::returned("C_GetTokenInfo", rv);
    rv
}

type Octets = *mut CK_BYTE;
type Length = *mut CK_ULONG;
type Session = CK_SESSION_HANDLE;
type Object = CK_OBJECT_HANDLE;

forward! {
    C_Initialize(args: *mut c_void);
    C_Finalize(reserved: *mut c_void);
    C_GetInfo(info: *mut CK_INFO);
    C_GetSlotList(present: CK_BBOOL, slots: *mut CK_SLOT_ID, count: Length);
    C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO);
    C_GetMechanismList(slot: CK_SLOT_ID, mechanisms: *mut CK_MECHANISM_TYPE, count: Length);
    C_GetMechanismInfo(slot: CK_SLOT_ID, mechanism: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO);
    C_InitToken(slot: CK_SLOT_ID, pin: Octets, pin_len: CK_ULONG, label: Octets);
    C_InitPIN(session: Session, pin: Octets, pin_len: CK_ULONG);
    C_SetPIN(session: Session, old: Octets, old_len: CK_ULONG, new: Octets, new_len: CK_ULONG);
    C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, application: *mut c_void, notify: CK_NOTIFY, session: *mut CK_SESSION_HANDLE);
    C_CloseSession(session: Session);
    C_CloseAllSessions(slot: CK_SLOT_ID);
    C_GetSessionInfo(session: Session, info: *mut CK_SESSION_INFO);
    C_GetOperationState(session: Session, state: Octets, len: Length);
    C_SetOperationState(session: Session, state: Octets, len: CK_ULONG, encryption: Object, authentication: Object);
    C_Login(session: Session, user: CK_USER_TYPE, pin: Octets, pin_len: CK_ULONG);
    C_Logout(session: Session);
    C_CreateObject(session: Session, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE);
    C_CopyObject(session: Session, object: Object, template: *mut CK_ATTRIBUTE, count: CK_ULONG, copy: *mut CK_OBJECT_HANDLE);
    C_DestroyObject(session: Session, object: Object);
    C_GetObjectSize(session: Session, object: Object, size: Length);
    C_GetAttributeValue(session: Session, object: Object, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_SetAttributeValue(session: Session, object: Object, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_FindObjectsInit(session: Session, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_FindObjects(session: Session, objects: *mut CK_OBJECT_HANDLE, max: CK_ULONG, count: Length);
    C_FindObjectsFinal(session: Session);
    C_EncryptInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_Encrypt(session: Session, data: Octets, data_len: CK_ULONG, out: Octets, out_len: Length);
    C_EncryptUpdate(session: Session, part: Octets, part_len: CK_ULONG, out: Octets, out_len: Length);
    C_EncryptFinal(session: Session, out: Octets, out_len: Length);
    C_DecryptInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_Decrypt(session: Session, data: Octets, data_len: CK_ULONG, out: Octets, out_len: Length);
    C_DecryptUpdate(session: Session, part: Octets, part_len: CK_ULONG, out: Octets, out_len: Length);
    C_DecryptFinal(session: Session, out: Octets, out_len: Length);
    C_DigestInit(session: Session, mechanism: *mut CK_MECHANISM);
    C_Digest(session: Session, data: Octets, data_len: CK_ULONG, out: Octets, out_len: Length);
    C_DigestUpdate(session: Session, part: Octets, part_len: CK_ULONG);
    C_DigestKey(session: Session, key: Object);
    C_DigestFinal(session: Session, out: Octets, out_len: Length);
    C_SignInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_SignUpdate(session: Session, part: Octets, part_len: CK_ULONG);
    C_SignFinal(session: Session, out: Octets, out_len: Length);
    C_SignRecoverInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_SignRecover(session: Session, data: Octets, data_len: CK_ULONG, out: Octets, out_len: Length);
    C_VerifyInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_Verify(session: Session, data: Octets, data_len: CK_ULONG, signature: Octets, signature_len: CK_ULONG);
    C_VerifyUpdate(session: Session, part: Octets, part_len: CK_ULONG);
    C_VerifyFinal(session: Session, signature: Octets, signature_len: CK_ULONG);
    C_VerifyRecoverInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_VerifyRecover(session: Session, signature: Octets, signature_len: CK_ULONG, out: Octets, out_len: Length);
    C_DigestEncryptUpdate(session: Session, part: Octets, part_len: CK_ULONG, out: Octets, out_len: Length);
    C_DecryptDigestUpdate(session: Session, part: Octets, part_len: CK_ULONG, out: Octets, out_len: Length);
    C_SignEncryptUpdate(session: Session, part: Octets, part_len: CK_ULONG, out: Octets, out_len: Length);
    C_DecryptVerifyUpdate(session: Session, part: Octets, part_len: CK_ULONG, out: Octets, out_len: Length);
    C_GenerateKey(session: Session, mechanism: *mut CK_MECHANISM, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE);
    C_GenerateKeyPair(session: Session, mechanism: *mut CK_MECHANISM, public: *mut CK_ATTRIBUTE, public_count: CK_ULONG, private: *mut CK_ATTRIBUTE, private_count: CK_ULONG, public_key: *mut CK_OBJECT_HANDLE, private_key: *mut CK_OBJECT_HANDLE);
    C_WrapKey(session: Session, mechanism: *mut CK_MECHANISM, wrapping: Object, key: Object, out: Octets, out_len: Length);
    C_UnwrapKey(session: Session, mechanism: *mut CK_MECHANISM, unwrapping: Object, wrapped: Octets, wrapped_len: CK_ULONG, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE);
    C_DeriveKey(session: Session, mechanism: *mut CK_MECHANISM, base: Object, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE);
    C_SeedRandom(session: Session, seed: Octets, len: CK_ULONG);
    C_GenerateRandom(session: Session, random: Octets, len: CK_ULONG);
    C_GetFunctionStatus(session: Session);
    C_CancelFunction(session: Session);
    C_WaitForSlotEvent(flags: CK_FLAGS, slot: *mut CK_SLOT_ID, reserved: *mut c_void);
}
