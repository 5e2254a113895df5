//! The words that folders and file names are made of. They come from agents
//! and requests, so they are foreign text until this file has seen them.

use std::fmt;

/// The longest platform, OS version or architecture, in bytes. With it a file
/// name stays below the 200 bytes of [`Offer::file_name`](crate::Offer::file_name).
pub const MAX_WORD: usize = 40;

/// A part of a path that is taken from an agent's platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `ubuntu`, `windows`, `darwin`, ...
    Platform,
    /// `x86_64`, ...
    Arch,
    /// The major version of the operating system.
    OsVersion,
    /// Its minor version; only ubuntu's counts.
    OsMinor,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "platform",
            Self::Arch => "architecture",
            Self::OsVersion => "OS version",
            Self::OsMinor => "minor OS version",
        })
    }
}

/// Why a platform has no place in a repository (code 9).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The agent's directory does not know it, and the path needs it.
    #[error("the agent's {0} is not known")]
    Missing(Part),
    /// It cannot be part of a path: see [`is_word`].
    #[error("the agent's {what} {text:?} cannot be part of a path")]
    Unfit {
        /// Which word.
        what: Part,
        /// The word, shortened.
        text: String,
    },
    /// From v4.9.0 on Linux packages are sorted by type.
    #[error("no package type is known for it: name one in the request (package_type rpm or deb)")]
    NoType,
}

/// Whether a text may stand in a path: 1 to [`MAX_WORD`] characters out of
/// letters, digits, `.`, `_`, `+` and `-` (all of ASCII), with no dot at either
/// end and no `..` inside, so that words put together hold no `..` either.
pub fn is_word(text: &str) -> bool {
    (1..=MAX_WORD).contains(&text.len())
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// A text that a path needs.
pub(super) fn word(what: Part, text: Option<&str>) -> Result<&str, LayoutError> {
    let text = text
        .filter(|text| !text.is_empty())
        .ok_or(LayoutError::Missing(what))?;
    if is_word(text) {
        return Ok(text);
    }
    let text = text.chars().take(MAX_WORD).collect();
    Err(LayoutError::Unfit { what, text })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_real_platforms_are_words() {
        for word in [
            "a",
            "0",
            "ubuntu",
            "opensuse-leap",
            "22.04",
            "x86_64",
            "armv7l",
            "x86+64",
            "-",
            "_",
            "+",
            "a.b.c",
            "Z9",
        ] {
            assert!(is_word(word), "{word:?}");
        }
        assert!(is_word(&"a".repeat(MAX_WORD)));
        assert_eq!(MAX_WORD, 40);
    }

    #[test]
    fn what_could_lead_elsewhere_is_none() {
        for bad in [
            "", ".", "..", ".a", "a.", "a..b", "a..", "a/b", "/", "a\\b", "a b", " a", "a%2e",
            "a\0", "a\n", "ä", "a?b", "a#b", "a:b", "a@b", "(null)", "~", "a,b", "a*",
        ] {
            assert!(!is_word(bad), "{bad:?}");
        }
        assert!(!is_word(&"a".repeat(MAX_WORD + 1)));
    }

    #[test]
    fn parts_are_named_as_people_name_them() {
        for (part, name) in [
            (Part::Platform, "platform"),
            (Part::Arch, "architecture"),
            (Part::OsVersion, "OS version"),
            (Part::OsMinor, "minor OS version"),
        ] {
            assert_eq!(part.to_string(), name);
        }
    }

    proptest! {
        /// Also texts that are nearly words.
        #[test]
        fn a_word_stays_one_plain_part_of_a_path(text in "[a-z0-9._+/\\\\ %-]{0,50}|\\PC{0,8}") {
            use std::path::{Component, Path};
            if is_word(&text) {
                let parts: Vec<_> = Path::new(&text).components().collect();
                prop_assert_eq!(parts, [Component::Normal(text.as_ref())]);
            }
        }
    }
}
