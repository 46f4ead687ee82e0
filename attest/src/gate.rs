//! The gate: every signature goes through here, twice.
//!
//! [`Gate::admit`] answers before a body is read; [`Gate::permit`] looks again once the digest is known, counts the
//! signatures, and hands out the only thing that opens a key. The rules, each with a test that breaks it alone:
//!
//! 1. the client certificate is pinned to a signing system;
//! 2. the token names a session of that system;
//! 3. the session has not ended;
//! 4. it is within its clock limit, counted from the evidence;
//! 5. it is within its idle limit;
//! 6. it has signatures left;
//! 7. the holder is enabled;
//! 8. the signing system may name this holder;
//! 9. the credential is the holder's;
//! 10. the credential is active: neither revoked, nor quarantined, nor without certificate;
//! 11. its certificate passed its last check (path, revocation) and is within its validity;
//! 12. the content digest is of the algorithm that the key signs with;
//! 13. where the evidence has a certificate, that passed its last check, too;
//! 14. the factor that proved presence is still the holder's: the card linked (HPKI or My Number), the authenticator
//!     registered;
//! 15. under an activation: what is asked for is one of its entries, of the same kind, algorithm, value and credential;
//! 16. each entry serves once;
//! 17. a bare digest is signed under an activation only, only where the registration opens that, and by no key that signs
//!     messages (Ed25519).

use crate::activation::NotSpent;
use crate::activation::Requested;
use crate::algorithm::ContentDigest;
use crate::algorithm::DigestAlgorithm;
use crate::algorithm::SignatureScheme;
use crate::clock::Clock;
use crate::clock::ClockBehindFloor;
use crate::clock::UnixSeconds;
use crate::permit::ForRequested;
use crate::permit::Lease;
use crate::permit::Permit;
use crate::records::CredentialStatus;
use crate::records::Fingerprint;
use crate::records::Method;
use crate::records::SigningSystem;
use crate::registry::LiveCredential;
use crate::registry::Registry;
use crate::registry::Standing;
use crate::session::EndReason;
use crate::session::LiveSession;
use crate::sessions::SessionError;
use crate::sessions::Sessions;
use std::sync::Arc;

/// Why the gate stays shut.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Rule 1.
    #[error("the client certificate is not pinned to a signing system")]
    SystemUnknown,
    /// Rule 2: no such token, or another signing system's; nobody is told which.
    #[error("no session of this signing system has this token")]
    SessionUnknown,
    /// Rules 3, 4, 5, 6.
    #[error("the session is over: {0:?}")]
    SessionOver(EndReason),
    /// Rule 7.
    #[error("the holder is disabled")]
    HolderDisabled,
    /// Rule 8.
    #[error("the signing system may not name this holder")]
    HolderNotAllowed,
    /// Rule 9: not the holder's, or not there at all; nobody is told which.
    #[error("the holder has no such credential")]
    CredentialUnknown,
    /// None named, and not exactly one usable.
    #[error("the holder has {0} usable credentials; one must be named")]
    CredentialAmbiguous(usize),
    /// Rule 10.
    #[error("the credential is {0:?}")]
    CredentialNotActive(CredentialStatus),
    /// Rule 11, times.
    #[error("the certificate is outside its validity")]
    CertificateExpired,
    /// Rule 11, the last check of path and revocation.
    #[error("the certificate's last check says {0:?}")]
    CertificateNotGood(Standing),
    /// Rule 13.
    #[error("the last check of the evidence certificate says {0:?}")]
    EvidenceNotGood(Standing),
    /// Rule 12.
    #[error("the key signs {expected}, the content digest is {actual}", expected = .expected.name(), actual = .actual.name())]
    DigestAlgorithm {
        /// What the key signs.
        expected: DigestAlgorithm,
        /// What was given.
        actual: DigestAlgorithm,
    },
    /// Rule 15.
    #[error("this is none of the entries that were approved")]
    NoEntry,
    /// Rule 16.
    #[error("the entry was used before")]
    EntryUsed,
    /// Rule 17.
    #[error("a bare digest is not signed here")]
    BareDigest,
    /// The clock cannot be trusted.
    #[error(transparent)]
    Clock(#[from] ClockBehindFloor),
    /// The session's durable record could not be written.
    #[error(transparent)]
    Sessions(#[from] SessionError),
}

impl From<NotSpent> for GateError {
    fn from(fault: NotSpent) -> Self {
        match fault {
            NotSpent::NoEntry => Self::NoEntry,
            NotSpent::Used => Self::EntryUsed,
        }
    }
}

/// What a request shows at the gate.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// SHA-256 of the client certificate.
    pub certificate: &'a Fingerprint,
    /// Value of `Signing-Session`.
    pub signing_token: &'a str,
    /// The credential named, if one is.
    pub credential_id: Option<&'a str>,
}

