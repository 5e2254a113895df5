//! What an installer leaves in `var/upgrade/upgrade_result` (section 7): `0`,
//! `1` or `2` and a newline.

use std::io::{self, Read};
use std::path::Path;

use crate::platform::files;

/// No result is longer than this, in bytes.
const LONGEST: u64 = 16;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultFile {
    /// No file.
    Absent,
    /// An empty one: it is being written.
    Empty,
    /// A file that says something else, or that is none.
    Invalid,
    /// 0, 1 or 2.
    Result(u8),
}

impl ResultFile {
    /// Looks at the file.
    pub(crate) fn read(path: &Path) -> Self {
        match read_small(path, LONGEST) {
            Ok(bytes) => Self::parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Absent,
            Err(_) => Self::Invalid,
        }
    }

    /// The whole content must be one digit: `10` is no success. White space
    /// around it, or a missing newline, does no harm.
    fn parse(bytes: &[u8]) -> Self {
        match bytes.trim_ascii() {
            b"" if bytes.is_empty() => Self::Empty,
            b"0" => Self::Result(0),
            b"1" => Self::Result(1),
            b"2" => Self::Result(2),
            _ => Self::Invalid,
        }
    }

    /// What is wrong with it, for whoever waits for the result of the upgrade;
    /// `None` for a good one, and where there is none.
    pub(crate) fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::Result(_) => None,
            Self::Empty => Some("upgrade_result is empty (a full disk?)"),
            Self::Invalid => Some("upgrade_result cannot be read, or says neither 0, 1 nor 2"),
        }
    }

    /// What is told of it.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Result(result) => result,
            _ => 2,
        }
    }

    /// Whether a result waits to be delivered, or is just being written.
    pub(crate) fn is_pending(self) -> bool {
        matches!(self, Self::Empty | Self::Result(_))
    }
}

/// A file of the upgrade folder, never through a link: up to one byte more than
/// `longest`, so that a longer one shows.
///
/// # Errors
/// Those of opening and reading it.
pub(crate) fn read_small(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let file = files::unlinked(0).read(true).open(path)?;
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digit_alone_is_a_result() {
        for (bytes, result) in [("0\n", 0), ("1\n", 1), ("2\n", 2), ("0", 0), ("0\r\n", 0)] {
            assert_eq!(
                ResultFile::parse(bytes.as_bytes()),
                ResultFile::Result(result)
            );
        }
        for bytes in [
            "10\n", "21\n", "3\n", "x\n", "\n", "0\n0\n", "0 1", "-0", "00",
        ] {
            assert_eq!(
                ResultFile::parse(bytes.as_bytes()),
                ResultFile::Invalid,
                "{bytes:?}"
            );
        }
        assert_eq!(ResultFile::parse(b""), ResultFile::Empty);
    }

    #[test]
    fn what_is_no_file_is_no_result() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade_result");
        assert_eq!(ResultFile::read(&path), ResultFile::Absent);
        std::fs::create_dir(&path).unwrap();
        assert_eq!(ResultFile::read(&path), ResultFile::Invalid);
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(dir.path().join("other"), "0\n").unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        assert_eq!(ResultFile::read(&path), ResultFile::Invalid);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "0\n".repeat(100_000)).unwrap();
        assert_eq!(ResultFile::read(&path), ResultFile::Invalid);
    }
}
