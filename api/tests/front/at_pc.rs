//! The portal on the asking PC: an authenticator before its own screen.

use crate::support::paper_portal::PAGE_SECRET;
use crate::support::paper_portal::ask;
use crate::support::paper_portal::sign_in;
use crate::support::rig::Rig;
use api::operations::SignInRefusal;
use api::operations::added::AddedFactor;
use api::operations::added::FactorKind;
use api::operations::added::RecentlyAdded;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;

fn cookie() -> String {
    format!("Cookie: __Secure-wait={PAGE_SECRET}\r\n")
}

fn json_with_cookie() -> String {
    format!("Content-Type: application/json\r\n{}", cookie())
}

#[tokio::test]
async fn other_button_leads_to_the_page_of_this_pc() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (at, location) in [("pc", "/wait/page-1/key?lang=en"), ("phone", "/wait/page-1?lang=en")] {
        let form = format!("holder_id=u-17&lang=en&at={at}");
        let reply = client.post_form("/login/link-1/phone", "", &form).await;
        assert_eq!((reply.status, reply.header("location")), (303, location));
        assert!(reply.header("set-cookie").contains("; Path=/wait/page-1; "));
    }
    assert_eq!(client.post_form("/login/link-1/phone", "", "at=x").await.status, 400);
}

#[tokio::test]
async fn page_asks_for_a_number_only_where_it_stands_on_another_screen() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let mut asked = ask(sign_in());
    if let PhonePage::Ask { number_of_asking_screen, .. } = &mut asked {
        *number_of_asking_screen = false;
    }
    *rig.keeper.portal.phone.lock().unwrap() = Some(asked);
    let page = client.ask("GET /wait/page-1/key", &cookie(), b"").await.text();
    assert!(rig.keeper.was_asked("pc page page-1 true"));
    assert!(page.contains("data-next=\"/wait/page-1?lang=ja\"") && !page.contains("id=\"number\""));
    assert!(page.contains("action=\"/wait/page-1/key/deny\""), "{page}");
    *rig.keeper.portal.phone.lock().unwrap() = Some(PhonePage::Over);
    assert_eq!(client.ask("GET /wait/page-1/key", &cookie(), b"").await.status, 403);
}

#[tokio::test]
async fn number_is_read_where_it_was_typed() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    for (body, seen) in [("{}", "None"), ("{\"number\":\"０4 2\"}", "Some(\"042\")")] {
        let line = "POST /wait/page-1/key/options";
        let reply = client.ask(line, &json_with_cookie(), body.as_bytes()).await;
        assert_eq!(reply.json()["state"], "options");
        assert!(rig.keeper.was_asked(&format!("pc options page-1 true {seen}")), "{seen}");
    }
}

#[tokio::test]
async fn page_goes_on_by_itself_unless_there_is_something_to_read() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    let added = AddedFactor {
        kind: FactorKind::Phone,
        label: Some("90D8-3E98".into()),
        added_at: 0,
        terminal: "ward 3".into(),
    };
    let signed_in = |factors| PhoneDone::SignedIn {
        system: "電子カルテ".into(),
        added: RecentlyAdded { factors, contact: None },
    };
    for (done, status, state) in [
        (signed_in(Vec::new()), 200, "go_on"),
        (signed_in(vec![added]), 200, "end"),
        (PhoneDone::NotProved, 403, "again"),
        (PhoneDone::Refused(SignInRefusal::HolderDisabled.into()), 403, "end"),
    ] {
        *rig.keeper.portal.done.lock().unwrap() = Some(done);
        let line = "POST /wait/page-1/key/finish";
        let body = br#"{"ceremony_id":"c-1","credential":{}}"#;
        let reply = client.ask(line, &json_with_cookie(), body).await;
        assert_eq!((reply.status, &reply.json()["state"]), (status, &state.into()));
    }
    *rig.keeper.portal.done.lock().unwrap() = Some(PhoneDone::Denied);
    let reply = client.post_form("/wait/page-1/key/deny", &cookie(), "lang=en").await;
    assert_eq!(reply.status, 200);
    assert!(rig.keeper.was_asked("pc deny page-1 true"));
}
