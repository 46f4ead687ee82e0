//! The portal on a phone with a notification card: the password's form, the cookie, what the script sends.

use crate::support::client::Client;
use crate::support::client::Reply;
use crate::support::paper_portal::PAGE_SECRET;
use crate::support::rig::Rig;
use api::operations::SignInRefusal;
use api::operations::WhyNot;
use api::operations::letter::LetterDone;
use api::operations::letter::LetterPage;
use api::operations::letter::LetterTried;

const FORM: &str =
    "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n";
const JSON: &str = "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n";
const CREDENTIAL: &str = r#"{"id":"AAEC","rawId":"AAEC","type":"public-key",
    "clientExtensionResults":{},"response":{"clientDataJSON":"e30","attestationObject":"oA"}}"#;

async fn typed(client: &mut Client, form: &str) -> Reply {
    client.ask("POST /letter/link-1", FORM, form.as_bytes()).await
}

fn cookie() -> String {
    format!("Cookie: __Secure-letter={PAGE_SECRET}\r\n")
}

#[tokio::test]
async fn link_asks_for_the_password_and_has_no_script() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = client.get("/letter/link-1").await;
    let (policy, text) = (page.header("content-security-policy").to_owned(), page.text());
    assert!(text.contains("<form method=\"post\" action=\"/letter/link-1\">"), "{text}");
    assert!(
        text.contains("name=\"password\"") && text.contains("<button>ログイン</button>"),
        "F13"
    );
    assert!(!text.contains("<script") && !policy.contains("script-src"));
    let over = client.get("/letter/link-2?lang=en").await;
    assert_eq!(over.status, 403);
    assert!(over.text().contains("This notification card cannot be used"));
}

#[tokio::test]
async fn right_password_gives_this_browser_a_cookie_of_this_link_alone() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let answer = typed(&mut client, "password=7k2md+9qx4t&lang=en").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/letter/link-1?lang=en"));
    let expected = format!(
        "__Secure-letter={PAGE_SECRET}; Path=/letter/link-1; Max-Age=3600; Secure; HttpOnly; SameSite=Strict"
    );
    assert_eq!(answer.header("set-cookie"), expected);
    assert!(rig.keeper.was_asked("password link-1 7k2md 9qx4t"));
    let page = client.ask("GET /letter/link-1", &cookie(), b"").await.text();
    assert!(page.contains("<dd id=\"holder\">u-17</dd>"), "{page}");
    assert!(page.contains("医師 &#60;太郎&#62;") && page.contains("<button>登録</button>"), "F13");
    assert!(!page.contains("<input"), "the id cannot be edited");
    assert!(page.contains("セキュリティーキーによる認証に失敗しました。"), "F14");
    assert!(page.contains("再試行してください") && page.contains("14:59"), "F14");
}

/// Loading the page again tries nothing again.
#[tokio::test]
async fn wrong_password_leads_back_to_the_page_which_says_so() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (tried, value, words) in [
        (LetterTried::Wrong { left: 3 }, "wrong.3", "あと 3 回"),
        (LetterTried::NoPassword, "none", "回数に数えません"),
    ] {
        *rig.keeper.letter.tried.lock().unwrap() = Some(tried);
        let answer = typed(&mut client, "password=x&lang=ja").await;
        assert_eq!((answer.status, answer.header("location")), (303, "/letter/link-1?lang=ja"));
        let start = format!("__Secure-slip={value}; Path=/letter/link-1; ");
        assert!(answer.header("set-cookie").starts_with(&start), "{answer:?}");
        let cookie = format!("Cookie: __Secure-slip={value}\r\n");
        let page = client.ask("GET /letter/link-1?lang=ja", &cookie, b"").await.text();
        assert!(page.contains(words) && page.contains("name=\"password\""), "{page}");
    }
    for nonsense in ["wrong.x", "wrong.300", "a b"] {
        let cookie = format!("Cookie: __Secure-slip={nonsense}\r\n");
        let page = client.ask("GET /letter/link-1?lang=ja", &cookie, b"").await.text();
        assert!(!page.contains("回間違えると"), "{nonsense}: {page}");
    }
}

