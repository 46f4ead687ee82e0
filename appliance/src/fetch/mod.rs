//! Fetching from outside, by target id and never by URL: targets come from configuration, nothing a certificate says is followed.

mod service;

pub use service::MAX_QUESTIONS;
pub use service::Media;
pub use service::Service;

use crate::config::CrlSource;
use api::error::with_sources;
use bytes::Bytes;
use http::Uri;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Largest revocation list taken in: national lists are below 5 MB.
pub const MAX_CRL_BYTES: usize = 16 * 1024 * 1024;
/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No such target in the configuration.
    #[error("no target named {0} is configured")]
    UnknownTarget(String),
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Larger than allowed.
    #[error("the answer is larger than {0} octets")]
    TooLarge(usize),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Another status than 200.
    #[error("the server answered {0}")]
    Status(u16),
    /// Another kind of answer than the one asked for.
    #[error("the answer is not of the type {wanted}")]
    MediaType {
        /// Asked for.
        wanted: &'static str,
    },
    /// The exchange broke.
    #[error("the exchange failed: {0}")]
    Exchange(String),
}

impl FetchError {
    /// Whether the same question may be answered another time: the server, or the way to it, is out of order.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Exchange(_) => true,
            Self::Status(status) => matches!(status, 408 | 429 | 500..=599),
            Self::UnknownTarget(_)
            | Self::File { .. }
            | Self::TooLarge(_)
            | Self::MediaType { .. } => false,
        }
    }
}

/// Fetches what the configuration names.
pub struct Fetcher {
    targets: BTreeMap<String, CrlSource>,
    services: BTreeMap<String, Service>,
    client: Client<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
}

impl Fetcher {
    /// A fetcher for these targets and no others.
    pub fn new(targets: BTreeMap<String, CrlSource>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(FETCH_TIMEOUT));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { targets, services: BTreeMap::new(), client, timeout: FETCH_TIMEOUT }
    }

    /// The same, and a service that answers questions.
    pub fn with_service(mut self, target_id: &str, service: Service) -> Self {
        self.services.insert(target_id.to_owned(), service);
        self
    }

    /// Ids of every target.
    pub fn target_ids(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// A revocation list, at most [`MAX_CRL_BYTES`], DER (or PEM, turned into DER).
    ///
    /// # Errors
    /// [`FetchError`]; redirects are not followed.
    pub async fn crl(&self, target_id: &str) -> Result<Vec<u8>, FetchError> {
        let target = self
            .targets
            .get(target_id)
            .ok_or_else(|| FetchError::UnknownTarget(target_id.to_owned()))?;
        let octets = async {
            match target {
                CrlSource::File(path) => read_file(path.clone()).await,
                CrlSource::Http(uri) => self.get(uri.clone()).await,
            }
        };
        // A file, too, may never come: a pipe, or a share whose server is gone.
        match tokio::time::timeout(self.timeout, octets).await {
            Ok(octets) => octets.map(der_of),
            Err(_) => Err(FetchError::TimedOut(self.timeout)),
        }
    }

    /// What a service says to `question`, within the limits that it was configured with.
    ///
    /// # Errors
    /// [`FetchError`]; redirects are not followed.
    pub async fn ask(&self, target_id: &str, question: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        let service = self.services.get(target_id);
        service.ok_or_else(|| FetchError::UnknownTarget(target_id.to_owned()))?.ask(question).await
    }

    async fn get(&self, uri: Uri) -> Result<Vec<u8>, FetchError> {
        let answer = self.client.get(uri).await.map_err(|error| broken(&error))?;
        if answer.status() != http::StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        limited(answer.into_body(), MAX_CRL_BYTES).await
    }
}

/// At most `limit` octets of a body.
async fn limited<B>(body: B, limit: usize) -> Result<Vec<u8>, FetchError>
where
    B: BodyExt<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = Limited::new(body, limit).collect().await;
    let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
        true => FetchError::TooLarge(limit),
        false => broken(&*error),
    })?;
    Ok(body.to_bytes().to_vec())
}

fn broken(error: &dyn std::error::Error) -> FetchError {
    FetchError::Exchange(with_sources(error))
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, FetchError> {
    let failed = |source| FetchError::File { path: path.clone(), source };
    let length = tokio::fs::metadata(&path).await.map_err(failed)?.len();
    if length > MAX_CRL_BYTES as u64 {
        return Err(FetchError::TooLarge(MAX_CRL_BYTES));
    }
    tokio::fs::read(&path).await.map_err(failed)
}

/// PEM is turned into DER; what is neither is left to the parser to refuse.
fn der_of(octets: Vec<u8>) -> Vec<u8> {
    match std::str::from_utf8(&octets)
        .ok()
        .and_then(|text| der::pem::decode_vec(text.as_bytes()).ok())
    {
        Some((_, der)) => der,
        None => octets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn c9_list_in_a_file_that_never_comes_holds_up_the_watch_for_a_while_only() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("list.crl");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let targets = [("list".to_owned(), CrlSource::File(pipe.clone()))].into();
        let fetcher = Fetcher { timeout: Duration::from_millis(50), ..Fetcher::new(targets) };
        let fetched = tokio::time::timeout(Duration::from_secs(5), fetcher.crl("list")).await;
        // The reader that still waits for the pipe is let go, so that this test can end.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
        assert!(matches!(fetched, Ok(Err(FetchError::TimedOut(_)))), "{fetched:?}");
    }
}
