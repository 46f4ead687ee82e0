//! `POST /v1/sign`: the document is streamed, digested and forgotten; the keeper signs the digest.

use super::exchange::Exchange;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::http::body::Held;
use crate::http::body::crowded;
use crate::http::content_digest::ContentDigest;
use crate::http::content_digest::Digesting;
use crate::http::content_digest::Digests;
use crate::http::head;
use crate::http::label;
use crate::metrics::Stage;
use crate::operations::Admitted;
use crate::operations::SignHead;
use crate::operations::Signed;
use crate::problem::Code;
use crate::problem::Problem;
use crate::wire::Level;
use crate::wire::Packaging;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use std::sync::Arc;
use std::time::Instant;

/// Octets of a signing token, an idempotency key or a credential id.
pub(crate) const NAME_BYTES: usize = 255;
/// Octets of a signature with its certificates, generously.
const SIGNATURE_ROOM: usize = 64 * 1024;
/// Octets that take more than a moment to digest.
const LARGE: usize = 512 * 1024;

pub(crate) async fn sign(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    // Step 1: everything the head says.
    let caller = exchange.caller()?;
    let compared = match exchange.header(&CONTENT_DIGEST)? {
        Some(value) => ContentDigest::parse(value)?,
        None => ContentDigest::default(),
    };
    let head = sign_head(exchange, &compared)?;
    refuse_envelope(&exchange.parts.headers)?;
    let documents = &exchange.door.documents;
    exchange.body.allow(match head.packaging {
        Packaging::Detached => documents.detached_bytes,
        Packaging::Attached => documents.attached_bytes,
    })?;

    // Step 2: the gate, before any octet of the body.
    let started = Instant::now();
    let operations = Arc::clone(exchange.operations());
    let admitted = operations.admit(&caller, &head).await?;
    let started = exchange.measured(Stage::Admit, started);

    // Step 3: the body, digested as it comes.
    let packaging = head.packaging;
    let (digests, held) = read(exchange, &admitted, &compared, packaging).await?;
    compared.check(&digests)?;
    let digest = digests.get(admitted.content_digest_alg).ok_or(Code::Internal)?.to_vec();
    let started = exchange.measured(Stage::Body, started);

    // Step 4: the signature, and its record.
    let release = exchange.door.shared.releases.begin();
    let work = async move { operations.sign(&caller, head, digest).await };
    let signed = exchange.to_the_end(work).await?;
    exchange.measured(Stage::Sign, started);
    Ok(answer::keeping(answer_with(signed, held).await?, release))
}

async fn read(
    exchange: &mut Exchange<'_>,
    admitted: &Admitted,
    compared: &ContentDigest,
    packaging: Packaging,
) -> Result<(Digests, Option<Held>), Refusal> {
    let door = exchange.door;
    let mut digesting = Digesting::new(admitted.content_digest_alg, compared);
    let mut held = match packaging {
        Packaging::Detached => None,
        Packaging::Attached => Some(exchange.body.hold(door)?),
    };
    while let Some(piece) = exchange.body.next().await? {
        digesting.update(&piece);
        if let Some(held) = &mut held {
            held.push(&piece).map_err(|problem| crowded(door, problem))?;
        }
    }
    if let Some(held) = &mut held {
        // The content stands in the answer once more.
        let again = held.octets().len().saturating_add(SIGNATURE_ROOM);
        held.reserve(again).map_err(|problem| crowded(door, problem))?;
    }
    Ok((digesting.finish(), held))
}

async fn answer_with(signed: Signed, held: Option<Held>) -> Result<Answer, Refusal> {
    let (media_type, cms_der) = match held {
        None => ("application/pkcs7-signature", Bytes::from(signed.cms_der)),
        Some(held) => {
            let media_type = "application/pkcs7-mime; smime-type=signed-data";
            (media_type, attach(signed.cms_der, held).await?)
        }
    };
    let mut answer = answer::octets(StatusCode::OK, media_type, cms_der);
    let headers = answer.headers_mut();
    let receipt = HeaderValue::from_str(&signed.receipt).map_err(|_| Code::Internal)?;
    headers.insert(&SIGNATURE_RECEIPT, receipt);
    headers.insert(
        &SIGNING_SESSION_REMAINING,
        remaining(signed.remaining_signatures, signed.remaining_seconds)?,
    );
    Ok(answer)
}

