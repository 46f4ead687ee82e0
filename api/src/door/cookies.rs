//! Cookies: secrets of one browser, in no link, for no script, for no other site.

use crate::http::answer::Answer;
use crate::problem::Code;
use http::HeaderMap;
use http::HeaderValue;
use http::header;

/// Seconds for which a browser keeps the secret of a page: longer than any such page can be used, so that its end can be shown.
pub(crate) const PAGE_SECONDS: u64 = 3_600;
/// Characters of a secret.
const SECRET_CHARACTERS: usize = 128;

/// The cookie of this name; `None` when there is none, or several: then nobody can tell which was meant.
pub(crate) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // HTTP/2 may bring each cookie in a field of its own (RFC 9113 §8.2.3).
    let fields = headers.get_all(header::COOKIE).iter();
    let pairs = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value).filter(|value| is_secret(value)),
        _ => None,
    }
}

/// Where a cookie is sent, and from which sites.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) path: &'a str,
    pub(crate) same_site: &'static str,
}

/// The whole host, also on the way back from the card listener, whose site may be another: a link or a redirection brings
/// it, a form of another site does not.
pub(crate) const WHOLE_HOST: Scope<'static> = Scope { path: "/", same_site: "Lax" };

/// Gives the browser a cookie for `seconds`.
pub(crate) fn set(
    answer: &mut Answer,
    name: &str,
    value: &str,
    seconds: u64,
    scope: Scope<'_>,
) -> Result<(), Code> {
    let Scope { path, same_site } = scope;
    let cookie = format!(
        "{name}={value}; Path={path}; Max-Age={seconds}; Secure; HttpOnly; SameSite={same_site}"
    );
    let cookie = HeaderValue::try_from(cookie).map_err(|_| Code::Internal)?;
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}

/// Takes a cookie of the whole host away.
pub(crate) fn clear(answer: &mut Answer, name: &str) -> Result<(), Code> {
    set(answer, name, "", 0, WHOLE_HOST)
}

/// The form of base64url, which stands in a cookie as it is; a dot separates two.
pub(crate) fn is_secret(text: &str) -> bool {
    (1..=SECRET_CHARACTERS).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_static(field));
        }
        read(&headers, "__Host-me").map(str::to_owned)
    }

    #[test]
    fn cookie_is_found_among_others_and_by_its_whole_name() {
        assert_eq!(of(&["a=b; __Host-me=secret; c=d"]).as_deref(), Some("secret"));
        assert_eq!(of(&["a=b", "__Host-me=secret"]).as_deref(), Some("secret"));
        assert_eq!(of(&["__Host-me2=secret; x__Host-me=secret"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn cookie_that_comes_twice_or_is_no_secret_is_none() {
        assert_eq!(of(&["__Host-me=one; __Host-me=two"]), None);
        assert_eq!(of(&["__Host-me=one", "__Host-me=one"]), None);
        assert_eq!(of(&["__Host-me="]), None);
        assert_eq!(of(&["__Host-me=a b"]), None);
        assert_eq!(of(&["__Host-me=a\"b"]), None);
    }
}
