//! A doctor registers a phone with the card and signs in with it: two browsers, a passkey, the real daemon.

use crate::accessibility::assert_no_barriers;
use crate::accessibility::axe;
use crate::desk::Desk;
use serde_json::json;
use tests::support::browser::Authenticator;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Screen;
use tests::support::browser::Transport;
use tests::support::browser::Wanted;
use tests::support::ehr::Pending;

const PROVE: By<'_> = By::Css("#prove button");
const REGISTERED: By<'_> = By::Text("スマートフォンの登録が完了しました");
/// Browsers that do not read and write the JSON of WebAuthn level 3 leave it to the script.
const FORGET_JSON: &str = "delete PublicKeyCredential.parseCreationOptionsFromJSON; \
    delete PublicKeyCredential.parseRequestOptionsFromJSON; delete PublicKeyCredential.prototype.toJSON; \
    return typeof PublicKeyCredential.parseCreationOptionsFromJSON";

struct Pair {
    desk: Desk,
    pc: Browser,
    phone: Browser,
}

impl Pair {
    async fn open(name: &str) -> Option<Self> {
        let desk = Box::pin(Desk::open_with(name, &["hpki", "fido2"])).await?;
        let [pc, phone] = ["pc", "phone"].map(|screen| format!("{name}-{screen}"));
        let pc = Box::pin(desk.doctor(&pc).start()).await;
        let wanted = Wanted { screen: Screen::NARROW, ..Wanted::new(&phone, &desk.world.pki) };
        let phone = Box::pin(wanted.start()).await;
        Some(Self { desk, pc, phone })
    }

    /// From the portal's first page to the QR code.
    async fn ask_enrolment(&self) {
        let pc = &self.pc;
        pc.go(&format!("https://localhost:{}/", self.desk.world.ports.portal.port())).await;
        self.look(pc, "1-index").await;
        pc.find(By::Text("HPKI カードで登録")).await.click().await;
        pc.find(By::Text("はい、登録を始める")).await;
        self.look(pc, "2-card").await;
        pc.find(By::Text("はい、登録を始める")).await.click().await;
        pc.find(By::Text("QR コードを表示する")).await;
        self.look(pc, "3-portal").await;
        pc.find(By::Text("QR コードを表示する")).await.click().await;
    }

    /// From the login link to the QR code.
    async fn ask_phone(&self, pending: &Pending) {
        self.pc.go(&pending.login_url).await;
        self.look(&self.pc, "1-choice").await;
        self.pc.find(By::Css("[name=holder_id]")).await.type_text("u-17").await;
        self.pc.find(By::Text("スマートフォンで認証")).await.click().await;
    }

    /// The phone reads the QR code, and its holder types the number.
    async fn follow(&self) {
        let (pc, phone) = (&self.pc, &self.phone);
        let number = pc.find(By::Css("#number")).await.text().await;
        self.look(pc, "4-code").await;
        pc.find(By::Css("summary")).await.click().await;
        let url = pc.find(By::Css(".address")).await.text().await;
        phone.go(&url).await;
        phone.find(By::Css("#prove input")).await.type_text(&number).await;
        self.look(phone, "5-phone").await;
    }

    /// Keeps a picture, and finds no barrier in it.
    async fn look(&self, browser: &Browser, step: &str) {
        match axe() {
            Some(axe) => Box::pin(assert_no_barriers(browser, axe, step)).await,
            None => browser.screenshot(step).await,
        }
    }

    async fn register(&self) {
        Box::pin(self.ask_enrolment()).await;
        Box::pin(self.follow()).await;
        self.phone.find(PROVE).await.click().await;
        self.phone.find(REGISTERED).await;
        self.look(&self.phone, "6-registered").await;
        self.pc.find(REGISTERED).await;
        self.look(&self.pc, "6-registered").await;
    }

