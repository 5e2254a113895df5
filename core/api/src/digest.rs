//! The SHA-1 digest of a whole WPK file, which `versions` lists and the agent
//! answers (PROTOCOL.md, sections 4 and 5). It identifies a file; what is
//! trusted is the signature inside the file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A SHA-1 digest, printed as 40 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha1(pub [u8; 20]);

/// A text that is no SHA-1 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-1 digest: 40 hexadecimal digits are needed")]
pub struct ParseSha1Error(pub String);

impl FromStr for Sha1 {
    type Err = ParseSha1Error;

    /// 40 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, ParseSha1Error> {
        let error = || ParseSha1Error(text.chars().take(64).collect());
        let digits = text.as_bytes();
        if digits.len() != 40 {
            return Err(error());
        }
        let mut bytes = [0u8; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let nibble = |digit: Option<&u8>| {
                digit
                    .and_then(|d| (*d as char).to_digit(16))
                    .ok_or_else(error)
            };
            *byte = (nibble(pair.first())? << 4 | nibble(pair.last())?) as u8;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha1 {
    type Error = ParseSha1Error;
    fn try_from(text: String) -> Result<Self, ParseSha1Error> {
        text.parse()
    }
}

impl From<Sha1> for String {
    fn from(digest: Sha1) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha1({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_read_and_lower_case_is_printed() {
        let text = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
        assert_eq!(
            text.parse::<Sha1>().unwrap().to_string(),
            text.to_lowercase()
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "da39",
            "zz39a3ee5e6b4b0d3255bfef95601890afd80709",
            "+a39a3ee5e6b4b0d3255bfef95601890afd80709",
        ] {
            assert!(bad.parse::<Sha1>().is_err(), "{bad:?}");
        }
        assert!("ä".repeat(20).parse::<Sha1>().is_err());
    }
}
