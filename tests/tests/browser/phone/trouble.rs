//! What goes wrong on the phone, and how one goes on.

use super::AGAIN;
use super::NUMBER;
use super::REFUSE;
use super::REGISTERED;
use super::Room;
use super::Shown;
use super::type_number;
use super::wrong;
use tests::support::browser::Transport;

const NOT_VERIFIED: &str = "セキュリティーキーによる認証に失敗しました。";

/// F14
#[tokio::test]
async fn f14_user_who_is_not_verified_tries_again_with_the_same_link() {
    let Some(room) = Room::open("f14").await else { return };
    let passkey = room.phone.add_authenticator(Transport::Internal).await;
    let retry = async || {
        room.phone.wait_for_text(NOT_VERIFIED).await;
        assert_eq!(room.phone.find(AGAIN).await.text().await, "再試行してください");
        passkey.set_user_verified(true).await;
        room.phone.find(AGAIN).await.click().await;
    };
    passkey.set_user_verified(false).await;
    let page = room.begin_enrolment().await;
    room.answer(&page).await;
    retry().await;
    room.confirm().await;
    room.pc.wait_for_text(REGISTERED).await;
    assert_eq!(room.phones().await, 1);

    passkey.set_user_verified(false).await;
    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    room.answer(&page).await;
    room.phone.wait_for_text(NOT_VERIFIED).await;
    // The same link, opened again, is as good as the button.
    room.answer(&page).await;
    retry().await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}

#[tokio::test]
async fn number_wrong_five_times_ends_the_page() {
    let Some(room) = Room::open("wrong-number").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    room.answer(&Shown { number: wrong(&page.number), ..page }).await;
    for _ in 0..4 {
        room.phone.wait_for_text("番号が違います").await;
        room.phone.find(AGAIN).await.click().await;
        // The field is empty and has the keyboard.
        room.phone.find(NUMBER).await;
        room.phone.focused().await.type_text("wrong").await;
        room.phone.focused().await.submit().await;
    }
    room.phone.wait_for_text("番号の間違いが上限に達しました").await;
    assert!(!room.phone.text().await.contains("再試行"));
    room.pc.wait_for_text("番号の間違いが上限に達したため").await;
    // That was one page: the doctor begins another.
    let page = room.begin_sign_in(&pending).await;
    room.answer(&page).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}

#[tokio::test]
async fn holder_who_says_no_on_the_phone_ends_it_on_the_pc() {
    let Some(room) = Room::open("no").await else { return };
    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    room.phone.go(&page.url).await;
    room.phone.find(REFUSE).await.click().await;
    room.phone.wait_for_text("断りました").await;
    room.pc.wait_for_text("断られた、").await;
    assert_eq!(room.desk.ehr.state(&pending.session_id).await, "denied");
}

#[tokio::test]
async fn phone_without_a_passkey_of_this_doctor_is_told_and_nothing_is_lost() {
    let Some(room) = Room::open("stranger").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let other = room.other_phone("stranger-other").await;
    let _empty = other.add_authenticator(Transport::Internal).await;
    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    other.go(&page.url).await;
    type_number(&other, &page.number).await;
    other.wait_for_text(NOT_VERIFIED).await;
    room.answer(&page).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}
