//! A strict scanner for one canonical `ds:SignedInfo` element. It reads no other XML, resolves nothing, expands nothing.

use crate::read::Fault;

/// Checks that `octets` are one `SignedInfo` element of XML Signature and nothing else.
///
/// # Source
/// Canonical XML 1.0 §1.1: UTF-8, no XML declaration, no document type, CDATA replaced, entities replaced; XML 1.0
/// productions 10 (AttValue), 40-44 (tags), 66-68 (references); Namespaces in XML §3, §6.
pub fn check(octets: &[u8]) -> Result<(), Fault> {
    let text = std::str::from_utf8(octets).map_err(|_| "not UTF-8")?;
    if text.chars().any(|character| !is_xml_char(character)) {
        return Err("a character that XML does not have");
    }
    let mut scanner = Scanner { rest: text };
    let mut open: Vec<&str> = Vec::new();
    loop {
        match scanner.next_markup(!open.is_empty())? {
            Markup::Start(tag) => {
                if open.is_empty() {
                    check_root(&tag)?;
                }
                check_algorithm(&tag)?;
                if !tag.is_empty_element {
                    open.push(tag.name);
                }
                if open.len() > MAX_DEPTH {
                    return Err("nested too deeply");
                }
            }
            Markup::End(name) if open.pop() == Some(name) => {}
            Markup::End(_) => return Err("an end tag does not match its start tag"),
        }
        if open.is_empty() {
            break;
        }
    }
    match scanner.rest.is_empty() {
        true => Ok(()),
        false => Err("something follows the element"),
    }
}

struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    is_empty_element: bool,
}

enum Markup<'a> {
    Start(Tag<'a>),
    End(&'a str),
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Goes over text, where there may be any, to the next tag and reads it.
    fn next_markup(&mut self, text_allowed: bool) -> Result<Markup<'a>, Fault> {
        let at = self.rest.find('<').ok_or("it ends inside an element")?;
        let text = self.take(at)?;
        if !text.is_empty() && !text_allowed {
            return Err("it does not begin with the element");
        }
        if text.contains("]]>") {
            return Err("the end of a CDATA section without its beginning");
        }
        check_references(text)?;
        self.take("<".len())?;
        match self.rest.chars().next() {
            Some('!') => Err("a comment, CDATA section or document type"),
            Some('?') => Err("a processing instruction or XML declaration"),
            Some('/') => {
                self.take("/".len())?;
                let name = self.name()?;
                self.skip_space();
                self.literal(">")?;
                Ok(Markup::End(name))
            }
            _ => self.start_tag().map(Markup::Start),
        }
    }

    fn start_tag(&mut self) -> Result<Tag<'a>, Fault> {
        let name = self.name()?;
        let mut attributes: Vec<(&str, &str)> = Vec::new();
        loop {
            let spaced = self.skip_space();
            let is_empty_element = self.rest.starts_with("/>");
            if is_empty_element || self.rest.starts_with('>') {
                self.literal(if is_empty_element { "/>" } else { ">" })?;
                return Ok(Tag { name, attributes, is_empty_element });
            }
            if !spaced || attributes.len() == MAX_ATTRIBUTES {
                return Err("attributes that run together, or too many");
            }
            let attribute = self.attribute()?;
            if attributes.iter().any(|(seen, _)| *seen == attribute.0) {
                return Err("an attribute is there twice");
            }
            attributes.push(attribute);
        }
    }

    fn attribute(&mut self) -> Result<(&'a str, &'a str), Fault> {
        let name = self.name()?;
        self.skip_space();
        self.literal("=")?;
        self.skip_space();
        let quote = if self.rest.starts_with('\'') { "'" } else { "\"" };
        self.literal(quote)?;
        let end = self.rest.find(quote).ok_or("an attribute value does not end")?;
        let value = self.take(end)?;
        self.literal(quote)?;
        check_references(value)?;
        match value.contains('<') {
            false => Ok((name, value)),
            true => Err("an attribute value contains <"),
        }
    }

    /// A name with at most one prefix.
    fn name(&mut self) -> Result<&'a str, Fault> {
        let end = self.rest.find(|c: char| !is_name_char(c)).ok_or("a name does not end")?;
        let name = self.take(end)?;
        let starts_well =
            |part: &str| part.starts_with(|c: char| c.is_alphabetic() || c == '_' || !c.is_ascii());
        match name.split(':').count() <= 2 && name.split(':').all(starts_well) {
            true => Ok(name),
            false => Err("not a name"),
        }
    }

    fn skip_space(&mut self) -> bool {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let skipped = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        skipped
    }

    fn literal(&mut self, literal: &str) -> Result<(), Fault> {
        self.rest = self.rest.strip_prefix(literal).ok_or("a tag is not well-formed")?;
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'a str, Fault> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The outermost element is `SignedInfo` in the namespace of XML Signature.
fn check_root(tag: &Tag<'_>) -> Result<(), Fault> {
    let (prefix, local) = tag.name.split_once(':').unwrap_or(("", tag.name));
    let declares = |(name, value): &(&str, &str)| {
        let declared = if *name == "xmlns" { Some("") } else { name.strip_prefix("xmlns:") };
        declared == Some(prefix) && *value == XML_SIGNATURE
    };
    match local == "SignedInfo" && tag.attributes.iter().any(declares) {
        true => Ok(()),
        false => Err("the element is not SignedInfo of XML Signature"),
    }
}

/// No digest or signature algorithm with SHA-1 or MD5, and none written so that it could hide one.
fn check_algorithm(tag: &Tag<'_>) -> Result<(), Fault> {
    let local_name = tag.name.split_once(':').map_or(tag.name, |(_, local)| local);
    if !["DigestMethod", "SignatureMethod"].contains(&local_name) {
        return Ok(());
    }
    let is_weak = |(name, value): &(&str, &str)| {
        let mut words = value.split(['#', '-', '/']);
        let names_weak = words.any(|word| ["sha1", "md5", "ripemd160"].contains(&word));
        *name == "Algorithm" && (names_weak || value.contains('&'))
    };
    match tag.attributes.iter().any(is_weak) {
        false => Ok(()),
        true => Err("it names SHA-1 or MD5"),
    }
}

/// References to characters only, and to the five entities that XML has without a document type.
fn check_references(text: &str) -> Result<(), Fault> {
    for after_ampersand in text.split('&').skip(1) {
        let (name, _) = after_ampersand.split_once(';').ok_or("a reference does not end")?;
        let known = match name.strip_prefix('#') {
            Some(number) => is_character_number(number),
            None => ["amp", "lt", "gt", "quot", "apos"].contains(&name),
        };
        if !known {
            return Err("a reference to an entity that is not declared");
        }
    }
    Ok(())
}

fn is_character_number(number: &str) -> bool {
    let value = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse::<u32>(),
    };
    let digits_only = number.chars().all(|c| c.is_ascii_alphanumeric());
    digits_only && value.ok().and_then(char::from_u32).is_some_and(is_xml_char)
}

