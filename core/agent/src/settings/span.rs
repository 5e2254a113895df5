//! Durations and sizes as people write them in settings: `"30s"`, `"2GiB"`.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration: a number and `ms`, `s`, `m`, `h` or `d`; at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A size in bytes: a number, alone or with `KiB`, `MiB` or `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `30s`, `500ms`, `1h`.
    pub fn parse(text: &str) -> Option<Self> {
        const LONGEST: u64 = 366 * 86_400_000;
        let (number, unit) = split(text)?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let millis = number.checked_mul(factor)?;
        (millis <= LONGEST).then_some(Self(Duration::from_millis(millis)))
    }
}

impl ByteSize {
    /// Reads `4096`, `64KiB`, `2GiB`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
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
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim()))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number with ms, s, m, h or d in quotes, for example \"30s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or one with KiB, MiB or GiB in quotes")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ByteSize, E> {
                u64::try_from(number)
                    .map(ByteSize)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(Span::parse("30s"), Some(Span::seconds(30)));
        assert_eq!(Span::parse(" 1 h "), Some(Span::seconds(3600)));
        assert_eq!(Span::parse("50ms"), Some(Span(Duration::from_millis(50))));
        assert_eq!(ByteSize::parse("2GiB"), Some(ByteSize(2 << 30)));
        assert_eq!(ByteSize::parse("17"), Some(ByteSize(17)));
    }

    #[test]
    fn nonsense_is_not() {
        for text in [
            "",
            "s",
            "30",
            "-1s",
            "1.5s",
            "1y",
            "367d",
            "99999999999999999999s",
            "9é",
        ] {
            assert_eq!(Span::parse(text), None, "{text:?}");
        }
        for text in ["", "GiB", "-1", "1GB", "18446744073709551615KiB"] {
            assert_eq!(ByteSize::parse(text), None, "{text:?}");
        }
    }
}
