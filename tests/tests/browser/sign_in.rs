//! A doctor signs in: the page of a login link, its buttons, and what comes of them.

use crate::desk::Desk;
use serde_json::json;
use std::time::Duration;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::ENTER;
use tests::support::browser::Screen;
use tests::support::browser::TAB;
use tests::support::browser::Wanted;

const ALLOW: By<'_> = By::Css("button[value=approve]");
const REFUSE: By<'_> = By::Css("button[value=deny]");

#[tokio::test]
async fn doctor_with_a_card_signs_in_and_the_system_signs() {
    let Some(desk) = Desk::open("sign-in").await else { return };
    let pending = desk.ask_sign_in().await;
    let browser = desk.doctor("sign-in").start().await;
    browser.go(&pending.login_url).await;
    browser.screenshot("page").await;
    assert_eq!(browser.find(By::Css("#system")).await.text().await, "電子カルテ");
    assert_eq!(browser.find(By::Css("#holder")).await.text().await, "医師 太郎");
    assert_eq!(browser.find(By::Css("html")).await.attribute("lang").await.unwrap(), "ja");
    browser.find(ALLOW).await.click().await;
    desk.sign_after_return(&browser, &pending).await;
    assert_eq!(browser.cookies().await, [] as [serde_json::Value; 0]);
}

/// Browsers connect ahead, so that a handshake may be older than the link: the doctor is not to be bothered with that.
#[tokio::test]
async fn doctor_signs_in_time_after_time_in_one_browser() {
    let Some(desk) = Desk::open("again").await else { return };
    let browser = desk.doctor("again").start().await;
    for _ in 0..3 {
        // A handshake's age is known to the second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let pending = desk.ask_sign_in().await;
        browser.go(&pending.login_url).await;
        browser.find(ALLOW).await.click().await;
        desk.sign_after_return(&browser, &pending).await;
    }
}

/// WCAG 2.2, 1.4.10, and hospitals that switch scripts off.
#[tokio::test]
async fn narrow_english_screen_without_scripts_does_the_same() {
    let Some(desk) = Desk::open("narrow").await else { return };
    let pending = desk.ask_sign_in().await;
    let wanted = Wanted {
        screen: Screen::NARROW,
        languages: "en-US,en",
        runs_scripts: false,
        ..desk.doctor("narrow")
    };
    let browser = wanted.start().await;
    browser.go(&pending.login_url).await;
    browser.screenshot("page").await;
    assert_no_scripts(&browser).await;
    assert!(browser.text().await.contains("Do you allow"), "{}", browser.text().await);
    assert_eq!(browser.hidden_width().await, 0);
    for button in [ALLOW, REFUSE] {
        let (width, height) = browser.find(button).await.size().await;
        assert!(width >= 200.0 && height >= 44.0, "{button:?}: {width} x {height}");
    }
    browser.tap(&browser.find(ALLOW).await).await;
    desk.sign_after_return(&browser, &pending).await;
}

/// Otherwise the test above would show nothing.
pub async fn assert_no_scripts(browser: &Browser) {
    let url = browser.url().await;
    browser.go("data:text/html,<title>off</title><script>document.title='on'</script>").await;
    assert_eq!(browser.title().await, "off");
    browser.go(&url).await;
}

#[tokio::test]
async fn keyboard_alone_reaches_every_choice_and_shows_where_it_is() {
    let Some(desk) = Desk::open("keyboard").await else { return };
    let browser = desk.doctor("keyboard").start().await;
    for approve in [true, false] {
        let pending = desk.ask_sign_in().await;
        browser.go(&pending.login_url).await;
        let stops = tab_stops(&browser).await;
        assert_eq!(stops, ["許可する", "心当たりがないので断る", "English"]);
        // Where the next round begins is the browser's own matter.
        browser.go(&pending.login_url).await;
        for _ in 0..if approve { 1 } else { 2 } {
            browser.press(TAB).await;
        }
        browser.screenshot(if approve { "allow" } else { "refuse" }).await;
        browser.press(ENTER).await;
        if approve {
            desk.sign_after_return(&browser, &pending).await;
        } else {
            browser.find(By::Text("断りました")).await;
            assert_eq!(desk.ehr.state(&pending.session_id).await, "denied");
        }
    }
}

/// What has the keyboard, one Tab after the other, until it leaves the page. Each must be seen to have it.
pub async fn tab_stops(browser: &Browser) -> Vec<String> {
    let mut stops = Vec::new();
    for _ in 0..20 {
        browser.press(TAB).await;
        let focused = browser.focused().await;
        let text = focused.text().await;
        if stops.contains(&text)
            || browser.script("return document.activeElement === document.body", &[]).await
                == json!(true)
        {
            return stops;
        }
        assert_ne!(focused.style("outline-style").await, "none", "{text}");
        stops.push(text);
    }
    panic!("the keyboard is caught in {stops:?}");
}

#[tokio::test]
async fn holder_without_a_card_reads_what_to_do() {
    let Some(desk) = Desk::open("no-card").await else { return };
    let pending = desk.ask_sign_in().await;
    let wanted = Wanted { screen: Screen::PHONE, ..Wanted::new("no-card", &desk.world.pki) };
    let browser = wanted.start().await;
    browser.go(&pending.login_url).await;
    browser.screenshot("page").await;
    let text = browser.text().await;
    for words in ["HPKIカードを確認できませんでした", "カードリーダーに差し込む", "証明書を選ぶ"]
    {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("電子カルテ"), "nothing is proved yet: {text}");
    assert!(!browser.has(By::Css("form")).await);
    assert_eq!(browser.hidden_width().await, 0);
    assert_eq!(desk.ehr.state(&pending.session_id).await, "pending");
    browser.find(By::Text("English")).await.click().await;
    browser.find(By::Text("No HPKI card was presented")).await;
}

#[tokio::test]
async fn holder_who_refuses_gives_the_system_nothing() {
    let Some(desk) = Desk::open("refuse").await else { return };
    let pending = desk.ask_sign_in().await;
    let browser = desk.doctor("refuse").start().await;
    browser.go(&pending.login_url).await;
    browser.find(REFUSE).await.click().await;
    browser.find(By::Text("断りました")).await;
    browser.screenshot("refused").await;
    assert!(browser.text().await.contains("署名は行われません"));
    assert_eq!(desk.ehr.state(&pending.session_id).await, "denied");
    desk.ehr.activate(&pending.session_id, "any").await.expect_problem(403, "login_denied");
    // Neither the way back nor the link opens it again.
    browser.back().await;
    browser.refresh().await;
    browser.find(By::Text("このリンクは使えなくなりました")).await;
    browser.screenshot("again").await;
}

#[tokio::test]
async fn number_of_the_asking_screen_is_typed_on_a_phone() {
    let Some(desk) = Desk::open("number").await else { return };
    let pending = desk.ehr.ask_sign_in_with(&json!({})).await;
    let number = pending.number.clone().expect("a number");
    let wanted = Wanted { screen: Screen::PHONE, ..desk.doctor("number") };
    let browser = wanted.start().await;
    browser.go(&pending.login_url).await;
    browser.screenshot("page").await;
    let field = browser.find(By::Css("input[name=number]")).await;
    // As a Japanese keyboard writes it, and sent by its Enter key: that must allow, not refuse.
    let wide = number.chars().map(|digit| char::from_u32(u32::from(digit) + 0xfee0).unwrap());
    field.type_text(&wide.collect::<String>()).await;
    field.submit().await;
    browser.find(By::Text("許可しました")).await;
    browser.screenshot("done").await;
    desk.ehr.activate(&pending.session_id, &number).await.expect(200);
}
