//! What forms and scripts send: size, kind, and from which site.

use super::cookies;
use super::exchange::Exchange;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::http::head;
use crate::http::query::Pairs;
use crate::http::query::Plus;
use crate::pages::language::Language;
use crate::problem::Code;
use crate::problem::Problem;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use http_body_util::Full;

/// Octets of a form: a token, a number and a few words.
const FORM_BYTES: u64 = 4 * 1024;
/// Characters of a number that is typed.
const NUMBER_CHARACTERS: usize = 32;

/// The fields of a form of this very listener, in which only `names` may occur.
pub(crate) async fn own<const N: usize>(
    exchange: &mut Exchange<'_>,
    names: [&str; N],
) -> Result<[Option<String>; N], Refusal> {
    let [] = exchange.query([])?;
    refuse_other_sites(&exchange.parts)?;
    read(exchange, names).await
}

/// The same of a form that another listener of the appliance leads here.
pub(crate) async fn led_here<const N: usize>(
    exchange: &mut Exchange<'_>,
    names: [&str; N],
) -> Result<[Option<String>; N], Refusal> {
    let [] = exchange.query([])?;
    refuse_sites_but(&exchange.parts.headers, &["same-origin", "same-site", "none"])?;
    read(exchange, names).await
}

async fn read<const N: usize>(
    exchange: &mut Exchange<'_>,
    names: [&str; N],
) -> Result<[Option<String>; N], Refusal> {
    head::require_media_type(&exchange.parts.headers, "application/x-www-form-urlencoded")?;
    exchange.body.allow(FORM_BYTES)?;
    let held = exchange.body.collect(exchange.door).await?;
    let text =
        std::str::from_utf8(held.octets()).map_err(|_| malformed("the form is not UTF-8"))?;
    Ok(Pairs::parse(text, names, Plus::Space)?)
}

/// A field without which the form says nothing.
pub(crate) fn needed(name: &str, value: Option<String>) -> Result<String, Problem> {
    value.ok_or_else(|| malformed(format!("the form has no {name}")))
}

/// The button that was pressed: true for yes.
pub(crate) fn decision(pressed: Option<&str>) -> Result<bool, Problem> {
    match pressed {
        Some("approve") => Ok(true),
        Some("deny") => Ok(false),
        _ => Err(malformed("decision: approve or deny")),
    }
}

/// Digits as Japanese keyboards write them become plain ones; spaces and hyphens between groups go.
pub(crate) fn ascii_number(typed: &str) -> String {
    let plain = typed.chars().filter_map(|character| match character {
        '０'..='９' => char::from_digit(u32::from(character) - u32::from('０'), 10),
        ' ' | '\u{3000}' | '-' | '－' | 'ー' => None,
        other => Some(other),
    });
    plain.take(NUMBER_CHARACTERS).collect()
}

/// A form of another site is refused where the browser says so. `Origin: null` says nothing: browsers send it for our own
/// form, too, because of its referrer policy (Fetch §3.2). The one-time field is what counts.
pub(crate) fn refuse_other_sites(parts: &Parts) -> Result<(), Problem> {
    let headers = &parts.headers;
    refuse_sites_but(headers, &["same-origin", "none"])?;
    // HTTP/2 names the host in the target; where both do, they are the same.
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head::only(headers, &header::HOST)?.unwrap_or_default(),
    };
    match head::only(headers, &header::ORIGIN)? {
        None | Some("null") => Ok(()),
        Some(origin) => match origin.strip_prefix("https://") {
            Some(origin) if origin.eq_ignore_ascii_case(host) => Ok(()),
            _ => Err(foreign()),
        },
    }
}

fn refuse_sites_but(headers: &HeaderMap, good: &[&str]) -> Result<(), Problem> {
    match head::only(headers, &SEC_FETCH_SITE)? {
        Some(site) if !good.contains(&site) => Err(foreign()),
        _ => Ok(()),
    }
}

fn foreign() -> Problem {
    Problem::with_detail(Code::NotPermitted, "this form belongs to another site")
}

/// Sends the browser to another page.
pub(crate) fn see_other(url: &str) -> Result<Answer, Refusal> {
    let location = HeaderValue::from_str(url).map_err(|_| Code::Internal)?;
    let mut answer = Response::new(Full::<Bytes>::default());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(header::LOCATION, location);
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(answer)
}

/// Leads the browser to the page `path`, or to one `below` it, with a secret that only that page and those below it get, and
/// that only this site's pages send.
pub(crate) fn lead_to(
    path: &str,
    below: &str,
    name: &str,
    secret: &str,
    language: Language,
) -> Result<Answer, Refusal> {
    let mut answer = see_other(&format!("{path}{below}?lang={}", language.tag()))?;
    let scope = cookies::Scope { path, same_site: "Strict" };
    cookies::set(&mut answer, name, secret, cookies::PAGE_SECONDS, scope)?;
    Ok(answer)
}

/// The next request makes a new handshake, and so a new proof.
pub(crate) fn closing(mut answer: Answer) -> Answer {
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
            // HTTP/1.1 names the host in its header, HTTP/2 in its target.
            let http1 = http::Request::post("/").header("host", "hpki.example:8444");
            let http2 = http::Request::post("https://hpki.example:8444/");
            let [http1, http2] = [http1, http2].map(|request| {
                let add = |request: http::request::Builder, (name, value): &(_, _)| {
                    request.header(*name, *value)
                };
                let request = pairs.iter().fold(request, add).body(()).unwrap();
                refuse_other_sites(&request.into_parts().0).is_ok()
            });
            assert_eq!(http1, http2, "{pairs:?}");
            http1
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
