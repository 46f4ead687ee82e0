//! A doctor's own page: opened with the card, read, and used to sign out everywhere.

use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use crate::desk::Desk;
use crate::sign_in::assert_no_scripts;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Wanted;
use tests::support::pki::Validity;

const BY_CARD: By<'_> = By::Css("form[action$='/card'] button");
const ALLOW: By<'_> = By::Css("button[value=approve]");

/// Signed in with the card, on the page that shows it.
pub async fn open_page(desk: &Desk, browser: &Browser) {
    let port = desk.world.ports.portal.port();
    browser.go(&format!("https://localhost:{port}/me")).await;
    browser.find(By::Css("form[action='/me/sign-in'] button")).await.click().await;
    browser.find(BY_CARD).await.click().await;
    browser.find(ALLOW).await.click().await;
    browser.find(By::Css("#holder-id")).await;
}

#[tokio::test]
async fn doctor_opens_their_page_with_the_card_and_signs_out_everywhere() {
    let Some(axe) = axe() else { return };
    let Some(desk) = Desk::open("own-page").await else { return };
    let doctor = desk.world.new_doctor(Validity::CURRENT).await;
    let pki = &desk.world.pki;
    let wanted = Wanted { card: Some(&doctor.card), ..Wanted::new("own-page", pki) };
    let browser = wanted.start().await;
    let pending = desk.ask_sign_in().await;
    browser.go(&pending.login_url).await;
    browser.find(ALLOW).await.click().await;
    let url = browser.wait_for_url(&desk.return_url).await;
    let code = url.split("code=").nth(1).unwrap().split('&').next().unwrap();
    desk.ehr.activate(&pending.session_id, code).await.expect(200);

    let port = desk.world.ports.portal.port();
    browser.go(&format!("https://localhost:{port}/me")).await;
    assert_no_barriers(&browser, axe, "invitation").await;
    open_page(&desk, &browser).await;
    assert_no_barriers(&browser, axe, "page").await;
    assert_eq!(browser.find(By::Css("#holder-id")).await.text().await, doctor.holder_id);
    let text = browser.text().await;
    for words in ["電子カルテ", "HPKI カード", "認証した時刻", "貸さないでください"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    browser.find(By::Css("a[href^='/me/signatures']")).await.click().await;
    browser.find(By::Text("署名の記録はありません。")).await;
    assert_no_barriers(&browser, axe, "signatures").await;
    browser.back().await;
    browser.find(By::Css("button[value=sign_out_everywhere]")).await.click().await;
    browser.find(By::Text("すべての認証を終了しました")).await;
    assert_no_barriers(&browser, axe, "everywhere").await;
    assert_eq!(desk.ehr.state(&pending.session_id).await, "ended");
    // The way back opens nothing.
    browser.back().await;
    browser.refresh().await;
    browser.find(By::Css("form[action='/me/sign-in'] button")).await;
}

/// WCAG 2.2, 1.4.10, and hospitals that switch scripts off.
#[tokio::test]
async fn narrow_english_screen_without_scripts_shows_the_page() {
    let Some(desk) = Desk::open("own-page-narrow").await else { return };
    let wanted = Wanted {
        screen: Screen::NARROW,
        languages: "en-US,en",
        runs_scripts: false,
        ..desk.doctor("own-page-narrow")
    };
    let browser = wanted.start().await;
    let port = desk.world.ports.portal.port();
    browser.go(&format!("https://localhost:{port}/me")).await;
    for button in [By::Css("form[action='/me/sign-in'] button"), BY_CARD, ALLOW] {
        browser.tap(&browser.find(button).await).await;
    }
    browser.find(By::Css("#holder-id")).await;
    browser.screenshot("page").await;
    assert!(browser.text().await.contains("Where you are signed in"));
    assert_eq!(browser.hidden_width().await, 0);
    assert_no_scripts(&browser).await;
}
