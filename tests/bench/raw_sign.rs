//! C_SignInit and C_Sign and nothing else, in a process of its own: the floor below every signature.
#![expect(
    unsafe_code,
    reason = "two C functions of the module are called without a wrapper between"
)]

use cryptoki::context::CInitializeArgs;
use cryptoki::context::CInitializeFlags;
use cryptoki::context::Pkcs11;
use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;
use cryptoki::object::KeyType;
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
use tests::support::token::module;
use tests::support::world::World;

/// CPU time of one raw signature with a key of the kind of `credential`, measured in a child process over `length`.
///
/// # Panics
/// When the child fails.
pub fn measure(world: &World, credential: &str, length: Duration) -> Duration {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["child-raw-sign", credential, &world.token.label, &world.token.pin]);
    command.arg(length.as_millis().to_string()).env("SOFTHSM2_CONF", &world.token.conf);
    let output = command.output().expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let nanos = String::from_utf8_lossy(&output.stdout).trim().parse().expect("nanoseconds");
    Duration::from_nanos(nanos)
}

/// The child: credential, token label, PIN, milliseconds. Prints nanoseconds of CPU time for each signature.
pub fn child(arguments: &[String]) {
    let [credential, label, pin, millis] = arguments else { panic!("four arguments") };
    let module = module();
    let pkcs11 = Pkcs11::new(&module).expect("the module");
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("C_Initialize");
    let slots = pkcs11.get_slots_with_token().expect("slots");
    let is_ours = |slot: &&cryptoki::slot::Slot| {
        pkcs11.get_token_info(**slot).is_ok_and(|token| token.label() == label)
    };
    let slot = *slots.iter().find(is_ours).expect("the token");
    let session = pkcs11.open_ro_session(slot).expect("a session");
    session.login(UserType::User, Some(&AuthPin::from(pin.as_str()))).expect("C_Login");
    let key = find(&session, credential);
    // SAFETY: the module is loaded already (`Pkcs11` holds it): the loader gives the same instance.
    let library = unsafe { Library::new(&module) }.expect("the module");
    let millis = millis.parse().expect("milliseconds");
    let time = sign_for(&library, &session, key, credential, Duration::from_millis(millis));
    println!("{}", time.as_nanos());
    // SoftHSM's exit handlers have nothing to undo that the end of the process does not.
    std::process::exit(0);
}

fn find(session: &Session, credential: &str) -> ObjectHandle {
    let (key_type, modulus_octets) = match credential {
        "rsa2048" => (KeyType::RSA, Some(256)),
        "rsa3072" => (KeyType::RSA, Some(384)),
        _ => (KeyType::EC, None),
    };
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(key_type),
        Attribute::Sign(true),
    ];
    let found = session.find_objects(&template).expect("C_FindObjects");
    let curve_octets = if credential == "p384" { 7 } else { 10 };
    let fits = |key: &&ObjectHandle| {
        let wanted = [AttributeType::Modulus, AttributeType::EcParams];
        let attributes = session.get_attributes(**key, &wanted).unwrap_or_default();
        attributes.iter().any(|attribute| match attribute {
            Attribute::Modulus(modulus) => Some(modulus.len()) == modulus_octets,
            // The DER of the curve's OID: secp384r1 takes 7 octets, prime256v1 10; P-521's is not asked for.
            Attribute::EcParams(oid) => modulus_octets.is_none() && oid.len() == curve_octets,
            _ => false,
        })
    };
    *found.iter().find(fits).expect("a key of this kind")
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
