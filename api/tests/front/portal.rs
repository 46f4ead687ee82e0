//! The portal: its pages, its cookie, what it refuses.

use crate::support::client::Client;
use crate::support::client::Reply;
use crate::support::paper_portal::PAGE_SECRET;
use crate::support::paper_portal::waiting;
use crate::support::rig::Rig;
use api::operations::portal::Choice;
use api::operations::portal::ChoicePage;
use api::operations::portal::Handed;
use api::operations::portal::Purpose;
use api::operations::portal::WaitPage;
use api::wire::MethodName;
use attest::authenticator::AuthenticatorKind;

async fn wait_page(client: &mut Client, path: &str) -> Reply {
    let cookie = format!("Cookie: __Secure-wait={PAGE_SECRET}\r\n");
    client.ask(&format!("GET {path}"), &cookie, b"").await
}

fn choice(methods: &[MethodName], asks_holder: bool) -> ChoicePage {
    ChoicePage::Choose(Choice {
        system: "<b>電子カルテ</b>".into(),
        methods: methods.to_vec(),
        hpki_url: Some("https://localhost:8444/login/link-1".into()),
        jpki_url: Some("https://localhost:8447/login/link-1".into()),
        asks_holder,
        keeps: false,
        remaining_seconds: 170,
        danger_test_mode: true,
    })
}

fn ask_change() -> WaitPage {
    let (holder_id, label) = ("u-17".into(), "90D8-3E98".into());
    WaitPage::AskChange { holder_id, label, remaining_seconds: 170 }
}

fn enrolled(kind: AuthenticatorKind) -> WaitPage {
    WaitPage::Enrolled { kind, label: "1".into() }
}

fn ask_card() -> WaitPage {
    WaitPage::AskCard {
        kind: AuthenticatorKind::Phone,
        label: "90D8-3E98".into(),
        url: "https://localhost:8444/enrol/page-1".into(),
        remaining_seconds: 170,
    }
}

#[tokio::test]
async fn portal_speaks_tls13_and_both_versions_of_http_to_anybody_and_only_under_its_name() {
    let rig = Rig::new();
    let reply = rig.connect_portal().await.get("/").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(Client::tls12(rig.portal, &rig.pki, None, "localhost").await.is_err());
    let mut client = Client::tls13(rig.portal, &rig.pki, None, "other.example").await.unwrap();
    client.send("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n").await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 421);
    let http2 = ["--http2", "--write-out", "%{http_version}"];
    let said = crate::support::tools::curl(&rig.pki, None, rig.portal, "/", &http2).await;
    let said = crate::support::tools::text(&said);
    assert!(said.starts_with("HTTP/2 200") && said.ends_with('2'), "{said}");
}

#[tokio::test]
async fn index_has_every_entry_in_both_languages() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = client.get("/").await.text();
    let entries = [
        ("HPKI カードを使ってスマートフォンを登録する", "8444/enrol?lang=ja\">HPKI カードで登録"),
        ("カードを使ってセキュリティキーを登録する", "8444/enrol-key?lang=ja\">HPKI カードで登録"),
        (
            "マイナンバーカードを使ってスマートフォンを登録する",
            "8447/enrol?lang=ja\">マイナンバーカードで登録",
        ),
        (
            "HPKI カードを使ってマイナンバーカードを登録する",
            "8444/link?lang=ja\">HPKI カードで登録",
        ),
        ("スマートフォンを変更する", "<form method=\"post\" action=\"/change\">"),
    ];
    let mut rest = page.as_str();
    for (entry, link) in entries {
        let at =
            rest.find(&format!("<summary>{entry}</summary>")).unwrap_or_else(|| panic!("{page}"));
        rest = &rest[at..];
        assert!(rest.find(link).unwrap() < rest.find("</details>").unwrap(), "{entry}: {page}");
    }
    assert!(page.contains("<html lang=\"ja\">") && page.contains("href=\"/?lang=en\""));
    assert!(page.contains("href=\"https://localhost:8444/enrol?lang=ja\""));
    let page = client.get("/?lang=en").await.text();
    assert!(
        page.contains("Register a phone with your HPKI card") && page.contains("/enrol?lang=en\""),
        "{page}"
    );
    assert_eq!(client.get("/?lang=en&x=1").await.status, 400);
}

