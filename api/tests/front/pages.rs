//! The card listener: the proof of a card, the pages of a sign-in, its form.

use crate::support::client::Client;
use crate::support::client::Reply;
use crate::support::client::client_config;
use crate::support::rig::Rig;
use crate::support::tools::curl;
use crate::support::tools::s_client;
use crate::support::tools::text;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::added::AddedFactor;
use api::operations::added::FactorKind;
use api::operations::added::RecentlyAdded;
use aws_lc_rs::signature;
use aws_lc_rs::signature::UnparsedPublicKey;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::Encode;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

async fn post(client: &mut Client, headers: &str, form: &str) -> Reply {
    client.ask("POST /login/link-1", &format!("{FORM}{headers}"), form.as_bytes()).await
}

#[tokio::test]
async fn handshake_of_a_card_can_be_verified_again_by_anybody() {
    let rig = Rig::new();
    let kinds: [(&'static rcgen::SignatureAlgorithm, u16); 3] = [
        (&rcgen::PKCS_RSA_SHA256, 0x0806),
        (&rcgen::PKCS_ECDSA_P256_SHA256, 0x0403),
        (&rcgen::PKCS_ECDSA_P384_SHA384, 0x0503),
    ];
    for (kind, scheme) in kinds {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let card = rig.pki.cards.card_with(&format!("card {scheme:x}"), key);
        let reply = rig.connect_card(Some(&card)).await.get("/login/link-1").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let handshake = rig.keeper.cards.lock().unwrap().pop().flatten().unwrap();
        assert_eq!(handshake.leaf_der, card.der.as_ref());
        assert_eq!(handshake.signature_scheme, scheme);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!(now - handshake.handshake_at <= 5);
        assert!(verifies(&handshake));
        let mut other = handshake.clone();
        other.transcript[40] ^= 1;
        assert!(!verifies(&other));
    }
}

fn verifies(handshake: &CardHandshake) -> bool {
    let algorithm: &dyn signature::VerificationAlgorithm = match handshake.signature_scheme {
        0x0806 => &signature::RSA_PSS_2048_8192_SHA512,
        0x0401 => &signature::RSA_PKCS1_2048_8192_SHA256,
        0x0403 => &signature::ECDSA_P256_SHA256_ASN1,
        0x0503 => &signature::ECDSA_P384_SHA384_ASN1,
        other => panic!("scheme {other:x}"),
    };
    let leaf = Certificate::from_der(&handshake.leaf_der).unwrap();
    let spki = leaf.tbs_certificate().subject_public_key_info().to_der().unwrap();
    UnparsedPublicKey::new(algorithm, spki)
        .verify(&handshake.transcript, &handshake.signature)
        .is_ok()
}

/// Today's cards sign PKCS #1 v1.5 and nothing else.
#[tokio::test]
async fn card_that_signs_pkcs1_only_is_proved_by_openssl_and_curl() {
    let rig = Rig::new();
    let request = b"GET /login/link-1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let pkcs1 = ["-tls1_2", "-client_sigalgs", "RSA+SHA256"];
    let said = s_client(&rig.pki, Some(&rig.pki.card), rig.hpki, &pkcs1, request).await;
    let said = text(&said);
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
    assert!(said.contains("Acceptable client certificate CA names"), "{said}");
    assert!(said.contains("CN = Card CA"), "{said}");
    assert!(said.contains("Extended master secret: yes"), "{said}");
    let said = curl(&rig.pki, Some(&rig.pki.card), rig.hpki, "/login/link-1", &[]).await;
    assert!(text(&said).contains("HTTP/1.1 200 OK"), "{}", text(&said));
    let cards = rig.keeper.cards.lock().unwrap();
    let [Some(by_openssl), Some(by_curl)] = cards.as_slice() else { panic!("two proofs") };
    assert_eq!(by_openssl.signature_scheme, 0x0401);
    assert!(verifies(by_openssl) && verifies(by_curl));
}

#[tokio::test]
async fn proof_of_each_connection_is_its_own() {
    let rig = Rig::new();
    for _ in 0..2 {
        rig.connect_card(Some(&rig.pki.card)).await.get("/login/link-1").await;
    }
    let cards = rig.keeper.cards.lock().unwrap();
    let [Some(first), Some(second)] = cards.as_slice() else { panic!("two proofs") };
    assert_ne!(first.transcript, second.transcript);
    assert_ne!(first.signature, second.signature);
}

#[tokio::test]
async fn browser_without_a_card_gets_a_page_and_no_connection_to_keep() {
    let rig = Rig::new();
    let mut client = rig.connect_card(None).await;
    let reply = client.get("/login/link-1").await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(reply.text().contains("HPKIカードを確認できませんでした"));
    assert_eq!(reply.header("connection"), "close");
    assert!(client.ends_within(Duration::from_secs(2)).await);
    assert_eq!(rig.keeper.cards.lock().unwrap().as_slice(), [None]);
}

#[tokio::test]
async fn page_says_who_asks_for_whom_and_escapes_it() {
    let rig = Rig::new();
    let reply = rig.connect_card(Some(&rig.pki.card)).await.get("/login/link-1").await;
    let page = reply.text();
    assert!(
        page.contains("<dd id=\"system\">&#60;b&#62;電子カルテ &#38; Co&#60;/b&#62;</dd>"),
        "{page}"
    );
    assert!(page.contains("<dd id=\"holder\">医師 太郎</dd>"));
    assert!(page.contains("12時間、最大 250 件の署名"));
    assert!(page.contains("<form method=\"post\" action=\"/login/link-1\">"));
    assert!(page.contains("<input type=\"hidden\" name=\"form_token\" value=\"one-time\">"));
    assert!(page.contains("<button name=\"decision\" value=\"approve\">許可する</button>"));
    assert!(page.contains("試験モード"));
    let (warning, button) = (page.find("断ってください").unwrap(), page.find("<button").unwrap());
    assert!(warning < button, "the warning is read before a button is pressed");
    assert!(page.contains("<html lang=\"ja\">"));
    assert!(!page.contains("name=\"number\"") && !page.contains("<script"));
}

#[tokio::test]
async fn page_allows_its_own_style_and_its_own_form_only() {
    let rig = Rig::new();
    let reply = rig.connect_card(Some(&rig.pki.card)).await.get("/login/link-1").await;
    let policy = reply.header("content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(policy.contains("; form-action 'self' https://ehr.example:8443; "));
    assert!(policy.contains("frame-ancestors 'none'; base-uri 'none'"));
    let page = reply.text();
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
    let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    assert!(policy.contains(&digest));
    assert_eq!(page.matches("style").count(), 2, "no style attribute");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        assert_eq!(reply.header(name), value);
    }
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn english_is_there_by_choice_and_by_preference() {
    let rig = Rig::new();
    rig.keeper.asks_number.store(true, Ordering::Relaxed);
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let chosen = client.get("/login/link-1?lang=en").await;
    assert!(chosen.text().contains("Do you allow these signatures?"));
    assert!(chosen.text().contains("<input type=\"hidden\" name=\"lang\" value=\"en\">"));
    assert!(chosen.text().contains("name=\"number\""));
    assert_eq!(chosen.header("content-language"), "en");
    let accepted = client.ask("GET /login/link-1", "Accept-Language: en-GB\r\n", b"").await;
    assert!(accepted.text().contains("Do you allow these signatures?"));
    assert!(client.get("/login/link-1").await.text().contains("許可しますか"));
}

#[tokio::test]
async fn approval_on_the_same_connection_leads_back_and_ends_it() {
    let rig = Rig::new();
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    client.get("/login/link-1").await;
    let form = "form_token=one-time&decision=approve";
    let reply = post(&mut client, "Origin: https://localhost\r\n", form).await;
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("location"), "https://ehr.example:8443/back?code=c&state=s");
    assert_eq!(reply.header("connection"), "close");
    assert!(client.ends_within(Duration::from_secs(2)).await);
    let cards = rig.keeper.cards.lock().unwrap();
    assert!(cards[0].is_some());
    assert_eq!(cards[0], cards[1]);
    assert!(rig.keeper.confirmations.lock().unwrap()[0].approve);
}

#[tokio::test]
async fn form_on_another_connection_brings_the_proof_of_that_one() {
    let rig = Rig::new();
    rig.connect_card(Some(&rig.pki.card)).await.get("/login/link-1").await;
    let mut second = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = post(&mut second, "", "form_token=one-time&decision=approve").await;
    assert_eq!(reply.status, 303);
    let cards = rig.keeper.cards.lock().unwrap();
    let [Some(page), Some(form)] = cards.as_slice() else { panic!("two proofs") };
    assert_eq!(page.leaf_der, form.leaf_der);
    assert_ne!(page.transcript, form.transcript);
}

#[tokio::test]
async fn typed_number_and_denial_reach_the_keeper() {
    let rig = Rig::new();
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = post(&mut client, "", "form_token=t&number=%EF%BC%94+2&decision=approve").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("許可しました"));
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = post(&mut client, "", "form_token=t&number=&decision=deny&lang=en").await;
    assert!(reply.text().contains("Nothing will be signed"));
    let confirmations = rig.keeper.confirmations.lock().unwrap();
    assert_eq!(confirmations[0].number.as_deref(), Some("42"));
    assert_eq!((confirmations[1].number.as_deref(), confirmations[1].approve), (None, false));
}

