//! Every page of the portal in both languages: axe-core's rules, nothing beyond the screen's edge, and a picture of each.

use super::AGAIN;
use super::AGAIN_BY_CARD;
use super::APPROVE;
use super::BY_PHONE;
use super::NUMBER;
use super::PROVE;
use super::REFUSE;
use super::Room;
use super::Shown;
use super::shown;
use super::type_number;
use super::wrong;
use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use crate::own_page::open_page;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Transport;
use tests::support::browser::Wanted;

/// The rules, and the language in which pages are looked at.
#[derive(Clone, Copy)]
struct Look {
    axe: &'static str,
    language: &'static str,
}

impl Look {
    async fn at(self, browser: &Browser, page: &str) {
        let shown = browser.find(By::Css("html")).await.attribute("lang").await;
        assert_eq!(shown.as_deref(), Some(self.language), "{page}");
        let step = format!("{page}-{}", self.language);
        assert_no_barriers(browser, self.axe, &step).await;
    }

    /// The same page in the language of this look.
    async fn go(self, browser: &Browser, url: &str) {
        browser.go(&format!("{url}?lang={}", self.language)).await;
    }
}

#[tokio::test]
async fn pages_for_japanese_phones_have_no_barriers() {
    walk("ja", Screen::PC, Screen::PHONE).await;
}

#[tokio::test]
async fn pages_for_narrow_english_phones_have_no_barriers() {
    walk("en", Screen::NARROW, Screen::NARROW).await;
}

/// The language is chosen on the first page alone; browsers prefer another.
async fn walk(language: &'static str, pc_screen: Screen, phone_screen: Screen) {
    let Some(axe) = axe() else { return };
    let other = if language == "ja" { "en" } else { "ja" };
    let name = format!("portal-{language}");
    let tune_phone = |phone: &mut Wanted<'_>| {
        phone.screen = phone_screen;
        phone.languages = other;
    };
    let tune_pc = |pc: &mut Wanted<'_>| {
        pc.screen = pc_screen;
        pc.languages = other;
    };
    let Some(room) = Room::open_with(&name, tune_pc, tune_phone).await else { return };
    let look = Look { axe, language };
    enrolment(&room, look).await;
    replacement(&room, look).await;
    sign_in(&room, look).await;
    refusal(&room, look).await;
}

async fn enrolment(room: &Room, look: Look) {
    let Room { pc, phone, .. } = room;
    let passkey = phone.add_authenticator(Transport::Internal).await;
    look.go(pc, &format!("{}/", room.origin())).await;
    look.at(pc, "index").await;
    let page = enrol_on_pc(room, look, "").await;
    look.go(phone, &page.url).await;
    phone.find(PROVE).await;
    look.at(phone, "enrol").await;
    type_number(phone, &wrong(&page.number)).await;
    phone.find(AGAIN).await;
    wait_until_shown(phone, "#told").await;
    look.at(phone, "wrong-number").await;
    phone.find(AGAIN).await.click().await;
    passkey.set_user_verified(false).await;
    type_number(phone, &page.number).await;
    wait_until_shown(phone, "#failed").await;
    look.at(phone, "failed").await;
    passkey.set_user_verified(true).await;
    phone.find(AGAIN).await.click().await;
    wait_until_shown(phone, "#told").await;
    look.at(phone, "proved").await;
    let again = pc.find(AGAIN_BY_CARD).await;
    look.at(pc, "ask-card").await;
    again.click().await;
    let approve = pc.find(APPROVE).await;
    look.at(pc, "confirm-enrol").await;
    approve.click().await;
    wait_until_left(pc, "form").await;
    look.at(pc, "enrolled").await;
}

/// With a phone that is registered already.
async fn replacement(room: &Room, look: Look) {
    let Room { pc, phone, .. } = room;
    look.go(pc, &format!("{}/", room.origin())).await;
    let page = enrol_on_pc(room, look, "again-").await;
    look.go(phone, &page.url).await;
    phone.find(PROVE).await;
    look.at(phone, "enrol-again").await;
    type_number(phone, &page.number).await;
    wait_until_shown(phone, "#registered").await;
    look.at(phone, "registered").await;
}

