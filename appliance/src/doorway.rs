//! What answers in each state: the keeper while the appliance is operational, a clear refusal otherwise.

mod at_pc;
mod change_phone;
mod letter;
mod own_page;
mod saved;

use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::state::State;
use api::admin::Admin;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::operations::Admitted;
use api::operations::Caller;
use api::operations::CardHandshake;
use api::operations::Confirmation;
use api::operations::Confirmed;
use api::operations::Health;
use api::operations::SignHead;
use api::operations::SignIn;
use api::operations::SignInPage;
use api::operations::SignInRefusal;
use api::operations::Signed;
use api::operations::SignedBatch;
use api::operations::Signing;
use api::operations::confirm_enrol::ConfirmEnrolPage;
use api::operations::confirm_enrol::ConfirmEnrolment;
use api::operations::confirm_enrol::EnrolEnded;
use api::operations::my_number::LinkDone;
use api::operations::my_number::LinkMet;
use api::operations::my_number::LinkPage;
use api::operations::my_number::LinkStarted;
use api::operations::my_number::MyNumber;
use api::operations::portal::ChoicePage;
use api::operations::portal::EnrolPage;
use api::operations::portal::EnrolStarted;
use api::operations::portal::Handed;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Portal;
use api::operations::portal::PortalIndex;
use api::operations::portal::Terminal;
use api::operations::portal::WaitPage;
use api::problem::Code;
use api::problem::Problem;
use api::wire;
use arc_swap::ArcSwap;
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use attest::evidence::CardKind;
use std::sync::Arc;
use std::time::Duration;

/// The keeper and the admin desk: what there is while the appliance is operational.
pub struct Inside {
    /// Signing and sign-in.
    pub keeper: Arc<Keeper>,
    /// Operators.
    pub desk: Arc<dyn Admin>,
}

/// See the module.
pub struct Doorway {
    index: PortalIndex,
    state: ArcSwap<State>,
    inside: ArcSwapOption<Inside>,
    metrics: Arc<Metrics>,
}

impl Doorway {
    /// A doorway with nothing behind it yet; the portal's first page is `index` until then.
    pub fn new(state: State, metrics: Arc<Metrics>, index: PortalIndex) -> Self {
        let doorway = Self {
            index,
            state: ArcSwap::from_pointee(State::Unprovisioned),
            inside: ArcSwapOption::empty(),
            metrics,
        };
        doorway.set(state);
        doorway
    }

    /// Moves to `state`; leaving `Operational` closes the door at once.
    pub fn set(&self, state: State) {
        for name in ["unprovisioned", "locked", "operational", "failed"] {
            self.metrics.state.with_label_values(&[name]).set(i64::from(name == state.name()));
        }
        if state != State::Operational {
            self.inside.store(None);
        }
        self.state.store(Arc::new(state));
    }

    /// Opens the door.
    pub fn open(&self, inside: Inside) {
        self.inside.store(Some(Arc::new(inside)));
        self.set(State::Operational);
    }

    /// Where the appliance stands.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The keeper, while there is one.
    pub fn keeper(&self) -> Option<Arc<Keeper>> {
        self.inside.load().as_ref().map(|inside| Arc::clone(&inside.keeper))
    }

    fn inside(&self) -> Result<Arc<Inside>, Problem> {
        self.inside
            .load_full()
            .ok_or_else(|| Problem::new(Code::NotOperational).retry_after(Duration::from_secs(5)))
    }
}

#[async_trait]
impl Signing for Doorway {
    async fn info(&self, caller: &Caller) -> Result<wire::Info, Problem> {
        self.inside()?.keeper.info(caller).await
    }

    async fn create_session(
        &self,
        caller: &Caller,
        new: wire::NewSession,
    ) -> Result<wire::SessionCreated, Problem> {
        self.inside()?.keeper.create_session(caller, new).await
    }

    async fn session(
        &self,
        caller: &Caller,
        session_id: &str,
        wait: Duration,
    ) -> Result<wire::SessionView, Problem> {
        self.inside()?.keeper.session(caller, session_id, wait).await
    }