#[tokio::test]
async fn choice_names_the_system_and_leads_to_each_method() {
    let rig = Rig::new();
    let both = [MethodName::Hpki, MethodName::Fido2];
    *rig.keeper.portal.choice.lock().unwrap() = Some(choice(&both, true));
    let mut client = rig.connect_portal().await;
    let page = client.get("/login/link-1").await.text();
    assert!(page.contains("&#60;b&#62;電子カルテ"), "{page}");
    assert!(page.contains("<form method=\"post\" action=\"/login/link-1/card\">"));
    assert!(page.contains("<form method=\"post\" action=\"/login/link-1/phone\">"));
    assert!(page.contains("name=\"holder_id\"") && page.contains("試験モード"));
    let card = page.find("HPKI カードで認証").unwrap();
    assert!(card < page.find("スマートフォンで認証").unwrap(), "in the keeper's order");
    *rig.keeper.portal.choice.lock().unwrap() = Some(choice(&[MethodName::Fido2], false));
    let page = client.get("/login/link-1?lang=en").await.text();
    assert!(page.contains("Sign in with your phone") && !page.contains("holder_id"), "{page}");
    assert!(!page.contains("HPKI card"));
}

#[tokio::test]
async fn card_alone_is_gone_to_at_once() {
    let rig = Rig::new();
    for (method, url) in [
        (MethodName::Hpki, "https://localhost:8444/login/link-1"),
        (MethodName::Jpki, "https://localhost:8447/login/link-1"),
    ] {
        *rig.keeper.portal.choice.lock().unwrap() = Some(choice(&[method], false));
        for lang in ["ja", "en"] {
            let page = format!("/login/link-1?lang={lang}");
            let reply = rig.connect_portal().await.get(&page).await;
            let url = format!("{url}?lang={lang}");
            assert_eq!((reply.status, reply.header("location")), (303, url.as_str()));
        }
    }
}

#[tokio::test]
async fn my_number_card_is_offered_where_it_is_a_method() {
    let rig = Rig::new();
    let all = [MethodName::Hpki, MethodName::Jpki, MethodName::Fido2];
    *rig.keeper.portal.choice.lock().unwrap() = Some(choice(&all, true));
    let mut client = rig.connect_portal().await;
    let page = client.get("/login/link-1").await;
    let policy = page.header("content-security-policy").to_owned();
    let origins = "form-action 'self' https://localhost:8444 https://localhost:8447;";
    assert!(policy.contains(origins), "{policy}");
    assert!(page.text().contains("マイナンバーカードで認証</button>"), "{}", page.text());
    let there = client.post_form("/login/link-1/card", "", "card=jpki").await;
    let url = "https://localhost:8447/login/link-1?lang=ja";
    assert_eq!((there.status, there.header("location")), (303, url));
}

#[tokio::test]
async fn asking_for_a_phone_puts_the_secret_into_a_cookie_of_that_page_and_into_no_link() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let agent = "User-Agent: Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36\r\n";
    let body = "holder_id=%20u-17&lang=en";
    let reply = client.post_form("/login/link-1/phone", agent, body).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    assert_eq!(reply.header("location"), "/wait/page-1?lang=en");
    let cookie = format!(
        "__Secure-wait={PAGE_SECRET}; Path=/wait/page-1; Max-Age=3600; Secure; HttpOnly; SameSite=Strict"
    );
    assert_eq!(reply.header("set-cookie"), cookie);
    let portal = &rig.keeper.portal;
    assert_eq!(portal.holders.lock().unwrap().as_slice(), [Some("u-17".to_owned())]);
    let terminal = portal.terminals.lock().unwrap().pop().unwrap();
    assert_eq!(
        (terminal.address.as_str(), terminal.browser.as_str()),
        ("127.0.0.1", "Chrome, Windows")
    );
    client.post_form("/login/link-1/phone", "", "holder_id=").await;
    assert_eq!(portal.holders.lock().unwrap().pop(), Some(None));
}

