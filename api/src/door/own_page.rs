//! The holder's own page on the portal.

use super::cookies;
use super::exchange::Exchange;
use super::forms;
use super::forms::see_other;
use super::portal;
use super::portal::BEGUN;
use super::saved;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::operations::SignInRefusal;
use crate::operations::own_page::Arrival;
use crate::operations::own_page::Arrived;
use crate::operations::own_page::Begun;
use crate::operations::own_page::Own;
use crate::operations::own_page::OwnAction;
use crate::operations::own_page::OwnDone;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::refusal;
use crate::pages::told;
use crate::problem::Code;

/// The secret of the open page.
const COOKIE: &str = "__Host-me";
/// Seconds for which the browser keeps it; the keeper closes the page no later.
const COOKIE_SECONDS: u64 = attest::own_page::MAX_SECONDS;
/// Where it is.
const PATH: &str = "/me";

/// `GET /me`: the page, or the way to sign in.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let request_id = exchange.request_id.as_str();
    let page = exchange.operations().own_page(request_id, secret(exchange)).await;
    let context = Context::of(exchange, language);
    match page {
        Own::Open(view) => Ok(pages::own_page::page(&context, &view)),
        Own::SignIn => Ok(pages::own_page::sign_in(&context)),
        Own::NotFound => Err(Code::NotFound.into()),
        Own::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
    }
}

/// `POST /me/sign-in`: a sign-in for the portal itself.
pub(crate) async fn sign_in(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang] = forms::own(exchange, ["lang"]).await?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id) = exchange.asking();
    let terminal = portal::terminal(exchange);
    let work = async move { Ok(operations.begin_own_page(&request_id, terminal).await) };
    let begun = exchange.to_the_end(work).await?;
    let context = Context { path: Some(PATH), ..Context::of(exchange, language) };
    match begun {
        Begun::Link(link) => {
            see_other(&format!("/login/{}?lang={}", link.as_str(), language.tag()))
        }
        Begun::RateLimited { seconds } => Ok(pages::too_often(&context, seconds)),
        Begun::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
    }
}

/// `GET /arrive?code=..&state=..[&keep=..]`: somebody signed in, and this browser has the code. It works once.
pub(crate) async fn arrive(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [code, state, keep] = exchange.query(["code", "state", "keep"])?;
    let (Some(code), Some(session_id)) = (code, state) else {
        return Err(malformed("code and state: as the page before had them").into());
    };
    let begun = cookies::read(&exchange.parts.headers, BEGUN).map(str::to_owned);
    let saved = saved::cookie(exchange).map(str::to_owned);
    let arrival = Arrival { code, session_id, keep, begun, saved };
    let (operations, request_id) = exchange.asking();
    let work = async move { Ok(operations.arrive(&request_id, arrival).await) };
    let arrived = exchange.to_the_end(work).await?;
    let language = Language::choose(None, &exchange.parts.headers);
    let context = Context { path: None, ..Context::of(exchange, language) };
    match arrived {
        Arrived::OwnPage { secret } => {
            let mut answer = see_other(PATH)?;
            let (secret, scope) = (secret.as_str(), cookies::WHOLE_HOST);
            cookies::set(&mut answer, COOKIE, secret, COOKIE_SECONDS, scope)?;
            cookies::clear(&mut answer, BEGUN)?;
            Ok(answer)
        }
        Arrived::Return { url, kept } => {
            let mut answer = see_other(&url)?;
            if let Some(kept) = &kept {
                saved::keep(&mut answer, kept)?;
            }
            cookies::clear(&mut answer, BEGUN)?;
            Ok(answer)
        }
        Arrived::Over => Ok(refusal(&context, SignInRefusal::LinkOver)),
        Arrived::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
    }
}

/// `POST /me`: end one sign-in, all of them, or leave.
pub(crate) async fn action(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let names = ["form_token", "action", "id", "lang"];
    let [form_token, action, id, lang] = forms::own(exchange, names).await?;
    let action = match (action.as_deref(), id) {
        (Some("end"), Some(session_id)) => OwnAction::End { session_id },
        (Some("sign_out"), None) => OwnAction::SignOut,
        (Some("sign_out_everywhere"), None) => OwnAction::SignOutEverywhere,
        _ => return Err(malformed("action: as the page before had it").into()),
    };
    act(exchange, form_token, action, lang).await
}

/// `GET /me/devices/{id}`: what removing it would mean. Changes nothing.
pub(crate) async fn device(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let (request_id, device) = (exchange.request_id.as_str(), exchange.name()?);
    let found = exchange.operations().own_device(request_id, secret(exchange), device).await;
    let context = Context::of(exchange, language);
    match found {
        Own::Open(removal) => Ok(pages::own_page::device(&context, &removal)),
        other => instead(&context, other),
    }
}

/// `POST /me/devices/{id}`: the phone is removed.
pub(crate) async fn remove_device(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [form_token, lang] = forms::own(exchange, ["form_token", "lang"]).await?;
    let device = exchange.name()?.to_owned();
    act(exchange, form_token, OwnAction::RemovePhone { device }, lang).await
}

/// `GET /me/signatures?before=..`: what was signed in the holder's name.
pub(crate) async fn signatures(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [before, lang] = exchange.query(["before", "lang"])?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let before = before.map(|before| before.parse()).transpose();
    let before = before.map_err(|_| malformed("before: the number of a record"))?;
    let request_id = exchange.request_id.as_str();
    let found = exchange.operations().own_signatures(request_id, secret(exchange), before).await;
    let context = Context::of(exchange, language);
    match found {
        Own::Open(found) => Ok(pages::own_page::signatures(&context, &found, before)),
        other => instead(&context, other),
    }
}

async fn act(
    exchange: &Exchange<'_>,
    form_token: Option<String>,
    action: OwnAction,
    lang: Option<String>,
) -> Result<Answer, Refusal> {
    let form_token = forms::needed("form_token", form_token)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id) = exchange.asking();
    let secret = secret(exchange).to_owned();
    let work =
        async move { Ok(operations.own_action(&request_id, &secret, &form_token, action).await) };
    let done = exchange.to_the_end(work).await?;
    let context = Context { path: Some(PATH), ..Context::of(exchange, language) };
    match done {
        OwnDone::Done | OwnDone::SignIn => back(language),
        OwnDone::SignedOut => signed_out(pages::message(&context, &told::left(language), None)),
        OwnDone::SignedOutEverywhere { ended } => {
            let told = told::signed_out_everywhere(language, ended);
            signed_out(pages::message(&context, &told, None))
        }
        OwnDone::FormOver => {
            let code = Some(Code::LoginDenied);
            Ok(pages::message(&context, &told::form_over(language), code))
        }
        OwnDone::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
    }
}

/// Instead of what only the open page shows.
fn instead<T>(context: &Context<'_>, found: Own<T>) -> Result<Answer, Refusal> {
    match found {
        Own::Open(_) | Own::SignIn => back(context.language),
        Own::NotFound => Err(Code::NotFound.into()),
        Own::Unavailable => Ok(refusal(context, SignInRefusal::Unavailable)),
    }
}

fn back(language: Language) -> Result<Answer, Refusal> {
    see_other(&format!("{PATH}?lang={}", language.tag()))
}

fn signed_out(mut answer: Answer) -> Result<Answer, Refusal> {
    cookies::clear(&mut answer, COOKIE)?;
    Ok(answer)
}

fn secret<'a>(exchange: &'a Exchange<'_>) -> &'a str {
    cookies::read(&exchange.parts.headers, COOKIE).unwrap_or_default()
}
