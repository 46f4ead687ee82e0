//! The keeper: gate, evidence, keys, audit, store. It answers the front's questions and trusts nothing it can check itself.
//!
//! [`Keeper`] is the appliance while it is operational; [`crate::doorway::Doorway`] stands before it in every state.

mod activation;
mod added;
mod at_pc;
mod batch;
mod card;
mod certificates;
mod change_phone;
#[cfg(test)]
mod codes;
mod confirm_change;
mod confirm_enrol;
mod contact;
mod enrol;
mod enroller;
mod entitlement;
pub mod entries;
mod gauges;
mod jpki;
mod judge;
mod key_set;
mod known;
mod letter;
mod listener_certificate;
pub mod material;
mod my_number;
mod own_page;
mod phone;
mod phones;
mod portal;
mod refused;
mod retries;
mod saved;
mod session_steps;
mod shown;
mod sign_in;
mod signing;
mod standing;
mod views;

pub use jpki::JpkiListener;
pub use jpki::my_number_links;
pub use jpki::vault;
pub use judge::CertificateWatch;
pub use key_set::KeySetError;
pub use letter::notification_cards;
pub use listener_certificate::ListenerCertificate;
pub use phones::decoy_key;
pub use portal::portal_index;

use crate::audit::AuditLog;
use crate::audit::Entry;
use crate::audit::Principal;
use crate::idempotency::Running;
use crate::keeper::certificates::SigningCertificates;
use crate::keeper::jpki::MyNumbers;
use crate::keeper::material::ConfiguredMaterial;
use crate::keeper::phones::Phones;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::rate::RateLimiter;
use crate::sign::SigningLine;
use crate::store::SledStore;
use api::operations::Caller;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::Clock;
use attest::clock::UnixSeconds;
use attest::evidence::Fido2Error;
use attest::factor_rules::FactorRules;
use attest::gate::Gate;
use attest::judge::Judge;
use attest::own_page::OwnPages;
use attest::records::SigningSystem;
use attest::registry::Registry;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sessions::SessionError;
use attest::sessions::Sessions;
use attest::sign_in::FormTokens;
use attest::trust::TrustStore;
use attest::validity::JpkiValidity;
use attest::vault::Vault;
use hsm::Hsm;
use std::sync::Arc;
use std::time::Instant;

/// Lines a second about one fault, and at once: a person looking at them reads fewer.
const LINES_PER_SECOND: f64 = 10.0;
const LINES_AT_ONCE: f64 = 200.0;

/// What the keeper is told by the configuration.
#[derive(Clone, Debug)]
pub struct KeeperSettings {
    /// `https://host:port` of the card listener: login links start with it.
    pub hpki_origin: String,
    /// Host name of the card listener, as cards sign it.
    pub hpki_host: String,
    /// `https://host:port` of the portal, as browsers write it: without one no phone is registered and none signs in.
    pub portal_origin: Option<String>,
    /// The listener for My Number cards: without one none can be used.
    pub jpki: Option<JpkiListener>,
    /// Intermediates and profiles.
    pub material: ConfiguredMaterial,
    /// Octets of a detached document.
    pub detached_bytes: u64,
    /// Octets of an attached document.
    pub attached_bytes: u64,
    /// Items in one digest batch.
    pub digest_items: usize,
    /// Seconds of an activation, from the evidence.
    pub once_seconds: u64,
    /// Entries of an activation.
    pub entries: usize,
    /// Characters of an entry's label.
    pub entry_label_characters: usize,
    /// Sign-ins a minute that one signing system may open for one holder, and pages a minute over one My Number card.
    pub sign_ins_per_minute: u32,
    /// Questions to a phone a minute for one holder id.
    pub phones_per_minute: u32,
    /// Rules for the factors that holders add themselves.
    pub factor_rules: FactorRules,
    /// Whether a phone may be changed by the phone itself.
    pub change_by_phone: bool,
    /// Whether browsers keep sign-ins, to go on with by one click.
    pub saved_sign_ins: bool,
    /// Networks of the PCs that may show a QR code; empty: every PC may.
    pub phone_networks: Vec<Network>,
    /// Seconds of a session that a phone approved, from the evidence.
    pub phone_session_seconds: u64,
    /// Seconds for which sign-ins show what was added.
    pub show_added_seconds: u64,
    /// Questions to a phone a minute from one address.
    pub phones_per_minute_of_address: u32,
    /// The same for what anybody may begin without a login link.
    pub without_link_per_minute_of_address: u32,
    /// Seconds from the end of a pair's use to the first moment at which it may be destroyed.
    pub destroy_after_seconds: u64,
    /// Days for which a notification card can be used.
    pub notification_card_days: u64,
    /// Seconds within which a handshake must lie before its confirmation.
    pub handshake_seconds: u64,
}

/// What a keeper is made of.
pub struct Parts {
    /// See [`KeeperSettings`].
    pub settings: KeeperSettings,
    /// Trust records in memory.
    pub registry: Arc<Registry>,
    /// Sign-ins and sessions.
    pub sessions: Arc<Sessions>,
    /// Trust records on disk.
    pub trust: TrustStore,
    /// What they lie in.
    pub store: Arc<SledStore>,
    /// The HSM.
    pub hsm: Arc<Hsm>,
    /// The audit log.
    pub audit: Arc<AuditLog>,
    /// Anchors, revocation lists, profiles.
    pub judge: Arc<Judge>,
    /// Who says whether a My Number card's certificate is valid.
    pub jpki_validity: Arc<dyn JpkiValidity>,
    /// Where certificates of My Number cards are kept.
    pub vault: Vault,
    /// See [`decoy_key`].
    pub decoy_key: [u8; 32],
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What monitoring sees.
    pub metrics: Arc<Metrics>,
    /// Server certificate of the card listener, as cards sign it.
    pub listener_certificate: ListenerCertificate,
}