#[tokio::test]
async fn waiting_page_shows_code_number_and_time_and_goes_on_without_a_script() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = wait_page(&mut client, "/wait/page-1").await.text();
    assert!(page.contains("<svg class=\"qr\" role=\"img\" aria-label="), "{page}");
    assert!(page.contains("<p class=\"number\" id=\"number\">42</p>"));
    assert!(page.contains("https://localhost:8446/phone/link-1</p>"), "the link as text");
    assert!(page.contains("data-seconds=\"179\">2:59</span>"));
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
    assert!(!page.contains(PAGE_SECRET));
    let other = Purpose::Enrol { holder_id: "u-17".into(), replaces: true };
    *rig.keeper.portal.wait.lock().unwrap() = Some(waiting(other, None));
    let page = wait_page(&mut client, "/wait/page-1?lang=en").await.text();
    assert!(page.contains("the screen of the system that asks"), "{page}");
    assert!(page.contains("The phone you have now works until"));
}

#[tokio::test]
async fn waiting_page_becomes_what_the_phone_decided() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let url = "https://ehr.example/back?code=c&state=s".to_owned();
    *rig.keeper.portal.wait.lock().unwrap() = Some(WaitPage::Return { url: url.clone() });
    let reply = wait_page(&mut client, "/wait/page-1").await;
    assert_eq!((reply.status, reply.header("location")), (303, url.as_str()));
    for (page, status, words) in [
        (WaitPage::SignedIn { system: "電子カルテ".into() }, 200, "「電子カルテ」の画面に戻って"),
        (ask_card(), 200, "href=\"https://localhost:8444/enrol/page-1?lang=ja\""),
        (ask_change(), 200, "<form method=\"post\" action=\"/wait/page-1/change\">"),
        (enrolled(AuthenticatorKind::Phone), 200, "スマートフォンの登録が完了しました"),
        (enrolled(AuthenticatorKind::SecurityKey), 200, "セキュリティキーの登録が完了しました"),
        (WaitPage::Denied, 403, "断られた、"),
        (WaitPage::Over, 403, "使えなくなりました"),
        (WaitPage::Unavailable, 503, "ただいま利用できません"),
    ] {
        *rig.keeper.portal.wait.lock().unwrap() = Some(page);
        let reply = wait_page(&mut client, "/wait/page-1").await;
        assert_eq!(reply.status, status);
        assert!(reply.text().contains(words), "{}", reply.text());
        assert!(!reply.text().contains("<script"), "it ends here");
    }
}

#[tokio::test]
async fn script_of_the_waiting_page_hears_only_whether_it_waits() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let reply = wait_page(&mut client, "/wait/page-1/state?wait=25").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "{\"waiting\":true}"));
    assert!(rig.keeper.was_asked("wait page-1 25"));
    let url = "https://ehr.example/back?code=secret".to_owned();
    *rig.keeper.portal.wait.lock().unwrap() = Some(WaitPage::Return { url });
    let reply = wait_page(&mut client, "/wait/page-1/state").await;
    assert_eq!(reply.text(), "{\"waiting\":false}");
    *rig.keeper.portal.wait.lock().unwrap() = Some(WaitPage::Unavailable);
    let reply = wait_page(&mut client, "/wait/page-1/state").await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "not_operational"));
    assert_eq!(wait_page(&mut client, "/wait/page-1/state?wait=60").await.status, 503);
    assert_eq!(
        wait_page(&mut client, "/wait/page-1/state?wait=61").await.code(),
        "malformed_request"
    );
}

