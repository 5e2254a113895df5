//! What definitions and plans are compared by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 over the canonical form of a value: its JSON, with keys in the order of
/// their declaration and every duration, percent and selector in its one spelling.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no SHA-256 digest: 64 hexadecimal digits are needed")]
pub struct ParseDigestError;

impl Digest {
    /// Of a value that has a form in JSON.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // Maps have texts for keys, so that writing cannot fail; if it did, no two
        // digests were equal that should not be, but all that fail were.
        let text = serde_json::to_vec(value).unwrap_or_default();
        Self(Sha256::digest(text).into())
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let digit = |byte: &u8| (*byte as char).to_digit(16).ok_or(ParseDigestError);
        if text.len() != 64 {
            return Err(ParseDigestError);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for digits in pair {
                *byte = *byte << 4 | digit(digits)? as u8;
            }
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;
    fn try_from(text: String) -> Result<Self, ParseDigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
