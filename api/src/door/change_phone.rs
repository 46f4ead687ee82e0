//! The portal: a phone is changed by the phone itself.

use super::exchange::Exchange;
use super::forms;
use super::portal;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::SignInRefusal;
use crate::operations::change_phone::ChangeGoesOn;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::refusal;
use crate::pages::told;

/// `POST /change`: a QR code for the old phone.
pub(crate) async fn start(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [holder_id, lang] = forms::own(exchange, ["holder_id", "lang"]).await?;
    let holder_id = portal::typed_holder(holder_id)?.unwrap_or_default();
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let terminal = portal::terminal(exchange);
    let (operations, request_id) = exchange.asking();
    let work = async move { Ok(operations.start_change(&request_id, &holder_id, terminal).await) };
    let handed = exchange.to_the_end(work).await?;
    let context = Context { path: Some("/"), ..Context::of(exchange, language) };
    portal::handed(&context, handed)
}

/// `POST /wait/{id}/change`: give the old phone up?
pub(crate) async fn answer(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let secret = portal::page_secret(exchange);
    let [decision, lang] = forms::own(exchange, ["decision", "lang"]).await?;
    let agree = forms::decision(decision.as_deref())?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id, id) = exchange.to_ask()?;
    let work = async move { Ok(operations.answer_change(&request_id, &id, &secret, agree).await) };
    let goes_on = exchange.to_the_end(work).await?;
    let context = Context { path: None, ..Context::of(exchange, language) };
    Ok(match goes_on {
        ChangeGoesOn::Page { id, page_secret } => {
            portal::to_wait_page(&id, "", page_secret.as_str(), language)?
        }
        ChangeGoesOn::Stopped => pages::message(&context, &told::not_changed(language), None),
        ChangeGoesOn::Over => refusal(&context, SignInRefusal::LinkOver),
        ChangeGoesOn::Unavailable => refusal(&context, SignInRefusal::Unavailable),
    })
}
