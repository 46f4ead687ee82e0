//! Checks on every request head, before anybody looks at what it asks.

use crate::door::Door;
use crate::door::Peer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::problem::Code;
use crate::problem::Problem;
use http::HeaderMap;
use http::HeaderName;
use http::header;
use http::request::Parts;

/// Sizes, framing and the host name.
pub(crate) fn check(door: &Door, peer: &Peer, parts: &Parts) -> Result<(), Refusal> {
    sizes(door, parts)?;
    framing(parts)?;
    host(door, peer, parts)
}

fn sizes(door: &Door, parts: &Parts) -> Result<(), Refusal> {
    // The request line's method, spaces and version, and ": " CR LF of each field, as they stand in HTTP/1.1.
    let target = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = parts.method.as_str().len() + target + 12;
    let fields: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let too_many = parts.headers.len() > door.limits.header_fields;
    if too_many || line + fields > door.limits.header_bytes {
        return Err(Refusal::closing(Problem::new(Code::HeaderTooLarge)));
    }
    Ok(())
}

/// Framing that two readers could take differently (RFC 9112 §6.1, §6.3). What the codec itself refuses does not come
/// here: two lengths, a length that is no number, a coding that does not end in chunked.
fn framing(parts: &Parts) -> Result<(), Refusal> {
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => {
            only.as_bytes().eq_ignore_ascii_case(b"chunked")
                && !parts.headers.contains_key(header::CONTENT_LENGTH)
        }
        _ => false,
    };
    if !is_plain {
        return Err(Refusal::closing(malformed("the only transfer coding taken is chunked")));
    }
    Ok(())
}

/// The name asked for must be served here, and be the one that TLS was set up for.
fn host(door: &Door, peer: &Peer, parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(only), None) => {
            Some(only.to_str().map_err(|_| closing_malformed("the Host header is no host name"))?)
        }
        _ => return Err(closing_malformed("several Host headers")),
    };
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let asked = match (authority, header) {
        (Some(authority), Some(header)) if !authority.eq_ignore_ascii_case(header) => {
            return Err(closing_malformed("the Host header and the target name different hosts"));
        }
        (Some(named), _) | (None, Some(named)) => named,
        (None, None) => return Err(closing_malformed("no Host header")),
    };
    let name = host_name(asked).ok_or_else(|| closing_malformed("the host is no host name"))?;
    let is_served = door.host_names.is_empty()
        || door.host_names.iter().any(|served| served.eq_ignore_ascii_case(name));
    let is_meant =
        peer.server_name.as_deref().is_none_or(|indicated| indicated.eq_ignore_ascii_case(name));
    if is_served && is_meant {
        return Ok(());
    }
    Err(Refusal::closing(Problem::new(Code::MisdirectedRequest)))
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host_name(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']')? {
            (host, "") => (host, None),
            (host, port) => (host, Some(port.strip_prefix(':')?)),
        },
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let name_is_good = !host.is_empty()
        && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.:".contains(&octet));
    (port_is_good && name_is_good).then_some(host)
}

fn closing_malformed(detail: &str) -> Refusal {
    Refusal::closing(malformed(detail))
}

/// The only value of a header field, as text; `None` when it is absent.
///
/// # Errors
/// `malformed_request` when it is given twice or is not visible ASCII.
pub(crate) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Problem> {
    only_octets(headers, name)?
        .map(|value| {
            std::str::from_utf8(value)
                .ok()
                .filter(|text| text.bytes().all(|octet| (0x20..0x7f).contains(&octet)))
                .ok_or_else(|| malformed(format!("{name}: not visible ASCII")))
        })
        .transpose()
}

/// The only value of a header field; `None` when it is absent.
///
/// # Errors
/// `malformed_request` when it is given twice.
pub(crate) fn only_octets<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a [u8]>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(http::HeaderValue::as_bytes)),
        _ => Err(malformed(format!("{name} is given twice"))),
    }
}

/// # Errors
/// `unsupported_media_type` when the body is coded: what is signed is what was sent.
pub(crate) fn refuse_coding(headers: &HeaderMap) -> Result<(), Problem> {
    match only(headers, &header::CONTENT_ENCODING)? {
        None => Ok(()),
        Some(coding) if coding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => {
            Err(Problem::with_detail(Code::UnsupportedMediaType, "send the body without a coding"))
        }
    }
}

/// # Errors
/// `unsupported_media_type` when the body is not said to be `wanted` in UTF-8.
pub(crate) fn require_media_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    refuse_coding(headers)?;
    let refused =
        || Problem::with_detail(Code::UnsupportedMediaType, format!("send Content-Type: {wanted}"));
    let given = only(headers, &header::CONTENT_TYPE)?.ok_or_else(refused)?;
    let mut parts = given.split(';').map(str::trim);
    let is_wanted = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
    let is_utf8 = parts.all(|parameter| {
        let parameter = parameter.to_ascii_lowercase();
        matches!(parameter.as_str(), "charset=utf-8" | "charset=\"utf-8\"")
    });
    if is_wanted && is_utf8 { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_taken_apart() {
        assert_eq!(host_name("sign.example"), Some("sign.example"));
        assert_eq!(host_name("sign.example:8443"), Some("sign.example"));
        assert_eq!(host_name("[::1]:8443"), Some("::1"));
        assert_eq!(host_name("[::1]"), Some("::1"));
        for wrong in ["", ":8443", "a b", "a:b", "a:99999", "a@b", "a/b", "[::1", "[::1]x"] {
            assert_eq!(host_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn media_type_must_be_the_one_wanted_in_utf8() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            require_media_type(&headers, "application/json").is_ok()
        };
        assert!(of("application/json"));
        assert!(of("Application/JSON; charset=UTF-8"));
        assert!(!of("application/json; charset=utf-16"));
        assert!(!of("application/jsonx"));
        assert!(!of("text/plain"));
        assert!(require_media_type(&HeaderMap::new(), "application/json").is_err());
    }
}
