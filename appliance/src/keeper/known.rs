//! Signatures made before, as their audit records have them: what answers a retry without the HSM.

use super::Keeper;
use crate::audit::Event;
use crate::audit::Record;
use crate::audit::record::session_hash;
use crate::audit::signature::Idempotency;
use api::problem::Code;
use api::problem::Problem;
use attest::algorithm::ContentDigest;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cades::SigningCertificate;
use std::sync::Arc;

/// One signature as its record has it.
#[derive(Clone)]
pub struct KnownSignature {
    /// Number of the record.
    pub seq: u64,
    /// The whole request, hashed.
    pub request: Fingerprint,
    /// The session, hashed.
    pub session: Fingerprint,
    /// Which key.
    pub credential_id: String,
    /// SHA-256 of its certificate then.
    pub certificate: Fingerprint,
    /// How it was made.
    pub scheme: SignatureScheme,
    content_digest: ContentDigest,
    signing_time: UnixSeconds,
    /// The value, in the form CMS has it.
    pub signature: Vec<u8>,
}

impl Keeper {
    /// The signature made under this idempotency key, whatever the request was.
    pub(super) fn known_signature(
        &self,
        idempotency: &Idempotency,
    ) -> Result<Option<KnownSignature>, Problem> {
        let record = self.parts.audit.find_retry(idempotency).map_err(|error| {
            tracing::error!(%error, "a record could not be read back");
            Problem::new(Code::AuditUnavailable)
        })?;
        match record {
            None => Ok(None),
            Some(record) => self.known(record).map(Some).ok_or_else(|| Code::Internal.into()),
        }
    }

    fn known(&self, record: Record) -> Option<KnownSignature> {
        let Event::Signature(facts) = record.event else {
            return None;
        };
        let credential = self.parts.registry.credential(&facts.credential_id)?;
        let scheme = credential.record.key_type.default_scheme();
        Some(KnownSignature {
            seq: record.seq,
            request: facts.idempotency?.request,
            session: facts.session,
            credential_id: facts.credential_id,
            certificate: facts.certificate,
            scheme: (scheme.name() == facts.algorithm).then_some(scheme)?,
            content_digest: ContentDigest::new(
                facts.content_digest.alg,
                facts.content_digest.value,
            )
            .ok()?,
            signing_time: facts.signing_time,
            signature: STANDARD.decode(facts.signature).ok()?,
        })
    }

    /// The CMS of a known signature again: the same octets, for they depend on nothing else.
    pub(super) fn rebuild(&self, known: &KnownSignature) -> Result<Vec<u8>, Problem> {
        let credential =
            self.parts.registry.credential(&known.credential_id).ok_or(Code::CredentialUnknown)?;
        let internal = |_| Problem::new(Code::Internal);
        let certificate = match credential.chain_of(&known.certificate) {
            Some(_) if credential.certificate == known.certificate => {
                self.signing_certificates.of(&credential).map_err(internal)?
            }
            // Made before a renewal: under the certificate of then.
            Some(chain) => Arc::new(SigningCertificate::new(chain).map_err(internal)?),
            None => {
                let detail = "the credential never had this certificate; use a new idempotency key";
                return Err(Problem::with_detail(Code::IdempotencyConflict, detail));
            }
        };
        let prepared =
            cades::prepare(&certificate, known.scheme, &known.content_digest, known.signing_time)
                .map_err(internal)?;
        let verified = prepared.verify(&known.signature).map_err(internal)?;
        Ok(verified.assemble())
    }

    /// Signatures and seconds left in the session that a signature was made in, which may be over. A retry comes with the
    /// token of the first try: that is part of its key.
    pub(super) fn left_of(
        &self,
        known: &KnownSignature,
        token: &str,
    ) -> Result<(u64, u64), Problem> {
        let now = self.now()?;
        let live = self.parts.sessions.by_token(token);
        let live = live.filter(|live| session_hash(&live.session_id) == known.session);
        Ok(live.map_or((0, 0), |live| (live.remaining(), now.seconds_until(live.expires_at))))
    }
}
