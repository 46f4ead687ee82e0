//! A real gate over a store in memory with one holder signed in: how tests of other crates come by permits.

mod phone;

use crate::activation::Entries;
use crate::activation::Requested;
use crate::algorithm::KeyType;
use crate::clock::Clock;
use crate::clock::ClockBehindFloor;
use crate::clock::UnixSeconds;
use crate::gate::Gate;
use crate::gate::GateError;
use crate::gate::Presented;
use crate::key_life::KeyLife;
use crate::permit::ForRequested;
use crate::permit::HolderKey;
use crate::permit::Lease;
use crate::permit::Permit;
use crate::records::CardLink;
use crate::records::Credential;
use crate::records::CredentialStatus;
use crate::records::Fingerprint;
use crate::records::Holder;
use crate::records::Method;
use crate::records::SessionLimits;
use crate::records::SigningSystem;
use crate::registry::LiveCredential;
use crate::registry::Registry;
use crate::registry::Standing;
use crate::session::LiveSession;
use crate::sessions::Activation;
use crate::sessions::Approved;
use crate::sessions::SessionError;
use crate::sessions::Sessions;
use crate::sessions::Wanted;
use crate::sign_in::Approval;
use crate::store::memory::MemoryStore;
use crate::trust::TrustStore;
use crate::withdrawn::Withdrawn;
pub use phone::PhoneKey;
pub use phone::SoftPhone;
pub use phone::UP_UV;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// A clock set by hand.
#[derive(Default)]
pub struct HandClock(AtomicU64);

