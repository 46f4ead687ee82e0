//! My Number cards: their own listener with its own words, and the exchange of the cards.

use crate::support::client::Client;
use crate::support::client::Reply;
use crate::support::paper_my_number::TICKET_SECRET;
use crate::support::pki::Pair;
use crate::support::rig::Rig;
use api::operations::SignInRefusal;
use api::operations::confirm_enrol::ConfirmEnrol;
use api::operations::confirm_enrol::ConfirmEnrolPage;
use api::operations::confirm_enrol::EnrolEnded;
use api::operations::confirm_enrol::Proposed;
use attest::evidence::CardKind;
use std::time::Duration;

async fn connect(rig: &Rig, card: Option<&Pair>) -> Client {
    Client::tls12(rig.jpki, &rig.pki, card, "localhost").await.unwrap()
}

fn cookie() -> String {
    format!("Cookie: __Secure-link={TICKET_SECRET}\r\n")
}

fn set_cookie(path: &str) -> String {
    format!(
        "__Secure-link={TICKET_SECRET}; Path={path}; Max-Age=3600; Secure; HttpOnly; SameSite=Strict"
    )
}

/// The other listener's form leads to a page that can be loaded again.
async fn meet(client: &mut Client, headers: &str) -> Reply {
    let led = client.post_form("/link/ticket-1", headers, &secret()).await;
    assert_eq!((led.status, led.header("location")), (303, "/link/ticket-1?lang=ja"));
    assert_eq!(led.header("set-cookie"), set_cookie("/link/ticket-1"));
    client.ask("GET /link/ticket-1?lang=ja", &cookie(), b"").await
}

fn secret() -> String {
    format!("secret={TICKET_SECRET}&lang=ja")
}

#[tokio::test]
async fn each_listener_says_which_kind_of_card_it_asked_for() {
    let rig = Rig::new();
    rig.connect_card(Some(&rig.pki.card)).await.get("/login/link-1").await;
    connect(&rig, Some(&rig.pki.card)).await.get("/login/link-1").await;
    let cards = rig.keeper.cards.lock().unwrap();
    let kinds: Vec<_> = cards.iter().map(|card| card.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [CardKind::Hpki, CardKind::Jpki]);
}

#[tokio::test]
async fn listener_has_the_rules_of_the_other_cards_and_none_of_its_own() {
    let rig = Rig::new();
    assert!(Client::tls13(rig.jpki, &rig.pki, Some(&rig.pki.card), "localhost").await.is_err());
    let mut client = connect(&rig, Some(&rig.pki.card)).await;
    let reply = client.get("/login/link-1").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("この電子署名の依頼を許可しますか"));
    for (path, status) in [("/", 404), ("/link", 404), ("/v1/info", 404), ("/link/ticket-1", 403)] {
        assert_eq!(client.get(path).await.status, status, "{path}");
    }
    let mut hpki = rig.connect_card(Some(&rig.pki.card)).await;
    assert_eq!(hpki.post_form("/link/ticket-1", "", &secret()).await.status, 404);
}

#[tokio::test]
async fn words_are_about_the_card_that_is_asked_for() {
    let rig = Rig::new();
    let page = connect(&rig, None).await.get("/login/link-1").await;
    assert!(page.status == 403 && page.text().contains("マイナンバーカードを確認できませんでした"));
    for (refusal, here, not_there) in [
        (SignInRefusal::CardExpired, "市区町村の窓口", "認証局"),
        (SignInRefusal::CardRevoked, "市区町村の窓口", "認証局"),
        (SignInRefusal::WrongCertificate, "利用者証明用", "HPKI"),
        (SignInRefusal::CardNotRegistered, "HPKI カードでもう一度登録", "登録担当者"),
        (SignInRefusal::NoValidityProvider, "設定されていません", "登録担当者"),
    ] {
        *rig.keeper.refusal.lock().unwrap() = Some(refusal);
        let page = connect(&rig, Some(&rig.pki.card)).await.get("/login/link-1").await.text();
        assert!(page.contains(here) && !page.contains(not_there), "{refusal:?}: {page}");
    }
}

