//! The portal: a phone is changed by the phone itself.

use crate::support::paper_portal::PAGE_SECRET;
use crate::support::paper_portal::ask;
use crate::support::paper_portal::waiting;
use crate::support::rig::Rig;
use api::operations::change_phone::ChangeGoesOn;
use api::operations::portal::Handed;
use api::operations::portal::Purpose;
use api::operations::portal::WaitPage;

fn cookie() -> String {
    format!("Cookie: __Secure-wait={PAGE_SECRET}\r\n")
}

#[tokio::test]
async fn typed_id_leads_to_a_code_for_the_old_phone() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let index = client.get("/").await.text();
    assert!(index.contains("<form method=\"post\" action=\"/change\">"), "{index}");
    assert!(index.contains("スマートフォン変更") && index.contains("maxlength=\"128\""));
    let reply = client.post_form("/change", "", "holder_id=+u-17+&lang=en").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/wait/page-1?lang=en"));
    assert!(reply.header("set-cookie").contains("; Path=/wait/page-1; "));
    assert!(rig.keeper.was_asked("start change u-17"));
    assert_eq!(rig.keeper.portal.terminals.lock().unwrap().len(), 1);
    let purpose = Purpose::Change { holder_id: "<u-17>".into() };
    *rig.keeper.portal.wait.lock().unwrap() = Some(waiting(purpose.clone(), Some("042")));
    let page = client.ask("GET /wait/page-1", &cookie(), b"").await.text();
    assert!(page.contains("今お使いのスマートフォン") && page.contains("&#60;u-17&#62;"), "{page}");
    *rig.keeper.portal.phone.lock().unwrap() = Some(ask(purpose));
    let page = client.get("/phone/link-1").await.text();
    assert!(page.contains("変更を始めますか") && page.contains("&#60;u-17&#62;"), "{page}");
    assert!(!page.contains("許可の範囲"));
}

#[tokio::test]
async fn holder_says_yes_or_no_in_the_browser_that_has_the_page() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    *rig.keeper.portal.wait.lock().unwrap() = Some(WaitPage::AskChange {
        holder_id: "<u-17>".into(),
        label: "90D8-3E98".into(),
        remaining_seconds: 9,
    });
    let page = client.ask("GET /wait/page-1", &cookie(), b"").await.text();
    let question =
        "デバイスがすでに登録済みとなっています。現在のデバイスを削除して再度登録をし直しますか?";
    assert!(page.contains("<dd id=\"holder\">&#60;u-17&#62;</dd>"), "{page}");
    assert!(page.contains("<dd id=\"label\">スマートフォン 90D8-3E98</dd>"), "{page}");
    assert!(page.contains(question) && page.contains("はい") && !page.contains("<script"));
    let reply = client.post_form("/wait/page-1/change", &cookie(), "decision=approve").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/wait/page-2?lang=ja"));
    assert!(rig.keeper.was_asked("answer change page-1 true true"));
    for (goes_on, status, words) in [
        (ChangeGoesOn::Stopped, 200, "変更しませんでした"),
        (ChangeGoesOn::Over, 403, "使えなくなりました"),
        (ChangeGoesOn::Unavailable, 503, "利用できません"),
    ] {
        *rig.keeper.portal.goes_on.lock().unwrap() = Some(goes_on);
        let reply = client.post_form("/wait/page-1/change", &cookie(), "decision=deny").await;
        assert!(reply.status == status && reply.text().contains(words), "{}", reply.text());
    }
    client.post_form("/wait/page-1/change", "", "decision=approve").await;
    assert!(rig.keeper.was_asked("answer change page-1 false true"), "without its cookie");
}

#[tokio::test]
async fn page_with_the_second_code_is_another_page_to_its_script() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let confirm = Purpose::ConfirmChange { holder_id: "u-17".into(), label: "90D8-3E98".into() };
    *rig.keeper.portal.wait.lock().unwrap() = Some(waiting(confirm, Some("042")));
    let page = client.ask("GET /wait/page-1", &cookie(), b"").await.text();
    assert!(page.contains("もう一度確認してください") && page.contains("90D8-3E98"), "{page}");
    assert!(page.contains("<div id=\"waiting\" data-shows=\"2\" hidden>"), "{page}");
    for (query, is_waiting) in [("", true), ("?shows=2", true), ("?shows=1", false)] {
        let line = format!("GET /wait/page-1/state{query}");
        let state = client.ask(&line, &cookie(), b"").await.json();
        assert_eq!(state["waiting"], is_waiting, "{query}");
    }
}

#[tokio::test]
async fn forms_that_are_not_ours_change_nothing() {
    let rig = Rig::new();
    let longest = format!("holder_id={}", "a".repeat(128));
    for (path, headers, form, status) in [
        ("/change", "Origin: https://evil.example\r\n", "holder_id=u", 403),
        ("/change", "Sec-Fetch-Site: cross-site\r\n", "holder_id=u", 403),
        ("/change", "", "holder_id=u&x=1", 400),
        ("/change", "", &format!("{longest}a"), 400),
        ("/wait/page-1/change", "Origin: https://evil.example\r\n", "decision=approve", 403),
        ("/wait/page-1/change", "Sec-Fetch-Site: same-site\r\n", "decision=approve", 403),
        ("/wait/page-1/change", "", "decision=yes", 400),
        ("/wait/page-1/change", "", "", 400),
    ] {
        let mut client = rig.connect_portal().await;
        let reply = client.post_form(path, headers, form).await;
        assert_eq!(reply.status, status, "{path} {headers}{form}");
    }
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
    let mut client = rig.connect_portal().await;
    assert_eq!(client.post_form("/change", "", &longest).await.status, 303);
    *rig.keeper.portal.handed.lock().unwrap() = Some(Handed::RateLimited { seconds: 7 });
    let reply = client.post_form("/change", "", "holder_id=u").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "7"));
}
