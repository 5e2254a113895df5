//! The SHA-1 digest of a whole WPK file, which `versions` lists and the agent
//! answers (PROTOCOL.md, sections 4 and 5). It identifies a file; what is
//! trusted is the signature inside the file, and the SHA-256 digests that an
//! administrator pins a release to.

use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A digest of so many bytes, and the error of a text that is none.
macro_rules! digest {
    ($(#[$of:meta])* $name:ident, $(#[$wrong:meta])* $error:ident, $bytes:literal) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        $(#[$of])*
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $bytes]);

        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        $(#[$wrong])*
        pub struct $error(pub String);

        impl FromStr for $name {
            type Err = $error;

            /// Hexadecimal digits of either case.
            fn from_str(text: &str) -> Result<Self, $error> {
                let error = || $error(text.chars().take(80).collect());
                digits(text).map(Self).ok_or_else(error)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> String {
                digest.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

digest! {
    /// A SHA-1 digest, printed as 40 lower-case hexadecimal digits.
    Sha1,
    /// A text that is no SHA-1 digest.
    #[error("{0:?} is no SHA-1 digest: 40 hexadecimal digits are needed")]
    ParseSha1Error,
    20
}

digest! {
    /// A SHA-256 digest, printed as 64 lower-case hexadecimal digits.
    Sha256,
    /// A text that is no SHA-256 digest.
    #[error("{0:?} is no SHA-256 digest: 64 hexadecimal digits are needed")]
    ParseSha256Error,
    32
}

/// SHA-256 digests of the files of one release, of which there is one for each
/// architecture and format. Read from a list of at most [`MOST_DIGESTS`], or from one text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Digests(pub Vec<Sha256>);

/// The most [`Digests`] of one release.
pub const MOST_DIGESTS: usize = 64;

impl Digests {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DigestsReader)
    }
}

struct DigestsReader;

impl<'de> Visitor<'de> for DigestsReader {
    type Value = Digests;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SHA-256 digests of 64 hexadecimal digits each, at most {MOST_DIGESTS}"
        )
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digests, E> {
        let digest = text.parse().map_err(E::custom)?;
        Ok(Digests(vec![digest]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Digests, A::Error> {
        let mut digests = Vec::new();
        while let Some(digest) = texts.next_element::<Sha256>()? {
            if digests.len() >= MOST_DIGESTS {
                return Err(serde::de::Error::invalid_length(digests.len() + 1, &self));
            }
            digests.push(digest);
        }
        Ok(Digests(digests))
    }
}

/// Bytes, each written as two hexadecimal digits of either case; `None` if it is not
/// exactly so many.
fn digits<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0u8; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: Option<&u8>| digit.and_then(|d| (*d as char).to_digit(16));
        *byte = (nibble(pair.first())? << 4 | nibble(pair.last())?) as u8;
    }
    Some(bytes)
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

    #[test]
    fn digests_of_a_release_are_one_or_a_list_of_so_many() {
        let hex = "AB".repeat(32);
        let read = |value: serde_json::Value| serde_json::from_value::<Digests>(value);
        let one = read(serde_json::json!(hex)).unwrap();
        assert_eq!(one, Digests(vec![Sha256([0xab; 32])]));
        assert_eq!(read(serde_json::json!([hex])).unwrap(), one);
        assert_eq!(read(serde_json::json!([])).unwrap(), Digests::default());
        assert!(
            serde_json::to_string(&one)
                .unwrap()
                .contains(&hex.to_lowercase())
        );
        assert_eq!(
            read(serde_json::json!(vec![&hex; MOST_DIGESTS]))
                .unwrap()
                .0
                .len(),
            MOST_DIGESTS
        );
        for (bad, words) in [
            (
                serde_json::json!(vec![&hex; MOST_DIGESTS + 1]),
                "at most 64",
            ),
            (serde_json::json!(hex[1..]), "64 hexadecimal digits"),
            (serde_json::json!(["zz"]), "64 hexadecimal digits"),
            (serde_json::json!(7), "64 hexadecimal digits"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
