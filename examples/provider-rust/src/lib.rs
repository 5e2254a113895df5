//! `type = "mirror"`: WPK files from a folder that mirrors a repository, for
//! example a mounted share that `rsync` fills.
//!
//! An example of a provider in Rust. This file has what every plugin has: the
//! settings, the function that opens it, and the export. `mirror` implements
//! the trait, `sums` reads the list of digests. What files are called it asks
//! [`wpk_plugin::api::repository`].

mod mirror;
mod sums;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use wpk_plugin::api::settings::{ByteSize, Problem, Problems};
use wpk_plugin::api::{BuildError, Context};
use wpk_plugin::{Section, Value, schema_of};

pub use mirror::Mirror;

/// The section `[[provider]] type = "mirror"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The folder with the WPK files and their list `SHA1SUMS`; a relative one
    /// starts at `home`.
    pub folder: PathBuf,
    /// How much is read at a time, 4 KiB to 4 MiB.
    #[serde(default = "Settings::piece")]
    pub piece: ByteSize,
}

impl Settings {
    /// The piece that is read when the settings name none.
    pub fn piece() -> ByteSize {
        ByteSize(1 << 20)
    }
}

impl Section for Settings {
    // A mirror in another place is another folder: nothing is shared with the one before.
    const RELOADABLE: bool = true;

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.not_empty("folder", &self.folder, "name the mirror's folder");
        let pieces = ByteSize(4 << 10)..=ByteSize(4 << 20);
        problems.in_range("piece", self.piece, pieces);
        problems.found()
    }

    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }
}

/// Opens the mirror. A share may be mounted later than the daemon starts, so a
/// folder that is missing is only worth a warning.
///
/// # Errors
/// None; another plugin would say here what keeps it from working.
pub fn open(settings: Settings, context: &Context) -> Result<Mirror, BuildError> {
    let folder = context.path(&settings.folder);
    if !folder.is_dir() {
        tracing::warn!(folder = %folder.display(), "the mirror is no folder yet");
    }
    let piece = usize::try_from(settings.piece.0).unwrap_or(1 << 20);
    Ok(Mirror::new(folder, piece))
}

wpk_plugin::export_plugin! {
    provider "mirror" = open;
}
