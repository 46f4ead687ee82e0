//! One request and its answer: what happens around every route.

use crate::door::Door;
use crate::door::DoorTls;
use crate::door::Peer;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::body::RequestBody;
use crate::http::head;
use crate::http::query::Pairs;
use crate::http::query::Plus;
use crate::http::strict_json;
use crate::metrics::Refused;
use crate::net::counts::Share;
use crate::operations::Caller;
use crate::operations::Operations;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::messages;
use crate::problem::Code;
use crate::problem::Problem;
use crate::request_id::RequestId;
use crate::routes;
use crate::routes::Found;
use crate::routes::Listener;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Version;
use http::header;
use http::request::Parts;
use http_body_util::Full;
use hyper::body::Body as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::SemaphorePermit;
use tracing::Instrument;

/// A request on its way through a route.
pub(crate) struct Exchange<'a> {
    pub(crate) door: &'a Arc<Door>,
    pub(crate) peer: &'a Peer,
    pub(crate) request_id: RequestId,
    pub(crate) parts: Parts,
    pub(crate) body: RequestBody,
    /// The segment of the path that names something.
    pub(crate) name: Option<String>,
    /// Its place among the requests being worked on.
    permit: Option<SemaphorePermit<'a>>,
    /// Its place among those of the same client.
    share: Option<Share<'a>>,
}

/// Answers a request, whatever happens in it.
pub(crate) async fn answer(door: &Arc<Door>, peer: &Peer, request: Request<Incoming>) -> Answer {
    let started = Instant::now();
    let request_id = RequestId::random();
    let _in_flight = door.shared.metrics.request(door.kind);
    let (parts, body) = request.into_parts();
    let (version, is_head) = (parts.version, parts.method == Method::HEAD);
    let language = Language::choose(None, &parts.headers);
    let found = routes::find(door.kind, &parts.method, parts.uri.path());
    let route = found.as_ref().ok().map(|found| found.route);

    let body = RequestBody::new(body, &door.limits, awaits_continue(&parts));
    let work = serve(door, peer, request_id.clone(), parts, body, found);
    let span = tracing::info_span!("request", %request_id);
    let outcome = CatchPanic(Box::pin(work)).instrument(span).await;
    let (result, unread) = outcome.unwrap_or_else(|Panicked| {
        door.shared.metrics.panicked();
        tracing::error!(%request_id, route = route.map(routes::Route::name), "request panicked");
        (Err(Refusal::closing(Problem::new(Code::Internal))), None)
    });
    if let Some(body) = unread {
        door.shared.tasks.spawn(body.linger());
    }

    let mut answer =
        result.unwrap_or_else(|refusal| refused(door, route, &refusal, &request_id, language));
    let code = answer.extensions_mut().remove::<Code>();
    finish(door, &request_id, version, is_head, &mut answer);
    let took = started.elapsed();
    door.shared.metrics.answered(door.kind, route, code, took);
    log(door.kind, &request_id, route, code, &answer, took);
    answer
}

/// An answer to what never became a request: `bare` is the head that the codec would have sent, 4xx without a body.
pub(crate) fn unreadable(door: &Door, bare: &[u8]) -> Vec<u8> {
    let request_id = RequestId::random();
    let problem = match bare.get(9..12) {
        Some(b"414" | b"431") => Problem::new(Code::HeaderTooLarge),
        _ => answer::malformed("this is no HTTP/1.1 request"),
    };
    let code = problem.code;
    let refusal = Refusal::closing(problem);
    let mut answer = refused(door, None, &refusal, &request_id, Language::Japanese);
    finish(door, &request_id, Version::HTTP_11, false, &mut answer);
    let mut lines = bare.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    if let Some(date) = lines.find_map(|line| line.strip_prefix(b"date: "))
        && let Ok(date) = HeaderValue::from_bytes(date)
    {
        answer.headers_mut().insert(header::DATE, date);
    }
    door.shared.metrics.answered(door.kind, None, Some(code), Duration::ZERO);
    log(door.kind, &request_id, None, Some(code), &answer, Duration::ZERO);
    answer::as_http1(answer)
}

