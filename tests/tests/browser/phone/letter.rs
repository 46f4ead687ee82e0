//! A notification card: no PC and no card, two sheets and a phone.

use super::AGAIN;
use super::PROVE;
use super::REGISTERED;
use super::Room;
use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use tests::support::admin;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Transport;
use tests::support::browser::Wanted;
use tests::support::letter::Sheets;
use tests::support::letter::issue;
use tests::support::letter::issue_unfetched;

const PASSWORD: By<'_> = By::Css("input[name='password']");

async fn type_password(phone: &Browser, password: &str) {
    let field = phone.find(PASSWORD).await;
    field.type_text(password).await;
    field.submit().await;
}

/// The sheet's link, in the browser of a phone; barriers are looked for where the rules can be had.
struct Letter<'r> {
    room: &'r Room,
    sheets: Sheets,
}

impl Letter<'_> {
    async fn open(&self) {
        self.room.phone.go(&format!("{}{}", self.room.origin(), self.sheets.path)).await;
    }

    async fn look(&self, page: &str) {
        match axe() {
            Some(axe) => assert_no_barriers(&self.room.phone, axe, page).await,
            None => self.room.phone.screenshot(page).await,
        }
    }
}

#[tokio::test]
async fn phone_is_registered_by_two_sheets_and_pages_have_no_barriers() {
    let tune = |phone: &mut Wanted<'_>| phone.screen = Screen::NARROW;
    let Some(room) = Room::open_with("letter", |_| {}, tune).await else { return };
    let passkey = room.phone.add_authenticator(Transport::Internal).await;
    let sheets = issue(room.desk.world, &room.doctor.holder_id).await;
    let letter = Letter { room: &room, sheets };
    letter.open().await;
    letter.look("password").await;
    type_password(&room.phone, &letter.sheets.wrong()).await;
    room.phone.wait_for_text("パスワードが違います").await;
    room.phone.wait_for_text("あと 4 回").await;
    letter.look("wrong").await;
    // As a phone's keyboard may write it.
    type_password(&room.phone, &letter.sheets.password.to_lowercase().replace('-', "　")).await;
    room.phone.wait_for_text("このスマートフォンを登録しますか").await;
    assert_eq!(room.phone.find(By::Css("#holder")).await.text().await, room.doctor.holder_id);
    assert_eq!(room.phone.find(PROVE).await.text().await, "登録");
    letter.look("register").await;
    // F14: not verified, and once more within the same card; also after the page was loaded again.
    passkey.set_user_verified(false).await;
    room.phone.find(PROVE).await.click().await;
    room.phone.wait_for_text("セキュリティーキーによる認証に失敗しました。").await;
    assert_eq!(room.phone.find(AGAIN).await.text().await, "再試行してください");
    letter.look("failed").await;
    room.phone.find(AGAIN).await.click().await;
    room.phone.wait_for_text("セキュリティーキーによる認証に失敗しました。").await;
    room.phone.refresh().await;
    passkey.set_user_verified(true).await;
    room.phone.find(PROVE).await.click().await;
    room.phone.wait_for_text(REGISTERED).await;
    letter.look("done").await;
    room.phone.refresh().await;
    room.phone.wait_for_text(REGISTERED).await;
    assert_eq!(room.phones().await, 1);
    assert_eq!(passkey.credentials().await.len(), 1);
    // Another browser finds nothing.
    let other = room.other_phone("letter-other").await;
    other.go(&format!("{}{}", room.origin(), letter.sheets.path)).await;
    other.wait_for_text("この通知カードは使えません").await;
    other.screenshot("over").await;
}

/// What operators print, as a browser shows it.
#[tokio::test]
async fn printed_sheets_are_pages_of_their_own() {
    let Some(room) = Room::open("letter-sheets").await else { return };
    let world = room.desk.world;
    let holder = room.doctor.holder_id.clone();
    let letter_id = issue_unfetched(world, &holder).await;
    for (operator, name) in [(&world.pki.registrar, "link"), (&world.pki.officer2, "password")] {
        let line = format!("POST /letters/{letter_id}/sheet");
        let sheet = admin::ask(world, operator, &line, None).await.expect(200).json();
        let page = api::sheet::html(&serde_json::from_value(sheet).unwrap()).unwrap();
        let file = world.folder.join(format!("{name}.html"));
        std::fs::write(&file, page).unwrap();
        room.pc.go(&format!("file://{}", file.display())).await;
        room.pc.wait_for_text("通知カード").await;
        room.pc.wait_for_text(&holder).await;
        if let Some(axe) = axe() {
            assert_no_barriers(&room.pc, axe, name).await;
        }
        room.pc.screenshot(name).await;
        std::fs::remove_file(&file).unwrap();
    }
}
