//! Reading a value that is written as a text.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// A value that is read from a text; what is no text is told with `example`.
pub(crate) fn from_text<'de, T, D>(deserializer: D, example: &str) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer).map_err(|error| {
        // That it is not there is told by whoever reads the whole table.
        match error.to_string().starts_with("missing field") {
            true => error,
            false => de::Error::custom(format_args!("must be a text such as {example:?}")),
        }
    })?;
    text.parse().map_err(de::Error::custom)
}