/// The gate opened before the body; good for nothing without [`Gate::permit`].
pub struct Admission {
    system: Arc<SigningSystem>,
    session: Arc<LiveSession>,
    credential: Arc<LiveCredential>,
    at: UnixSeconds,
}

impl Admission {
    /// The signing system that asks.
    pub fn system(&self) -> &Arc<SigningSystem> {
        &self.system
    }

    /// The session that stands for the holder's presence.
    pub fn session(&self) -> &Arc<LiveSession> {
        &self.session
    }

    /// The credential that will sign.
    pub fn credential(&self) -> &Arc<LiveCredential> {
        &self.credential
    }

    /// Rules 15 and 16 as far as they can be known before the content: whether it may be what is `announced`, or anything.
    ///
    /// # Errors
    /// [`GateError::NoEntry`], [`GateError::EntryUsed`].
    pub fn expects(&self, announced: Option<&ContentDigest>) -> Result<(), GateError> {
        let credential_id = &self.credential.record.credential_id;
        self.session.expects(credential_id, announced).map_err(GateError::from)
    }

    /// When the gate opened.
    pub fn at(&self) -> UnixSeconds {
        self.at
    }
}

/// Makes permits; nothing else does.
pub struct Gate {
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    /// A gate over the registry and the sessions.
    pub fn new(registry: Arc<Registry>, sessions: Arc<Sessions>, clock: Arc<dyn Clock>) -> Self {
        Self { registry, sessions, clock }
    }

    /// Looks at everything that can be known before the content: all but rule 12.
    ///
    /// # Errors
    /// [`GateError`] with the rule that does not hold.
    pub fn admit(&self, presented: Presented<'_>) -> Result<Admission, GateError> {
        let now = self.clock.now()?;
        let system =
            self.registry.system_of(presented.certificate).ok_or(GateError::SystemUnknown)?;
        let Some(session) = self.sessions.by_token(presented.signing_token) else {
            let over = self.sessions.over_by_token(presented.signing_token, &system.system_id);
            return Err(over.map_or(GateError::SessionUnknown, GateError::SessionOver));
        };
        if session.system_id != system.system_id {
            return Err(GateError::SessionUnknown);
        }
        self.check_session(&system, &session, now)?;
        let credential = self.credential(&session, presented.credential_id, now)?;
        Ok(Admission { system, session, credential, at: now })
    }

    /// Looks again and takes one signature from the session.
    ///
    /// # Errors
    /// [`GateError`] with the rule that does not hold; nothing is counted then.
    pub async fn permit(
        &self,
        admission: Admission,
        scheme: SignatureScheme,
        requested: impl Into<Requested>,
    ) -> Result<(Permit<ForRequested>, Lease), GateError> {
        let mut permits = self.permit_all(admission, scheme, vec![requested.into()]).await?;
        permits.pop().ok_or(GateError::SessionUnknown)
    }

    /// As [`Gate::permit`] for several at once, all or nothing, also against the remaining count.
    ///
    /// # Errors
    /// [`GateError`] with the rule that does not hold; nothing is counted then.
    pub async fn permit_all(
        &self,
        admission: Admission,
        scheme: SignatureScheme,
        requested: Vec<Requested>,
    ) -> Result<Vec<(Permit<ForRequested>, Lease)>, GateError> {
        let Admission { system, session, credential, .. } = admission;
        let now = self.clock.now()?;
        self.check_session(&system, &session, now)?;
        self.check_credential(&credential, now)?;
        let expected = credential.record.key_type.digest();
        if let Some(actual) =
            requested.iter().map(Requested::algorithm).find(|actual| *actual != expected)
        {
            return Err(GateError::DigestAlgorithm { expected, actual });
        }
        let is_bare = |one: &Requested| matches!(one, Requested::BareDigest(_));
        let is_opened = session.entries().is_some() && system.bare_digests_allowed;
        let may_be_bare = is_opened && scheme.digest().is_some();
        if requested.iter().any(is_bare) && !may_be_bare {
            return Err(GateError::BareDigest);
        }
        self.take(&session, &credential.record.credential_id, &requested).await?;
        session.touch(now);
        let lease = Lease::new(session, Arc::clone(&credential));
        let permit = |one| (Permit::new(Arc::clone(&credential.key), scheme, one), lease.clone());
        Ok(requested.into_iter().map(permit).collect())
    }