impl HandClock {
    /// Sets it.
    pub fn set(&self, now: u64) {
        self.0.store(now, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Result<UnixSeconds, ClockBehindFloor> {
        Ok(UnixSeconds(self.0.load(Ordering::SeqCst)))
    }
}

/// When the world begins: the evidence is from this second.
pub const START: u64 = 1_800_000_000;

/// One holder `u-1` with one credential `key`, signed in for the system `ehr`.
pub struct OpenGate {
    /// The gate.
    pub gate: Gate,
    /// Its registry.
    pub registry: Arc<Registry>,
    /// Its sessions.
    pub sessions: Arc<Sessions>,
    /// Its clock.
    pub clock: Arc<HandClock>,
    /// Its store.
    pub store: Arc<MemoryStore>,
    /// Certificate of the system `ehr`.
    pub certificate: Fingerprint,
    /// Value of `Signing-Session`.
    pub signing_token: String,
    /// The session.
    pub session: Arc<LiveSession>,
}

impl OpenGate {
    /// A world in which `key` may sign.
    ///
    /// # Errors
    /// [`SessionError`] never comes from a store in memory.
    pub async fn new(key: HolderKey, limits: SessionLimits) -> Result<Self, SessionError> {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(HandClock(AtomicU64::new(START)));
        let trust = TrustStore::new(store.clone(), &[1; 32]);
        let sessions = Arc::new(Sessions::new(trust, clock.clone()));
        let registry = Arc::new(Registry::default());
        let certificate = Fingerprint::of(b"client certificate of ehr");
        registry.put_holder(holder("u-1"));
        registry.put_card(card("u-1"));
        let system = system("ehr", certificate.clone(), limits);
        registry.put_system(system.clone());
        registry
            .put_credential(LiveCredential::new(credential("key", "u-1", key)))
            .judge(Standing::Good);
        let (signing_token, session) = sign_in(&sessions, &system, "u-1").await?;
        let gate = Gate::new(registry.clone(), sessions.clone(), clock.clone());
        Ok(Self { gate, registry, sessions, clock, store, certificate, signing_token, session })
    }

    /// A permit for what is requested with the key's default scheme.
    ///
    /// # Errors
    /// [`GateError`] as the gate says.
    pub async fn permit(
        &self,
        requested: impl Into<Requested>,
    ) -> Result<(Permit<ForRequested>, Lease), GateError> {
        let admission = self.gate.admit(self.presented())?;
        let scheme = admission.credential().record.key_type.default_scheme();
        self.gate.permit(admission, scheme, requested).await
    }

    /// Signs the holder in for `entries` alone: from here on [`Self::presented`] shows that session's token.
    ///
    /// # Errors
    /// [`SessionError`] never comes from a store in memory.
    pub async fn activate(&mut self, entries: Entries) -> Result<(), SessionError> {
        let system = self.registry.system("ehr").ok_or(SessionError::Contended)?;
        let signed_in = sign_in_for(&self.sessions, &system, "u-1", Some(entries)).await?;
        (self.signing_token, self.session) = signed_in;
        Ok(())
    }

    /// What an honest request shows.
    pub fn presented(&self) -> Presented<'_> {
        Presented {
            certificate: &self.certificate,
            signing_token: &self.signing_token,
            credential_id: Some("key"),
        }
    }
}

/// Signs `holder_id` in for `system`, with evidence that nobody checked.
///
/// # Errors
/// [`SessionError`] when the store fails.
pub async fn sign_in(
    sessions: &Sessions,
    system: &SigningSystem,
    holder_id: &str,
) -> Result<(String, Arc<LiveSession>), SessionError> {
    sign_in_for(sessions, system, holder_id, None).await
}

async fn sign_in_for(
    sessions: &Sessions,
    system: &SigningSystem,
    holder_id: &str,
    entries: Option<Entries>,
) -> Result<(String, Arc<LiveSession>), SessionError> {
    let wanted = Wanted {
        holder_id: None,
        methods: vec![Method::Hpki],
        return_url: Some("https://ehr.example/return".into()),
        entries,
    };
    let created = sessions.create(system, wanted).await?;
    let id = created.record.session_id;
    let once_key = Fingerprint::of(id.as_bytes());
    let approved = sessions.approve(&id, approval(holder_id, &id), &once_key, None).await?;
    let Approved::Code(Some(code)) = approved else {
        return Err(SessionError::Contended);
    };
    match sessions.activate(&id, &code, system.limits).await? {
        Activation::Active { signing_token, session } => {
            session.judge_evidence(Standing::Good);
            Ok((signing_token, session))
        }
        _ => Err(SessionError::Contended),
    }
}

/// Presence of `holder_id`, proved at [`START`], with more agreed to than any test allows.
pub fn approval(holder_id: &str, evidence: &str) -> Approval {
    Approval {
        holder_id: holder_id.into(),
        method: Method::Hpki,
        evidence: evidence.into(),
        factor: Fingerprint::of(holder_id.as_bytes()),
        certificate_b64: Some(String::new()),
        certificate_not_after: Some(UnixSeconds(START + 10 * 365 * 86_400)),
        second_certificates: Vec::new(),
        second_certificates_not_after: None,
        authenticated_at: UnixSeconds(START),
        limits: SessionLimits {
            seconds: SessionLimits::CEILING_SECONDS,
            idle_seconds: SessionLimits::CEILING_SECONDS,
            signatures: u64::MAX,
        },
        terminal: None,
        continued: None,
    }
}

/// An enabled holder.
pub fn holder(holder_id: &str) -> Holder {
    Holder {
        holder_id: holder_id.into(),
        display_name: holder_id.into(),
        enabled: true,
        ca_contact: None,
        created_at: UnixSeconds(START),
        withdrawn: Withdrawn::default(),
    }
}

/// The card that [`approval`] is made with.
pub fn card(holder_id: &str) -> CardLink {
    CardLink {
        card: Fingerprint::of(holder_id.as_bytes()),
        holder_id: holder_id.into(),
        subject: format!("CN={holder_id}"),
        not_after: None,
        linked_at: UnixSeconds(START),
    }
}

/// A signing system that may name everybody.
pub fn system(system_id: &str, certificate: Fingerprint, limits: SessionLimits) -> SigningSystem {
    SigningSystem {
        system_id: system_id.into(),
        display_name: system_id.into(),
        certificates: vec![certificate],
        return_urls: vec!["https://ehr.example/return".into()],
        holders: None,
        methods: vec![Method::Hpki],
        raw_allowed: true,
        bare_digests_allowed: true,
        limits,
        requests_per_second: 1_000,
        created_at: UnixSeconds(START),
    }
}

/// An active credential for `key`, valid for a year around [`START`].
pub fn credential(credential_id: &str, holder_id: &str, key: HolderKey) -> Credential {
    Credential {
        credential_id: credential_id.into(),
        holder_id: holder_id.into(),
        key_type: key.key_type,
        cka_id: key.cka_id,
        spki_der: key.spki_der,
        chain: Vec::new(),
        status: CredentialStatus::Active,
        not_before: UnixSeconds(START - 86_400),
        not_after: UnixSeconds(START + 365 * 86_400),
        hc_roles: Vec::new(),
        subject: format!("CN={credential_id}"),
        created_at: UnixSeconds(START),
        life: KeyLife::default(),
    }
}

/// A key that exists in no token.
pub fn no_key(key_type: KeyType) -> HolderKey {
    HolderKey { cka_id: vec![1; 16], spki_der: vec![2; 32], key_type }
}
