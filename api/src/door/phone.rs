//! The portal on the phone: who asks, the number, the authenticator's answer.

use super::exchange::Exchange;
use super::forms;
use super::forms::ascii_number;
use super::portal;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::SignInRefusal;
use crate::operations::WhyNot;
use crate::operations::portal::PhoneAsked;
use crate::operations::portal::PhoneDone;
use crate::pages;
use crate::pages::Context;
use crate::pages::added;
use crate::pages::language::Language;
use crate::pages::messages;
use crate::pages::messages::Message;
use crate::pages::told;
use crate::problem::Code;
use crate::routes::Listener;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Octets of the JSON with a number.
pub(super) const OPTIONS_BYTES: usize = 1024;
/// Octets of the JSON with an authenticator's answer: an attestation may bring a chain of certificates.
pub(super) const FINISH_BYTES: usize = 64 * 1024;

/// `GET /phone/{link}`: changes nothing.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let link = exchange.name()?;
    let page = exchange.operations().phone_page(exchange.request_id.as_str(), link).await;
    let context = Context::of(exchange, language);
    Ok(pages::portal::phone(&context, &page, None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    number: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered {
    pub(super) ceremony_id: String,
    pub(super) credential: Value,
}

/// What the page's script is told; words are for the person.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Told {
    /// Ask the authenticator.
    Options { ceremony_id: String, options: Value },
    /// Not yet: the same page may be used again; `types_again`: with another number.
    Again { title: String, lines: Vec<String>, types_again: bool },
    /// It is done; the waiting page of this PC goes on.
    GoOn,
    /// There is nothing more to do here.
    End { title: String, lines: Vec<String> },
}

/// `POST /phone/{link}/options`: the number was typed.
pub(crate) async fn options(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, typed) = posted::<Typed>(exchange, OPTIONS_BYTES).await?;
    let number = ascii_number(&typed.number);
    let (operations, request_id, link) = exchange.to_ask()?;
    let address = exchange.peer.address.to_string();
    let work =
        async move { Ok(operations.phone_options(&request_id, &link, &number, &address).await) };
    asked(language, exchange.to_the_end(work).await?)
}

/// The question, or why there is none.
pub(super) fn asked(language: Language, asked: PhoneAsked) -> Result<Answer, Refusal> {
    match asked {
        PhoneAsked::Options { ceremony_id, options } => {
            answer::json(&Told::Options { ceremony_id, options })
        }
        PhoneAsked::WrongNumber { over: false } => {
            let Message { title, lines, .. } = told::wrong_number(language);
            let told = Told::Again { title, lines, types_again: true };
            refused_json(&told, Code::LoginDenied)
        }
        PhoneAsked::WrongNumber { over: true } => {
            tell(Outcome::end(told::wrong_too_often(language), Some(Code::LoginDenied)))
        }
        PhoneAsked::RateLimited { seconds } => {
            let Message { title, lines, .. } = told::number_too_often(language, seconds);
            let told = Told::Again { title, lines, types_again: false };
            refused_json(&told, Code::RateLimited)
        }
        PhoneAsked::Over => tell(Outcome::refused(language, SignInRefusal::LinkOver)),
        PhoneAsked::Unavailable => tell(Outcome::refused(language, SignInRefusal::Unavailable)),
    }
}

/// `POST /phone/{link}/finish`: the authenticator answered.
pub(crate) async fn finish(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, answered) = posted::<Answered>(exchange, FINISH_BYTES).await?;
    let Answered { ceremony_id, credential } = answered;
    let (operations, request_id, link) = exchange.to_ask()?;
    let work = async move {
        Ok(operations.phone_finish(&request_id, &link, &ceremony_id, credential).await)
    };
    tell(Outcome::of(language, exchange.to_the_end(work).await?))
}

/// `POST /phone/{link}/deny`: "this is not mine". A form, so that it works without a script.
pub(crate) async fn deny(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang] = forms::own(exchange, ["lang"]).await?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id, link) = exchange.to_ask()?;
    let work = async move { Ok(operations.phone_deny(&request_id, &link).await) };
    let done = exchange.to_the_end(work).await?;
    Ok(denied(exchange, language, done))
}

/// The page that follows.
pub(super) fn denied(exchange: &Exchange<'_>, language: Language, done: PhoneDone) -> Answer {
    let Outcome { message, code, .. } = Outcome::of(language, done);
    let context = Context { path: None, ..Context::of(exchange, language) };
    pages::message(&context, &message, code)
}

/// What became of it, in words.
pub(super) struct Outcome {
    pub(super) message: Message,
    pub(super) code: Option<Code>,
    /// Whether the same page may be used again.
    pub(super) again: bool,
}

impl Outcome {
    pub(super) fn of(language: Language, done: PhoneDone) -> Self {
        match done {
            PhoneDone::SignedIn { system, added } => {
                let mut message = told::signed_in(language, &system);
                message.lines.extend(added::lines(language, &added));
                Self::end(message, None)
            }
            PhoneDone::MayChange => Self::end(told::may_change(language), None),
            PhoneDone::AskCard { label } => Self::end(told::proved(language, &label), None),
            PhoneDone::AskOldPhone { label } => {
                Self::end(told::proved_for_old_phone(language, &label), None)
            }
            PhoneDone::Replaced { label } => Self::end(told::replaced(language, &label), None),
            PhoneDone::Denied => Self::end(told::denied(language), None),
            PhoneDone::NotProved => Self::not_proved(language),
            PhoneDone::NotAccepted => {
                Self::end(told::not_accepted(language), Some(Code::FactorRefused))
            }
            PhoneDone::TooNew { seconds } => {
                Self::end(told::too_new(language, seconds), Some(Code::FactorRefused))
            }
            PhoneDone::AlreadyRegistered => {
                Self::end(told::already_registered(language), Some(Code::Conflict))
            }
            PhoneDone::Refused(why) => Self::refused(language, why),
            PhoneDone::Over => Self::refused(language, SignInRefusal::LinkOver),
            PhoneDone::Unavailable => Self::refused(language, SignInRefusal::Unavailable),
        }
    }

    /// The authenticator's answer does not do.
    pub(super) fn not_proved(language: Language) -> Self {
        let message = told::authenticator_failed(language);
        Self { message, code: Some(Code::LoginDenied), again: true }
    }

    pub(super) fn end(message: Message, code: Option<Code>) -> Self {
        Self { message, code, again: false }
    }

    pub(super) fn refused(language: Language, why: impl Into<WhyNot>) -> Self {
        let why = why.into();
        let (message, code) = messages::refusal(language, Listener::Portal, &why);
        Self { message, code: Some(code), again: why.refusal == SignInRefusal::Unavailable }
    }
}

pub(super) fn tell(outcome: Outcome) -> Result<Answer, Refusal> {
    let Outcome { message: Message { title, lines, .. }, code, again } = outcome;
    let told = match again {
        true => Told::Again { title, lines, types_again: false },
        false => Told::End { title, lines },
    };
    match code {
        Some(code) => refused_json(&told, code),
        None => answer::json(&told),
    }
}

fn refused_json(told: &Told, code: Code) -> Result<Answer, Refusal> {
    let mut answer = answer::json_as(answer::status_of(code), told)?;
    answer.extensions_mut().insert(code);
    Ok(answer)
}

/// JSON of the page's own script.
pub(super) async fn posted<T: DeserializeOwned>(
    exchange: &mut Exchange<'_>,
    limit: usize,
) -> Result<(Language, T), Refusal> {
    let language = portal::language(exchange)?;
    forms::refuse_other_sites(&exchange.parts)?;
    Ok((language, exchange.json(limit).await?))
}
