//! A security key at the PC: registered by the card, told from what is built in, and used to sign in.

use super::AGAIN_BY_CARD;
use super::APPROVE;
use super::PROVE;
use super::Room;
use super::at_pc::AT_PC;
use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use tests::support::browser::By;
use tests::support::browser::Transport;

const ON: By<'_> = By::Css("#next:not([hidden]) a");

/// A browser that registers what is built in, whatever it was asked for.
const OFFER_ALL: &str = "const create = navigator.credentials.create.bind(navigator.credentials);
    navigator.credentials.create = ({ publicKey }) => {
        publicKey.hints = [];
        delete publicKey.authenticatorSelection.authenticatorAttachment;
        return create({ publicKey });
    };
    return true";

impl Room {
    /// The PC is led by the card to the page that asks for a security key.
    async fn begin_key(&self) {
        self.pc.go(&self.origin()).await;
        self.pc
            .script(
                "document.querySelectorAll('details').forEach((one) => { one.open = true; })",
                &[],
            )
            .await;
        for next in [
            "a.go[href*='/enrol-key']",
            "form[action='/enrol-key'] button",
            "form[action*='/wait/'] button",
        ] {
            self.pc.find(By::Css(next)).await.click().await;
        }
        self.pc.find(PROVE).await;
    }
}

#[tokio::test]
async fn key_is_registered_by_the_card_and_signs_in_and_what_is_built_in_is_refused() {
    let Some(room) = Room::open("security-key").await else { return };
    let built_in = room.pc.add_authenticator(Transport::Internal).await;
    room.begin_key().await;
    if let Some(axe) = axe() {
        assert_no_barriers(&room.pc, axe, "security-key").await;
    }
    room.pc.script(OFFER_ALL, &[]).await;
    room.pc.find(PROVE).await.click().await;
    room.pc.wait_for_text("これは登録できません").await;
    assert_eq!(room.phones().await, 0);
    built_in.remove().await;

    let key = room.pc.add_authenticator(Transport::Usb).await;
    room.pc.find(ON).await.click().await;
    room.pc.find(PROVE).await.click().await;
    room.pc.wait_for_text("セキュリティキーを確認しました").await;
    assert_eq!(room.phones().await, 0, "before the card is shown again");
    room.pc.find(AGAIN_BY_CARD).await.click().await;
    room.pc.find(APPROVE).await.click().await;
    room.pc.wait_for_text("セキュリティキーの登録が完了しました").await;
    assert_eq!(room.phones().await, 1);
    assert_eq!(key.credentials().await.len(), 1);

    let pending = room.ask_sign_in().await;
    room.pc.go(&pending.login_url).await;
    room.pc.find(AT_PC).await.click().await;
    room.pc.find(PROVE).await.click().await;
    room.pc.find(ON).await;
    room.pc.wait_for_text("セキュリティキー").await;
    room.pc.find(ON).await.click().await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}
