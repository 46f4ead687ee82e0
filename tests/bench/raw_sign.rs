//! C_SignInit and C_Sign and nothing else, in a process of its own: the floor below every signature.
#![expect(
    unsafe_code,
    reason = "two C functions of the module are called without a wrapper between"
)]

use cryptoki::context::CInitializeArgs;
use cryptoki::context::CInitializeFlags;
use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::object::ObjectClass;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use cryptoki_sys::CK_FUNCTION_LIST;
use cryptoki_sys::CK_MECHANISM;
use cryptoki_sys::CK_RV;
use cryptoki_sys::CK_ULONG;
use libloading::Library;
use std::process::Command;
use std::time::Duration;
use tests::support::token::Token;
use tests::support::token::module;

/// A token of its own with one key of each kind, so that the daemon's is not touched.
pub struct RawToken {
    token: Token,
    _folder: tempfile::TempDir,
}

impl RawToken {
    /// Makes it; the keys are made by a child, because a module reads its environment once.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let this = Self { token: Token::new(folder.path(), "inkan-raw"), _folder: folder };
        this.child(&["child-raw-keys", &this.token.label, &this.token.pin]);
        this
    }

    /// CPU time of one raw signature with a key of the kind of `credential`, measured in a child over `length`.
    pub fn measure(&self, credential: &str, length: Duration) -> Duration {
        let millis = length.as_millis().to_string();
        let printed = self.child(&[
            "child-raw-sign",
            &self.token.label,
            &self.token.pin,
            credential,
            &millis,
        ]);
        Duration::from_nanos(printed.trim().parse().expect("nanoseconds"))
    }

    fn child(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let output = command
            .args(arguments)
            .env("SOFTHSM2_CONF", &self.token.conf)
            .output()
            .expect("a child");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The first child: token label, PIN. Makes one key of each kind.
pub fn child_keys(arguments: &[String]) {
    let [label, pin] = arguments else { panic!("two arguments") };
    let (_pkcs11, session) = open(label, pin, true);
    // RFC 5480: secp256r1 and secp384r1 as DER OIDs.
    let p256 = vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let p384 = vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
    let rsa = |bits: u64| (Mechanism::RsaPkcsKeyPairGen, Attribute::ModulusBits(bits.into()));
    let ec = |curve| (Mechanism::EccKeyPairGen, Attribute::EcParams(curve));
    for (credential, (mechanism, kind)) in
        [("rsa2048", rsa(2048)), ("rsa3072", rsa(3072)), ("p256", ec(p256)), ("p384", ec(p384))]
    {
        let id = Attribute::Id(credential.as_bytes().to_vec());
        let public = [Attribute::Token(true), id.clone(), kind];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            id,
        ];
        session.generate_key_pair(&mechanism, &public, &private).expect("C_GenerateKeyPair");
    }
    // SoftHSM's exit handlers have nothing to undo that the end of the process does not.
    std::process::exit(0);
}

/// The second child: token label, PIN, credential, milliseconds. Prints nanoseconds of CPU time for each signature.
pub fn child_sign(arguments: &[String]) {
    let [label, pin, credential, millis] = arguments else { panic!("four arguments") };
    let (_pkcs11, session) = open(label, pin, false);
    let template =
        [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(credential.as_bytes().to_vec())];
    let key = *session.find_objects(&template).expect("C_FindObjects").first().expect("the key");
    // SAFETY: the module is loaded already (`Pkcs11` holds it): the loader gives the same instance.
    let library = unsafe { Library::new(module()) }.expect("the module");
    let millis = millis.parse().expect("milliseconds");
    let time = sign_for(&library, &session, key, credential, Duration::from_millis(millis));
    println!("{}", time.as_nanos());
    std::process::exit(0);
}

fn open(label: &str, pin: &str, writes: bool) -> (Pkcs11, Session) {
    let pkcs11 = Pkcs11::new(module()).expect("the module");
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("C_Initialize");
    let slots = pkcs11.get_slots_with_token().expect("slots");
    let is_ours = |slot: &&cryptoki::slot::Slot| {
        pkcs11.get_token_info(**slot).is_ok_and(|token| token.label() == label)
    };
    let slot = *slots.iter().find(is_ours).expect("the token");
    let session = match writes {
        true => pkcs11.open_rw_session(slot),
        false => pkcs11.open_ro_session(slot),
    };
    let session = session.expect("a session");
    session.login(UserType::User, Some(&AuthPin::from(pin))).expect("C_Login");
    (pkcs11, session)
}

fn sign_for(
    library: &Library,
    session: &Session,
    key: ObjectHandle,
    credential: &str,
    length: Duration,
) -> Duration {
    type GetFunctionList = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;
    let mut list: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
    // SAFETY: PKCS #11 v2.40 §5.4 gives the symbol this type; on CKR_OK the list is the module's own, static.
    let (sign_init, sign) = unsafe {
        let get =
            library.get::<GetFunctionList>(b"C_GetFunctionList\0").expect("C_GetFunctionList");
        assert_eq!(get(&mut list), cryptoki_sys::CKR_OK);
        ((*list).C_SignInit.expect("C_SignInit"), (*list).C_Sign.expect("C_Sign"))
    };
    let (mechanism, mut input) = match credential {
        // DigestInfo of SHA-256: 51 octets.
        "rsa2048" | "rsa3072" => (cryptoki_sys::CKM_RSA_PKCS, vec![7; 51]),
        "p256" => (cryptoki_sys::CKM_ECDSA, vec![7; 32]),
        _ => (cryptoki_sys::CKM_ECDSA, vec![7; 48]),
    };
    let mut mechanism =
        CK_MECHANISM { mechanism, pParameter: std::ptr::null_mut(), ulParameterLen: 0 };
    let mut signature = [0; 512];
    crate::limits::cpu_per_turn(length, || {
        let mut len = signature.len() as CK_ULONG;
        // SAFETY: session and key are of this thread's open session; both buffers live and have the lengths given.
        unsafe {
            assert_eq!(
                sign_init(session.handle(), &mut mechanism, key.handle()),
                cryptoki_sys::CKR_OK
            );
            let octets = input.len() as CK_ULONG;
            let rv = sign(
                session.handle(),
                input.as_mut_ptr(),
                octets,
                signature.as_mut_ptr(),
                &mut len,
            );
            assert_eq!(rv, cryptoki_sys::CKR_OK);
        }
    })
}
