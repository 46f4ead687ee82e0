//! A keeper of paper: answers in fixed ways and writes down what it was asked.

use super::paper_letter::PaperLetter;
use super::paper_own_page::PaperOwnPage;
use super::paper_portal::PaperPortal;
use super::paper_saved::PaperSaved;
use super::signer::Signer;
use api::admin::Admin;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::admin::Outcome;
use api::operations::Admitted;
use api::operations::Caller;
use api::operations::CardHandshake;
use api::operations::Confirm;
use api::operations::Confirmation;
use api::operations::Confirmed;
use api::operations::EntryShown;
use api::operations::Health;
use api::operations::SignHead;
use api::operations::SignIn;
use api::operations::SignInPage;
use api::operations::SignInRefusal;
use api::operations::Signed;
use api::operations::SignedBatch;
use api::operations::Signing;
use api::operations::added::RecentlyAdded;
use api::problem::Code;
use api::problem::Problem;
use api::wire;
use async_trait::async_trait;
use attest::evidence::CardKind;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The token that is accepted.
pub const TOKEN: &str = "good-token";

/// What was asked, one line each.
#[derive(Default)]
pub struct PaperKeeper {
    pub asked: Mutex<Vec<String>>,
    pub heads: Mutex<Vec<SignHead>>,
    pub callers: Mutex<Vec<Caller>>,
    pub cards: Mutex<Vec<Option<CardHandshake>>>,
    pub confirmations: Mutex<Vec<Confirmation>>,
    pub failed_handshakes: Mutex<Vec<String>>,
    pub signed: AtomicU64,
    pub sha512: AtomicBool,
    /// Milliseconds that a signature takes.
    pub slow_ms: AtomicU64,
    pub panics: AtomicBool,
    pub refusal: Mutex<Option<SignInRefusal>>,
    pub problem: Mutex<Option<Problem>>,
    pub asks_number: AtomicBool,
    /// What a card is asked to approve, one by one.
    pub entries: Mutex<Vec<EntryShown>>,
    pub added: Mutex<RecentlyAdded>,
    /// Makes real CMS instead of the digest in hexadecimal digits.
    pub signer: Mutex<Option<Signer>>,
    pub portal: PaperPortal,
    pub letter: PaperLetter,
    pub own_page: PaperOwnPage,
    pub saved: PaperSaved,
    pub registry: prometheus::Registry,
}

impl PaperKeeper {
    pub fn note(&self, line: impl Into<String>) {
        self.asked.lock().unwrap().push(line.into());
    }

    pub fn was_asked(&self, line: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == line)
    }

    fn check(&self, token: &str) -> Result<(), Problem> {
        if let Some(problem) = self.problem.lock().unwrap().clone() {
            return Err(problem);
        }
        if token == TOKEN { Ok(()) } else { Err(Problem::new(Code::SessionUnknown)) }
    }

    async fn work(&self) {
        let slow = self.slow_ms.load(Ordering::Relaxed);
        if slow > 0 {
            tokio::time::sleep(Duration::from_millis(slow)).await;
        }
        assert!(!self.panics.load(Ordering::Relaxed), "a bug in the keeper");
    }
}

#[async_trait]
impl Signing for PaperKeeper {
    async fn info(&self, caller: &Caller) -> Result<wire::Info, Problem> {
        self.callers.lock().unwrap().push(caller.clone());
        self.note("info");
        self.work().await;
        Ok(wire::Info {
            name: "Inkan".into(),
            version: "0".into(),
            api_versions: vec!["v1".into()],
            algorithms: vec![],
            levels: vec![wire::Level::BaselineB],
            packagings: vec![wire::Packaging::Detached, wire::Packaging::Attached],
            limits: wire::InfoLimits {
                attached_bytes: 0,
                detached_bytes: 0,
                digest_items: 500,
                entries: 20,
                entry_label_characters: 60,
                raw_allowed: false,
                bare_digests_allowed: false,
                requests_per_second: 10,
            },
            session: wire::InfoSession {
                seconds: 1,
                idle_seconds: 1,
                signatures: 1,
                once_seconds: 300,
                methods: vec![wire::MethodName::Hpki],
            },
            time_source: "system-clock".into(),
            danger_test_mode: false,
        })
    }

    async fn create_session(
        &self,
        _caller: &Caller,
        new: wire::NewSession,
    ) -> Result<wire::SessionCreated, Problem> {
        self.note(format!("create {:?}", new.holder));
        Ok(wire::SessionCreated {
            session_id: "s-1".into(),
            login_url: "https://localhost/login/link".into(),
            expires_at: "2026-01-01T00:00:00Z".into(),
            state: wire::SessionState::Pending,
            number: Some("42".into()),
        })
    }

    async fn session(
        &self,
        _caller: &Caller,
        session_id: &str,
        wait: Duration,
    ) -> Result<wire::SessionView, Problem> {
        self.note(format!("session {session_id} {}", wait.as_secs()));
        tokio::time::sleep(wait).await;
        Ok(wire::SessionView {
            session_id: session_id.to_owned(),
            state: wire::SessionState::Pending,
            purpose: wire::Purpose::Day,
            method: None,
            holder: None,
            remaining_seconds: 1,
            remaining_signatures: None,
            remaining_entries: None,
            credentials: vec![],
            reason: None,
        })
    }

