//! Every kind of page against axe-core's rules (WCAG 2.2 A and AA, and its best practices), in the real browser.
//!
//! The rules are fetched from the npm registry into `target/` when they are first needed; they are no part of this house.

use crate::desk::Desk;
use serde_json::Value;
use serde_json::json;
use std::process::Command;
use std::sync::OnceLock;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Wanted;
use tests::support::browser::browser_dir;

const AXE: &str = "axe-core@4.14.1";

#[tokio::test]
async fn pages_behind_a_card_have_no_barriers() {
    let Some(axe) = axe() else { return };
    let Some(desk) = Desk::open("axe").await else { return };
    let browser = desk.doctor("axe").start().await;
    for language in ["ja", "en"] {
        let pending = desk.ask_sign_in().await;
        browser.go(&format!("{}?lang={language}", pending.login_url)).await;
        assert_no_barriers(&browser, axe, &format!("confirm-{language}")).await;
        browser.find(By::Css("button[value=deny]")).await.click().await;
        assert_no_barriers(&browser, axe, &format!("refused-{language}")).await;
        browser.go(&format!("{}?lang={language}", pending.login_url)).await;
        assert_no_barriers(&browser, axe, &format!("link-over-{language}")).await;

        let pending = desk.ehr.ask_sign_in_with(&json!({})).await;
        browser.go(&format!("{}?lang={language}", pending.login_url)).await;
        assert_no_barriers(&browser, axe, &format!("number-{language}")).await;
        let field = browser.find(By::Css("input[name=number]")).await;
        field.type_text("0").await;
        field.submit().await;
        assert_no_barriers(&browser, axe, &format!("wrong-number-{language}")).await;
        browser.find(By::Css("a.button")).await.click().await;
        let field = browser.find(By::Css("input[name=number]")).await;
        field.type_text(&pending.number.unwrap()).await;
        field.submit().await;
        assert_no_barriers(&browser, axe, &format!("done-{language}")).await;
    }
}

#[tokio::test]
async fn pages_without_a_good_card_have_no_barriers_on_a_phone() {
    let Some(axe) = axe() else { return };
    let Some(desk) = Desk::open("axe-phone").await else { return };
    let pki = &desk.world.pki;
    let pending = desk.ask_sign_in().await;
    for (page, card) in [
        ("no-card", None),
        ("unlinked", Some(&pki.unlinked_card)),
        ("revoked", Some(&pki.revoked_card)),
    ] {
        let name = format!("axe-{page}");
        let wanted = Wanted { card, screen: Screen::PHONE, ..Wanted::new(&name, pki) };
        let browser = wanted.start().await;
        for language in ["ja", "en"] {
            browser.go(&format!("{}?lang={language}", pending.login_url)).await;
            assert_no_barriers(&browser, axe, language).await;
        }
        browser.go(&pending.login_url.replace("/login/", "/elsewhere/")).await;
        assert_no_barriers(&browser, axe, "elsewhere").await;
    }
}

/// No rule is broken, and nothing is to the right of the screen, nor when letters are twice as large.
pub async fn assert_no_barriers(browser: &Browser, axe: &str, step: &str) {
    browser.screenshot(step).await;
    let run =
        format!("{axe}; return axe.run().then((found) => [found.violations, found.passes.length])");
    let found = browser.script(&run, &[]).await;
    assert_eq!(found[0], json!([]), "{step}: {}", summary(&found[0]));
    assert!(found[1].as_u64().unwrap() > 10, "{step}: the rules were not run: {found}");
    assert_eq!(browser.hidden_width().await, 0, "{step}");
    // WCAG 2.2, 1.4.4: letters twice as large.
    let size = "document.documentElement.style.fontSize = arguments[0]";
    browser.script(size, &[json!("200%")]).await;
    browser.screenshot(&format!("{step}-large")).await;
    assert_eq!(browser.hidden_width().await, 0, "{step}: large letters");
    browser.script(size, &[json!("")]).await;
}

fn summary(violations: &Value) -> String {
    let lines = violations.as_array().into_iter().flatten().map(|violation| {
        format!("{}: {} in {}", violation["id"], violation["help"], violation["nodes"][0]["html"])
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The source of axe-core, when it is here or can be had.
pub fn axe() -> Option<&'static str> {
    static SOURCE: OnceLock<Result<String, String>> = OnceLock::new();
    match SOURCE.get_or_init(fetch_axe) {
        Ok(source) => Some(source),
        Err(reason) => {
            println!("skipped: {AXE} cannot be had here: {reason}");
            None
        }
    }
}

fn fetch_axe() -> Result<String, String> {
    let folder = browser_dir().join(AXE);
    let file = folder.join("package/axe.min.js");
    if !file.is_file() {
        std::fs::create_dir_all(&folder).expect("a folder under target/");
        let fetch = "timeout 60 npm pack --silent \"$0\" >/dev/null; tar -xzf ./*.tgz";
        let fetched = Command::new("sh").args(["-ec", fetch, AXE]).current_dir(&folder).output();
        let output = fetched.expect("sh");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} {}", output.status, said.trim()));
        }
    }
    Ok(std::fs::read_to_string(file).expect("the source in the package"))
}
