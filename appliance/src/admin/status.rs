//! How the appliance stands, on one screen.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::x509::rfc3339;
use api::admin::answer::CountsView;
use api::admin::answer::HsmView;
use api::admin::answer::StatusView;
use api::admin::answer::Verdict;
use attest::clock::UnixSeconds;
use attest::records::CredentialStatus;

impl AdminDesk {
    pub(super) async fn status(&self, asking: &Asking) -> StatusView {
        // A clock behind the floor is an alarm, and no reason to show nothing.
        let now = self.parts().clock.now().unwrap_or_else(|error| UnixSeconds(error.now));
        let checks = self.checks(now).await;
        let loud = checks.into_iter().filter(|check| check.verdict == Verdict::Bad);
        StatusView {
            state: "operational".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            time: rfc3339(now.0),
            operator_id: asking.operator.operator_id.clone(),
            role: asking.operator.role.into(),
            counts: self.counts(now).await,
            hsm: Some(self.hsm_view()),
            audit: Some(self.audit_head()),
            danger_test_mode: self.parts().judge.is_test_mode(),
            alarms: loud.map(|check| format!("{}: {}", check.subject, check.found)).collect(),
        }
    }

    async fn counts(&self, now: UnixSeconds) -> CountsView {
        let registry = &self.parts().registry;
        let (holders, credentials) = (registry.holders(), registry.credentials());
        let keys =
            |status| credentials.iter().filter(|live| live.record.status == status).count() as u64;
        let sessions = self.parts().sessions.all();
        // Where they cannot be read there is an alarm about it.
        let proposals = self.proposals().await.unwrap_or_default();
        CountsView {
            holders: holders.len() as u64,
            holders_disabled: holders.iter().filter(|holder| !holder.enabled).count() as u64,
            cards: registry.cards().len() as u64,
            jpki: registry.jpki_links().len() as u64,
            keys_active: keys(CredentialStatus::Active),
            keys_generated: keys(CredentialStatus::Generated),
            keys_quarantined: keys(CredentialStatus::Quarantined),
            systems: registry.systems().len() as u64,
            operators: registry.operators().len() as u64,
            sessions: sessions.iter().filter(|session| session.over(now).is_none()).count() as u64,
            proposals_open: proposals.iter().filter(|proposal| proposal.is_open(now)).count()
                as u64,
        }
    }

    fn hsm_view(&self) -> HsmView {
        let status = self.parts().hsm.status();
        HsmView {
            token_label: status.token.label.clone(),
            token_serial: status.token.serial.clone(),
            sessions_live: status.sessions_live as u64,
            sessions_hung: status.sessions_hung as u64,
            queued: status.queue_depth as u64,
            last_error: status.last_error,
        }
    }
}
