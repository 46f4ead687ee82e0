//! Registering a security key: the card's page, the PC's own page, the card again.

use crate::support::paper_portal::PAGE_SECRET;
use crate::support::paper_portal::ask;
use crate::support::rig::Rig;
use api::operations::confirm_enrol::ConfirmEnrol;
use api::operations::confirm_enrol::ConfirmEnrolPage;
use api::operations::confirm_enrol::Proposed;
use api::operations::portal::EnrolStarted;
use api::operations::portal::PhoneDone;
use api::operations::portal::Purpose;
use api::operations::portal::WaitPage;
use attest::authenticator::AuthenticatorKind;

fn cookie() -> String {
    format!("Cookie: __Secure-wait={PAGE_SECRET}\r\n")
}

#[tokio::test]
async fn card_begins_for_a_key_where_a_key_was_asked_for() {
    let rig = Rig::new();
    let reply = rig.connect_card(None).await.get("/enrol-key").await;
    assert!(reply.status == 403 && reply.text().contains("HPKIカードを確認できませんでした"));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let page = client.get("/enrol-key").await.text();
    assert!(page.contains("セキュリティキーを登録しますか") && !page.contains("<script"), "{page}");
    assert!(page.contains("<form method=\"post\" action=\"/enrol-key\">"), "{page}");
    assert!(client.get("/enrol-key?lang=en").await.text().contains("Register a security key?"));
    let led = client.post_form("/enrol-key", "", "form_token=one-time&lang=en").await;
    assert_eq!((led.status, led.header("location")), (303, "/enrol/page-1/started?lang=en"));
    *rig.keeper.portal.started.lock().unwrap() = Some(EnrolStarted::Page {
        kind: AuthenticatorKind::SecurityKey,
        portal_origin: "https://localhost:8446".into(),
        id: "page-1".into(),
        page_secret: PAGE_SECRET.into(),
    });
    let started = format!("Cookie: __Secure-started={PAGE_SECRET}\r\n");
    let page = client.ask("GET /enrol/page-1/started?lang=en", &started, b"").await.text();
    assert!(page.contains("action=\"https://localhost:8446/wait/page-1\""), "{page}");
    assert!(page.contains("security key at this computer") && !page.contains("QR"), "{page}");
    assert!(rig.keeper.was_asked("start enrol key true one-time"));
    assert!(
        !rig.keeper.was_asked("open enrol") && !rig.keeper.was_asked("start enrol true one-time")
    );
}

#[tokio::test]
async fn page_of_a_key_goes_on_at_this_pc_and_comes_back_for_the_card() {
    let rig = Rig::new();
    let mut client = rig.connect_portal().await;
    *rig.keeper.portal.wait.lock().unwrap() = Some(WaitPage::AtPc);
    let reply = client.ask("GET /wait/page-1?lang=en", &cookie(), b"").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/wait/page-1/key?lang=en"));
    let purpose = Purpose::EnrolKey { holder_id: "u-17".into() };
    *rig.keeper.portal.phone.lock().unwrap() = Some(ask(purpose));
    let page = client.ask("GET /wait/page-1/key?lang=en", &cookie(), b"").await.text();
    assert!(page.contains("Register a security key?") && page.contains("u-17"), "{page}");
    assert!(page.contains("The security key was not registered"), "{page}");
    assert!(!page.contains("Nothing confirmed that it is you."), "{page}");
    assert!(page.contains("data-next=\"/wait/page-1?lang=en\"") && !page.contains("id=\"number\""));
    for (done, status, state) in [
        (PhoneDone::AskCard { label: "90D8-3E98".into() }, 200, "go_on"),
        (PhoneDone::NotAccepted, 403, "end"),
        (PhoneDone::AlreadyRegistered, 409, "end"),
    ] {
        *rig.keeper.portal.done.lock().unwrap() = Some(done);
        let headers = format!("Content-Type: application/json\r\n{}", cookie());
        let body = br#"{"ceremony_id":"c-1","credential":{}}"#;
        let reply = client.ask("POST /wait/page-1/key/finish", &headers, body).await;
        assert_eq!((reply.status, &reply.json()["state"]), (status, &state.into()));
        assert!(!reply.text().contains("このスマートフォン"), "{}", reply.text());
    }
    *rig.keeper.portal.wait.lock().unwrap() = Some(WaitPage::AskCard {
        kind: AuthenticatorKind::SecurityKey,
        label: "90D8-3E98".into(),
        url: "https://localhost:8444/enrol/page-1".into(),
        remaining_seconds: 170,
    });
    let page = client.ask("GET /wait/page-1", &cookie(), b"").await.text();
    assert!(page.contains("セキュリティキーを確認しました"), "{page}");
    assert!(page.contains("<dd id=\"label\">セキュリティキー 90D8-3E98</dd>"), "{page}");
}

#[tokio::test]
async fn card_shown_again_says_that_it_is_a_key() {
    let rig = Rig::new();
    *rig.keeper.portal.confirm.lock().unwrap() = Some(ConfirmEnrolPage::Confirm(ConfirmEnrol {
        holder: "h".into(),
        holder_id: "u-17".into(),
        proposed: Proposed::SecurityKey { label: "90D8-3E98".into() },
        form_token: "one-time".into(),
        remaining_seconds: 170,
        danger_test_mode: false,
    }));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let page = client.get("/enrol/t-1").await.text();
    assert!(page.contains("このセキュリティキーを登録しますか"), "{page}");
    assert!(!page.contains("スマートフォン"), "{page}");
}
