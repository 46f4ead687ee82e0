//! The phone signs a doctor in at the PC.

use super::BY_PHONE;
use super::NUMBER;
use super::REGISTERED;
use super::Room;
use super::Shown;
use super::address;
use super::assert_seen_together;
use super::shown;
use super::type_number;
use crate::sign_in::assert_no_scripts;
use crate::sign_in::tab_stops;
use serde_json::json;
use tests::support::browser::By;
use tests::support::browser::ENTER;
use tests::support::browser::TAB;
use tests::support::browser::Transport;
use tests::support::browser::Wanted;

const FORGET_JSON: &str = "delete PublicKeyCredential.parseCreationOptionsFromJSON; \
    delete PublicKeyCredential.parseRequestOptionsFromJSON; delete PublicKeyCredential.prototype.toJSON; \
    return typeof PublicKeyCredential.parseCreationOptionsFromJSON";

#[tokio::test]
async fn phone_signs_in_at_the_pc_and_the_system_signs() {
    let Some(room) = Room::open("by-phone").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    for _ in 0..2 {
        let pending = room.ask_sign_in().await;
        let page = room.begin_sign_in(&pending).await;
        assert_seen_together(&room.pc).await;
        room.phone.go(&page.url).await;
        assert_eq!(room.phone.find(By::Css("#system")).await.text().await, "電子カルテ");
        assert_eq!(room.phone.find(By::Css("#holder")).await.text().await, room.doctor.holder_id);
        let terminal = room.phone.find(By::Css("#terminal")).await.text().await;
        assert!(terminal.contains("127.0.0.1") && terminal.contains("Linux"), "{terminal}");
        type_number(&room.phone, &page.number).await;
        room.phone.wait_for_text("認証しました").await;
        room.desk.sign_after_return(&room.pc, &pending).await;
        let cookies = room.pc.cookies().await;
        assert!(cookies.is_empty(), "the page's secret stays with its page: {cookies:?}");
    }
}

/// Browsers that do not read and write the JSON of WebAuthn level 3 leave it to the page's script.
#[tokio::test]
async fn phone_of_an_older_browser_is_registered_and_signs_in() {
    let Some(room) = Room::open("older").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    let pages = async |page: Shown| {
        room.phone.go(&page.url).await;
        assert_eq!(room.phone.script(FORGET_JSON, &[]).await, json!("undefined"));
        type_number(&room.phone, &page.number).await;
    };
    pages(room.begin_enrolment().await).await;
    room.confirm().await;
    room.pc.wait_for_text(REGISTERED).await;
    let pending = room.ask_sign_in().await;
    pages(room.begin_sign_in(&pending).await).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}

/// The id is typed where the signing system does not say who is to come; the number is as Japanese keyboards write it.
#[tokio::test]
async fn holder_types_id_and_number_with_the_keyboard_alone() {
    let Some(room) = Room::open("typed").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let pending = room.desk.ask_sign_in().await;
    room.pc.go(&pending.login_url).await;
    let stops = tab_stops(&room.pc).await;
    assert_eq!(
        stops,
        [
            "HPKI カードで認証",
            "",
            "スマートフォンで認証",
            "セキュリティキーまたはスマートフォンをこのパソコンで使って認証",
            "English"
        ]
    );
    room.pc.go(&pending.login_url).await;
    for _ in 0..2 {
        room.pc.press(TAB).await;
    }
    room.pc.focused().await.type_text(&format!(" {} ", room.doctor.holder_id)).await;
    room.pc.press(ENTER).await;
    let page = shown(&room.pc).await;
    assert_eq!(tab_stops(&room.pc).await, ["読み取れないとき", "English"]);

    room.phone.go(&page.url).await;
    room.phone.find(NUMBER).await;
    let stops = tab_stops(&room.phone).await;
    let sign_in = "このスマートフォンで認証";
    assert_eq!(stops, ["", sign_in, "心当たりがない", "English"]);
    let wide = |digit| char::from_u32(u32::from(digit) + 0xfee0).unwrap();
    let field = room.phone.find(NUMBER).await;
    field.type_text(&page.number.chars().map(wide).collect::<String>()).await;
    field.submit().await;
    room.phone.wait_for_text("認証しました").await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}

