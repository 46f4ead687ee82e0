//! A browser that keeps a sign-in: the card once, then one click, until the logout.

use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use crate::desk::Desk;
use serde_json::json;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Wanted;
use tests::support::doctor::Doctor;
use tests::support::ehr::Pending;
use tests::support::pki::Validity;

const BY_CARD: By<'_> = By::Css("form[action$='/card'] button");
const ALLOW: By<'_> = By::Css("button[value=approve]");
const GO_ON: By<'_> = By::Css("form[action$='/saved'] button");
const OTHER: By<'_> = By::Css("#other");
const NOT_ME: By<'_> = By::Css("form[action$='/forget'] button");

async fn ask(desk: &Desk, doctor: &Doctor) -> Pending {
    let wanted = json!({ "holder": doctor.holder_id, "return_url": desk.return_url });
    desk.ehr.ask_sign_in_with(&wanted).await
}

async fn sign_in_by_card(desk: &Desk, browser: &Browser, doctor: &Doctor) -> Pending {
    let pending = ask(desk, doctor).await;
    browser.go(&pending.login_url).await;
    browser.find(BY_CARD).await.click().await;
    browser.find(ALLOW).await.click().await;
    desk.sign_after_return(browser, &pending).await;
    pending
}

#[tokio::test]
async fn doctor_signs_in_once_goes_on_by_a_click_and_not_after_the_logout() {
    let Some(axe) = axe() else { return };
    let Some(desk) = Desk::open_where_kept("saved").await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let pki = &desk.world.pki;
    let browser = Wanted { card: Some(&doctor.card), ..Wanted::new("saved", pki) }.start().await;
    sign_in_by_card(&desk, &browser, &doctor).await;

    let pending = ask(&desk, &doctor).await;
    browser.go(&pending.login_url).await;
    let go_on = browser.find(GO_ON).await;
    assert_no_barriers(&browser, axe, "offer").await;
    let page = browser.text().await;
    assert!(page.contains("HPKI カード") && !page.contains(&doctor.holder_id), "{page}");
    assert_eq!(desk.ehr.state(&pending.session_id).await, "pending", "looking is no click");
    go_on.click().await;
    desk.sign_after_return(&browser, &pending).await;
    // The way back and another click bring no second session.
    browser.back().await;
    assert!(!browser.has(BY_CARD).await);

    desk.ehr.log_out(&pending.session_id).await.expect(204);
    browser.go(&ask(&desk, &doctor).await.login_url).await;
    browser.find(BY_CARD).await;
    assert_no_barriers(&browser, axe, "choice").await;
    assert!(!browser.has(GO_ON).await);
}

#[tokio::test]
async fn narrow_english_screen_without_scripts_goes_on_or_says_not_me() {
    let Some(desk) = Desk::open_where_kept("saved-narrow").await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let wanted = Wanted {
        card: Some(&doctor.card),
        screen: Screen::NARROW,
        languages: "en-US,en",
        runs_scripts: false,
        ..Wanted::new("saved-narrow", &desk.world.pki)
    };
    let browser = wanted.start().await;
    let pending = ask(&desk, &doctor).await;
    browser.go(&pending.login_url).await;
    for button in [BY_CARD, ALLOW] {
        browser.tap(&browser.find(button).await).await;
    }
    desk.sign_after_return(&browser, &pending).await;
    let pending = ask(&desk, &doctor).await;
    browser.go(&pending.login_url).await;
    let go_on = browser.find(GO_ON).await;
    assert!(go_on.text().await.starts_with("Go on as signed in at"));
    browser.screenshot("offer").await;
    assert_eq!(browser.hidden_width().await, 0);
    browser.tap(&browser.find(OTHER).await).await;
    browser.find(BY_CARD).await;
    browser.go(&pending.login_url).await;
    browser.tap(&browser.find(NOT_ME).await).await;
    browser.find(BY_CARD).await;
    assert_eq!(desk.ehr.state(&pending.session_id).await, "pending");
    browser.go(&ask(&desk, &doctor).await.login_url).await;
    browser.find(BY_CARD).await;
    assert!(!browser.has(GO_ON).await, "the browser has forgotten");
}
