//! My Number cards: registered by the HPKI card, signed in with, registering phones, unlinked by operators.

use super::house::House;
use super::house::Pc;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::version::TLS12;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::ehr::Pending;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::http::Connection;
use tests::support::http::Reply;
use tests::support::http::tls_config;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::portal::code_of;
use tests::support::portal::field;
use tests::support::world::RETURN_URL;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Leave to link a card, as the browser has it after the HPKI card's page.
pub struct Leave {
    pub path: String,
    pub secret: String,
}

impl House {
    /// A good My Number card that nobody has registered.
    pub fn my_number_card(&self, doctor: &Doctor) -> Pair {
        let name = format!("997794E9-{}", doctor.holder_id);
        self.world.pki.jpki.my_number_card(&name, Validity::CURRENT)
    }

    async fn connect_with(&self, to: SocketAddr, card: Option<&Pair>) -> Connection {
        let config = tls_config(&self.world.pki.servers.pem, card, &TLS12);
        Connection::tls(to, config).await.unwrap()
    }

    /// A browser at the My Number card's listener.
    pub async fn with_my_number(&self, card: Option<&Pair>) -> Connection {
        self.connect_with(self.world.ports.jpki, card).await
    }

    /// The HPKI card's page for registering a My Number card.
    pub async fn link_page(&self, card: &Pair) -> (Connection, Reply) {
        let mut connection = self.connect_with(self.world.ports.hpki, Some(card)).await;
        let page = connection.get("/link?lang=en").await;
        (connection, page)
    }

    /// The HPKI card allows a My Number card.
    pub async fn begin_link(&self, card: &Pair) -> Leave {
        let (mut connection, page) = self.link_page(card).await;
        let form_token = field(&page.text(), "form_token").unwrap_or_else(|| panic!("{page}"));
        let form = format!("form_token={form_token}");
        let next = connection.ask("POST /link", FORM, form.as_bytes()).await.expect(200);
        let html = next.text();
        let action = html.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        let origin = format!("https://localhost:{}", self.world.ports.jpki.port());
        let path = action.strip_prefix(&origin).unwrap_or_else(|| panic!("{action}")).to_owned();
        Leave { path, secret: field(&html, "secret").unwrap() }
    }

    /// The browser comes with the cards exchanged.
    pub async fn meet_link(&self, leave: &Leave, card: Option<&Pair>) -> (Connection, Reply) {
        let mut connection = self.with_my_number(card).await;
        let form = format!("secret={}&lang=en", leave.secret);
        let page = connection.ask(&format!("POST {}", leave.path), FORM, form.as_bytes()).await;
        (connection, page)
    }

    /// The last step with the My Number card; the page before it when there is no form.
    pub async fn prove_link(&self, leave: &Leave, card: &Pair) -> Reply {
        let (mut connection, page) = self.meet_link(leave, Some(card)).await;
        let Some(form_token) = field(&page.text(), "form_token") else {
            return page;
        };
        let form = format!("secret={}&form_token={form_token}&lang=en", leave.secret);
        let line = format!("POST {}/confirm", leave.path);
        connection.ask(&line, FORM, form.as_bytes()).await
    }

    /// The HPKI card is shown again for the card that was proved, and one of the two buttons is pressed.
    pub async fn confirm_link(&self, leave: &Leave, hpki: &Pair, decision: &str) -> Reply {
        let id = leave.path.strip_prefix("/link/").unwrap();
        let page = self.again_page(id, Some(hpki)).await;
        self.decide_again(id, page, decision).await
    }

    /// The whole way from the leave on.
    pub async fn finish_link(&self, leave: &Leave, doctor: &Doctor, card: &Pair) -> Reply {
        let proved = self.prove_link(leave, card).await;
        match proved.text().contains("Show your card once more") {
            true => self.confirm_link(leave, &doctor.card, "approve").await,
            false => proved,
        }
    }

    /// The whole way.
    pub async fn link(&self, doctor: &Doctor, card: &Pair) -> Reply {
        let leave = self.begin_link(&doctor.card).await;
        self.finish_link(&leave, doctor, card).await
    }

    /// A doctor with a My Number card.
    pub async fn doctor_with_my_number(&self) -> (Doctor, Pair) {
        let doctor = self.doctor(Validity::CURRENT).await;
        let card = self.my_number_card(&doctor);
        let done = self.link(&doctor, &card).await.expect(200);
        assert!(done.text().contains("The My Number card is registered"), "{done}");
        (doctor, card)
    }

    /// A sign-in that only a My Number card does.
    pub async fn ask_my_number(&self, holder: Option<&str>) -> Pending {
        let wanted = json!({ "holder": holder, "methods": ["jpki"], "return_url": RETURN_URL });
        let pending = self.clinic().ask_sign_in_with(&wanted).await;
        let origin = format!("https://localhost:{}/login/", self.world.ports.jpki.port());
        assert!(pending.login_url.starts_with(&origin), "{}", pending.login_url);
        pending
    }

