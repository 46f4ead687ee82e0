//! The card listener: the page of a login link, and its form.

use super::exchange::Exchange;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::http::head;
use crate::http::query::Pairs;
use crate::http::query::Plus;
use crate::operations::Confirmation;
use crate::operations::Confirmed;
use crate::operations::SignInPage;
use crate::operations::SignInRefusal;
use crate::pages;
use crate::pages::Context;
use crate::pages::language::Language;
use crate::pages::messages;
use crate::problem::Code;
use crate::problem::Problem;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::Full;
use std::sync::Arc;

/// Octets of the form: a token, a number and two words.
const FORM_BYTES: u64 = 4 * 1024;
/// Characters of a number that is typed.
const NUMBER_CHARACTERS: usize = 32;
/// How often a browser is sent for a new handshake: it keeps at most six connections to a host.
const MAX_AGAIN: u8 = 6;

/// `GET /login/{link}`: changes nothing, so that a link scanner does no harm.
pub(crate) async fn page(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [lang, again] = exchange.query(["lang", "again"])?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let again = again.map_or(0, |again| again.parse().unwrap_or(MAX_AGAIN));
    let link = exchange.name()?;
    let card = exchange.peer.card.clone();
    let page = exchange.operations().open_sign_in(exchange.request_id.as_str(), link, card).await;
    let context = Context::of(exchange, language);
    Ok(match page {
        SignInPage::Confirm(confirm) => pages::confirm(&context, &confirm),
        SignInPage::PresentCard => {
            let (message, code) = messages::present_card(language);
            // The link may be good and the card be chosen next time: but on this connection it never will be.
            closing(pages::message(&context, &message, Some(code)))
        }
        // Browsers connect ahead, and such a handshake may be older than the link. One made for this page is not.
        SignInPage::Refused(SignInRefusal::ProofNotFresh) if again < MAX_AGAIN => {
            let (lang, again) = (language.tag(), again + 1);
            closing(see_other(&format!("/login/{link}?lang={lang}&again={again}"))?)
        }
        SignInPage::Refused(refusal) => {
            let (message, code) = messages::refusal(language, refusal);
            closing(pages::message(&context, &message, Some(code)))
        }
    })
}

/// `POST /login/{link}`: the holder's decision.
pub(crate) async fn form(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    refuse_other_sites(&exchange.parts.headers)?;
    let (confirmation, lang) = read_form(exchange).await?;
    let language = Language::choose(lang.as_deref(), &exchange.parts.headers);
    let confirmed = confirm(exchange, confirmation).await?;
    let context = Context::of(exchange, language);
    // What is decided is not behind the link any more: the same page in the other language is not to be had.
    let decided = Context { path: None, ..context };
    let answer = match confirmed {
        Confirmed::Return { url } => see_other(&url)?,
        Confirmed::Done { system } => {
            pages::message(&decided, &messages::done(language, &system), None)
        }
        Confirmed::Denied { system } => {
            pages::message(&decided, &messages::denied(language, &system), None)
        }
        Confirmed::Refused(refusal) => {
            let (message, code) = messages::refusal(language, refusal);
            pages::message(&context, &message, Some(code))
        }
    };
    Ok(closing(answer))
}

async fn confirm(
    exchange: &Exchange<'_>,
    confirmation: Confirmation,
) -> Result<Confirmed, Refusal> {
    let operations = Arc::clone(exchange.operations());
    let request_id = exchange.request_id.as_str().to_owned();
    let link = exchange.name()?.to_owned();
    let card = exchange.peer.card.clone();
    let work =
        async move { Ok(operations.confirm_sign_in(&request_id, &link, card, confirmation).await) };
    exchange.to_the_end(work).await
}

async fn read_form(exchange: &mut Exchange<'_>) -> Result<(Confirmation, Option<String>), Refusal> {
    head::require_media_type(&exchange.parts.headers, "application/x-www-form-urlencoded")?;
    exchange.body.allow(FORM_BYTES)?;
    let held = exchange.body.collect(exchange.door).await?;
    let text =
        std::str::from_utf8(held.octets()).map_err(|_| malformed("the form is not UTF-8"))?;
    let [form_token, number, decision, lang] =
        Pairs::parse(text, ["form_token", "number", "decision", "lang"], Plus::Space)?;
    let approve = match decision.as_deref() {
        Some("approve") => true,
        Some("deny") => false,
        _ => return Err(malformed("decision: approve or deny").into()),
    };
    let form_token = form_token.ok_or_else(|| malformed("the form has no form_token"))?;
    let number = number.map(|number| ascii_number(&number)).filter(|number| !number.is_empty());
    Ok((Confirmation { form_token, number, approve }, lang))
}

/// Digits as Japanese keyboards write them become plain ones; spaces and hyphens between groups go.
fn ascii_number(typed: &str) -> String {
    let plain = typed.chars().filter_map(|character| match character {
        '０'..='９' => char::from_digit(u32::from(character) - u32::from('０'), 10),
        ' ' | '\u{3000}' | '-' | '－' | 'ー' => None,
        other => Some(other),
    });
    plain.take(NUMBER_CHARACTERS).collect()
}

/// A form of another site is refused where the browser says so. `Origin: null` says nothing: browsers send it for our own
/// form, too, because of its referrer policy (Fetch §3.2). The one-time field is what counts.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || Problem::with_detail(Code::NotPermitted, "this form belongs to another site");
    if let Some(site) = head::only(headers, &SEC_FETCH_SITE)?
        && !matches!(site, "same-origin" | "none")
    {
        return Err(refused());
    }
    let host = head::only(headers, &header::HOST)?.unwrap_or_default();
    match head::only(headers, &header::ORIGIN)? {
        None | Some("null") => Ok(()),
        Some(origin) => match origin.strip_prefix("https://") {
            Some(origin) if origin.eq_ignore_ascii_case(host) => Ok(()),
            _ => Err(refused()),
        },
    }
}

fn see_other(url: &str) -> Result<Answer, Refusal> {
    let location = HeaderValue::from_str(url).map_err(|_| Code::Internal)?;
    let mut answer = Response::new(Full::<Bytes>::default());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(header::LOCATION, location);
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(answer)
}

/// The next request makes a new handshake, and so a new proof.
fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_read_however_the_keyboard_writes_it() {
        assert_eq!(ascii_number("４２－１３"), "4213");
        assert_eq!(ascii_number(" 42 13\u{3000}"), "4213");
        assert_eq!(ascii_number(&"1".repeat(1_000)).len(), NUMBER_CHARACTERS);
    }

    #[test]
    fn form_of_another_site_is_refused() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("hpki.example:8444"));
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            refuse_other_sites(&headers).is_ok()
        };
        assert!(of(&[]));
        assert!(of(&[("origin", "https://hpki.example:8444"), ("sec-fetch-site", "same-origin")]));
        assert!(of(&[("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!of(&[("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!of(&[("sec-fetch-site", "same-site")]));
        assert!(!of(&[("origin", "https://hpki.example")]));
        assert!(!of(&[("origin", "http://hpki.example:8444")]));
        assert!(!of(&[("origin", "https://evil.example")]));
    }
}
