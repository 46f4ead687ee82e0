//! The portal in a browser that keeps a sign-in.

use super::cookies;
use super::exchange::Exchange;
use super::forms;
use super::forms::see_other;
use super::portal;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::SignInRefusal;
use crate::operations::saved::SavedCookie;
use crate::operations::saved::SavedOffer;
use crate::operations::saved::WentOn;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::refusal;
use crate::pages::told;
use crate::problem::Code;

/// Names the browser, with its secret. Signing systems lead here from other sites, so a link has to bring it.
const COOKIE: &str = "__Host-saved";

/// What a click would go on with, in the place of the choice.
pub(super) async fn offer(exchange: &Exchange<'_>, link: &str) -> Option<SavedOffer> {
    let cookie = cookie(exchange)?;
    let (request_id, terminal) = (exchange.request_id.as_str(), portal::terminal(exchange));
    exchange.operations().saved_offer(request_id, link, cookie, terminal).await
}

/// `POST /login/{link}/saved`: the click.
pub(crate) async fn go_on(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [form_token, lang] = forms::own(exchange, ["form_token", "lang"]).await?;
    let form_token = forms::needed("form_token", form_token)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let cookie = cookie(exchange).unwrap_or_default().to_owned();
    let (terminal, page) = (portal::terminal(exchange), page(exchange)?);
    let (operations, request_id, link) = exchange.to_ask()?;
    let work = async move {
        Ok(operations.go_on(&request_id, &link, &cookie, &form_token, terminal).await)
    };
    let went_on = exchange.to_the_end(work).await?;
    let context = Context { path: Some(&page), ..Context::of(exchange, language) };
    match went_on {
        WentOn::Return { url } => see_other(&url),
        WentOn::SavedOver => {
            let told = told::saved_over(language);
            Ok(pages::message(&context, &told, Some(Code::LoginDenied)))
        }
        WentOn::LinkOver => Ok(refusal(&context, SignInRefusal::LinkOver)),
        WentOn::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
        WentOn::RateLimited { seconds } => Ok(pages::too_often(&context, seconds)),
    }
}

/// `POST /login/{link}/forget`: "not mine". The browser keeps nothing any more, and the choice follows.
pub(crate) async fn forget(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang] = forms::own(exchange, ["lang"]).await?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let page = page(exchange)?;
    if let Some(cookie) = cookie(exchange).map(str::to_owned) {
        let (operations, request_id) = exchange.asking();
        let work = async move { Ok(operations.forget_saved(&request_id, &cookie).await) };
        if !exchange.to_the_end(work).await? {
            let context = Context { path: Some(&page), ..Context::of(exchange, language) };
            return Ok(refusal(&context, SignInRefusal::Unavailable));
        }
    }
    let mut answer = see_other(&format!("{page}?lang={}", language.tag()))?;
    cookies::clear(&mut answer, COOKIE)?;
    Ok(answer)
}

/// What the browser brings.
pub(super) fn cookie<'a>(exchange: &'a Exchange<'_>) -> Option<&'a str> {
    cookies::read(&exchange.parts.headers, COOKIE)
}

/// The browser keeps a sign-in from now on.
pub(super) fn keep(answer: &mut Answer, kept: &SavedCookie) -> Result<(), Code> {
    cookies::set(answer, COOKIE, kept.secret.as_str(), kept.seconds, cookies::WHOLE_HOST)
}

fn page(exchange: &Exchange<'_>) -> Result<String, Refusal> {
    Ok(format!("/login/{}", exchange.name()?))
}
