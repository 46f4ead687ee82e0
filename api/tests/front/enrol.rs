//! The card listener: an HPKI card registers a phone.

use crate::support::paper_portal::PAGE_SECRET;
use crate::support::rig::Rig;
use api::operations::SignInRefusal;
use api::operations::confirm_enrol::ConfirmEnrolPage;
use api::operations::confirm_enrol::EnrolEnded;
use api::operations::portal::EnrolPage;
use api::operations::portal::EnrolStarted;
use std::time::Duration;

#[tokio::test]
async fn card_is_asked_for_and_then_one_form_confirms() {
    let rig = Rig::new();
    let reply = rig.connect_card(None).await.get("/enrol").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("HPKIカードを確認できませんでした"));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.get("/enrol").await;
    assert_eq!(reply.status, 200);
    let page = reply.text();
    assert!(page.contains("<dd id=\"holder\">医師 &#60;太郎&#62;</dd>"), "{page}");
    assert!(page.contains("<dd id=\"holder-id\">u-17</dd>") && page.contains("試験モード"));
    assert!(page.contains("<form method=\"post\" action=\"/enrol\">"));
    assert!(page.contains("<input type=\"hidden\" name=\"form_token\" value=\"one-time\">"));
    assert!(!page.contains("登録済み") && !page.contains("<script"));
    *rig.keeper.portal.enrol.lock().unwrap() = Some(EnrolPage::Confirm {
        holder: "h".into(),
        holder_id: "u-17".into(),
        replaces: Some("電話 1".into()),
        form_token: "t".into(),
        danger_test_mode: false,
    });
    let page = client.get("/enrol").await.text();
    assert!(page.contains("デバイスがすでに登録済みとなっています。") && page.contains("電話 1"));
    assert!(client.get("/enrol?lang=en").await.text().contains("A phone is registered already"));
    assert_eq!(rig.keeper.asked.lock().unwrap().iter().filter(|q| *q != "open enrol").count(), 0);
}

#[tokio::test]
async fn confirmed_form_leads_to_the_portal_and_nowhere_else() {
    let rig = Rig::new();
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.post_form("/enrol", "", "form_token=one-time&lang=ja").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/enrol/page-1/started?lang=ja"));
    let expected = format!(
        "__Secure-started={PAGE_SECRET}; Path=/enrol/page-1/started; Max-Age=3600; Secure; HttpOnly; SameSite=Strict"
    );
    assert_eq!(reply.header("set-cookie"), expected);
    // The next page comes over the same handshake, and as often as it is asked for.
    let cookie = format!("Cookie: __Secure-started={PAGE_SECRET}\r\n");
    let reply = client.ask("GET /enrol/page-1/started?lang=ja", &cookie, b"").await;
    assert_eq!(reply.status, 200);
    let page = reply.text();
    let action = "<form method=\"post\" action=\"https://localhost:8446/wait/page-1\">";
    assert!(page.contains(action), "{page}");
    let field = format!("<input type=\"hidden\" name=\"page_secret\" value=\"{PAGE_SECRET}\">");
    assert!(page.contains(&field));
    let policy = reply.header("content-security-policy");
    assert!(policy.contains("; form-action 'self' https://localhost:8446; "), "{policy}");
    assert!(!policy.contains("script-src"));
    assert!(client.ends_within(Duration::from_secs(2)).await, "the next page needs a new proof");
    assert!(rig.keeper.was_asked("start enrol true one-time"));
    for (cookie, words) in [(cookie.as_str(), "Show the QR code"), ("", "can no longer be used")] {
        let mut client = rig.connect_card(None).await;
        let page = client.ask("GET /enrol/page-1/started?lang=en", cookie, b"").await.text();
        assert!(page.contains(words), "{page}");
    }
    *rig.keeper.portal.started.lock().unwrap() =
        Some(EnrolStarted::Refused(SignInRefusal::FormOver.into()));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.post_form("/enrol", "", "form_token=one-time").await;
    assert!(reply.status == 403 && reply.text().contains("古く"), "{}", reply.text());
}

