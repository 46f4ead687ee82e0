//! Every route on one screen: what is answered where, and by which function.
//!
//! The OpenAPI document is made from the same table.

mod names;

use crate::door::admin;
use crate::door::at_pc;
use crate::door::change_phone;
use crate::door::confirm_enrol;
use crate::door::enrol;
use crate::door::exchange::Exchange;
use crate::door::letter;
use crate::door::login;
use crate::door::monitoring;
use crate::door::my_number;
use crate::door::own_page;
use crate::door::phone;
use crate::door::portal;
use crate::door::saved;
use crate::door::sessions;
use crate::door::sign;
use crate::door::sign_digests;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::problem::Code;
use crate::problem::Problem;
use attest::authenticator::AuthenticatorKind;
use http::Method;

/// A listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// Signing systems.
    Signing,
    /// Browsers with an HPKI card.
    Hpki,
    /// Browsers with a My Number card.
    Jpki,
    /// Browsers and phones.
    Portal,
    /// Operators.
    Admin,
    /// Monitoring.
    Metrics,
}

/// Something that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is its line of the table")]
pub enum Route {
    Info,
    OpenApi,
    CreateSession,
    Session,
    Activate,
    EndSession,
    Credentials,
    Sign,
    SignDigests,
    LoginPage,
    LoginForm,
    PortalIndex,
    ChoicePage,
    AskPhone,
    AskCard,
    GoOn,
    ForgetSaved,
    Arrive,
    OwnPage,
    OwnAction,
    OwnSignIn,
    OwnDevice,
    OwnDeviceRemove,
    OwnSignatures,
    RememberWait,
    WaitPage,
    WaitState,
    ChangePhone,
    AnswerChange,
    PcPage,
    PcOptions,
    PcFinish,
    PcDeny,
    PhonePage,
    PhoneOptions,
    PhoneFinish,
    PhoneDeny,
    LetterPage,
    LetterPassword,
    LetterOptions,
    LetterFinish,
    Script,
    EnrolPage,
    EnrolForm,
    EnrolKeyPage,
    EnrolKeyForm,
    EnrolStarted,
    ConfirmEnrolPage,
    ConfirmEnrolForm,
    LinkPage,
    LinkForm,
    LinkStarted,
    RememberLink,
    LinkMeet,
    LinkConfirm,
    Admin,
    Metrics,
    Health,
    Readiness,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where it is answered.
    pub listener: Listener,
    /// By which method; `*` stands for those that [`crate::admin::rest::ROUTES`] knows.
    pub method: &'static str,
    /// Under which path; `{name}` stands for one segment, `{*}` for the rest.
    pub path: &'static str,
    /// What it is.
    pub route: Route,
}

