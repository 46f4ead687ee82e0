//! What operators see of the store.

use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::IntCounter;
use prometheus::IntGauge;
use prometheus::Registry;

/// Counters and gauges of one store; cheap to clone, all clones count together.
#[derive(Clone)]
pub struct StoreMetrics {
    /// Seconds from the first transaction of a group to its answer: apply, flush, `fdatasync`.
    pub commit_seconds: Histogram,
    /// Transactions answered durable.
    pub commits: IntCounter,
    /// Transactions whose guards did not hold.
    pub conflicts: IntCounter,
    /// Transactions waiting.
    pub queue_depth: IntGauge,
    /// Octets of the database file.
    pub size_bytes: IntGauge,
    /// Records found damaged.
    pub damaged: IntCounter,
    /// 1 once a write or sync failed; the store never works again before a restart.
    pub stopped: IntGauge,
}

impl StoreMetrics {
    /// Fresh counters, not registered anywhere.
    ///
    /// # Errors
    /// Only if a name were not a valid metric name.
    pub fn new() -> prometheus::Result<Self> {
        let buckets = prometheus::exponential_buckets(0.000_1, 2.0, 16)?;
        Ok(Self {
            commit_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "inkan_store_commit_seconds",
                    "Seconds one group of store transactions took until it was durable.",
                )
                .buckets(buckets),
            )?,
            commits: IntCounter::new(
                "inkan_store_commits_total",
                "Store transactions that became durable.",
            )?,
            conflicts: IntCounter::new(
                "inkan_store_conflicts_total",
                "Store transactions refused because a guard did not hold.",
            )?,
            queue_depth: IntGauge::new(
                "inkan_store_queue_depth",
                "Store transactions waiting to be written.",
            )?,
            size_bytes: IntGauge::new("inkan_store_size_bytes", "Octets of the store on disk.")?,
            damaged: IntCounter::new(
                "inkan_store_damaged_records_total",
                "Store records that were found damaged.",
            )?,
            stopped: IntGauge::new(
                "inkan_store_stopped",
                "1 once a write or sync of the store failed.",
            )?,
        })
    }

    /// Adds all of them to `registry`.
    ///
    /// # Errors
    /// When a metric of the same name is registered already.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.commit_seconds.clone()))?;
        registry.register(Box::new(self.commits.clone()))?;
        registry.register(Box::new(self.conflicts.clone()))?;
        registry.register(Box::new(self.queue_depth.clone()))?;
        registry.register(Box::new(self.size_bytes.clone()))?;
        registry.register(Box::new(self.damaged.clone()))?;
        registry.register(Box::new(self.stopped.clone()))
    }
}
