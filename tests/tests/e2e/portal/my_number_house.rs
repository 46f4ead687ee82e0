//! Doctors with My Number cards: how a card is registered and signed in with.

use super::house::House;
use rustls::version::TLS12;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;
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
        let led = connection.ask("POST /link", FORM, form.as_bytes()).await.expect(303);
        let html = follow(&mut connection, &led).await.expect(200).text();
        let action = html.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        let origin = format!("https://localhost:{}", self.world.ports.jpki.port());
        let path = action.strip_prefix(&origin).unwrap_or_else(|| panic!("{action}")).to_owned();
        Leave { path, secret: field(&html, "secret").unwrap() }
    }

    /// The browser comes with the cards exchanged.
    pub async fn meet_link(&self, leave: &Leave, card: Option<&Pair>) -> (Connection, Reply) {
        let mut connection = self.with_my_number(card).await;
        let form = format!("secret={}&lang=en", leave.secret);
        let led = connection.ask(&format!("POST {}", leave.path), FORM, form.as_bytes()).await;
        let page = follow(&mut connection, &led.expect(303)).await;
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
        let proved = connection.ask(&line, FORM, form.as_bytes()).await;
        match proved.status {
            303 => follow(&mut connection, &proved).await,
            _ => proved,
        }
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
}

/// The browser goes where it is led, with the cookie that it was given.
async fn follow(connection: &mut Connection, led: &Reply) -> Reply {
    let cookie = format!("Cookie: {}\r\n", led.cookie("__Secure-link").unwrap());
    connection.ask(&format!("GET {}", led.header("location")), &cookie, b"").await
}
