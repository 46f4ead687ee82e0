//! Everything the daemon can be asked by a peer: the seam between the front and the keeper.
//!
//! Requests and answers are plain serialisable data and evidence crosses in checkable form, so that both sides can run
//! in two processes. The keeper trusts nothing that it can check itself.

pub mod added;
pub mod at_pc;
pub mod browser_secret;
pub mod change_phone;
pub mod confirm_enrol;
pub mod letter;
pub mod my_number;
pub mod own_page;
pub mod portal;
pub mod saved;

use crate::operations::browser_secret::BrowserSecret;
use crate::problem::Problem;
use crate::wire;
use async_trait::async_trait;
use attest::evidence::CardKind;
use attest::records::Fingerprint;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// Who asks, as far as the front saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Caller {
    /// Unique name of this request: in every log line, audit record and problem of it.
    pub request_id: String,
    /// SHA-256 of the client certificate of the connection.
    pub certificate: Fingerprint,
}

/// The head of `POST /v1/sign`: everything but the body. It has no `Debug`, because of the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignHead {
    /// Value of `Signing-Session`.
    pub signing_token: String,
    /// Level.
    pub level: wire::Level,
    /// Packaging.
    pub packaging: wire::Packaging,
    /// Which key.
    pub credential: Option<String>,
    /// Value of `Idempotency-Key`: 1 to 255 visible ASCII characters.
    pub idempotency_key: Option<String>,
    /// Value of `Document-Label`, decoded.
    pub label: Option<String>,
    /// Digests that the content is announced to have (`Content-Digest`), raw octets.
    pub announced: Vec<(wire::DigestName, Vec<u8>)>,
}

/// The gate opened for a head: what the front has to do with the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Digest of the content to compute while streaming.
    pub content_digest_alg: wire::DigestName,
    /// The credential that will sign.
    pub credential_id: String,
}

/// A finished signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Detached CMS, DER. The front inserts attached content itself (`cades::attach`).
    pub cms_der: Vec<u8>,
    /// Names the audit record.
    pub receipt: String,
    /// Signatures left in the session.
    pub remaining_signatures: u64,
    /// Seconds left in the session.
    pub remaining_seconds: u64,
}

/// The answer to a digest batch with what is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBatch {
    /// Item by item.
    pub answer: wire::SignedDigests,
    /// Signatures left in the session.
    pub remaining_signatures: u64,
    /// Seconds left in the session.
    pub remaining_seconds: u64,
}

/// What signing systems ask.
#[async_trait]
pub trait Signing: Send + Sync {
    /// `GET /v1/info`
    async fn info(&self, caller: &Caller) -> Result<wire::Info, Problem>;

    /// `POST /v1/sessions`
    async fn create_session(
        &self,
        caller: &Caller,
        new: wire::NewSession,
    ) -> Result<wire::SessionCreated, Problem>;

    /// `GET /v1/sessions/{session_id}`: waits up to `wait` for a state other than the present one.
    async fn session(
        &self,
        caller: &Caller,
        session_id: &str,
        wait: Duration,
    ) -> Result<wire::SessionView, Problem>;

    /// `POST /v1/sessions/{session_id}/activate`
    async fn activate(
        &self,
        caller: &Caller,
        session_id: &str,
        activate: wire::Activate,
    ) -> Result<wire::Activated, Problem>;

    /// `DELETE /v1/sessions/{session_id}`: after `Ok` nothing is released under it any more.
    async fn end_session(&self, caller: &Caller, session_id: &str) -> Result<(), Problem>;

    /// `GET /v1/credentials`
    async fn credentials(
        &self,
        caller: &Caller,
        holder: &str,
    ) -> Result<Vec<wire::CredentialView>, Problem>;

    /// Before a body is read: session, limits, credential.
    async fn admit(&self, caller: &Caller, head: &SignHead) -> Result<Admitted, Problem>;

    /// After the body: `content_digest` is the digest of the content with the algorithm that was admitted, raw octets.
    async fn sign(
        &self,
        caller: &Caller,
        head: SignHead,
        content_digest: Vec<u8>,
    ) -> Result<Signed, Problem>;

    /// `POST /v1/sign/digest`
    async fn sign_digests(
        &self,
        caller: &Caller,
        signing_token: &str,
        idempotency_key: Option<String>,
        request: wire::SignDigests,
    ) -> Result<SignedBatch, Problem>;
}

/// A TLS 1.2 handshake with a card, as it crosses to the keeper, who checks all of it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardHandshake {
    /// By whose listener: the host name in the transcript has to be that one's.
    pub kind: CardKind,
    /// Certificate the client sent first, DER.
    pub leaf_der: Vec<u8>,
    /// The handshake messages that CertificateVerify signs (RFC 5246 §7.4.8).
    pub transcript: Vec<u8>,
    /// SignatureScheme code point of CertificateVerify.
    pub signature_scheme: u16,
    /// Its signature.
    pub signature: Vec<u8>,
    /// When the handshake finished, Unix seconds.
    pub handshake_at: u64,
}

/// What the card listener shows for a login link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInPage {
    /// No certificate came, or the link is unknown, used or over: one page for all, since nothing is proved yet.
    PresentCard,
    /// The card is good: one form confirms.
    Confirm(Confirm),
    /// Possession is proved, but this sign-in is refused: the person gets the reason and the next step.
    Refused(WhyNot),
}

/// One of the entries that a sign-in of purpose `once` is for, as its holder sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryShown {
    /// What the signing system calls it.
    pub label: String,
    /// What its digest is of.
    pub kind: wire::EntryKind,
    /// The beginning of its digest, hexadecimal.
    pub digest_start: String,
}

