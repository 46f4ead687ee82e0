//! Batches of digests or raw octets: authorised all or nothing, signed and recorded one by one.

use super::Keeper;
use super::entries::Request;
use super::known::KnownSignature;
use super::refused::after_use;
use super::retries::Idempotencies;
use super::signing::receipt;
use crate::audit::Slot;
use crate::metrics::SignatureResult;
use crate::sign::Order;
use crate::sign::SignError;
use api::operations::Caller;
use api::operations::SignedBatch;
use api::problem::Code;
use api::problem::Problem;
use api::wire;
use attest::activation::Requested;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::clock::UnixSeconds;
use attest::gate::Admission;
use attest::permit::ForRequested;
use attest::permit::Lease;
use attest::permit::Permit;
use attest::registry::LiveCredential;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::stream;
use hsm::EcdsaDer;
use std::collections::HashSet;
use std::iter;
use std::sync::Arc;

/// Items of one batch that are under way at once.
const AT_ONCE: usize = 64;
/// Raw octets of one item: the largest SignedInfo seen in practice has a few references.
const MAX_RAW_OCTETS: usize = 64 * 1024;

impl Keeper {
    pub(super) fn check_items(&self, request: &wire::SignDigests) -> Result<(), Problem> {
        let malformed = |detail: String| Problem::with_detail(Code::MalformedRequest, detail);
        let limit = self.parts.settings.digest_items;
        if request.items.is_empty() || request.items.len() > limit {
            return Err(malformed(format!("items must hold 1 to {limit} entries")));
        }
        if request.output == wire::Output::Cms && request.signature_format.is_some() {
            return Err(malformed("signature_format goes with output raw".to_owned()));
        }
        if request.output == wire::Output::Raw && request.level.is_some() {
            return Err(malformed("level goes with output cms".to_owned()));
        }
        let mut ids = HashSet::new();
        for item in &request.items {
            if !(1..=64).contains(&item.id.chars().count()) || !ids.insert(&item.id) {
                return Err(malformed(format!(
                    "id {:?} must be unique and have 1 to 64 characters",
                    item.id
                )));
            }
            let complete = match request.output {
                wire::Output::Cms => {
                    item.alg.is_some()
                        && item.digest.is_some()
                        && item.octets.is_none()
                        && item.shape.is_none()
                }
                wire::Output::Raw => {
                    let is_bare = item.alg.is_some();
                    item.digest.is_some() == is_bare
                        && item.octets.is_some() != is_bare
                        && item.shape.is_some() != is_bare
                }
            };
            if !complete {
                return Err(malformed(format!(
                    "item {:?}: output cms takes alg and digest, output raw takes octets and shape, or alg and digest",
                    item.id
                )));
            }
        }
        Ok(())
    }

    /// Which items were signed before under the batch's key.
    pub(super) fn known_items(
        &self,
        idempotency: &Idempotencies,
        count: usize,
    ) -> Result<Vec<Option<KnownSignature>>, Problem> {
        let known = |index| match idempotency.of(index) {
            Some(item) => self.known_signature(&item),
            None => Ok(None),
        };
        let known = (0..count).map(known).collect::<Result<Vec<_>, _>>()?;
        match known.iter().flatten().any(|known| known.request != idempotency.request) {
            true => Err(Code::IdempotencyConflict.into()),
            false => Ok(known),
        }
    }

    /// The whole batch again, from its records.
    pub(super) fn repeat_batch(
        &self,
        request: &wire::SignDigests,
        idempotency: &Idempotencies,
        known: Vec<Option<KnownSignature>>,
    ) -> Result<SignedBatch, Problem> {
        let mut items = Vec::with_capacity(known.len());
        let mut left = (0, 0);
        for (item, known) in request.items.iter().zip(known.into_iter().flatten()) {
            left = self.left_of(&known, &idempotency.signing_token)?;
            items.push(self.repeat_item(request, &item.id, &known)?);
        }
        let (remaining_signatures, remaining_seconds) = left;
        Ok(SignedBatch {
            answer: wire::SignedDigests { items },
            remaining_signatures,
            remaining_seconds,
        })
    }