#[tokio::test]
async fn forms_that_are_not_ours_start_nothing() {
    let rig = Rig::new();
    for (headers, form, status) in [
        ("Origin: https://evil.example\r\n", "form_token=t", 403),
        ("Sec-Fetch-Site: same-site\r\n", "form_token=t", 403),
        ("", "", 400),
        ("", "form_token=t&holder_id=u-1", 400),
        ("", &format!("form_token={}", "t".repeat(4_086)), 413),
    ] {
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let reply = client.post_form("/enrol", headers, form).await;
        assert_eq!(reply.status, status, "{headers}{form}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    }
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let at = format!("form_token={}", "t".repeat(4_085));
    assert_eq!((at.len(), client.post_form("/enrol", "", &at).await.status), (4_096, 303));
}

#[tokio::test]
async fn card_shown_again_confirms_the_phone_or_turns_it_down() {
    let rig = Rig::new();
    let reply = rig.connect_card(None).await.get("/enrol/t-1").await;
    assert!(reply.status == 403 && reply.text().contains("HPKIカードを確認できませんでした"));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.get("/enrol/t-1").await;
    assert_eq!(reply.status, 200);
    let page = reply.text();
    assert!(page.contains("<dd id=\"holder\">医師 &#60;太郎&#62;</dd>"), "{page}");
    assert!(page.contains("<dd id=\"label\">スマートフォン 90D8-3E98</dd>"), "{page}");
    assert!(page.contains("<form method=\"post\" action=\"/enrol/t-1\">"));
    assert!(
        page.contains("今までのスマートフォンは使えなくなります") && page.contains("試験モード")
    );
    assert!(!page.contains("<script"));
    assert!(client.get("/enrol/t-1?lang=en").await.text().contains("Phone 90D8-3E98"));
    assert!(!rig.keeper.asked.lock().unwrap().iter().any(|asked| asked.starts_with("confirm")));
    let form = "form_token=one-time&lang=ja&decision=approve";
    let reply = client.post_form("/enrol/t-1", "", form).await;
    assert!(reply.status == 200 && reply.text().contains("登録が完了しました"), "{}", reply.text());
    assert!(client.ends_within(Duration::from_secs(2)).await, "the next page needs a new proof");
    assert!(rig.keeper.was_asked("confirm t-1 true one-time true"));
    for (ended, status, words) in [
        (EnrolEnded::Denied, 200, "Nothing was registered"),
        (EnrolEnded::Refused(SignInRefusal::FormOver.into()), 403, "out of date"),
        (EnrolEnded::TooNew { seconds: 7_200 }, 403, "It can in 2 hours"),
    ] {
        *rig.keeper.portal.ended.lock().unwrap() = Some(ended);
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let form = "form_token=one-time&lang=en&decision=deny";
        let reply = client.post_form("/enrol/t-1", "", form).await;
        assert!(reply.status == status && reply.text().contains(words), "{}", reply.text());
    }
    assert!(rig.keeper.was_asked("confirm t-1 true one-time false"));
}

#[tokio::test]
async fn confirmations_that_are_not_ours_register_nothing() {
    let rig = Rig::new();
    for (headers, form, status) in [
        ("Origin: https://evil.example\r\n", "form_token=t&decision=approve", 403),
        ("Sec-Fetch-Site: same-site\r\n", "form_token=t&decision=approve", 403),
        ("", "decision=approve", 400),
        ("", "form_token=t", 400),
        ("", "form_token=t&decision=yes", 400),
        ("", "form_token=t&decision=approve&holder_id=u-1", 400),
    ] {
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let reply = client.post_form("/enrol/t-1", headers, form).await;
        assert_eq!(reply.status, status, "{headers}{form}");
    }
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
    let old = Some(ConfirmEnrolPage::Refused(SignInRefusal::ProofNotFresh.into()));
    *rig.keeper.portal.confirm.lock().unwrap() = old;
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.get("/enrol/t-1?lang=en&again=5").await;
    assert_eq!(reply.header("location"), "/enrol/t-1?lang=en&again=6");
    assert!(client.ends_within(Duration::from_secs(2)).await, "a new handshake is needed");
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    assert_eq!(client.get("/enrol/t-1?again=6").await.status, 403);
}

#[tokio::test]
async fn card_that_does_not_do_gets_a_reason_and_an_old_handshake_a_new_one() {
    let rig = Rig::new();
    let refused = |refusal: SignInRefusal| Some(EnrolPage::Refused(refusal.into()));
    *rig.keeper.portal.enrol.lock().unwrap() = refused(SignInRefusal::CardNotRegistered);
    let reply = rig.connect_card(Some(&rig.pki.card)).await.get("/enrol").await;
    assert!(reply.status == 403 && reply.text().contains("登録されていません"));
    *rig.keeper.portal.enrol.lock().unwrap() = refused(SignInRefusal::ProofNotFresh);
    for (query, location) in [
        ("", "/enrol?lang=ja&again=1"),
        ("?lang=en&again=5", "/enrol?lang=en&again=6"),
        ("?again=6", ""),
        ("?again=x", ""),
    ] {
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let reply = client.get(&format!("/enrol{query}")).await;
        assert_eq!(reply.header("location"), location, "{query}");
        assert!(client.ends_within(Duration::from_secs(2)).await);
    }
}

/// Nobody who came from the portal is sent to a signing system.
#[tokio::test]
async fn pages_of_the_card_send_nobody_to_a_system_that_did_not_ask() {
    let rig = Rig::new();
    for path in ["/enrol", "/link"] {
        let page = rig.connect_card(None).await.get(path).await.text();
        let is_plain = page.contains("操作を始めた画面からやり直") && !page.contains("依頼元");
        assert!(is_plain, "{path}: {page}");
    }
    for refusal in [SignInRefusal::WrongCertificate, SignInRefusal::ProofNotFresh] {
        *rig.keeper.portal.enrol.lock().unwrap() = Some(EnrolPage::Refused(refusal.into()));
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let page = client.get("/enrol?again=9").await.text();
        let is_plain = page.contains("操作を始めた画面からやり直") && !page.contains("依頼元");
        assert!(is_plain, "{refusal:?}: {page}");
    }
}

#[tokio::test]
async fn card_that_is_too_new_is_told_when_it_may() {
    let rig = Rig::new();
    *rig.keeper.portal.enrol.lock().unwrap() = Some(EnrolPage::TooNew { seconds: 7_200 });
    let reply = rig.connect_card(Some(&rig.pki.card)).await.get("/enrol").await;
    let page = reply.text();
    assert!(reply.status == 403 && page.contains("あと2時間でできるようになります"), "{page}");
    assert!(!page.contains("<form"), "nothing can be begun: {page}");
    *rig.keeper.portal.started.lock().unwrap() = Some(EnrolStarted::TooNew { seconds: 7_200 });
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.post_form("/enrol", "", "form_token=one-time&lang=en").await;
    assert!(reply.status == 403 && reply.text().contains("It can in 2 hours"), "{}", reply.text());
}