#[tokio::test]
async fn phone_that_cannot_be_asked_is_a_page_with_a_next_step() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (handed, status, words) in [
        (Handed::Over, 403, "使えなくなりました"),
        (Handed::NetworkNotAllowed, 403, "この場所では"),
        (Handed::Unavailable, 503, "ただいま利用できません"),
        (Handed::RateLimited { seconds: 7 }, 429, "7秒ほど待って"),
    ] {
        *rig.keeper.portal.handed.lock().unwrap() = Some(handed);
        let reply = client.post_form("/login/link-1/phone", "", "").await;
        assert_eq!(reply.status, status);
        assert!(reply.text().contains(words), "{}", reply.text());
        assert_eq!(reply.header("set-cookie"), "");
        if status == 429 {
            assert_eq!(reply.header("retry-after"), "7");
        }
    }
}

#[tokio::test]
async fn secret_from_the_card_listener_becomes_the_cookie_and_asks_the_keeper_nothing() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let body = format!("page_secret={PAGE_SECRET}&lang=ja");
    for headers in ["", "Sec-Fetch-Site: same-site\r\nOrigin: null\r\n"] {
        let reply = client.post_form("/wait/page-1", headers, &body).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/wait/page-1?lang=ja"));
        assert!(reply.header("set-cookie").contains("; Path=/wait/page-1; "));
        assert!(reply.header("set-cookie").ends_with("Secure; HttpOnly; SameSite=Strict"));
    }
    let (at, past) = ("a".repeat(128), "a".repeat(129));
    assert_eq!(
        client.post_form("/wait/page-1", "", &format!("page_secret={at}")).await.status,
        303
    );
    for wrong in ["", &past, "a%3Bb", "a%20b", "a%0D%0Ab", "a%2Cb"] {
        let reply = client.post_form("/wait/page-1", "", &format!("page_secret={wrong}")).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (400, ""), "{wrong}");
    }
    assert_eq!(client.post_form("/wait/page-1", "", "lang=ja").await.status, 400);
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
}

/// The same octets but for the reference: nothing tells an unknown id from a wrong secret or none.
#[tokio::test]
async fn pages_of_others_unknown_pages_and_unknown_links_look_alike() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let mut seen = std::collections::BTreeSet::new();
    let good = format!("__Secure-wait={PAGE_SECRET}");
    for (path, cookie) in [
        ("/wait/page-1", ""),
        ("/wait/page-1", "__Secure-wait=wrong"),
        ("/wait/page-1", "__Secure-wait="),
        ("/wait/page-1", "__Secure-wait=a\"b"),
        ("/wait/page-1", &format!("{good}; {good}")),
        ("/wait/page-1", &format!("x{good}")),
        ("/wait/page-1", &good.replace("__Secure-", "")),
        ("/wait/page-2", &good),
    ] {
        let header =
            if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        let reply = client.ask(&format!("GET {path}"), &header, b"").await;
        assert_eq!(reply.status, 403, "{path} {cookie}");
        seen.insert(reply.text().replace(reply.header("request-id"), ""));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    let mut links = std::collections::BTreeSet::new();
    for link in ["unknown", "over"] {
        for path in [format!("/login/{link}"), format!("/phone/{link}")] {
            let reply = client.get(&path).await;
            assert_eq!(reply.status, 403);
            links.insert(reply.text().replace(reply.header("request-id"), "").replace(&path, ""));
        }
    }
    assert_eq!(links.len(), 1, "{links:?}");
    let both = client.ask("GET /wait/page-1", &format!("Cookie: a=b; {good}; c=d\r\n"), b"").await;
    assert_eq!(both.status, 200, "the one among others is found");
}

#[tokio::test]
async fn getting_a_page_asks_the_keeper_for_nothing_that_changes_anything() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for path in ["/", "/portal.js", "/login/link-1", "/wait/page-1", "/phone/link-1"] {
        client.get(path).await;
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.send(head).await.unwrap();
        client.reply_head().await.unwrap();
    }
    for path in [
        "/login/link-1/phone",
        "/phone/link-1/options",
        "/phone/link-1/finish",
        "/phone/link-1/deny",
    ] {
        assert_eq!(client.get(path).await.status, 405, "{path}");
    }
    let asked = rig.keeper.asked.lock().unwrap();
    let harmless = ["choose link-1", "wait page-1 0", "phone link-1"];
    assert!(asked.iter().all(|line| harmless.contains(&line.as_str())), "{asked:?}");
}

