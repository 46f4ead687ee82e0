//! The card listener: the page of a login link, and its form.

use super::exchange::Exchange;
use super::forms;
use super::forms::ascii_number;
use super::forms::closing;
use super::forms::refuse_other_sites;
use super::forms::see_other;
use super::portal;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::operations::Confirmation;
use crate::operations::Confirmed;
use crate::operations::SignInPage;
use crate::operations::SignInRefusal;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::messages;
use std::sync::Arc;

/// `GET /login/{link}`: changes nothing, so that a link scanner does no harm.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang, again] = exchange.query(["lang", "again"])?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let again = forms::times(again.as_deref());
    let link = exchange.name()?;
    let card = exchange.peer.card.clone();
    let page = exchange.operations().open_sign_in(exchange.request_id.as_str(), link, card).await;
    let context = Context::of(exchange, language);
    Ok(match page {
        SignInPage::Confirm(confirm) => pages::confirm(&context, &confirm),
        SignInPage::PresentCard => {
            // The link may be good and the card be chosen next time: but on this connection it never will be.
            closing(pages::present_card(&context))
        }
        // Browsers connect ahead, and such a handshake may be older than the link. One made for this page is not.
        SignInPage::Refused(SignInRefusal::ProofNotFresh) if again < forms::MAX_AGAIN => {
            let (lang, again) = (language.tag(), again + 1);
            closing(see_other(&format!("/login/{link}?lang={lang}&again={again}"))?)
        }
        SignInPage::Refused(refusal) => closing(pages::refusal(&context, refusal)),
    })
}

/// `POST /login/{link}`: the holder's decision.
pub(crate) async fn form(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    refuse_other_sites(&exchange.parts)?;
    let (confirmation, lang) = read_form(exchange).await?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let confirmed = confirm(exchange, confirmation).await?;
    let context = Context::of(exchange, language);
    // What is decided is not behind the link any more: the same page in the other language is not to be had.
    let decided = Context { path: None, ..context };
    let answer = match confirmed {
        Confirmed::Return { url } => see_other(&url)?,
        Confirmed::Done { system } => {
            pages::message(&decided, &messages::done(language, &system), None)
        }
        Confirmed::Denied { system } => {
            pages::message(&decided, &messages::denied(language, &system), None)
        }
        Confirmed::Refused(refusal) => pages::refusal(&context, refusal),
    };
    Ok(closing(answer))
}

async fn confirm(
    exchange: &Exchange<'_>,
    confirmation: Confirmation,
) -> Result<Confirmed, Refusal> {
    let operations = Arc::clone(exchange.operations());
    let request_id = exchange.request_id.as_str().to_owned();
    let link = exchange.name()?.to_owned();
    let card = exchange.peer.card.clone();
    let work =
        async move { Ok(operations.confirm_sign_in(&request_id, &link, card, confirmation).await) };
    exchange.to_the_end(work).await
}

async fn read_form(exchange: &mut Exchange<'_>) -> Result<(Confirmation, Option<String>), Refusal> {
    let [form_token, number, decision, lang] =
        forms::read(exchange, ["form_token", "number", "decision", "lang"]).await?;
    let approve = forms::decision(decision.as_deref())?;
    let form_token = form_token.ok_or_else(|| malformed("the form has no form_token"))?;
    let number = number.map(|number| ascii_number(&number)).filter(|number| !number.is_empty());
    let terminal = portal::terminal(exchange);
    Ok((Confirmation { form_token, number, approve, terminal }, lang))
}
