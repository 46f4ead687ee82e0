//! The portal on the phone: its page, and what its script sends.

use crate::support::client::Client;
use crate::support::client::Reply;
use crate::support::paper_portal::ask;
use crate::support::rig::Rig;
use crate::support::tools::curl;
use crate::support::tools::text;
use api::operations::SignInRefusal;
use api::operations::added::AddedFactor;
use api::operations::added::FactorKind;
use api::operations::added::RecentlyAdded;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Purpose;

const JSON: &str = "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n";
const CREDENTIAL: &str = r#"{"id":"AAEC","rawId":"AAEC","type":"public-key","authenticatorAttachment":"platform",
    "clientExtensionResults":{"credProps":{"rk":true}},"response":{"clientDataJSON":"e30","attestationObject":"oA",
    "authenticatorData":"AA","publicKey":"AA","publicKeyAlgorithm":-7,"transports":["internal","hybrid"]}}"#;

fn one_added() -> RecentlyAdded {
    let factor = AddedFactor {
        kind: FactorKind::Phone,
        label: Some("90D8-3E98".into()),
        added_at: 1_796_000_000,
        terminal: "PC".into(),
    };
    RecentlyAdded { factors: vec![factor], contact: None }
}

async fn post(client: &mut Client, path: &str, headers: &str, body: &str) -> Reply {
    client.ask(&format!("POST /phone/link-1/{path}"), headers, body.as_bytes()).await
}

fn finish(credential: &str) -> String {
    format!("{{\"ceremony_id\":\"c-1\",\"credential\":{credential}}}")
}

#[tokio::test]
async fn page_says_who_asks_for_whom_and_from_where() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = client.get("/phone/link-1").await.text();
    assert!(page.contains("<dd id=\"system\">&#60;b&#62;電子カルテ&#60;/b&#62;</dd>"), "{page}");
    assert!(page.contains("<dd id=\"holder\">u-17</dd>"));
    assert!(page.contains("<dd id=\"terminal\">192.0.2.7 (Chrome, Windows)</dd>"));
    assert!(page.contains("12時間、最大 250 件の署名"));
    assert!(
        page.contains("inputmode=\"numeric\"") && page.contains("パソコンの画面に出ている番号")
    );
    assert!(page.contains("<button>このスマートフォンで認証</button>"));
    assert!(page.contains("<form method=\"post\" action=\"/phone/link-1/deny\">"));
    assert!(page.contains("心当たりがない") && page.contains("<noscript>"));
    assert!(page.contains("セキュリティーキーによる認証に失敗しました。"), "F14");
    assert!(page.contains("再試行してください"), "F14");
    let (warning, button) = (page.find("断ってください").unwrap(), page.find("<button").unwrap());
    assert!(warning < button, "the warning is read before a button is pressed");
    let enrol = Purpose::Enrol { holder_id: "u-17".into(), replaces: true };
    *rig.keeper.portal.phone.lock().unwrap() = Some(ask(enrol));
    let page = client.get("/phone/link-1?lang=en").await.text();
    assert!(page.contains("Register this phone?") && page.contains("<html lang=\"en\">"), "{page}");
    assert!(page.contains("the phone you have now can no longer be used"));
    let confirm = Purpose::ConfirmChange { holder_id: "u-17".into(), label: "90D8-3E98".into() };
    *rig.keeper.portal.phone.lock().unwrap() = Some(ask(confirm));
    let page = client.get("/phone/link-1?lang=en").await.text();
    assert!(
        page.contains("Change to the new phone?") && page.contains("Phone 90D8-3E98"),
        "{page}"
    );
    assert!(page.contains("<button>Allow</button>"), "{page}");
    *rig.keeper.portal.phone.lock().unwrap() = Some(PhonePage::Unavailable);
    assert_eq!(client.get("/phone/link-1").await.status, 503);
}

