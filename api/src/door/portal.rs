//! The portal on the PC: what can be done, how to sign in, and the page that waits for a phone.

use super::cookies;
use super::exchange::Exchange;
use super::exchange::stopping;
use super::forms;
use super::forms::see_other;
use super::saved;
use super::sessions::seconds;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::http::user_agent;
use crate::operations::SignInRefusal;
use crate::operations::portal::Choice;
use crate::operations::portal::ChoicePage;
use crate::operations::portal::Handed;
use crate::operations::portal::Terminal;
use crate::operations::portal::WaitPage;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::messages;
use crate::pages::portal;
use crate::pages::refusal;
use crate::pages::saved as saved_page;
use crate::pages::told;
use crate::problem::Code;
use crate::problem::Problem;
use crate::wire::MethodName;
use attest::sign_in::split_link;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use serde::Serialize;
use std::time::Duration;

/// Characters of a holder's id that is typed.
const HOLDER_CHARACTERS: usize = 128;
/// The secret of a waiting page; each page has its own path.
const COOKIE: &str = "__Secure-wait";
/// The sign-in that a browser began last: its name, no secret.
pub(super) const BEGUN: &str = "__Host-begun";
/// Seconds for which it is remembered: a login link's and its code's.
const BEGUN_SECONDS: u64 = 900;

/// `GET /`: what can be done here.
pub(crate) async fn index(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = language(exchange)?;
    let index = exchange.operations().portal_index().await;
    Ok(portal::index(&Context::of(exchange, language), &index))
}

/// `GET /portal.js`: the one script. Its pages name it with its digest; so named it may be kept for ever.
pub(crate) fn script(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [version] = exchange.query(["v"])?;
    let media_type = "text/javascript; charset=utf-8";
    let mut answer = answer::octets(StatusCode::OK, media_type, portal::SCRIPT);
    if version.as_deref() == Some(portal::script_version()) {
        let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
        answer.headers_mut().insert(header::CACHE_CONTROL, for_ever);
    }
    Ok(answer)
}

/// `GET /login/{link}`: who asks, and how one may sign in; with `other=1` no saved sign-in is offered. Changes nothing.
pub(crate) async fn choice(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang, other] = exchange.query(["lang", "other"])?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let link = exchange.name()?;
    let page = exchange.operations().choose(exchange.request_id.as_str(), link).await;
    let context = Context::of(exchange, language);
    match page {
        ChoicePage::Choose(choice) => {
            let offer = match other.as_deref() {
                Some("1") => None,
                _ => saved::offer(exchange, link).await,
            };
            match (offer, only_card(&choice)) {
                (Some(offer), _) => Ok(saved_page::offer(&context, link, &offer)),
                (None, Some(url)) => see_other(&format!("{url}?lang={}", language.tag())),
                (None, None) => Ok(portal::choice(&context, link, &choice)),
            }
        }
        ChoicePage::Over => Ok(refusal(&context, SignInRefusal::LinkOver)),
        ChoicePage::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
    }
}

/// With one method there is nothing to choose; a phone still needs its form, since a link alone must start nothing, and so
/// does a sign-in that is to be kept: only the form says which browser began it.
fn only_card(choice: &Choice) -> Option<&str> {
    match choice.methods.as_slice() {
        _ if choice.keeps => None,
        [MethodName::Hpki] => choice.hpki_url.as_deref(),
        [MethodName::Jpki] => choice.jpki_url.as_deref(),
        _ => None,
    }
}

/// `POST /login/{link}/phone`: a QR code for this browser.
pub(crate) async fn ask_phone(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [holder_id, lang, at] = forms::own(exchange, ["holder_id", "lang", "at"]).await?;
    let holder_id = typed_holder(holder_id)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let is_here = is_at_pc(at.as_deref())?;
    let terminal = terminal(exchange);
    let (operations, request_id, link) = exchange.to_ask()?;
    let page = format!("/login/{link}");
    let work =
        async move { Ok(operations.hand_off(&request_id, &link, holder_id, terminal).await) };
    let context = Context { path: Some(&page), ..Context::of(exchange, language) };
    let mut answer = match exchange.to_the_end(work).await? {
        Handed::Page { id, page_secret } if is_here => {
            to_wait_page(&id, "/key", page_secret.as_str(), language)?
        }
        other => handed(&context, other)?,
    };
    if answer.status() == StatusCode::SEE_OTHER {
        remember_begun(exchange, &mut answer)?;
    }
    Ok(answer)
}

