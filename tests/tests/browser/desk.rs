//! A signing system whose users come back to a page on loopback, and the browsers of its users.

use serde_json::json;
use std::net::Ipv4Addr;
use tests::support::admin;
use tests::support::browser;
use tests::support::browser::Browser;
use tests::support::browser::By;
use tests::support::browser::Wanted;
use tests::support::cms;
use tests::support::config::Settings;
use tests::support::ehr::Ehr;
use tests::support::ehr::Pending;
use tests::support::ehr::Sign;
use tests::support::pki::Validity;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

/// What the page that users come back to says.
pub const WELCOME_BACK: &str = "カルテに戻りました";

/// See the module.
pub struct Desk {
    pub world: &'static World,
    pub ehr: Ehr,
    pub return_url: String,
}

impl Desk {
    /// One of its own for each test; `name` must differ. Nothing where no browser can be had.
    pub async fn open(name: &str) -> Option<Self> {
        Self::open_with(name, &["hpki"]).await
    }

    /// With other methods than the card.
    pub async fn open_with(name: &str, methods: &[&str]) -> Option<Self> {
        static WORLD: OnceCell<World> = OnceCell::const_new();
        Self::open_in(&WORLD, wait_for_nothing, name, methods).await
    }

    /// In a house where browsers keep sign-ins, by both kinds of card.
    pub async fn open_where_kept(name: &str) -> Option<Self> {
        static WORLD: OnceCell<World> = OnceCell::const_new();
        Self::open_in(&WORLD, keep_sign_ins, name, &["hpki", "jpki"]).await
    }

    async fn open_in(
        world: &'static OnceCell<World>,
        tune: fn(&mut Settings),
        name: &str,
        methods: &[&str],
    ) -> Option<Self> {
        if let Some(reason) = browser::missing() {
            println!("skipped: {reason}");
            return None;
        }
        let plan = Plan { tune, ..Plan::default() };
        let world = world.get_or_init(|| Box::pin(World::new(plan))).await;
        Some(Self::in_world(world, name, methods).await)
    }

    /// In a world of one's own.
    pub async fn in_world(world: &'static World, name: &str, methods: &[&str]) -> Self {
        let identity = world.pki.clients.client(name, Validity::CURRENT);
        let return_url = serve_return_page().await;
        let system = json!({
            "system_id": name, "display_name": "電子カルテ", "certificates_pem": [identity.pem()],
            "return_urls": [return_url], "all_holders": true, "methods": methods,
        });
        admin::grant(world, "POST /systems", Some(&system)).await;
        Self { world, ehr: Ehr::new(world, &identity), return_url }
    }

    /// A sign-in of whoever comes.
    pub async fn ask_sign_in(&self) -> Pending {
        self.ehr.ask_sign_in_with(&json!({ "return_url": self.return_url })).await
    }

    /// A Japanese PC with the first doctor's card.
    pub fn doctor<'a>(&'a self, name: &'a str) -> Wanted<'a> {
        Wanted { card: Some(&self.world.pki.card), ..Wanted::new(name, &self.world.pki) }
    }

    /// The browser has come back: what it brought is good for a session, and the session for a signature.
    pub async fn sign_after_return(&self, browser: &Browser, pending: &Pending) {
        let url = browser.wait_for_url(&self.return_url).await;
        browser.find(By::Text(WELCOME_BACK)).await;
        let query = url.split_once('?').expect("a query").1;
        let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
        assert_eq!(of("state="), Some(pending.session_id.as_str()), "{url}");
        let code = of("code=").expect("a code");
        let active = self.ehr.activate(&pending.session_id, code).await.expect(200).json();
        let token = active["signing_token"].as_str().expect("a signing token");
        let sign = Sign { token, content: b"letter", ..Sign::default() };
        let signed = sign.send(&mut self.ehr.connect().await).await.expect(200);
        cms::assert_good(self.world, &signed.body, b"letter", true);
    }
}

/// New phones may be changed at once, and a revoked card is known at once: no test sleeps for a day.
fn wait_for_nothing(settings: &mut Settings) {
    settings.crl_refresh_seconds = 1;
    settings.more.push_str("[factors]\nwait_seconds = 0\n");
}

/// It stands below `[sessions]`.
fn keep_sign_ins(settings: &mut Settings) {
    settings.more.push_str("saved_sign_ins = true\n");
}

/// Answers every request on a port of its own, for as long as the test runs.
async fn serve_return_page() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let page = format!(
        "<!DOCTYPE html><html lang=ja><meta charset=utf-8><link rel=icon href=data:,>\
         <title>カルテ</title><p>{WELCOME_BACK}"
    );
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                // A GET without a body, in one segment.
                let mut head = [0; 8 * 1024];
                let _ = socket.read(&mut head).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    format!("http://{address}/back")
}