#[tokio::test]
async fn cards_are_exchanged_before_the_other_listener_is_reached() {
    let rig = Rig::new();
    let reply = rig.connect_card(None).await.get("/link").await;
    assert!(reply.status == 403 && reply.text().contains("HPKIカードを確認できませんでした"));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let page = client.get("/link").await.text();
    assert!(
        page.contains("マイナンバーカード登録サイト") && page.contains("<dd id=\"holder-id\">u-17")
    );
    assert!(
        page.contains("<form method=\"post\" action=\"/link\">") && page.contains("試験モード")
    );
    assert!(page.contains("<dd id=\"replaces\">2026年12月31日 23時59分"), "{page}");
    let reply = client.post_form("/link", "", "form_token=one-time&lang=ja").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/link/ticket-1/started?lang=ja"));
    assert_eq!(reply.header("set-cookie"), set_cookie("/link/ticket-1/started"));
    let without = client.get("/link/ticket-1/started").await;
    assert!(without.status == 403 && without.text().contains("使えなくなりました"));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.ask("GET /link/ticket-1/started?lang=ja", &cookie(), b"").await;
    let page = reply.text();
    assert!(page.contains("カードを入れ替えてください"), "{page}");
    let action = "<form method=\"post\" action=\"https://localhost:8447/link/ticket-1\">";
    assert!(page.contains(action) && page.contains("マイナンバーカードを登録</button>"), "{page}");
    assert!(page.contains(&format!("name=\"secret\" value=\"{TICKET_SECRET}\"")));
    assert!(page.contains("個人番号カードと通信をしています"));
    let policy = reply.header("content-security-policy");
    assert!(policy.contains("; form-action 'self' https://localhost:8447; "), "{policy}");
    assert!(client.ends_within(Duration::from_secs(2)).await);
    assert!(rig.keeper.was_asked("start link one-time"));
}

#[tokio::test]
async fn card_that_is_confirmed_waits_for_the_hpki_card() {
    let rig = Rig::new();
    let mut client = connect(&rig, Some(&rig.pki.card)).await;
    let site = "Sec-Fetch-Site: same-site\r\nOrigin: https://localhost:8444\r\n";
    let page = meet(&mut client, site).await.text();
    assert!(page.contains("このマイナンバーカードを登録しますか"), "{page}");
    assert!(page.contains("<form method=\"post\" action=\"/link/ticket-1/confirm\">"));
    assert!(!rig.keeper.was_asked("confirm link ticket-1 one-time"), "nothing is decided yet");
    let form = format!("secret={TICKET_SECRET}&form_token=one-time&lang=ja");
    let led = client.post_form("/link/ticket-1/confirm", "", &form).await;
    assert_eq!((led.status, led.header("location")), (303, "/link/ticket-1?lang=ja"));
    assert_eq!(led.header("set-cookie"), set_cookie("/link/ticket-1"));
    let reply = client.ask("GET /link/ticket-1?lang=ja", &cookie(), b"").await;
    let page = reply.text();
    assert!(reply.status == 200 && page.contains("登録はまだ終わっていません"), "{page}");
    assert!(page.contains("href=\"https://localhost:8444/enrol/ticket-1?lang=ja\""), "{page}");
    assert!(!page.contains("スマートフォン"), "{page}");
    assert!(rig.keeper.was_asked("confirm link ticket-1 one-time"));
    assert!(client.ends_within(Duration::from_secs(2)).await);
}

