//! What monitoring sees of the keeper. Every label set is fixed; units are in the names.

use prometheus::Gauge;
use prometheus::GaugeVec;
use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::HistogramTimer;
use prometheus::HistogramVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;
use prometheus::core::Collector;

/// A step of the signing line.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Admission, permit and count.
    Gate,
    /// Queue and key use.
    Hsm,
    /// Check with the public key.
    Verify,
    /// Durable record.
    Audit,
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureResult {
    /// Left the house.
    Released,
    /// Answered again from its record.
    Repeated,
    /// The gate stayed shut.
    Refused,
    /// The key was used, nothing left: withdrawn in between.
    Withheld,
    /// The HSM or the audit log was not there.
    Unavailable,
    /// The result did not verify: alarm.
    Mismatch,
}

impl SignatureResult {
    const ALL: [Self; 6] = [
        Self::Released,
        Self::Repeated,
        Self::Refused,
        Self::Withheld,
        Self::Unavailable,
        Self::Mismatch,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
            Self::Withheld => "withheld",
            Self::Unavailable => "unavailable",
            Self::Mismatch => "mismatch",
        }
    }
}

/// What becomes of notification cards.
pub const LETTER_EVENTS: [&str; 7] = [
    "issued",
    "wrong_password",
    "locked",
    "opened",
    "registered",
    "already_registered",
    "withdrawn",
];

/// Every metric of the keeper.
pub struct Metrics {
    registry: Registry,
    signatures: IntCounterVec,
    stages: [Histogram; 4],
    /// Live sessions.
    pub sessions: IntGauge,
    sign_ins: IntCounterVec,
    letters: IntCounterVec,
    /// Age of each revocation list, by issuer and scope.
    pub crl_age: GaugeVec,
    /// Time until each revocation list is out of date, by issuer and scope.
    pub crl_remaining: GaugeVec,
    /// Time until the first second certificate in use ends.
    pub certificate_left: Gauge,
    /// 1 for the state the appliance is in.
    pub state: IntGaugeVec,
    /// 1 while published test cards may sign in.
    pub danger_test_mode: IntGauge,
    /// HSM sessions by condition.
    pub hsm_sessions: IntGaugeVec,
    /// Requests waiting for an HSM session.
    pub hsm_queue: IntGauge,
    /// Quarantined credentials.
    pub quarantined: IntGauge,
    /// Refusals without an audit record of their own.
    pub refusals_not_recorded: IntCounter,
}

