//! Pages of the portal, and those of the card listener that lead to it.

use super::Allowed;
use super::Context;
use super::html;
use super::language::Language;
use super::messages::Message;
use super::origin_of;
use super::qr;
use super::refusal;
use super::scope;
use super::told;
use crate::http::answer::Answer;
use crate::operations::EntryShown;
use crate::operations::SignInRefusal;
use crate::operations::confirm_enrol::ConfirmEnrol;
use crate::operations::confirm_enrol::Proposed;
use crate::operations::portal::Choice;
use crate::operations::portal::PhonePage;
use crate::operations::portal::PortalIndex;
use crate::operations::portal::Purpose;
use crate::operations::portal::Waiting;
use crate::wire::EntryKind;
use crate::wire::MethodName;
use askama::Template;
use attest::authenticator::AuthenticatorKind;
use aws_lc_rs::digest;
use http::StatusCode;
use std::sync::LazyLock;

/// The portal's only script.
pub(crate) const SCRIPT: &str = include_str!("../../templates/portal.js");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = digest::digest(&digest::SHA256, SCRIPT.as_bytes());
    hex::encode(digest).chars().take(16).collect()
});

/// Names these very octets of [`SCRIPT`].
pub(crate) fn script_version() -> &'static str {
    &VERSION
}

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    index: &'a PortalIndex,
}

/// What can be done here.
pub(crate) fn index(context: &Context<'_>, index: &PortalIndex) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let page = IndexPage { language, request_id, path, index };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

#[derive(Template)]
#[template(path = "choice.html")]
struct ChoicePage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    link: &'a str,
    choice: &'a Choice,
    time_left: String,
}

/// How to sign in for the system that asks.
pub(crate) fn choice(context: &Context<'_>, link: &str, choice: &Choice) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let (path, time_left) =
        (path.unwrap_or_default(), language.time_left(choice.remaining_seconds));
    let page = ChoicePage { language, request_id, path, link, choice, time_left };
    // Its forms lead to a card listener, too.
    let cards = [(MethodName::Hpki, &choice.hpki_url), (MethodName::Jpki, &choice.jpki_url)];
    let offered = cards.iter().filter(|(method, _)| choice.methods.contains(method));
    let origins: Vec<&str> = offered.flat_map(|(_, url)| url.as_deref().map(origin_of)).collect();
    html(StatusCode::OK, &page, language, Allowed { form_origins: &origins, ..Allowed::NOTHING })
}

#[derive(Template)]
#[template(path = "wait.html")]
struct WaitPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    script: &'static str,
    waiting: &'a Waiting,
    qr: Option<String>,
    left: String,
}

/// The QR code and the number, for as long as the phone is not done.
pub(crate) fn wait(context: &Context<'_>, waiting: &Waiting) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let label = language.pick("スマートフォンで読み取る QR コード", "QR code for your phone");
    let page = WaitPage {
        language,
        request_id,
        path: path.unwrap_or_default(),
        script: script_version(),
        waiting,
        qr: qr::svg(&waiting.url, label),
        left: clock(waiting.remaining_seconds),
    };
    html(StatusCode::OK, &page, language, Allowed::OWN_SCRIPT)
}

#[derive(Template)]
#[template(path = "phone.html")]
struct PhoneTemplate<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    script: &'static str,
    purpose: &'a Purpose,
    terminal: &'a str,
    number_of_asking_screen: bool,
    entries: &'a [EntryShown],
    scope: String,
    seconds: u64,
    left: String,
    said: [Said; 4],
    /// Of the asking PC's own page: where it goes on.
    goes_on: Option<&'a str>,
}

/// What the page's script shows when the browser itself says no.
pub(super) struct Said {
    pub(super) id: &'static str,
    pub(super) message: Message,
    /// Whether the same page may be used again.
    pub(super) again: bool,
}

/// On each page with an authenticator: it did not do what it should, it cannot as it is set up, it is registered already, or
/// the portal was not reached.
pub(super) fn said([failed, unusable, known, not_reached]: [Message; 4]) -> [Said; 4] {
    let said = |id, message, again| Said { id, message, again };
    [
        said("failed", failed, true),
        said("unusable", unusable, false),
        said("registered", known, false),
        said("not-reached", not_reached, true),
    ]
}

/// As a phone says it.
pub(super) fn on_phone(language: Language) -> [Message; 4] {
    [
        told::authenticator_failed(language),
        told::authenticator_unusable(language),
        told::already_registered(language),
        told::not_reached(language),
    ]
}

/// As the asking PC says it.
fn at_pc(language: Language, purpose: &Purpose) -> [Message; 4] {
    let failed = match purpose {
        Purpose::EnrolKey { .. } => told::key_not_registered(language),
        Purpose::SignIn { .. }
        | Purpose::Change { .. }
        | Purpose::ConfirmChange { .. }
        | Purpose::OwnPage { .. }
        | Purpose::Enrol { .. } => told::key_failed(language),
    };
    [
        failed,
        told::key_unusable(language),
        told::key_known(language),
        told::key_not_reached(language),
    ]
}