/// The table.
#[rustfmt::skip]
pub const ROUTES: &[Entry] = &[
    entry(Listener::Signing, "POST",   "/v1/sign",                           Route::Sign),
    entry(Listener::Signing, "POST",   "/v1/sign/digest",                    Route::SignDigests),
    entry(Listener::Signing, "POST",   "/v1/sessions",                       Route::CreateSession),
    entry(Listener::Signing, "GET",    "/v1/sessions/{session_id}",          Route::Session),
    entry(Listener::Signing, "DELETE", "/v1/sessions/{session_id}",          Route::EndSession),
    entry(Listener::Signing, "POST",   "/v1/sessions/{session_id}/activate", Route::Activate),
    entry(Listener::Signing, "GET",    "/v1/credentials",                    Route::Credentials),
    entry(Listener::Signing, "GET",    "/v1/info",                           Route::Info),
    entry(Listener::Signing, "GET",    "/v1/openapi.json",                   Route::OpenApi),
    entry(Listener::Hpki,    "GET",    "/login/{link}",                      Route::LoginPage),
    entry(Listener::Hpki,    "POST",   "/login/{link}",                      Route::LoginForm),
    entry(Listener::Hpki,    "GET",    "/enrol",                             Route::EnrolPage),
    entry(Listener::Hpki,    "POST",   "/enrol",                             Route::EnrolForm),
    entry(Listener::Hpki,    "GET",    "/enrol-key",                         Route::EnrolKeyPage),
    entry(Listener::Hpki,    "POST",   "/enrol-key",                         Route::EnrolKeyForm),
    entry(Listener::Hpki,    "GET",    "/enrol/{id}/started",                Route::EnrolStarted),
    entry(Listener::Hpki,    "GET",    "/enrol/{id}",                        Route::ConfirmEnrolPage),
    entry(Listener::Hpki,    "POST",   "/enrol/{id}",                        Route::ConfirmEnrolForm),
    entry(Listener::Hpki,    "GET",    "/link",                              Route::LinkPage),
    entry(Listener::Hpki,    "POST",   "/link",                              Route::LinkForm),
    entry(Listener::Hpki,    "GET",    "/link/{id}/started",                 Route::LinkStarted),
    entry(Listener::Jpki,    "GET",    "/login/{link}",                      Route::LoginPage),
    entry(Listener::Jpki,    "POST",   "/login/{link}",                      Route::LoginForm),
    entry(Listener::Jpki,    "GET",    "/enrol",                             Route::EnrolPage),
    entry(Listener::Jpki,    "POST",   "/enrol",                             Route::EnrolForm),
    entry(Listener::Jpki,    "GET",    "/enrol-key",                         Route::EnrolKeyPage),
    entry(Listener::Jpki,    "POST",   "/enrol-key",                         Route::EnrolKeyForm),
    entry(Listener::Jpki,    "GET",    "/enrol/{id}/started",                Route::EnrolStarted),
    entry(Listener::Jpki,    "GET",    "/enrol/{id}",                        Route::ConfirmEnrolPage),
    entry(Listener::Jpki,    "POST",   "/enrol/{id}",                        Route::ConfirmEnrolForm),
    entry(Listener::Jpki,    "POST",   "/link/{id}",                         Route::RememberLink),
    entry(Listener::Jpki,    "GET",    "/link/{id}",                         Route::LinkMeet),
    entry(Listener::Jpki,    "POST",   "/link/{id}/confirm",                 Route::LinkConfirm),
    entry(Listener::Portal,  "GET",    "/",                                  Route::PortalIndex),
    entry(Listener::Portal,  "GET",    "/portal.js",                         Route::Script),
    entry(Listener::Portal,  "GET",    "/login/{link}",                      Route::ChoicePage),
    entry(Listener::Portal,  "POST",   "/login/{link}/phone",                Route::AskPhone),
    entry(Listener::Portal,  "POST",   "/login/{link}/card",                 Route::AskCard),
    entry(Listener::Portal,  "POST",   "/login/{link}/saved",                Route::GoOn),
    entry(Listener::Portal,  "POST",   "/login/{link}/forget",               Route::ForgetSaved),
    entry(Listener::Portal,  "GET",    "/arrive",                            Route::Arrive),
    entry(Listener::Portal,  "GET",    "/me",                                Route::OwnPage),
    entry(Listener::Portal,  "POST",   "/me",                                Route::OwnAction),
    entry(Listener::Portal,  "POST",   "/me/sign-in",                        Route::OwnSignIn),
    entry(Listener::Portal,  "GET",    "/me/devices/{id}",                   Route::OwnDevice),
    entry(Listener::Portal,  "POST",   "/me/devices/{id}",                   Route::OwnDeviceRemove),
    entry(Listener::Portal,  "GET",    "/me/signatures",                     Route::OwnSignatures),
    entry(Listener::Portal,  "POST",   "/wait/{id}",                         Route::RememberWait),
    entry(Listener::Portal,  "GET",    "/wait/{id}",                         Route::WaitPage),
    entry(Listener::Portal,  "GET",    "/wait/{id}/state",                   Route::WaitState),
    entry(Listener::Portal,  "POST",   "/change",                            Route::ChangePhone),
    entry(Listener::Portal,  "POST",   "/wait/{id}/change",                  Route::AnswerChange),
    entry(Listener::Portal,  "GET",    "/wait/{id}/key",                     Route::PcPage),
    entry(Listener::Portal,  "POST",   "/wait/{id}/key/options",             Route::PcOptions),
    entry(Listener::Portal,  "POST",   "/wait/{id}/key/finish",              Route::PcFinish),
    entry(Listener::Portal,  "POST",   "/wait/{id}/key/deny",                Route::PcDeny),
    entry(Listener::Portal,  "GET",    "/phone/{link}",                      Route::PhonePage),
    entry(Listener::Portal,  "POST",   "/phone/{link}/options",              Route::PhoneOptions),
    entry(Listener::Portal,  "POST",   "/phone/{link}/finish",               Route::PhoneFinish),
    entry(Listener::Portal,  "POST",   "/phone/{link}/deny",                 Route::PhoneDeny),
    entry(Listener::Portal,  "GET",    "/letter/{link}",                     Route::LetterPage),
    entry(Listener::Portal,  "POST",   "/letter/{link}",                     Route::LetterPassword),
    entry(Listener::Portal,  "POST",   "/letter/{link}/options",             Route::LetterOptions),
    entry(Listener::Portal,  "POST",   "/letter/{link}/finish",              Route::LetterFinish),
    entry(Listener::Admin,   "*",      "/admin/v1/{*}",                      Route::Admin),
    entry(Listener::Metrics, "GET",    "/metrics",                           Route::Metrics),
    entry(Listener::Metrics, "GET",    "/healthz",                           Route::Health),
    entry(Listener::Metrics, "GET",    "/readyz",                            Route::Readiness),
];

