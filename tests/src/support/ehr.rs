//! A signing system: the native door over mutual TLS.

use super::http::Connection;
use super::http::Reply;
use super::http::tls_config;
use super::pki::Pair;
use super::portal::Portal;
use super::portal::code_of;
use super::world::RETURN_URL;
use super::world::World;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use rustls::version::TLS13;
use serde_json::Value;
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// One signing system with its client certificate.
#[derive(Clone)]
pub struct Ehr {
    signing: SocketAddr,
    portal: Portal,
    config: Arc<ClientConfig>,
}

/// A sign-in that waits for its holder.
#[derive(Clone, Debug)]
pub struct Pending {
    pub session_id: String,
    /// What the holder's browser opens.
    pub login_url: String,
    /// The same without the host.
    pub login_path: String,
    pub number: Option<String>,
}

/// An active session.
#[derive(Clone, Debug)]
pub struct Session {
    pub session_id: String,
    pub token: String,
    pub answer: Value,
}

impl Ehr {
    pub fn new(world: &World, identity: &Pair) -> Self {
        let config = tls_config(&world.pki.servers.pem, Some(identity), &TLS13);
        Self { signing: world.ports.signing, portal: world.portal(), config }
    }

    /// A new connection to the signing listener.
    ///
    /// # Errors
    /// The connection or its handshake failed.
    pub async fn try_connect(&self) -> io::Result<Connection> {
        Connection::tls(self.signing, self.config.clone()).await
    }

    pub async fn connect(&self) -> Connection {
        self.try_connect().await.expect("the signing listener")
    }

    /// Asks for a sign-in that comes back by the browser.
    pub async fn ask_sign_in(&self, holder: Option<&str>) -> Pending {
        self.ask_sign_in_with(&json!({ "holder": holder, "return_url": RETURN_URL })).await
    }

    pub async fn ask_sign_in_with(&self, wanted: &Value) -> Pending {
        let reply = self.connect().await.post_json("/v1/sessions", wanted).await.expect(201);
        let answer = reply.json();
        let login_url = answer["login_url"].as_str().expect("a login URL");
        let (_, path) = login_url.split_once("/login/").expect("a login link");
        Pending {
            session_id: answer["session_id"].as_str().expect("a session id").to_owned(),
            login_path: format!("/login/{path}"),
            login_url: login_url.to_owned(),
            number: answer["number"].as_str().map(str::to_owned),
        }
    }

    pub async fn activate(&self, session_id: &str, code: &str) -> Reply {
        let path = format!("/v1/sessions/{session_id}/activate");
        self.connect().await.post_json(&path, &json!({ "code": code })).await
    }

    /// The whole way: sign-in asked for, confirmed with `card`, activated.
    pub async fn sign_in(&self, card: &Pair) -> Session {
        self.sign_in_with(card, &json!({ "return_url": RETURN_URL })).await
    }

    pub async fn sign_in_with(&self, card: &Pair, wanted: &Value) -> Session {
        let pending = self.ask_sign_in_with(wanted).await;
        let confirmed = self.portal.approve(card, &pending.login_path, None).await.expect(303);
        let reply = self.activate(&pending.session_id, &code_of(&confirmed)).await.expect(200);
        let answer = reply.json();
        let token = answer["signing_token"].as_str().expect("a signing token").to_owned();
        Session { session_id: pending.session_id, token, answer }
    }

    pub async fn view(&self, session_id: &str) -> Value {
        self.connect().await.get(&format!("/v1/sessions/{session_id}")).await.expect(200).json()
    }

    pub async fn state(&self, session_id: &str) -> String {
        self.view(session_id).await["state"].as_str().expect("a state").to_owned()
    }

    pub async fn log_out(&self, session_id: &str) -> Reply {
        self.connect().await.ask(&format!("DELETE /v1/sessions/{session_id}"), "", b"").await
    }
}

/// `POST /v1/sign`, said in parts.
#[derive(Clone, Debug, Default)]
pub struct Sign<'a> {
    pub token: &'a str,
    pub credential: Option<&'a str>,
    pub attached: bool,
    pub idempotency_key: Option<&'a str>,
    /// More header lines, each with its end.
    pub headers: String,
    pub content: &'a [u8],
}

impl Sign<'_> {
    pub fn line(&self) -> String {
        let packaging = if self.attached { "attached" } else { "detached" };
        let credential = self.credential.map(|id| format!("&credential={id}")).unwrap_or_default();
        format!("POST /v1/sign?level=B-B&packaging={packaging}{credential}")
    }

    pub fn head(&self) -> String {
        let key = self.idempotency_key;
        let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
        format!("Signing-Session: {}\r\n{key}{}", self.token, self.headers)
    }

    pub async fn send(&self, connection: &mut Connection) -> Reply {
        connection.ask(&self.line(), &self.head(), self.content).await
    }

    /// # Errors
    /// The connection failed before the answer was complete.
    pub async fn try_send(&self, connection: &mut Connection) -> io::Result<Reply> {
        connection.try_ask(&self.line(), &self.head(), self.content).await
    }
}

/// `POST /v1/sign/digest`.
pub async fn sign_digests(connection: &mut Connection, token: &str, body: &Value) -> Reply {
    let head = format!("Signing-Session: {token}\r\nContent-Type: application/json\r\n");
    connection.ask("POST /v1/sign/digest", &head, body.to_string().as_bytes()).await
}

/// A `Content-Digest` header line (RFC 9530), SHA-256.
pub fn content_digest(content: &[u8]) -> String {
    format!("Content-Digest: sha-256=:{}:\r\n", sha256_b64(content))
}

/// base64 of the SHA-256 digest.
pub fn sha256_b64(content: &[u8]) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, content))
}

/// What `purpose: once` asks for.
pub fn once(holder: &str, entries: &[Value]) -> Value {
    json!({ "holder": holder, "return_url": RETURN_URL, "purpose": "once", "entries": entries })
}

/// One entry of it, SHA-256.
pub fn entry(kind: &str, credential: &str, octets: &[u8], label: &str) -> Value {
    let value = sha256_b64(octets);
    json!({
        "kind": kind, "alg": "sha-256", "value": value, "credential": credential, "label": label,
    })
}
