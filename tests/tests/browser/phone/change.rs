//! F25: the doctor changes to another phone with the one they have.

use super::APPROVE;
use super::DENY;
use super::PROVE;
use super::REGISTERED;
use super::Room;
use super::Shown;
use super::shown;
use super::type_number;
use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use tests::support::browser::By;
use tests::support::browser::Transport;

const QUESTION: &str =
    "デバイスがすでに登録済みとなっています。現在のデバイスを削除して再度登録をし直しますか?";

/// The PC is led from the portal's first page to the code for the old phone.
async fn begin(room: &Room) -> Shown {
    room.pc.go(&room.origin()).await;
    room.pc.find(By::Css("details:has(form[action='/change']) summary")).await.click().await;
    let typed = room.pc.find(By::Css("form[action='/change'] input[name='holder_id']")).await;
    typed.type_text(&room.doctor.holder_id).await;
    room.pc.find(By::Css("form[action='/change'] button")).await.click().await;
    shown(&room.pc).await
}

#[tokio::test]
async fn f25_old_phone_gives_itself_up_for_the_new_one() {
    let Some(room) = Room::open("change").await else { return };
    let _old = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let page = begin(&room).await;
    room.phone.go(&page.url).await;
    room.phone.find(PROVE).await;
    if let Some(axe) = axe() {
        assert_no_barriers(&room.phone, axe, "change-phone").await;
    }
    type_number(&room.phone, &page.number).await;
    room.phone.wait_for_text("処理が完了しました").await;
    room.pc.wait_for_text(QUESTION).await;
    if let Some(axe) = axe() {
        assert_no_barriers(&room.pc, axe, "ask-change").await;
    }
    room.pc.refresh().await;
    room.pc.find(APPROVE).await.click().await;
    let next = shown(&room.pc).await;
    assert_ne!(next, page);

    let new = room.other_phone("change-new").await;
    let _key = new.add_authenticator(Transport::Internal).await;
    new.go(&next.url).await;
    type_number(&new, &next.number).await;
    new.wait_for_text("今までのスマートフォンでもう一度").await;
    room.pc.wait_for_text("今お使いのスマートフォンでもう一度確認してください").await;
    let again = shown(&room.pc).await;
    assert_ne!(again, next);
    room.phone.go(&again.url).await;
    room.phone.find(PROVE).await;
    if let Some(axe) = axe() {
        assert_no_barriers(&room.phone, axe, "confirm-change").await;
        assert_no_barriers(&room.pc, axe, "wait-again").await;
    }
    type_number(&room.phone, &again.number).await;
    room.phone.wait_for_text("変更が完了しました").await;
    room.pc.wait_for_text(REGISTERED).await;
    assert_eq!(room.phones().await, 1);

    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    new.go(&page.url).await;
    type_number(&new, &page.number).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}

#[tokio::test]
async fn doctor_who_says_no_keeps_the_phone() {
    let Some(room) = Room::open("change-no").await else { return };
    let _phone = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let page = begin(&room).await;
    room.answer(&page).await;
    room.pc.find(DENY).await.click().await;
    room.pc.wait_for_text("変更しませんでした").await;
    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    room.answer(&page).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}
