//! The card listener: the card that began a registration is shown again, and confirms the phone or card that was proved.

use super::card_page;
use super::exchange::Exchange;
use super::forms;
use super::forms::closing;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::operations::confirm_enrol::ConfirmEnrolPage;
use crate::operations::confirm_enrol::EnrolEnded;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::my_number;
use crate::pages::told;

/// `GET /enrol/{id}`: changes nothing.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let (language, again) = card_page::asked(exchange)?;
    let card = exchange.peer.card.clone();
    let id = exchange.name()?;
    let operations = exchange.operations();
    let page = operations.open_confirm_enrol(exchange.request_id.as_str(), id, card).await;
    let context = Context::of(exchange, language);
    Ok(match page {
        ConfirmEnrolPage::Confirm(confirm) => pages::portal::confirm_enrol(&context, &confirm),
        ConfirmEnrolPage::PresentCard => closing(pages::present_card(&context)),
        ConfirmEnrolPage::Refused(refusal) => card_page::refused(&context, refusal, again)?,
    })
}

/// `POST /enrol/{id}`: yes or no.
pub(crate) async fn form(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [form_token, decision, lang] =
        forms::own(exchange, ["form_token", "decision", "lang"]).await?;
    let form_token = forms::needed("form_token", form_token)?;
    let approve = forms::decision(decision.as_deref())?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let card = exchange.peer.card.clone();
    let (operations, request_id, id) = exchange.to_ask()?;
    let work = async move {
        Ok(operations.confirm_enrol(&request_id, &id, card, &form_token, approve).await)
    };
    let ended = exchange.to_the_end(work).await?;
    let context = Context::of(exchange, language);
    // What is decided is decided: the same page in the other language is not to be had.
    let decided = Context { path: None, ..context };
    Ok(closing(match ended {
        EnrolEnded::Enrolled { kind, label } => {
            pages::message(&decided, &told::enrolled(language, kind, &label), None)
        }
        EnrolEnded::Linked => pages::message(&decided, &my_number::linked(language), None),
        EnrolEnded::Denied => pages::message(&decided, &told::not_registered(language), None),
        EnrolEnded::Refused(refusal) => pages::refusal(&context, refusal),
        EnrolEnded::TooNew { seconds } => pages::too_new(&context, seconds),
    }))
}
