//! The card listeners: a card, HPKI or My Number, registers a phone or a security key.

use super::card_page;
use super::cookies;
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
use attest::authenticator::AuthenticatorKind;

/// `GET /enrol` and `GET /enrol-key`: changes nothing.
pub(crate) async fn page(
    exchange: &mut Exchange<'_>,
    kind: AuthenticatorKind,
) -> Result<Answer, Refusal> {
    let (language, again) = card_page::asked(exchange)?;
    let card = exchange.peer.card.clone();
    let page = exchange.operations().open_enrol(exchange.request_id.as_str(), kind, card).await;
    let context = Context::of(exchange, language);
    Ok(match page {
        EnrolPage::Confirm { holder, holder_id, replaces, form_token, danger_test_mode } => {
            let form = EnrolForm {
                kind,
                holder: &holder,
                holder_id: &holder_id,
                replaces: replaces.as_deref(),
                form_token: form_token.as_str(),
                danger_test_mode,
            };
            pages::portal::enrol(&context, form)
        }
        EnrolPage::PresentCard => closing(pages::present_card(&context)),
        EnrolPage::Refused(refusal) => card_page::refused(&context, refusal, again)?,
        EnrolPage::TooNew { seconds } => closing(pages::too_new(&context, seconds)),
    })
}

/// The secret of the page that follows, on this listener; each has its own path.
const COOKIE: &str = "__Secure-started";

/// `POST /enrol` and `POST /enrol-key`: confirmed; the next page leads to the portal. It can be loaded again without sending
/// this form again.
pub(crate) async fn form(
    exchange: &mut Exchange<'_>,
    kind: AuthenticatorKind,
) -> Result<Answer, Refusal> {
    let [form_token, lang] = forms::own(exchange, ["form_token", "lang"]).await?;
    let form_token = forms::needed("form_token", form_token)?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let (operations, request_id) = exchange.asking();
    let (card, terminal) = (exchange.peer.card.clone(), portal::terminal(exchange));
    let work = async move {
        Ok(operations.start_enrol(&request_id, kind, card, &form_token, terminal).await)
    };
    let started = exchange.to_the_end(work).await?;
    let context = Context::of(exchange, language);
    Ok(match started {
        EnrolStarted::Page { id, page_secret, .. } => {
            let path = format!("/enrol/{id}/started");
            forms::lead_to(&path, "", COOKIE, page_secret.as_str(), language)?
        }
        EnrolStarted::Refused(why) => closing(pages::refusal(&context, why)),
        EnrolStarted::TooNew { seconds } => closing(pages::too_new(&context, seconds)),
    })
}

/// `GET /enrol/{id}/started`: on to the portal. Changes nothing.
pub(crate) async fn started(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let language = portal::language(exchange)?;
    let secret = cookies::read(&exchange.parts.headers, COOKIE).unwrap_or_default();
    let (request_id, id) = (exchange.request_id.as_str(), exchange.name()?);
    let started = exchange.operations().started_enrol(request_id, id, secret).await;
    let context = Context::of(exchange, language);
    Ok(closing(match started {
        EnrolStarted::Page { kind, portal_origin, id, page_secret } => {
            pages::portal::enrol_started(&context, kind, &portal_origin, &id, page_secret.as_str())
        }
        EnrolStarted::Refused(why) => pages::refusal(&context, why),
        EnrolStarted::TooNew { seconds } => pages::too_new(&context, seconds),
    }))
}
