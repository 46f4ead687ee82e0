//! Registering a My Number card with an HPKI card: two pages on each card's listener.

use super::card_page;
use super::cookies;
use super::exchange::Exchange;
use super::forms;
use super::forms::closing;
use super::portal;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::operations::SignInRefusal;
use crate::operations::WhyNot;
use crate::operations::my_number::LinkDone;
use crate::operations::my_number::LinkMet;
use crate::operations::my_number::LinkPage;
use crate::operations::my_number::LinkStarted;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::my_number;
use crate::pages::my_number::Swap;
use crate::problem::Code;

/// `GET /link` with the HPKI card: changes nothing.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, again) = card_page::asked(exchange)?;
    let card = exchange.peer.card.clone();
    let page = exchange.operations().open_link(exchange.request_id.as_str(), card).await;
    let context = Context::of(exchange, language);
    Ok(match page {
        LinkPage::Confirm(form) => my_number::begin(&context, &form),
        LinkPage::PresentCard => closing(pages::present_card(&context)),
        LinkPage::Refused(refusal) => card_page::refused(&context, refusal, again)?,
    })
}

/// The ticket's secret, on either listener.
const COOKIE: &str = "__Secure-link";

/// `POST /link` with the HPKI card: now the cards are exchanged. The page that says so can be loaded again without sending this
/// form again.
pub(crate) async fn start(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [form_token, lang] = forms::own(exchange, ["form_token", "lang"]).await?;
    let form_token = forms::needed("form_token", form_token)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id) = exchange.asking();
    let (card, terminal) = (exchange.peer.card.clone(), portal::terminal(exchange));
    let work =
        async move { Ok(operations.start_link(&request_id, card, &form_token, terminal).await) };
    let started = exchange.to_the_end(work).await?;
    let context = Context::of(exchange, language);
    Ok(match started {
        LinkStarted::Swap { id, secret, .. } => {
            forms::lead_to(&format!("/link/{id}/started"), "", COOKIE, secret.as_str(), language)?
        }
        LinkStarted::Refused(why) => closing(pages::refusal(&context, why)),
    })
}

/// `GET /link/{id}/started`: exchange the cards. Changes nothing.
pub(crate) async fn started(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let (request_id, id) = (exchange.request_id.as_str(), exchange.name()?);
    let started = exchange.operations().started_link(request_id, id, ticket_secret(exchange)).await;
    let context = Context::of(exchange, language);
    Ok(closing(match started {
        LinkStarted::Swap { jpki_origin, id, secret } => {
            let swap =
                Swap { origin: &jpki_origin, id: &id, secret: secret.as_str(), is_again: false };
            my_number::swap(&context, &swap)
        }
        LinkStarted::Refused(why) => pages::refusal(&context, why),
    }))
}

/// `POST /link/{id}`: the other listener's form brings the ticket's secret. It changes nothing but this browser's cookie.
pub(crate) async fn remember(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [secret, lang] = forms::led_here(exchange, ["secret", "lang"]).await?;
    let secret = secret
        .filter(|secret| cookies::is_secret(secret))
        .ok_or_else(|| malformed("secret: as the page before had it"))?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    forms::lead_to(&format!("/link/{}", exchange.name()?), "", COOKIE, &secret, language)
}

/// `GET /link/{id}`: the handshake brings the My Number card. Changes nothing.
pub(crate) async fn meet(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let secret = ticket_secret(exchange).to_owned();
    let (operations, request_id, id) = exchange.to_ask()?;
    let card = exchange.peer.card.clone();
    let met = operations.meet_link(&request_id, &id, &secret, card).await;
    let context = Context::of(exchange, language);
    Ok(match met {
        LinkMet::Confirm(form) => my_number::confirm(&context, &id, &secret, &form),
        // On this connection the card never comes: the next one asks the browser again.
        LinkMet::Swap | LinkMet::Refused(WhyNot { refusal: SignInRefusal::ProofNotFresh, .. }) => {
            closing(again(&context, &id, &secret))
        }
        LinkMet::AskCard { url, remaining_seconds } => {
            closing(pages::portal::ask_card(&context, None, &url, remaining_seconds))
        }
        LinkMet::Over => closing(pages::refusal(&context, SignInRefusal::LinkOver)),
        LinkMet::Refused(refusal) => closing(pages::refusal(&context, refusal)),
    })
}

/// `POST /link/{id}/confirm`: the holder's decision.
pub(crate) async fn confirm(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [secret, form_token, lang] = forms::own(exchange, ["secret", "form_token", "lang"]).await?;
    let secret = forms::needed("secret", secret)?;
    let form_token = forms::needed("form_token", form_token)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id, id) = exchange.to_ask()?;
    let card = exchange.peer.card.clone();
    let done = {
        let (id, secret) = (id.clone(), secret.clone());
        let work = async move {
            Ok(operations.confirm_link(&request_id, &id, &secret, card, &form_token).await)
        };
        exchange.to_the_end(work).await?
    };
    let context = Context { path: None, ..Context::of(exchange, language) };
    Ok(closing(match done {
        // The ticket's page says what comes next, as often as it is loaded.
        LinkDone::AskCard => {
            return forms::lead_to(&format!("/link/{id}"), "", COOKIE, &secret, language);
        }
        LinkDone::Known => {
            pages::message(&context, &my_number::known(language), Some(Code::Conflict))
        }
        LinkDone::OthersCard => {
            pages::message(&context, &my_number::others_card(language), Some(Code::Conflict))
        }
        LinkDone::Swap
        | LinkDone::Refused(WhyNot { refusal: SignInRefusal::ProofNotFresh, .. }) => {
            again(&context, &id, &secret)
        }
        LinkDone::Over => pages::refusal(&context, SignInRefusal::LinkOver),
        LinkDone::Refused(refusal) => pages::refusal(&context, refusal),
    }))
}

fn ticket_secret<'a>(exchange: &'a Exchange<'_>) -> &'a str {
    cookies::read(&exchange.parts.headers, COOKIE).unwrap_or_default()
}

/// The same form once more, on this listener.
fn again(context: &Context<'_>, id: &str, secret: &str) -> Answer {
    my_number::swap(context, &Swap { origin: "", id, secret, is_again: true })
}
