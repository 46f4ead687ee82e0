//! What signing systems ask: sessions, credentials, signatures.

use super::Keeper;
use super::batch::Permitted;
use super::entries;
use super::refused::after_use;
use super::refused::internal;
use super::retries::Idempotencies;
use super::retries::scoped;
use super::retries::still_running;
use super::session_steps::deny_text;
use super::session_steps::is_final;
use super::views;
use crate::audit::Principal;
use crate::audit::signature::Idempotency;
use crate::idempotency::fingerprint;
use crate::metrics::SignatureResult;
use crate::metrics::Stage;
use crate::problems;
use crate::sign::Order;
use crate::sign::Released;
use api::operations::Admitted;
use api::operations::Caller;
use api::operations::SignHead;
use api::operations::Signed;
use api::operations::SignedBatch;
use api::operations::Signing;
use api::problem::Code;
use api::problem::Problem;
use api::wire;
use async_trait::async_trait;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::clock::UnixSeconds;
use attest::gate::Admission;
use attest::gate::Presented;
use attest::gate::may_name;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SigningSystem;
use attest::registry::LiveCredential;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sessions::Activation;
use attest::sessions::Wanted;
use attest::sign_in::DenyReason;
use attest::sign_in::Phase;
use attest::sign_in::link_token;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl Signing for Keeper {
    async fn info(&self, caller: &Caller) -> Result<wire::Info, Problem> {
        let system = self.system(caller)?;
        let settings = &self.parts.settings;
        Ok(wire::Info {
            name: "Inkan".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_versions: vec!["v1".to_owned()],
            algorithms: self.algorithms(),
            levels: vec![wire::Level::BaselineB],
            packagings: vec![wire::Packaging::Detached, wire::Packaging::Attached],
            limits: wire::InfoLimits {
                attached_bytes: settings.attached_bytes,
                detached_bytes: settings.detached_bytes,
                digest_items: u64::try_from(settings.digest_items).unwrap_or(u64::MAX),
                entries: u64::try_from(settings.entries).unwrap_or(u64::MAX),
                entry_label_characters: u64::try_from(settings.entry_label_characters)
                    .unwrap_or(u64::MAX),
                raw_allowed: system.raw_allowed,
                bare_digests_allowed: system.bare_digests_allowed,
                requests_per_second: system.requests_per_second,
            },
            session: wire::InfoSession {
                seconds: system.limits.seconds,
                idle_seconds: system.limits.idle_seconds,
                signatures: system.limits.signatures,
                once_seconds: settings.once_seconds.min(system.limits.seconds),
                methods: system.methods.iter().map(|method| (*method).into()).collect(),
            },
            time_source: "system-clock".to_owned(),
            danger_test_mode: self.danger_test_mode(),
        })
    }

    async fn create_session(
        &self,
        caller: &Caller,
        new: wire::NewSession,
    ) -> Result<wire::SessionCreated, Problem> {
        let system = self.system(caller)?;
        if let Some(holder_id) = &new.holder {
            let holder =
                self.parts.registry.holder(holder_id).filter(|_| may_name(&system, holder_id));
            let holder = holder.ok_or(Code::HolderUnknown)?;
            if !holder.enabled {
                return Err(Code::HolderDisabled.into());
            }
            self.holder_rate(&system, holder_id)?;
        }
        if let Some(url) = &new.return_url
            && !system.return_urls.contains(url)
        {
            let detail =
                "this return_url is not registered for this signing system; it must match exactly";
            return Err(Problem::with_detail(Code::NotPermitted, detail));
        }
        let wanted = Wanted {
            entries: self.entries_of(&system, &new)?,
            holder_id: new.holder,
            methods: self.methods(&system, new.methods)?,
            return_url: new.return_url,
        };
        let created = self
            .parts
            .sessions
            .create(&system, wanted)
            .await
            .map_err(|error| problems::session(&error))?;
        let record = created.record;
        if let Some(asked) = entries::activation_asked(&caller.request_id, &record) {
            // What is to be approved is durable before anybody is shown it.
            self.parts.audit.append(asked).await.map_err(|error| {
                let request_id = &caller.request_id;
                tracing::error!(request_id, %error, "what is to be approved could not be recorded");
                Problem::new(Code::AuditUnavailable)
            })?;
        }
        let link = link_token(&record.session_id, &created.link_secret);
        Ok(wire::SessionCreated {
            login_url: format!("{}/login/{link}", self.login_origin(&record)),
            expires_at: record.link_expires_at.to_string(),
            session_id: record.session_id,
            state: wire::SessionState::Pending,
            number: created.number,
        })
    }

    async fn session(
        &self,
        caller: &Caller,
        session_id: &str,
        wait: Duration,
    ) -> Result<wire::SessionView, Problem> {
        let system = self.system(caller)?;
        let changed = self.parts.sessions.changed(session_id);
        let deadline = tokio::time::Instant::now() + wait;
        let first = self.view(&self.own_session(&system, session_id).await?)?;
        let mut view = first.clone();
        while view.state == first.state && !is_final(view.state) {
            let next = changed.next();
            view = self.view(&self.own_session(&system, session_id).await?)?;
            if view.state != first.state || tokio::time::timeout_at(deadline, next).await.is_err() {
                break;
            }
        }
        if view.state == first.state {
            view = self.view(&self.own_session(&system, session_id).await?)?;
        }
        Ok(view)
    }

    async fn activate(
        &self,
        caller: &Caller,
        session_id: &str,
        activate: wire::Activate,
    ) -> Result<wire::Activated, Problem> {
        let system = self.system(caller)?;
        let record = self.own_session(&system, session_id).await?;
        let method = match &record.phase {
            Phase::Approved { approval, .. } => approval.method,
            _ => Method::Hpki,
        };
        let present = self.offered(&system, &record, method);
        let outcome = self.parts.sessions.activate(session_id, &activate.code, present).await;
        match outcome.map_err(|error| problems::session(&error))? {
            Activation::Active { signing_token, session } => {
                let now = self.activated(caller, &session).await?;
                Ok(wire::Activated {
                    signing_token,
                    purpose: views::purpose(session.entries().is_some()),
                    holder: session.holder_id.clone(),
                    method: session.method.into(),
                    expires_at: session.expires_at.to_string(),
                    remaining_signatures: session.remaining(),
                    remaining_entries: views::remaining_entries(&session),
                    credentials: self.usable_credentials(&session, now),
                })
            }
            Activation::Pending => Err(Code::SessionPending.into()),
            Activation::WrongCode { denied } => {
                let (request_id, code) = (&caller.request_id, "wrong_code");
                let entry = entries::sign_in_denied(request_id, Some(&record), method, code, "");
                self.note(&system.system_id, &caller.request_id, "wrong code", entry).await;
                let detail = match denied {
                    true => "wrong code, too often: this sign-in is denied",
                    false => "wrong code",
                };
                Err(Problem::with_detail(Code::LoginDenied, detail))
            }
            Activation::Denied(reason) => {
                Err(Problem::with_detail(Code::LoginDenied, deny_text(reason)))
            }
            Activation::Expired => Err(Code::SessionExpired.into()),
            Activation::AlreadyUsed => Err(Problem::with_detail(
                Code::SessionEnded,
                "the code was used before; a code works once",
            )),
        }
    }

    async fn end_session(&self, caller: &Caller, session_id: &str) -> Result<(), Problem> {
        let system = self.system(caller)?;
        let record = self.own_session(&system, session_id).await?;
        if let Some(session) = self.parts.sessions.by_id(session_id) {
            return self.log_out(caller, &system, &session).await;
        }
        let denied = self.parts.sessions.deny(session_id, DenyReason::Withdrawn).await;
        if denied.map_err(|error| problems::session(&error))? {
            return Ok(());
        }
        match self.parts.sessions.by_id(session_id) {
            // It became active while it was being denied.
            Some(session) => self.log_out(caller, &system, &session).await,
            // Over already; or active in its record alone, whose token nobody was given.
            None => {
                let ended = self.parts.sessions.end(session_id, EndReason::Logout).await;
                ended.map_err(|error| problems::session(&error))?;
                // A logout is one also where the session is over by itself: nobody goes on with it by a click.
                let Some(holder_id) = record.phase.holder_id() else { return Ok(()) };
                let forgotten =
                    self.parts.sessions.forget_saved(holder_id, &system.system_id).await;
                forgotten.map_err(|error| problems::session(&error))
            }
        }
    }

    async fn credentials(
        &self,
        caller: &Caller,
        holder: &str,
    ) -> Result<Vec<wire::CredentialView>, Problem> {
        let system = self.system(caller)?;
        let now = self.now()?;
        let known = self.parts.registry.holder(holder).filter(|_| may_name(&system, holder));
        known.ok_or(Code::HolderUnknown)?;
        let all = self.parts.registry.credentials_of(holder);
        let certified = all.iter().filter(|credential| !credential.record.chain.is_empty());
        Ok(certified.map(|credential| views::credential(credential, now)).collect())
    }

    async fn admit(&self, caller: &Caller, head: &SignHead) -> Result<Admitted, Problem> {
        let system = self.system(caller)?;
        let no_request = Fingerprint(String::new());
        let key = head.idempotency_key.as_deref();
        let retry = key.map(|key| scoped(&system, &head.signing_token, key, 0, &no_request));
        if let Some(admitted) = self.admitted_before(retry.as_ref())? {
            return Ok(admitted);
        }
        let credential_id = head.credential.as_deref();
        let admission = self.gate.admit(presented(caller, &head.signing_token, credential_id));
        let admission = admission.and_then(|admission| {
            admission.expects(announced(head, admission.credential()).as_ref())?;
            Ok(admission)
        });
        match admission {
            Ok(admission) => Ok(admitted(admission.credential())),
            Err(error) => {
                // The request that this one repeats may have taken the last signature: it runs, or has just ended.
                if retry.as_ref().is_some_and(|retry| self.running.is_running(&retry.scope)) {
                    return Err(still_running());
                }
                if let Some(admitted) = self.admitted_before(retry.as_ref())? {
                    return Ok(admitted);
                }
                Err(self.shut(caller, &error, credential_id, "").await)
            }
        }
    }

    async fn sign(
        &self,
        caller: &Caller,
        head: SignHead,
        content_digest: Vec<u8>,
    ) -> Result<Signed, Problem> {
        let system =
            self.parts.registry.system_of(&caller.certificate).ok_or(Code::ClientUnknown)?;
        let idempotency = head.idempotency_key.as_deref().map(|key| {
            let request = fingerprint(&[
                b"sign",
                head.credential.as_deref().unwrap_or_default().as_bytes(),
                &[head.packaging as u8],
                head.label.as_deref().unwrap_or_default().as_bytes(),
                &content_digest,
            ]);
            scoped(&system, &head.signing_token, key, 0, &request)
        });
        let _running =
            idempotency.as_ref().map(|idempotency| self.start(idempotency)).transpose()?;
        if let Some(idempotency) = &idempotency
            && let Some(known) = self.known_signature(idempotency)?
        {
            return self.repeat(&known, &idempotency.request, &head.signing_token);
        }
        let timer = self.parts.metrics.stage(Stage::Gate);
        let admission =
            self.admission(caller, &head.signing_token, head.credential.as_deref()).await?;
        let (session, credential) = (admission.session().clone(), admission.credential().clone());
        let scheme = credential.record.key_type.default_scheme();
        let digest = ContentDigest::new(credential.record.key_type.digest(), content_digest)
            .map_err(|error| Problem::with_detail(Code::MalformedRequest, error.to_string()))?;
        let certificate =
            self.signing_certificates.of(&credential).map_err(|fault| internal(caller, &fault))?;
        let packaging = match head.packaging {
            wire::Packaging::Detached => "detached",
            wire::Packaging::Attached => "attached",
        };
        let asked = entries::Request {
            request_id: caller.request_id.clone(),
            session: session.clone(),
            credential: credential.clone(),
            idempotency,
            label: head.label,
            packaging,
        };
        let at = admission.at();
        let permits = self.permits(caller, admission, vec![digest.clone().into()]).await;
        drop(timer);
        let Permitted { permit, lease, place } = permits?.pop().ok_or(Code::Internal)?;
        let order = Order { permit, lease, requested: digest.into(), request: asked, place };
        let made = self.line.sign_cms(order, &certificate, at).await;
        self.settle(caller, &session, 1).await;
        match made {
            Ok(Released { signature, seq }) => {
                self.parts.metrics.signature(SignatureResult::Released, scheme.name());
                Ok(self.signed(&session, signature, seq, at))
            }
            Err(error) => {
                let problem = self.not_signed(caller, &credential, &error).await;
                Err(after_use(&session, problem))
            }
        }
    }

    async fn sign_digests(
        &self,
        caller: &Caller,
        signing_token: &str,
        idempotency_key: Option<String>,
        request: wire::SignDigests,
    ) -> Result<SignedBatch, Problem> {
        let system = self.system(caller)?;
        let batch_fingerprint = fingerprint(&[&serde_json::to_vec(&request).unwrap_or_default()]);
        let idempotency = Idempotencies {
            key: idempotency_key,
            system,
            signing_token: signing_token.to_owned(),
            request: batch_fingerprint,
        };
        let first = idempotency.of(0);
        let _running = first.as_ref().map(|idempotency| self.start(idempotency)).transpose()?;
        if request.output == wire::Output::Raw && !idempotency.system.raw_allowed {
            let detail =
                "output raw is not open to this signing system; an administrator can allow it";
            return Err(Problem::with_detail(Code::NotPermitted, detail));
        }
        self.check_items(&request)?;
        let known = self.known_items(&idempotency, request.items.len())?;
        if known.iter().all(Option::is_some) {
            return self.repeat_batch(&request, &idempotency, known);
        }
        self.sign_items(caller, request, &idempotency, known).await
    }
}

