//! A holder's browser at the card listener: TLS 1.2 with a software card, one page, one form.

use super::http::Connection;
use super::http::Reply;
use super::http::tls_config;
use super::pki::Pair;
use super::world::World;
use rustls::version::TLS12;

/// One browser with its card in the reader, or without one.
pub struct Browser {
    connection: Connection,
}

/// The page behind a login link.
#[derive(Debug)]
pub struct Page {
    pub reply: Reply,
    /// The hidden field of its form, if there is a form.
    pub form_token: Option<String>,
}

impl Browser {
    /// Connects, which is when the card signs.
    pub async fn with_card(world: &World, card: Option<&Pair>) -> Self {
        let config = tls_config(&world.pki.servers.pem, card, &TLS12);
        let connection = Connection::tls(world.ports.hpki, config).await;
        Self { connection: connection.expect("the card listener") }
    }

    /// Opens a login link, English pages.
    pub async fn open(&mut self, login_path: &str) -> Page {
        let reply = self.connection.get(&format!("{login_path}?lang=en")).await;
        let form_token = field(&reply.text(), "form_token");
        Page { reply, form_token }
    }

    /// Sends the form. The listener closes the connection after it.
    pub async fn confirm(
        &mut self,
        login_path: &str,
        form_token: &str,
        number: Option<&str>,
        decision: &str,
    ) -> Reply {
        let number = number.map(|number| format!("&number={number}")).unwrap_or_default();
        let form = format!("form_token={form_token}&decision={decision}{number}");
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.connection.ask(&format!("POST {login_path}"), headers, form.as_bytes()).await
    }
}

/// Opens the link with `card`, approves, and gives the answer to the form: 303 when there is a return URL.
pub async fn approve(world: &World, card: &Pair, login_path: &str, number: Option<&str>) -> Reply {
    let mut browser = Browser::with_card(world, Some(card)).await;
    let page = browser.open(login_path).await;
    let Some(form_token) = page.form_token else { panic!("no form: {}", page.reply) };
    browser.confirm(login_path, &form_token, number, "approve").await
}

/// The code in the return URL of a confirmed sign-in.
pub fn code_of(reply: &Reply) -> String {
    let location = reply.header("location");
    let query = location.split_once('?').map_or("", |(_, query)| query);
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    code.unwrap_or_else(|| panic!("no code in {location:?}: {reply}")).to_owned()
}

/// The value of a hidden field.
fn field(html: &str, name: &str) -> Option<String> {
    let input = html.split("<input").find(|input| input.contains(&format!("name=\"{name}\"")))?;
    let value = input.split_once("value=\"")?.1;
    Some(value.split_once('"')?.0.to_owned())
}
