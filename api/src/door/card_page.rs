//! A page that a card's handshake opens: where it came too early, the browser is sent for another one.

use super::exchange::Exchange;
use super::forms::closing;
use super::forms::see_other;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::SignInRefusal;
use crate::operations::WhyNot;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;

/// How often a browser is sent for a new handshake: it keeps at most six connections to a host.
const MAX_AGAIN: u8 = 6;

/// The language of the page, and how often the browser was sent here again already.
pub(super) fn asked(exchange: &Exchange<'_>) -> Result<(Language, u8), Refusal> {
    let [lang, again] = exchange.query(["lang", "again"])?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let again = again.map_or(0, |again| again.parse().unwrap_or(MAX_AGAIN));
    Ok((language, again))
}

/// Why not. Browsers connect ahead, and such a handshake may be older than what it has to prove: one made for this very page
/// is not.
pub(super) fn refused(context: &Context<'_>, why: WhyNot, again: u8) -> Result<Answer, Refusal> {
    let answer = match (why.refusal, context.path) {
        (SignInRefusal::ProofNotFresh, Some(path)) if again < MAX_AGAIN => {
            let (lang, again) = (context.language.tag(), again + 1);
            see_other(&format!("{path}?lang={lang}&again={again}"))?
        }
        _ => pages::refusal(context, why),
    };
    Ok(closing(answer))
}
