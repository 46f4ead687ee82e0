//! The holder's own page: opened by any method, worth nothing to a signing system, and what its buttons do at once.

use super::house::House;
use serde_json::json;
use tests::support::admin;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::pki::Validity;
use tests::support::portal::code_of;

async fn sign(house: &House, session: &Session, credential: &str) -> tests::support::http::Reply {
    let sign = Sign {
        token: &session.token,
        credential: Some(credential),
        content: b"x",
        ..Sign::default()
    };
    sign.send(&mut house.clinic().connect().await).await
}

#[tokio::test]
async fn holder_opens_their_page_by_phone_and_by_card_and_sees_their_own() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let other = house.doctor(Validity::CURRENT).await;
    house.world.ehr().sign_in(&other.card).await;
    house.sign_in(&doctor, &mut phone).await;
    let pages = [house.me_by_phone(&doctor, &mut phone).await, house.me_by_card(&doctor).await];
    for me in pages {
        let page = me.page(house, "/me").await.expect(200).text();
        for words in [
            &*doctor.holder_id,
            "外来",
            "127.0.0.1",
            "250",
            &format!("CN={}", doctor.holder_id),
            "Phone ",
            "Remove this phone",
            "Never lend",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert_eq!(page.matches("value=\"end\"").count(), 1, "{page}");
        assert!(!page.contains(&other.holder_id), "{page}");
    }
}

#[tokio::test]
async fn no_signing_system_takes_the_portals_name() {
    let house = House::shared().await;
    let pki = &house.world.pki;
    for name in ["inkan-portal", "INKAN-Portal"] {
        let identity = pki.clients.client(name, Validity::CURRENT);
        let system = json!({
            "system_id": name, "display_name": "x", "certificates_pem": [identity.pem()],
            "return_urls": [], "all_holders": true, "methods": ["hpki"],
        });
        let asked = admin::ask(&house.world, &pki.administrator, "POST /systems", Some(&system));
        asked.await.expect_problem(409, "conflict");
    }
}

#[tokio::test]
async fn sign_in_for_the_page_is_no_session_of_any_signing_system() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let approved = house.approve_me_by_card(&doctor.card).await;
    let query = approved.arrive.split_once('?').unwrap().1;
    let (code, state) = query.split_once("&state=").unwrap();
    let code = code.strip_prefix("code=").unwrap();
    house.clinic().activate(state, code).await.expect_problem(404, "session_unknown");
    house.clinic().log_out(state).await.expect_problem(404, "session_unknown");
    let me = house.arrive(&approved).await;
    assert!(me.is_open(house).await);
    let [record] = house.records(&doctor, "sign_in_approved").await.try_into().unwrap();
    assert_eq!(record["event"]["system_id"], "inkan-portal");
    assert!(house.records(&doctor, "session_activated").await.is_empty());
}

#[tokio::test]
async fn code_opens_the_page_once_and_in_the_browser_that_began() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let approved = house.approve_me_by_card(&doctor.card).await;
    let stranger = house.get(&approved.arrive).await.expect(403);
    assert_eq!(stranger.header("set-cookie"), "");
    let begun_otherwise = house.choose_card(&house.begin_me().await).await;
    let other = begun_otherwise.cookie("__Host-begun").unwrap();
    house.get_with(&other, &approved.arrive).await.expect(403);
    house.arrive(&approved).await;
    house.get_with(&approved.begun, &approved.arrive).await.expect(403);
}

#[tokio::test]
async fn one_sign_in_is_ended_at_once_and_the_others_go_on() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let (one, two) =
        (house.sign_in(&doctor, &mut phone).await, house.sign_in(&doctor, &mut phone).await);
    let me = house.me_by_card(&doctor).await;
    let ended = me.press(house, "/me", &format!("action=end&id={}", one.session_id)).await;
    assert_eq!((ended.status, ended.header("location")), (303, "/me?lang=en"));
    sign(house, &one, &doctor.credential_id).await.expect_problem(401, "session_ended");
    sign(house, &two, &doctor.credential_id).await.expect(200);
    let [record] = house.records(&doctor, "session_ended").await.try_into().unwrap();
    assert_eq!(record["event"]["reason"], "logout");
    assert_eq!(record["principal"], json!({ "kind": "holder", "id": doctor.holder_id }));
    // Nobody ends another's.
    let other = house.doctor(Validity::CURRENT).await;
    let theirs = house.me_by_card(&other).await;
    theirs.press(house, "/me", &format!("action=end&id={}", two.session_id)).await.expect(303);
    sign(house, &two, &doctor.credential_id).await.expect(200);
}