/// Where a browser goes that asked for a QR code.
pub(super) fn handed(context: &Context<'_>, handed: Handed) -> Result<Answer, Refusal> {
    match handed {
        Handed::Page { id, page_secret } => {
            to_wait_page(&id, "", page_secret.as_str(), context.language)
        }
        Handed::Over => Ok(refusal(context, SignInRefusal::LinkOver)),
        Handed::NetworkNotAllowed => Ok(refusal(context, SignInRefusal::NetworkNotAllowed)),
        Handed::Unavailable => Ok(refusal(context, SignInRefusal::Unavailable)),
        Handed::RateLimited { seconds } => Ok(pages::too_often(context, seconds)),
    }
}

/// The button that was pressed: true for an authenticator at this PC, false for the QR code.
fn is_at_pc(at: Option<&str>) -> Result<bool, Problem> {
    match at {
        None | Some("phone") => Ok(false),
        Some("pc") => Ok(true),
        Some(_) => Err(malformed("at: phone or pc")),
    }
}

/// A holder's id as it was typed, if it was.
pub(super) fn typed_holder(holder_id: Option<String>) -> Result<Option<String>, Problem> {
    let typed = holder_id.map(|typed| typed.trim().to_owned()).filter(|id| !id.is_empty());
    match typed.as_ref().is_some_and(|id| id.chars().count() > HOLDER_CHARACTERS) {
        true => Err(malformed(format!("holder_id: at most {HOLDER_CHARACTERS} characters"))),
        false => Ok(typed),
    }
}

/// `POST /login/{link}/card`: on to the card listener; it changes nothing but this browser's cookie.
pub(crate) async fn ask_card(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [card, lang] = forms::own(exchange, ["card", "lang"]).await?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let link = exchange.name()?;
    let found = exchange.operations().choose(exchange.request_id.as_str(), link).await;
    let context =
        Context { path: Some(&format!("/login/{link}")), ..Context::of(exchange, language) };
    match found {
        ChoicePage::Choose(choice) => {
            let url = match card.as_deref() {
                Some("jpki") => choice.jpki_url,
                _ => choice.hpki_url,
            };
            let Some(url) = url else {
                return Ok(refusal(&context, SignInRefusal::NotAllowedHere));
            };
            let mut answer = see_other(&format!("{url}?lang={}", language.tag()))?;
            remember_begun(exchange, &mut answer)?;
            Ok(answer)
        }
        ChoicePage::Over => Ok(refusal(&context, SignInRefusal::LinkOver)),
        ChoicePage::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
    }
}

/// Which sign-in this browser began: whoever brings its code later is believed to be here only if this is the same one.
fn remember_begun(exchange: &Exchange<'_>, answer: &mut Answer) -> Result<(), Refusal> {
    match split_link(exchange.name()?) {
        Some((session_id, _)) => {
            Ok(cookies::set(answer, BEGUN, session_id, BEGUN_SECONDS, cookies::WHOLE_HOST)?)
        }
        None => Ok(()),
    }
}

/// `POST /wait/{id}`: the card listener's page brings the secret of a waiting page. It changes nothing but this browser's
/// cookie; whether there is such a page is asked by the page itself.
pub(crate) async fn remember(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [page_secret, lang] = forms::led_here(exchange, ["page_secret", "lang"]).await?;
    let page_secret = page_secret
        .filter(|secret| cookies::is_secret(secret))
        .ok_or_else(|| malformed("page_secret: as the page before had it"))?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    to_wait_page(exchange.name()?, "", &page_secret, language)
}