    async fn activate(
        &self,
        caller: &Caller,
        session_id: &str,
        activate: wire::Activate,
    ) -> Result<wire::Activated, Problem> {
        self.inside()?.keeper.activate(caller, session_id, activate).await
    }

    async fn end_session(&self, caller: &Caller, session_id: &str) -> Result<(), Problem> {
        self.inside()?.keeper.end_session(caller, session_id).await
    }

    async fn credentials(
        &self,
        caller: &Caller,
        holder: &str,
    ) -> Result<Vec<wire::CredentialView>, Problem> {
        self.inside()?.keeper.credentials(caller, holder).await
    }

    async fn admit(&self, caller: &Caller, head: &SignHead) -> Result<Admitted, Problem> {
        self.inside()?.keeper.admit(caller, head).await
    }

    async fn sign(
        &self,
        caller: &Caller,
        head: SignHead,
        content_digest: Vec<u8>,
    ) -> Result<Signed, Problem> {
        self.inside()?.keeper.sign(caller, head, content_digest).await
    }

    async fn sign_digests(
        &self,
        caller: &Caller,
        signing_token: &str,
        idempotency_key: Option<String>,
        request: wire::SignDigests,
    ) -> Result<SignedBatch, Problem> {
        self.inside()?.keeper.sign_digests(caller, signing_token, idempotency_key, request).await
    }
}

