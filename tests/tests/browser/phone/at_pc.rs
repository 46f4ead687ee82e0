//! The PC's own browser reaches the registered phone, and nothing that is built into the PC.

use super::PROVE;
use super::Room;
use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use tests::support::browser::By;
use tests::support::browser::Transport;

pub const AT_PC: By<'_> = By::Css("form[action$='/phone'] button[value='pc']");

/// A browser that offers what is built in, whatever it was asked for.
const OFFER_ALL: &str = "const get = navigator.credentials.get.bind(navigator.credentials);
    navigator.credentials.get = ({ publicKey }) => {
        publicKey.hints = [];
        publicKey.allowCredentials.forEach((allowed) => { delete allowed.transports; });
        return get({ publicKey });
    };
    return true";

#[tokio::test]
async fn what_is_brought_signs_in_and_what_is_built_in_does_not() {
    let Some(room) = Room::open("at-pc").await else { return };
    let passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let mut held = passkey.credentials().await.remove(0);

    let built_in = room.pc.add_authenticator(Transport::Internal).await;
    built_in.add_credential(&held).await;
    let pending = room.ask_sign_in().await;
    room.pc.go(&pending.login_url).await;
    room.pc.find(AT_PC).await.click().await;
    room.pc.find(PROVE).await;
    if let Some(axe) = axe() {
        assert_no_barriers(&room.pc, axe, "at-pc").await;
    }
    room.pc.script(OFFER_ALL, &[]).await;
    room.pc.find(PROVE).await.click().await;
    room.pc.find(By::Css("#told:not([hidden])")).await;
    room.pc.wait_for_text("認証に失敗しました").await;
    built_in.remove().await;

    for transport in [Transport::Hybrid, Transport::Usb] {
        let brought = room.pc.add_authenticator(transport).await;
        brought.add_credential(&held).await;
        let pending = room.ask_sign_in().await;
        room.pc.go(&pending.login_url).await;
        room.pc.find(AT_PC).await.click().await;
        room.pc.find(PROVE).await.click().await;
        // The phone was added today, which is to be read before going on.
        room.pc.find(By::Css("#next:not([hidden]) a")).await.click().await;
        room.desk.sign_after_return(&room.pc, &pending).await;
        held = brought.credentials().await.remove(0);
        brought.remove().await;
    }
}
