//! What monitoring sees of the provider.

use async_trait::async_trait;
use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::validity::JpkiValidity;
use attest::validity::Validity;
use attest::validity::ValidityError;
use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::IntCounterVec;
use prometheus::Opts;
use prometheus::Registry;

/// Counters of one provider; cheap to clone, all clones count together.
#[derive(Clone)]
pub struct ValidityMetrics {
    checks: IntCounterVec,
    seconds: Histogram,
}

impl ValidityMetrics {
    /// Registers every metric with `registry`.
    ///
    /// # Errors
    /// [`prometheus::Error`] when a name is there already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let checks = IntCounterVec::new(
            Opts::new(
                "inkan_jpki_validity_checks_total",
                "Questions whether a My Number card's certificate is valid, remembered answers included, by result.",
            ),
            &["result"],
        )?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new(
                "inkan_jpki_validity_provider_seconds",
                "Time that the provider took for each question that was put to it.",
            )
            .buckets(prometheus::exponential_buckets(0.001, 2.0, 14)?),
        )?;
        registry.register(Box::new(checks.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        for result in ["good", "revoked", "unknown", "unavailable", "unusable", "no_provider"] {
            checks.with_label_values(&[result]);
        }
        Ok(Self { checks, seconds })
    }
}

/// Counts what is asked of `provider`.
pub struct Counted<P> {
    /// Who answers.
    pub provider: P,
    /// Where it is counted.
    pub metrics: ValidityMetrics,
}

#[async_trait]
impl<P: JpkiValidity> JpkiValidity for Counted<P> {
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        let said = self.provider.check(certificate, issuer, now).await;
        let result = match &said {
            Ok(Validity::Good { .. }) => "good",
            Ok(Validity::Revoked { .. }) => "revoked",
            Err(ValidityError::Unknown) => "unknown",
            Err(ValidityError::Unavailable { .. }) => "unavailable",
            Err(ValidityError::Unusable { .. }) => "unusable",
            Err(ValidityError::NoProvider) => "no_provider",
        };
        self.metrics.checks.with_label_values(&[result]).inc();
        said
    }

    async fn probe(&self, issuer: &Certificate, now: UnixSeconds) -> Result<(), ValidityError> {
        self.provider.probe(issuer, now).await
    }
}

/// Times each question that is really put to `provider`.
pub struct Timed<P> {
    /// Who answers.
    pub provider: P,
    /// Where it is counted.
    pub metrics: ValidityMetrics,
}

#[async_trait]
impl<P: JpkiValidity> JpkiValidity for Timed<P> {
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        let _timer = self.metrics.seconds.start_timer();
        self.provider.check(certificate, issuer, now).await
    }
}
