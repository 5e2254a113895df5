//! Settings as they are told to others: a JSON schema with every key's description, type
//! and default.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::{ByteSize, Span};

/// The `format` of a [`Span`] in a schema.
pub const DURATION: &str = "duration-text";
/// The `format` of a [`ByteSize`] in a schema.
pub const SIZE: &str = "size-text";
/// The keyword of a schema that says what a number counts, `agents` or `bytes`:
/// `#[schemars(extend("unit" = "agents"))]` on the field. Of a [`ByteSize`] it may be `per
/// second`.
pub const UNIT: &str = "unit";

/// The JSON schema of a settings struct, for
/// [`Section::schema`](crate::section::Section::schema): doc comments on fields become
/// descriptions, and what `Default` gives becomes their defaults where serde's `default`
/// is on the struct and the type of the field can be written (`Serialize`).
pub fn schema_of<T: JsonSchema>() -> Option<Value> {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    Some(generator.into_root_schema_for::<T>().to_value())
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": DURATION})
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "format": SIZE})
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(default)]
    struct Settings {
        /// How long.
        wait: Span,
        /// How much.
        room: Option<ByteSize>,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self {
                wait: Span(Duration::from_secs(90)),
                room: None,
            }
        }
    }

    #[test]
    fn keys_have_their_description_unit_and_default() {
        let schema = schema_of::<Settings>().unwrap();
        assert_eq!(
            schema["properties"]["wait"],
            json!({"description": "How long.", "type": "string", "format": DURATION, "default": "90s"})
        );
        let room = &schema["properties"]["room"];
        assert_eq!(room["format"], SIZE, "{room}");
        let read = Settings::default();
        assert_eq!((read.wait, read.room), (Span::seconds(90), None));
    }
}
