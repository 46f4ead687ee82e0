//! Pages of the portal.

use super::Context;
use super::STYLE;
use super::html;
use super::language::Language;
use crate::http::answer::Answer;
use crate::operations::portal::PortalIndex;
use askama::Template;
use http::StatusCode;

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage<'a> {
    style: &'static str,
    language: Language,
    request_id: &'a str,
    path: &'a str,
    index: &'a PortalIndex,
}

/// What can be done here.
pub(crate) fn index(context: &Context<'_>, index: &PortalIndex) -> Answer {
    let page = IndexPage {
        style: STYLE,
        language: context.language,
        request_id: context.request_id,
        path: context.path.unwrap_or_default(),
        index,
    };
    html(StatusCode::OK, &page, context.language, None)
}