#[tokio::test]
async fn forms_that_are_not_ours_change_nothing() {
    let rig = Rig::new();
    let good = "form_token=t&decision=approve";
    let json = "Content-Type: application/json\r\n";
    let big = format!("{good}&number={}", "1".repeat(4_096));
    for (headers, form, status) in [
        ("Origin: https://evil.example\r\n", good, 403),
        ("Sec-Fetch-Site: cross-site\r\n", good, 403),
        ("", "form_token=t", 400),
        ("", "decision=approve", 400),
        ("", "form_token=t&decision=maybe", 400),
        ("", "form_token=t&form_token=t&decision=approve", 400),
        ("", "form_token=t&decision=approve&admin=1", 400),
        ("Content-Encoding: gzip\r\n", good, 415),
        (json, good, 400),
        ("", big.as_str(), 413),
    ] {
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let reply = post(&mut client, headers, form).await;
        assert_eq!(reply.status, status, "{headers}{form}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
        assert!(reply.text().contains(reply.header("request-id")));
        assert!(reply.text().contains("やり直してください"), "a next step: {}", reply.text());
    }
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    let reply = client.ask("POST /login/link-1", json, good.as_bytes()).await;
    assert_eq!(reply.status, 415);
    assert!(rig.keeper.confirmations.lock().unwrap().is_empty());
}

#[tokio::test]
async fn every_refusal_is_a_page_with_a_reason_and_a_next_step_in_both_languages() {
    let rig = Rig::new();
    let all = [
        (SignInRefusal::CardExpired, "有効期限", "expired"),
        (SignInRefusal::CardNotYetValid, "まだ有効", "not valid yet"),
        (SignInRefusal::CardRevoked, "失効", "revoked"),
        (SignInRefusal::RevocationUnknown, "失効リスト", "revocation list"),
        (SignInRefusal::WrongCertificate, "認証用証明書", "authentication certificate"),
        (SignInRefusal::TestCard, "試験用", "test card"),
        (SignInRefusal::RoleMissing, "資格", "qualification"),
        (SignInRefusal::CardNotRegistered, "登録されていません", "not registered"),
        (SignInRefusal::OtherHolder, "別の方", "somebody else"),
        (SignInRefusal::HolderDisabled, "停止", "disabled"),
        (SignInRefusal::NotAllowedHere, "許可されていません", "may not use"),
        (SignInRefusal::NetworkNotAllowed, "この場所では", "not on a network"),
        (SignInRefusal::KeysFull, "これ以上登録できません", "as many security keys"),
        (SignInRefusal::EntitlementOver, "セカンド証明書", "second certificate"),
        (SignInRefusal::WrongNumber, "番号", "number"),
        (SignInRefusal::LinkOver, "リンク", "link"),
        (SignInRefusal::FormOver, "古く", "out of date"),
        (SignInRefusal::ProofNotFresh, "もう一度", "again"),
        (SignInRefusal::Unavailable, "利用できません", "Not available"),
    ];
    for (refusal, japanese, english) in all {
        *rig.keeper.refusal.lock().unwrap() = Some(refusal);
        for (lang, words) in [("ja", japanese), ("en", english)] {
            let mut client = rig.connect_card(Some(&rig.pki.card)).await;
            let page = client.get(&format!("/login/link-1?lang={lang}&again=6")).await;
            assert!([403, 409, 503].contains(&page.status), "{refusal:?}");
            assert!(page.text().contains(words), "{refusal:?} {lang}: {}", page.text());
            assert!(page.text().matches("<p>").count() >= 3, "{refusal:?}: reason and next step");
        }
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let sent = post(&mut client, "", "form_token=t&decision=approve").await;
        assert!(sent.text().contains(japanese), "{refusal:?}");
    }
}

/// Browsers connect ahead and may send a page's request on a connection that is older than the link.
#[tokio::test]
async fn page_on_an_old_handshake_is_asked_for_again_on_a_new_one_but_not_for_ever() {
    let rig = Rig::new();
    *rig.keeper.refusal.lock().unwrap() = Some(SignInRefusal::ProofNotFresh);
    for (query, next) in [
        ("", Some("lang=ja&again=1")),
        ("?lang=en", Some("lang=en&again=1")),
        ("?lang=en&again=5", Some("lang=en&again=6")),
        ("?again=6", None),
        ("?again=255", None),
        ("?again=-1", None),
    ] {
        let mut client = rig.connect_card(Some(&rig.pki.card)).await;
        let reply = client.get(&format!("/login/link-1{query}")).await;
        let location = next.map_or(String::new(), |next| format!("/login/link-1?{next}"));
        assert_eq!(reply.header("location"), location);
        assert_eq!(reply.status, if next.is_some() { 303 } else { 403 });
        assert!(client.ends_within(Duration::from_secs(2)).await);
    }
}

#[tokio::test]
async fn card_listener_speaks_tls12_only_and_resumes_nothing() {
    let rig = Rig::new();
    let refused = Client::tls13(rig.hpki, &rig.pki, Some(&rig.pki.card), "localhost").await;
    assert!(refused.is_err());
    let mut config = client_config(&rig.pki, Some(&rig.pki.card), &[&rustls::version::TLS12]);
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let mut signatures = std::collections::HashSet::new();
    for _ in 0..3 {
        let mut client = Client::tls(rig.hpki, config.clone(), "localhost").await.unwrap();
        client.get("/login/link-1").await;
        let card = rig.keeper.cards.lock().unwrap().pop().flatten().unwrap();
        signatures.insert(card.signature);
    }
    assert_eq!(signatures.len(), 3, "each connection proved possession anew");
}

#[tokio::test]
async fn card_listener_answers_nothing_else_and_in_pages() {
    let rig = Rig::new();
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    for (line, status) in [
        ("GET /", 404),
        ("GET /v1/info", 404),
        ("GET /login/link-1/", 404),
        ("GET /login/../login/link-1", 404),
        ("DELETE /login/link-1", 405),
        ("OPTIONS /login/link-1", 405),
        ("TRACE /login/link-1", 405),
        ("GET /login/link-1?next=https://evil.example", 400),
    ] {
        let reply = client.ask(line, "", b"").await;
        assert_eq!(reply.status, status, "{line}");
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{line}");
        assert!(!reply.text().contains("evil"));
    }
}

#[tokio::test]
async fn confirming_page_shows_what_was_added_to_the_holder_s_factors() {
    let rig = Rig::new();
    let mut client = rig.connect_card(Some(&rig.pki.card)).await;
    assert!(!client.get("/login/link-1").await.text().contains("id=\"added\""));
    let factor = AddedFactor {
        kind: FactorKind::Phone,
        label: Some("90D8-3E98".into()),
        added_at: 1_796_000_000,
        terminal: "<b>PC".into(),
    };
    let contact = Some("03-0000-0000".to_owned());
    *rig.keeper.added.lock().unwrap() = RecentlyAdded { factors: vec![factor], contact };
    let page = client.get("/login/link-1").await.text();
    let line = "スマートフォン 90D8-3E98（2026-11-30 09:53、&#60;b&#62;PC から）";
    assert!(page.contains(line) && page.contains("認証局（03-0000-0000）"), "{page}");
    let page = client.get("/login/link-1?lang=en").await.text();
    assert!(page.contains("Not you? Call your certification authority"), "{page}");
}
