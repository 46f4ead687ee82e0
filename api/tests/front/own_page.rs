//! The holder's own page: what it shows, its cookies, and what other sites cannot do with it.

use crate::support::client::Client;
use crate::support::client::Reply;
use crate::support::paper_own_page::LINK;
use crate::support::paper_own_page::OPEN;
use crate::support::rig::Rig;
use api::operations::own_page::Arrived;
use api::operations::own_page::OwnAction;
use api::operations::own_page::OwnDone;
use api::operations::portal::Choice;
use api::operations::portal::ChoicePage;
use api::wire::MethodName;

const STATE: &str = "0123456789abcdef0123456789abcdef";

async fn get(client: &mut Client, path: &str) -> Reply {
    client.ask(&format!("GET {path}"), &format!("Cookie: __Host-me={OPEN}\r\n"), b"").await
}

async fn post(client: &mut Client, path: &str, headers: &str, form: &str) -> Reply {
    client.post_form(path, &format!("Cookie: __Host-me={OPEN}\r\n{headers}"), form).await
}

#[tokio::test]
async fn page_shows_sign_ins_devices_and_terms_and_a_button_for_each() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = get(&mut client, "/me").await.text();
    for words in [
        "医師 &#60;太郎&#62;",
        "u-17",
        "&#60;b&#62;電子カルテ&#60;/b&#62;",
        "スマートフォン",
        "2026年12月31日 23時59分",
        "1,249 件",
        "Chrome, &#60;Windows&#62; (192.0.2.7)",
        "スマートフォン &#60;1&#62;",
        "まだ使われていません",
        "CN=医師 &#60;太郎&#62;",
        "認証局 &#60;03-0000-0000&#62;",
        "ほかの人に貸さないでください",
        "すぐに施設の登録担当者と",
        "試験モード",
        "name=\"action\" value=\"end\"",
        "name=\"action\" value=\"sign_out\"",
        "name=\"action\" value=\"sign_out_everywhere\"",
        "href=\"/me/devices/device-1?lang=ja\"",
        "href=\"/me/signatures?lang=ja\"",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(page.matches("name=\"form_token\" value=\"one-time\"").count(), 3);
    let page = get(&mut client, "/me?lang=en").await.text();
    for words in ["Where you are signed in", "31 December 2026, 23:59", "Never lend your card"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test]
async fn without_an_open_page_there_is_the_way_to_sign_in_and_nothing_of_anybody() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for cookie in
        ["", "Cookie: __Host-me=guess\r\n", "Cookie: __Host-me=a; __Host-me=open-page\r\n"]
    {
        let page = client.ask("GET /me", cookie, b"").await;
        assert_eq!(page.status, 200);
        let page = page.text();
        assert!(page.contains("action=\"/me/sign-in\"") && !page.contains("u-17"), "{page}");
        for path in ["/me/devices/device-1", "/me/signatures"] {
            let reply = client.ask(&format!("GET {path}"), cookie, b"").await;
            assert_eq!((reply.status, reply.header("location")), (303, "/me?lang=ja"), "{path}");
        }
    }
}

#[tokio::test]
async fn signing_in_leads_to_the_choice_and_the_choice_remembers_who_began() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let reply = client.post_form("/me/sign-in", "", "lang=en").await;
    assert_eq!((reply.status, reply.header("location")), (303, &*format!("/login/{LINK}?lang=en")));
    *rig.keeper.portal.choice.lock().unwrap() = Some(ChoicePage::Choose(Choice {
        system: "ご本人のページ".into(),
        methods: vec![MethodName::Hpki, MethodName::Fido2],
        hpki_url: Some(format!("https://localhost:8444/login/{LINK}")),
        jpki_url: None,
        asks_holder: true,
        keeps: false,
        remaining_seconds: 170,
        danger_test_mode: false,
    }));
    let page = client.get(&format!("/login/{LINK}")).await;
    assert_eq!(page.header("set-cookie"), "", "looking remembers nothing");
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' https://localhost:8444;"), "{policy}");
    assert!(page.text().contains(&format!("action=\"/login/{LINK}/card\"")));
    let reply = client.post_form(&format!("/login/{LINK}/card"), "", "lang=en").await;
    let card = format!("https://localhost:8444/login/{LINK}?lang=en");
    assert_eq!((reply.status, reply.header("location")), (303, &*card));
    let begun =
        format!("__Host-begun={STATE}; Path=/; Max-Age=900; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(reply.header("set-cookie"), begun);
}

#[tokio::test]
async fn code_is_exchanged_for_a_cookie_of_the_whole_host_and_of_no_script() {
    let rig = Rig::new();
    *rig.keeper.own_page.arrived.lock().unwrap() =
        Some(Arrived::OwnPage { secret: "new-secret".into() });
    let mut client = rig.connect_portal().await;
    let path = format!("GET /arrive?code=c&state={STATE}");
    let reply = client.ask(&path, &format!("Cookie: __Host-begun={STATE}\r\n"), b"").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/me"));
    let cookies = reply.all("set-cookie");
    let me = "__Host-me=new-secret; Path=/; Max-Age=1800; Secure; HttpOnly; SameSite=Lax";
    let begun = "__Host-begun=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";
    assert_eq!(cookies, [me, begun]);
    assert_eq!(rig.keeper.own_page.begun.lock().unwrap().pop(), Some(Some(STATE.to_owned())));
    client.ask(&path, "", b"").await;
    assert_eq!(rig.keeper.own_page.begun.lock().unwrap().pop(), Some(None));
    *rig.keeper.own_page.arrived.lock().unwrap() = Some(Arrived::Over);
    let reply = client.ask(&path, "", b"").await;
    assert_eq!((reply.status, reply.header("set-cookie")), (403, ""));
    assert_eq!(client.get("/arrive?code=c").await.status, 400);
}

