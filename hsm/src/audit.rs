//! The rules that a private key in the token must keep, and what is said of one that does not.
//!
//! They are what the attacks of Clulow and the Tookan work need broken: a key that can also wrap, decrypt or be changed
//! is no signature key.

use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// An attribute of the private (or secret) key does not have the value it must have.
    #[error("{attribute} is {}, it must be {required}", spoken(*found))]
    Attribute {
        /// `CKA_EXTRACTABLE` ...
        attribute: &'static str,
        /// What it must be.
        required: bool,
        /// What it is; `None` when the token does not say.
        found: Option<bool>,
    },
    /// The token does not hold exactly one private key of this CKA_ID.
    #[error("the token holds {0} private keys of this CKA_ID")]
    PrivateKeys(usize),
    /// The token does not hold exactly one public key of this CKA_ID.
    #[error("the token holds {0} public keys of this CKA_ID")]
    PublicKeys(usize),
    /// The token does not hold exactly one secret key of this CKA_ID.
    #[error("the token holds {0} secret keys of this CKA_ID")]
    SecretKeys(usize),
    /// The token's public key is not the one that was logged when the pair was made.
    #[error("the token's public key is not the one logged at generation")]
    OtherPublicKey,
    /// The private key is of another kind or modulus than the public key.
    #[error("the private key does not belong to the public key")]
    OtherPrivateKey,
    /// The CKA_ID is not one that this appliance gives to holders' keys: 16 octets.
    #[error("the CKA_ID is not one of a holder's key")]
    ForeignId,
}

fn spoken(found: Option<bool>) -> &'static str {
    match found {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    }
}

/// One rule: the attribute, the value it must have, and whether a token may be silent about it.
struct Rule {
    attribute: AttributeType,
    name: &'static str,
    required: bool,
    may_be_unknown: bool,
}

const fn rule(attribute: AttributeType, name: &'static str, required: bool) -> Rule {
    Rule { attribute, name, required, may_be_unknown: false }
}

const fn rule_if_known(attribute: AttributeType, name: &'static str, required: bool) -> Rule {
    Rule { attribute, name, required, may_be_unknown: true }
}

/// What holds for every private key that signs: a holder's and the house's.
///
/// # Source
/// PKCS #11 v3.1 §4.9 (private key objects), §4.4 (CKA_MODIFIABLE, CKA_COPYABLE: newer than v2.40, so a token may not
/// know it).
const PRIVATE_KEY: [Rule; 15] = [
    rule(AttributeType::Token, "CKA_TOKEN", true),
    rule(AttributeType::Private, "CKA_PRIVATE", true),
    rule(AttributeType::Sensitive, "CKA_SENSITIVE", true),
    rule(AttributeType::AlwaysSensitive, "CKA_ALWAYS_SENSITIVE", true),
    rule(AttributeType::Extractable, "CKA_EXTRACTABLE", false),
    rule(AttributeType::NeverExtractable, "CKA_NEVER_EXTRACTABLE", true),
    rule(AttributeType::Local, "CKA_LOCAL", true),
    rule(AttributeType::Sign, "CKA_SIGN", true),
    rule(AttributeType::Decrypt, "CKA_DECRYPT", false),
    rule(AttributeType::Unwrap, "CKA_UNWRAP", false),
    rule(AttributeType::Derive, "CKA_DERIVE", false),
    rule(AttributeType::SignRecover, "CKA_SIGN_RECOVER", false),
    rule(AttributeType::Modifiable, "CKA_MODIFIABLE", false),
    rule_if_known(AttributeType::Copyable, "CKA_COPYABLE", false),
    // A key that wants the PIN for every use would send every use down the recovery ladder.
    rule_if_known(AttributeType::AlwaysAuthenticate, "CKA_ALWAYS_AUTHENTICATE", false),
];

/// What holds for the secret key of the house.
///
/// # Source
/// PKCS #11 v3.1 §4.10 (secret key objects).
const SECRET_KEY: [Rule; 15] = [
    rule(AttributeType::Token, "CKA_TOKEN", true),
    rule(AttributeType::Private, "CKA_PRIVATE", true),
    rule(AttributeType::Sensitive, "CKA_SENSITIVE", true),
    rule(AttributeType::AlwaysSensitive, "CKA_ALWAYS_SENSITIVE", true),
    rule(AttributeType::Extractable, "CKA_EXTRACTABLE", false),
    rule(AttributeType::NeverExtractable, "CKA_NEVER_EXTRACTABLE", true),
    rule(AttributeType::Local, "CKA_LOCAL", true),
    rule(AttributeType::Sign, "CKA_SIGN", true),
    rule(AttributeType::Encrypt, "CKA_ENCRYPT", false),
    rule(AttributeType::Decrypt, "CKA_DECRYPT", false),
    rule(AttributeType::Wrap, "CKA_WRAP", false),
    rule(AttributeType::Unwrap, "CKA_UNWRAP", false),
    rule(AttributeType::Derive, "CKA_DERIVE", false),
    rule(AttributeType::Modifiable, "CKA_MODIFIABLE", false),
    rule_if_known(AttributeType::Copyable, "CKA_COPYABLE", false),
];

