//! As many documents as one approval may hold, at their longest, on the narrowest screen: readable, and what is allowed is
//! what is signed.

use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use crate::desk::Desk;
use serde_json::Value;
use serde_json::json;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Wanted;
use tests::support::ehr::Sign;
use tests::support::ehr::entry;
use tests::support::world::DOCTOR;

/// The configured number of entries, each with a label of the configured length; every other one without a place to break.
pub fn entries(credential: &str) -> Vec<Value> {
    let label = |n: usize| match n % 2 {
        0 => format!("{n:02} 処方箋 {}", "山田 太郎 様 ".repeat(6).trim()),
        _ => format!("{n:02}{}", "W".repeat(58)),
    };
    let entries =
        (0..20).map(|n| entry("content", credential, format!("{n}").as_bytes(), &label(n)));
    entries.collect()
}

#[tokio::test]
async fn list_of_the_longest_is_read_and_allowed_with_a_card_on_the_narrowest_screen() {
    let Some(desk) = Desk::open("once").await else { return };
    let wanted = json!({
        "holder": DOCTOR, "return_url": desk.return_url, "purpose": "once", "entries": entries("p256"),
    });
    let browser = Wanted { screen: Screen::NARROW, ..desk.doctor("once") }.start().await;
    let pending = desk.ehr.ask_sign_in_with(&wanted).await;
    for language in ["en", "ja"] {
        browser.go(&format!("{}?lang={language}", pending.login_url)).await;
        if let Some(axe) = axe() {
            assert_no_barriers(&browser, axe, &format!("confirm-{language}")).await;
        }
        assert_eq!(browser.hidden_width().await, 0);
    }
    let listed =
        "return [...document.querySelectorAll('.entries li')].map((item) => item.innerText)";
    let listed = browser.script(listed, &[]).await;
    let labels: Vec<_> = entries("p256").iter().map(|entry| entry["label"].clone()).collect();
    assert_eq!(listed, json!(labels));
    browser.find(By::Css("summary")).await.click().await;
    assert!(browser.text().await.contains("5feceb66ffc86f38…"), "SHA-256 of 0");
    assert_eq!(browser.hidden_width().await, 0);
    browser.screenshot("details").await;
    browser.find(By::Css("button[value=approve]")).await.click().await;
    let url = browser.wait_for_url(&desk.return_url).await;
    let code = url.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let active = desk.ehr.activate(&pending.session_id, code).await.expect(200).json();
    assert_eq!(active["remaining_entries"], 20);
    let token = active["signing_token"].as_str().unwrap();
    let sign = Sign { token, credential: Some("p256"), content: b"19", ..Sign::default() };
    sign.send(&mut desk.ehr.connect().await).await.expect(200);
    let other = Sign { content: b"20", ..sign };
    let refused = other.send(&mut desk.ehr.connect().await).await;
    refused.expect_problem(403, "digest_not_authorized");
}