#[async_trait]
impl SignIn for Doorway {
    async fn open_sign_in(
        &self,
        request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
    ) -> SignInPage {
        match self.inside() {
            Ok(inside) => inside.keeper.open_sign_in(request_id, link, card).await,
            Err(_) => SignInPage::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn confirm_sign_in(
        &self,
        request_id: &str,
        link: &str,
        card: Option<CardHandshake>,
        confirmation: Confirmation,
    ) -> Confirmed {
        match self.inside() {
            Ok(inside) => inside.keeper.confirm_sign_in(request_id, link, card, confirmation).await,
            Err(_) => Confirmed::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn card_handshake_failed(&self, request_id: &str, kind: CardKind, reason: &str) {
        if let Ok(inside) = self.inside() {
            inside.keeper.card_handshake_failed(request_id, kind, reason).await;
        }
    }
}

#[async_trait]
impl Portal for Doorway {
    async fn portal_index(&self) -> PortalIndex {
        match self.inside() {
            Ok(inside) => inside.keeper.portal_index().await,
            Err(_) => self.index.clone(),
        }
    }

    async fn choose(&self, request_id: &str, link: &str) -> ChoicePage {
        match self.inside() {
            Ok(inside) => inside.keeper.choose(request_id, link).await,
            Err(_) => ChoicePage::Unavailable,
        }
    }

    async fn hand_off(
        &self,
        request_id: &str,
        link: &str,
        holder_id: Option<String>,
        terminal: Terminal,
    ) -> Handed {
        match self.inside() {
            Ok(inside) => inside.keeper.hand_off(request_id, link, holder_id, terminal).await,
            Err(_) => Handed::Unavailable,
        }
    }

    async fn wait_page(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        wait: Duration,
    ) -> WaitPage {
        match self.inside() {
            Ok(inside) => inside.keeper.wait_page(request_id, id, page_secret, wait).await,
            Err(_) => WaitPage::Unavailable,
        }
    }

    async fn phone_page(&self, request_id: &str, link: &str) -> PhonePage {
        match self.inside() {
            Ok(inside) => inside.keeper.phone_page(request_id, link).await,
            Err(_) => PhonePage::Unavailable,
        }
    }

    async fn phone_options(
        &self,
        request_id: &str,
        link: &str,
        number: &str,
        address: &str,
    ) -> PhoneAsked {
        match self.inside() {
            Ok(inside) => inside.keeper.phone_options(request_id, link, number, address).await,
            Err(_) => PhoneAsked::Unavailable,
        }
    }

    async fn phone_finish(
        &self,
        request_id: &str,
        link: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> PhoneDone {
        match self.inside() {
            Ok(inside) => {
                inside.keeper.phone_finish(request_id, link, ceremony_id, credential).await
            }
            Err(_) => PhoneDone::Unavailable,
        }
    }

    async fn phone_deny(&self, request_id: &str, link: &str) -> PhoneDone {
        match self.inside() {
            Ok(inside) => inside.keeper.phone_deny(request_id, link).await,
            Err(_) => PhoneDone::Unavailable,
        }
    }

    async fn open_enrol(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
    ) -> EnrolPage {
        match self.inside() {
            Ok(inside) => inside.keeper.open_enrol(request_id, kind, card).await,
            Err(_) => EnrolPage::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn start_enrol(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: Terminal,
    ) -> EnrolStarted {
        match self.inside() {
            Ok(inside) => {
                inside.keeper.start_enrol(request_id, kind, card, form_token, terminal).await
            }
            Err(_) => EnrolStarted::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn started_enrol(&self, request_id: &str, id: &str, page_secret: &str) -> EnrolStarted {
        match self.inside() {
            Ok(inside) => inside.keeper.started_enrol(request_id, id, page_secret).await,
            Err(_) => EnrolStarted::Refused(SignInRefusal::Unavailable.into()),
        }
    }
}

#[async_trait]
impl ConfirmEnrolment for Doorway {
    async fn open_confirm_enrol(
        &self,
        request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
    ) -> ConfirmEnrolPage {
        match self.inside() {
            Ok(inside) => inside.keeper.open_confirm_enrol(request_id, id, card).await,
            Err(_) => ConfirmEnrolPage::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn confirm_enrol(
        &self,
        request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        approve: bool,
    ) -> EnrolEnded {
        match self.inside() {
            Ok(inside) => {
                inside.keeper.confirm_enrol(request_id, id, card, form_token, approve).await
            }
            Err(_) => EnrolEnded::Refused(SignInRefusal::Unavailable.into()),
        }
    }
}

#[async_trait]
impl MyNumber for Doorway {
    async fn open_link(&self, request_id: &str, card: Option<CardHandshake>) -> LinkPage {
        match self.inside() {
            Ok(inside) => inside.keeper.open_link(request_id, card).await,
            Err(_) => LinkPage::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn start_link(
        &self,
        request_id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: Terminal,
    ) -> LinkStarted {
        match self.inside() {
            Ok(inside) => inside.keeper.start_link(request_id, card, form_token, terminal).await,
            Err(_) => LinkStarted::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn started_link(&self, request_id: &str, id: &str, secret: &str) -> LinkStarted {
        match self.inside() {
            Ok(inside) => inside.keeper.started_link(request_id, id, secret).await,
            Err(_) => LinkStarted::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn meet_link(
        &self,
        request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
    ) -> LinkMet {
        match self.inside() {
            Ok(inside) => inside.keeper.meet_link(request_id, id, secret, card).await,
            Err(_) => LinkMet::Refused(SignInRefusal::Unavailable.into()),
        }
    }

    async fn confirm_link(
        &self,
        request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
        form_token: &str,
    ) -> LinkDone {
        match self.inside() {
            Ok(inside) => {
                inside.keeper.confirm_link(request_id, id, secret, card, form_token).await
            }
            Err(_) => LinkDone::Refused(SignInRefusal::Unavailable.into()),
        }
    }
}

#[async_trait]
impl Admin for Doorway {
    async fn admin(&self, caller: &Caller, command: AdminCommand) -> Result<AdminAnswer, Problem> {
        let inside = self.inside().map_err(|mut problem| {
            let state = self.state();
            problem.detail =
                Some(format!("the state is {}; next: {}", state.name(), state.next_step()));
            problem
        })?;
        inside.desk.admin(caller, command).await
    }
}

#[async_trait]
impl Health for Doorway {
    async fn is_alive(&self) -> bool {
        true
    }

    async fn readiness(&self) -> Result<(), Vec<String>> {
        match self.keeper() {
            Some(keeper) => keeper.readiness(),
            None => Err(vec![format!(
                "state is {}; next: {}",
                self.state().name(),
                self.state().next_step()
            )]),
        }
    }

    async fn metrics(&self) -> String {
        if let Some(keeper) = self.keeper() {
            keeper.refresh_gauges();
        }
        self.metrics.text()
    }
}
