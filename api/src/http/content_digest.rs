//! `Content-Digest` (RFC 9530 §2) and the digests of a document that is streamed.

use crate::http::answer::malformed;
use crate::problem::Code;
use crate::problem::Problem;
use crate::wire::DigestName;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// Digests that the peer says the body has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ContentDigest(Vec<(DigestName, Vec<u8>)>);

impl ContentDigest {
    /// Reads the value of a `Content-Digest` header: a dictionary of byte sequences (RFC 8941 §3.2, §3.3.5) whose keys
    /// are `sha-256` or `sha-512`. An algorithm that cannot be checked is refused, not passed over.
    pub(crate) fn parse(value: &str) -> Result<Self, Problem> {
        let mut digests: Vec<(DigestName, Vec<u8>)> = Vec::new();
        for member in value.split(',') {
            let (name, digest) = member_of(member.trim_matches([' ', '\t']))?;
            if digests.iter().any(|(known, _)| *known == name) {
                return Err(malformed("Content-Digest names an algorithm twice"));
            }
            digests.push((name, digest));
        }
        Ok(Self(digests))
    }

    /// What the peer says, for the keeper.
    pub(crate) fn announced(&self) -> &[(DigestName, Vec<u8>)] {
        &self.0
    }

    /// # Errors
    /// `digest_mismatch` when one of the digests is not that of the body.
    pub(crate) fn check(&self, digests: &Digests) -> Result<(), Problem> {
        let is_right = self.0.iter().all(|(name, expected)| {
            digests.get(*name).is_some_and(|actual| actual.ct_eq(expected).into())
        });
        if is_right { Ok(()) } else { Err(Problem::new(Code::DigestMismatch)) }
    }
}

fn member_of(member: &str) -> Result<(DigestName, Vec<u8>), Problem> {
    let (name, value) =
        member.split_once('=').ok_or_else(|| malformed("Content-Digest: no value"))?;
    let name = match name {
        "sha-256" => DigestName::Sha256,
        "sha-512" => DigestName::Sha512,
        _ => return Err(malformed("Content-Digest: only sha-256 and sha-512 are checked here")),
    };
    let encoded = value
        .strip_prefix(':')
        .and_then(|rest| rest.strip_suffix(':'))
        .ok_or_else(|| malformed("Content-Digest: a value stands between colons"))?;
    let octets =
        STANDARD.decode(encoded).map_err(|_| malformed("Content-Digest: not canonical base64"))?;
    if octets.len() != algorithm(name).output_len() {
        return Err(malformed("Content-Digest: wrong length for its algorithm"));
    }
    Ok((name, octets))
}

/// Digests being computed over a body.
pub(crate) struct Digesting(Vec<(DigestName, digest::Context)>);

/// Digests of a whole body.
#[derive(Debug)]
pub(crate) struct Digests(Vec<(DigestName, digest::Digest)>);

impl Digesting {
    /// The digest that will be signed, and those that the peer wants compared.
    pub(crate) fn new(wanted: DigestName, compared: &ContentDigest) -> Self {
        let mut contexts = vec![(wanted, digest::Context::new(algorithm(wanted)))];
        let others = compared.0.iter().map(|(name, _)| *name).filter(|name| *name != wanted);
        contexts.extend(others.map(|name| (name, digest::Context::new(algorithm(name)))));
        Self(contexts)
    }

    pub(crate) fn update(&mut self, octets: &[u8]) {
        for (_, context) in &mut self.0 {
            context.update(octets);
        }
    }

    pub(crate) fn finish(self) -> Digests {
        Digests(self.0.into_iter().map(|(name, context)| (name, context.finish())).collect())
    }
}

impl Digests {
    /// One of them, if it was computed.
    pub(crate) fn get(&self, name: DigestName) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, digest)| digest.as_ref())
    }
}

fn algorithm(name: DigestName) -> &'static digest::Algorithm {
    match name {
        DigestName::Sha256 => &digest::SHA256,
        DigestName::Sha384 => &digest::SHA384,
        DigestName::Sha512 => &digest::SHA512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9530 Appendix D: {"hello": "world"} followed by a line feed.
    const BODY: &[u8] = b"{\"hello\": \"world\"}\n";
    const SHA256: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

    fn digests(wanted: DigestName, header: &ContentDigest) -> Digests {
        let mut digesting = Digesting::new(wanted, header);
        for part in BODY.chunks(5) {
            digesting.update(part);
        }
        digesting.finish()
    }

    #[test]
    fn example_of_the_rfc_matches_whatever_is_signed() {
        let header = ContentDigest::parse(SHA256).unwrap();
        for wanted in [DigestName::Sha256, DigestName::Sha384, DigestName::Sha512] {
            header.check(&digests(wanted, &header)).unwrap();
        }
    }

    #[test]
    fn one_wrong_digest_of_two_is_a_mismatch() {
        let wrong = STANDARD.encode([0; 64]);
        let header = ContentDigest::parse(&format!("{SHA256}, sha-512=:{wrong}:")).unwrap();
        let refused = header.check(&digests(DigestName::Sha256, &header)).unwrap_err();
        assert_eq!(refused.code, Code::DigestMismatch);
    }

    #[test]
    fn values_that_cannot_be_checked_are_refused() {
        let short = STANDARD.encode([0; 31]);
        let refused = [
            String::new(),
            "sha-256".into(),
            "sha-256=RK/0".into(),
            "sha-256=::".into(),
            format!("sha-256=:{short}:"),
            format!("{SHA256}, {SHA256}"),
            format!("{SHA256},"),
            SHA256.replace("=:", ":").replacen(':', "=:", 1).replace("Dg:", "Dg:;x"),
            SHA256.replace("sha-256", "SHA-256"),
            "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:".into(),
            format!("{SHA256}, unixsum=:AAAA:"),
            SHA256.replace("bDg=", "bDg"),
            SHA256.replace("bDg=", "bDh="),
        ];
        for value in refused {
            assert!(ContentDigest::parse(&value).is_err(), "{value}");
        }
    }
}
