//! The token without the pool: the floor below every signature, start and key.
#![expect(unsafe_code, reason = "two C functions are called with nothing between")]

use crate::token;
use attest::algorithm::KeyType;
use cryptoki::context::CInitializeArgs;
use cryptoki::context::CInitializeFlags;
use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;
use cryptoki::object::ObjectClass;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use cryptoki_sys::CK_FUNCTION_LIST;
use cryptoki_sys::CK_MECHANISM;
use cryptoki_sys::CK_RV;
use cryptoki_sys::CK_ULONG;
use libloading::Library;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrusage;
use secrecy::SecretString;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

/// A key and a session beside the open pool.
pub struct Raw {
    session: Session,
    key: ObjectHandle,
    library: Library,
}

/// A session that makes keys beside the open pool.
pub struct Maker(Session);

impl Raw {
    /// The private key of `cka_id`, on a session of its own in the context that the pool has initialised.
    pub fn new(module: &Path, cka_id: &[u8]) -> Self {
        let session = Self::session(module).0;
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(cka_id.to_vec())];
        let key = session.find_objects(&template).unwrap()[0];
        // SAFETY: the module is loaded already; the loader gives the same instance.
        let library = unsafe { Library::new(module) }.unwrap();
        Self { session, key, library }
    }

    pub fn session(module: &Path) -> Maker {
        let pkcs11 = Pkcs11::new(module).unwrap();
        Maker(pkcs11.open_rw_session(slot(&pkcs11)).unwrap())
    }

    /// CPU time of this thread for C_SignInit and C_Sign, repeated for `length`.
    pub fn cpu_micros(&self, key_type: KeyType, length: Duration) -> f64 {
        type GetFunctionList = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;
        let mut list: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
        // SAFETY: the types are those of PKCS #11 v2.40 §5.4; on CKR_OK the list is the module's own, static.
        let (sign_init, sign) = unsafe {
            let get = self.library.get::<GetFunctionList>(b"C_GetFunctionList\0").unwrap();
            assert_eq!(get(&mut list), cryptoki_sys::CKR_OK);
            ((*list).C_SignInit.unwrap(), (*list).C_Sign.unwrap())
        };
        let (mechanism, mut input) = match key_type {
            KeyType::P256 => (cryptoki_sys::CKM_ECDSA, vec![7; 32]),
            KeyType::P384 => (cryptoki_sys::CKM_ECDSA, vec![7; 48]),
            _ => (cryptoki_sys::CKM_RSA_PKCS, vec![7; 51]),
        };
        let mut mechanism =
            CK_MECHANISM { mechanism, pParameter: std::ptr::null_mut(), ulParameterLen: 0 };
        let mut signature = [0; 512];
        let (begun, before, mut count) = (Instant::now(), thread_cpu(), 0_u32);
        while begun.elapsed() < length {
            let mut len = signature.len() as CK_ULONG;
            // SAFETY: session and key are this thread's; both buffers live and have the lengths given.
            unsafe {
                let rv = sign_init(self.session.handle(), &mut mechanism, self.key.handle());
                assert_eq!(rv, cryptoki_sys::CKR_OK);
                let (data, data_len) = (input.as_mut_ptr(), input.len() as CK_ULONG);
                let out = signature.as_mut_ptr();
                let rv = sign(self.session.handle(), data, data_len, out, &mut len);
                assert_eq!(rv, cryptoki_sys::CKR_OK);
            }
            count += 1;
        }
        (thread_cpu() - before).as_secs_f64() * 1e6 / f64::from(count)
    }

    /// C_Initialize, login and one enumeration that reads each CKA_ID; the number of objects.
    pub fn enumerate(module: &Path) -> usize {
        let pkcs11 = Pkcs11::new(module).unwrap();
        pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let session = pkcs11.open_ro_session(slot(&pkcs11)).unwrap();
        session.login(UserType::User, Some(&SecretString::from(token::PIN))).unwrap();
        let objects = session.find_objects(&[]).unwrap();
        for object in &objects {
            session.get_attributes(*object, &[AttributeType::Id]).unwrap();
        }
        drop(session);
        pkcs11.finalize().unwrap();
        objects.len()
    }
}

impl Maker {
    /// Makes a P-256 pair with the shortest template there is.
    pub fn make(&self) -> [ObjectHandle; 2] {
        let p256 = vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let public = [Attribute::Token(true), Attribute::EcParams(p256)];
        let private = [Attribute::Token(true)];
        let made = self.0.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
        made.unwrap().into()
    }

    pub fn destroy(&self, made: [ObjectHandle; 2]) {
        for object in made {
            self.0.destroy_object(object).unwrap();
        }
    }
}

fn slot(pkcs11: &Pkcs11) -> Slot {
    let slots = pkcs11.get_slots_with_token().unwrap();
    let is_ours =
        |slot: &Slot| pkcs11.get_token_info(*slot).is_ok_and(|token| token.label() == token::LABEL);
    slots.into_iter().find(is_ours).unwrap()
}

fn thread_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64)
    };
    micros(usage.user_time()) + micros(usage.system_time())
}
