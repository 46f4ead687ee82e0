//! F10 and F27: the My Number card registers a phone, and changes it for another.

use super::APPROVE;
use super::PROVED;
use super::REGISTERED;
use super::Room;
use super::Shown;
use super::shown;
use crate::my_number::register;
use crate::my_number::two_readers;
use tests::support::browser::By;
use tests::support::browser::Transport;
use tests::support::pki::Validity;

/// The PC is led by the My Number card to the page with the QR code.
async fn begin(room: &Room) -> Shown {
    let jpki = room.desk.world.ports.jpki.port();
    let link = format!("a.go[href^='https://localhost:{jpki}/enrol']");
    room.pc.go(&room.origin()).await;
    room.pc.find(By::Css(&format!("details:has({link}) summary"))).await.click().await;
    for next in [&link, "form[action='/enrol'] button", "form[action*='/wait/'] button"] {
        room.pc.find(By::Css(next)).await.click().await;
    }
    shown(&room.pc).await
}

/// The PC asks for the same card again.
async fn confirm(room: &Room) {
    let jpki = room.desk.world.ports.jpki.port();
    let again = format!("a.go[href^='https://localhost:{jpki}/enrol/']");
    room.pc.find(By::Css(&again)).await.click().await;
    room.pc.find(APPROVE).await.click().await;
    room.pc.wait_for_text(REGISTERED).await;
}

#[tokio::test]
async fn f10_f27_my_number_card_registers_a_phone_and_changes_it() {
    let Some(mut room) = Room::open("jpki-phone").await else { return };
    let card = room.desk.world.pki.jpki.my_number_card("jpki-phone-card", Validity::CURRENT);
    let pc = two_readers(&room.desk, "jpki-phone-pc", &room.doctor, &card).start().await;
    register(&room.desk, &pc, "ja", async |_| {}).await;
    room.pc = pc;
    let passkey = room.phone.add_authenticator(Transport::Internal).await;
    let page = begin(&room).await;
    room.answer(&page).await;
    room.phone.wait_for_text(PROVED).await;
    confirm(&room).await;
    assert_eq!(room.phones().await, 1);

    // Once more: the card's page says what is registered, the phone that it needs no registration.
    let page = begin(&room).await;
    room.answer(&page).await;
    room.phone.wait_for_text("このスマートフォンは登録済みです").await;
    room.pc.back().await;
    room.pc.back().await;
    room.pc.find(By::Css("#replaces")).await;
    room.pc.screenshot("replaces").await;
    room.pc.forward().await;
    room.pc.forward().await;
    assert_eq!(shown(&room.pc).await, page);

    // Another phone in its place.
    passkey.remove().await;
    let _new = room.phone.add_authenticator(Transport::Internal).await;
    room.answer(&page).await;
    room.phone.wait_for_text(PROVED).await;
    confirm(&room).await;
    assert_eq!(room.phones().await, 1);
    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    room.answer(&page).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}