    /// The page of a sign-in for a My Number card.
    pub async fn my_number_page(&self, pending: &Pending, card: &Pair) -> Reply {
        let mut browser = self.world.jpki_portal().browser(Some(card)).await;
        browser.open(&pending.login_path).await.reply
    }

    /// The whole way by My Number card.
    pub async fn sign_in_by_my_number(&self, card: &Pair) -> Session {
        let pending = self.ask_my_number(None).await;
        let portal = self.world.jpki_portal();
        let confirmed = portal.approve(card, &pending.login_path, None).await.expect(303);
        let activated = self.clinic().activate(&pending.session_id, &code_of(&confirmed)).await;
        let answer = activated.expect(200).json();
        let token = answer["signing_token"].as_str().unwrap().to_owned();
        Session { session_id: pending.session_id, token, answer }
    }

    /// One signature of the session's holder.
    pub async fn sign(&self, session: &Session) -> Reply {
        let sign = Sign { token: &session.token, content: b"document", ..Sign::default() };
        sign.send(&mut self.clinic().connect().await).await
    }

    /// The My Number cards that operators see of a doctor.
    pub async fn my_numbers(&self, doctor: &Doctor) -> Vec<Value> {
        let line = format!("GET /jpki?holder={}", doctor.holder_id);
        let registrar = &self.world.pki.registrar;
        let cards = admin::ask(&self.world, registrar, &line, None).await.expect(200).json();
        cards.as_array().unwrap().clone()
    }

    async fn unlink(&self, doctor: &Doctor) -> Reply {
        let cards = self.my_numbers(doctor).await;
        let line = format!("DELETE /jpki/{}", cards[0]["card"].as_str().unwrap());
        admin::ask(&self.world, &self.world.pki.registrar, &line, None).await
    }

    /// The My Number card is shown again for the phone that was proved.
    async fn confirm_by_my_number(&self, pc: &Pc, card: &Pair) -> Reply {
        let mut connection = self.with_my_number(Some(card)).await;
        let page = connection.get(&format!("/enrol/{}?lang=en", pc.id)).await;
        self.decide_again(&pc.id, (connection, page), "approve").await
    }

    /// The My Number card allows a phone; the browser is on the page that waits for it.
    async fn begin_enrolment_by_my_number(&self, card: &Pair) -> Pc {
        let mut connection = self.with_my_number(Some(card)).await;
        let page = connection.get("/enrol?lang=en").await;
        self.allow_phone(connection, &page).await
    }
}

/// Whether a file under `folder` has these octets.
fn holds(folder: &Path, octets: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, octets),
            false => {
                let file = std::fs::read(&path).unwrap();
                file.windows(octets.len()).any(|window| window == octets)
            }
        }
    })
}

#[tokio::test]
async fn card_registered_by_the_hpki_card_signs_in_and_signs() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    assert_eq!(session.answer["method"], "jpki");
    assert_eq!(session.answer["holder"], doctor.holder_id.as_str());
    house.sign(&session).await.expect(200);
    let cards = house.my_numbers(&doctor).await;
    assert_eq!((cards.len(), &cards[0]["enrolled_by"]), (1, &json!("hpki")));
    assert_eq!(cards[0]["renewed_at"], Value::Null);
    let inkan = house.world.inkan(&["jpki", "list", "--holder", &doctor.holder_id]);
    let listed = String::from_utf8_lossy(&inkan.stdout).into_owned();
    assert!(listed.contains(cards[0]["card"].as_str().unwrap()), "{listed}");
}

#[tokio::test]
async fn what_was_proved_is_recorded_and_lies_nowhere_in_clear() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    house.sign_in_by_my_number(&card).await;
    let begun = house.records(&doctor, "enrolment_started").await;
    let methods: Vec<_> = begun.iter().map(|record| &record["event"]["method"]).collect();
    assert_eq!(methods, ["hpki", "jpki"]);
    assert_eq!(begun[0]["event"]["ticket"], begun[1]["event"]["ticket"]);
    let approved = &house.records(&doctor, "sign_in_approved").await[0]["event"];
    let evidence: Value =
        serde_json::from_str(approved["evidence_json"].as_str().unwrap()).unwrap();
    assert_eq!(evidence["kind"], "jpki");
    assert_eq!(evidence["digest"].as_str().unwrap().len(), 64);
    assert!(evidence["sealed"].as_str().unwrap().len() > 1_000);
    // The subject stands in every encoding of the certificate that is not sealed.
    let name = format!("997794E9-{}", doctor.holder_id);
    let data = &house.world.data_dir;
    for clear in [name.into_bytes(), card.der.to_vec(), STANDARD.encode(&card.der).into_bytes()] {
        assert!(!holds(data, &clear));
    }
    let hpki = STANDARD.encode(&doctor.card.der).into_bytes();
    assert!(holds(data, &hpki[..200]), "the search finds what is there");
}

