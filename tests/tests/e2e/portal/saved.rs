//! Sign-ins that browsers keep: one click in the browser that began, and nothing anywhere else.

use super::house::House;
use serde_json::Value;
use serde_json::json;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::ehr::Ehr;
use tests::support::ehr::Pending;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::ehr::entry;
use tests::support::ehr::once;
use tests::support::http::Reply;
use tests::support::pki::Validity;
use tests::support::portal::code_of;
use tests::support::portal::field;
use tests::support::world::RETURN_URL;

/// A browser and what it keeps.
struct Pc {
    cookie: String,
}

impl Pc {
    /// A doctor has signed in by card in it.
    async fn with(house: &House, ehr: &Ehr, doctor: &Doctor) -> (Self, Session) {
        let mut pc = Self { cookie: "x=y".into() };
        let session = pc.sign_in(house, ehr, doctor).await;
        (pc, session)
    }

    async fn sign_in(&mut self, house: &House, ehr: &Ehr, doctor: &Doctor) -> Session {
        let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
        let arrived = self.arrive(house, &pending, doctor, true).await;
        self.cookie = arrived.cookie("__Host-saved").unwrap_or_else(|| panic!("{arrived}"));
        activated(ehr, &pending, &arrived).await
    }

    /// The card approves, and a browser arrives: the one that began, or another.
    async fn arrive(
        &self,
        house: &House,
        pending: &Pending,
        doctor: &Doctor,
        has_begun: bool,
    ) -> Reply {
        let begun = house.choose_card(&pending.login_path).await.cookie("__Host-begun").unwrap();
        let approved = house.world.portal().approve(&doctor.card, &pending.login_path, None).await;
        let path = approved.header("location").strip_prefix(&house.origin());
        let path = path.unwrap_or_else(|| panic!("not to the portal: {approved}"));
        assert!(path.starts_with("/arrive?"), "{path}");
        let begun = if has_begun { format!("{begun}; ") } else { String::new() };
        house.get_with(&format!("{begun}{}", self.cookie), path).await.expect(303)
    }

    /// The field of the click, where one is offered.
    async fn offer(&self, house: &House, pending: &Pending) -> Option<String> {
        let page = house.get_with(&self.cookie, &format!("{}?lang=en", pending.login_path)).await;
        let html = page.expect(200).text();
        html.contains("/saved\"").then(|| field(&html, "form_token").unwrap())
    }

    async fn press(&self, house: &House, pending: &Pending, form_token: &str) -> Reply {
        let path = format!("{}/saved", pending.login_path);
        house.post_with(&self.cookie, &path, &format!("form_token={form_token}&lang=en")).await
    }

    /// The signing system asks again, and the doctor clicks.
    async fn click(&self, house: &House, ehr: &Ehr, doctor: &Doctor) -> Session {
        let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
        let token = self.offer(house, &pending).await.expect("an offer");
        activated(ehr, &pending, &self.press(house, &pending, &token).await.expect(303)).await
    }

    async fn is_offered(&self, house: &House, ehr: &Ehr, doctor: &Doctor) -> bool {
        let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
        self.offer(house, &pending).await.is_some()
    }
}

async fn activated(ehr: &Ehr, pending: &Pending, returned: &Reply) -> Session {
    assert!(returned.header("location").starts_with(RETURN_URL), "{returned}");
    let answer = ehr.activate(&pending.session_id, &code_of(returned)).await.expect(200).json();
    let token = answer["signing_token"].as_str().unwrap().to_owned();
    Session { session_id: pending.session_id.clone(), token, answer }
}

