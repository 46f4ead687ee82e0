//! Gauges read at each scrape, and what readiness needs.

use super::Keeper;
use attest::records::CredentialStatus;

impl Keeper {
    /// Brings the gauges up to date.
    pub fn refresh_gauges(&self) {
        let metrics = &self.parts.metrics;
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let status = self.parts.hsm.status();
        metrics.hsm_sessions.with_label_values(&["live"]).set(gauge(status.sessions_live));
        metrics.hsm_sessions.with_label_values(&["hung"]).set(gauge(status.sessions_hung));
        let credentials = self.parts.registry.credentials();
        let stopped =
            |status| status == CredentialStatus::Active || status == CredentialStatus::Quarantined;
        let quarantined = credentials
            .iter()
            .filter(|credential| credential.is_stopped() && stopped(credential.record.status));
        metrics.quarantined.set(gauge(quarantined.count()));
        metrics.hsm_queue.set(gauge(status.queue_depth));
        metrics.sessions.set(gauge(self.parts.sessions.count()));
        metrics.danger_test_mode.set(i64::from(self.parts.judge.is_test_mode()));
    }

    /// Whether signatures can be made now.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn readiness(&self) -> Result<(), Vec<String>> {
        let mut missing = Vec::new();
        let status = self.parts.hsm.status();
        if status.sessions_live == 0 {
            missing.push("no HSM session is live".to_owned());
        }
        if let Err(error) = self.parts.audit.ready() {
            missing.push(error.to_string());
        }
        if let Some(reason) = self.parts.store.stopped() {
            missing.push(format!("the store has stopped: {reason}"));
        }
        if let Err(error) = self.parts.clock.now() {
            missing.push(error.to_string());
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(missing),
        }
    }
}
