//! A house with a portal: doctors with phones in software, browsers on PCs, and a signing system that takes every method.

use attest::danger_testing::PhoneKey;
use attest::danger_testing::SoftPhone;
use rustls::version::TLS12;
use rustls::version::TLS13;
use serde_json::Value;
use serde_json::json;
use tests::support::admin;
use tests::support::config::Settings;
use tests::support::doctor::Doctor;
use tests::support::ehr::Ehr;
use tests::support::ehr::Pending;
use tests::support::ehr::Session;
use tests::support::http::Connection;
use tests::support::http::Reply;
use tests::support::http::tls_config;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::portal::field;
use tests::support::world::Plan;
use tests::support::world::RETURN_URL;
use tests::support::world::World;
use tokio::sync::OnceCell;

/// See the module.
pub struct House {
    pub world: World,
    clinic: Pair,
}

/// A browser on a PC with a page that waits for a phone.
#[derive(Clone)]
pub struct Pc {
    pub id: String,
    pub cookie: String,
}

/// What a phone is asked.
pub struct Question {
    pub ceremony_id: String,
    pub options: Value,
}

impl House {
    /// The one that the tests of this module share; each has doctors of its own.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<House> = OnceCell::const_new();
        let tune = |settings: &mut Settings| {
            settings.more.push_str("[limits]\nwithout_link_per_minute_of_address = 600\n");
        };
        SHARED.get_or_init(|| Self::new(Plan { tune, ..Plan::default() })).await
    }

    /// The same, but what was added a moment ago may add another factor.
    pub async fn without_wait() -> &'static Self {
        static SHARED: OnceCell<House> = OnceCell::const_new();
        let tune = |settings: &mut Settings| {
            settings.more.push_str("[factors]\nwait_seconds = 0\n");
        };
        SHARED.get_or_init(|| Self::new(Plan { tune, ..Plan::default() })).await
    }

    /// The same, where browsers keep sign-ins.
    pub async fn saving() -> &'static Self {
        static SHARED: OnceCell<House> = OnceCell::const_new();
        // It stands below `[sessions]`.
        let tune = |settings: &mut Settings| {
            settings.more.push_str("saved_sign_ins = true\n[limits]\nsign_ins_per_minute = 600\n");
        };
        SHARED.get_or_init(|| Self::new(Plan { tune, ..Plan::default() })).await
    }

    pub async fn new(plan: Plan) -> Self {
        let world = World::new(plan).await;
        let clinic = world.pki.clients.client("clinic", Validity::CURRENT);
        let system = json!({
            "system_id": "clinic", "display_name": "外来", "certificates_pem": [clinic.pem()],
            "return_urls": [RETURN_URL], "all_holders": true, "methods": ["hpki", "jpki", "fido2"],
            "raw_allowed": true, "bare_digests_allowed": true,
            "requests_per_second": 100_000,
        });
        admin::grant(&world, "POST /systems", Some(&system)).await;
        Self { world, clinic }
    }

    pub fn clinic(&self) -> Ehr {
        Ehr::new(&self.world, &self.clinic)
    }

    pub fn origin(&self) -> String {
        format!("https://localhost:{}", self.world.ports.portal.port())
    }

    pub fn new_phone(&self) -> SoftPhone {
        SoftPhone::new(&self.origin(), "localhost", PhoneKey::P256).unwrap()
    }

    /// A doctor whose key is certified for `validity`.
    pub async fn doctor(&self, validity: Validity) -> Doctor {
        self.world.new_doctor(validity).await
    }

    /// A doctor with a phone.
    pub async fn doctor_with_phone(&self) -> (Doctor, SoftPhone) {
        let (doctor, mut phone) = (self.doctor(Validity::CURRENT).await, self.new_phone());
        let told = self.enrol(&doctor.card, &mut phone).await.expect(200).json();
        assert_eq!(told["state"], "end", "{told}");
        (doctor, phone)
    }

    async fn connect(&self) -> Connection {
        let config = tls_config(&self.world.pki.servers.pem, None, &TLS13);
        Connection::tls(self.world.ports.portal, config).await.unwrap()
    }

    pub async fn post_form(&self, path: &str, form: &str) -> Reply {
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.connect().await.ask(&format!("POST {path}"), headers, form.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.connect().await.get(path).await
    }

    /// The card's page for registering a phone.
    pub async fn enrol_page(&self, card: &Pair) -> (Connection, Reply) {
        self.card_page(card, "/enrol").await
    }

    async fn card_page(&self, card: &Pair, path: &str) -> (Connection, Reply) {
        let mut connection = self.connect_card(Some(card)).await;
        let page = connection.get(&format!("{path}?lang=en")).await;
        (connection, page)
    }

    /// The card's page for registering a security key.
    pub async fn enrol_key_page(&self, card: &Pair) -> Reply {
        self.card_page(card, "/enrol-key").await.1
    }

    /// The card allows a security key; the browser is on the page that asks for it.
    pub async fn begin_key(&self, card: &Pair) -> Pc {
        let (connection, page) = self.card_page(card, "/enrol-key").await;
        self.allow(connection, &page, "/enrol-key").await
    }

    /// A security key is registered by the card.
    pub async fn enrol_key(&self, card: &Pair, key: &mut SoftPhone) {
        let pc = self.begin_key(card).await;
        let told = self.approve_here(&pc, key, &json!({})).await.expect(200).json();
        assert_eq!(told["state"], "go_on", "{told}");
        let done = self.confirm_enrolment(&pc, card, "approve").await.expect(200);
        assert!(done.text().contains("The security key is registered"), "{done}");
    }

    /// The card allows a phone; the browser is on the page that waits for it.
    pub async fn begin_enrolment(&self, card: &Pair) -> Pc {
        let (connection, page) = self.enrol_page(card).await;
        self.allow_phone(connection, &page).await
    }

    /// The same from the card's page on.
    pub async fn allow_phone(&self, connection: Connection, page: &Reply) -> Pc {
        self.allow(connection, page, "/enrol").await
    }

    /// The form of the card's page is sent.
    pub async fn allow(&self, mut connection: Connection, page: &Reply, path: &str) -> Pc {
        let form_token = field(&page.text(), "form_token");
        let form = format!("form_token={}", form_token.unwrap_or_else(|| panic!("{page}")));
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let line = format!("POST {path}");
        let led = connection.ask(&line, headers, form.as_bytes()).await.expect(303);
        let cookie = format!("Cookie: {}\r\n", led.cookie("__Secure-started").unwrap());
        let line = format!("GET {}", led.header("location"));
        let html = connection.ask(&line, &cookie, b"").await.expect(200).text();
        let secret = field(&html, "page_secret").unwrap();
        let action = html.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        let path = action.strip_prefix(&self.origin()).unwrap();
        Pc::at(&self.post_form(path, &format!("page_secret={secret}")).await)
    }

    /// The whole way with the card; what the phone is told at its end. Where it is taken, the card is shown again.
    pub async fn enrol(&self, card: &Pair, phone: &mut SoftPhone) -> Reply {
        let pc = self.begin_enrolment(card).await;
        let told = self.prove_new(&pc, phone).await;
        if told.status == 200 {
            let done = self.confirm_enrolment(&pc, card, "approve").await.expect(200);
            assert!(done.text().contains("The phone is registered"), "{done}");
        }
        told
    }

    /// A new phone does what the PC asks.
    pub async fn prove_new(&self, pc: &Pc, phone: &mut SoftPhone) -> Reply {
        let (link, number) = self.shown(pc).await;
        let question = self.ask(&link, &number.unwrap()).await;
        let created = phone.create(&question.options.to_string()).unwrap();
        self.finish(&link, &question.ceremony_id, &created).await
    }

    /// The card's page that confirms a phone.
    pub async fn confirm_page(&self, pc: &Pc, card: Option<&Pair>) -> (Connection, Reply) {
        self.again_page(&pc.id, card).await
    }

    /// The same for whatever waits under a ticket of this name.
    pub async fn again_page(&self, id: &str, card: Option<&Pair>) -> (Connection, Reply) {
        let mut connection = self.connect_card(card).await;
        let page = connection.get(&format!("/enrol/{id}?lang=en")).await;
        (connection, page)
    }

    /// The card is shown again, and one of the two buttons is pressed.
    pub async fn confirm_enrolment(&self, pc: &Pc, card: &Pair, decision: &str) -> Reply {
        self.decide_again(&pc.id, self.confirm_page(pc, Some(card)).await, decision).await
    }

    /// The same from the card's page on.
    pub async fn decide_again(
        &self,
        id: &str,
        (mut connection, page): (Connection, Reply),
        decision: &str,
    ) -> Reply {
        let Some(form_token) = field(&page.text(), "form_token") else { return page };
        let form = format!("form_token={form_token}&decision={decision}&lang=en");
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        connection.ask(&format!("POST /enrol/{id}"), headers, form.as_bytes()).await
    }

    async fn connect_card(&self, card: Option<&Pair>) -> Connection {
        let config = tls_config(&self.world.pki.servers.pem, card, &TLS12);
        Connection::tls(self.world.ports.hpki, config).await.unwrap()
    }

    /// The button of the choice page that leads to the card.
    pub async fn choose_card(&self, login_path: &str) -> Reply {
        self.post_form(&format!("{login_path}/card"), "").await
    }

    /// A request as a browser with this cookie sends it.
    pub async fn get_with(&self, cookie: &str, path: &str) -> Reply {
        let headers = format!("Cookie: {cookie}\r\n");
        self.connect().await.ask(&format!("GET {path}"), &headers, b"").await
    }

    /// The same for a form.
    pub async fn post_with(&self, cookie: &str, path: &str, form: &str) -> Reply {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let headers = format!("{kind}Cookie: {cookie}\r\n");
        self.connect().await.ask(&format!("POST {path}"), &headers, form.as_bytes()).await
    }

    /// A page that waits for the phone of `holder`, as typed.
    pub async fn hand_off(&self, pending: &Pending, holder: Option<&str>) -> Pc {
        Pc::at(&self.choose_phone(&pending.login_path, holder).await)
    }

    /// The button of the choice page that asks for a phone.
    pub async fn choose_phone(&self, login_path: &str, holder: Option<&str>) -> Reply {
        let form = holder.map(|holder| format!("holder_id={holder}")).unwrap_or_default();
        self.post_form(&format!("{login_path}/phone"), &form).await
    }

    /// The page that waits for the old phone of `holder`, as typed.
    pub async fn begin_change(&self, holder: &str) -> Pc {
        Pc::at(&self.post_form("/change", &format!("holder_id={holder}")).await)
    }

    /// Yes or no to giving the old phone up.
    pub async fn answer_change(&self, pc: &Pc, decision: &str) -> Reply {
        let headers =
            format!("Content-Type: application/x-www-form-urlencoded\r\nCookie: {}\r\n", pc.cookie);
        let line = format!("POST /wait/{}/change", pc.id);
        let form = format!("decision={decision}&lang=en");
        self.connect().await.ask(&line, &headers, form.as_bytes()).await
    }

    pub async fn page(&self, pc: &Pc) -> Reply {
        let cookie = format!("Cookie: {}\r\n", pc.cookie);
        let line = format!("GET /wait/{}?lang=en", pc.id);
        self.connect().await.ask(&line, &cookie, b"").await
    }

    /// Waits until the page changes.
    pub async fn page_goes_on(&self, pc: &Pc) -> bool {
        let cookie = format!("Cookie: {}\r\n", pc.cookie);
        let line = format!("GET /wait/{}/state?wait=20", pc.id);
        let state = self.connect().await.ask(&line, &cookie, b"").await.expect(200).json();
        state["waiting"] == false
    }

    /// Link and number that a PC shows.
    pub async fn shown(&self, pc: &Pc) -> (String, Option<String>) {
        let html = self.page(pc).await.expect(200).text();
        let link = html.split(&format!("{}/phone/", self.origin())).nth(1);
        let link = link.unwrap_or_else(|| panic!("{html}")).split(['<', '"']).next().unwrap();
        let number = html.split("id=\"number\">").nth(1);
        (link.to_owned(), number.map(|rest| rest.split('<').next().unwrap().to_owned()))
    }

    pub async fn phone_page(&self, link: &str) -> Reply {
        self.get(&format!("/phone/{link}?lang=en")).await
    }

    pub async fn type_number(&self, link: &str, number: &str) -> Reply {
        let path = format!("/phone/{link}/options");
        self.connect().await.post_json(&path, &json!({ "number": number })).await
    }

    pub async fn ask(&self, link: &str, number: &str) -> Question {
        let reply = self.type_number(link, number).await.expect(200).json();
        assert_eq!(reply["state"], "options", "{reply}");
        let ceremony_id = reply["ceremony_id"].as_str().unwrap().to_owned();
        Question { ceremony_id, options: reply["options"].clone() }
    }

    pub async fn finish(&self, link: &str, ceremony_id: &str, credential_json: &str) -> Reply {
        let credential: Value = serde_json::from_str(credential_json).unwrap();
        let body = json!({ "ceremony_id": ceremony_id, "credential": credential });
        self.connect().await.post_json(&format!("/phone/{link}/finish"), &body).await
    }

    pub async fn deny(&self, link: &str) -> Reply {
        self.post_form(&format!("/phone/{link}/deny"), "lang=en").await
    }

    /// The phone does what the PC asks.
    pub async fn approve(&self, pc: &Pc, phone: &mut SoftPhone) -> Reply {
        let (link, number) = self.shown(pc).await;
        let question = self.ask(&link, &number.unwrap()).await;
        let answer = phone.get(&question.options.to_string()).unwrap();
        self.finish(&link, &question.ceremony_id, &answer).await
    }

    /// A page of this browser that asks for an authenticator at the PC.
    pub async fn hand_off_here(&self, pending: &Pending, holder: Option<&str>) -> Pc {
        let holder = holder.map(|holder| format!("holder_id={holder}&")).unwrap_or_default();
        let path = format!("{}/phone", pending.login_path);
        Pc::at(&self.post_form(&path, &format!("{holder}at=pc")).await)
    }

    /// What the PC's own page shows.
    pub async fn key_page(&self, pc: &Pc) -> Reply {
        let line = format!("GET /wait/{}/key?lang=en", pc.id);
        self.connect().await.ask(&line, &format!("Cookie: {}\r\n", pc.cookie), b"").await
    }

    /// What the PC's own page sends.
    pub async fn post_here(&self, pc: &Pc, step: &str, body: &Value) -> Reply {
        let headers = format!("Content-Type: application/json\r\nCookie: {}\r\n", pc.cookie);
        let line = format!("POST /wait/{}/key/{step}?lang=en", pc.id);
        self.connect().await.ask(&line, &headers, body.to_string().as_bytes()).await
    }

    /// The authenticator signs in or registers, as the PC's own page asks.
    pub async fn approve_here(&self, pc: &Pc, phone: &mut SoftPhone, pressed: &Value) -> Reply {
        let asked = self.post_here(pc, "options", pressed).await;
        let question = asked.json();
        if question["state"] != "options" {
            return asked;
        }
        let options = question["options"].to_string();
        let answer = match question.pointer("/options/publicKey/user") {
            Some(_) => phone.create(&options).unwrap(),
            None => phone.get(&options).unwrap(),
        };
        let credential: Value = serde_json::from_str(&answer).unwrap();
        let body = json!({ "ceremony_id": question["ceremony_id"], "credential": credential });
        self.post_here(pc, "finish", &body).await
    }

    /// The code with which the PC goes back.
    pub async fn code(&self, pc: &Pc) -> String {
        assert!(self.page_goes_on(pc).await);
        tests::support::portal::code_of(&self.page(pc).await.expect(303))
    }

    /// The whole way by phone.
    pub async fn sign_in(&self, doctor: &Doctor, phone: &mut SoftPhone) -> Session {
        let wanted = json!({ "holder": doctor.holder_id, "return_url": RETURN_URL });
        self.sign_in_with(phone, &wanted).await
    }

    /// The same for a sign-in that is for a certain holder.
    pub async fn sign_in_with(&self, phone: &mut SoftPhone, wanted: &Value) -> Session {
        let pending = self.clinic().ask_sign_in_with(wanted).await;
        let pc = self.hand_off(&pending, None).await;
        self.approve(&pc, phone).await.expect(200);
        let code = self.code(&pc).await;
        let reply = self.clinic().activate(&pending.session_id, &code).await.expect(200);
        let answer = reply.json();
        let token = answer["signing_token"].as_str().unwrap().to_owned();
        Session { session_id: pending.session_id, token, answer }
    }

    /// The phones that operators see of a doctor.
    pub async fn devices(&self, doctor: &Doctor) -> Vec<Value> {
        let line = format!("GET /devices?holder={}", doctor.holder_id);
        let registrar = &self.world.pki.registrar;
        let devices = admin::ask(&self.world, registrar, &line, None).await.expect(200).json();
        devices.as_array().unwrap().clone()
    }

    /// A registration officer removes the doctor's phone.
    pub async fn remove_phone(&self, doctor: &Doctor) -> Value {
        let devices = self.devices(doctor).await;
        let line = format!("DELETE /devices/{}", devices[0]["device"].as_str().unwrap());
        let registrar = &self.world.pki.registrar;
        admin::ask(&self.world, registrar, &line, None).await.expect(200).json()
    }

    /// Audit records about a doctor, of one kind.
    pub async fn records(&self, doctor: &Doctor, kind: &str) -> Vec<Value> {
        let query = format!("holder={}&event={kind}", doctor.holder_id);
        admin::audit_records(&self.world, &query).await
    }
}

impl Pc {
    /// The browser follows the redirection and keeps the cookie.
    pub fn at(reply: &Reply) -> Self {
        assert_eq!(reply.status, 303, "{reply}");
        let path = reply.header("location").split('?').next().unwrap();
        let cookie = reply.cookie("__Secure-wait").unwrap();
        let id = path.strip_prefix("/wait/").unwrap().trim_end_matches("/key");
        Self { id: id.to_owned(), cookie }
    }
}