#[tokio::test]
async fn number_is_exchanged_for_a_question_and_the_answer_for_a_sign_in() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let asked = post(&mut client, "options", JSON, r#"{"number":"４２"}"#).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let wanted = serde_json::json!({
        "state": "options", "ceremony_id": "c-1", "options": {"publicKey": {"challenge": "AAEC"}},
    });
    assert_eq!(asked.json(), wanted);
    let done = post(&mut client, "finish", JSON, &finish(CREDENTIAL)).await;
    assert_eq!((done.status, &done.json()["state"]), (200, &"end".into()), "{}", done.text());
    assert_eq!(done.json()["title"], "認証しました");
    assert!(rig.keeper.was_asked("options link-1 42") && rig.keeper.was_asked("finish link-1 c-1"));
    let credential: serde_json::Value = serde_json::from_str(CREDENTIAL).unwrap();
    assert_eq!(rig.keeper.portal.credentials.lock().unwrap().as_slice(), [credential]);
}

/// As browsers send it.
#[tokio::test]
async fn script_is_answered_over_http2_and_other_sites_are_refused_there_too() {
    let rig = Rig::new();
    let typed = ["--http2", "--json", "{\"number\":\"42\"}", "--header"];
    for (origin, status) in [
        (format!("https://localhost:{}", rig.portal.port()), "HTTP/2 200"),
        ("https://localhost:1".to_owned(), "HTTP/2 403"),
    ] {
        let origin = format!("Origin: {origin}");
        let more = [typed.as_slice(), &[origin.as_str()]].concat();
        let said = curl(&rig.pki, None, rig.portal, "/phone/link-1/options", &more).await;
        assert!(text(&said).starts_with(status), "{origin}: {}", text(&said));
    }
    assert_eq!(rig.keeper.asked.lock().unwrap().as_slice(), ["options link-1 42"]);
}

#[tokio::test]
async fn every_refusal_says_what_to_do_and_whether_the_page_may_be_used_again() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (asked, status, state, words) in [
        (PhoneAsked::WrongNumber { over: false }, 403, "again", "番号が違います"),
        (PhoneAsked::WrongNumber { over: true }, 403, "end", "上限"),
        (PhoneAsked::Over, 403, "end", "使えなくなりました"),
        (PhoneAsked::RateLimited { seconds: 4 }, 429, "again", "回数が多すぎます"),
        (PhoneAsked::Unavailable, 503, "again", "ただいま利用できません"),
    ] {
        *rig.keeper.portal.asked.lock().unwrap() = Some(asked);
        let reply = post(&mut client, "options", JSON, r#"{"number":"1"}"#).await;
        let said = reply.json();
        assert_eq!((reply.status, &said["state"]), (status, &state.into()), "{said}");
        assert!(said["title"].as_str().unwrap().contains(words), "{said}");
        assert!(!said["lines"].as_array().unwrap().is_empty(), "a next step");
    }
    let (system, added) = ("EHR".to_owned(), one_added());
    for (done, status, state, japanese, english) in [
        (PhoneDone::SignedIn { system, added }, 200, "end", "PC から）", "Not you?"),
        (PhoneDone::NotAccepted, 403, "end", "登録できません", "cannot be registered"),
        (PhoneDone::TooNew { seconds: 7_200 }, 403, "end", "あと2時間", "in 2 hours"),
        (
            PhoneDone::AskOldPhone { label: "p".into() },
            200,
            "end",
            "今までのスマートフォンでもう一度",
            "with the phone you had",
        ),
        (PhoneDone::Replaced { label: "p".into() }, 200, "end", "変更が完了", "is changed"),
        (
            PhoneDone::AskCard { label: "p".into() },
            200,
            "end",
            "カードでもう一度",
            "card there once",
        ),
        (PhoneDone::MayChange, 200, "end", "処理が完了しました", "works until the new one"),
        (PhoneDone::Denied, 200, "end", "断りました", "Refused"),
        (PhoneDone::NotProved, 403, "again", "認証に失敗しました。", "did not confirm"),
        (PhoneDone::AlreadyRegistered, 409, "end", "登録済み", "already"),
        (PhoneDone::Over, 403, "end", "使えなくなりました", "no longer"),
        (PhoneDone::Unavailable, 503, "again", "利用できません", "Not available"),
        (PhoneDone::Refused(SignInRefusal::HolderDisabled.into()), 403, "end", "停止", "disabled"),
    ] {
        *rig.keeper.portal.done.lock().unwrap() = Some(done.clone());
        for (lang, words) in [("ja", japanese), ("en", english)] {
            let path = format!("finish?lang={lang}");
            let reply = post(&mut client, &path, JSON, &finish("{}")).await;
            let said = reply.json();
            assert_eq!((reply.status, &said["state"]), (status, &state.into()), "{done:?}");
            assert!(said.to_string().contains(words), "{said}");
            assert!(!said["lines"].as_array().unwrap().is_empty(), "a next step");
        }
    }
}

