//! The page in a browser that keeps a sign-in: one click, or another way.

use super::Allowed;
use super::Context;
use super::html;
use super::language::Language;
use crate::http::answer::Answer;
use crate::operations::saved::SavedOffer;
use askama::Template;
use http::StatusCode;

#[derive(Template)]
#[template(path = "saved.html")]
struct SavedPage<'a> {
    language: Language,
    request_id: &'a str,
    path: &'a str,
    link: &'a str,
    offer: &'a SavedOffer,
    time_left: String,
}

/// One click goes on with the evidence of before.
pub(crate) fn offer(context: &Context<'_>, link: &str, offer: &SavedOffer) -> Answer {
    let Context { language, request_id, path, .. } = *context;
    let (path, time_left) = (path.unwrap_or_default(), language.time_left(offer.remaining_seconds));
    let page = SavedPage { language, request_id, path, link, offer, time_left };
    let origins: Vec<&str> = offer.return_origin.as_deref().into_iter().collect();
    html(StatusCode::OK, &page, language, Allowed { form_origins: &origins, ..Allowed::NOTHING })
}