#[tokio::test]
async fn session_is_judged_again_from_what_was_sealed_after_a_restart() {
    let mut house = House::new(Default::default()).await;
    let (_, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    assert!(house.world.daemon.stop(Duration::from_secs(10)).is_some());
    house.world.restart();
    house.sign(&session).await.expect(200);
    house.sign_in_by_my_number(&card).await;
}

#[tokio::test]
async fn another_card_replaces_the_one_before_once_the_holder_agreed() {
    let house = House::shared().await;
    let (doctor, first) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&first).await;
    let second = house.world.pki.jpki.my_number_card("second", Validity::CURRENT);
    let (_, page) = house.link_page(&doctor.card).await;
    assert!(page.text().contains("is registered already"), "{page}");
    house.link(&doctor, &second).await.expect(200);
    assert_eq!(house.my_numbers(&doctor).await.len(), 1);
    house.sign(&session).await.expect_problem(401, "session_ended");
    house.sign_in_by_my_number(&second).await;
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &first).await.expect(403);
    assert!(page.text().contains("not registered here"), "{page}");
}

#[tokio::test]
async fn operator_removes_a_card_at_once_with_its_sessions() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    let pending = house.ask_my_number(None).await;
    let portal = house.world.jpki_portal();
    let confirmed = portal.approve(&card, &pending.login_path, None).await.expect(303);
    let done = house.unlink(&doctor).await.expect(200).json();
    assert_eq!(done["sessions_ended"], 1, "{done}");
    house.sign(&session).await.expect_problem(401, "session_ended");
    let activated = house.clinic().activate(&pending.session_id, &code_of(&confirmed)).await;
    assert_eq!(activated.status, 403, "{activated}");
    assert!(house.my_numbers(&doctor).await.is_empty());
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &card).await.expect(403);
    assert!(page.text().contains("Register it again with your HPKI card"), "{page}");
    // And it can be registered again.
    house.link(&doctor, &card).await.expect(200);
    house.sign_in_by_my_number(&card).await;
}

#[tokio::test]
async fn phone_is_registered_by_the_my_number_card() {
    let house = House::without_wait().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let mut phone = house.new_phone();
    let pc = house.begin_enrolment_by_my_number(&card).await;
    house.prove_new(&pc, &mut phone).await.expect(200);
    let page = house.page(&pc).await.expect(200).text();
    let jpki = format!("https://localhost:{}/enrol/", house.world.ports.jpki.port());
    assert!(page.contains(&jpki), "the same card confirms: {page}");
    house.confirm_by_my_number(&pc, &card).await.expect(200);
    let devices = house.devices(&doctor).await;
    assert_eq!(devices[0]["enrolled_by"], "jpki");
    assert_eq!(devices[0]["enrolled_by_factor"], house.my_numbers(&doctor).await[0]["card"]);
    house.sign_in(&doctor, &mut phone).await;
}

#[tokio::test]
async fn card_that_is_not_linked_any_more_registers_no_phone() {
    let house = House::without_wait().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let pc = house.begin_enrolment_by_my_number(&card).await;
    house.prove_new(&pc, &mut house.new_phone()).await.expect(200);
    house.unlink(&doctor).await.expect(200);
    assert_eq!(house.confirm_by_my_number(&pc, &card).await.status, 403);
    // Nor does the HPKI card confirm what the other one began.
    assert_eq!(house.confirm_enrolment(&pc, &doctor.card, "approve").await.status, 403);
    assert!(house.devices(&doctor).await.is_empty());
}

#[tokio::test]
async fn portal_offers_the_card_where_it_is_a_method() {
    let house = House::shared().await;
    let page = house.get("/?lang=en").await.expect(200).text();
    let jpki = format!("https://localhost:{}", house.world.ports.jpki.port());
    assert!(page.contains(&format!("href=\"{jpki}/enrol?lang=en\"")), "{page}");
    let pending = house.clinic().ask_sign_in(None).await;
    let page = house.get(&pending.login_path).await.expect(200).text();
    assert!(page.contains("<input type=\"hidden\" name=\"card\" value=\"jpki\">"), "{page}");
    let path = format!("{}/card", pending.login_path);
    let led = house.post_form(&path, "card=jpki&lang=ja").await.expect(303);
    let to = format!("{jpki}{}?lang=ja", pending.login_path);
    assert_eq!(led.header("location"), to);
}

/// Whoever linked a card of their own in the holder's absence gets no further with it today.
#[tokio::test]
async fn card_linked_today_registers_no_phone() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let page = house.with_my_number(Some(&card)).await.get("/enrol?lang=en").await.expect(403);
    // A whole day, to the second, or less.
    let told = page.text();
    assert!(told.contains("It can in 24 hours") || told.contains("It can in 23 hours"), "{page}");
    assert!(house.devices(&doctor).await.is_empty());
    house.sign_in_by_my_number(&card).await;
}