#[tokio::test]
async fn denial_needs_no_script_and_is_answered_with_a_page() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let reply = client.post_form("/phone/link-1/deny", "Origin: null\r\n", "lang=en").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("<h1>Refused</h1>"), "{}", reply.text());
    assert!(rig.keeper.was_asked("deny link-1"));
    *rig.keeper.portal.done.lock().unwrap() = Some(PhoneDone::Over);
    assert_eq!(client.post_form("/phone/link-1/deny", "", "").await.status, 403);
}

#[tokio::test]
async fn json_of_another_site_kind_or_shape_changes_nothing() {
    let rig = Rig::new();
    let typed = r#"{"number":"42"}"#;
    let json = "Content-Type: application/json\r\n";
    let at = format!("{{\"number\":\"42\"}}{}", " ".repeat(1_024 - typed.len()));
    let filled = |length: usize| {
        let fixed = finish("{\"id\":\"\"}").len();
        finish(&format!("{{\"id\":\"{}\"}}", "a".repeat(length - fixed)))
    };
    for (path, headers, body, status) in [
        ("options", "Content-Type: text/plain\r\n", typed, 415),
        ("options", "Content-Type: application/x-www-form-urlencoded\r\n", "number=42", 415),
        ("options", &format!("{json}Sec-Fetch-Site: cross-site\r\n"), typed, 403),
        ("options", &format!("{json}Sec-Fetch-Site: same-site\r\n"), typed, 403),
        ("options", &format!("{json}Origin: https://evil.example\r\n"), typed, 403),
        ("finish", &format!("{json}Sec-Fetch-Site: cross-site\r\n"), &finish("{}"), 403),
        ("options", json, "", 400),
        ("options", json, "{}", 400),
        ("options", json, "[\"42\"]", 400),
        ("options", json, r#"{"number":42}"#, 400),
        ("options", json, r#"{"number":"42","number":"42"}"#, 400),
        ("options", json, r#"{"number":"42","holder":"u-1"}"#, 400),
        ("options?x=1", json, typed, 400),
        ("options", json, &format!("{at} "), 413),
        ("finish", json, r#"{"ceremony_id":"c-1"}"#, 400),
        ("finish", json, r#"{"ceremony_id":"c-1","credential":{"id":"a","id":"b"}}"#, 400),
        ("finish", json, &filled(64 * 1_024 + 1), 413),
    ] {
        let mut client = rig.connect_portal().await;
        let reply = post(&mut client, path, headers, body).await;
        assert_eq!(reply.status, status, "{path} {headers}");
        assert_ne!(reply.code(), "", "the script reads a problem: {}", reply.text());
    }
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
    let mut client = rig.connect_portal().await;
    assert_eq!(post(&mut client, "options", JSON, &at).await.status, 200);
    let full = filled(64 * 1_024);
    assert_eq!((full.len(), post(&mut client, "finish", JSON, &full).await.status), (65_536, 200));
}