/// A problem: a page for browsers, a document for programs.
fn refused(
    door: &Door,
    route: Option<routes::Route>,
    refusal: &Refusal,
    request_id: &RequestId,
    language: Language,
) -> Answer {
    let is_for_script = route.is_some_and(routes::Route::is_for_script);
    let Problem { code, detail, .. } = &refusal.problem;
    let mut answer = match door.kind {
        Listener::Hpki | Listener::Jpki | Listener::Portal if !is_for_script => {
            let (request_id, listener) = (request_id.as_str(), door.kind);
            let context = Context { language, request_id, path: None, listener };
            let message = messages::problem(language, *code, detail.as_deref());
            pages::message(&context, &message, Some(*code))
        }
        _ => answer::problem(refusal, request_id.as_str()),
    };
    answer::add_headers(refusal, &mut answer);
    answer.extensions_mut().insert(*code);
    answer
}

/// Runs the route. Gives the body back when the peer may still be sending it.
async fn serve(
    door: &Arc<Door>,
    peer: &Peer,
    request_id: RequestId,
    parts: Parts,
    body: RequestBody,
    found: Result<Found, Refusal>,
) -> (Result<Answer, Refusal>, Option<RequestBody>) {
    let (name, permit, share) = (None, None, None);
    let mut exchange = Exchange { door, peer, request_id, parts, body, name, permit, share };
    let result = exchange.run(found).await;
    let unread = result.is_err() && exchange.body.is_unread();
    (result, unread.then_some(exchange.body))
}

impl Exchange<'_> {
    async fn run(&mut self, found: Result<Found, Refusal>) -> Result<Answer, Refusal> {
        head::check(self.door, self.peer, &self.parts)?;
        self.admit()?;
        let found = found?;
        self.name = found.name;
        routes::run(found.route, self).await
    }

    /// The limits of the listener, and the certificate as it is judged now.
    fn admit(&mut self) -> Result<(), Refusal> {
        let door = self.door;
        let crowded = |limit, wait| {
            door.shared.metrics.refused(door.kind, limit);
            Refusal::from(Problem::rate_limited(wait))
        };
        if door.shared.stop.is_cancelled() {
            return Err(Refusal::closing(stopping()));
        }
        if let DoorTls::Mutual(tls) = &door.tls
            && !self.peer.is_still_good(tls, door.judge_again)
        {
            return Err(Refusal::closing(Problem::new(Code::ClientUnknown)));
        }
        let client = match &self.peer.certificate {
            Some(certificate) => {
                let taken = door.shared.rates.take(&certificate.0, door.requests_per_second);
                taken.map_err(|wait| crowded(Refused::Rate, wait))?;
                certificate.0.clone()
            }
            None => self.peer.address.to_string(),
        };
        let share = door.clients.take(&client);
        self.share = Some(share.ok_or_else(|| crowded(Refused::Requests, A_SECOND))?);
        let permit = door.requests.try_acquire();
        self.permit = Some(permit.map_err(|_| crowded(Refused::Requests, A_SECOND))?);
        Ok(())
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> Result<Caller, Refusal> {
        let certificate =
            self.peer.certificate.clone().ok_or_else(|| Problem::new(Code::ClientUnknown))?;
        Ok(Caller { request_id: self.request_id.as_str().to_owned(), certificate })
    }

    pub(crate) fn operations(&self) -> &Arc<dyn Operations> {
        &self.door.shared.operations
    }

    /// What a question to the keeper needs that goes to its end: whom to ask, under which request id.
    pub(crate) fn asking(&self) -> (Arc<dyn Operations>, String) {
        (Arc::clone(self.operations()), self.request_id.as_str().to_owned())
    }

    /// The same about what the path names.
    pub(crate) fn to_ask(&self) -> Result<(Arc<dyn Operations>, String, String), Refusal> {
        let (operations, request_id) = self.asking();
        Ok((operations, request_id, self.name()?.to_owned()))
    }

    /// What the path names.
    pub(crate) fn name(&self) -> Result<&str, Refusal> {
        self.name.as_deref().ok_or_else(|| Code::NotFound.into())
    }

    /// The query, in which only `names` may occur.
    pub(crate) fn query<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<String>; N], Refusal> {
        Ok(Pairs::parse(self.parts.uri.query().unwrap_or_default(), names, Plus::Refused)?)
    }

    /// The only value of a header field.
    pub(crate) fn header(&self, name: &HeaderName) -> Result<Option<&str>, Refusal> {
        Ok(head::only(&self.parts.headers, name)?)
    }

    /// The body as JSON of at most `limit` octets.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self, limit: usize) -> Result<T, Refusal> {
        head::require_media_type(&self.parts.headers, "application/json")?;
        self.body.allow(limit as u64)?;
        let held = self.body.collect(self.door).await?;
        Ok(strict_json::parse(held.octets())?)
    }

    /// Leaves the requests being worked on and joins those that wait.
    pub(crate) fn wait_aside(&mut self) -> Result<SemaphorePermit<'_>, Refusal> {
        let waiting = self.door.waiting.try_acquire().map_err(|_| {
            self.door.shared.metrics.refused(self.door.kind, Refused::Requests);
            Problem::rate_limited(A_SECOND)
        })?;
        (self.permit, self.share) = (None, None);
        Ok(waiting)
    }

    /// Runs `work` to its end, even when the peer hangs up meanwhile: what a keeper has begun is not torn in two.
    pub(crate) async fn to_the_end<T, W>(&self, work: W) -> Result<T, Refusal>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        match self.door.shared.tasks.spawn(work.in_current_span()).await {
            Ok(result) => Ok(result?),
            Err(_) => {
                self.door.shared.metrics.panicked();
                tracing::error!("work for a request panicked");
                Err(Code::Internal.into())
            }
        }
    }
}