/// The attributes that [`private_key`] and [`secret_key`] need.
pub(crate) const ATTRIBUTES: [AttributeType; 17] = [
    AttributeType::Token,
    AttributeType::Private,
    AttributeType::Sensitive,
    AttributeType::AlwaysSensitive,
    AttributeType::Extractable,
    AttributeType::NeverExtractable,
    AttributeType::Local,
    AttributeType::Sign,
    AttributeType::SignRecover,
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::Wrap,
    AttributeType::Unwrap,
    AttributeType::Derive,
    AttributeType::Modifiable,
    AttributeType::Copyable,
    AttributeType::AlwaysAuthenticate,
];

/// Checks a private key's attributes.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn private_key(attributes: &[Attribute]) -> Result<(), KeyFault> {
    check(&PRIVATE_KEY, attributes)
}

/// Checks a secret key's attributes.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn secret_key(attributes: &[Attribute]) -> Result<(), KeyFault> {
    check(&SECRET_KEY, attributes)
}

fn check(rules: &[Rule], attributes: &[Attribute]) -> Result<(), KeyFault> {
    for rule in rules {
        let found = flag(attributes, rule.attribute);
        let kept = match found {
            Some(value) => value == rule.required,
            None => rule.may_be_unknown,
        };
        if !kept {
            return Err(KeyFault::Attribute {
                attribute: rule.name,
                required: rule.required,
                found,
            });
        }
    }
    Ok(())
}

fn flag(attributes: &[Attribute], wanted: AttributeType) -> Option<bool> {
    let attribute = attributes.iter().find(|attribute| attribute.attribute_type() == wanted)?;
    match attribute {
        Attribute::Token(value)
        | Attribute::Private(value)
        | Attribute::Sensitive(value)
        | Attribute::AlwaysSensitive(value)
        | Attribute::Extractable(value)
        | Attribute::NeverExtractable(value)
        | Attribute::Local(value)
        | Attribute::Sign(value)
        | Attribute::SignRecover(value)
        | Attribute::Encrypt(value)
        | Attribute::Decrypt(value)
        | Attribute::Wrap(value)
        | Attribute::Unwrap(value)
        | Attribute::Derive(value)
        | Attribute::Modifiable(value)
        | Attribute::Copyable(value)
        | Attribute::AlwaysAuthenticate(value) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Vec<Attribute> {
        vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::AlwaysSensitive(true),
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Local(true),
            Attribute::Sign(true),
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
            Attribute::Derive(false),
            Attribute::SignRecover(false),
            Attribute::Modifiable(false),
            Attribute::Copyable(false),
            Attribute::AlwaysAuthenticate(false),
        ]
    }

    #[test]
    fn good_key_passes_also_where_copyable_is_unknown() {
        assert_eq!(private_key(&good()), Ok(()));
        assert_eq!(private_key(&good()[..13]), Ok(()));
    }

    #[test]
    fn every_rule_reads_an_attribute_that_is_asked_for() {
        for rule in PRIVATE_KEY.iter().chain(&SECRET_KEY) {
            assert!(ATTRIBUTES.contains(&rule.attribute), "{}", rule.name);
        }
    }

    #[test]
    fn each_attribute_alone_refuses_the_key_and_is_named() {
        for (index, rule) in PRIVATE_KEY.iter().enumerate() {
            let mut unknown = good();
            unknown.remove(index);
            assert_eq!(private_key(&unknown).is_ok(), rule.may_be_unknown, "{}", rule.name);

            let mut wrong = good();
            wrong[index] = match &wrong[index] {
                Attribute::Token(_) => Attribute::Token(false),
                Attribute::Private(_) => Attribute::Private(false),
                Attribute::Sensitive(_) => Attribute::Sensitive(false),
                Attribute::AlwaysSensitive(_) => Attribute::AlwaysSensitive(false),
                Attribute::Extractable(_) => Attribute::Extractable(true),
                Attribute::NeverExtractable(_) => Attribute::NeverExtractable(false),
                Attribute::Local(_) => Attribute::Local(false),
                Attribute::Sign(_) => Attribute::Sign(false),
                Attribute::Decrypt(_) => Attribute::Decrypt(true),
                Attribute::Unwrap(_) => Attribute::Unwrap(true),
                Attribute::Derive(_) => Attribute::Derive(true),
                Attribute::SignRecover(_) => Attribute::SignRecover(true),
                Attribute::Modifiable(_) => Attribute::Modifiable(true),
                Attribute::Copyable(_) => Attribute::Copyable(true),
                Attribute::AlwaysAuthenticate(_) => Attribute::AlwaysAuthenticate(true),
                other => panic!("{other:?} has no rule"),
            };
            let Err(KeyFault::Attribute { attribute, required, found }) = private_key(&wrong)
            else {
                panic!("{} is not checked", rule.name);
            };
            assert_eq!((attribute, found), (rule.name, Some(!required)));
        }
    }
}