    /// Rules 6, 15 and 16, durably.
    async fn take(
        &self,
        session: &LiveSession,
        credential_id: &str,
        requested: &[Requested],
    ) -> Result<(), GateError> {
        if session.entries().is_some() {
            return self.sessions.spend(session, credential_id, requested).await;
        }
        let count = u64::try_from(requested.len()).unwrap_or(u64::MAX);
        self.sessions.take(session, count).await?.map_err(GateError::SessionOver)
    }

    fn check_session(
        &self,
        system: &SigningSystem,
        session: &LiveSession,
        now: UnixSeconds,
    ) -> Result<(), GateError> {
        if let Some(reason) = session.over(now) {
            return Err(GateError::SessionOver(reason));
        }
        let (factor, holder_id) = (&session.factor, &session.holder_id);
        if !is_factor_of(&self.registry, session.method, factor, holder_id) {
            return Err(GateError::SessionOver(EndReason::EvidenceRevoked));
        }
        if session.evidence_standing() != Standing::Good {
            return Err(GateError::EvidenceNotGood(session.evidence_standing()));
        }
        if session.remaining() == 0 {
            return Err(GateError::SessionOver(EndReason::Exhausted));
        }
        match self.registry.holder(&session.holder_id) {
            Some(holder) if holder.enabled => {}
            _ => return Err(GateError::HolderDisabled),
        }
        match may_name(system, &session.holder_id) {
            true => Ok(()),
            false => Err(GateError::HolderNotAllowed),
        }
    }

    fn credential(
        &self,
        session: &LiveSession,
        named: Option<&str>,
        now: UnixSeconds,
    ) -> Result<Arc<LiveCredential>, GateError> {
        let Some(credential_id) = named else {
            return self.only_usable_credential(session, now);
        };
        let credential =
            self.registry.credential(credential_id).ok_or(GateError::CredentialUnknown)?;
        if credential.record.holder_id != session.holder_id {
            return Err(GateError::CredentialUnknown);
        }
        self.check_credential(&credential, now)?;
        Ok(credential)
    }

    /// Rules 10 and 11. What was stopped after it was looked up is told what its record says by now.
    fn check_credential(
        &self,
        credential: &LiveCredential,
        now: UnixSeconds,
    ) -> Result<(), GateError> {
        let checked = check_credential(credential, now);
        if let Err(GateError::CredentialNotActive(_)) = checked
            && let Some(by_now) = self.registry.credential(&credential.record.credential_id)
        {
            check_credential(&by_now, now)?;
        }
        checked
    }

    fn only_usable_credential(
        &self,
        session: &LiveSession,
        now: UnixSeconds,
    ) -> Result<Arc<LiveCredential>, GateError> {
        let all = self.registry.credentials_of(&session.holder_id);
        let mut usable = all.iter().filter(|credential| check_credential(credential, now).is_ok());
        match (usable.next(), usable.count()) {
            (Some(only), 0) => Ok(Arc::clone(only)),
            (Some(_), more) => Err(GateError::CredentialAmbiguous(more + 1)),
            // The only one there says more by its own fault than "none usable".
            (None, _) => match all.as_slice() {
                [only] => {
                    let checked = self.check_credential(only, now);
                    Err(checked.err().unwrap_or(GateError::CredentialUnknown))
                }
                _ => Err(GateError::CredentialUnknown),
            },
        }
    }
}

/// Whether `system` may name `holder_id` at all.
pub fn may_name(system: &SigningSystem, holder_id: &str) -> bool {
    system.holders.as_ref().is_none_or(|holders| holders.iter().any(|allowed| allowed == holder_id))
}

/// Rule 14, for whatever rests on a factor.
pub fn is_factor_of(
    registry: &Registry,
    method: Method,
    factor: &Fingerprint,
    holder_id: &str,
) -> bool {
    match method {
        Method::Hpki => registry.card(factor).is_some_and(|link| link.holder_id == *holder_id),
        Method::Fido2 => registry
            .authenticator(factor)
            .is_some_and(|authenticator| authenticator.holder_id == *holder_id),
        Method::Jpki => registry.jpki(factor).is_some_and(|link| link.holder_id == *holder_id),
    }
}

/// Rules 10 and 11.
///
/// # Errors
/// [`GateError`] with the one that does not hold.
pub fn check_credential(credential: &LiveCredential, now: UnixSeconds) -> Result<(), GateError> {
    let record = &credential.record;
    if record.status != CredentialStatus::Active {
        return Err(GateError::CredentialNotActive(record.status));
    }
    if credential.is_stopped() {
        return Err(GateError::CredentialNotActive(CredentialStatus::Quarantined));
    }
    if now < record.not_before || now > record.not_after {
        return Err(GateError::CertificateExpired);
    }
    match credential.standing() {
        Standing::Good => Ok(()),
        standing => Err(GateError::CertificateNotGood(standing)),
    }
}