/// What is said while the front stops.
pub(crate) fn stopping() -> Problem {
    Problem::with_detail(Code::NotOperational, "the appliance is stopping").retry_after(A_SECOND)
}

fn awaits_continue(parts: &Parts) -> bool {
    parts.version == Version::HTTP_11
        && parts
            .headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Headers of every answer.
fn finish(
    door: &Door,
    request_id: &RequestId,
    version: Version,
    is_head: bool,
    answer: &mut Answer,
) {
    if is_head {
        let length = answer.body().size_hint().exact().unwrap_or_default();
        *answer.body_mut() = Full::default();
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let headers = answer.headers_mut();
    if let Ok(request_id) = HeaderValue::from_str(request_id.as_str()) {
        headers.insert(&REQUEST_ID, request_id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !matches!(door.tls, DoorTls::Plain) {
        let a_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, a_year);
    }
    if version == Version::HTTP_2 {
        headers.remove(header::CONNECTION);
    }
}

fn log(
    listener: Listener,
    request_id: &RequestId,
    route: Option<routes::Route>,
    code: Option<Code>,
    answer: &Answer,
    took: Duration,
) {
    tracing::info!(
        %request_id,
        listener = listener.name(),
        route = route.map_or("none", routes::Route::name),
        status = answer.status().as_u16(),
        code = code.map(Code::name),
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "answered"
    );
}

/// A panic stays inside its request.
struct CatchPanic<F>(Pin<Box<F>>);

/// The request panicked; the panic hook has said where.
struct Panicked;

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let work = self.0.as_mut();
        // What the request shared with others is behind locks that hold whole values only; the request itself is gone.
        match std::panic::catch_unwind(AssertUnwindSafe(|| work.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

const A_SECOND: Duration = Duration::from_secs(1);
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
