//! Files of the cache that have no name of their own yet.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// They start with this, so that a restart knows them.
pub(super) const PREFIX: &str = ".wpkd-download-";

/// A new one; gone when it is dropped. Blocks.
pub(super) fn part(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o640))
        .tempfile_in(folder)
}
