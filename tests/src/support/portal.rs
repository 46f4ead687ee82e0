//! A holder's browser at the card listener: TLS 1.2 with a software card, one page, one form.

use super::http::Connection;
use super::http::Reply;
use super::http::tls_config;
use super::pki::Pair;
use rustls::version::TLS12;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the card listener is.
#[derive(Clone, Debug)]
pub struct Portal {
    pub address: SocketAddr,
    pub server_ca: PathBuf,
}

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

impl Portal {
    /// Connects, which is when the card signs.
    pub async fn browser(&self, card: Option<&Pair>) -> Browser {
        let config = tls_config(&self.server_ca, card, &TLS12);
        let connection = Connection::tls(self.address, config).await;
        Browser { connection: connection.expect("the card listener") }
    }

    /// Opens the link with `card` and approves: 303 is the answer when there is a return URL.
    pub async fn approve(&self, card: &Pair, login_path: &str, number: Option<&str>) -> Reply {
        let mut browser = self.browser(Some(card)).await;
        let page = browser.open(login_path).await;
        let Some(form_token) = page.form_token else { panic!("no form: {}", page.reply) };
        browser.confirm(login_path, &form_token, number, "approve").await
    }
}

impl Browser {
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

/// The code in the return URL of a confirmed sign-in.
pub fn code_of(reply: &Reply) -> String {
    let location = reply.header("location");
    let query = location.split_once('?').map_or("", |(_, query)| query);
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    code.unwrap_or_else(|| panic!("no code in {location:?}: {reply}")).to_owned()
}

/// The value of a hidden field.
pub fn field(html: &str, name: &str) -> Option<String> {
    let input = html.split("<input").find(|input| input.contains(&format!("name=\"{name}\"")))?;
    let value = input.split_once("value=\"")?.1;
    Some(value.split_once('"')?.0.to_owned())
}
