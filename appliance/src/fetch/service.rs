//! A service that answers questions: one POST, one answer, within named limits.

use super::FetchError;
use super::broken;
use super::limited;
use api::ClientTls;
use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::StatusCode;
use http::Uri;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::ResponseFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Questions asked side by side: a provider sees no more of us at once, whatever happens here. The others wait their turn
/// within their time.
pub const MAX_QUESTIONS: usize = 8;
/// Tries of one question: what broke once, or was answered with "not now", is asked once more within the same time.
const TRIES: usize = 2;

/// What a service speaks.
#[derive(Clone, Copy, Debug)]
pub struct Media {
    /// Content type of a question.
    pub question: &'static str,
    /// Content type of an answer; another one is refused.
    pub answer: &'static str,
    /// Longest answer, octets.
    pub max_answer_bytes: usize,
}

/// A service that the configuration names.
pub struct Service {
    uri: Uri,
    media: Media,
    timeout: Duration,
    line: Line,
    places: Semaphore,
}

/// How it is reached.
enum Line {
    Plain(Box<Client<HttpConnector, Full<Bytes>>>),
    Tls(Box<TlsLine>),
}

struct TlsLine {
    tls: ClientTls,
    made: Mutex<Option<TlsClient>>,
}

/// A client and what it was made of, so that replaced files make another.
type TlsClient = (Arc<ClientConfig>, Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Service {
    /// The service at `uri`: over TLS where `tls` says by whom and to whom, else over plain HTTP, for answers that are
    /// signed.
    pub fn new(uri: Uri, media: Media, timeout: Duration, tls: Option<ClientTls>) -> Self {
        let line = match tls {
            Some(tls) => Line::Tls(Box::new(TlsLine { tls, made: Mutex::default() })),
            None => Line::Plain(Box::new(Client::builder(TokioExecutor::new()).build_http())),
        };
        Self { uri, media, timeout, line, places: Semaphore::new(MAX_QUESTIONS) }
    }

    /// Asks once, and once more where that may help.
    ///
    /// # Errors
    /// [`FetchError`]; redirects are not followed.
    pub(super) async fn ask(&self, question: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        let question = Bytes::from(question);
        let asked = async {
            let _place = self.places.acquire().await.map_err(|error| broken(&error))?;
            let mut answer = self.exchange(question.clone()).await;
            for _ in 1..TRIES {
                if !answer.as_ref().is_err_and(FetchError::may_pass) {
                    break;
                }
                answer = self.exchange(question.clone()).await;
            }
            answer
        };
        timeout(self.timeout, asked).await.unwrap_or(Err(FetchError::TimedOut(self.timeout)))
    }

    async fn exchange(&self, question: Bytes) -> Result<Vec<u8>, FetchError> {
        let request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, self.media.question)
            .header(ACCEPT, self.media.answer)
            .body(Full::new(question))
            .map_err(|error| broken(&error))?;
        let answer = self.send(request).await.map_err(|error| broken(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let came = answer.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let came = came.unwrap_or_default().split(|octet| *octet == b';').next();
        if !came.unwrap_or_default().trim_ascii().eq_ignore_ascii_case(self.media.answer.as_bytes())
        {
            return Err(FetchError::MediaType { wanted: self.media.answer });
        }
        limited(answer.into_body(), self.media.max_answer_bytes).await
    }

    fn send(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match &self.line {
            Line::Plain(client) => client.request(request),
            Line::Tls(line) => line.send(request),
        }
    }
}

impl TlsLine {
    fn send(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        let config = self.tls.config();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some((of, client)) if Arc::ptr_eq(of, &config) => client.request(request),
            _ => {
                let client = tls_client(&config);
                made.insert((config, client)).1.request(request)
            }
        }
    }
}

fn tls_client(config: &ClientConfig) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config.clone()).https_only().enable_http1();
    Client::builder(TokioExecutor::new()).build(connector.build())
}
