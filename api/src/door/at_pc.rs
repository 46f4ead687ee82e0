//! The portal on the asking PC: the registered phone, which the browser reaches by itself, or a security key.

use super::exchange::Exchange;
use super::forms;
use super::forms::ascii_number;
use super::phone;
use super::phone::Answered;
use super::phone::FINISH_BYTES;
use super::phone::OPTIONS_BYTES;
use super::phone::Outcome;
use super::phone::Told;
use super::phone::posted;
use super::phone::tell;
use super::portal;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::portal::PhoneDone;
use crate::pages;
use crate::pages::Context;
use crate::pages::added;
use crate::pages::language::Language;
use crate::pages::told;
use crate::problem::Code;
use serde::Deserialize;

/// `GET /wait/{id}/key`: changes nothing.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let (secret, id) = (portal::page_secret(exchange), exchange.name()?);
    let page = exchange.operations().pc_page(exchange.request_id.as_str(), id, &secret).await;
    let goes_on = format!("/wait/{id}?lang={}", language.tag());
    Ok(pages::portal::phone(&Context::of(exchange, language), &page, Some(&goes_on)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pressed {
    /// Where it stands on another screen.
    number: Option<String>,
}

/// `POST /wait/{id}/key/options`: the button was pressed.
pub(crate) async fn options(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, pressed) = posted::<Pressed>(exchange, OPTIONS_BYTES).await?;
    let number = pressed.number.as_deref().map(ascii_number);
    let secret = portal::page_secret(exchange);
    let (operations, request_id, id) = exchange.to_ask()?;
    let address = exchange.peer.address.to_string();
    let work =
        async move { Ok(operations.pc_options(&request_id, &id, &secret, number, &address).await) };
    phone::asked(language, exchange.to_the_end(work).await?)
}

/// `POST /wait/{id}/key/finish`: the authenticator answered. The waiting page goes on.
pub(crate) async fn finish(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, answered) = posted::<Answered>(exchange, FINISH_BYTES).await?;
    let Answered { ceremony_id, credential } = answered;
    let secret = portal::page_secret(exchange);
    let (operations, request_id, id) = exchange.to_ask()?;
    let work = async move {
        Ok(operations.pc_finish(&request_id, &id, &secret, &ceremony_id, credential).await)
    };
    match exchange.to_the_end(work).await? {
        // Only what has to be read keeps anybody here.
        PhoneDone::SignedIn { added, .. } if added.factors.is_empty() => answer::json(&Told::GoOn),
        PhoneDone::SignedIn { system, added } => {
            let mut message = told::signed_in_here(language, &system);
            message.lines.extend(added::lines(language, &added));
            tell(Outcome::end(message, None))
        }
        // The waiting page asks for the card.
        PhoneDone::AskCard { .. } => answer::json(&Told::GoOn),
        PhoneDone::NotAccepted => {
            tell(Outcome::end(told::key_not_accepted(language), Some(Code::FactorRefused)))
        }
        PhoneDone::AlreadyRegistered => {
            tell(Outcome::end(told::key_known(language), Some(Code::Conflict)))
        }
        PhoneDone::NotProved => tell(Outcome {
            message: told::key_failed(language),
            code: Some(Code::LoginDenied),
            again: true,
        }),
        done => tell(Outcome::of(language, done)),
    }
}

/// `POST /wait/{id}/key/deny`: "this is not mine". A form, so that it works without a script.
pub(crate) async fn deny(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang] = forms::own(exchange, ["lang"]).await?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let secret = portal::page_secret(exchange);
    let (operations, request_id, id) = exchange.to_ask()?;
    let work = async move { Ok(operations.pc_deny(&request_id, &id, &secret).await) };
    let done = exchange.to_the_end(work).await?;
    Ok(phone::denied(exchange, language, done))
}
