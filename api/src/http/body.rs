//! Reading request bodies within limits: size, pauses, rate, memory.

use crate::config::Limits;
use crate::door::Door;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::metrics::Refused;
use crate::problem::Code;
use crate::problem::Problem;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Octets of one unit of the memory that bodies may take.
pub(crate) const UNIT: usize = 4 * 1024;

/// What is still read of a body whose request was refused, so that the peer can read the answer.
const LINGER_BYTES: u64 = 64 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(10);

/// The body of a request, read under a clock.
pub(crate) struct RequestBody {
    body: Incoming,
    pause: Duration,
    bytes_per_second: u64,
    limit: u64,
    received: u64,
    started: Option<Instant>,
    awaits_continue: bool,
}

impl RequestBody {
    /// `awaits_continue`: the peer sends nothing before `100 Continue`, which reading causes.
    pub(crate) fn new(body: Incoming, limits: &Limits, awaits_continue: bool) -> Self {
        Self {
            body,
            pause: Duration::from_secs(limits.body_pause_seconds),
            bytes_per_second: limits.body_bytes_per_second.max(1),
            limit: 0,
            received: 0,
            started: None,
            awaits_continue,
        }
    }

    /// Sets how much is read at most, and refuses a body that says it is longer.
    pub(crate) fn allow(&mut self, limit: u64) -> Result<(), Problem> {
        self.limit = limit;
        if self.body.size_hint().lower() > limit {
            return Err(too_large(limit));
        }
        Ok(())
    }

    /// The next piece; `None` at the end of a whole body.
    ///
    /// # Errors
    /// `body_too_large`, `request_timeout`, or `malformed_request` for a body that broke off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let started = *self.started.get_or_insert_with(Instant::now);
            let frame = match timeout(self.patience(started), self.body.frame()).await {
                Ok(Some(frame)) => frame.map_err(|_| broke_off())?,
                Ok(None) => return Ok(None),
                Err(_) => return Err(Refusal::closing(Problem::new(Code::RequestTimeout))),
            };
            let Ok(piece) = frame.into_data() else { continue };
            self.received = self.received.saturating_add(piece.len() as u64);
            if self.received > self.limit {
                return Err(too_large(self.limit).into());
            }
            return Ok(Some(piece));
        }
    }

    /// The whole body in memory, and its share of the listener's memory for as long as it is kept.
    pub(crate) async fn collect(&mut self, door: &Door) -> Result<Held, Refusal> {
        let mut held = self.hold(door)?;
        while let Some(piece) = self.next().await? {
            held.push(&piece).map_err(|problem| crowded(door, problem))?;
        }
        Ok(held)
    }

    /// A share of the listener's memory for what is announced.
    pub(crate) fn hold(&self, door: &Door) -> Result<Held, Refusal> {
        let expected = self.body.size_hint().exact().unwrap_or(0).min(self.limit);
        Held::new(&door.buffered, expected).map_err(|problem| crowded(door, problem))
    }

    /// Reads on for a while, so that a peer that is still sending gets to read why it was refused.
    pub(crate) async fn linger(mut self) {
        self.limit = self.received.saturating_add(LINGER_BYTES);
        let _ = timeout(LINGER, async { while let Ok(Some(_)) = self.next().await {} }).await;
    }

    /// Whether octets may still come that were not read.
    pub(crate) fn is_unread(&self) -> bool {
        !self.awaits_continue_in_vain() && !self.body.is_end_stream()
    }

    fn awaits_continue_in_vain(&self) -> bool {
        self.awaits_continue && self.started.is_none()
    }

    /// How long the next piece may take: a pause at most, and on the whole not below the rate.
    fn patience(&self, started: Instant) -> Duration {
        let earned = Duration::from_secs(self.received / self.bytes_per_second);
        let left = self.pause.saturating_add(earned).saturating_sub(started.elapsed());
        left.min(self.pause)
    }
}

/// Octets held in memory, counted.
pub(crate) struct Held {
    octets: Vec<u8>,
    buffered: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Held {
    fn new(buffered: &Arc<Semaphore>, expected: u64) -> Result<Self, Problem> {
        let mut held =
            Self { octets: Vec::new(), buffered: Arc::clone(buffered), permit: None, units: 0 };
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        held.reserve(expected)?;
        // What is announced may never come: space is taken as it comes, beyond the size of common documents.
        held.octets.reserve_exact(expected.min(256 * 1024));
        Ok(held)
    }

    /// The octets.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Puts other octets in their place, on the same share of the memory.
    pub(crate) fn replaced_by(mut self, octets: Vec<u8>) -> Bytes {
        self.octets = octets;
        Bytes::from_owner(self)
    }

    /// Makes room for `more` octets in the listener's memory.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), Problem> {
        let wanted = self.octets.len().saturating_add(more).div_ceil(UNIT);
        let missing = wanted.saturating_sub(self.units);
        if missing == 0 {
            return Ok(());
        }
        let busy = || Problem::rate_limited(Duration::from_secs(1));
        let count = u32::try_from(missing).map_err(|_| busy())?;
        let more = Arc::clone(&self.buffered).try_acquire_many_owned(count).map_err(|_| busy())?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        self.units = wanted;
        Ok(())
    }

    /// Adds octets.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Problem> {
        self.reserve(piece.len())?;
        self.octets.extend_from_slice(piece);
        Ok(())
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

pub(crate) fn crowded(door: &Door, problem: Problem) -> Refusal {
    door.shared.metrics.refused(door.kind, Refused::Memory);
    problem.into()
}

fn too_large(limit: u64) -> Problem {
    Problem::with_detail(Code::BodyTooLarge, format!("at most {limit} octets are taken here"))
}

fn broke_off() -> Refusal {
    Refusal::closing(malformed("the body broke off"))
}