/// The pieces of [`Signing`].
impl Keeper {
    /// Names of the signature algorithms that some credential here makes.
    fn algorithms(&self) -> Vec<String> {
        let credentials = self.parts.registry.credentials();
        let names: BTreeSet<_> = credentials
            .iter()
            .map(|credential| credential.record.key_type.default_scheme().name())
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The credential of the signature made before under this key: a retry is admitted whatever became of its session.
    fn admitted_before(&self, retry: Option<&Idempotency>) -> Result<Option<Admitted>, Problem> {
        let Some(known) = retry.map(|retry| self.known_signature(retry)).transpose()?.flatten()
        else {
            return Ok(None);
        };
        let credential = self.parts.registry.credential(&known.credential_id);
        Ok(Some(admitted(&*credential.ok_or(Code::CredentialUnknown)?)))
    }

    pub(super) async fn admission(
        &self,
        caller: &Caller,
        signing_token: &str,
        credential_id: Option<&str>,
    ) -> Result<Admission, Problem> {
        match self.gate.admit(presented(caller, signing_token, credential_id)) {
            Ok(admission) => Ok(admission),
            Err(error) => Err(self.shut(caller, &error, credential_id, "").await),
        }
    }

    /// Ends a live session for its signing system; after `Ok` nothing is released under it.
    async fn log_out(
        &self,
        caller: &Caller,
        system: &SigningSystem,
        session: &Arc<LiveSession>,
    ) -> Result<(), Problem> {
        let by = Principal::System(system.system_id.clone());
        let ended = self.end_live(&caller.request_id, by, session, EndReason::Logout).await;
        ended.map_err(|error| {
            tracing::error!(request_id = caller.request_id, %error, "the end of a session is not durable");
            Problem::new(Code::AuditUnavailable)
        })
    }

    fn signed(
        &self,
        session: &LiveSession,
        cms_der: Vec<u8>,
        seq: u64,
        now: UnixSeconds,
    ) -> Signed {
        Signed {
            cms_der,
            receipt: receipt(seq),
            remaining_signatures: session.remaining(),
            remaining_seconds: now.seconds_until(session.expires_at),
        }
    }
}

fn presented<'a>(
    caller: &'a Caller,
    signing_token: &'a str,
    credential_id: Option<&'a str>,
) -> Presented<'a> {
    Presented { certificate: &caller.certificate, signing_token, credential_id }
}

/// The digest that the content is announced to have, with the algorithm that the key signs with.
fn announced(head: &SignHead, credential: &LiveCredential) -> Option<ContentDigest> {
    let algorithm = credential.record.key_type.digest();
    let mut digests = head.announced.iter();
    let (_, value) = digests.find(|(name, _)| DigestAlgorithm::from(*name) == algorithm)?;
    ContentDigest::new(algorithm, value.clone()).ok()
}

fn admitted(credential: &LiveCredential) -> Admitted {
    let content_digest_alg = match credential.record.key_type.digest() {
        DigestAlgorithm::Sha256 => wire::DigestName::Sha256,
        DigestAlgorithm::Sha384 => wire::DigestName::Sha384,
        DigestAlgorithm::Sha512 => wire::DigestName::Sha512,
    };
    Admitted { content_digest_alg, credential_id: credential.record.credential_id.clone() }
}

/// The name of an audit record on the wire.
pub(super) fn receipt(seq: u64) -> String {
    seq.to_string()
}
