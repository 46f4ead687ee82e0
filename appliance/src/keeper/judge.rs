//! Certificates in use are judged again: at every new revocation list, at every change of anchors, and once a minute.
//!
//! What has to be asked of somebody else, whether a My Number card is still valid, is asked beside it: a provider that is slow
//! holds up no list, no other judgement, no operator and no start.

use super::Keeper;
use super::entries;
use super::standing::standing;
use crate::audit::Principal;
use crate::audit::record::AlarmSource;
use crate::fetch::Fetcher;
use crate::fetch::MAX_QUESTIONS;
use attest::basis::Basis;
use attest::clock::UnixSeconds;
use attest::gate::is_factor_of;
use attest::records::Credential;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::revocation::CrlStatus;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sign_in::Approval;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::MissedTickBehavior;
use tokio::time::timeout;

/// How often everything is looked at even if nothing new came: certificates and lists age by themselves.
const EVERY: Duration = Duration::from_secs(60);
/// How many cards the provider of validity is asked about side by side: half of what it is asked at once, so that sign-ins
/// find room.
const ASKED_AT_ONCE: usize = MAX_QUESTIONS / 2;
/// Longest time for all of them. What was not answered by then is not known.
const ASKED_FOR: Duration = Duration::from_secs(45);
/// Certificates judged at a stretch: some milliseconds.
const AT_A_STRETCH: usize = 64;

/// Fetches revocation lists and judges what is in use by them.
pub struct CertificateWatch {
    keeper: Arc<Keeper>,
    fetcher: Arc<Fetcher>,
    /// Lists were fetched: they may be what the provider of validity answers from.
    fetched: Notify,
}

/// A card that the provider of validity is asked about.
struct Asked<'a> {
    basis: &'a Basis,
    /// All that rest on it.
    sessions: &'a [Arc<LiveSession>],
    /// Whether nothing was said of it yet.
    waits: AtomicBool,
}

impl<'a> Asked<'a> {
    /// About what all of `sessions` rest on.
    fn about(sessions: &'a [Arc<LiveSession>]) -> Option<Self> {
        let basis = sessions.first()?.basis();
        Some(Self { basis, sessions, waits: AtomicBool::new(true) })
    }
}

impl CertificateWatch {
    /// A watch over the keeper's certificates.
    pub fn new(keeper: Arc<Keeper>, fetcher: Arc<Fetcher>) -> Self {
        Self { keeper, fetcher, fetched: Notify::new() }
    }

    /// Fetches every list once and judges everything; failures are logged and leave the older list in force.
    pub async fn once(&self) {
        let ids: Vec<String> = self.fetcher.target_ids().map(str::to_owned).collect();
        // Side by side: a server that does not answer holds up none of the others.
        join_all(ids.iter().map(|target_id| self.load(target_id))).await;
        if let Ok(now) = self.keeper.parts.clock.now() {
            self.keeper.keep_floors(now).await;
        }
        self.keeper.judge_all().await;
        self.fetched.notify_one();
    }

    /// Runs until the task is dropped: lists every `refresh`, judgement every minute.
    pub async fn run(self, refresh: Duration) {
        tokio::join!(self.watch_lists(refresh), self.watch_my_numbers());
    }

    async fn watch_lists(&self, refresh: Duration) {
        let mut judged = tokio::time::interval(EVERY);
        let mut fetched = tokio::time::interval(refresh);
        // Both were done before the door opened.
        judged.reset();
        fetched.reset();
        loop {
            tokio::select! {
                _ = fetched.tick() => self.once().await,
                _ = judged.tick() => self.keeper.judge_all().await,
            }
        }
    }

    /// Asks about the My Number cards behind live sessions, once a minute and when lists were fetched.
    async fn watch_my_numbers(&self) {
        let mut judged = tokio::time::interval(EVERY);
        judged.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = judged.tick() => {}
                () = self.fetched.notified() => {}
            }
            self.keeper.ask_about_my_numbers(ASKED_FOR).await;
        }
    }

    async fn load(&self, target_id: &str) {
        let Ok(now) = self.keeper.parts.clock.now() else {
            return;
        };
        match self.fetcher.crl(target_id).await {
            Err(error) => {
                tracing::warn!(target_id, %error, "a revocation list could not be fetched")
            }
            Ok(der) => match self.keeper.parts.judge.load_crl(&der, now) {
                Ok(_) => tracing::debug!(target_id, "revocation list loaded"),
                Err(error) => {
                    tracing::warn!(target_id, %error, "a revocation list was refused; the older one stays")
                }
            },
        }
    }
}

impl Keeper {
    /// Judges every credential and every live session at the present time, by what is known here.
    pub async fn judge_all(&self) {
        // One at a time: what was judged by older lists must not be noted after what was judged by newer ones.
        let _one_at_a_time = self.judging.lock().await;
        let Ok(now) = self.parts.clock.now() else {
            return;
        };
        self.judge_credentials(now).await;
        self.judge_sessions(now).await;
        self.note_lists(now);
    }