/// Puts the content into its signature. That takes a digest and a copy of it, so a large one goes to another thread.
async fn attach(cms_der: Vec<u8>, held: Held) -> Result<Bytes, Refusal> {
    let is_large = held.octets().len() >= LARGE;
    let work = move || match cades::attach(&cms_der, held.octets()) {
        Ok(attached) => Ok(held.replaced_by(attached)),
        Err(error) => {
            tracing::error!(%error, "content cannot be put into its signature");
            Err(Refusal::from(Code::Internal))
        }
    };
    if !is_large {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::from(Code::Internal))?
}

/// The value of `Signing-Session-Remaining`, a dictionary of RFC 8941.
pub(super) fn remaining(signatures: u64, seconds: u64) -> Result<HeaderValue, Refusal> {
    let value = format!("signatures={signatures}, seconds={seconds}");
    HeaderValue::try_from(value).map_err(|_| Code::Internal.into())
}

fn sign_head(exchange: &Exchange<'_>, compared: &ContentDigest) -> Result<SignHead, Refusal> {
    let [level, packaging, credential] = exchange.query(["level", "packaging", "credential"])?;
    let packaging = match packaging.as_deref() {
        None | Some("detached") => Packaging::Detached,
        Some("attached") => Packaging::Attached,
        Some(_) => return Err(malformed("packaging: detached or attached").into()),
    };
    let credential = credential.map(credential_id).transpose()?;
    let label = head::only_octets(&exchange.parts.headers, &DOCUMENT_LABEL)?;
    Ok(SignHead {
        signing_token: signing_token(exchange)?,
        level: level_of(level.as_deref())?,
        packaging,
        credential,
        idempotency_key: idempotency_key(exchange)?,
        label: label.map(label::parse).transpose()?.flatten(),
        announced: compared.announced().to_vec(),
    })
}

/// The level asked for; the basic one when none is.
///
/// # Errors
/// `unsupported_level`
pub(super) fn level_of(name: Option<&str>) -> Result<Level, Problem> {
    match name {
        None | Some("B-B") => Ok(Level::BaselineB),
        Some(_) => Err(Code::UnsupportedLevel.into()),
    }
}

/// The value of `Signing-Session`.
pub(super) fn signing_token(exchange: &Exchange<'_>) -> Result<String, Refusal> {
    match exchange.header(&SIGNING_SESSION)? {
        Some(token) if (1..=NAME_BYTES).contains(&token.len()) => Ok(token.to_owned()),
        Some(_) => Err(Code::SessionUnknown.into()),
        None => Err(malformed("no Signing-Session header").into()),
    }
}

/// The value of `Idempotency-Key`.
pub(super) fn idempotency_key(exchange: &Exchange<'_>) -> Result<Option<String>, Refusal> {
    match exchange.header(&IDEMPOTENCY_KEY)? {
        Some(key) if !(1..=NAME_BYTES).contains(&key.len()) => {
            Err(malformed(format!("Idempotency-Key: 1 to {NAME_BYTES} characters")).into())
        }
        key => Ok(key.map(str::to_owned)),
    }
}

/// # Errors
/// `credential_unknown` for what can be no credential's id.
pub(super) fn credential_id(id: String) -> Result<String, Problem> {
    let is_id = (1..=NAME_BYTES).contains(&id.len())
        && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet));
    if is_id { Ok(id) } else { Err(Problem::new(Code::CredentialUnknown)) }
}

/// A coded body or a form would be signed with its wrapping, which nobody means.
fn refuse_envelope(headers: &HeaderMap) -> Result<(), Problem> {
    head::refuse_coding(headers)?;
    let kind = head::only(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    if kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        let detail = "send the document itself as the body, not a form (curl: --data-binary @file)";
        return Err(Problem::with_detail(Code::UnsupportedMediaType, detail));
    }
    Ok(())
}

impl Exchange<'_> {
    fn measured(&self, stage: Stage, started: Instant) -> Instant {
        let now = Instant::now();
        self.door.shared.metrics.stage(stage, now.duration_since(started));
        now
    }
}

static CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
static DOCUMENT_LABEL: HeaderName = HeaderName::from_static("document-label");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static SIGNATURE_RECEIPT: HeaderName = HeaderName::from_static("signature-receipt");
static SIGNING_SESSION: HeaderName = HeaderName::from_static("signing-session");
pub(super) static SIGNING_SESSION_REMAINING: HeaderName =
    HeaderName::from_static("signing-session-remaining");