async fn enrol_on_pc(room: &Room, look: Look, prefix: &str) -> Shown {
    let pc = &room.pc;
    pc.find(By::Css("a.go")).await.click().await;
    let begin = pc.find(By::Css("form[action='/enrol'] button")).await;
    look.at(pc, &format!("{prefix}enrol")).await;
    begin.click().await;
    let show = pc.find(By::Css("form[action*='/wait/'] button")).await;
    look.at(pc, &format!("{prefix}enrol-started")).await;
    show.click().await;
    let page = shown(pc).await;
    look.at(pc, &format!("{prefix}enrol-wait")).await;
    page
}

async fn sign_in(room: &Room, look: Look) {
    let Room { desk, pc, phone, .. } = room;
    let anybody = desk.ask_sign_in().await;
    look.go(pc, &anybody.login_url).await;
    pc.find(BY_PHONE).await;
    look.at(pc, "choice-typed").await;
    let pending = room.ask_sign_in().await;
    look.go(pc, &pending.login_url).await;
    let by_phone = pc.find(BY_PHONE).await;
    look.at(pc, "choice").await;
    by_phone.click().await;
    let page = shown(pc).await;
    look.at(pc, "wait").await;
    pc.find(By::Css("summary")).await.click().await;
    look.at(pc, "wait-address").await;
    look.go(phone, &page.url).await;
    phone.find(NUMBER).await;
    look.at(phone, "sign-in").await;
    type_number(phone, &page.number).await;
    wait_until_shown(phone, "#told").await;
    look.at(phone, "signed-in").await;
    desk.sign_after_return(pc, &pending).await;
    look.go(phone, &page.url).await;
    look.at(phone, "link-over").await;
}

async fn refusal(room: &Room, look: Look) {
    let Room { pc, phone, .. } = room;
    let pending = room.ask_sign_in().await;
    look.go(pc, &pending.login_url).await;
    pc.find(BY_PHONE).await.click().await;
    let page = shown(pc).await;
    look.go(phone, &page.url).await;
    phone.find(REFUSE).await.click().await;
    wait_until_left(phone, "#ask").await;
    look.at(phone, "refused").await;
    wait_until_left(pc, ".steps").await;
    look.at(pc, "refused").await;
}

/// The holder's own pages, with a phone that can be removed.
#[tokio::test]
async fn own_pages_have_no_barriers_on_a_narrow_screen() {
    let Some(axe) = axe() else { return };
    let narrow = |pc: &mut Wanted<'_>| pc.screen = Screen::NARROW;
    let Some(room) = Room::open_with("own-narrow", narrow, |_| {}).await else { return };
    let _passkey = room.phone.add_authenticator(Transport::Internal).await;
    room.enrol().await;
    open_page(&room.desk, &room.pc).await;
    for language in ["ja", "en"] {
        let look = Look { axe, language };
        let own_page = format!("{}/me", room.origin());
        look.go(&room.pc, &own_page).await;
        look.at(&room.pc, "me").await;
        for (link, page) in
            [("a[href^='/me/devices/']", "device"), ("a[href^='/me/sig']", "signed")]
        {
            room.pc.find(By::Css(link)).await.click().await;
            room.pc.find(By::Css("a[href^='/me?']")).await;
            look.at(&room.pc, page).await;
            look.go(&room.pc, &own_page).await;
        }
    }
}

async fn wait_until_shown(browser: &Browser, selector: &str) {
    let shown = format!("{selector}:not([hidden])");
    browser.find(By::Css(&shown)).await;
}

/// The page that had this is left, and the next one is there.
async fn wait_until_left(browser: &Browser, had: &str) {
    browser.find(By::Css(&format!("body:not(:has({had})) h1"))).await;
}
