//! The card listener: the page of a login link, and its form.

use super::card_page;
use super::exchange::Exchange;
use super::forms;
use super::forms::ascii_number;
use super::forms::closing;
use super::forms::see_other;
use super::portal;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::Confirmation;
use crate::operations::Confirmed;
use crate::operations::SignInPage;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::messages;

/// `GET /login/{link}`: changes nothing, so that a link scanner does no harm.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, again) = card_page::asked(exchange)?;
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
        SignInPage::Refused(refusal) => card_page::refused(&context, refusal, again)?,
    })
}

/// `POST /login/{link}`: the holder's decision.
pub(crate) async fn form(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
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
    let (operations, request_id, link) = exchange.to_ask()?;
    let card = exchange.peer.card.clone();
    let work =
        async move { Ok(operations.confirm_sign_in(&request_id, &link, card, confirmation).await) };
    exchange.to_the_end(work).await
}

async fn read_form(exchange: &mut Exchange<'_>) -> Result<(Confirmation, Option<String>), Refusal> {
    let [form_token, number, decision, lang] =
        forms::own(exchange, ["form_token", "number", "decision", "lang"]).await?;
    let approve = forms::decision(decision.as_deref())?;
    let form_token = forms::needed("form_token", form_token)?;
    let number = number.map(|number| ascii_number(&number)).filter(|number| !number.is_empty());
    let terminal = portal::terminal(exchange);
    Ok((Confirmation { form_token: form_token.into(), number, approve, terminal }, lang))
}