    async fn judge_credentials(&self, now: UnixSeconds) {
        let mut first_end: Option<UnixSeconds> = None;
        for (index, credential) in self.parts.registry.credentials().into_iter().enumerate() {
            give_way(index).await;
            if credential.record.chain.is_empty() {
                continue;
            }
            let record = &credential.record;
            let before = credential.standing();
            let standing = standing(&self.parts.judge.judge_second_certificate(
                &record.chain,
                &record.spki_der,
                now,
            ));
            credential.judge(standing);
            if before != standing && standing != Standing::Good {
                tracing::warn!(
                    credential_id = record.credential_id,
                    ?standing,
                    "a credential may not sign"
                );
            }
            if standing == Standing::Good {
                first_end =
                    Some(first_end.map_or(record.not_after, |first| first.min(record.not_after)));
            }
        }
        if let Some(end) = first_end {
            self.parts.metrics.certificate_left.set(now.seconds_until(end) as f64);
        }
    }

    async fn judge_sessions(&self, now: UnixSeconds) {
        let sessions = resting_together(self.parts.sessions.all());
        for (index, together) in sessions.chunk_by(rest_on_the_same).enumerate() {
            give_way(index).await;
            let fallen = together.first().and_then(|one| self.judge_by(one.basis(), None, now));
            self.end_fallen(together, fallen, now).await;
        }
    }

    /// Ends those of `sessions` that are over, and all of them where what they rest on has `fallen`.
    async fn end_fallen(
        &self,
        sessions: &[Arc<LiveSession>],
        fallen: Option<EndReason>,
        now: UnixSeconds,
    ) {
        for session in sessions {
            let Some(reason) = session.over(now).or(fallen) else {
                continue;
            };
            let by = Principal::Appliance;
            if let Err(error) = self.end_live("certificate-watch", by, session, reason).await {
                tracing::error!(session_id = session.session_id, %error, "the end of a session is not durable");
            }
        }
    }

    /// What the provider says of the My Number cards that sessions rest on. Of whom it says nothing in `longest` nothing is
    /// known.
    async fn ask_about_my_numbers(&self, longest: Duration) {
        let mut sessions = self.parts.sessions.all();
        sessions.retain(|session| session.method == Method::Jpki);
        let sessions = resting_together(sessions);
        let cards = sessions.chunk_by(rest_on_the_same);
        let mut cards: Vec<Asked<'_>> = cards.filter_map(Asked::about).collect();
        // What was good is answered from memory, mostly: it does not stand behind what nobody could tell a minute ago.
        cards.sort_by_key(|card| card.basis.evidence_standing() != Standing::Good);
        let asking = stream::iter(&cards).for_each_concurrent(ASKED_AT_ONCE, |card| async move {
            let fallen = self.ask_and_judge(card.basis).await;
            if let Ok(now) = self.parts.clock.now() {
                self.end_fallen(card.sessions, fallen, now).await;
            }
            card.waits.store(false, Ordering::Relaxed);
        });
        if timeout(longest, asking).await.is_ok() {
            return;
        }
        let mut unknown = 0;
        for card in cards.iter().filter(|card| card.waits.load(Ordering::Relaxed)) {
            card.basis.judge_evidence(Standing::Unknown);
            unknown += 1;
        }
        tracing::warn!(unknown, "the provider of validity did not answer for every card in time");
    }

    /// Judges the certificates behind a session, and asks whoever has to be asked; why it has to end, if it has.
    pub(super) async fn judge_session(&self, session: &LiveSession) -> Option<EndReason> {
        let fallen = self.ask_and_judge(session.basis()).await;
        let now = self.parts.clock.now().ok();
        now.and_then(|now| session.over(now)).or(fallen)
    }

    async fn ask_and_judge(&self, basis: &Basis) -> Option<EndReason> {
        let now = self.parts.clock.now().ok()?;
        let said = match basis.method {
            Method::Jpki => Some(self.judge_my_number(&basis.factor, now).await),
            Method::Hpki | Method::Fido2 => None,
        };
        let _one_at_a_time = self.judging.lock().await;
        let now = self.parts.clock.now().ok()?;
        self.judge_by(basis, said, now)
    }

    /// Notes what is known here and what the provider `said`; why all that rests on it has to end, if it has.
    fn judge_by(
        &self,
        basis: &Basis,
        said: Option<Standing>,
        now: UnixSeconds,
    ) -> Option<EndReason> {
        let standing = match (basis.method, &basis.certificate) {
            // Without a word of the provider nothing gets better.
            (Method::Jpki, _) => self.my_number_identity(&basis.factor, now).err().or(said),
            (Method::Hpki | Method::Fido2, Some(leaf)) => Some(self.judge_card(leaf, now)),
            (Method::Hpki | Method::Fido2, None) => None,
        };
        if let Some(standing) = standing {
            basis.judge_evidence(standing);
            if matches!(standing, Standing::Revoked | Standing::Refused) {
                return Some(EndReason::EvidenceRevoked);
            }
        }
        let (holder_id, certificates) = (&basis.holder_id, &basis.second_certificates);
        let has_fallen = self.parts.registry.has_fallen(holder_id, certificates);
        has_fallen.then_some(EndReason::SecondCertificateRevoked)
    }

