//! What every step says of a file or folder that the system refused, and where
//! a file lies. Stands below all others.

use std::io;
use std::path::Path;

/// An operation on a file or folder that the system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}")]
pub struct FileError {
    /// What was tried, for example `read`.
    pub action: &'static str,
    /// On which file or folder.
    pub path: String,
    /// The system's answer.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::labelled(action, &path.display().to_string(), source)
    }

    pub(crate) fn labelled(action: &'static str, path: &str, source: impl Into<io::Error>) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// The folder that holds `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
