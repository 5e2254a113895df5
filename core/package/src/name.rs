//! The names of entries: which are allowed (section 8: folders yes, `..` and
//! a leading `/` never) and which clash with each other. Reader, unpacker
//! and builder share these rules, so that we never build what we refuse.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest single component common file systems take.
const COMPONENT_LIMIT: usize = 255;

/// What an installer writes when it has ended; from a package it would end the upgrade
/// before it began.
const RESULT: &str = "upgrade_result";

/// The rule a name breaks. Names are shown escaped and shortened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or only `.`.
    #[error("it is empty")]
    Empty,
    /// Longer than the limit.
    #[error("\"{name}\" is longer than {limit} bytes")]
    TooLong {
        /// The name.
        name: String,
        /// The limit in bytes, for the name or one of its components.
        limit: usize,
    },
    /// Starts with `/`.
    #[error("\"{name}\" is absolute")]
    Absolute {
        /// The name.
        name: String,
    },
    /// Has a component `..`.
    #[error("\"{name}\" leaves its folder through \"..\"")]
    Parent {
        /// The name.
        name: String,
    },
    /// Has an empty component, as in `a//b` or `a/`.
    #[error("\"{name}\" has an empty component")]
    EmptyComponent {
        /// The name.
        name: String,
    },
    /// Holds a NUL byte or a line break.
    #[error("\"{name}\" holds a NUL byte or a line break")]
    Control {
        /// The name.
        name: String,
    },
    /// The file with which an installer tells its result.
    #[error("\"{name}\" is the file that an installer tells its result with: leave it out")]
    Result {
        /// The name.
        name: String,
    },
    /// The same name twice.
    #[error("\"{name}\" occurs twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// One entry is a file, another needs a folder of that name.
    #[error("\"{name}\" is both a file and a folder")]
    FileAndFolder {
        /// The name.
        name: String,
    },
    /// More distinct folders than allowed.
    #[error("there are more than {limit} folders")]
    TooManyFolders {
        /// The limit.
        limit: usize,
    },
}

/// A name made fit for a message: escaped, at most 200 characters.
pub(crate) fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw.get(..200).unwrap_or(raw));
    let mut shown = text.escape_debug().to_string();
    if raw.len() > 200 {
        shown.push_str("...");
    }
    shown
}

/// Turns the bytes of a name into a relative path of plain components.
/// A component `.` is dropped; everything else that is not a plain name is
/// refused. `limit` is the greatest length in bytes.
pub(crate) fn parse(raw: &[u8], limit: usize) -> Result<PathBuf, NameError> {
    let name = || shown(raw);
    if raw.len() > limit {
        return Err(NameError::TooLong {
            name: name(),
            limit,
        });
    }
    if raw.is_empty() {
        return Err(NameError::Empty);
    }
    if raw.contains(&0) || raw.contains(&b'\n') {
        return Err(NameError::Control { name: name() });
    }
    if raw.first() == Some(&b'/') {
        return Err(NameError::Absolute { name: name() });
    }
    let mut path = PathBuf::new();
    for component in raw.split(|byte| *byte == b'/') {
        match component {
            b"" => return Err(NameError::EmptyComponent { name: name() }),
            b".." => return Err(NameError::Parent { name: name() }),
            b"." => {}
            _ if component.len() > COMPONENT_LIMIT => {
                return Err(NameError::TooLong {
                    name: name(),
                    limit: COMPONENT_LIMIT,
                });
            }
            _ => path.push(OsStr::from_bytes(component)),
        }
    }
    // `dir/.` names a folder, not a file.
    if path.as_os_str().is_empty() || raw.ends_with(b"/.") {
        return Err(NameError::Empty);
    }
    if path.starts_with(RESULT) {
        return Err(NameError::Result { name: name() });
    }
    Ok(path)
}

/// The names seen so far, files and the folders they imply.
#[derive(Debug)]
pub(crate) struct NameSet {
    is_file: HashMap<PathBuf, bool>,
    folders: usize,
    folder_limit: usize,
}

impl NameSet {
    pub(crate) fn new(folder_limit: usize) -> Self {
        Self {
            is_file: HashMap::new(),
            folders: 0,
            folder_limit,
        }
    }

    /// Adds a file; refuses a name that clashes with one seen before.
    pub(crate) fn add(&mut self, path: &Path) -> Result<(), NameError> {
        let name = |path: &Path| shown(path.as_os_str().as_bytes());
        match self.is_file.insert(path.to_owned(), true) {
            None => {}
            Some(true) => return Err(NameError::Duplicate { name: name(path) }),
            Some(false) => return Err(NameError::FileAndFolder { name: name(path) }),
        }
        for folder in path
            .ancestors()
            .skip(1)
            .filter(|p| !p.as_os_str().is_empty())
        {
            match self.is_file.get(folder) {
                Some(true) => return Err(NameError::FileAndFolder { name: name(folder) }),
                // A known folder's own parents are known, too.
                Some(false) => break,
                None => {
                    self.folders += 1;
                    // Counted, because a long name implies hundreds of folders.
                    if self.folders > self.folder_limit {
                        return Err(NameError::TooManyFolders {
                            limit: self.folder_limit,
                        });
                    }
                    self.is_file.insert(folder.to_owned(), false);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn plain_names_pass_and_dots_are_dropped() {
        assert_eq!(parse(b"a/b..c/.d", 100), Ok(PathBuf::from("a/b..c/.d")));
        assert_eq!(parse(b"./a/./b", 100), Ok(PathBuf::from("a/b")));
        assert_eq!(parse(b"...", 100), Ok(PathBuf::from("...")));
        assert!(parse(b"a/upgrade_result", 100).is_ok(), "not in its place");
        assert!(
            parse(&[b'x', 0xff], 100).is_ok(),
            "names are bytes, not UTF-8"
        );
    }

    #[test]
    fn names_that_leave_or_confuse_are_refused() {
        for bad in [
            "",
            ".",
            "./",
            "..",
            "/a",
            "//a",
            "a/../b",
            "../a",
            "a/..",
            "a//b",
            "a/",
            "a/.",
            "a\0b",
            "a\nb",
            "upgrade_result",
            "./upgrade_result",
            "upgrade_result/x",
        ] {
            assert!(
                parse(bad.as_bytes(), 100).is_err(),
                "{bad:?} must be refused"
            );
        }
        assert!(matches!(
            parse(&[b'a'; 101], 100),
            Err(NameError::TooLong { limit: 100, .. })
        ));
        assert!(matches!(
            parse(&[b'a'; 256], 999),
            Err(NameError::TooLong { limit: 255, .. })
        ));
    }

    #[test]
    fn clashes_are_found_in_either_order() {
        let mut set = NameSet::new(10);
        set.add(Path::new("a/b")).unwrap();
        set.add(Path::new("a/c")).unwrap();
        assert!(matches!(
            set.add(Path::new("a/b")),
            Err(NameError::Duplicate { .. })
        ));
        assert!(matches!(
            set.add(Path::new("a")),
            Err(NameError::FileAndFolder { .. })
        ));
        assert!(matches!(
            set.add(Path::new("a/c/d")),
            Err(NameError::FileAndFolder { .. })
        ));
    }

    #[test]
    fn implied_folders_are_counted() {
        let mut set = NameSet::new(3);
        set.add(Path::new("a/b/c/file")).unwrap();
        set.add(Path::new("a/b/c/other")).unwrap();
        assert!(matches!(
            set.add(Path::new("x/file")),
            Err(NameError::TooManyFolders { limit: 3 })
        ));
    }
}