/// Who asks, for whom, from where; on the asking PC itself with the page that `goes_on`.
pub(crate) fn phone(context: &Context<'_>, page: &PhonePage, goes_on: Option<&str>) -> Answer {
    let (purpose, terminal, number_of_asking_screen, entries, scope, seconds) = match page {
        PhonePage::Over => return refusal(context, SignInRefusal::LinkOver),
        PhonePage::Unavailable => return refusal(context, SignInRefusal::Unavailable),
        PhonePage::Ask {
            purpose,
            terminal,
            number_of_asking_screen,
            session_seconds,
            signatures,
            entries,
            remaining_seconds,
        } => {
            let scope = scope(context.language, entries, *session_seconds, *signatures);
            (purpose, terminal, *number_of_asking_screen, entries, scope, *remaining_seconds)
        }
    };
    let Context { language, request_id, path, .. } = *context;
    let page = PhoneTemplate {
        language,
        request_id,
        path: path.unwrap_or_default(),
        script: script_version(),
        purpose,
        terminal,
        number_of_asking_screen,
        entries,
        scope,
        seconds,
        left: clock(seconds),
        said: said(goes_on.map_or_else(|| on_phone(language), |_| at_pc(language, purpose))),
        goes_on,
    };
    html(StatusCode::OK, &page, language, Allowed::OWN_SCRIPT)
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolTemplate<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    form: EnrolForm<'a>,
}

/// What the holder confirms.
pub(crate) struct EnrolForm<'a> {
    pub(crate) kind: AuthenticatorKind,
    pub(crate) holder: &'a str,
    pub(crate) holder_id: &'a str,
    pub(crate) replaces: Option<&'a str>,
    pub(crate) form_token: &'a str,
    pub(crate) danger_test_mode: bool,
}

/// The card is good: one form confirms.
pub(crate) fn enrol(context: &Context<'_>, form: EnrolForm<'_>) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let page = EnrolTemplate { language, request_id, path, form };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

#[derive(Template)]
#[template(path = "enrol_started.html")]
struct EnrolStartedPage<'a> {
    language: Language,
    kind: AuthenticatorKind,
    request_id: &'a str,
    path: &'a str,
    portal_origin: &'a str,
    id: &'a str,
    page_secret: &'a str,
}

/// One form leads to the portal's page; its policy lets it lead there and nowhere else.
pub(crate) fn enrol_started(
    context: &Context<'_>,
    kind: AuthenticatorKind,
    portal_origin: &str,
    id: &str,
    page_secret: &str,
) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let path = path.unwrap_or_default();
    let page =
        EnrolStartedPage { language, kind, request_id, path, portal_origin, id, page_secret };
    let allowed = Allowed { form_origins: &[portal_origin], ..Allowed::NOTHING };
    html(StatusCode::OK, &page, language, allowed)
}

#[derive(Template)]
#[template(path = "ask_card.html")]
struct AskCardPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    /// Of a phone or security key; `None`: it was a My Number card.
    device: Option<(AuthenticatorKind, &'a str)>,
    url: &'a str,
    time_left: String,
}

/// PC: a phone, a security key or a My Number card is proved, and the card that began is asked for once more.
pub(crate) fn ask_card(
    context: &Context<'_>,
    device: Option<(AuthenticatorKind, &str)>,
    url: &str,
    seconds: u64,
) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let (path, time_left) = (path.unwrap_or_default(), language.time_left(seconds));
    let page = AskCardPage { language, request_id, path, device, url, time_left };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

#[derive(Template)]
#[template(path = "ask_change.html")]
struct AskChangePage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    holder_id: &'a str,
    label: &'a str,
    time_left: String,
}

/// PC: the old phone is proved; is it to be given up?
pub(crate) fn ask_change(
    context: &Context<'_>,
    holder_id: &str,
    label: &str,
    seconds: u64,
) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let (path, time_left) = (path.unwrap_or_default(), language.time_left(seconds));
    let page = AskChangePage { language, request_id, path, holder_id, label, time_left };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

#[derive(Template)]
#[template(path = "enrol_again.html")]
struct ConfirmEnrolTemplate<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    confirm: &'a ConfirmEnrol,
    time_left: String,
}

/// The card came back: one form confirms what was proved.
pub(crate) fn confirm_enrol(context: &Context<'_>, confirm: &ConfirmEnrol) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let (path, time_left) =
        (path.unwrap_or_default(), language.time_left(confirm.remaining_seconds));
    let page = ConfirmEnrolTemplate { language, request_id, path, confirm, time_left };
    html(StatusCode::OK, &page, language, Allowed::NOTHING)
}

/// Minutes and seconds, as the script counts them down.
pub(super) fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