    /// The rest of the batch is refused as `problem` says; what was signed before under its key is answered all the same.
    fn repeat_what_is_known(
        &self,
        request: &wire::SignDigests,
        idempotency: &Idempotencies,
        known: Vec<Option<KnownSignature>>,
        problem: Problem,
    ) -> Result<SignedBatch, Problem> {
        if known.iter().all(Option::is_none) {
            return Err(problem);
        }
        let mut items = Vec::with_capacity(known.len());
        let mut left = (0, 0);
        for (item, known) in request.items.iter().zip(known) {
            let id = item.id.clone();
            items.push(match known {
                Some(known) => {
                    left = self.left_of(&known, &idempotency.signing_token)?;
                    self.repeat_item(request, &id, &known)?
                }
                None => wire::ItemOutcome::Refused { id, problem: problem.code },
            });
        }
        let (remaining_signatures, remaining_seconds) = left;
        Ok(SignedBatch {
            answer: wire::SignedDigests { items },
            remaining_signatures,
            remaining_seconds,
        })
    }

    fn repeat_item(
        &self,
        request: &wire::SignDigests,
        id: &str,
        known: &KnownSignature,
    ) -> Result<wire::ItemOutcome, Problem> {
        self.parts.metrics.signature(SignatureResult::Repeated, known.scheme.name());
        let signature = match request.output {
            wire::Output::Cms => self.rebuild(known)?,
            wire::Output::Raw => {
                let credential = self
                    .parts
                    .registry
                    .credential(&known.credential_id)
                    .ok_or(Code::CredentialUnknown)?;
                recorded_form(
                    credential.record.key_type,
                    &known.signature,
                    request.signature_format,
                )?
            }
        };
        Ok(wire::ItemOutcome::Signed {
            id: id.to_owned(),
            signature: STANDARD.encode(signature),
            receipt: receipt(known.seq),
        })
    }

    pub(super) async fn sign_items(
        &self,
        caller: &Caller,
        request: wire::SignDigests,
        idempotency: &Idempotencies,
        known: Vec<Option<KnownSignature>>,
    ) -> Result<SignedBatch, Problem> {
        let admission =
            self.admission(caller, &idempotency.signing_token, request.credential.as_deref()).await;
        let admission = match admission {
            Ok(admission) => admission,
            Err(problem) => {
                return self.repeat_what_is_known(&request, idempotency, known, problem);
            }
        };
        let (session, credential) = (admission.session().clone(), admission.credential().clone());
        let at = admission.at();
        let contents = request
            .items
            .iter()
            .map(|item| Content::of(item, request.output, credential.record.key_type.digest()))
            .collect::<Result<Vec<_>, _>>()?;
        let fresh: Vec<_> = known
            .iter()
            .zip(&contents)
            .filter(|(known, _)| known.is_none())
            .map(|(_, content)| content.requested.clone())
            .collect();
        let fresh_count = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        let permits = match self.permits(caller, admission, fresh).await {
            Ok(permits) => permits,
            Err(problem) => {
                return self.repeat_what_is_known(&request, idempotency, known, problem);
            }
        };
        let mut permits = permits.into_iter();
        let mut jobs = Vec::with_capacity(contents.len());
        for (index, (content, known)) in contents.into_iter().zip(known).enumerate() {
            let id = request.items.get(index).map(|item| item.id.clone()).unwrap_or_default();
            let label = request.items.get(index).and_then(|item| item.label.clone());
            let job = match known {
                Some(known) => Job::Known(known),
                None => {
                    let Permitted { permit, lease, place } =
                        permits.next().ok_or(Code::Internal)?;
                    let asked = Request {
                        request_id: caller.request_id.clone(),
                        session: session.clone(),
                        credential: credential.clone(),
                        idempotency: idempotency.of(index),
                        label,
                        packaging: match &content.requested {
                            Requested::Content(_) => "cms",
                            Requested::Octets(_) => "raw",
                            Requested::BareDigest(_) => "digest",
                        },
                    };
                    let requested = content.requested;
                    let order = Order { permit, lease, requested, request: asked, place };
                    Job::Fresh(Box::new(order), content.octets)
                }
            };
            jobs.push((id, job));
        }
        let running =
            jobs.into_iter().map(|(id, job)| self.run(caller, &request, &credential, id, job, at));
        // Never more at once than the HSM's queue takes beside other callers.
        let items: Vec<_> = stream::iter(running).buffered(AT_ONCE).collect().await;
        self.settle(caller, &session, fresh_count).await;
        let now = self.now()?;
        Ok(SignedBatch {
            answer: wire::SignedDigests { items },
            remaining_signatures: session.remaining(),
            remaining_seconds: now.seconds_until(session.expires_at),
        })
    }

