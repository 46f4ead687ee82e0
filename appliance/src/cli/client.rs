//! The HTTP client of the admin API: mutual TLS 1.3, one request a command.

use crate::cli::args::Connection;
use crate::cli::error::CliError;
use crate::cli::error::Refusal;
use crate::config::Config;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::admin::Outcome;
use api::admin::request::AdminRequest;
use api::admin::request_of;
use api::admin::rest::PREFIX;
use api::error::with_sources;
use bytes::Bytes;
use http::Request;
use http::Uri;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an answer: making an RSA-4096 pair in a small token takes a minute.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Largest answer read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// An operator's connection to the appliance.
pub struct Client {
    url: String,
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// Makes a client out of flags, environment and configuration file; connects at the first request.
    ///
    /// # Errors
    /// [`CliError`] naming what is missing or cannot be used.
    pub fn new(connection: &Connection) -> Result<Self, CliError> {
        let url = admin_url(connection)?;
        let tls = tls(connection)?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1();
        let http = HyperClient::builder(TokioExecutor::new()).build(connector.build());
        Ok(Self { url, http })
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs one command.
    ///
    /// # Errors
    /// [`CliError::Refused`] with the appliance's reason; [`CliError::Unreachable`].
    pub async fn run(&self, command: &AdminCommand) -> Result<AdminAnswer, CliError> {
        let AdminRequest { method, target, body } = request_of(command);
        let uri: Uri = format!("{}{PREFIX}{target}", self.url)
            .parse()
            .map_err(|_| CliError::Wrong(format!("{target}: not an id that could be there")))?;
        let mut request =
            Request::builder().method(method).uri(uri).header(ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request =
            request.body(Full::from(body)).map_err(|error| self.answer(&error.to_string()))?;
        match tokio::time::timeout(TIMEOUT, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<AdminAnswer, CliError> {
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| self.unreachable(with_sources(&error)))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| self.answer(&error.to_string()))?.to_bytes();
        if status >= 400 {
            let refusal: Refusal = serde_json::from_slice(&body)
                .map_err(|_| self.answer(&format!("status {status} without a reason")))?;
            return Err(CliError::Refused(refusal));
        }
        let outcome = match status {
            200 => Outcome::Done,
            201 => Outcome::Created,
            202 => Outcome::Proposed,
            other => return Err(self.answer(&format!("status {other}"))),
        };
        let body =
            serde_json::from_slice(&body).map_err(|error| self.answer(&error.to_string()))?;
        Ok(AdminAnswer { outcome, body })
    }

    fn unreachable(&self, reason: String) -> CliError {
        CliError::Unreachable { url: self.url.clone(), reason }
    }

    fn answer(&self, reason: &str) -> CliError {
        CliError::Answer { url: self.url.clone(), reason: reason.to_owned() }
    }
}

/// `https://host:port` without a trailing slash.
fn admin_url(connection: &Connection) -> Result<String, CliError> {
    if let Some(url) = &connection.admin_url {
        let url = url.trim_end_matches('/');
        let parsed: Option<Uri> = url.parse().ok();
        return match parsed
            .is_some_and(|uri| uri.scheme_str() == Some("https") && uri.path() == "/")
        {
            true => Ok(url.to_owned()),
            false => Err(CliError::Wrong(format!("{url}: write https://host:port"))),
        };
    }
    let not_given = CliError::NotGiven {
        what: "the address of the appliance",
        how: "inkan --admin-url https://HOST:PORT ...   (or INKAN_ADMIN_URL, or --config FILE beside the appliance)",
    };
    let file = connection.config.as_deref().ok_or(not_given)?;
    let (config, _) = Config::load(file)?;
    let admin = config.listeners.admin.as_ref();
    let admin = admin
        .ok_or_else(|| CliError::Wrong(format!("{} has no admin listener", file.display())))?;
    let is_local = |name: &&String| *name == "localhost";
    let host = admin.host_names.iter().find(is_local).or_else(|| admin.host_names.first());
    Ok(format!("https://{}:{}", host.map_or("localhost", String::as_str), admin.address.port()))
}

fn tls(connection: &Connection) -> Result<ClientConfig, CliError> {
    let (cert, key) = (
        given(
            &connection.cert,
            "your operator certificate",
            "inkan --cert FILE ...   (or INKAN_ADMIN_CERT)",
        )?,
        given(
            &connection.key,
            "the key of your certificate",
            "inkan --key FILE ...   (or INKAN_ADMIN_KEY)",
        )?,
    );
    let server_ca = given(
        &connection.server_ca,
        "the CA of the appliance's certificate",
        "inkan --server-ca FILE ...   (or INKAN_SERVER_CA)",
    )?;
    let mut roots = RootCertStore::empty();
    for ca in certificates(server_ca)? {
        roots
            .add(ca)
            .map_err(|error| CliError::Wrong(format!("{}: {error}", server_ca.display())))?;
    }
    let (chain, private) = (certificates(cert)?, read(key)?);
    let private = PrivateKeyDer::from_pem_slice(&private)
        .map_err(|error| CliError::Identity(format!("{}: {error}", key.display())))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map(|builder| builder.with_root_certificates(roots))
        .and_then(|builder| builder.with_client_auth_cert(chain, private))
        .map_err(|error| CliError::Identity(error.to_string()))
}

fn given<'c>(
    file: &'c Option<PathBuf>,
    what: &'static str,
    how: &'static str,
) -> Result<&'c Path, CliError> {
    file.as_deref().ok_or(CliError::NotGiven { what, how })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let octets = read(path)?;
    let list = CertificateDer::pem_slice_iter(&octets).collect::<Result<Vec<_>, _>>();
    match list {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(CliError::Wrong(format!("{} holds no certificate in PEM", path.display()))),
        Err(error) => Err(CliError::Wrong(format!("{}: {error}", path.display()))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|source| CliError::File { path: path.to_owned(), source })
}