async fn sign(ehr: &Ehr, session: &Session, doctor: &Doctor) -> Reply {
    let credential = Some(&*doctor.credential_id);
    let sign = Sign { token: &session.token, credential, content: b"x", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await
}

/// A signing system of a test's own.
async fn system(house: &House, name: &str, limits: Value) -> Ehr {
    let identity = house.world.pki.clients.client(name, Validity::CURRENT);
    let system = json!({
        "system_id": name, "display_name": name, "certificates_pem": [identity.pem()],
        "return_urls": [RETURN_URL], "all_holders": true, "methods": ["hpki", "fido2"], "limits": limits,
        "requests_per_second": 1_000,
    });
    admin::grant(&house.world, "POST /systems", Some(&system)).await;
    Ehr::new(&house.world, &identity)
}

async fn unlink_card(house: &House, doctor: &Doctor) {
    let registrar = &house.world.pki.registrar;
    let cards = admin::ask(&house.world, registrar, "GET /cards", None).await.expect(200).json();
    let card = cards.as_array().unwrap().iter().find(|c| c["holder_id"] == *doctor.holder_id);
    let line = format!("DELETE /cards/{}", card.unwrap()["card"].as_str().unwrap());
    admin::ask(&house.world, registrar, &line, None).await.expect(200);
}

/// F18
#[tokio::test]
async fn f18_one_click_goes_on_with_the_evidence_of_before_until_the_same_second() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let (pc, first) = Pc::with(house, &ehr, &doctor).await;
    for _ in 0..3 {
        sign(&ehr, &first, &doctor).await.expect(200);
    }
    let second = pc.click(house, &ehr, &doctor).await;
    for same in ["expires_at", "method", "holder"] {
        assert_eq!(first.answer[same], second.answer[same], "{same}");
    }
    assert_eq!(second.answer["remaining_signatures"], 247);
    sign(&ehr, &second, &doctor).await.expect(200);
    let third = pc.click(house, &ehr, &doctor).await;
    assert_eq!(third.answer["remaining_signatures"], 246);

    // One session at a time rests on it, and the one before says why it ended.
    sign(&ehr, &first, &doctor).await.expect_problem(401, "session_ended");
    let view = ehr.view(&second.session_id).await;
    assert_eq!((&view["state"], &view["reason"]), (&json!("ended"), &json!("continued")));
    // Presence was proved once; each click is a record of its own that names it.
    let [approved] = house.records(&doctor, "sign_in_approved").await.try_into().unwrap();
    let clicks = house.records(&doctor, "sign_in_continued").await;
    assert_eq!(clicks.len(), 2);
    for click in &clicks {
        let (click, approved) = (&click["event"], &approved["event"]);
        for same in ["evidence", "authenticated_at", "method", "system_id"] {
            assert_eq!(click[same], approved[same], "{same}");
        }
        assert!(click["terminal"].as_str().unwrap().contains("127.0.0.1"), "{click}");
    }
    assert_eq!(clicks[0]["event"]["browser"], clicks[1]["event"]["browser"]);
    assert_eq!(clicks[0]["event"]["from"], approved["event"]["session"]);
}

#[tokio::test]
async fn phone_signs_in_and_the_pc_keeps_it_while_the_phone_keeps_nothing() {
    let house = House::saving().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let ehr = house.clinic();
    let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let chosen = house.choose_phone(&pending.login_path, None).await;
    let (waits, begun) = (super::house::Pc::at(&chosen), chosen.cookie("__Host-begun").unwrap());
    let told = house.approve(&waits, &mut phone).await.expect(200);
    assert_eq!(told.header("set-cookie"), "");
    assert!(house.page_goes_on(&waits).await);
    let page = house.page(&waits).await.expect(303);
    let path = page.header("location").strip_prefix(&house.origin()).unwrap().to_owned();
    let arrived = house.get_with(&begun, &path).await.expect(303);
    let pc = Pc { cookie: arrived.cookie("__Host-saved").unwrap() };
    activated(&ehr, &pending, &arrived).await;
    let next = pc.click(house, &ehr, &doctor).await;
    assert_eq!(next.answer["method"], "fido2");
    house.remove_phone(&doctor).await;
    sign(&ehr, &next, &doctor).await.expect_problem(401, "session_ended");
    assert!(!pc.is_offered(house, &ehr, &doctor).await);
}