    /// F14: another finger, and once more without losing anything.
    async fn sign_in(&self, passkey: &Authenticator<'_>) {
        let pending = Box::pin(self.desk.ask_sign_in()).await;
        Box::pin(self.ask_phone(&pending)).await;
        Box::pin(self.follow()).await;
        passkey.set_user_verified(false).await;
        self.phone.find(PROVE).await.click().await;
        self.phone.find(By::Text("セキュリティーキーによる認証に失敗しました。")).await;
        self.look(&self.phone, "7-failed").await;
        passkey.set_user_verified(true).await;
        assert_eq!(self.phone.script(FORGET_JSON, &[]).await, json!("undefined"));
        self.phone.find(By::Text("再試行してください")).await.click().await;
        self.phone.find(By::Text("認証しました")).await;
        self.look(&self.phone, "8-signed-in").await;
        Box::pin(self.desk.sign_after_return(&self.pc, &pending)).await;
        let cookies = self.pc.cookies().await;
        assert!(cookies.is_empty(), "the page's secret stays with its page: {cookies:?}");
    }

    /// The phone that is known says so, and the ticket lives on.
    async fn register_again(&self) {
        Box::pin(self.ask_enrolment()).await;
        Box::pin(self.follow()).await;
        self.phone.find(PROVE).await.click().await;
        self.phone.find(By::Text("このスマートフォンは登録済みです")).await;
        self.look(&self.phone, "9-known").await;
    }

    /// Another phone takes its place, in a browser that leaves the JSON to the script.
    async fn change(&self) {
        self.phone.refresh().await;
        let number = self.pc.find(By::Css("#number")).await.text().await;
        self.phone.find(By::Css("#prove input")).await.type_text(&number).await;
        assert_eq!(self.phone.script(FORGET_JSON, &[]).await, json!("undefined"));
        self.phone.find(PROVE).await.click().await;
        self.phone.find(REGISTERED).await;
        self.pc.find(REGISTERED).await;
    }
}

#[tokio::test]
async fn doctor_registers_a_phone_signs_in_with_it_and_changes_it() {
    let Some(pair) = Pair::open("phone").await else { return };
    let passkey = pair.phone.add_authenticator(Transport::Internal).await;
    Box::pin(pair.register()).await;
    assert_eq!(passkey.credentials().await.len(), 1);
    Box::pin(pair.sign_in(&passkey)).await;
    Box::pin(pair.register_again()).await;
    passkey.remove().await;
    pair.phone.add_authenticator(Transport::Internal).await;
    Box::pin(pair.change()).await;
}

#[tokio::test]
async fn stranger_to_a_request_refuses_it_and_the_pc_says_so() {
    let Some(pair) = Pair::open("not-mine").await else { return };
    let pending = pair.desk.ask_sign_in().await;
    Box::pin(pair.ask_phone(&pending)).await;
    Box::pin(pair.follow()).await;
    pair.phone.find(By::Text("心当たりがない")).await.click().await;
    pair.phone.find(By::Text("断りました")).await;
    pair.pc.find(By::Text("断りました")).await;
    pair.look(&pair.pc, "6-refused").await;
}

/// The page goes on by itself without a script, too: only the phone needs one.
#[tokio::test]
async fn pc_without_scripts_goes_on_when_the_phone_said_no() {
    let Some(mut pair) = Pair::open("no-script").await else { return };
    let wanted = Wanted { runs_scripts: false, ..pair.desk.doctor("no-script-pc2") };
    pair.pc = Box::pin(wanted.start()).await;
    let pending = pair.desk.ask_sign_in().await;
    pair.pc.go(&pending.login_url).await;
    pair.pc.find(By::Css("[name=holder_id]")).await.type_text("u-17").await;
    pair.pc.find(By::Text("スマートフォンで認証")).await.click().await;
    pair.pc.find(By::Css("summary")).await.click().await;
    let url = pair.pc.find(By::Css(".address")).await.text().await;
    pair.phone.go(&url).await;
    pair.phone.find(By::Text("心当たりがない")).await.click().await;
    pair.pc.find(By::Text("断りました")).await;
}
