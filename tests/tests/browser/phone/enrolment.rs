//! The card registers a phone.

use super::AGAIN_BY_CARD;
use super::APPROVE;
use super::DENY;
use super::PROVE;
use super::PROVED;
use super::REGISTERED;
use super::Room;
use super::assert_seen_together;
use super::shown;
use super::type_number;
use tests::support::browser::By;
use tests::support::browser::Transport;

const LABEL: By<'_> = By::Css("#label");

#[tokio::test]
async fn card_registers_a_phone_and_the_pc_says_so_by_itself() {
    let Some(room) = Room::open("enrol").await else { return };
    let passkey = room.phone.add_authenticator(Transport::Internal).await;
    let page = room.begin_enrolment().await;
    assert_seen_together(&room.pc).await;
    room.answer(&page).await;
    room.phone.wait_for_text(PROVED).await;
    // Both show one name, and nothing is registered yet.
    room.pc.find(AGAIN_BY_CARD).await;
    let label = room.pc.find(LABEL).await.text().await;
    assert!(room.phone.text().await.contains(&label), "{label}");
    assert_eq!(room.phones().await, 0);
    room.pc.screenshot("ask-card").await;
    room.pc.find(AGAIN_BY_CARD).await.click().await;
    room.pc.find(APPROVE).await;
    assert_eq!(room.pc.find(LABEL).await.text().await, label);
    room.pc.screenshot("confirm").await;
    room.pc.find(APPROVE).await.click().await;
    room.pc.wait_for_text(REGISTERED).await;
    let held = passkey.credentials().await;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0]["rpId"], "localhost");
    assert_eq!(room.phones().await, 1);
}

/// Scanners look at links before people do; whoever comes after the holder finds nothing.
#[tokio::test]
async fn link_that_was_looked_at_works_and_one_that_was_used_is_dead() {
    let Some(room) = Room::open("enrol-link").await else { return };
    let other = room.other_phone("enrol-link-other").await;
    let page = room.begin_enrolment().await;
    for _ in 0..3 {
        other.go(&page.url).await;
        other.find(PROVE).await;
    }
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.answer(&page).await;
    room.phone.wait_for_text(PROVED).await;

    // What the other had open is dead, and so is what it opens now.
    let stolen = other.add_authenticator(Transport::Internal).await;
    type_number(&other, &page.number).await;
    other.wait_for_text("このリンクは使えなくなりました").await;
    assert_eq!(stolen.credentials().await, [] as [serde_json::Value; 0]);
    other.go(&page.url).await;
    other.wait_for_text("このリンクは使えなくなりました").await;
    room.confirm().await;
    room.pc.wait_for_text(REGISTERED).await;
    assert_eq!(room.phones().await, 1);
}

#[tokio::test]
async fn phone_that_is_registered_is_told_so_and_a_new_one_takes_its_place() {
    let Some(room) = Room::open("enrol-again").await else { return };
    let passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let page = room.begin_enrolment().await;
    room.answer(&page).await;
    room.phone.wait_for_text("このスマートフォンは登録済みです").await;
    passkey.remove().await;
    let _new = room.phone.add_authenticator(Transport::Internal).await;
    room.answer(&page).await;
    room.phone.wait_for_text(PROVED).await;
    room.confirm().await;
    room.pc.wait_for_text(REGISTERED).await;
    assert_eq!(room.phones().await, 1);
}

#[tokio::test]
async fn refresh_and_back_do_not_break_an_enrolment() {
    let Some(room) = Room::open("enrol-back").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    let page = room.begin_enrolment().await;
    room.pc.refresh().await;
    assert_eq!(shown(&room.pc).await, page);
    room.pc.back().await;
    room.pc.screenshot("back").await;
    room.pc.forward().await;
    assert_eq!(shown(&room.pc).await, page);
    room.phone.go(&page.url).await;
    room.phone.refresh().await;
    room.phone.go(&room.origin()).await;
    room.phone.back().await;
    type_number(&room.phone, &page.number).await;
    room.phone.wait_for_text(PROVED).await;
    room.phone.refresh().await;
    room.phone.wait_for_text("このリンクは使えなくなりました").await;
    room.pc.find(AGAIN_BY_CARD).await;
    room.pc.refresh().await;
    room.pc.find(AGAIN_BY_CARD).await.click().await;
    room.pc.find(APPROVE).await;
    room.pc.back().await;
    room.pc.find(AGAIN_BY_CARD).await;
    room.confirm().await;
    room.pc.wait_for_text(REGISTERED).await;
    assert_eq!(room.phones().await, 1);
}

/// Somebody else's phone was quicker, or the wrong one was taken: the holder says no, and begins again.
#[tokio::test]
async fn phone_that_is_not_the_doctor_s_is_turned_down_at_the_pc() {
    let Some(room) = Room::open("enrol-no").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    let page = room.begin_enrolment().await;
    room.answer(&page).await;
    room.pc.find(AGAIN_BY_CARD).await.click().await;
    room.pc.find(DENY).await.click().await;
    room.pc.wait_for_text("登録しませんでした").await;
    assert_eq!(room.phones().await, 0);
}