/// Without a return URL the number is on the asking screen, and that screen goes on.
#[tokio::test]
async fn number_of_the_asking_screen_is_typed_on_the_phone() {
    let Some(room) = Room::open("asking-screen").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let wanted = json!({ "holder": room.doctor.holder_id });
    let pending = room.desk.ehr.ask_sign_in_with(&wanted).await;
    let number = pending.number.clone().unwrap();
    room.pc.go(&pending.login_url).await;
    room.pc.find(BY_PHONE).await.click().await;
    room.pc.find(By::Css("svg.qr")).await;
    room.pc.screenshot("wait").await;
    assert!(!room.pc.text().await.contains(&number), "the phone would prove nothing");
    assert!(!room.pc.has(By::Css("#number")).await);
    room.phone.go(&address(&room.pc).await).await;
    room.phone.wait_for_text("依頼したシステムの画面に出ている番号").await;
    type_number(&room.phone, &number).await;
    room.phone.wait_for_text("認証しました").await;
    room.pc.wait_for_text("電子カルテ").await;
    room.pc.wait_for_text("画面に戻ってください").await;
    room.desk.ehr.activate(&pending.session_id, &number).await.expect(200);
}

/// Some hospitals switch scripts off.
#[tokio::test]
async fn pc_without_scripts_goes_on_by_itself() {
    let tune_pc = |pc: &mut Wanted<'_>| {
        pc.runs_scripts = false;
        pc.languages = "en-US,en";
    };
    let Some(room) = Room::open_with("no-scripts", tune_pc, |_| {}).await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    let page = room.begin_enrolment().await;
    assert_no_scripts(&room.pc).await;
    assert_eq!(room.pc.hidden_width().await, 0);
    room.answer(&page).await;
    room.confirm().await;
    room.pc.wait_for_text("The phone is registered").await;

    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    assert_eq!(room.pc.hidden_width().await, 0);
    room.answer(&page).await;
    room.desk.sign_after_return(&room.pc, &pending).await;
}

#[tokio::test]
async fn refresh_and_back_do_not_break_a_sign_in() {
    let Some(room) = Room::open("back").await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let pending = room.ask_sign_in().await;
    let page = room.begin_sign_in(&pending).await;
    room.pc.refresh().await;
    assert_eq!(shown(&room.pc).await, page);
    room.pc.back().await;
    room.pc.find(BY_PHONE).await;
    room.pc.forward().await;
    assert_eq!(shown(&room.pc).await, page);
    // Another code from the page before: this one counts, and the first is not forgotten.
    room.pc.back().await;
    room.pc.find(BY_PHONE).await.click().await;
    let second = shown(&room.pc).await;
    assert_ne!(second, page);
    room.phone.go(&page.url).await;
    room.phone.refresh().await;
    room.phone.go(&second.url).await;
    room.phone.back().await;
    room.phone.forward().await;
    type_number(&room.phone, &second.number).await;
    room.phone.wait_for_text("認証しました").await;
    room.phone.refresh().await;
    room.phone.wait_for_text("このリンクは使えなくなりました").await;
    room.desk.sign_after_return(&room.pc, &pending).await;
    // Browsers may ask for the page before again, or show it as it was; its button leads nowhere any more.
    room.pc.back().await;
    let is_over = async || room.pc.text().await.contains("このリンクは使えなくなりました");
    let is_back = async || (room.pc.has(BY_PHONE).await || is_over().await).then_some(());
    room.pc.wait_for("page before", is_back).await;
    if room.pc.has(BY_PHONE).await {
        room.pc.find(BY_PHONE).await.click().await;
    }
    room.pc.wait_for_text("このリンクは使えなくなりました").await;
}
