//! The portal on a phone that followed the link of a notification card: the password, then the authenticator.

use super::cookies;
use super::exchange::Exchange;
use super::forms;
use super::phone::Answered;
use super::phone::FINISH_BYTES;
use super::phone::Outcome;
use super::phone::Told;
use super::phone::posted;
use super::phone::tell;
use super::portal;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::SignInRefusal;
use crate::operations::letter::LetterAsked;
use crate::operations::letter::LetterDone;
use crate::operations::letter::LetterPage;
use crate::operations::letter::LetterTried;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::letter;
use crate::pages::letter::Slip;
use crate::pages::refusal;
use crate::pages::told;
use crate::problem::Code;
use serde::Deserialize;

/// The secret of a browser that knew the password; each link has its own path.
const COOKIE: &str = "__Secure-letter";
/// What was wrong with the password that was typed last: no secret.
const SLIP: &str = "__Secure-slip";
/// Octets of the JSON that says nothing but "go on".
const OPTIONS_BYTES: usize = 64;

/// `GET /letter/{link}`: changes nothing.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let registration = registration(exchange);
    let (request_id, link) = (exchange.request_id.as_str(), exchange.name()?);
    let page = exchange.operations().letter_page(request_id, link, registration.as_deref()).await;
    let context = Context::of(exchange, language);
    Ok(match page {
        LetterPage::AskPassword => letter::ask_password(&context, slip(exchange)),
        LetterPage::Register { holder, holder_id, remaining_seconds } => {
            letter::register(&context, &holder, &holder_id, remaining_seconds)
        }
        LetterPage::Registered { label } => {
            pages::message(&context, &letter::registered(language, &label), None)
        }
        LetterPage::Locked { contact } => {
            let message = letter::locked(language, contact.as_deref());
            pages::message(&context, &message, Some(Code::LoginDenied))
        }
        LetterPage::Over => {
            pages::message(&context, &letter::over(language), Some(Code::LoginDenied))
        }
        LetterPage::Unavailable => refusal(&context, SignInRefusal::Unavailable),
    })
}

/// `POST /letter/{link}`: a password was typed. A form, so that it works without a script.
pub(crate) async fn password(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [password, lang] = forms::own(exchange, ["password", "lang"]).await?;
    let password = forms::needed("password", password)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let terminal = portal::terminal(exchange);
    let (operations, request_id, link) = exchange.to_ask()?;
    let path = format!("/letter/{link}");
    let work = async move {
        Ok(operations.letter_password(&request_id, &link, &password, terminal).await)
    };
    let tried = exchange.to_the_end(work).await?;
    let context = Context { path: Some(&path), ..Context::of(exchange, language) };
    let ends = |message, code| {
        Ok(pages::message(&Context { path: None, ..context }, &message, Some(code)))
    };
    match tried {
        LetterTried::Right { registration } => {
            forms::lead_to(&path, "", COOKIE, registration.as_str(), language)
        }
        // Were this page the answer, loading it again would be one more try.
        LetterTried::Wrong { left } => {
            forms::lead_to(&path, "", SLIP, &format!("wrong.{left}"), language)
        }
        LetterTried::NoPassword => forms::lead_to(&path, "", SLIP, "none", language),
        LetterTried::Locked { contact } => {
            ends(letter::locked(language, contact.as_deref()), Code::LoginDenied)
        }
        LetterTried::AlreadyRegistered { contact } => {
            ends(letter::already_registered(language, contact.as_deref()), Code::Conflict)
        }
        LetterTried::Refused(why) => {
            let (message, code) = letter::refused(language, &why);
            ends(message, code)
        }
        LetterTried::Over => ends(letter::over(language), Code::LoginDenied),
        LetterTried::RateLimited { seconds } => Ok(pages::too_often(&context, seconds)),
        LetterTried::Unavailable => Ok(refusal(&context, SignInRefusal::Unavailable)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Go {}

/// `POST /letter/{link}/options`: the holder pressed "register".
pub(crate) async fn options(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, Go {}) = posted(exchange, OPTIONS_BYTES).await?;
    let registration = registration(exchange).unwrap_or_default();
    let (operations, request_id, link) = exchange.to_ask()?;
    let work =
        async move { Ok(operations.letter_options(&request_id, &link, &registration).await) };
    match exchange.to_the_end(work).await? {
        LetterAsked::Options { ceremony_id, options } => {
            answer::json(&Told::Options { ceremony_id, options })
        }
        LetterAsked::Over => tell(outcome(language, LetterDone::Over)),
        LetterAsked::Unavailable => tell(outcome(language, LetterDone::Unavailable)),
    }
}

/// `POST /letter/{link}/finish`: the authenticator answered.
pub(crate) async fn finish(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, answered) = posted::<Answered>(exchange, FINISH_BYTES).await?;
    let registration = registration(exchange).unwrap_or_default();
    let Answered { ceremony_id, credential } = answered;
    let (operations, request_id, link) = exchange.to_ask()?;
    let work = async move {
        let finish =
            operations.letter_finish(&request_id, &link, &registration, &ceremony_id, credential);
        Ok(finish.await)
    };
    tell(outcome(language, exchange.to_the_end(work).await?))
}

fn outcome(language: Language, done: LetterDone) -> Outcome {
    match done {
        LetterDone::Registered { label } => {
            Outcome::end(letter::registered(language, &label), None)
        }
        LetterDone::NotProved => Outcome::not_proved(language),
        LetterDone::Known => Outcome::end(told::already_registered(language), Some(Code::Conflict)),
        LetterDone::AlreadyRegistered { contact } => {
            let message = letter::already_registered(language, contact.as_deref());
            Outcome::end(message, Some(Code::Conflict))
        }
        LetterDone::Refused(why) => {
            let (message, code) = letter::refused(language, &why);
            Outcome::end(message, Some(code))
        }
        LetterDone::Over => {
            Outcome::end(letter::registration_over(language), Some(Code::LoginDenied))
        }
        LetterDone::Unavailable => Outcome::refused(language, SignInRefusal::Unavailable),
    }
}

/// Why the password is asked for again, if this browser typed another one.
fn slip(exchange: &Exchange<'_>) -> Option<Slip> {
    match cookies::read(&exchange.parts.headers, SLIP)?.split_once('.') {
        Some((_, left)) => Some(Slip::Wrong { left: left.parse().ok()? }),
        None => Some(Slip::NoPassword),
    }
}

fn registration(exchange: &Exchange<'_>) -> Option<String> {
    cookies::read(&exchange.parts.headers, COOKIE).map(str::to_owned)
}
