//! What must be there before anything is changed.

use std::env;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program or file without which nothing is begun.
#[derive(Debug, Clone)]
pub(crate) enum Requirement {
    Program(String),
    File(PathBuf),
}

impl Requirement {
    pub(crate) fn is_met(&self, home: &Path) -> bool {
        match self {
            Self::File(path) => home.join(path).exists(),
            Self::Program(name) if name.contains('/') => is_program(Path::new(name)),
            Self::Program(name) => {
                let path = env::var_os("PATH").unwrap_or_default();
                env::split_paths(&path).any(|folder| is_program(&folder.join(name)))
            }
        }
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(name) => write!(f, "the program {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}