#[tokio::test]
async fn signing_out_everywhere_ends_what_lives_and_what_is_approved() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let live = house.sign_in(&doctor, &mut phone).await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    house.approve(&pc, &mut phone).await.expect(200);
    let code = house.code(&pc).await;
    let waiting = house.approve_me_by_card(&doctor.card).await;
    let (me, elsewhere) = (house.me_by_card(&doctor).await, house.me_by_card(&doctor).await);
    let done = me.press(house, "/me", "action=sign_out_everywhere").await.expect(200);
    assert!(done.text().contains("Sign-ins ended: 1"), "{done}");
    assert_eq!(done.cookie("__Host-me").as_deref(), Some("__Host-me="));
    sign(house, &live, &doctor.credential_id).await.expect_problem(401, "session_ended");
    assert_ne!(house.clinic().activate(&pending.session_id, &code).await.status, 200);
    house.get_with(&waiting.begun, &waiting.arrive).await.expect(403);
    assert!(!me.is_open(house).await && !elsewhere.is_open(house).await);
    // Signing in again works.
    house.sign_in(&doctor, &mut phone).await;
}

#[tokio::test]
async fn leaving_the_page_closes_it_and_nothing_else() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let live = house.sign_in(&doctor, &mut phone).await;
    let (me, elsewhere) = (house.me_by_card(&doctor).await, house.me_by_card(&doctor).await);
    me.press(house, "/me", "action=sign_out").await.expect(200);
    assert!(!me.is_open(house).await && elsewhere.is_open(house).await);
    sign(house, &live, &doctor.credential_id).await.expect(200);
}

/// H11: what another site could send, and what the Back button sends again.
#[tokio::test]
async fn form_without_a_fresh_field_of_this_page_changes_nothing() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let live = house.sign_in(&doctor, &mut phone).await;
    let other = house.doctor(Validity::CURRENT).await;
    let (me, theirs) = (house.me_by_card(&doctor).await, house.me_by_card(&other).await);
    let foreign = theirs.form_token(house).await;
    for token in ["guess", "", &*foreign] {
        let form = format!("form_token={token}&action=sign_out_everywhere");
        house.post_with(&me.cookie, "/me", &form).await.expect(403);
    }
    let used = me.form_token(house).await;
    let form = format!("form_token={used}&action=end&id=none");
    house.post_with(&me.cookie, "/me", &form).await.expect(303);
    let again = format!("form_token={used}&action=sign_out_everywhere");
    house.post_with(&me.cookie, "/me", &again).await.expect(403);
    let fresh = me.form_token(house).await;
    let form = format!("form_token={fresh}&action=sign_out_everywhere");
    house.post_form("/me", &form).await.expect(303);
    sign(house, &live, &doctor.credential_id).await.expect(200);
    assert!(me.is_open(house).await);
}

/// A11, W11, W16
#[tokio::test]
async fn w16_phone_is_removed_by_its_holder_who_is_told_what_remains() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let live = house.sign_in(&doctor, &mut phone).await;
    let (by_phone, by_card) =
        (house.me_by_phone(&doctor, &mut phone).await, house.me_by_card(&doctor).await);
    let device = house.devices(&doctor).await[0]["device"].as_str().unwrap().to_owned();
    let path = format!("/me/devices/{device}");
    let page = by_card.page(house, &path).await.expect(200).text();
    assert!(page.contains("still sign in with") && page.contains(&doctor.holder_id), "{page}");
    // Looking removes nothing; nobody removes another's.
    let (other, _) = house.doctor_with_phone().await;
    let theirs = house.me_by_card(&other).await;
    theirs.page(house, &path).await.expect(404);
    theirs.press(house, &path, "").await.expect(303);
    assert_eq!(house.devices(&doctor).await.len(), 1);

    by_card.press(house, &path, "").await.expect(303);
    assert!(house.devices(&doctor).await.is_empty());
    sign(house, &live, &doctor.credential_id).await.expect_problem(401, "session_ended");
    assert!(!by_phone.is_open(house).await, "it rested on the phone");
    assert!(!by_card.page(house, "/me").await.text().contains("Remove this phone"));
    by_card.page(house, &path).await.expect(404);
    let changes = house.records(&doctor, "trust_changed").await;
    let removed = &changes.last().unwrap()["event"];
    assert_eq!((&removed["change"], &removed["what"]), (&json!("removed"), &json!("device")));
}

