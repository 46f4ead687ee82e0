//! One WebDriver session: commands are JSON over HTTP to a `chromedriver` on loopback.
//!
//! Source: W3C WebDriver 2, §6 (protocol), §8 (sessions).

use crate::support::http::Connection;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;

/// See the module.
#[derive(Debug)]
pub(super) struct Driver {
    address: SocketAddr,
    /// `/session/<id>`.
    session: String,
}

/// A command that was understood and could not be done.
#[derive(Debug)]
pub(super) struct Failure {
    /// The standard's word (§6.6): `no such element`.
    pub(super) error: String,
    message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.error, self.message)
    }
}

impl Driver {
    /// A new session with a browser of its own.
    pub(super) async fn open(address: SocketAddr, capabilities: &Value) -> Self {
        let mut driver = Self { address, session: "/session".to_owned() };
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let opened = driver.post("", &wanted).await;
        let id = opened["sessionId"].as_str().expect("a session id");
        driver.session = format!("/session/{id}");
        driver
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.must("GET", path, None).await
    }

    pub(super) async fn post(&self, path: &str, parameters: &Value) -> Value {
        self.must("POST", path, Some(parameters)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Value {
        self.must("DELETE", path, None).await
    }

    async fn must(&self, method: &str, path: &str, parameters: Option<&Value>) -> Value {
        let answer = self.command(method, path, parameters).await;
        answer.unwrap_or_else(|failure| panic!("{method} {path} {parameters:?}: {failure}"))
    }

    /// The `value` of the answer.
    pub(super) async fn command(
        &self,
        method: &str,
        path: &str,
        parameters: Option<&Value>,
    ) -> Result<Value, Failure> {
        // On the heap: a test has many steps, each of which holds a command, and its stack is small.
        Box::pin(async move {
            let body = parameters.map(Value::to_string).unwrap_or_default();
            let line = format!("{method} {}{path}", self.session);
            let mut connection = Connection::plain(self.address).await.expect("the chromedriver");
            let headers = "Content-Type: application/json\r\nConnection: close\r\n";
            let reply = connection.ask(&line, headers, body.as_bytes()).await;
            let value = reply.json()["value"].take();
            match reply.status {
                200 => Ok(value),
                _ => Err(Failure {
                    error: value["error"].as_str().unwrap_or_default().to_owned(),
                    message: value["message"].as_str().unwrap_or_default().to_owned(),
                }),
            }
        })
        .await
    }
}