/// Whatever is not the same browser, the same system, the same holder and a day session is asked for evidence.
#[tokio::test]
async fn click_is_offered_nowhere_else_and_taken_nowhere_else() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let (pc, live) = Pc::with(house, &ehr, &doctor).await;
    let (other, _) = Pc::with(house, &ehr, &house.doctor(Validity::CURRENT).await).await;
    let good = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let token = pc.offer(house, &good).await.unwrap();

    let (name, secret) = pc.cookie.split_once('.').unwrap();
    let guess = format!("{name}.{}", "A".repeat(secret.len()));
    let path = format!("{name}%2F..%2Fh.{secret}");
    for bad in [&*guess, &*path, name, "__Host-saved=", "__Host-saved=nonsense", &*other.cookie] {
        let pc = Pc { cookie: bad.to_owned() };
        assert!(pc.offer(house, &good).await.is_none(), "{bad}");
        let refused = pc.press(house, &good, &token).await;
        assert_eq!(refused.status, 403, "{bad}: {refused}");
    }
    let entries = [entry("content", &doctor.credential_id, b"x", "処方箋")];
    let elsewhere = system(house, "elsewhere", json!({})).await;
    let wanted = json!({ "holder": doctor.holder_id, "return_url": RETURN_URL });
    let by_phone =
        json!({ "holder": doctor.holder_id, "return_url": RETURN_URL, "methods": ["fido2"] });
    let no_holder = json!({ "return_url": RETURN_URL });
    let by_number = json!({ "holder": doctor.holder_id });
    for (what, asking, wanted) in [
        ("another system", &elsewhere, wanted),
        ("no holder", &ehr, no_holder),
        ("a typed number", &ehr, by_number),
        ("another method", &ehr, by_phone),
        ("once", &ehr, once(&doctor.holder_id, &entries)),
    ] {
        let pending = asking.ask_sign_in_with(&wanted).await;
        let page = house.get_with(&pc.cookie, &pending.login_path).await;
        assert!(!page.text().contains("/saved\""), "{what}: {page}");
        let refused = pc.press(house, &pending, &token).await;
        assert_eq!(refused.status, 403, "{what}: {refused}");
        assert_eq!(asking.state(&pending.session_id).await, "pending", "{what}");
    }
    // The field of another link does not do either; none of it ended what lives.
    let next = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    assert_eq!(pc.press(house, &next, &token).await.status, 403);
    sign(&ehr, &live, &doctor).await.expect(200);
    pc.press(house, &good, &token).await.expect(303);
    assert_eq!(pc.press(house, &good, &token).await.status, 403, "a link works once");
}

#[tokio::test]
async fn browser_that_did_not_begin_goes_on_to_the_system_and_keeps_nothing() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = Pc { cookie: "x=y".into() };
    let arrived = pc.arrive(house, &pending, &doctor, false).await;
    assert_eq!(arrived.cookie("__Host-saved"), None);
    activated(&ehr, &pending, &arrived).await;
    // What is no code of an approved sign-in leads nowhere.
    let path = format!("/arrive?code=guess&state={}", pending.session_id);
    house.get_with(&format!("__Host-begun={}", pending.session_id), &path).await.expect(403);
}

#[tokio::test]
async fn system_that_allows_more_by_now_is_not_gone_on_with() {
    let house = House::saving().await;
    let ehr = system(house, "widening", json!({ "signatures": 5 })).await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let (pc, _) = Pc::with(house, &ehr, &doctor).await;
    assert!(pc.is_offered(house, &ehr, &doctor).await);
    let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let token = pc.offer(house, &pending).await.unwrap();
    let wider = json!({ "limits": { "signatures": 6 } });
    admin::grant(&house.world, "PATCH /systems/widening", Some(&wider)).await;
    assert!(!pc.is_offered(house, &ehr, &doctor).await);
    assert_eq!(pc.press(house, &pending, &token).await.status, 403);
}

