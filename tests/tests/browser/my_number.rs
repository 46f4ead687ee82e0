//! A doctor registers a My Number card with the HPKI card, signs in with it, changes it for another, and is told why one does
//! not do.

use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use crate::desk::Desk;
use tests::support::browser;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Wanted;
use tests::support::doctor::Doctor;
use tests::support::ehr::Pending;
use tests::support::jpki_vouching::vouch;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::world::Plan;
use tests::support::world::World;

const APPROVE: By<'_> = By::Css("button[value=approve]");
const BY_MY_NUMBER: By<'_> = By::Css("form:has(input[value=jpki]) button");
const EXCHANGE: By<'_> = By::Css("form[action*='/link/']:not([action$='/confirm']) button");
const CONFIRM: By<'_> = By::Css("form[action$='/confirm'] button");
const DONE: &str = "マイナンバーカードの登録が完了しました。ブラウザを終了してください。";

/// One reader for each card, so that nobody has to exchange them.
pub fn two_readers<'a>(
    desk: &'a Desk,
    name: &'a str,
    doctor: &'a Doctor,
    card: &'a Pair,
) -> Wanted<'a> {
    Wanted {
        card: Some(&doctor.card),
        other_card: Some((card, desk.world.ports.jpki.port())),
        ..Wanted::new(name, &desk.world.pki)
    }
}

/// From the portal's first page to the one that says it is done; `look` sees each.
pub async fn register(desk: &Desk, browser: &Browser, language: &str, look: impl AsyncFn(&str)) {
    let portal = desk.world.ports.portal.port();
    browser.go(&format!("https://localhost:{portal}/?lang={language}")).await;
    browser.find(By::Css("details:has(a[href*='/link']) summary")).await.click().await;
    look("entry").await;
    browser.find(By::Css("a[href*='/link']")).await.click().await;
    let begin = browser.find(By::Css("form[action='/link'] button")).await;
    look("hpki").await;
    begin.click().await;
    for (page, button) in [("swap", EXCHANGE), ("confirm", CONFIRM)] {
        browser.find(button).await;
        // Loading it again changes nothing and asks nobody to send a form again.
        browser.refresh().await;
        let next = browser.find(button).await;
        look(page).await;
        next.click().await;
    }
    browser.find(By::Css("a.go[href*='/enrol/']")).await;
    browser.refresh().await;
    let again = browser.find(By::Css("a.go[href*='/enrol/']")).await;
    look("ask-card").await;
    again.click().await;
    let approve = browser.find(APPROVE).await;
    look("confirm-again").await;
    approve.click().await;
    browser.find(By::Css("body:not(:has(form)) h1")).await;
    look("done").await;
}

/// The sign-in's page of the My Number card, or why there is none.
async fn open_by_my_number(browser: &Browser, pending: &Pending) {
    browser.go(&pending.login_url).await;
    browser.find(BY_MY_NUMBER).await.click().await;
}

#[tokio::test]
async fn card_is_registered_on_the_portal_and_signs_in_at_the_system() {
    let Some(desk) = Desk::open_with("my-number", &["hpki", "jpki", "fido2"]).await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let card = desk.world.pki.jpki.my_number_card("997794E9AGCIEG", Validity::CURRENT);
    let browser = two_readers(&desk, "my-number", &doctor, &card).start().await;
    register(&desk, &browser, "ja", async |page| {
        browser.screenshot(page).await;
        if page == "hpki" {
            let holder_id = browser.find(By::Css("#holder-id")).await.text().await;
            assert_eq!(holder_id, doctor.holder_id);
        }
    })
    .await;
    browser.find(By::Text(DONE)).await;
    let pending = desk.ask_sign_in().await;
    open_by_my_number(&browser, &pending).await;
    browser.find(APPROVE).await.click().await;
    desk.sign_after_return(&browser, &pending).await;
}

#[tokio::test]
async fn pages_for_my_number_cards_have_no_barriers() {
    let Some(axe) = axe() else { return };
    let Some(desk) = Desk::open_with("axe-jpki", &["hpki", "jpki"]).await else { return };
    for (language, screen) in [("ja", Screen::NARROW), ("en", Screen::PC)] {
        let doctor = desk.world.new_doctor(Validity::CURRENT).await;
        let name = format!("axe-jpki-{language}");
        let card = desk.world.pki.jpki.my_number_card(&name, Validity::CURRENT);
        let wanted = Wanted { screen, ..two_readers(&desk, &name, &doctor, &card) };
        let browser = wanted.start().await;
        let look = async |page: &str| assert_no_barriers(&browser, axe, page).await;
        register(&desk, &browser, language, &look).await;
        let pending = desk.ask_sign_in().await;
        browser.go(&format!("{}?lang={language}", pending.login_url)).await;
        look("choice").await;
        browser.find(BY_MY_NUMBER).await.click().await;
        browser.find(APPROVE).await;
        look("sign-in").await;
    }
}

