//! The portal: pages of browsers and phones.

use super::exchange::Exchange;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;

/// `GET /`: what can be done here.
pub(crate) async fn index(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = language(exchange)?;
    let index = exchange.operations().portal_index().await;
    Ok(pages::portal::index(&Context::of(exchange, language), &index))
}

/// The language of a page that has no other parameter.
fn language(exchange: &Exchange<'_>) -> Result<Language, Refusal> {
    let [lang] = exchange.query(["lang"])?;
    Ok(Language::choose(lang.as_deref(), &exchange.parts.headers))
}
