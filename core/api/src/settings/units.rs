//! Durations and sizes as settings write them.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in settings: a number and `ms`, `s`, `m`, `h` or `d`, for example
/// `"75s"`; up to 100 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A size in settings: a number of bytes, or a text with `B`, `KiB`, `MiB`,
/// `GiB` (`"16MiB"`), with or without `/s` for rates; up to 2^62.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `75s`, `15m`, `1h`, `7d`, `500ms`.
    pub fn parse(text: &str) -> Option<Self> {
        const LONGEST: u64 = 100 * 365 * 86_400 * 1_000;
        let (number, unit) = split_number(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let total = number
            .checked_mul(millis)
            .filter(|total| *total <= LONGEST)?;
        Some(Self(Duration::from_millis(total)))
    }
}

impl ByteSize {
    /// Reads `16MiB`, `65536`, `100MiB/s`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, unit) = split_number(text.strip_suffix("/s").unwrap_or(text))?;
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number
            .checked_mul(factor)
            .filter(|size| *size <= 1 << 62)
            .map(Self)
    }

    /// The size as a length in memory; the largest possible where it is beyond.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
        ];
        match units
            .into_iter()
            .find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", millis / unit),
            None => write!(f, "{millis}ms"),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units
            .into_iter()
            .find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)
            .map_err(|_| D::Error::custom("must be a text such as \"30s\", \"15m\" or \"7d\""))?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no duration up to 36500d: write a number with ms, s, m, h or d"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        let text = match Either::deserialize(deserializer) {
            Ok(Either::Number(number)) => number.to_string(),
            Ok(Either::Text(text)) => text,
            Err(_) => return Err(D::Error::custom("must be a size such as \"16MiB\"")),
        };
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no size: write bytes, or a number with KiB, MiB or GiB"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_print_as_they_are_read() {
        for text in ["75s", "15m", "1h", "7d", "500ms", "0ms"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        for text in ["16MiB", "1GiB", "100B", "3KiB"] {
            assert_eq!(ByteSize::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ByteSize::parse("100MiB/s"), Some(ByteSize(100 << 20)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1y",
            "99999999999999999999s",
            "9999999999d",
        ] {
            assert_eq!(Span::parse(text), None, "{text:?}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "1MB",
            "18446744073709551615GiB",
            "4294967297GiB",
        ] {
            assert_eq!(ByteSize::parse(text), None, "{text:?}");
        }
    }
}
