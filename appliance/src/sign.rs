//! The signing line: from a permit to a signature that may leave. Nothing else uses a holder's key.
//!
//! ```text
//! place in the audit log -> prepare signed attributes -> bind the permit to them -> key -> verify -> record -> release
//! ```

use crate::audit::AuditError;
use crate::audit::AuditLog;
use crate::audit::Entry;
use crate::audit::Slot;
use crate::keeper::entries;
use crate::keeper::entries::Made;
use crate::keeper::entries::Request;
use crate::metrics::Metrics;
use crate::metrics::Stage;
use attest::activation::Requested;
use attest::algorithm::Dtbsr;
use attest::clock::UnixSeconds;
use attest::permit::BindError;
use attest::permit::ForRequested;
use attest::permit::Lease;
use attest::permit::LeaseWithdrawn;
use attest::permit::Permit;
use attest::permit::ToSign;
use attest::session::LiveSession;
use cades::CmsError;
use cades::PublicKey;
use cades::SigningCertificate;
use hsm::Hsm;
use hsm::HsmError;
use hsm::SignatureValue;
use std::sync::Arc;

/// Why a signature did not leave.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The certificate cannot be used in CMS: our fault.
    #[error("the certificate cannot be used: {0}")]
    Certificate(CmsError),
    /// The format could not be built: our fault.
    #[error("the signature format cannot be built: {0}")]
    Format(CmsError),
    /// The permit is for other octets: our fault.
    #[error("the permit does not fit: {0}")]
    Permit(#[from] BindError),
    /// The key was not used, or nobody knows.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// The key gave a signature that its own public key does not verify: the credential must be quarantined.
    #[error("the signature does not verify with the credential's public key")]
    Mismatch,
    /// The session or credential ended while the key was used; nothing is released.
    #[error("nothing is released: {0}")]
    Withdrawn(LeaseWithdrawn),
    /// The record is not durable; nothing is released.
    #[error(transparent)]
    Audit(AuditError),
}

/// One signature to make: what the gate gave, and what the record says of it.
pub struct Order {
    /// Leave to use the key once.
    pub permit: Permit<ForRequested>,
    /// What can still be withdrawn.
    pub lease: Lease,
    /// What the permit is for.
    pub requested: Requested,
    /// What the audit record says besides.
    pub request: Request,
    /// Its place in the audit log, where that had to be had before the permit.
    pub place: Option<Slot>,
}

/// A signature that may leave.
pub struct Released<T> {
    /// The signature.
    pub signature: T,
    /// Its audit record.
    pub seq: u64,
}

/// The HSM and the audit log, in that order.
pub struct SigningLine {
    hsm: Arc<Hsm>,
    audit: Arc<AuditLog>,
    metrics: Arc<Metrics>,
}

impl SigningLine {
    /// A line over these two.
    pub fn new(hsm: Arc<Hsm>, audit: Arc<AuditLog>, metrics: Arc<Metrics>) -> Self {
        Self { hsm, audit, metrics }
    }

    /// Places in the audit log for `count` signatures of `session`. An entry of an activation is used up with its permit and
    /// not to be had again, so its place comes first; in a day session each signature takes its own when its turn comes.
    ///
    /// # Errors
    /// [`SignError::Audit`]; nothing is used up then.
    pub fn places(&self, session: &LiveSession, count: usize) -> Result<Vec<Slot>, SignError> {
        match session.entries() {
            Some(_) => (0..count).map(|_| self.place(None)).collect(),
            None => Ok(Vec::new()),
        }
    }

    fn place(&self, had: Option<Slot>) -> Result<Slot, SignError> {
        had.map_or_else(|| self.audit.reserve(1).map_err(SignError::Audit), Ok)
    }

    /// Makes one CAdES B-B signature; what comes back is the detached CMS, DER.
    ///
    /// # Errors
    /// [`SignError`]; nothing leaves then.
    pub async fn sign_cms(
        &self,
        order: Order,
        certificate: &SigningCertificate,
        signing_time: UnixSeconds,
    ) -> Result<Released<Vec<u8>>, SignError> {
        let Order { permit, lease, requested, request, place } = order;
        let Requested::Content(content_digest) = &requested else {
            return Err(BindError::OtherKind.into());
        };
        let slot = self.place(place)?;
        let scheme = permit.scheme();
        let prepared = cades::prepare(certificate, scheme, content_digest, signing_time)
            .map_err(SignError::Format)?;
        let permit = permit.bind_signed_attrs(prepared.signed_attrs_der())?;
        let (value, dtbsr) = self.use_key(permit).await?;
        let timer = self.metrics.stage(Stage::Verify);
        let verified = prepared.verify(value.cms()).map_err(|_| SignError::Mismatch)?;
        drop(timer);
        let cms_der = verified.assemble();
        let (requested, dtbsr) = (&requested, dtbsr.as_ref());
        let made = Made { scheme, requested, dtbsr, signature: value.cms(), signing_time };
        let seq = self.record(slot, entries::signature(request, &made, lease)).await?;
        Ok(Released { signature: cms_der, seq })
    }

    /// Makes one raw signature: of `octets`, or of the digest alone that the order is for.
    ///
    /// # Errors
    /// [`SignError`]; nothing leaves then.
    pub async fn sign_raw(
        &self,
        order: Order,
        octets: Option<&[u8]>,
        public_key: &PublicKey,
        signing_time: UnixSeconds,
    ) -> Result<Released<SignatureValue>, SignError> {
        let Order { permit, lease, requested, request, place } = order;
        let slot = self.place(place)?;
        let scheme = permit.scheme();
        let permit = match octets {
            Some(octets) => permit.bind_octets(octets)?,
            None => permit.bind_bare_digest()?,
        };
        let (value, dtbsr) = self.use_key(permit).await?;
        let timer = self.metrics.stage(Stage::Verify);
        let verified = match (octets, &dtbsr) {
            (Some(octets), _) => public_key.verify(scheme, octets, value.cms()),
            (None, Some(dtbsr)) => public_key.verify_digest(scheme, dtbsr, value.cms()),
            (None, None) => return Err(BindError::NotByDigest.into()),
        };
        verified.map_err(|_| SignError::Mismatch)?;
        drop(timer);
        let (requested, dtbsr) = (&requested, dtbsr.as_ref());
        let made = Made { scheme, requested, dtbsr, signature: value.cms(), signing_time };
        let seq = self.record(slot, entries::signature(request, &made, lease)).await?;
        Ok(Released { signature: value, seq })
    }

    async fn use_key(&self, permit: Permit) -> Result<(SignatureValue, Option<Dtbsr>), SignError> {
        let _timer = self.metrics.stage(Stage::Hsm);
        let dtbsr = match permit.to_sign() {
            ToSign::Dtbsr(dtbsr) => Some(dtbsr.clone()),
            ToSign::Message(_) => None,
        };
        Ok((self.hsm.sign(permit).await?, dtbsr))
    }

    async fn record(&self, slot: Slot, entry: Entry) -> Result<u64, SignError> {
        let _timer = self.metrics.stage(Stage::Audit);
        match slot.append(entry).await {
            Ok(receipt) => Ok(receipt.seq),
            Err(AuditError::Withdrawn(withdrawn)) => Err(SignError::Withdrawn(withdrawn)),
            Err(error) => Err(SignError::Audit(error)),
        }
    }
}
