//! What operators see of the audit log.

use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::IntCounter;
use prometheus::IntGauge;
use prometheus::Registry;

/// Counters and gauges of one log; cheap to clone, all clones count together.
#[derive(Clone)]
pub struct AuditMetrics {
    /// Seconds of one write with its `fdatasync`.
    pub sync_seconds: Histogram,
    /// Writes, each with one `fdatasync`.
    pub syncs: IntCounter,
    /// Records in the log.
    pub records: IntGauge,
    /// Signatures made and withheld.
    pub withheld: IntCounter,
    /// Octets of the segments.
    pub size_bytes: IntGauge,
    /// Requests that will record something soon.
    pub in_flight: IntGauge,
    /// Free octets on the file system.
    pub free_bytes: IntGauge,
    /// Records under the newest checkpoint.
    pub checkpoint_records: IntGauge,
    /// When the newest checkpoint was signed, Unix seconds.
    pub checkpoint_time: IntGauge,
    /// Checkpoints that could not be signed or written.
    pub checkpoint_failures: IntCounter,
    /// Labels that could not be kept.
    pub labels_lost: IntCounter,
    /// 1 once a write or sync failed; the log never works again before a restart.
    pub stopped: IntGauge,
}

impl AuditMetrics {
    /// Fresh counters, not registered anywhere.
    ///
    /// # Errors
    /// Only if a name were not a valid metric name.
    pub fn new() -> prometheus::Result<Self> {
        let buckets = prometheus::exponential_buckets(0.000_1, 2.0, 16)?;
        let sync_seconds = HistogramOpts::new(
            "inkan_audit_sync_seconds",
            "Seconds one write of audit records took with its fdatasync.",
        );
        Ok(Self {
            sync_seconds: Histogram::with_opts(sync_seconds.buckets(buckets))?,
            syncs: IntCounter::new(
                "inkan_audit_syncs_total",
                "Writes of audit records, each with one fdatasync.",
            )?,
            records: IntGauge::new("inkan_audit_records", "Records in the audit log.")?,
            withheld: IntCounter::new(
                "inkan_audit_withheld_total",
                "Signatures made but withheld because their session or credential ended.",
            )?,
            size_bytes: IntGauge::new("inkan_audit_size_bytes", "Octets of the audit log.")?,
            in_flight: IntGauge::new(
                "inkan_audit_in_flight",
                "Requests holding a place in the audit log.",
            )?,
            free_bytes: IntGauge::new(
                "inkan_audit_free_bytes",
                "Free octets on the audit log's file system.",
            )?,
            checkpoint_records: IntGauge::new(
                "inkan_audit_checkpoint_records",
                "Records under the newest signed checkpoint.",
            )?,
            checkpoint_time: IntGauge::new(
                "inkan_audit_checkpoint_timestamp_seconds",
                "When the newest checkpoint was signed, Unix seconds.",
            )?,
            checkpoint_failures: IntCounter::new(
                "inkan_audit_checkpoint_failures_total",
                "Checkpoints that could not be signed or written.",
            )?,
            labels_lost: IntCounter::new(
                "inkan_audit_labels_lost_total",
                "Document labels that could not be kept beside the audit log.",
            )?,
            stopped: IntGauge::new(
                "inkan_audit_stopped",
                "1 once a write or sync of the audit log failed.",
            )?,
        })
    }

    /// Adds all of them to `registry`.
    ///
    /// # Errors
    /// When a metric of the same name is registered already.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.sync_seconds.clone()))?;
        registry.register(Box::new(self.syncs.clone()))?;
        registry.register(Box::new(self.records.clone()))?;
        registry.register(Box::new(self.withheld.clone()))?;
        registry.register(Box::new(self.size_bytes.clone()))?;
        registry.register(Box::new(self.in_flight.clone()))?;
        registry.register(Box::new(self.free_bytes.clone()))?;
        registry.register(Box::new(self.checkpoint_records.clone()))?;
        registry.register(Box::new(self.checkpoint_time.clone()))?;
        registry.register(Box::new(self.checkpoint_failures.clone()))?;
        registry.register(Box::new(self.labels_lost.clone()))?;
        registry.register(Box::new(self.stopped.clone()))
    }
}
