//! The card listeners: a card, HPKI or My Number, registers a phone.

use super::card_page;
use super::exchange::Exchange;
use super::forms;
use super::forms::closing;
use super::portal;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::portal::EnrolPage;
use crate::operations::portal::EnrolStarted;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::portal::EnrolForm;

/// `GET /enrol`: changes nothing.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, again) = card_page::asked(exchange)?;
    let card = exchange.peer.card.clone();
    let page = exchange.operations().open_enrol(exchange.request_id.as_str(), card).await;
    let context = Context::of(exchange, language);
    Ok(match page {
        EnrolPage::Confirm { holder, holder_id, replaces, form_token, danger_test_mode } => {
            let form = EnrolForm {
                holder: &holder,
                holder_id: &holder_id,
                replaces: replaces.as_deref(),
                form_token: &form_token,
                danger_test_mode,
            };
            pages::portal::enrol(&context, form)
        }
        EnrolPage::PresentCard => closing(pages::present_card(&context)),
        EnrolPage::Refused(refusal) => card_page::refused(&context, refusal, again)?,
        EnrolPage::TooNew { seconds } => closing(pages::too_new(&context, seconds)),
    })
}

/// `POST /enrol`: confirmed; the next page leads to the portal.
pub(crate) async fn form(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [form_token, lang] = forms::own(exchange, ["form_token", "lang"]).await?;
    let form_token = forms::needed("form_token", form_token)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id) = exchange.asking();
    let (card, terminal) = (exchange.peer.card.clone(), portal::terminal(exchange));
    let work =
        async move { Ok(operations.start_enrol(&request_id, card, &form_token, terminal).await) };
    let started = exchange.to_the_end(work).await?;
    let context = Context::of(exchange, language);
    Ok(closing(match started {
        EnrolStarted::Page { portal_origin, id, page_secret } => {
            pages::portal::enrol_started(&context, &portal_origin, &id, page_secret.as_str())
        }
        EnrolStarted::Refused(refusal) => pages::refusal(&context, refusal),
        EnrolStarted::TooNew { seconds } => pages::too_new(&context, seconds),
    }))
}