#[tokio::test]
async fn kept_sign_in_is_over_with_the_clock_of_its_evidence_and_with_its_last_signature() {
    let house = House::saving().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let short = system(house, "short", json!({ "seconds": 60, "idle_seconds": 60 })).await;
    let few = system(house, "few", json!({ "signatures": 1 })).await;
    let (pc, session) = Pc::with(house, &few, &doctor).await;
    sign(&few, &session, &doctor).await.expect(200);
    assert!(!pc.is_offered(house, &few, &doctor).await);

    let (pc, _) = Pc::with(house, &short, &doctor).await;
    assert!(pc.is_offered(house, &short, &doctor).await);
    let pending = short.ask_sign_in(Some(&doctor.holder_id)).await;
    let token = pc.offer(house, &pending).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    assert!(!pc.is_offered(house, &short, &doctor).await);
    assert_eq!(pc.press(house, &pending, &token).await.status, 403);
}

#[tokio::test]
async fn kept_sign_in_is_over_with_its_card_with_its_holder_and_when_an_operator_ends_all() {
    let house = House::saving().await;
    let (ehr, world) = (house.clinic(), &house.world);
    for end in ["card", "disable", "sessions", "sessions, none alive"] {
        let doctor = house.doctor(Validity::CURRENT).await;
        let (pc, session) = Pc::with(house, &ehr, &doctor).await;
        let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
        let token = pc.offer(house, &pending).await.unwrap();
        let line = match end {
            "card" => {
                unlink_card(house, &doctor).await;
                None
            }
            "disable" => Some(format!("POST /holders/{}/disable", doctor.holder_id)),
            "sessions" => Some(format!("DELETE /holders/{}/sessions", doctor.holder_id)),
            _ => {
                // A click whose code never came back: only what the browser keeps is left.
                let token = pc.offer(house, &pending).await.unwrap();
                pc.press(house, &pending, &token).await.expect(303);
                Some(format!("DELETE /holders/{}/sessions", doctor.holder_id))
            }
        };
        if let Some(line) = line {
            admin::ask(world, &world.pki.registrar, &line, None).await.expect(200);
        }
        let refused = pc.press(house, &pending, &token).await;
        assert_eq!(refused.status, 403, "{end}: {refused}");
        assert_ne!(sign(&ehr, &session, &doctor).await.status, 200, "{end}");
        if end.starts_with("sessions") {
            assert!(!pc.is_offered(house, &ehr, &doctor).await, "{end}");
        }
    }
}

/// F22
#[tokio::test]
async fn f22_logout_of_the_system_ends_session_and_every_saved_sign_in_at_once() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let (one, first) = Pc::with(house, &ehr, &doctor).await;
    let (two, second) = Pc::with(house, &ehr, &doctor).await;
    ehr.log_out(&first.session_id).await.expect(204);
    for pc in [&one, &two] {
        assert!(!pc.is_offered(house, &ehr, &doctor).await);
    }
    // The other browser's session is its own.
    sign(&ehr, &second, &doctor).await.expect(200);

    // A logout is one also where a click has ended the session before, and between a click and its code.
    let (pc, first) = Pc::with(house, &ehr, &doctor).await;
    let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let token = pc.offer(house, &pending).await.unwrap();
    let clicked = pc.press(house, &pending, &token).await.expect(303);
    ehr.log_out(&first.session_id).await.expect(204);
    assert!(!pc.is_offered(house, &ehr, &doctor).await);
    let code = code_of(&clicked);
    ehr.activate(&pending.session_id, &code).await.expect_problem(403, "login_denied");
    // The next sign-in takes the card, and is kept again.
    let (pc, _) = Pc::with(house, &ehr, &doctor).await;
    assert!(pc.is_offered(house, &ehr, &doctor).await);
}