#[tokio::test]
async fn hpki_card_shown_again_confirms_the_my_number_card_or_turns_it_down() {
    let rig = Rig::new();
    *rig.keeper.portal.confirm.lock().unwrap() = Some(ConfirmEnrolPage::Confirm(ConfirmEnrol {
        holder: "医師 太郎".into(),
        holder_id: "u-17".into(),
        proposed: Proposed::MyNumberCard {
            proved_at: 1_798_729_199,
            terminal: "Chrome <192.0.2.7>".into(),
            replaces: true,
        },
        form_token: "one-time".into(),
        remaining_seconds: 170,
        danger_test_mode: false,
    }));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let page = client.get("/enrol/ticket-1").await.text();
    assert!(page.contains("このマイナンバーカードを登録しますか"), "{page}");
    assert!(page.contains("<dd id=\"proved-at\">2026年12月31日 23時59分"), "{page}");
    assert!(page.contains("<dd id=\"terminal\">Chrome &#60;192.0.2.7&#62;"), "{page}");
    assert!(page.contains("今までのマイナンバーカードは使えなくなります"), "{page}");
    *rig.keeper.portal.ended.lock().unwrap() = Some(EnrolEnded::Linked);
    let form = "form_token=one-time&lang=ja&decision=approve";
    let reply = client.post_form("/enrol/ticket-1", "", form).await;
    let done = "マイナンバーカードの登録が完了しました。ブラウザを終了してください。";
    assert!(reply.status == 200 && reply.text().contains(done), "{}", reply.text());
    assert!(rig.keeper.was_asked("confirm ticket-1 true one-time true"));
}

#[tokio::test]
async fn without_the_right_card_the_same_form_is_offered_again() {
    let rig = Rig::new();
    let said = "個人番号カードをカードリーダーにセットし、OK ボタンをクリックしてください。";
    let mut client = connect(&rig, None).await;
    let page = meet(&mut client, "").await.text();
    assert!(page.contains(said) && page.contains(">OK</button>"), "{page}");
    assert!(page.contains("<form method=\"post\" action=\"/link/ticket-1\">"));
    assert!(client.ends_within(Duration::from_secs(2)).await, "the next try needs a new handshake");
    *rig.keeper.refusal.lock().unwrap() = Some(SignInRefusal::ProofNotFresh);
    let mut client = connect(&rig, Some(&rig.pki.card)).await;
    assert!(meet(&mut client, "").await.text().contains(said));
}

#[tokio::test]
async fn unknown_ticket_wrong_certificate_and_foreign_forms_link_nothing() {
    let rig = Rig::new();
    let mut client = connect(&rig, Some(&rig.pki.card)).await;
    let other = "Cookie: __Secure-link=other\r\n";
    let reply = client.ask("GET /link/ticket-1", other, b"").await;
    assert!(reply.status == 403 && reply.text().contains("使えなくなりました"), "{}", reply.text());
    for (path, headers, form, status) in [
        ("/link/ticket-1", "", "lang=ja", 400),
        ("/link/ticket-1", "", "secret=x&holder=u-1", 400),
        ("/link/ticket-1", "", "secret=x%3B+Path%3D/", 400),
        ("/link/ticket-1", "Sec-Fetch-Site: cross-site\r\n", "secret=x", 403),
        ("/link/ticket-1/confirm", "", "secret=x", 400),
        ("/link/ticket-1/confirm", "Sec-Fetch-Site: same-site\r\n", "secret=x&form_token=t", 403),
        (
            "/link/ticket-1/confirm",
            "Origin: https://evil.example\r\n",
            "secret=x&form_token=t",
            403,
        ),
    ] {
        let mut client = connect(&rig, Some(&rig.pki.card)).await;
        assert_eq!(client.post_form(path, headers, form).await.status, status, "{path} {form}");
    }
    *rig.keeper.refusal.lock().unwrap() = Some(SignInRefusal::WrongCertificate);
    let mut client = connect(&rig, Some(&rig.pki.card)).await;
    let page = meet(&mut client, "").await.text();
    assert!(page.contains("署名用のパスワードは使いません"), "{page}");
}