#[tokio::test]
async fn forms_of_other_sites_and_other_forms_change_nothing() {
    let rig = Rig::new();
    let secret = format!("page_secret={PAGE_SECRET}");
    let at = format!("holder_id={}", "a".repeat(128));
    let full = format!("holder_id={}", "%61".repeat(1_362));
    assert_eq!(full.len(), 4_096);
    for (path, headers, body, status) in [
        ("/login/link-1/phone", "Origin: https://evil.example\r\n", "", 403),
        ("/login/link-1/phone", "Sec-Fetch-Site: cross-site\r\n", "", 403),
        ("/login/link-1/phone", "Sec-Fetch-Site: same-site\r\n", "", 403),
        ("/phone/link-1/deny", "Sec-Fetch-Site: cross-site\r\n", "", 403),
        ("/phone/link-1/deny", "Origin: https://localhost:1\r\n", "", 403),
        ("/wait/page-1", "Sec-Fetch-Site: cross-site\r\n", &secret, 403),
        ("/login/link-1/phone", "", "admin=1", 400),
        ("/login/link-1/phone", "", "lang=ja&lang=en", 400),
        ("/login/link-1/phone", "", &format!("{at}a"), 400),
        ("/login/link-1/phone", "", &full, 400),
        ("/login/link-1/phone", "", &format!("{full}&"), 413),
        ("/login/link-1/phone?x=1", "", "", 400),
        ("/phone/link-1/deny", "", "number=1", 400),
    ] {
        let mut client = rig.connect_portal().await;
        let reply = client.post_form(path, headers, body).await;
        assert_eq!(reply.status, status, "{path} {headers}{body}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(reply.header("set-cookie"), "");
    }
    let mut client = rig.connect_portal().await;
    assert_eq!(client.post_json("/login/link-1/phone", "{}").await.status, 415);
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
    assert_eq!(client.post_form("/login/link-1/phone", "", &at).await.status, 303);
}

#[tokio::test]
async fn policy_lets_pages_run_the_one_script_where_they_need_it_and_nothing_else() {
    let rig = Rig::new();
    *rig.keeper.portal.choice.lock().unwrap() = Some(choice(&[MethodName::Fido2], false));
    let mut client = rig.connect_portal().await;
    for (path, runs) in
        [("/", false), ("/login/link-1", false), ("/wait/page-1", true), ("/phone/link-1", true)]
    {
        let reply = wait_page(&mut client, path).await;
        assert_eq!(reply.status, 200, "{path}");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("form-action 'self'; frame-ancestors 'none'; base-uri 'none'"));
        assert_eq!(policy.contains("script-src 'self'; connect-src 'self'; "), runs, "{path}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(reply.header(name), value, "{path}");
        }
        let page = reply.text();
        assert_eq!(page.matches("<script").count(), usize::from(runs), "{path}");
        assert!(!page.contains(" style=") && !page.contains(" onclick="), "{path}");
        assert!(page.contains("<html lang=\"ja\">"));
    }
}

#[tokio::test]
async fn script_is_kept_for_ever_under_the_name_its_pages_give_it() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = client.get("/phone/link-1").await.text();
    let source = page.split("<script src=\"").nth(1).unwrap().split('"').next().unwrap();
    let named = client.get(source).await;
    assert_eq!(named.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(named.header("cache-control"), "public, max-age=31536000, immutable");
    for other in ["/portal.js", "/portal.js?v=0123456789abcdef"] {
        let reply = client.get(other).await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"));
        assert_eq!(reply.body, named.body);
    }
    assert!(!named.text().contains("innerHTML") && !named.text().contains("eval("));
}