/// Who answers.
pub(crate) async fn run(route: Route, exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    match route {
        Route::Sign => sign::sign(exchange).await,
        Route::SignDigests => sign_digests::sign_digests(exchange).await,
        Route::CreateSession => sessions::create(exchange).await,
        Route::Session => sessions::view(exchange).await,
        Route::EndSession => sessions::end(exchange).await,
        Route::Activate => sessions::activate(exchange).await,
        Route::Credentials => sessions::credentials(exchange).await,
        Route::Info => sessions::info(exchange).await,
        Route::OpenApi => sessions::openapi(exchange),
        Route::LoginPage => login::page(exchange).await,
        Route::LoginForm => login::form(exchange).await,
        Route::PortalIndex => portal::index(exchange).await,
        Route::ChoicePage => portal::choice(exchange).await,
        Route::AskPhone => portal::ask_phone(exchange).await,
        Route::AskCard => portal::ask_card(exchange).await,
        Route::GoOn => saved::go_on(exchange).await,
        Route::ForgetSaved => saved::forget(exchange).await,
        Route::Arrive => own_page::arrive(exchange).await,
        Route::OwnPage => own_page::page(exchange).await,
        Route::OwnAction => own_page::action(exchange).await,
        Route::OwnSignIn => own_page::sign_in(exchange).await,
        Route::OwnDevice => own_page::device(exchange).await,
        Route::OwnDeviceRemove => own_page::remove_device(exchange).await,
        Route::OwnSignatures => own_page::signatures(exchange).await,
        Route::RememberWait => portal::remember(exchange).await,
        Route::WaitPage => portal::wait(exchange).await,
        Route::WaitState => portal::wait_state(exchange).await,
        Route::ChangePhone => change_phone::start(exchange).await,
        Route::AnswerChange => change_phone::answer(exchange).await,
        Route::PcPage => at_pc::page(exchange).await,
        Route::PcOptions => at_pc::options(exchange).await,
        Route::PcFinish => at_pc::finish(exchange).await,
        Route::PcDeny => at_pc::deny(exchange).await,
        Route::PhonePage => phone::page(exchange).await,
        Route::PhoneOptions => phone::options(exchange).await,
        Route::PhoneFinish => phone::finish(exchange).await,
        Route::PhoneDeny => phone::deny(exchange).await,
        Route::LetterPage => letter::page(exchange).await,
        Route::LetterPassword => letter::password(exchange).await,
        Route::LetterOptions => letter::options(exchange).await,
        Route::LetterFinish => letter::finish(exchange).await,
        Route::Script => portal::script(exchange),
        Route::EnrolPage => enrol::page(exchange, AuthenticatorKind::Phone).await,
        Route::EnrolForm => enrol::form(exchange, AuthenticatorKind::Phone).await,
        Route::EnrolKeyPage => enrol::page(exchange, AuthenticatorKind::SecurityKey).await,
        Route::EnrolKeyForm => enrol::form(exchange, AuthenticatorKind::SecurityKey).await,
        Route::EnrolStarted => enrol::started(exchange).await,
        Route::ConfirmEnrolPage => confirm_enrol::page(exchange).await,
        Route::ConfirmEnrolForm => confirm_enrol::form(exchange).await,
        Route::LinkPage => my_number::page(exchange).await,
        Route::LinkForm => my_number::start(exchange).await,
        Route::LinkStarted => my_number::started(exchange).await,
        Route::RememberLink => my_number::remember(exchange).await,
        Route::LinkMeet => my_number::meet(exchange).await,
        Route::LinkConfirm => my_number::confirm(exchange).await,
        Route::Admin => admin::command(exchange).await,
        Route::Metrics => monitoring::metrics(exchange).await,
        Route::Health => monitoring::health(exchange).await,
        Route::Readiness => monitoring::readiness(exchange).await,
    }
}

/// A route and what its path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) route: Route,
    pub(crate) name: Option<String>,
}

