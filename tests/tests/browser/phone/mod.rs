//! A doctor with a PC, a card and a phone: what is done on the PC, what on the phone, and what both show.

mod at_pc;
mod barriers;
mod change;
mod enrolment;
mod keyboard;
mod letter;
mod my_number;
mod once;
mod security_key;
mod sign_in;
mod trouble;

use crate::desk::Desk;
use serde_json::json;
use tests::support::admin;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Wanted;
use tests::support::doctor::Doctor;
use tests::support::ehr::Pending;
use tests::support::pki::Validity;

const BY_PHONE: By<'_> = By::Css("form[action$='/phone'] button");
const NUMBER: By<'_> = By::Css("input#number");
const PROVE: By<'_> = By::Css("#prove button");
const AGAIN: By<'_> = By::Css("#again");
const AGAIN_BY_CARD: By<'_> = By::Css("a.go[href*='/enrol/']");
const APPROVE: By<'_> = By::Css("button[value='approve']");
const DENY: By<'_> = By::Css("button[value='deny']");
const PROVED: &str = "スマートフォンを確認しました";
const REGISTERED: &str = "スマートフォンの登録が完了しました";
const REFUSE: By<'_> = By::Css("button.no");

/// See the module.
struct Room {
    desk: Desk,
    doctor: Doctor,
    pc: Browser,
    phone: Browser,
}

/// What a PC shows for the phone.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    url: String,
    number: String,
}

impl Room {
    /// One of its own for each test; `name` must differ. Nothing where no browser can be had.
    async fn open(name: &str) -> Option<Self> {
        Self::open_with(name, |_| {}, |_| {}).await
    }

    /// The same with another PC and another phone.
    async fn open_with(
        name: &str,
        tune_pc: impl FnOnce(&mut Wanted<'_>),
        tune_phone: impl FnOnce(&mut Wanted<'_>),
    ) -> Option<Self> {
        let desk = Desk::open_with(name, &["hpki", "fido2"]).await?;
        let doctor = desk.world.new_doctor(Validity::CURRENT).await;
        let names = [format!("{name}-pc"), format!("{name}-phone")];
        let mut pc = Wanted { card: Some(&doctor.card), ..Wanted::new(&names[0], &desk.world.pki) };
        let mut phone = Wanted { screen: Screen::PHONE, ..Wanted::new(&names[1], &desk.world.pki) };
        tune_pc(&mut pc);
        tune_phone(&mut phone);
        let (pc, phone) = tokio::join!(pc.start(), phone.start());
        Some(Self { desk, doctor, pc, phone })
    }

    fn origin(&self) -> String {
        format!("https://localhost:{}", self.desk.world.ports.portal.port())
    }

    /// Another phone than the doctor's.
    async fn other_phone(&self, name: &str) -> Browser {
        Wanted { screen: Screen::PHONE, ..Wanted::new(name, &self.desk.world.pki) }.start().await
    }

    /// The PC is led by the card to the page with the QR code of an enrolment.
    async fn begin_enrolment(&self) -> Shown {
        self.pc.go(&self.origin()).await;
        for next in ["a.go", "form[action='/enrol'] button", "form[action*='/wait/'] button"] {
            self.pc.find(By::Css(next)).await.click().await;
        }
        shown(&self.pc).await
    }

    /// The doctor's phone is registered.
    async fn enrol(&self) {
        let shown = self.begin_enrolment().await;
        self.answer(&shown).await;
        self.phone.wait_for_text(PROVED).await;
        self.confirm().await;
        self.pc.wait_for_text(REGISTERED).await;
    }

    /// The PC asks for the card again, by itself; the doctor shows it and says yes.
    async fn confirm(&self) {
        self.pc.find(AGAIN_BY_CARD).await.click().await;
        self.pc.find(APPROVE).await.click().await;
    }

    /// The phone follows the QR code, and the number is typed.
    async fn answer(&self, shown: &Shown) {
        self.phone.go(&shown.url).await;
        type_number(&self.phone, &shown.number).await;
    }

    /// A sign-in of the doctor.
    async fn ask_sign_in(&self) -> Pending {
        let holder = &self.doctor.holder_id;
        let wanted = json!({ "holder": holder, "return_url": self.desk.return_url });
        self.desk.ehr.ask_sign_in_with(&wanted).await
    }

    /// The PC is led by the login link to the page with the QR code of a sign-in.
    async fn begin_sign_in(&self, pending: &Pending) -> Shown {
        self.pc.go(&pending.login_url).await;
        self.pc.find(BY_PHONE).await.click().await;
        shown(&self.pc).await
    }

    /// How many phones operators see of the doctor.
    async fn phones(&self) -> usize {
        let line = format!("GET /devices?holder={}", self.doctor.holder_id);
        let world = self.desk.world;
        let devices = admin::ask(world, &world.pki.registrar, &line, None).await.expect(200);
        devices.json().as_array().unwrap().len()
    }
}

async fn shown(pc: &Browser) -> Shown {
    let number = pc.find(By::Css("#number")).await.text().await;
    pc.find(By::Css("svg.qr")).await;
    Shown { url: address(pc).await, number }
}

/// What the QR code says. It stands where it is only seen when it is asked for.
async fn address(pc: &Browser) -> String {
    let address = "return document.querySelector('.address').textContent";
    pc.script(address, &[]).await.as_str().unwrap().to_owned()
}

/// Code and number are used together: nobody has to scroll from one to the other.
async fn assert_seen_together(pc: &Browser) {
    let lowest = "return Math.max(...['.qr', '#number'].map((what) =>
        document.querySelector(what).getBoundingClientRect().bottom)) - innerHeight";
    let hidden = pc.script(lowest, &[]).await.as_f64().unwrap();
    assert!(hidden <= 0.0, "{hidden} pixels are below the screen's edge");
}

async fn type_number(phone: &Browser, number: &str) {
    phone.find(NUMBER).await.type_text(number).await;
    phone.find(PROVE).await.click().await;
}

/// A number of the same form that is another.
fn wrong(number: &str) -> String {
    number.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}
