//! `type = "audit"`: an audit trail. Every change of every task is a line of JSON at the
//! end of one file, which is never shortened.
//!
//! An example of an observer in Rust. This file has what every plugin has: the settings,
//! the function that opens it, and the export. `trail` implements the trait and keeps the
//! file, `line` says what a change looks like in it.

mod line;
mod trail;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use wpk_plugin::api::examine::{Check, Examine};
use wpk_plugin::api::settings::{ByteSize, Problem, Problems};
use wpk_plugin::api::{BuildError, Context, Demands, Resource};
use wpk_plugin::{Section, Value, async_trait, schema_of};

pub use trail::AuditTrail;

/// The section `[[observer]] type = "audit"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file; a relative one starts at `home`, and its folder must exist.
    #[serde(default = "Settings::path")]
    pub path: PathBuf,
    /// The longest text of a line, 64 B to 64 KiB; longer ones are cut off.
    #[serde(default = "Settings::longest_text")]
    pub longest_text: ByteSize,
}

impl Settings {
    /// The file when the settings name none.
    pub fn path() -> PathBuf {
        PathBuf::from("var/wpkd/audit.jsonl")
    }

    /// The longest text when the settings say nothing.
    pub fn longest_text() -> ByteSize {
        ByteSize(1 << 10)
    }
}

#[async_trait]
impl Section for Settings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.names_file("path", &self.path, "var/wpkd/audit.jsonl");
        let lengths = ByteSize(64)..=ByteSize(64 << 10);
        problems.in_range("longest_text", self.longest_text, lengths);
        problems.found()
    }

    /// Nobody else may write into the file.
    fn demands(&self, context: &Context) -> Demands {
        let file = Resource::Path(context.path(&self.path));
        Demands::default().occupying("path", file)
    }

    /// What `wpkctl doctor` prints.
    async fn examine(&self, context: &Context, _: &Examine) -> Vec<Check> {
        vec![trail::look(&context.path(&self.path))]
    }

    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }
}

/// Opens the trail.
///
/// # Errors
/// [`BuildError::Failed`] says which file cannot be written, and why: an administrator
/// who wants a trail wants to know at the start.
pub fn open(settings: Settings, context: &Context) -> Result<AuditTrail, BuildError> {
    let longest = usize::try_from(settings.longest_text.0).unwrap_or(1 << 10);
    let trail = AuditTrail::open(context.path(&settings.path), longest);
    trail.map_err(|error| BuildError::Failed(error.to_string()))
}

wpk_plugin::export_plugin! {
    observer "audit" = open;
}
