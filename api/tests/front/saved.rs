//! The portal in a browser that keeps a sign-in: what it is shown, its cookie, and what other sites cannot do with it.

use crate::support::client::Client;
use crate::support::client::Reply;
use crate::support::paper_own_page::LINK;
use crate::support::paper_saved::KEPT;
use crate::support::rig::Rig;
use api::operations::own_page::Arrived;
use api::operations::portal::Choice;
use api::operations::portal::ChoicePage;
use api::operations::saved::SavedCookie;
use api::operations::saved::WentOn;
use api::wire::MethodName;

const STATE: &str = "0123456789abcdef0123456789abcdef";

fn rig(keeps: bool) -> Rig {
    let rig = Rig::new();
    *rig.keeper.portal.choice.lock().unwrap() = Some(ChoicePage::Choose(Choice {
        system: "電子カルテ".into(),
        methods: vec![MethodName::Hpki],
        hpki_url: Some(format!("https://localhost:8444/login/{LINK}")),
        jpki_url: None,
        asks_holder: false,
        keeps,
        remaining_seconds: 170,
        danger_test_mode: false,
    }));
    rig
}

async fn get(client: &mut Client, cookie: &str, path: &str) -> Reply {
    client.ask(&format!("GET {path}"), &format!("Cookie: {cookie}\r\n"), b"").await
}

async fn press(client: &mut Client, button: &str, headers: &str, form: &str) -> Reply {
    let headers = format!("Cookie: __Host-saved={KEPT}\r\n{headers}");
    client.post_form(&format!("/login/{LINK}/{button}"), &headers, form).await
}

#[tokio::test]
async fn click_is_offered_in_the_place_of_the_choice_and_names_nobody() {
    let rig = rig(true);
    let mut client = rig.connect_portal().await;
    let (cookie, path) = (format!("__Host-saved={KEPT}"), format!("/login/{LINK}"));
    let page = get(&mut client, &cookie, &path).await;
    assert_eq!((page.status, page.header("set-cookie")), (200, ""));
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' https://ehr.example:8443;"), "{policy}");
    let page = page.text();
    for words in [
        "前の認証のまま続けますか",
        "&#60;b&#62;電子カルテ&#60;/b&#62;",
        "2026年12月31日 23時59分",
        "23時59分の認証のまま続ける（翌日11時59分まで）",
        "スマートフォン",
        "1,249 件",
        "試験モード",
        "name=\"form_token\" value=\"one-time\"",
        &format!("action=\"/login/{LINK}/saved\""),
        &format!("action=\"/login/{LINK}/forget\""),
        "システム管理者に知らせて",
        &format!("href=\"/login/{LINK}?lang=ja&amp;other=1\""),
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("u-17"), "{page}");
    let page = get(&mut client, &cookie, &format!("{path}?lang=en")).await.text();
    assert!(page.contains("Go on as signed in at 23:59 (until 11:59 the next day)"), "{page}");
}

#[tokio::test]
async fn browser_that_keeps_nothing_is_shown_the_choice_and_told_that_it_will() {
    let rig = rig(true);
    let mut client = rig.connect_portal().await;
    let path = format!("/login/{LINK}");
    for cookie in ["", "__Host-saved=other", "__Host-saved=a b", "saved=browser-1.secret"] {
        let page = get(&mut client, cookie, &path).await;
        assert_eq!(page.status, 200, "the one card is not gone to by itself: {cookie}");
        let page = page.text();
        assert!(page.contains(&format!("action=\"{path}/card\"")), "{page}");
        assert!(page.contains("ボタン一つ") && page.contains("ログアウト"), "{page}");
    }
    let twice = format!("__Host-saved={KEPT}; __Host-saved={KEPT}");
    assert!(get(&mut client, &twice, &path).await.text().contains("/card\""));
}

#[tokio::test]
async fn another_way_is_the_choice_and_forgets_nothing() {
    let rig = rig(true);
    let mut client = rig.connect_portal().await;
    let (cookie, path) = (format!("__Host-saved={KEPT}"), format!("/login/{LINK}"));
    let page = get(&mut client, &cookie, &format!("{path}?lang=ja&other=1")).await;
    assert_eq!((page.status, page.header("set-cookie")), (200, ""));
    assert!(page.text().contains(&format!("action=\"{path}/card\"")), "{}", page.text());
    assert!(!rig.keeper.was_asked(&format!("forget {KEPT}")));
    let page = get(&mut client, &cookie, &format!("{path}?other=0")).await.text();
    assert!(page.contains(&format!("action=\"{path}/saved\"")), "{page}");
}