/// The confirming form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Name of the signing system that asks.
    pub system: String,
    /// The holder, as registered.
    pub holder: String,
    /// Hidden one-time field; bound to link and card.
    pub form_token: BrowserSecret,
    /// Whether the number from the asking screen must be typed.
    pub asks_number: bool,
    /// Whether this opens the holder's own page, and nothing is signed.
    pub for_own_page: bool,
    /// Scheme, host and port (`https://ehr.example:8443`) of where the answer leads: the page lets the form lead there only.
    pub return_origins: Vec<String>,
    /// Seconds until the link is over.
    pub remaining_seconds: u64,
    /// Hours and signatures that are being agreed to.
    pub session_seconds: u64,
    /// See `session_seconds`.
    pub signatures: u64,
    /// What alone is to be signed; none: a day session.
    pub entries: Vec<EntryShown>,
    /// What was added to the holder's factors of late.
    pub added: added::RecentlyAdded,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// Why a sign-in is refused although a card was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInRefusal {
    /// The card's certificate has expired.
    CardExpired,
    /// Its validity has not begun.
    CardNotYetValid,
    /// It is revoked.
    CardRevoked,
    /// The revocation list cannot be had or is too old; of a My Number card, its provider does not answer.
    RevocationUnknown,
    /// The provider does not know this My Number card.
    CardNotKnown,
    /// There is nobody to ask whether My Number cards are valid.
    NoValidityProvider,
    /// A card of another kind is in the reader.
    OtherKindOfCard,
    /// It is another kind of certificate (issuer, policy, key usage).
    WrongCertificate,
    /// A published test card outside test mode.
    TestCard,
    /// Qualification missing.
    RoleMissing,
    /// The card is not registered here.
    CardNotRegistered,
    /// The link was made for somebody else.
    OtherHolder,
    /// Another card than the one that began.
    OtherCard,
    /// This holder is disabled.
    HolderDisabled,
    /// The signing system does not accept this holder or method.
    NotAllowedHere,
    /// The PC is in no network from which a phone may be asked.
    NetworkNotAllowed,
    /// The holder has as many security keys as they may.
    KeysFull,
    /// None of the holder's second certificates can be used now, or their last card has ended: no method signs in.
    EntitlementOver,
    /// The number typed is not the one on the asking screen.
    WrongNumber,
    /// The link was used, ended or expired.
    LinkOver,
    /// The form is from another page or was sent already.
    FormOver,
    /// The card was exchanged between page and confirmation, or the proof is not fresh.
    ProofNotFresh,
    /// The card was shown too often in a short time.
    TooOften,
    /// The appliance cannot do this now.
    Unavailable,
}

/// A refusal as the person is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNot {
    /// The reason.
    pub refusal: SignInRefusal,
    /// Whom to call: the holder's certification authority, once it is proved whose card or phone it is.
    pub contact: Option<String>,
}

impl From<SignInRefusal> for WhyNot {
    fn from(refusal: SignInRefusal) -> Self {
        Self { refusal, contact: None }
    }
}

/// What the holder pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The hidden field.
    pub form_token: BrowserSecret,
    /// The number typed.
    pub number: Option<String>,
    /// False: "this is not mine".
    pub approve: bool,
    /// Where the browser is.
    pub terminal: portal::Terminal,
}

/// What follows a confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmed {
    /// Back to the signing system with the code.
    Return {
        /// Registered return URL with `code` and `state`.
        url: String,
    },
    /// Done; the asking screen goes on by itself.
    Done {
        /// Name of the signing system.
        system: String,
    },
    /// The holder said no.
    Denied {
        /// Name of the signing system.
        system: String,
    },
    /// Refused.
    Refused(WhyNot),
}

/// What a holder's browser asks.
#[async_trait]
pub trait SignIn: Send + Sync {
    /// A login link was opened, with or without a card. Changes nothing that matters: a link scanner may do it, too.
    async fn open_sign_in(
        &self,
        request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
    ) -> SignInPage;

    /// The form was sent.
    async fn confirm_sign_in(
        &self,
        request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
        confirmation: Confirmation,
    ) -> Confirmed;

    /// Notes a handshake that failed before any request, for the audit log; rate limited by the keeper.
    async fn card_handshake_failed(&self, request_id: &str, kind: CardKind, reason: &str);
}

/// What monitoring asks.
#[async_trait]
pub trait Health: Send + Sync {
    /// Whether the process can answer at all.
    async fn is_alive(&self) -> bool;

    /// Whether signatures can be made now; otherwise what is missing.
    async fn readiness(&self) -> Result<(), Vec<String>>;

    /// Prometheus text exposition format.
    async fn metrics(&self) -> String;
}

/// Everything the daemon can be asked.
pub trait Operations:
    Signing
    + SignIn
    + portal::Portal
    + confirm_enrol::ConfirmEnrolment
    + letter::Letters
    + my_number::MyNumber
    + at_pc::AtPc
    + change_phone::ChangePhone
    + own_page::OwnPage
    + saved::SavedSignIns
    + Health
    + crate::admin::Admin
{
}

impl<T> Operations for T where
    T: Signing
        + SignIn
        + portal::Portal
        + confirm_enrol::ConfirmEnrolment
        + letter::Letters
        + my_number::MyNumber
        + at_pc::AtPc
        + change_phone::ChangePhone
        + own_page::OwnPage
        + saved::SavedSignIns
        + Health
        + crate::admin::Admin
{
}