#[tokio::test]
async fn w16_last_way_to_sign_in_goes_only_after_a_warning() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let me = house.me_by_phone(&doctor, &mut phone).await;
    let pki = &house.world.pki;
    let cards = admin::ask(&house.world, &pki.registrar, "GET /cards", None).await.expect(200);
    let cards = cards.json();
    let card = cards.as_array().unwrap().iter().find(|c| c["holder_id"] == *doctor.holder_id);
    let line = format!("DELETE /cards/{}", card.unwrap()["card"].as_str().unwrap());
    admin::ask(&house.world, &pki.registrar, &line, None).await.expect(200);
    let device = house.devices(&doctor).await[0]["device"].as_str().unwrap().to_owned();
    let page = me.page(house, &format!("/me/devices/{device}")).await.expect(200).text();
    assert!(page.contains("nothing else to sign in with"), "{page}");
}

#[tokio::test]
async fn page_closes_with_the_card_that_opened_it_and_with_its_holder() {
    let house = House::shared().await;
    let pki = &house.world.pki;
    let doctor = house.doctor(Validity::CURRENT).await;
    let me = house.me_by_card(&doctor).await;
    let cards = admin::ask(&house.world, &pki.registrar, "GET /cards", None).await.json();
    let card = cards.as_array().unwrap().iter().find(|c| c["holder_id"] == *doctor.holder_id);
    let line = format!("DELETE /cards/{}", card.unwrap()["card"].as_str().unwrap());
    admin::ask(&house.world, &pki.registrar, &line, None).await.expect(200);
    assert!(!me.is_open(house).await);

    let doctor = house.doctor(Validity::CURRENT).await;
    let me = house.me_by_card(&doctor).await;
    let line = format!("POST /holders/{}/disable", doctor.holder_id);
    admin::ask(&house.world, &pki.registrar, &line, None).await.expect(200);
    assert!(!me.is_open(house).await);
}

/// F32: who may sign in by no method opens no page.
#[tokio::test]
async fn f32_holder_without_a_usable_certificate_opens_no_page() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::for_seconds(4)).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let login_path = house.begin_me().await;
    let mut browser = house.world.portal().browser(Some(&doctor.card)).await;
    let page = browser.open(&login_path).await;
    assert_eq!(page.form_token, None, "{}", page.reply);
}

#[tokio::test]
async fn holder_refuses_a_page_that_they_did_not_ask_for() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let login_path = house.begin_me().await;
    let mut browser = house.world.portal().browser(Some(&doctor.card)).await;
    let page = browser.open(&login_path).await;
    assert!(page.reply.text().contains("Open your own page?"), "{}", page.reply);
    let token = page.form_token.unwrap();
    browser.confirm(&login_path, &token, None, "deny").await.expect(200);
    house.get(&login_path).await.expect(403);
}

#[tokio::test]
async fn other_sign_ins_come_back_by_their_own_address_only() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let pending = house.clinic().ask_sign_in(None).await;
    let confirmed = house.world.portal().approve(&doctor.card, &pending.login_path, None).await;
    let code = code_of(&confirmed);
    let begun = house.choose_card(&pending.login_path).await;
    let cookie = begun.cookie("__Host-begun").unwrap_or("__Host-begun=x".to_owned());
    let path = format!("/arrive?code={code}&state={}", pending.session_id);
    let reply = house.get_with(&cookie, &path).await;
    assert!(reply.cookie("__Host-me").is_none(), "{reply}");
    house.clinic().activate(&pending.session_id, &code).await.expect(200);
}
