//! Answers: a body in one piece, or a problem (RFC 9457).

use crate::problem::Code;
use crate::problem::Problem;
use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::Full;
use serde::Serialize;

/// Every answer has its body in one piece.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A problem on its way out, with what only HTTP says.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    /// Methods that would be answered here.
    pub(crate) allow: Option<String>,
    /// The connection cannot go on: the peer and the front may not agree on where the next request begins.
    pub(crate) close: bool,
}

impl Refusal {
    pub(crate) fn closing(problem: Problem) -> Self {
        Self { problem, allow: None, close: true }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, allow: None, close: false }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Problem::new(code).into()
    }
}

/// `malformed_request` with what is wrong.
pub(crate) fn malformed(detail: impl Into<String>) -> Problem {
    Problem::with_detail(Code::MalformedRequest, detail)
}

/// A problem as it stands on the wire (RFC 9457 §3.1), with the appliance's own members.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ProblemDocument {
    /// `urn:inkan:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The public sentence, English.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Stable name of what is wrong: the member for programs.
    pub code: Code,
    /// What exactly was wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Leads to the log lines and the audit record.
    pub request_id: String,
    /// The public sentence in both languages, for people.
    pub text: ProblemText,
}

/// The public sentence in both languages.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ProblemText {
    /// Japanese.
    pub ja: &'static str,
    /// English.
    pub en: &'static str,
}

/// Renders a problem.
pub(crate) fn problem(refusal: &Refusal, request_id: &str) -> Answer {
    let Problem { code, detail, .. } = &refusal.problem;
    let document = ProblemDocument {
        kind: format!("urn:inkan:problem:{}", code.name()),
        title: code.title_en(),
        status: code.status(),
        code: *code,
        detail: detail.clone(),
        retryable: code.is_retryable(),
        request_id: request_id.to_owned(),
        text: ProblemText { ja: code.title_ja(), en: code.title_en() },
    };
    // Strings and numbers only: this cannot fail, and an empty body would still carry the status.
    let body = serde_json::to_vec(&document).unwrap_or_default();
    octets(status_of(*code), "application/problem+json", body)
}

/// Headers of a problem, in whatever form it is told.
pub(crate) fn add_headers(refusal: &Refusal, answer: &mut Answer) {
    let headers = answer.headers_mut();
    if let Some(allow) = refusal.allow.as_deref().and_then(|allow| allow.parse().ok()) {
        headers.insert(header::ALLOW, allow);
    }
    let Problem { code, retry_after_seconds, .. } = &refusal.problem;
    if let Some(seconds) = retry_after_seconds.or(default_retry(*code)) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// 200 with JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Answer, Refusal> {
    json_as(StatusCode::OK, value)
}

/// JSON with another status.
pub(crate) fn json_as<T: Serialize>(status: StatusCode, value: &T) -> Result<Answer, Refusal> {
    let body = serde_json::to_vec(value).map_err(|_| Problem::new(Code::Internal))?;
    Ok(octets(status, "application/json", body))
}

/// 204.
pub(crate) fn empty() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// Octets of a media type.
pub(crate) fn octets(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// Keeps `thing` until the answer's octets have been handed to the socket, or cannot be any more.
pub(crate) fn keeping<T: Send + 'static>(answer: Answer, thing: T) -> Answer {
    answer.map(|body| {
        let octets = body.into_inner().unwrap_or_default();
        Full::new(Bytes::from_owner(Kept { octets, _thing: thing }))
    })
}

struct Kept<T> {
    octets: Bytes,
    _thing: T,
}

impl<T> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

/// The octets of an answer that the codec does not write (RFC 9112 §4, §5).
pub(crate) fn as_http1(answer: Answer) -> Vec<u8> {
    let (head, body) = answer.into_parts();
    let body = body.into_inner().unwrap_or_default();
    let status = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", head.status, body.len());
    let mut octets = status.into_bytes();
    for (name, value) in &head.headers {
        octets.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    octets.extend([b"\r\n".as_slice(), &body].concat());
    octets
}

/// The status of a code.
pub(crate) fn status_of(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What is retryable says when: a second, unless the keeper knows better.
fn default_retry(code: Code) -> Option<u64> {
    code.is_retryable().then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn every_code_renders_with_both_languages_and_its_request_id() {
        for code in Code::ALL {
            let refusal = Refusal::from(Problem::with_detail(*code, "because"));
            let mut answer = problem(&refusal, "00ff");
            add_headers(&refusal, &mut answer);
            assert_eq!(answer.status().as_u16(), code.status());
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            assert_eq!(answer.headers().contains_key("retry-after"), code.is_retryable());
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["type"], format!("urn:inkan:problem:{}", code.name()));
            assert_eq!(body["code"], code.name());
            assert_eq!(body["status"], code.status());
            assert_eq!(body["title"], code.title_en());
            assert_eq!(body["detail"], "because");
            assert_eq!(body["retryable"], code.is_retryable());
            assert_eq!(body["request_id"], "00ff");
            assert_eq!(body["text"]["ja"], code.title_ja());
            assert_eq!(body["text"]["en"], code.title_en());
            assert!(!code.title_ja().is_empty() && !code.title_ja().is_ascii());
        }
    }
}