/// Finds who answers. One resource has one spelling: a path with an escape, an empty segment, a dot segment or a
/// character that no name has is not found, whatever it might have meant.
pub(crate) fn find(listener: Listener, method: &Method, path: &str) -> Result<Found, Refusal> {
    if path != "/" && !is_plain(path) {
        return Err(Code::NotFound.into());
    }
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let mut allow: Vec<&str> = Vec::new();
    for entry in ROUTES.iter().filter(|entry| entry.listener == listener) {
        let Some(name) = matched(entry.path, path) else { continue };
        if entry.method == method || entry.method == "*" {
            return Ok(Found { route: entry.route, name: name.map(str::to_owned) });
        }
        allow.push(entry.method);
        if entry.method == "GET" {
            allow.push("HEAD");
        }
    }
    if allow.is_empty() {
        return Err(Code::NotFound.into());
    }
    let problem = Problem::new(Code::MethodNotAllowed);
    Err(Refusal { problem, allow: Some(allow.join(", ")), close: false })
}

fn is_plain(path: &str) -> bool {
    let segment_is_plain = |segment: &str| {
        !segment.is_empty()
            && !segment.ends_with('.')
            && segment
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"._~-".contains(&octet))
    };
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment_is_plain))
}

/// `Some` when the path has the pattern's form, with the segment that stands for its name.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    if let Some(prefix) = pattern.strip_suffix("{*}") {
        return path.strip_prefix(prefix).map(Some);
    }
    let mut name = None;
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(name),
            (Some(wanted), Some(given)) if wanted.starts_with('{') => name = Some(given),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

const fn entry(
    listener: Listener,
    method: &'static str,
    path: &'static str,
    route: Route,
) -> Entry {
    Entry { listener, method, path, route }
}

impl Entry {
    /// Whether the OpenAPI document describes it: operators' commands have their own table, what the portal answers is for
    /// its own pages, and the My Number card's listener answers as the HPKI card's does.
    pub(crate) fn is_described(&self) -> bool {
        self.route != Route::Admin && !matches!(self.listener, Listener::Portal | Listener::Jpki)
    }
}

impl Route {
    /// Whether the portal's own script reads the answer, not a person.
    pub(crate) fn is_for_script(self) -> bool {
        matches!(
            self,
            Self::Script
                | Self::WaitState
                | Self::PhoneOptions
                | Self::PhoneFinish
                | Self::PcOptions
                | Self::PcFinish
                | Self::LetterOptions
                | Self::LetterFinish
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_signing(method: Method, path: &str) -> Result<Found, Code> {
        find(Listener::Signing, &method, path).map_err(|refusal| refusal.problem.code)
    }

    #[test]
    fn names_are_taken_from_their_segment() {
        let found = find_signing(Method::POST, "/v1/sessions/s-1/activate").unwrap();
        assert_eq!(found, Found { route: Route::Activate, name: Some("s-1".into()) });
        assert_eq!(find_signing(Method::GET, "/v1/info").unwrap().name, None);
    }

    #[test]
    fn other_spellings_of_a_path_are_not_found() {
        for path in [
            "",
            "*",
            "v1/info",
            "/",
            "//v1/info",
            "/v1//info",
            "/v1/info/",
            "/v1/./info",
            "/v1/x/../info",
            "/v1/..",
            "/v1/%69nfo",
            "/v1%2finfo",
            "/v1/info;a=b",
            "/v1/info.",
            "/V1/info",
            "/v1/INFO",
            "/v1/info%00",
            "/v1/sessions/",
            "/v1/sessions/a%2fb",
            "/v1/sessions/a/b",
            "/v1/sessions/..",
            "/v1/sessions/a.",
            "/v1/sessions/a;b",
            "/v1/sessions/\u{ff41}",
            "/v1\\info",
            "/v1/sessions/a+b",
            "/v1/sessions/{session_id}",
        ] {
            assert_eq!(find_signing(Method::GET, path), Err(Code::NotFound), "{path}");
        }
    }

    #[test]
    fn other_methods_are_refused_with_those_that_are_offered() {
        for method in ["OPTIONS", "TRACE", "PUT", "PATCH", "CONNECT", "get", "POST"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let refusal = find(Listener::Signing, &method, "/v1/sessions/s-1").unwrap_err();
            assert_eq!(refusal.problem.code, Code::MethodNotAllowed);
            assert_eq!(refusal.allow.as_deref(), Some("GET, HEAD, DELETE"));
        }
        assert_eq!(find_signing(Method::HEAD, "/v1/info").unwrap().route, Route::Info);
    }

    #[test]
    fn listeners_do_not_answer_for_each_other() {
        assert_eq!(find_signing(Method::GET, "/metrics"), Err(Code::NotFound));
        assert!(find(Listener::Metrics, &Method::GET, "/v1/info").is_err());
    }
}