/// `GET /wait/{id}`: the QR code, then what became of it.
pub(crate) async fn wait(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = language(exchange)?;
    let page = look(exchange, Duration::ZERO).await?;
    let context = Context::of(exchange, language);
    // What is decided is read once, and needs no other language.
    let decided = Context { path: None, ..context };
    Ok(match page {
        WaitPage::Waiting(waiting) => portal::wait(&context, &waiting),
        WaitPage::Return { url } => see_other(&url)?,
        WaitPage::SignedIn { system } => {
            pages::message(&decided, &messages::done(language, &system), None)
        }
        WaitPage::AtPc => {
            see_other(&format!("/wait/{}/key?lang={}", exchange.name()?, language.tag()))?
        }
        WaitPage::AskCard { kind, label, url, remaining_seconds } => {
            portal::ask_card(&context, Some((kind, &label)), &url, remaining_seconds)
        }
        WaitPage::AskChange { holder_id, label, remaining_seconds } => {
            portal::ask_change(&context, &holder_id, &label, remaining_seconds)
        }
        WaitPage::Enrolled { kind, label } => {
            pages::message(&decided, &told::enrolled(language, kind, &label), None)
        }
        WaitPage::Denied => {
            pages::message(&decided, &told::ended(language), Some(Code::LoginDenied))
        }
        WaitPage::Over => refusal(&decided, SignInRefusal::LinkOver),
        WaitPage::Unavailable => refusal(&context, SignInRefusal::Unavailable),
    })
}

/// What the page's script is told.
#[derive(Serialize)]
struct WaitState {
    /// Otherwise there is another page to be had.
    waiting: bool,
}

/// `GET /wait/{id}/state?wait=25&shows=1`: whether the page still waits, with the QR code that it shows.
pub(crate) async fn wait_state(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [wait, shows] = exchange.query(["wait", "shows"])?;
    let wait = wait.as_deref().map_or(Ok(0), seconds)?;
    let waits = |page: &WaitPage| match page {
        WaitPage::Waiting(waiting) => {
            shows.as_ref().is_none_or(|shows| *shows == waiting.purpose.code().to_string())
        }
        _ => false,
    };
    let mut page = look(exchange, Duration::ZERO).await?;
    if wait > 0 && waits(&page) {
        page = look(exchange, Duration::from_secs(wait)).await?;
    }
    match page {
        WaitPage::Unavailable => Err(Code::NotOperational.into()),
        page => answer::json(&WaitState { waiting: waits(&page) }),
    }
}

/// The secret of the page that the path names; empty: this browser has none.
pub(super) fn page_secret(exchange: &Exchange<'_>) -> String {
    cookies::read(&exchange.parts.headers, COOKIE).unwrap_or_default().to_owned()
}

async fn look(exchange: &mut Exchange<'_>, wait: Duration) -> Result<WaitPage, Refusal> {
    let secret = page_secret(exchange);
    let (operations, request_id, id) = exchange.to_ask()?;
    let stop = exchange.door.shared.stop.clone();
    let _waiting = if wait.is_zero() { None } else { Some(exchange.wait_aside()?) };
    tokio::select! {
        page = operations.wait_page(&request_id, &id, &secret, wait) => Ok(page),
        () = stop.cancelled() => Err(Refusal::closing(stopping())),
    }
}

/// To the waiting page, or to one `below` it.
pub(super) fn to_wait_page(
    id: &str,
    below: &str,
    page_secret: &str,
    language: Language,
) -> Result<Answer, Refusal> {
    forms::lead_to(&format!("/wait/{id}"), below, COOKIE, page_secret, language)
}

/// The language of a page that has no other parameter.
pub(super) fn language(exchange: &Exchange<'_>) -> Result<Language, Refusal> {
    let [lang] = exchange.query(["lang"])?;
    Ok(Language::choose(lang.as_deref(), &exchange.parts.headers))
}

/// Where the browser is.
pub(super) fn terminal(exchange: &Exchange<'_>) -> Terminal {
    let agent = exchange.parts.headers.get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Terminal {
        address: exchange.peer.address.to_string(),
        browser: user_agent::in_few_words(agent),
    }
}