#[tokio::test]
async fn what_is_said_of_a_password_and_with_which_status() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let contact = || Some("03-0000-0000".to_owned());
    for (tried, status, words) in [
        (LetterTried::Locked { contact: contact() }, 403, "03-0000-0000"),
        (LetterTried::Locked { contact: None }, 403, "施設の登録担当者"),
        (LetterTried::AlreadyRegistered { contact: contact() }, 409, "操作を中止してください"),
        (
            LetterTried::Refused(WhyNot {
                refusal: SignInRefusal::EntitlementOver,
                contact: contact(),
            }),
            409,
            "認証局の連絡先: 03-0000-0000",
        ),
        (LetterTried::Over, 403, "この通知カードは使えません"),
        (LetterTried::RateLimited { seconds: 7 }, 429, "7秒ほど待って"),
        (LetterTried::Unavailable, 503, "ただいま利用できません"),
    ] {
        *rig.keeper.letter.tried.lock().unwrap() = Some(tried.clone());
        let answer = typed(&mut client, "password=x").await;
        assert_eq!(answer.status, status, "{tried:?}: {}", answer.text());
        assert!(answer.header("set-cookie").is_empty(), "{tried:?}");
        assert!(answer.text().contains(words), "{tried:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn wrong_password_leaves_the_form_and_says_so_to_screen_readers() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let cookie = "Cookie: __Secure-slip=wrong.1\r\n";
    let page = client.ask("GET /letter/link-1", cookie, b"").await.text();
    assert!(page.contains("role=\"alert\"") && page.contains("aria-invalid=\"true\""), "{page}");
    assert!(page.contains("name=\"password\""));
}

#[tokio::test]
async fn question_and_answer_need_the_cookie() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let headers = format!("{JSON}{}", cookie());
    let asked = client.ask("POST /letter/link-1/options", &headers, b"{}").await;
    assert_eq!((asked.status, &asked.json()["state"]), (200, &"options".into()));
    let without = client.ask("POST /letter/link-1/options", JSON, b"{}").await;
    assert_eq!((without.status, &without.json()["state"]), (403, &"end".into()));
    let body = format!("{{\"ceremony_id\":\"c-1\",\"credential\":{CREDENTIAL}}}");
    let done = client.ask("POST /letter/link-1/finish", &headers, body.as_bytes()).await;
    assert_eq!((done.status, &done.json()["state"]), (200, &"end".into()), "{}", done.text());
    assert!(done.text().contains("スマートフォンの登録が完了しました"));
    assert!(rig.keeper.was_asked(&format!("letter finish link-1 {PAGE_SECRET} c-1")));
    *rig.keeper.letter.done.lock().unwrap() = Some(LetterDone::NotProved);
    let again = client.ask("POST /letter/link-1/finish", &headers, body.as_bytes()).await;
    assert_eq!((again.status, &again.json()["state"]), (403, &"again".into()));
    *rig.keeper.letter.done.lock().unwrap() =
        Some(LetterDone::AlreadyRegistered { contact: Some("03-0000-0000".into()) });
    let stop = client.ask("POST /letter/link-1/finish", &headers, body.as_bytes()).await;
    assert_eq!((stop.status, &stop.json()["state"]), (409, &"end".into()));
    assert!(stop.text().contains("03-0000-0000"));
}

#[tokio::test]
async fn other_sites_and_other_fields_are_refused() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let foreign =
        "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: cross-site\r\n";
    let refused = client.ask("POST /letter/link-1", foreign, b"password=x").await;
    assert_eq!(refused.status, 403);
    for form in ["lang=ja", "password=x&password=y", "password=x&number=1"] {
        assert_eq!(typed(&mut client, form).await.status, 400, "{form}");
    }
    let long = format!("password={}", "a".repeat(4 * 1024));
    assert_eq!(typed(&mut client, &long).await.status, 413);
    assert!(!rig.keeper.was_asked("password link-1 x"));
    let headers = format!("{JSON}{}", cookie());
    let extra = client.ask("POST /letter/link-1/options", &headers, br#"{"number":"1"}"#).await;
    assert_eq!(extra.status, 400);
}

#[tokio::test]
async fn locked_and_finished_cards_say_so() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (page, status, words) in [
        (LetterPage::Locked { contact: Some("03-0000-0000".into()) }, 403, "03-0000-0000"),
        (LetterPage::Registered { label: "90D8-3E98".into() }, 200, "90D8-3E98"),
        (LetterPage::Unavailable, 503, "ただいま利用できません"),
    ] {
        *rig.keeper.letter.page.lock().unwrap() = Some(page.clone());
        let answer = client.get("/letter/link-1").await;
        assert_eq!(answer.status, status, "{page:?}");
        assert!(answer.text().contains(words), "{page:?}");
    }
}
