//! Pages that holders see in their browser: one decision a page, plain words, no script, nothing from elsewhere.

pub(crate) mod added;
pub(crate) mod language;
pub(crate) mod letter;
pub(crate) mod messages;
pub(crate) mod my_number;
pub(crate) mod own_page;
pub(crate) mod portal;
pub(crate) mod qr;
pub(crate) mod saved;
pub(crate) mod told;

use crate::door::exchange::Exchange;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::operations::Confirm;
use crate::operations::EntryShown;
use crate::operations::WhyNot;
use crate::problem::Code;
use crate::routes::Listener;
use crate::wire::EntryKind;
use askama::Template;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use language::Language;
use messages::Message;
use std::sync::LazyLock;

const STYLE: &str = include_str!("../../templates/style.css");

/// The source expression that allows [`STYLE`] and no other style (CSP Level 3 §2.3.1).
static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let digest = digest::digest(&digest::SHA256, STYLE.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest))
});

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    confirm: &'a Confirm,
    entries: &'a [EntryShown],
    scope: String,
    added: Vec<String>,
    time_left: String,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    language: Language,
    request_id: &'a str,
    message: &'a Message,
    /// Which listener's card its steps put into the reader.
    card: Option<Listener>,
    /// Whether the page may be opened again.
    again: bool,
    /// What the language switch opens; "": nothing.
    path: &'a str,
}

/// What a page needs to know of its request.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) language: Language,
    pub(crate) request_id: &'a str,
    /// Path under which the page is to be had again.
    pub(crate) path: Option<&'a str>,
    /// Where the request came in: the words are about the card that is asked for there.
    pub(crate) listener: Listener,
}

/// The form that confirms a sign-in.
pub(crate) fn confirm(context: &Context<'_>, confirm: &Confirm) -> Answer {
    let page = ConfirmPage {
        language: context.language,
        request_id: context.request_id,
        path: context.path.unwrap_or_default(),
        confirm,
        entries: &confirm.entries,
        scope: scope(
            context.language,
            &confirm.entries,
            confirm.session_seconds,
            confirm.signatures,
        ),
        added: added::lines(context.language, &confirm.added),
        time_left: context.language.time_left(confirm.remaining_seconds),
    };
    let origins: Vec<&str> = confirm.return_origins.iter().map(String::as_str).collect();
    let allowed = Allowed { form_origins: &origins, ..Allowed::NOTHING };
    html(StatusCode::OK, &page, context.language, allowed)
}

/// How much is being allowed: so many signatures of any kind, or those listed.
fn scope(language: Language, entries: &[EntryShown], seconds: u64, signatures: u64) -> String {
    match entries {
        [] => language.scope(seconds, signatures),
        listed => language.scope_of_entries(seconds, listed.len()),
    }
}

/// A page that says something; with `code` it is a refusal.
pub(crate) fn message(context: &Context<'_>, message: &Message, code: Option<Code>) -> Answer {
    message_with(context, message, code, None)
}

fn message_with(
    context: &Context<'_>,
    message: &Message,
    code: Option<Code>,
    card: Option<Listener>,
) -> Answer {
    let page = MessagePage {
        language: context.language,
        request_id: context.request_id,
        message,
        card,
        again: message.may_open_again && context.path.is_some(),
        path: context.path.unwrap_or_default(),
    };
    html_of(code, &page, context.language)
}

/// A page that says why not, and what to do.
pub(crate) fn refusal(context: &Context<'_>, why: impl Into<WhyNot>) -> Answer {
    let (words, code) = messages::refusal(context.language, context.listener, &why.into());
    message(context, &words, Some(code))
}

/// Too much was asked for: come back after so many seconds.
pub(crate) fn too_often(context: &Context<'_>, seconds: u64) -> Answer {
    let told = told::too_often(context.language, seconds);
    let mut answer = message(context, &told, Some(Code::RateLimited));
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    answer
}

/// A card that is too new to register anything.
pub(crate) fn too_new(context: &Context<'_>, seconds: u64) -> Answer {
    message(context, &told::too_new(context.language, seconds), Some(Code::FactorRefused))
}

/// No card, or a link that leads nowhere.
pub(crate) fn present_card(context: &Context<'_>) -> Answer {
    let (words, code) = messages::present_card(context.language, context.listener);
    message_with(context, &words, Some(code), Some(context.listener))
}

impl<'a> Context<'a> {
    pub(crate) fn of(exchange: &'a Exchange<'_>, language: Language) -> Self {
        let (request_id, path) = (exchange.request_id.as_str(), exchange.parts.uri.path());
        let listener = exchange.door.kind;
        Self { language, request_id, path: Some(path), listener }
    }
}

/// A page that may do nothing; with `code` it is a refusal.
fn html_of(code: Option<Code>, page: &impl Template, language: Language) -> Answer {
    let status = code.map_or(StatusCode::OK, answer::status_of);
    let mut answer = html(status, page, language, Allowed::NOTHING);
    if let Some(code) = code {
        answer.extensions_mut().insert(code);
    }
    answer
}

fn html(
    status: StatusCode,
    page: &impl Template,
    language: Language,
    allowed: Allowed<'_>,
) -> Answer {
    // Writing into a string fails only when a template's own value does; there is none that can.
    let text = page.render().unwrap_or_default();
    let mut answer = answer::octets(status, "text/html; charset=utf-8", text);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    if let Ok(policy) = HeaderValue::try_from(policy(allowed)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    answer
}

/// What a page may do beyond showing itself and sending its form here.
#[derive(Clone, Copy)]
struct Allowed<'a> {
    /// Where its form may lead, directly or from here.
    form_origins: &'a [&'a str],
    /// Whether it may run the portal's script, and that ask the portal.
    own_script: bool,
}

impl Allowed<'_> {
    const NOTHING: Self = Self { form_origins: &[], own_script: false };
    const OWN_SCRIPT: Self = Self { form_origins: &[], own_script: true };
}

/// Nothing but this page's own style, and what is allowed to it.
fn policy(allowed: Allowed<'_>) -> String {
    let origins = allowed.form_origins.iter().copied().filter(|origin| is_origin(origin));
    let origins: Vec<&str> = std::iter::once("'self'").chain(origins).collect();
    let origins = origins.join(" ");
    let script = match allowed.own_script {
        true => "script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; ",
        false => "",
    };
    format!(
        "default-src 'none'; style-src {}; {script}form-action {origins}; \
         frame-ancestors 'none'; base-uri 'none'",
        *STYLE_SOURCE
    )
}

/// Scheme, host and port of one of our own addresses.
fn origin_of(url: &str) -> &str {
    let host_at = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host_at..).and_then(|rest| rest.find('/')).map(|at| host_at + at);
    end.and_then(|end| url.get(..end)).unwrap_or(url)
}

/// Nothing that could end the directive it stands in.
fn is_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".:-[]".contains(&octet))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_that_could_change_the_policy_is_left_out() {
        let policy = |origin| policy(Allowed { form_origins: &[origin], own_script: false });
        assert!(policy("https://ehr.example:8443").contains("'self' https://ehr.example:8443;"));
        for evil in
            ["*", "https://a; script-src *", "https://a 'unsafe-inline'", "javascript:", "https://"]
        {
            assert!(policy(evil).contains("form-action 'self';"), "{evil}");
        }
    }
}