/// One reader and one card that never leaves it.
#[tokio::test]
async fn card_that_is_left_in_the_reader_is_asked_for_again() {
    let Some(desk) = Desk::open("jpki-left").await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let wanted = Wanted {
        card: Some(&doctor.card),
        screen: Screen::NARROW,
        ..Wanted::new("jpki-left", &desk.world.pki)
    };
    let browser = wanted.start().await;
    browser.go(&format!("https://localhost:{}/link", desk.world.ports.hpki.port())).await;
    browser.find(By::Css("form[action='/link'] button")).await.click().await;
    browser.find(EXCHANGE).await.click().await;
    let asked = "個人番号カードをカードリーダーにセットし、OK ボタンをクリックしてください。";
    browser.find(By::Text(asked)).await;
    browser.refresh().await;
    browser.find(By::Text(asked)).await;
    if let Some(axe) = axe() {
        assert_no_barriers(&browser, axe, "again").await;
    }
}

#[tokio::test]
async fn another_card_takes_the_place_of_the_one_before() {
    let Some(desk) = Desk::open_with("jpki-other", &["hpki", "jpki"]).await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let cards = ["jpki-first", "jpki-second"]
        .map(|name| (name, desk.world.pki.jpki.my_number_card(name, Validity::CURRENT)));
    let first = two_readers(&desk, cards[0].0, &doctor, &cards[0].1).start().await;
    register(&desk, &first, "ja", async |_| {}).await;
    let second = two_readers(&desk, cards[1].0, &doctor, &cards[1].1).start().await;
    register(&desk, &second, "ja", async |page| {
        second.screenshot(page).await;
        if page == "hpki" {
            second.find(By::Css("#replaces")).await;
            second.find(By::Text("マイナンバーカードはすでに登録されています")).await;
        }
    })
    .await;
    let pending = desk.ask_sign_in().await;
    open_by_my_number(&first, &pending).await;
    first.find(By::Text("このマイナンバーカードは登録されていません")).await;
    open_by_my_number(&second, &pending).await;
    second.find(APPROVE).await.click().await;
    desk.sign_after_return(&second, &pending).await;
}

#[tokio::test]
async fn cards_that_do_not_do_are_told_why_and_what_to_do() {
    let Some(desk) = Desk::open_with("jpki-no", &["hpki", "jpki"]).await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let ca = &desk.world.pki.jpki;
    let unlinked = ca.my_number_card("jpki-unlinked", Validity::CURRENT);
    let other = ca.my_number_card_with("jpki-certificate", Validity::CURRENT, |certificate| {
        certificate.custom_extensions.clear();
    });
    let revoked = ca.my_number_card("jpki-revoked", Validity::CURRENT);
    ca.write_crl(2, &[&revoked], time::Duration::days(4));
    // Until the list is read.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    for (name, card, why, next) in [
        ("jpki-unlinked", &unlinked, "登録されていません", "HPKI カードでもう一度登録"),
        ("jpki-certificate", &other, "この証明書では認証できません", "数字 4 桁の暗証番号"),
        ("jpki-revoked", &revoked, "電子証明書は失効しています", "市区町村の窓口"),
        ("jpki-hpki", &doctor.card, "別のカードがセットされています", "個人番号カードを"),
    ] {
        let wanted = Wanted { screen: Screen::NARROW, ..two_readers(&desk, name, &doctor, card) };
        let browser = wanted.start().await;
        let pending = desk.ask_sign_in().await;
        open_by_my_number(&browser, &pending).await;
        browser.find(By::Text(why)).await;
        browser.find(By::Text(next)).await;
        if let Some(axe) = axe() {
            assert_no_barriers(&browser, axe, "refused").await;
        }
    }
}

/// F28: the municipality renewed the card, and its holder need not know what that means here.
#[tokio::test]
async fn f28_renewed_card_signs_in_as_before_and_the_next_page_says_so() {
    if browser::missing().is_some() {
        return;
    }
    let mut world = World::new(Plan::default()).await;
    let (_provider, told) = world.ask_vouching_provider();
    let world: &'static World = Box::leak(Box::new(world));
    let desk = Desk::in_world(world, "jpki-renewed", &["hpki", "jpki"]).await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let [old, new] = ["jpki-before", "jpki-after"]
        .map(|name| world.pki.jpki.my_number_card(name, Validity::CURRENT));
    let before = two_readers(&desk, "jpki-before", &doctor, &old).start().await;
    register(&desk, &before, "ja", async |_| {}).await;
    vouch(&told, &world.pki.jpki, &new, &old);
    let after = two_readers(&desk, "jpki-after", &doctor, &new).start().await;
    for is_renewal in [true, false] {
        let pending = desk.ask_sign_in().await;
        open_by_my_number(&after, &pending).await;
        after.find(APPROVE).await;
        after.screenshot(if is_renewal { "first" } else { "next" }).await;
        let shown = after.text().await.contains("更新後のマイナンバーカード");
        assert_eq!(shown, !is_renewal, "{}", after.text().await);
        after.find(APPROVE).await.click().await;
        desk.sign_after_return(&after, &pending).await;
    }
    let pending = desk.ask_sign_in().await;
    open_by_my_number(&before, &pending).await;
    before.find(By::Text("このマイナンバーカードは登録されていません")).await;
}
