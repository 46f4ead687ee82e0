//! The phone shows what it is to approve, one by one.

use super::Room;
use super::type_number;
use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use crate::once::entries;
use serde_json::json;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Transport;

#[tokio::test]
async fn list_of_the_longest_is_read_and_allowed_on_the_narrowest_phone() {
    let narrow = |phone: &mut tests::support::browser::Wanted<'_>| phone.screen = Screen::NARROW;
    let Some(room) = Room::open_with("once-phone", |_| {}, narrow).await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    let entries = entries(&room.doctor.credential_id);
    let wanted = json!({
        "holder": room.doctor.holder_id, "return_url": room.desk.return_url, "purpose": "once",
        "entries": entries,
    });
    let pending = room.desk.ehr.ask_sign_in_with(&wanted).await;
    let page = room.begin_sign_in(&pending).await;
    assert!(!room.pc.text().await.contains("処方箋"), "the PC's page tells what is signed");
    for language in ["en", "ja"] {
        room.phone.go(&format!("{}?lang={language}", page.url)).await;
        if let Some(axe) = axe() {
            assert_no_barriers(&room.phone, axe, &format!("ask-{language}")).await;
        }
        assert_eq!(room.phone.hidden_width().await, 0);
    }
    let last = room.phone.find(By::Css(".entries li:last-child")).await.text().await;
    assert_eq!(entries[19]["label"], last.as_str());
    type_number(&room.phone, &page.number).await;
    let url = room.pc.wait_for_url(&room.desk.return_url).await;
    let code = url.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let active = room.desk.ehr.activate(&pending.session_id, code).await.expect(200).json();
    assert_eq!((&active["purpose"], &active["remaining_entries"]), (&json!("once"), &json!(20)));
}