    async fn activate(
        &self,
        _caller: &Caller,
        session_id: &str,
        activate: wire::Activate,
    ) -> Result<wire::Activated, Problem> {
        self.note(format!("activate {session_id} {}", activate.code));
        Ok(wire::Activated {
            signing_token: TOKEN.into(),
            purpose: wire::Purpose::Day,
            holder: "u-1".into(),
            method: wire::MethodName::Hpki,
            expires_at: "2026-01-01T00:00:00Z".into(),
            remaining_signatures: 1,
            remaining_entries: None,
            credentials: vec![],
        })
    }

    async fn end_session(&self, _caller: &Caller, session_id: &str) -> Result<(), Problem> {
        self.note(format!("end {session_id}"));
        Ok(())
    }

    async fn credentials(
        &self,
        _caller: &Caller,
        holder: &str,
    ) -> Result<Vec<wire::CredentialView>, Problem> {
        self.note(format!("credentials {holder}"));
        Ok(vec![])
    }

    async fn admit(&self, caller: &Caller, head: &SignHead) -> Result<Admitted, Problem> {
        self.check(&head.signing_token)?;
        self.callers.lock().unwrap().push(caller.clone());
        self.heads.lock().unwrap().push(head.clone());
        let content_digest_alg = if self.sha512.load(Ordering::Relaxed) {
            wire::DigestName::Sha512
        } else {
            wire::DigestName::Sha256
        };
        Ok(Admitted { content_digest_alg, credential_id: "rsa2048".into() })
    }

    async fn sign(
        &self,
        _caller: &Caller,
        _head: SignHead,
        content_digest: Vec<u8>,
    ) -> Result<Signed, Problem> {
        self.work().await;
        self.signed.fetch_add(1, Ordering::SeqCst);
        Ok(Signed {
            cms_der: match &*self.signer.lock().unwrap() {
                Some(signer) => signer.sign(content_digest),
                None => hex::encode(content_digest).into_bytes(),
            },
            receipt: "r-1".into(),
            remaining_signatures: 49,
            remaining_seconds: 28_800,
        })
    }

    async fn sign_digests(
        &self,
        _caller: &Caller,
        signing_token: &str,
        idempotency_key: Option<String>,
        request: wire::SignDigests,
    ) -> Result<SignedBatch, Problem> {
        self.check(signing_token)?;
        self.note(format!("digests {} {idempotency_key:?}", request.items.len()));
        let items = request.items.into_iter().map(|item| wire::ItemOutcome::Signed {
            id: item.id,
            signature: item.label.unwrap_or_default(),
            receipt: "r-1".into(),
        });
        let answer = wire::SignedDigests { items: items.collect() };
        Ok(SignedBatch { answer, remaining_signatures: 48, remaining_seconds: 1 })
    }
}

#[async_trait]
impl SignIn for PaperKeeper {
    async fn open_sign_in(
        &self,
        _request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
    ) -> SignInPage {
        self.note(format!("open {link}"));
        self.cards.lock().unwrap().push(card.clone());
        if card.is_none() {
            return SignInPage::PresentCard;
        }
        if let Some(refusal) = *self.refusal.lock().unwrap() {
            return SignInPage::Refused(refusal.into());
        }
        SignInPage::Confirm(Confirm {
            system: "<b>電子カルテ & Co</b>".into(),
            holder: "医師 太郎".into(),
            form_token: "one-time".into(),
            asks_number: self.asks_number.load(Ordering::Relaxed),
            for_own_page: false,
            return_origins: vec!["https://ehr.example:8443".into()],
            remaining_seconds: 120,
            session_seconds: 43_200,
            signatures: 250,
            entries: self.entries.lock().unwrap().clone(),
            added: self.added.lock().unwrap().clone(),
            danger_test_mode: true,
        })
    }

    async fn confirm_sign_in(
        &self,
        _request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
        confirmation: Confirmation,
    ) -> Confirmed {
        self.note(format!("confirm {link}"));
        self.cards.lock().unwrap().push(card);
        self.confirmations.lock().unwrap().push(confirmation.clone());
        if let Some(refusal) = *self.refusal.lock().unwrap() {
            return Confirmed::Refused(refusal.into());
        }
        let system = "電子カルテ".to_owned();
        if !confirmation.approve {
            return Confirmed::Denied { system };
        }
        if confirmation.number.is_some() {
            return Confirmed::Done { system };
        }
        Confirmed::Return { url: "https://ehr.example:8443/back?code=c&state=s".into() }
    }

    async fn card_handshake_failed(&self, _request_id: &str, _kind: CardKind, reason: &str) {
        self.failed_handshakes.lock().unwrap().push(reason.to_owned());
    }
}

#[async_trait]
impl Health for PaperKeeper {
    async fn is_alive(&self) -> bool {
        true
    }

    async fn readiness(&self) -> Result<(), Vec<String>> {
        if self.problem.lock().unwrap().is_some() { Err(vec!["hsm".into()]) } else { Ok(()) }
    }

    async fn metrics(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

#[async_trait]
impl Admin for PaperKeeper {
    async fn admin(&self, _caller: &Caller, command: AdminCommand) -> Result<AdminAnswer, Problem> {
        self.note(format!("admin {command:?}"));
        let body = serde_json::json!({"state": "operational"});
        Ok(AdminAnswer { outcome: Outcome::Done, body })
    }
}
