//! Reading settings so that every mistake is found at once.
//!
//! serde stops at the first error of a struct. [`read`] tries each key of a
//! section alone first, so that `wpkd check` can print all of them; then it
//! reads the section as a whole, which finds what is missing. A settings struct
//! says `#[serde(deny_unknown_fields)]`, and `default` where a key may be left out.

use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The key, relative to the section: `timeout`, `tls.ca_file`; empty for
    /// the section as a whole.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A mistake at `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    /// The same mistake seen from the section around: `key` is put in front.
    #[must_use]
    pub fn inside(mut self, key: &str) -> Self {
        self.key = match (key.is_empty(), self.key.is_empty()) {
            (true, _) => self.key,
            (_, true) => key.to_owned(),
            _ => format!("{key}.{}", self.key),
        };
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.key, self.message)
        }
    }
}

/// Reads a section.
///
/// # Errors
/// All mistakes of the section, in the order of its keys.
pub fn read<T: DeserializeOwned>(section: &Value) -> Result<T, Vec<Problem>> {
    let Value::Object(entries) = section else {
        return Err(vec![Problem::new("", "must be a table of settings")]);
    };
    let mut problems = Vec::new();
    for (key, value) in entries {
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        if let Err(error) = T::deserialize(alone) {
            let message = error.to_string();
            // Alone it misses the other keys; the whole tells what is missing.
            if missing(&message).is_none() {
                problems.push(Problem::new(key.clone(), message));
            }
        }
    }
    match T::deserialize(section.clone()) {
        Ok(read) if problems.is_empty() => return Ok(read),
        Ok(_) => {}
        Err(error) => {
            let message = error.to_string();
            let flat = !entries.values().any(|v| v.is_object() || v.is_array());
            match missing(&message) {
                Some(key) if flat => problems.push(Problem::new(key, "is missing")),
                Some(_) => problems.push(Problem::new("", message)),
                None if problems.is_empty() => problems.push(Problem::new("", message)),
                None => {}
            }
        }
    }
    Err(problems)
}

/// The key a message of serde says is missing.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

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
                "{text:?} is no duration: write a number with ms, s, m, h or d"
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

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        timeout: Option<Span>,
        size: Option<ByteSize>,
    }

    #[test]
    fn every_mistake_is_found() {
        let section = serde_json::json!({"timeout": "5 parsecs", "size": true, "sise": 1});
        let problems = read::<Section>(&section).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(keys, ["sise", "size", "timeout"]);
        assert!(
            problems[0].message.contains("unknown field `sise`"),
            "{problems:?}"
        );
    }

    #[test]
    fn good_sections_are_read() {
        let section = serde_json::json!({"timeout": "75s", "size": "16MiB"});
        let read: Section = read(&section).unwrap();
        assert_eq!(read.timeout, Some(Span(Duration::from_secs(75))));
        assert_eq!(read.size, Some(ByteSize(16 << 20)));
        assert!(super::read::<Section>(&Value::from(5)).is_err());
    }

    #[test]
    fn what_must_be_there_is_missed_beside_other_mistakes() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Needy {
            bucket: String,
            region: String,
        }
        let section = serde_json::json!({"bucket": "b", "region": "r"});
        let good: Needy = read(&section).unwrap();
        assert_eq!((good.bucket.as_str(), good.region.as_str()), ("b", "r"));
        let problems = read::<Needy>(&serde_json::json!({"bucket": "b"})).unwrap_err();
        assert_eq!(problems, [Problem::new("region", "is missing")]);
        let problems = read::<Needy>(&serde_json::json!({"bucket": 5})).unwrap_err();
        assert_eq!(problems[0].key, "bucket");
    }

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
