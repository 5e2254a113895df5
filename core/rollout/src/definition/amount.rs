//! Numbers and percents, and rates, as definitions write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use wpk_api::settings::ByteSize;
use wpk_api::words::clean;

use crate::text::from_text;

/// The largest number of agents that can be written.
const MOST: u32 = 10_000_000;

/// A number of agents, or a part of them: `20`, `"20"`, `"5%"`, `"0.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Amount {
    /// So many.
    Number(u32),
    /// Hundredths of a percent, up to 10,000.
    Percent(u16),
}

/// A text that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no number and no percent: write for example 20 or \"5%\"")]
pub struct AmountError(pub String);

impl Amount {
    /// Of so many, rounded down.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Number(number) => number as usize,
            Self::Percent(part) => ((all as u128 * u128::from(part)) / 10_000) as usize,
        }
    }

    /// Of so many, rounded up.
    pub fn up_of(self, all: usize) -> usize {
        match self {
            Self::Number(number) => number as usize,
            Self::Percent(part) => (all as u128 * u128::from(part)).div_ceil(10_000) as usize,
        }
    }

    /// Of so many as a limit of those at once: rounded down, at least 1.
    pub fn at_least_one_of(self, all: usize) -> usize {
        self.of(all).max(1)
    }

    /// All of them.
    pub const fn is_all(self) -> bool {
        matches!(self, Self::Percent(10_000))
    }

    /// Nothing.
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Number(0) | Self::Percent(0))
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let error = || AmountError(clean(text, 64));
        let digits = |text: &str| -> Option<u32> {
            let plain = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| plain)
        };
        let trimmed = text.trim();
        let Some(percent) = trimmed.strip_suffix('%') else {
            let number = digits(trimmed).filter(|number| *number <= MOST);
            return number.map(Self::Number).ok_or_else(error);
        };
        let percent = percent.trim_end();
        let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
        let part = match part.len() {
            1 => digits(part).map(|tenths| tenths * 10),
            2 => digits(part),
            _ => None,
        };
        let whole = digits(whole).filter(|whole| *whole <= 100);
        let (Some(whole), Some(part)) = (whole, part) else {
            return Err(error());
        };
        let all = u16::try_from(whole * 100 + part).ok();
        all.filter(|all| *all <= 10_000)
            .map(Self::Percent)
            .ok_or_else(error)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Percent(part) if part % 100 == 0 => write!(f, "{}%", part / 100),
            Self::Percent(part) => write!(f, "{}.{:02}%", part / 100, part % 100),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u32(*number),
            percent => serializer.collect_str(percent),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        let text = match Either::deserialize(deserializer) {
            Ok(Either::Number(number)) => number.to_string(),
            Ok(Either::Text(text)) => text,
            Err(error) if error.to_string().starts_with("missing field") => return Err(error),
            Err(_) => {
                return Err(de::Error::custom(
                    "must be a number or a percent such as \"5%\"",
                ));
            }
        };
        text.parse().map_err(de::Error::custom)
    }
}

/// A bandwidth, in bytes per second: `"20Mbit/s"` (a million bits are a Mbit), or as
/// sizes are written, `"2MiB/s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

/// The smallest bandwidth, in bytes per second: 128 kbit/s. Below it the pieces of a
/// file cannot be spread evenly over [`WINDOW`](crate::WINDOW).
pub const SLOWEST: Rate = Rate(16_000);

/// A text that is no bandwidth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no bandwidth of at least 128kbit/s: write for example \"20Mbit/s\" or \"2MiB/s\""
)]
pub struct RateError(pub String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(clean(text, 64));
        let units = [
            ("kbit/s", 1_000),
            ("Mbit/s", 1_000_000),
            ("Gbit/s", 1_000_000_000),
        ];
        let bits = units.iter().find_map(|(unit, bits)| {
            let number = text.trim().strip_suffix(unit)?.trim_end();
            Some(
                number
                    .parse::<u64>()
                    .ok()
                    .and_then(|n| n.checked_mul(*bits)),
            )
        });
        let rate = match bits {
            Some(bits) => bits.map(|bits| Self(bits / 8)),
            None if text.trim_end().ends_with("/s") => {
                ByteSize::parse(text).map(|size| Self(size.0))
            }
            None => None,
        };
        rate.filter(|rate| *rate >= SLOWEST).ok_or_else(error)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (125_000_000, "Gbit/s"),
            (125_000, "Mbit/s"),
            (125, "kbit/s"),
        ];
        match units.iter().find(|(unit, _)| self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}/s", ByteSize(self.0)),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "20Mbit/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_print_and_round() {
        for text in ["20", "0", "1%", "100%", "0.50%", "33.33%"] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
        assert_eq!("0.5%".parse(), Ok(Amount::Percent(50)));
        for bad in [
            "", "%", "-1", "101%", "100.01%", "1.234%", "1.%", "1e3", "99999999", "5 %%",
        ] {
            assert!(bad.parse::<Amount>().is_err(), "{bad:?}");
        }
        let one: Amount = "1%".parse().unwrap();
        assert_eq!(
            (one.of(199), one.up_of(101), one.at_least_one_of(5)),
            (1, 2, 1)
        );
        assert_eq!(Amount::Percent(5_000).of(3), 1);
    }

    #[test]
    fn rates_read_and_print() {
        for text in ["20Mbit/s", "128kbit/s", "1Gbit/s", "2MiB/s", "17KiB/s"] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string().parse(), Ok(rate), "{text}");
        }
        assert_eq!("20Mbit/s".parse(), Ok(Rate(2_500_000)));
        for bad in [
            "",
            "20",
            "20Mbit",
            "1kbit/s",
            "0Mbit/s",
            "20MB/s",
            "99999999999999Gbit/s",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }
}