#[tokio::test]
async fn each_button_asks_for_what_it_says() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (form, action) in [
        ("action=end&id=s-1", OwnAction::End { session_id: "s-1".into() }),
        ("action=sign_out", OwnAction::SignOut),
        ("action=sign_out_everywhere", OwnAction::SignOutEverywhere),
    ] {
        let form = format!("form_token=t&lang=en&{form}");
        let reply = post(&mut client, "/me", "", &form).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/me?lang=en"));
        assert_eq!(rig.keeper.own_page.actions.lock().unwrap().pop(), Some(action));
    }
    let reply = post(&mut client, "/me/devices/device-1", "", "form_token=t").await;
    assert_eq!(reply.status, 303);
    let removed = OwnAction::RemovePhone { device: "device-1".into() };
    assert_eq!(rig.keeper.own_page.actions.lock().unwrap().pop(), Some(removed));
    for form in
        ["", "form_token=t", "form_token=t&action=x", "form_token=t&action=end", "action=sign_out"]
    {
        assert_eq!(post(&mut client, "/me", "", form).await.status, 400, "{form}");
    }
    assert!(rig.keeper.own_page.actions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn leaving_takes_the_cookie_away_and_says_what_was_ended() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (done, words) in [
        (OwnDone::SignedOut, "サインアウトしました"),
        (OwnDone::SignedOutEverywhere { ended: 3 }, "終了した認証: 3 件"),
    ] {
        *rig.keeper.own_page.done.lock().unwrap() = Some(done);
        let reply = post(&mut client, "/me", "", "form_token=t&action=sign_out").await;
        let gone = "__Host-me=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";
        assert_eq!((reply.status, reply.header("set-cookie")), (200, gone));
        assert!(reply.text().contains(words), "{}", reply.text());
    }
    *rig.keeper.own_page.done.lock().unwrap() = Some(OwnDone::FormOver);
    let reply = post(&mut client, "/me", "", "form_token=t&action=sign_out").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("href=\"/me\""), "the way on: {}", reply.text());
}

/// H11: a form of another site, with the cookie or without.
#[tokio::test]
async fn forms_of_other_sites_are_refused_before_anything_is_asked() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for headers in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: https://localhost.evil.example\r\n",
    ] {
        for (path, form) in [
            ("/me", "form_token=t&action=sign_out_everywhere"),
            ("/me/sign-in", "lang=ja"),
            ("/me/devices/device-1", "form_token=t"),
            (&*format!("/login/{LINK}/card"), "lang=ja"),
        ] {
            let reply = post(&mut client, path, headers, form).await;
            assert_eq!(reply.status, 403, "{path} {headers}");
            assert_eq!(reply.header("set-cookie"), "");
        }
    }
    assert!(rig.keeper.own_page.actions.lock().unwrap().is_empty());
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
}

/// H11: nobody puts the page under a button of theirs, runs a script in it or finds it in a cache.
#[tokio::test]
async fn pages_are_in_no_frame_no_cache_and_without_scripts() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for path in ["/me", "/me/devices/device-1", "/me/signatures"] {
        let reply = get(&mut client, path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        let policy = reply.header("content-security-policy").to_owned();
        for words in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self';"] {
            assert!(policy.contains(words), "{path}: {policy}");
        }
        assert!(!policy.contains("script-src"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn removing_a_phone_says_what_remains_and_warns_where_nothing_does() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = get(&mut client, "/me/devices/device-1").await.text();
    assert!(page.contains("次のもので認証できます") && page.contains("CN=医師 &#60;太郎&#62;"));
    assert!(page.contains("action=\"/me/devices/device-1\""), "{page}");
    assert!(page.contains("<button>削除する</button>"), "{page}");
    *rig.keeper.own_page.has_cards.lock().unwrap() = Some(false);
    let page = get(&mut client, "/me/devices/device-1").await.text();
    assert!(page.contains("認証も署名もできなくなります"), "{page}");
    assert!(page.contains("認証局 &#60;03-0000-0000&#62;"), "{page}");
    assert!(page.contains("<button class=\"last\">削除する</button>"), "{page}");
    assert_eq!(get(&mut client, "/me/devices/other").await.status, 404);
    assert!(rig.keeper.own_page.actions.lock().unwrap().is_empty(), "looking changes nothing");
}

#[tokio::test]
async fn signatures_are_shown_as_the_system_called_them_with_the_way_to_older_ones() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let page = get(&mut client, "/me/signatures").await.text();
    for words in ["処方箋 &#60;1&#62;", "&#60;b&#62;電子カルテ", "HPKI カード", "2026年12月31日"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains("href=\"/me/signatures?before=41&amp;lang=ja\""), "{page}");
    let page = get(&mut client, "/me/signatures?before=41&lang=en").await.text();
    assert!(!page.contains("Older ones"), "{page}");
    assert!(rig.keeper.was_asked("signatures None") && rig.keeper.was_asked("signatures Some(41)"));
    for bad in ["-1", "x", "99999999999999999999"] {
        let reply = get(&mut client, &format!("/me/signatures?before={bad}")).await;
        assert_eq!(reply.status, 400, "{bad}");
    }
}
