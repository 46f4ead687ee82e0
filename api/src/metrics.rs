//! Counters of the front. Labels come from fixed sets only, whatever a peer sends.

use crate::error::FrontError;
use crate::problem::Code;
use crate::routes::Listener;
use crate::routes::Route;
use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::HistogramVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;
use std::io;
use std::time::Duration;

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFailure {
    /// No or no acceptable client certificate.
    Certificate,
    /// No common version, cipher or group; malformed messages.
    Protocol,
    /// It took too long.
    Timeout,
    /// It made room for another.
    Shed,
    /// The peer went away, as port checks do.
    Left,
}

impl HandshakeFailure {
    /// Sorts what TLS said.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
                Self::Certificate
            }
            Some(_) => Self::Protocol,
            None if error.kind() == io::ErrorKind::Other => Self::Protocol,
            None => Self::Left,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Shed => "shed",
            Self::Left => "left",
        }
    }
}

/// Which limit turned a peer away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many connections.
    Connections,
    /// Too many requests at once.
    Requests,
    /// Too many requests a second.
    Rate,
    /// Too much held in memory.
    Memory,
}

impl Refused {
    fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Rate => "rate",
            Self::Memory => "memory",
        }
    }
}

/// A part of a signing request whose time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The gate on the head.
    Admit,
    /// Reading and digesting the body.
    Body,
    /// From the digest to the recorded signature.
    Sign,
}

/// See the module.
pub(crate) struct FrontMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    stages: [Histogram; 3],
    in_flight: IntGaugeVec,
    connections: IntGaugeVec,
    handshake_failures: IntCounterVec,
    refused: IntCounterVec,
    panics: IntCounter,
    certificate_expiry: IntGaugeVec,
    certificate_reloads: IntCounterVec,
}

/// Counts something that is there now, until it is dropped.
pub(crate) struct Present(IntGauge);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl FrontMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, FrontError> {
        let stages = histograms(
            "inkan_sign_stage_duration_seconds",
            "Time of a part of a signing request at the front.",
            &["stage"],
        )?;
        let stage = |name| stages.with_label_values(&[name]);
        let metrics = Self {
            requests: counters(
                "inkan_http_requests_total",
                "Requests answered, by route and problem code.",
                &["listener", "route", "code"],
            )?,
            duration: histograms(
                "inkan_http_request_duration_seconds",
                "Time from a request's head to its answer.",
                &["route"],
            )?,
            stages: [stage("admit"), stage("body"), stage("sign")],
            in_flight: gauges("inkan_http_requests_in_flight", "Requests being answered.")?,
            connections: gauges("inkan_connections", "Connections after their handshake.")?,
            handshake_failures: counters(
                "inkan_handshake_failures_total",
                "Connections that ended before their first request.",
                &["listener", "reason"],
            )?,
            refused: counters(
                "inkan_refused_total",
                "Connections and requests turned away by a limit.",
                &["listener", "limit"],
            )?,
            panics: IntCounter::new(
                "inkan_http_panics_total",
                "Requests that ended in a panic: each is a bug.",
            )?,
            certificate_expiry: gauges(
                "inkan_listener_certificate_expiry_timestamp_seconds",
                "End of validity of the listener's certificate, Unix time.",
            )?,
            certificate_reloads: counters(
                "inkan_listener_certificate_reloads_total",
                "Times that changed certificate files were read.",
                &["listener", "result"],
            )?,
        };
        for collector in metrics.collectors() {
            registry.register(collector)?;
        }
        registry.register(Box::new(stages))?;
        Ok(metrics)
    }

    fn collectors(&self) -> Vec<Box<dyn prometheus::core::Collector>> {
        vec![
            Box::new(self.requests.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.handshake_failures.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.panics.clone()),
            Box::new(self.certificate_expiry.clone()),
            Box::new(self.certificate_reloads.clone()),
        ]
    }

    pub(crate) fn answered(
        &self,
        listener: Listener,
        route: Option<Route>,
        code: Option<Code>,
        took: Duration,
    ) {
        let route = route.map_or("none", Route::name);
        let code = code.map_or("ok", Code::name);
        self.requests.with_label_values(&[listener.name(), route, code]).inc();
        self.duration.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    pub(crate) fn stage(&self, stage: Stage, took: Duration) {
        let [admit, body, sign] = &self.stages;
        match stage {
            Stage::Admit => admit,
            Stage::Body => body,
            Stage::Sign => sign,
        }
        .observe(took.as_secs_f64());
    }

    pub(crate) fn request(&self, listener: Listener) -> Present {
        present(&self.in_flight, listener)
    }

    pub(crate) fn connection(&self, listener: Listener) -> Present {
        present(&self.connections, listener)
    }

    pub(crate) fn handshake_failed(&self, listener: Listener, failure: HandshakeFailure) {
        self.handshake_failures.with_label_values(&[listener.name(), failure.name()]).inc();
    }

    pub(crate) fn refused(&self, listener: Listener, limit: Refused) {
        self.refused.with_label_values(&[listener.name(), limit.name()]).inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn certificate(&self, listener: Listener, not_after: u64) {
        let not_after = i64::try_from(not_after).unwrap_or(i64::MAX);
        self.certificate_expiry.with_label_values(&[listener.name()]).set(not_after);
    }

    pub(crate) fn certificate_reload(&self, listener: Listener, is_good: bool) {
        let result = if is_good { "good" } else { "refused" };
        self.certificate_reloads.with_label_values(&[listener.name(), result]).inc();
    }
}

fn present(gauges: &IntGaugeVec, listener: Listener) -> Present {
    let gauge = gauges.with_label_values(&[listener.name()]);
    gauge.inc();
    Present(gauge)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn gauges(name: &str, help: &str) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), &["listener"])
}

fn histograms(name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
    // 0.1 ms (a digest) to 30 s (the longest upload that is still normal).
    let buckets = vec![
        0.000_1, 0.000_3, 0.001, 0.002, 0.003, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
    ];
    HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)
}