    /// How what `approval` rests on stands by all that anybody can say now: for what lives beside the sessions.
    pub(super) async fn standing_of(&self, approval: &Approval, now: UnixSeconds) -> Standing {
        let Approval { method, factor, holder_id, second_certificates, .. } = approval;
        let registry = &self.parts.registry;
        if !is_factor_of(registry, *method, factor, holder_id)
            || registry.has_fallen(holder_id, second_certificates)
        {
            return Standing::Refused;
        }
        let standing = match method {
            Method::Jpki => Some(self.judge_my_number(factor, now).await),
            Method::Hpki | Method::Fido2 => {
                let leaf = approval.certificate_b64.as_deref();
                let leaf = leaf.map(|text| STANDARD.decode(text).unwrap_or_default());
                leaf.map(|leaf| self.judge_card(&leaf, now))
            }
        };
        standing.unwrap_or(Standing::Good)
    }

    /// What is known here of the certificate of an HPKI card.
    fn judge_card(&self, leaf: &[u8], now: UnixSeconds) -> Standing {
        standing(&self.parts.judge.judge_leaf(leaf, now))
    }

    fn note_lists(&self, now: UnixSeconds) {
        for list in self.parts.judge.crl_status(now) {
            let CrlStatus { issuer, scope, age_seconds, remaining_seconds, .. } = &list;
            // One issuer may have several lists; the first octets of the scope tell them apart.
            let labels = [issuer.as_str(), scope.0.get(..16).unwrap_or_default()];
            let metrics = &self.parts.metrics;
            metrics.crl_age.with_label_values(&labels).set(*age_seconds as f64);
            metrics.crl_remaining.with_label_values(&labels).set(*remaining_seconds as f64);
            if list.is_alarm {
                tracing::warn!(
                    issuer,
                    remaining_seconds,
                    "a revocation list ends soon or has ended"
                );
            }
        }
    }

    /// A signature did not verify with its public key: the credential signs no more until two operators release it. The fault
    /// of a pair that a renewal has just replaced is an alarm, and the new pair signs on.
    pub(super) async fn quarantine(&self, request_id: &str, credential: &Arc<LiveCredential>) {
        let credential_id = &credential.record.credential_id;
        let is_in_use = self.parts.registry.stop_pair(credential);
        tracing::error!(
            request_id,
            credential_id,
            is_in_use,
            "ALARM: a signature did not verify; the pair that made it signs no more"
        );
        let entry = match is_in_use {
            true => {
                self.store_quarantine(request_id, credential).await;
                entries::quarantined(request_id, credential)
            }
            false => {
                let detail = format!(
                    "a signature did not verify; the pair of {credential_id} that made it, {}, is superseded",
                    Fingerprint::of(&credential.record.spki_der).0
                );
                entries::alarm(AlarmSource::Hsm, "superseded_pair_faulty", &detail)
            }
        };
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a quarantine could not be recorded");
        }
    }

    async fn store_quarantine(&self, request_id: &str, credential: &LiveCredential) {
        let LiveCredential { record: Credential { credential_id, cka_id, .. }, .. } = credential;
        let quarantined = self.parts.trust.update(credential_id, |record: Credential| {
            let is_this_pair = record.cka_id == *cka_id;
            (is_this_pair && record.status == CredentialStatus::Active)
                .then_some(Credential { status: CredentialStatus::Quarantined, ..record })
        });
        match quarantined.await {
            Ok(Some(record)) => {
                self.parts.registry.put_credential(LiveCredential::new(record));
            }
            // Revoked meanwhile, or renewed.
            Ok(None) => {}
            Err(error) => {
                tracing::error!(request_id, credential_id, %error, "a quarantine is not durable; it holds in memory");
            }
        }
    }
}

/// Lets others have their turn before the certificate of this number, now and then: whoever signs does not wait for ten
/// thousand of them, and whoever signs in, for whom all of them are judged first, not for ten thousand turns.
async fn give_way(index: usize) {
    if index.is_multiple_of(AT_A_STRETCH) {
        yield_now().await;
    }
}

/// Sessions that rest on the same next to each other: a card is judged once, however many there are.
fn resting_together(mut sessions: Vec<Arc<LiveSession>>) -> Vec<Arc<LiveSession>> {
    sessions.sort_unstable_by_key(|session| Arc::as_ptr(session.basis()));
    sessions
}

fn rest_on_the_same(one: &Arc<LiveSession>, other: &Arc<LiveSession>) -> bool {
    Arc::ptr_eq(one.basis(), other.basis())
}