/// XML 1.0 production 2 (Char).
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ':' | '_' | '-' | '.' | '\u{b7}')
}

const XML_SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const MAX_DEPTH: usize = 16;
const MAX_ATTRIBUTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = concat!(
        r#"<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xs="http://www.w3.org/2001/XMLSchema">"#,
        r#"<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>"#,
        r#"<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>"#,
        "\n  ",
        r##"<ds:Reference Id="r1" URI="#body&amp;x"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></ds:Transform></ds:Transforms>"##,
        r#"<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>"#,
        "<ds:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference></ds:SignedInfo>",
    );

    #[test]
    fn canonical_signed_info_passes_with_any_prefix() {
        assert_eq!(check(GOOD.as_bytes()), Ok(()));
        let unprefixed = GOOD.replace("xmlns:ds", "xmlns").replace("ds:", "");
        assert_eq!(check(unprefixed.as_bytes()), Ok(()));
        assert_eq!(
            check(GOOD.replace("ds:", "署名:").replace(":ds=", ":署名=").as_bytes()),
            Ok(())
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let swap = |from: &str, to: &str| GOOD.replacen(from, to, 1);
        let root = |open: &str| format!("{open}</{}>", open[1..].split([' ', '>']).next().unwrap());
        let ns = "http://www.w3.org/2000/09/xmldsig#";
        let cases = [
            (String::new(), "nothing"),
            (format!(" {GOOD}"), "leading space"),
            (format!("{GOOD}\n"), "trailing newline"),
            (format!("{GOOD}{GOOD}"), "two elements"),
            (format!("\u{feff}{GOOD}"), "byte order mark"),
            (format!("<?xml version=\"1.0\"?>{GOOD}"), "declaration"),
            (format!("<!DOCTYPE ds:SignedInfo>{GOOD}"), "document type"),
            (swap("<ds:Transforms>", "<!-- --><ds:Transforms>"), "comment"),
            (swap("47DE", "<![CDATA[47DE]]>"), "CDATA"),
            (swap("<ds:Transforms>", "<?pi?><ds:Transforms>"), "processing instruction"),
            (swap("47DE", "]]>"), "end of CDATA"),
            (swap("&amp;", "&nbsp;"), "unknown entity"),
            (swap("&amp;", "&"), "bare ampersand"),
            (swap("&amp;", "&#0;"), "reference to NUL"),
            (swap("&amp;", "&#x+41;"), "reference with a sign"),
            (swap("47DE", "\u{1}"), "control character"),
            (swap("</ds:Reference>", "</ds:Transforms>"), "tags crossed"),
            (swap("</ds:Reference>", ""), "end tag missing"),
            (swap("</ds:SignedInfo>", ""), "cut off"),
            (swap("Id=\"r1\"", "Id=\"r1\" Id=\"r2\""), "attribute twice"),
            (swap("Id=\"r1\"", "Id=r1"), "unquoted attribute"),
            (swap("Id=\"r1\" ", "Id=\"r1\""), "attributes run together"),
            (swap("Id=\"r1\"", "Id=\"<\""), "< in an attribute"),
            (swap("Id=\"r1\"", "a:b:c=\"\""), "two prefixes"),
            (swap("Id=\"r1\"", "1d=\"\""), "a name that begins with a digit"),
            (swap("SignedInfo", "Object").replace("/ds:SignedInfo", "/ds:Object"), "other element"),
            (swap("09/xmldsig#", "09/xmldsig"), "other namespace"),
            (swap("xmlns:ds", "xmlns:dx"), "prefix not declared"),
            (root(&format!("<SignedInfo xmlns:ds=\"{ns}\">")), "default namespace not declared"),
            (root(&format!("<dsSignedInfo xmlnsds=\"{ns}\">")), "not a declaration"),
            (root(&format!("<ds:SignedInfo xmlnsds=\"{ns}\">")), "not a declaration, with prefix"),
            (swap("xmlenc#sha256", "xmldsig#sha1"), "SHA-1 digest"),
            (swap("xmlenc#sha256", "xmldsig#&#115;ha1"), "SHA-1 in disguise"),
            (swap("xmldsig-more#rsa-sha256", "xmldsig#rsa-sha1"), "SHA-1 signature"),
            (swap("#rsa-sha256", "#sha1-rsa-MGF1"), "SHA-1 PSS"),
            (swap("#rsa-sha256", "#rsa-md5"), "MD5 signature"),
        ];
        for (text, why) in cases {
            assert!(check(text.as_bytes()).is_err(), "{why}: {text}");
        }
        assert!(check(b"<ds:SignedInfo \xff>").is_err(), "not UTF-8");
    }

    #[test]
    fn depth_and_attributes_have_a_limit() {
        let nested = |levels: usize| {
            let (start, end) = GOOD.split_at(GOOD.find('>').unwrap() + 1);
            let _ = end;
            format!("{start}{}{}</ds:SignedInfo>", "<a>".repeat(levels), "</a>".repeat(levels))
        };
        assert_eq!(check(nested(MAX_DEPTH - 1).as_bytes()), Ok(()));
        assert!(check(nested(MAX_DEPTH).as_bytes()).is_err());
        let attributes = |count: usize| {
            let list: String = (0..count).map(|n| format!(" a{n}=\"\"")).collect();
            GOOD.replacen(" Id=\"r1\" URI=\"#body&amp;x\"", &list, 1)
        };
        assert_eq!(check(attributes(MAX_ATTRIBUTES).as_bytes()), Ok(()));
        assert!(check(attributes(MAX_ATTRIBUTES + 1).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn scanning_never_panics(octets: Vec<u8>) {
            let _ = check(&octets);
        }

        #[test]
        fn scanning_damaged_xml_never_panics(at in 0..GOOD.len(), with: Vec<u8>, cut in 0usize..40) {
            let mut octets = GOOD.as_bytes().to_vec();
            octets.splice(at..(at + cut).min(GOOD.len()), with);
            let _ = check(&octets);
        }
    }
}
