//! What one browser alone is given: it is in an answer, and in no log line.

use serde::Deserialize;
use serde::Serialize;
use std::fmt;

/// A secret for a browser's cookie or form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrowserSecret(String);

impl BrowserSecret {
    /// The secret, for the browser.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for BrowserSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for BrowserSecret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

impl fmt::Debug for BrowserSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrowserSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::BrowserSecret;
    use crate::operations::Confirmation;
    use crate::operations::letter::LetterTried;
    use crate::operations::my_number::LinkStarted;
    use crate::operations::own_page::Arrived;
    use crate::operations::own_page::Begun;
    use crate::operations::portal::EnrolStarted;
    use crate::operations::portal::Handed;
    use crate::operations::portal::Terminal;
    use attest::authenticator::AuthenticatorKind;

    fn confirmation(form_token: BrowserSecret) -> Confirmation {
        let terminal = Terminal { address: String::new(), browser: String::new() };
        Confirmation { form_token, number: None, approve: true, terminal }
    }

    #[test]
    fn answer_with_a_secret_does_not_say_it_in_a_log_line() {
        let (id, secret) = (|| "page-1".to_owned(), || "hush".into());
        let said = [
            format!("{:?}", LetterTried::Right { registration: secret() }),
            format!(
                "{:?}",
                LinkStarted::Swap { jpki_origin: String::new(), id: id(), secret: secret() }
            ),
            format!("{:?}", Arrived::OwnPage { secret: secret() }),
            format!("{:?}", Begun::Link(secret())),
            format!("{:?}", confirmation(secret())),
            format!("{:?}", Handed::Page { id: id(), page_secret: secret() }),
            format!(
                "{:?}",
                EnrolStarted::Page {
                    kind: AuthenticatorKind::Phone,
                    portal_origin: String::new(),
                    id: id(),
                    page_secret: secret()
                }
            ),
        ];
        for said in said {
            assert!(said.contains("BrowserSecret(..)") && !said.contains("hush"), "{said}");
        }
        let sent = serde_json::to_value(LetterTried::Right { registration: secret() }).unwrap();
        assert_eq!(sent, serde_json::json!({ "right": { "registration": "hush" } }));
    }
}
