//! The file `versions` of a repository's folder (protocol.md, section 4): a line
//! per version, `vX.Y.Z SHA1HEX`, newest first.
//!
//! Pure; `provider` enters here. Hand-made and mirrored repositories have odd
//! lines, so the reader is patient: white space of any kind and line ends of
//! either kind, digests in either case, further columns, comments. A line that
//! makes no sense is skipped and its position kept for the log.

use wpk_api::{Sha1, Version};

/// The longest file accepted, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most lines accepted.
pub const MAX_LINES: usize = 100_000;
/// How many positions of skipped lines are kept.
const MAX_SKIPPED: usize = 20;

/// Why a file is not read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionsError {
    /// More than [`MAX_BYTES`].
    #[error("the list of versions is longer than 1 MiB")]
    TooLong,
    /// More than [`MAX_LINES`].
    #[error("the list of versions has more than 100000 lines")]
    TooManyLines,
}

/// What the file lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    entries: Vec<Entry>,
    skipped: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    version: Version,
    sha1: Sha1,
    /// Written `X.Y.Z` and nothing more; not `X.Y.Z-rc1`.
    exact: bool,
}

impl Versions {
    /// Reads the file.
    ///
    /// # Errors
    /// [`VersionsError`] if it is too large; its lines are never an error.
    pub fn parse(file: &[u8]) -> Result<Self, VersionsError> {
        if file.len() > MAX_BYTES {
            return Err(VersionsError::TooLong);
        }
        let mut versions = Self::default();
        for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            if index >= MAX_LINES {
                return Err(VersionsError::TooManyLines);
            }
            match std::str::from_utf8(line).ok().and_then(read_line) {
                Some(entry) => versions.entries.push(entry),
                None if versions.skipped.len() < MAX_SKIPPED => versions.skipped.push(index + 1),
                None => {}
            }
        }
        Ok(versions)
    }

    /// The digest of a version's file: of the first line that lists exactly this
    /// version, else of the first that lists it with a suffix (`v4.14.9-rc1`),
    /// which by the field's way of comparing versions is the same.
    pub fn find(&self, version: Version) -> Option<Sha1> {
        let mut same = self.entries.iter().filter(|entry| entry.version == version);
        let first = same.clone().next();
        same.find(|entry| entry.exact)
            .or(first)
            .map(|entry| entry.sha1)
    }

    /// The newest version: the first line that holds a release.
    pub fn latest(&self) -> Option<(Version, Sha1)> {
        self.entries
            .iter()
            .find(|entry| entry.exact)
            .map(|entry| (entry.version, entry.sha1))
    }

    /// The numbers of the lines that made no sense, counted from 1; the first 20.
    pub fn skipped(&self) -> &[usize] {
        &self.skipped
    }
}

fn read_line(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace();
    let (version, sha1) = (words.next()?, words.next()?.parse().ok()?);
    if let Ok(version) = version.parse() {
        return Some(Entry {
            version,
            sha1,
            exact: true,
        });
    }
    let (number, _suffix) = version.split_once(['-', '+'])?;
    Some(Entry {
        version: number.parse().ok()?,
        sha1,
        exact: false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA: &str = "4f2d06a2af3802730ed038e5a070815a525afdc4";

    fn parse(text: &str) -> Versions {
        Versions::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn odd_but_readable_lines_are_read() {
        let version = Version::new(4, 14, 9);
        for line in [
            format!("v4.14.9 {SHA}"),
            format!("v4.14.9 {SHA}\r\n"),
            format!("v4.14.9 {}   \n", SHA.to_uppercase()),
            format!("  v4.14.9\t{SHA} and more\n"),
            format!("4.14.9  {SHA}\n"),
            format!("\n# comment\n\r\nv4.14.9 {SHA}"),
            format!("v4.14.9-rc1 {SHA}\n"),
        ] {
            assert_eq!(
                parse(&line).find(version),
                Some(SHA.parse().unwrap()),
                "{line:?}"
            );
            assert!(parse(&line).skipped().is_empty(), "{line:?}");
        }
    }

    #[test]
    fn senseless_lines_are_skipped_and_numbered() {
        let mut bytes =
            format!("<html>hello</html>\nv4.14 {SHA}\nv4.14.9\nv4.14.9 {SHA}0\n").into_bytes();
        bytes.extend(b"v4.14.9 \xff\xff\n../v4.14.9 x\n");
        bytes.extend(format!("v4.14.8 {SHA}").as_bytes());
        let versions = Versions::parse(&bytes).unwrap();
        assert_eq!(versions.skipped(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(versions.find(Version::new(4, 14, 9)), None);
        assert_eq!(
            versions.latest().map(|(v, _)| v),
            Some(Version::new(4, 14, 8))
        );
    }

    #[test]
    fn the_first_line_counts() {
        let zeros = "0".repeat(40);
        let versions = parse(&format!("v4.14.9 {zeros}\nv4.14.9 {SHA}\nv4.20.0 {SHA}"));
        assert_eq!(
            versions.find(Version::new(4, 14, 9)),
            Some(zeros.parse().unwrap())
        );
        assert_eq!(
            versions.latest().map(|(v, _)| v),
            Some(Version::new(4, 14, 9))
        );
        // A release candidate stands aside for the release.
        let versions = parse(&format!("v4.14.9-rc1 {zeros}\nv4.14.9 {SHA}"));
        let sha1 = SHA.parse().unwrap();
        assert_eq!(versions.find(Version::new(4, 14, 9)), Some(sha1));
        assert_eq!(versions.latest(), Some((Version::new(4, 14, 9), sha1)));
    }

    #[test]
    fn there_are_limits() {
        assert_eq!(
            Versions::parse(&vec![b'x'; MAX_BYTES + 1]),
            Err(VersionsError::TooLong)
        );
        let lines = "x\n".repeat(MAX_LINES);
        assert_eq!(parse(&lines).skipped().len(), MAX_SKIPPED);
        assert_eq!(
            Versions::parse(format!("{lines}x").as_bytes()),
            Err(VersionsError::TooManyLines)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let versions = Versions::parse(&bytes).unwrap();
            let _ = versions.latest();
        }
    }
}
