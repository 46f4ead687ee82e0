//! A whole registration and a whole sign-in by nothing but keys.

use super::PROVED;
use super::REGISTERED;
use super::Room;
use super::Shown;
use super::shown;
use tests::support::browser::Browser;
use tests::support::browser::ENTER;
use tests::support::browser::TAB;
use tests::support::browser::Transport;

/// Keys on the way to what is wanted: no page has more places.
const STOPS: usize = 20;

/// Goes by Tab to what says `text`, and presses Enter. Every stop is seen to have the keyboard.
async fn press(browser: &Browser, text: &str) {
    browser.wait_for_text(text).await;
    for _ in 0..STOPS {
        browser.press(TAB).await;
        let focused = browser.focused().await;
        let found = focused.text().await;
        assert_ne!(focused.style("outline-style").await, "none", "{found}");
        if found == text {
            return browser.press(ENTER).await;
        }
    }
    panic!("no Tab leads to {text}");
}

/// The phone follows the QR code; the number is typed, and sent by Enter.
async fn answer(phone: &Browser, page: &Shown) {
    phone.go(&page.url).await;
    phone.wait_for_text("ご自身が今").await;
    for _ in 0..STOPS {
        phone.press(TAB).await;
        let focused = phone.focused().await;
        if focused.attribute("name").await.as_deref() == Some("number") {
            for digit in page.number.chars() {
                phone.press(digit).await;
            }
            return phone.press(ENTER).await;
        }
    }
    panic!("no Tab leads to the number");
}

#[tokio::test]
async fn phone_is_registered_and_signs_in_by_keys_alone() {
    let Some(room) = Room::open("keys").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.pc.go(&room.origin()).await;
    for button in ["HPKI カードで登録", "はい、登録を始める", "QR コードを表示する"]
    {
        press(&room.pc, button).await;
    }
    answer(&room.phone, &shown(&room.pc).await).await;
    room.phone.wait_for_text(PROVED).await;
    press(&room.pc, "カードで確認する").await;
    press(&room.pc, "登録する").await;
    room.pc.wait_for_text(REGISTERED).await;

    let pending = room.ask_sign_in().await;
    room.pc.go(&pending.login_url).await;
    press(&room.pc, "スマートフォンで認証").await;
    answer(&room.phone, &shown(&room.pc).await).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}