impl Metrics {
    /// Registers every metric with `registry`.
    ///
    /// # Errors
    /// [`prometheus::Error`] when a name is there already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let stage_seconds = HistogramVec::new(
            HistogramOpts::new(
                "inkan_signing_stage_seconds",
                "Time spent in each step of the signing line.",
            )
            .buckets(prometheus::exponential_buckets(0.000_01, 2.5, 16)?),
            &["stage"],
        )?;
        let stages = ["gate", "hsm", "verify", "audit"]
            .map(|stage| stage_seconds.with_label_values(&[stage]));
        let build = IntGaugeVec::new(
            Opts::new("inkan_build_info", "1, with the version as label."),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let list_gauges =
            |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &["issuer", "scope"]);
        let int_gauges =
            |name: &str, help: &str, label: &str| IntGaugeVec::new(Opts::new(name, help), &[label]);
        let metrics = Self {
            registry: registry.clone(),
            signatures: IntCounterVec::new(
                Opts::new(
                    "inkan_signatures_total",
                    "Signatures asked for, by what became of them.",
                ),
                &["result", "algorithm"],
            )?,
            stages,
            sessions: IntGauge::new("inkan_sessions", "Live sessions.")?,
            sign_ins: IntCounterVec::new(
                Opts::new("inkan_sign_ins_total", "Sign-ins by method and result."),
                &["method", "result"],
            )?,
            letters: IntCounterVec::new(
                Opts::new("inkan_notification_cards_total", "What became of notification cards."),
                &["event"],
            )?,
            crl_age: list_gauges(
                "inkan_crl_age_seconds",
                "Time since thisUpdate of each revocation list.",
            )?,
            crl_remaining: list_gauges(
                "inkan_crl_remaining_seconds",
                "Time until each revocation list is out of date; 0 when it is.",
            )?,
            certificate_left: Gauge::new(
                "inkan_second_certificate_remaining_seconds",
                "Time until the first active second certificate ends.",
            )?,
            state: int_gauges("inkan_state", "1 for the state that the appliance is in.", "state")?,
            danger_test_mode: IntGauge::new(
                "inkan_danger_test_mode",
                "1 while published test cards may sign in.",
            )?,
            hsm_sessions: int_gauges(
                "inkan_hsm_sessions",
                "HSM sessions by condition.",
                "condition",
            )?,
            hsm_queue: IntGauge::new(
                "inkan_hsm_queue_length",
                "Requests waiting for an HSM session.",
            )?,
            refusals_not_recorded: IntCounter::new(
                "inkan_refusals_not_recorded_total",
                "Refusals in a flood that got no audit record of their own; their number is recorded.",
            )?,
            quarantined: IntGauge::new(
                "inkan_quarantined_credentials",
                "Credentials that an operator must look at.",
            )?,
        };
        let every: [Box<dyn Collector>; 16] = [
            Box::new(stage_seconds),
            Box::new(build),
            Box::new(metrics.signatures.clone()),
            Box::new(metrics.sessions.clone()),
            Box::new(metrics.sign_ins.clone()),
            Box::new(metrics.letters.clone()),
            Box::new(metrics.crl_age.clone()),
            Box::new(metrics.crl_remaining.clone()),
            Box::new(metrics.certificate_left.clone()),
            Box::new(metrics.state.clone()),
            Box::new(metrics.danger_test_mode.clone()),
            Box::new(metrics.hsm_sessions.clone()),
            Box::new(metrics.hsm_queue.clone()),
            Box::new(metrics.quarantined.clone()),
            Box::new(metrics.refusals_not_recorded.clone()),
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ];
        for collector in every {
            registry.register(collector)?;
        }
        metrics.start_counters_at_zero();
        Ok(metrics)
    }

    /// So that the first failure is a step from 0 and not a new series.
    fn start_counters_at_zero(&self) {
        for result in SignatureResult::ALL {
            for key_type in attest::algorithm::KeyType::ALL {
                self.signatures
                    .with_label_values(&[result.name(), key_type.default_scheme().name()]);
            }
        }
        for event in LETTER_EVENTS {
            self.letters.with_label_values(&[event]);
        }
        for method in ["hpki", "jpki", "fido2"] {
            for result in ["approved", "continued", "denied", "refused"] {
                self.sign_ins.with_label_values(&[method, result]);
            }
        }
    }

    /// Times a step until the answer is dropped.
    pub fn stage(&self, stage: Stage) -> HistogramTimer {
        let [gate, hsm, verify, audit] = &self.stages;
        match stage {
            Stage::Gate => gate.start_timer(),
            Stage::Hsm => hsm.start_timer(),
            Stage::Verify => verify.start_timer(),
            Stage::Audit => audit.start_timer(),
        }
    }

    /// Counts a signature; `algorithm` is a scheme's name or empty where none was chosen.
    pub fn signature(&self, result: SignatureResult, algorithm: &'static str) {
        self.signatures.with_label_values(&[result.name(), algorithm]).inc();
    }

    /// Counts a sign-in; `result` is `approved`, `continued` (by a click of a browser that keeps it), `denied` or `refused`.
    pub fn sign_in(&self, method: &'static str, result: &'static str) {
        self.sign_ins.with_label_values(&[method, result]).inc();
    }

    /// Counts what became of a notification card; `event` is one of [`LETTER_EVENTS`].
    pub fn letter(&self, event: &'static str) {
        self.letters.with_label_values(&[event]).inc();
    }

    /// The exposition, Prometheus text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; a family that cannot be written leaves the rest readable.
        let _ = prometheus::TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        text
    }
}