/// See the module.
pub struct Keeper {
    parts: Parts,
    gate: Gate,
    line: SigningLine,
    forms: FormTokens,
    running: Running,
    signing_certificates: SigningCertificates,
    rates: RateLimiter,
    phones: Option<Phones>,
    my_numbers: Option<MyNumbers>,
    own_pages: OwnPages,
    /// Held while a holder reads the log.
    reading_log: tokio::sync::Mutex<()>,
    /// Held while everything is judged.
    judging: tokio::sync::Mutex<()>,
}

impl Keeper {
    /// A keeper of these parts.
    ///
    /// # Errors
    /// When the random source fails, or the portal cannot be a relying party.
    pub fn new(parts: Parts) -> Result<Self, Fido2Error> {
        let gate = Gate::new(parts.registry.clone(), parts.sessions.clone(), parts.clock.clone());
        let line = SigningLine::new(parts.hsm.clone(), parts.audit.clone(), parts.metrics.clone());
        let phones = match &parts.settings.portal_origin {
            Some(origin) => Some(Phones::new(origin, &parts)?),
            None => None,
        };
        let links = my_number_links(&parts);
        let my_numbers =
            parts.settings.jpki.clone().map(|listener| MyNumbers::new(listener, links));
        Ok(Self {
            gate,
            line,
            phones,
            my_numbers,
            own_pages: OwnPages::default(),
            reading_log: tokio::sync::Mutex::default(),
            forms: FormTokens::new()?,
            running: Running::default(),
            signing_certificates: SigningCertificates::default(),
            rates: RateLimiter::default(),
            judging: tokio::sync::Mutex::default(),
            parts,
        })
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    fn now(&self) -> Result<UnixSeconds, Problem> {
        self.parts.clock.now().map_err(|error| {
            if self.may_log("clock") {
                tracing::error!(%error, "the clock cannot be trusted");
            }
            Problem::new(Code::NotOperational)
        })
    }

    fn danger_test_mode(&self) -> bool {
        self.parts.judge.is_test_mode()
    }

    /// The signing system that asks, within its rate.
    fn system(&self, caller: &Caller) -> Result<Arc<SigningSystem>, Problem> {
        let system =
            self.parts.registry.system_of(&caller.certificate).ok_or(Code::ClientUnknown)?;
        let per_second = f64::from(system.requests_per_second);
        self.rates.take(&system.system_id, per_second, per_second * 2.0, Instant::now()).map_err(
            |wait| {
                let detail =
                    format!("at most {per_second} requests a second of this signing system");
                Problem::with_detail(Code::RateLimited, detail).retry_after(wait)
            },
        )?;
        Ok(system)
    }

    /// Whether one more sign-in may be opened for this holder.
    fn holder_rate(&self, system: &SigningSystem, holder_id: &str) -> Result<(), Problem> {
        let name = format!("{}/{holder_id}", system.system_id);
        let a_minute = f64::from(self.parts.settings.sign_ins_per_minute);
        self.rates.take(&name, a_minute / 60.0, a_minute, Instant::now()).map_err(|wait| {
            let detail =
                format!("at most {a_minute} sign-ins a minute may be opened for one holder");
            Problem::with_detail(Code::RateLimited, detail).retry_after(wait)
        })
    }

    /// Logs and records a refusal of somebody in `crowd`. In a flood it is counted only, crowd by crowd, so that neither
    /// successes nor other people's refusals are crowded out.
    async fn note(&self, crowd: &str, request_id: &str, reason: &str, entry: Entry) {
        match self.parts.audit.append_denial(crowd, entry).await {
            Ok(Some(_)) => tracing::info!(request_id, reason, "refused"),
            Ok(None) => self.parts.metrics.refusals_not_recorded.inc(),
            Err(error) => {
                tracing::warn!(request_id, reason, %error, "refused, and that could not be recorded");
            }
        }
    }

    /// Whether one more log line of this kind may be written: a fault that meets every request is not told every time.
    fn may_log(&self, kind: &str) -> bool {
        let name = format!("lines/{kind}");
        self.rates.take(&name, LINES_PER_SECOND, LINES_AT_ONCE, Instant::now()).is_ok()
    }

    /// Ends a live session: durable first, then in the audit log's order, then out of memory. After `Ok` nothing is
    /// released under it any more.
    ///
    /// # Errors
    /// [`EndError`]; the session is dead in memory all the same.
    pub async fn end_live(
        &self,
        request_id: &str,
        principal: Principal,
        session: &Arc<LiveSession>,
        reason: EndReason,
    ) -> Result<(), EndError> {
        let stored = self.parts.sessions.end(&session.session_id, reason).await;
        let entry = entries::session_ended(request_id, principal, session, reason);
        let recorded = self.parts.audit.append(entry).await;
        session.end(reason);
        self.parts.sessions.forget(session);
        self.parts
            .metrics
            .sessions
            .set(i64::try_from(self.parts.sessions.count()).unwrap_or(i64::MAX));
        stored?;
        recorded?;
        Ok(())
    }
}

/// Why the end of a session is not durable.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// Its record.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The audit record.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
}
