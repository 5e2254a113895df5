//! Settings, and every mistake in them at once.
//!
//! [`read`] makes a section of the configuration into a settings struct and finds
//! all that its types can tell, so that `wpkd check` can print it; [`Problems`]
//! collects what they cannot. A settings struct says
//! `#[serde(deny_unknown_fields)]`, and `default` where a key may be left out; how
//! it belongs to a plugin is in [`section`](crate::section). [`Span`] and
//! [`ByteSize`] are durations and sizes as an administrator writes them. [`schema_of`] is a
//! settings struct as it is told to others, and [`keys`] what people read of that: `wpkd
//! settings`, and the man pages of the settings files.

mod ends;
mod problem;
mod read;
mod reference;
mod schema;
mod units;

pub use problem::{Problem, Problems};
pub use read::read;
pub use reference::{Key, keys, prose};
pub use schema::{DURATION, SIZE, UNIT, schema_of};
/// What a schema is made of.
pub use serde_json::Value;
pub use units::{ByteSize, Span};
