//! Versions as the field compares them: three integers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version `vX.Y.Z`, compared by its three integers (PROTOCOL.md, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// X of `vX.Y.Z`.
    pub major: u32,
    /// Y of `vX.Y.Z`.
    pub minor: u32,
    /// Z of `vX.Y.Z`.
    pub patch: u32,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version: write vX.Y.Z, for example v4.14.0")]
pub struct ParseVersionError(pub String);

impl Version {
    /// A version from its three integers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Finds the version in an agent's version text such as `Wazuh v4.2.1`:
    /// what follows the first `v`, read leniently. `None` if there is no `v`.
    pub fn find(text: &str) -> Option<Self> {
        text.contains('v').then(|| Self::lenient(text))
    }

    /// Reads as many of the three integers as are there: `4.7` is 4.7.0,
    /// `4.7.0-rc1` is 4.7.0, `str` is 0.0.0; what stands before the first `v` is
    /// skipped, and integers beyond 32 bits count as the largest. This is how a
    /// 4.x manager compares; a target that is downloaded goes through
    /// [`FromStr`] instead.
    pub fn lenient(text: &str) -> Self {
        let text = text.split_once('v').map_or(text, |(_, after)| after);
        let mut parts = [0u32; 3];
        let mut rest = text;
        for (i, part) in parts.iter_mut().enumerate() {
            if i > 0 {
                match rest.strip_prefix('.') {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits == 0 {
                break;
            }
            let (number, after) = rest.split_at(digits);
            *part = number.parse().unwrap_or(u32::MAX);
            rest = after;
        }
        Self::new(parts[0], parts[1], parts[2])
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    /// Exactly `vX.Y.Z` or `X.Y.Z`, each part one to nine decimal digits.
    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let error = || ParseVersionError(text.chars().take(64).collect());
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut next = || -> Option<u32> {
            let part = parts.next()?;
            let well_formed =
                (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if well_formed { part.parse().ok() } else { None }
        };
        match (next(), next(), next()) {
            (Some(major), Some(minor), Some(patch)) if parts.next().is_none() => {
                Ok(Self::new(major, minor, patch))
            }
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = ParseVersionError;
    fn try_from(text: String) -> Result<Self, ParseVersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_reading_takes_both_spellings_and_nothing_else() {
        assert_eq!("v4.14.0".parse(), Ok(Version::new(4, 14, 0)));
        assert_eq!("4.14.0".parse(), Ok(Version::new(4, 14, 0)));
        for bad in [
            "",
            "v",
            "v4",
            "v4.1",
            "v4.1.",
            "v4.1.0.1",
            "vv4.1.0",
            "v4.1.0-rc1",
            "v4.+1.0",
            "v4.1.0 ",
            "v4.1.9999999999",
            "str",
            "v4..0",
            "../v4.1.0",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lenient_reading_follows_the_recorded_manager() {
        let cases = [
            ("Wazuh v4.7.0", Some((4, 7, 0))),
            ("Wazuh v4.7.0-rc1", Some((4, 7, 0))),
            ("Wazuh v04.07.00", Some((4, 7, 0))),
            ("Wazuh v4.7", Some((4, 7, 0))),
            ("Wazuh v", Some((0, 0, 0))),
            ("Wazuh 4.7.0", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            let wanted = wanted.map(|(a, b, c)| Version::new(a, b, c));
            assert_eq!(Version::find(text), wanted, "{text:?}");
        }
        assert_eq!(
            Version::lenient("4.99999999999.0"),
            Version::new(4, u32::MAX, 0)
        );
        assert_eq!(Version::lenient("str"), Version::new(0, 0, 0));
        assert_eq!(Version::lenient(" v4.8.0"), Version::new(4, 8, 0));
    }

    #[test]
    fn versions_compare_by_integers() {
        assert!(Version::new(4, 14, 10) > Version::new(4, 14, 9));
        assert!(Version::new(4, 9, 0) < Version::new(4, 10, 0));
    }
}