/// F22
#[tokio::test]
async fn f22_signing_out_everywhere_ends_every_saved_sign_in() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let (mut pc, _) = Pc::with(house, &ehr, &doctor).await;
    let other = system(house, "everywhere", json!({})).await;
    pc.sign_in(house, &other, &doctor).await;
    assert!(pc.is_offered(house, &ehr, &doctor).await);
    assert!(pc.is_offered(house, &other, &doctor).await);
    let me = house.me_by_card(&doctor).await;
    me.press(house, "/me", "action=sign_out_everywhere").await.expect(200);
    assert!(!pc.is_offered(house, &ehr, &doctor).await);
    assert!(!pc.is_offered(house, &other, &doctor).await);
}

#[tokio::test]
async fn holder_who_says_not_me_is_forgotten_by_the_browser() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let (pc, session) = Pc::with(house, &ehr, &doctor).await;
    let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let path = format!("{}/forget", pending.login_path);
    let forgotten = house.post_with(&pc.cookie, &path, "lang=en").await.expect(303);
    assert_eq!(forgotten.cookie("__Host-saved").as_deref(), Some("__Host-saved="));
    assert!(!pc.is_offered(house, &ehr, &doctor).await);
    sign(&ehr, &session, &doctor).await.expect(200);
}

#[tokio::test]
async fn of_two_tabs_that_click_at_once_one_wins() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let (pc, _) = Pc::with(house, &ehr, &doctor).await;
    for _round in 0..4 {
        let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
        let token = pc.offer(house, &pending).await.unwrap();
        let press = || pc.press(house, &pending, &token);
        let both = tokio::join!(press(), press());
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 403]);
        let won = if both.0.status == 303 { &both.0 } else { &both.1 };
        let session = activated(&ehr, &pending, won).await;
        sign(&ehr, &session, &doctor).await.expect(200);
    }
}

/// Whoever has the code, its state and the link knows all that a signing system does.
#[tokio::test]
async fn code_as_the_signing_system_sees_it_keeps_nothing() {
    let house = House::saving().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let begun = house.choose_card(&pending.login_path).await.cookie("__Host-begun").unwrap();
    let approved = house.world.portal().approve(&doctor.card, &pending.login_path, None).await;
    let path = approved.header("location").strip_prefix(&house.origin()).unwrap();
    let (seen, keep) = path.split_once("&keep=").unwrap();
    let forged = format!("{seen}&keep={}", "A".repeat(keep.len()));
    for path in [seen, &forged] {
        let arrived = house.get_with(&begun, path).await.expect(303);
        assert!(arrived.cookie("__Host-saved").is_none(), "{arrived}");
    }
    let arrived = house.get_with(&begun, path).await.expect(303);
    assert!(arrived.cookie("__Host-saved").is_some(), "{arrived}");
    assert!(!arrived.header("location").contains(keep), "{arrived}");
    let again = house.get_with(&begun, path).await.expect(303);
    assert!(again.cookie("__Host-saved").is_none(), "an approval is kept once: {again}");
    activated(&ehr, &pending, &arrived).await;
}

#[tokio::test]
async fn house_that_does_not_want_it_keeps_nothing() {
    let house = House::shared().await;
    let (ehr, doctor) = (house.clinic(), house.doctor(Validity::CURRENT).await);
    let pending = ehr.ask_sign_in(Some(&doctor.holder_id)).await;
    let page = house.get(&pending.login_path).await.expect(200).text();
    assert!(!page.contains("ログアウト"), "{page}");
    let approved = house.world.portal().approve(&doctor.card, &pending.login_path, None).await;
    activated(&ehr, &pending, &approved).await;
}

/// Where only one card will do, the login link leads straight to it: no browser begins on the portal.
#[tokio::test]
async fn system_for_one_card_only_goes_straight_to_it_and_is_not_kept() {
    let house = House::saving().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let ehr = house.world.ehr();
    let wanted =
        json!({ "holder": doctor.holder_id, "return_url": RETURN_URL, "methods": ["hpki"] });
    let pending = ehr.ask_sign_in_with(&wanted).await;
    assert!(!pending.login_url.starts_with(&house.origin()), "{}", pending.login_url);
    let approved = house.world.portal().approve(&doctor.card, &pending.login_path, None).await;
    activated(&ehr, &pending, &approved).await;
}
