//! The name of a request: in its answer, every log line, its audit record.

use std::fmt;

/// 128 random bits as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn random() -> Self {
        let mut octets = [0; 16];
        // Without random numbers TLS would not have come this far; a name of zeros is still a name.
        let _ = aws_lc_rs::rand::fill(&mut octets);
        Self(hex::encode(octets))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