    /// Permits for all of `fresh`, or for none.
    pub(super) async fn permits(
        &self,
        caller: &Caller,
        admission: Admission,
        fresh: Vec<Requested>,
    ) -> Result<Vec<Permitted>, Problem> {
        let (session, credential) = (admission.session().clone(), admission.credential().clone());
        let scheme = credential.record.key_type.default_scheme();
        let places = match self.line.places(&session, fresh.len()) {
            Ok(places) => places.into_iter().map(Some).chain(iter::repeat_with(|| None)),
            Err(error) => return Err(self.not_signed(caller, &credential, &error).await),
        };
        match self.gate.permit_all(admission, scheme, fresh).await {
            Ok(permits) => {
                let permits = permits.into_iter().zip(places);
                let permitted = |((permit, lease), place)| Permitted { permit, lease, place };
                Ok(permits.map(permitted).collect())
            }
            Err(error) => {
                let id = Some(credential.record.credential_id.as_str());
                Err(self.shut(caller, &error, id, scheme.name()).await)
            }
        }
    }

    async fn run(
        &self,
        caller: &Caller,
        request: &wire::SignDigests,
        credential: &Arc<LiveCredential>,
        id: String,
        job: Job,
        at: UnixSeconds,
    ) -> wire::ItemOutcome {
        let (order, octets) = match job {
            Job::Known(known) => {
                return match self.repeat_item(request, &id, &known) {
                    Ok(outcome) => outcome,
                    Err(problem) => wire::ItemOutcome::Refused { id, problem: problem.code },
                };
            }
            Job::Fresh(order, octets) => (order, octets),
        };
        let session = order.request.session.clone();
        let made = match request.output {
            wire::Output::Cms => self.make_cms(credential, *order, at).await,
            wire::Output::Raw => {
                self.make_raw(request, credential, *order, octets.as_deref(), at).await
            }
        };
        match made {
            Ok((signature, seq)) => {
                let algorithm = credential.record.key_type.default_scheme().name();
                self.parts.metrics.signature(SignatureResult::Released, algorithm);
                wire::ItemOutcome::Signed {
                    id,
                    signature: STANDARD.encode(signature),
                    receipt: receipt(seq),
                }
            }
            Err(error) => {
                let problem = self.not_signed(caller, credential, &error).await;
                wire::ItemOutcome::Refused { id, problem: after_use(&session, problem).code }
            }
        }
    }

    async fn make_cms(
        &self,
        credential: &Arc<LiveCredential>,
        order: Order,
        at: UnixSeconds,
    ) -> Result<(Vec<u8>, u64), SignError> {
        let certificate =
            self.signing_certificates.of(credential).map_err(SignError::Certificate)?;
        let released = self.line.sign_cms(order, &certificate, at).await?;
        Ok((released.signature, released.seq))
    }

