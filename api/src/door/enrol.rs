//! The card listeners: a card, HPKI or My Number, registers a phone.

use super::exchange::Exchange;
use super::forms;
use super::forms::closing;
use super::forms::see_other;
use super::portal;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::operations::SignInRefusal;
use crate::operations::portal::EnrolPage;
use crate::operations::portal::EnrolStarted;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::portal::EnrolForm;
use std::sync::Arc;

/// `GET /enrol`: changes nothing.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang, again] = exchange.query(["lang", "again"])?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let again = forms::times(again.as_deref());
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
        EnrolPage::Refused(SignInRefusal::ProofNotFresh) if again < forms::MAX_AGAIN => {
            let (lang, again) = (language.tag(), again + 1);
            closing(see_other(&format!("/enrol?lang={lang}&again={again}"))?)
        }
        EnrolPage::Refused(refusal) => closing(pages::refusal(&context, refusal)),
        EnrolPage::TooNew { seconds } => closing(pages::too_new(&context, seconds)),
    })
}

/// `POST /enrol`: confirmed; the next page leads to the portal.
pub(crate) async fn form(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    forms::refuse_other_sites(&exchange.parts)?;
    let [form_token, lang] = forms::read(exchange, ["form_token", "lang"]).await?;
    let form_token = form_token.ok_or_else(|| malformed("the form has no form_token"))?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let operations = Arc::clone(exchange.operations());
    let request_id = exchange.request_id.as_str().to_owned();
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