#[tokio::test]
async fn where_nothing_is_kept_the_only_card_is_gone_to_by_itself() {
    let rig = rig(false);
    let mut client = rig.connect_portal().await;
    let reply = get(&mut client, "", &format!("/login/{LINK}")).await;
    assert_eq!(reply.status, 303);
}

#[tokio::test]
async fn click_leads_back_with_the_code_or_says_why_not() {
    let rig = rig(true);
    let mut client = rig.connect_portal().await;
    let url = "https://ehr.example:8443/return?code=c&state=s";
    for (went_on, status, says) in [
        (WentOn::Return { url: url.into() }, 303, ""),
        (WentOn::SavedOver, 403, "You cannot go on as signed in before"),
        (WentOn::LinkOver, 403, "This link can no longer be used"),
        (WentOn::Unavailable, 503, ""),
        (WentOn::RateLimited { seconds: 7 }, 429, "Wait 7 seconds"),
    ] {
        *rig.keeper.saved.went_on.lock().unwrap() = Some(went_on.clone());
        let reply = press(&mut client, "saved", "", "form_token=one-time&lang=en").await;
        assert_eq!(reply.status, status, "{went_on:?}: {}", reply.text());
        assert!(reply.text().contains(says), "{}", reply.text());
        if status == 303 {
            assert_eq!(reply.header("location"), url);
        }
    }
    assert!(rig.keeper.was_asked(&format!("go on {LINK} {KEPT} one-time")));
}

#[tokio::test]
async fn click_of_another_site_or_without_its_field_is_none() {
    let rig = rig(true);
    let mut client = rig.connect_portal().await;
    for (headers, form, status) in [
        ("Sec-Fetch-Site: cross-site\r\n", "form_token=one-time", 403),
        ("Origin: https://evil.example\r\n", "form_token=one-time", 403),
        ("", "lang=en", 400),
        ("", "form_token=a&form_token=b", 400),
        ("", "form_token=a&more=b", 400),
    ] {
        let reply = press(&mut client, "saved", headers, form).await;
        assert_eq!(reply.status, status, "{headers}{form}: {}", reply.text());
    }
    let path = format!("/login/{LINK}/saved");
    assert_eq!(client.get(&path).await.status, 405, "a link is no click");
    let foreign = press(&mut client, "forget", "Sec-Fetch-Site: cross-site\r\n", "").await;
    assert_eq!(foreign.status, 403);
    let asked = rig.keeper.asked.lock().unwrap();
    let acted = asked.iter().any(|line| line.starts_with("go on") || line.starts_with("forget"));
    assert!(!acted, "{asked:?}");
}

#[tokio::test]
async fn browser_forgets_and_is_shown_the_choice_unless_it_could_not() {
    let rig = rig(true);
    let mut client = rig.connect_portal().await;
    let reply = press(&mut client, "forget", "", "lang=en").await;
    assert_eq!((reply.status, reply.header("location")), (303, &*format!("/login/{LINK}?lang=en")));
    let gone = "__Host-saved=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";
    assert_eq!(reply.header("set-cookie"), gone);
    assert!(rig.keeper.was_asked(&format!("forget {KEPT}")));
    *rig.keeper.saved.is_stuck.lock().unwrap() = true;
    let reply = press(&mut client, "forget", "", "lang=en").await;
    assert_eq!((reply.status, reply.header("set-cookie")), (503, ""));
}

#[tokio::test]
async fn browser_that_arrives_is_given_its_cookie_and_goes_on() {
    let rig = rig(true);
    let mut client = rig.connect_portal().await;
    let url = "https://ehr.example:8443/return?code=c&state=s".to_owned();
    let kept = Some(SavedCookie { secret: "b.s".into(), seconds: 3_600 });
    *rig.keeper.own_page.arrived.lock().unwrap() = Some(Arrived::Return { url: url.clone(), kept });
    let path = format!("/arrive?code=c&state={STATE}&keep=k");
    let cookies = format!("__Host-begun={STATE}; __Host-saved={KEPT}");
    let reply = get(&mut client, &cookies, &path).await;
    assert_eq!((reply.status, reply.header("location")), (303, &*url));
    let saved = "__Host-saved=b.s; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax";
    let begun = "__Host-begun=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";
    assert_eq!(reply.all("set-cookie"), [saved, begun]);
    assert_eq!(rig.keeper.saved.cookies.lock().unwrap().pop(), Some(Some(KEPT.to_owned())));
    assert!(rig.keeper.was_asked(&format!("arrive c {STATE} k")));
    *rig.keeper.own_page.arrived.lock().unwrap() = Some(Arrived::Return { url, kept: None });
    assert_eq!(get(&mut client, "", &path).await.all("set-cookie"), [begun]);
}