    async fn make_raw(
        &self,
        request: &wire::SignDigests,
        credential: &Arc<LiveCredential>,
        order: Order,
        octets: Option<&[u8]>,
        at: UnixSeconds,
    ) -> Result<(Vec<u8>, u64), SignError> {
        let certificate =
            self.signing_certificates.of(credential).map_err(SignError::Certificate)?;
        let released = self.line.sign_raw(order, octets, certificate.public_key(), at).await?;
        Ok((raw_form(&released.signature, request.signature_format), released.seq))
    }
}

/// Leave to sign once, and what goes with it.
pub(super) struct Permitted {
    pub permit: Permit<ForRequested>,
    pub lease: Lease,
    /// See [`Order::place`].
    pub place: Option<Slot>,
}

/// One item of a batch, on its way.
enum Job {
    /// Signed before under the same idempotency key.
    Known(KnownSignature),
    /// To be signed, with the octets where they are at hand.
    Fresh(Box<Order>, Option<Vec<u8>>),
}

/// What an item asks to have signed.
struct Content {
    requested: Requested,
    octets: Option<Vec<u8>>,
}

impl Content {
    fn of(
        item: &wire::DigestItem,
        output: wire::Output,
        expected: DigestAlgorithm,
    ) -> Result<Self, Problem> {
        let malformed = |what: &str| {
            Problem::with_detail(Code::MalformedRequest, format!("item {:?}: {what}", item.id))
        };
        if let Some(octets_b64) = &item.octets {
            let octets =
                STANDARD.decode(octets_b64).map_err(|_| malformed("octets is not base64"))?;
            if octets.len() > MAX_RAW_OCTETS {
                return Err(malformed("octets is longer than 65,536 octets"));
            }
            let shape = match item.shape {
                Some(wire::RawShape::SignedInfo) => cades::RawShape::SignedInfo,
                Some(wire::RawShape::SignedAttrs) => cades::RawShape::SignedAttrs,
                None => return Err(malformed("shape is missing")),
            };
            shape.check(&octets).map_err(|error| malformed(&error.to_string()))?;
            let requested = Requested::Octets(Dtbsr::of(expected, &octets));
            return Ok(Self { requested, octets: Some(octets) });
        }
        let digest_b64 = item.digest.as_deref().unwrap_or_default();
        let digest = STANDARD.decode(digest_b64).map_err(|_| malformed("digest is not base64"))?;
        let algorithm: DigestAlgorithm =
            item.alg.ok_or_else(|| malformed("alg is missing"))?.into();
        if algorithm != expected {
            return Err(malformed(&format!(
                "this key signs {} digests; send that one",
                expected.name()
            )));
        }
        let requested = match output {
            wire::Output::Cms => ContentDigest::new(algorithm, digest).map(Requested::Content),
            wire::Output::Raw => Dtbsr::new(algorithm, digest).map(Requested::BareDigest),
        };
        let requested = requested.map_err(|error| malformed(&error.to_string()))?;
        Ok(Self { requested, octets: None })
    }
}

fn raw_form(value: &hsm::SignatureValue, format: Option<wire::SignatureFormat>) -> Vec<u8> {
    match format.unwrap_or_default() {
        wire::SignatureFormat::Der => value.cms().to_vec(),
        wire::SignatureFormat::P1363 => value.p1363().to_vec(),
    }
}

/// The raw form of a signature value that its audit record has in CMS form.
fn recorded_form(
    key_type: KeyType,
    signature: &[u8],
    format: Option<wire::SignatureFormat>,
) -> Result<Vec<u8>, Problem> {
    let is_ecdsa = matches!(key_type, KeyType::P256 | KeyType::P384 | KeyType::P521);
    match format.unwrap_or_default() {
        wire::SignatureFormat::P1363 if is_ecdsa => EcdsaDer::new(signature.to_vec())
            .and_then(|der| der.to_raw(key_type))
            .map(|raw| raw.as_bytes().to_vec())
            .map_err(|_| Problem::new(Code::Internal)),
        _ => Ok(signature.to_vec()),
    }
}
