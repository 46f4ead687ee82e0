//! WebAuthn works on the host of the daemon, in the test's browsers: what passkey pages will rest on.

use crate::desk::Desk;
use serde_json::Value;
use serde_json::json;
use tests::support::browser::Browser;
use tests::support::browser::Screen;
use tests::support::browser::Transport;
use tests::support::browser::Wanted;

const CREATE: &str = r#"
    const bytes = (text) => new TextEncoder().encode(text);
    return navigator.credentials.create({ publicKey: {
        rp: { id: "localhost", name: "Inkan" },
        user: { id: bytes("u-17"), name: "u-17", displayName: "医師 太郎" },
        challenge: bytes("0123456789abcdef"),
        pubKeyCredParams: [{ type: "public-key", alg: -7 }],
        authenticatorSelection: { residentKey: "required", userVerification: "required" },
    } }).then((made) => made.id, (error) => error.name);
"#;
const USE: &str = r#"
    const bytes = (text) => new TextEncoder().encode(text);
    return navigator.credentials.get({ publicKey: {
        rpId: "localhost", challenge: bytes("fedcba9876543210"), userVerification: "required",
    } }).then((used) => ({
        id: used.id,
        client_data: new TextDecoder().decode(used.response.clientDataJSON),
        flags: new Uint8Array(used.response.authenticatorData)[32],
    }), (error) => error.name);
"#;
/// Authenticator data flags (WebAuthn Level 3 §6.1): user present, user verified.
const PRESENT_AND_VERIFIED: u64 = 0b101;

#[tokio::test]
async fn passkey_is_made_and_used_on_the_daemon_s_host() {
    let Some(desk) = Desk::open("passkeys").await else { return };
    let pki = &desk.world.pki;
    let phone = Wanted { screen: Screen::PHONE, ..Wanted::new("passkeys-phone", pki) };
    let pc = Wanted::new("passkeys-pc", pki);
    let (phone, pc) = tokio::join!(phone.start(), pc.start());
    let pending = desk.ask_sign_in().await;
    tokio::join!(phone.go(&pending.login_url), pc.go(&pending.login_url));

    let passkey = phone.add_authenticator(Transport::Internal).await;
    let id = phone.script(CREATE, &[]).await;
    let held = passkey.credentials().await;
    assert_eq!(held.len(), 1, "{id}");
    assert_eq!(held[0]["credentialId"], id);
    assert_eq!(held[0]["rpId"], "localhost");
    let used = phone.script(USE, &[]).await;
    assert_eq!(used["id"], id);
    assert_eq!(used["flags"].as_u64().unwrap() & PRESENT_AND_VERIFIED, PRESENT_AND_VERIFIED);
    let client_data: Value = serde_json::from_str(used["client_data"].as_str().unwrap()).unwrap();
    assert_eq!(client_data["origin"], origin(&pending.login_url));
    assert_eq!(client_data["type"], "webauthn.get");

    // The right finger is asked for; a stranger's is not it.
    passkey.set_user_verified(false).await;
    assert_eq!(phone.script(USE, &[]).await, "NotAllowedError");
    passkey.set_user_verified(true).await;

    // The PC is another machine: nothing of the phone is there, until its security key holds a copy.
    let key = pc.add_authenticator(Transport::Usb).await;
    assert_eq!(key.credentials().await, [] as [Value; 0]);
    key.add_credential(&passkey.credentials().await[0]).await;
    assert_eq!(pc.script(USE, &[]).await["id"], id);
    key.remove_credential(id.as_str().unwrap()).await;
    assert_eq!(key.credentials().await, [] as [Value; 0]);
    key.remove().await;
    passkey.remove().await;
    assert_eq!(has_built_in_authenticator(&phone).await, json!(false));
}

async fn has_built_in_authenticator(browser: &Browser) -> Value {
    let ask = "return PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable()";
    browser.script(ask, &[]).await
}

fn origin(url: &str) -> &str {
    url.split_once("/login/").unwrap().0
}
