//! What the file `versions` of a repository's folder lists (PROTOCOL.md,
//! section 4): a line per version, `vX.Y.Z SHA1HEX`, newest first.
//!
//! Lines are read by `line`, which is patient. One that makes no sense all the
//! same is skipped, and its number is kept for the log.

use std::collections::HashMap;

use super::line::{Line, VersionsError, lines};
use crate::{Sha1, Version};

/// How many numbers of skipped lines are kept.
const MAX_SKIPPED: usize = 20;

/// What the file lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    entries: Vec<Entry>,
    skipped: Vec<usize>,
    skipped_count: usize,
}

/// One line that lists a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The version, without the suffix of a pre-release.
    pub version: Version,
    /// The digest of its file.
    pub sha1: Sha1,
    /// Written `X.Y.Z` and nothing more; not `X.Y.Z-rc1`.
    pub release: bool,
}

impl Versions {
    /// Reads the file.
    ///
    /// # Errors
    /// [`VersionsError`] if it is too large; its lines are never an error.
    pub fn parse(file: &[u8]) -> Result<Self, VersionsError> {
        let mut versions = Self::default();
        for (number, line) in lines(file)? {
            match line {
                Line::Comment(_) => {}
                Line::Listed(listed) => versions.entries.push(Entry {
                    version: listed.version,
                    sha1: listed.sha1,
                    release: listed.suffix.is_empty(),
                }),
                Line::Senseless => {
                    versions.skipped_count += 1;
                    if versions.skipped.len() < MAX_SKIPPED {
                        versions.skipped.push(number);
                    }
                }
            }
        }
        Ok(versions)
    }

    /// All entries in the order of the file, doubles too.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The digest of a version's file: of the first line that lists exactly this
    /// version, else of the first that lists it with a suffix (`v4.14.9-rc1`),
    /// which by the field's way of comparing versions is the same.
    pub fn find(&self, version: Version) -> Option<Sha1> {
        let mut same = self.entries.iter().filter(|entry| entry.version == version);
        let first = same.clone().next();
        same.find(|entry| entry.release)
            .or(first)
            .map(|entry| entry.sha1)
    }

    /// The newest version: the first line that holds a release.
    pub fn latest(&self) -> Option<(Version, Sha1)> {
        self.entries
            .iter()
            .find(|entry| entry.release)
            .map(|entry| (entry.version, entry.sha1))
    }

    /// Every version once, in the order of the file, with the digest that
    /// [`find`](Self::find) answers for it.
    pub fn files(&self) -> impl Iterator<Item = (Version, Sha1)> {
        let mut best: HashMap<Version, Entry> = HashMap::new();
        for entry in &self.entries {
            let known = best.entry(entry.version).or_insert(*entry);
            if entry.release && !known.release {
                *known = *entry;
            }
        }
        let versions = self.entries.iter().map(|entry| entry.version);
        versions.filter_map(move |version| Some((version, best.remove(&version)?.sha1)))
    }

    /// The numbers of the lines that made no sense, counted from 1; the first 20.
    pub fn skipped(&self) -> &[usize] {
        &self.skipped
    }

    /// How many lines made no sense.
    pub fn skipped_count(&self) -> usize {
        self.skipped_count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sha1(digit: char) -> Sha1 {
        digit.to_string().repeat(40).parse().unwrap()
    }

    /// Lines written short: `v4.14.9 a` for a digest of 40 `a`s.
    fn parse(lines: &[&str]) -> Versions {
        let long = |line: &&str| match line.rsplit_once(' ') {
            Some((version, digit)) => format!("{version} {}\n", digit.repeat(40)),
            None => format!("{line}\n"),
        };
        Versions::parse(lines.iter().map(long).collect::<String>().as_bytes()).unwrap()
    }

    const V9: Version = Version::new(4, 14, 9);
    const V8: Version = Version::new(4, 14, 8);

    #[test]
    fn a_list_is_read_line_by_line() {
        let text = format!(
            "\u{feff}# releases\r\n\r\nv4.14.9 {}  note\r\n<b>\n4.14.8-rc2 {}",
            "A".repeat(40),
            "b".repeat(40)
        );
        let versions = Versions::parse(text.as_bytes()).unwrap();
        let wanted = [(V9, sha1('a'), true), (V8, sha1('b'), false)];
        let wanted = wanted.map(|(version, sha1, release)| Entry {
            version,
            sha1,
            release,
        });
        assert_eq!(versions.entries(), wanted);
        assert_eq!(versions.skipped(), [4]);
        assert_eq!(versions.skipped_count(), 1);
    }

    #[test]
    fn the_first_line_of_a_version_counts() {
        let versions = parse(&["v4.14.9 0", "v4.14.9 a", "v4.20.0 b"]);
        assert_eq!(versions.find(V9), Some(sha1('0')));
        assert_eq!(versions.latest(), Some((V9, sha1('0'))));
        assert_eq!(versions.find(V8), None);
        let files: Vec<_> = versions.files().collect();
        let newest = (Version::new(4, 20, 0), sha1('b'));
        assert_eq!(files, [(V9, sha1('0')), newest]);
    }

    #[test]
    fn a_candidate_stands_aside_for_the_release() {
        let versions = parse(&[
            "v4.14.9-rc2 0",
            "v4.14.9-rc1 1",
            "v4.14.9 a",
            "v4.14.8-rc1 c",
            "v4.14.8-rc2 d",
        ]);
        assert_eq!(versions.find(V9), Some(sha1('a')));
        assert_eq!(versions.latest(), Some((V9, sha1('a'))));
        // Where there is no release, the first candidate answers for it, but is never the latest.
        assert_eq!(versions.find(V8), Some(sha1('c')));
        let files: Vec<_> = versions.files().collect();
        assert_eq!(files, [(V9, sha1('a')), (V8, sha1('c'))]);
        let versions = parse(&["v4.14.9-rc2 0", "v4.14.8+1 1"]);
        assert_eq!(versions.latest(), None);
        assert_eq!(parse(&[]), Versions::default());
    }

    #[test]
    fn only_some_numbers_of_senseless_lines_are_kept() {
        let versions = parse(&vec!["what"; MAX_SKIPPED + 5]);
        assert_eq!(versions.skipped(), (1..=20).collect::<Vec<_>>());
        assert_eq!(versions.skipped_count(), 25);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let long = vec![b'x'; super::super::line::MAX_BYTES + 1];
        assert_eq!(Versions::parse(&long), Err(VersionsError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let versions = Versions::parse(&bytes).unwrap();
            prop_assert!(versions.skipped_count() >= versions.skipped().len());
            prop_assert!(versions.entries().is_empty() || bytes.len() > 40);
        }

        #[test]
        fn noise_between_lines_changes_nothing(
            listed in proptest::collection::vec(((0u32..3, 0u32..3, 0u32..3), "(-rc[12])?", "[a-f]"), 0..12),
            noise in proptest::collection::vec("#\\PC{0,9}|[ \t]{0,3}|<\\PC{0,9}", 12),
            end in "\r?\n", between in "[ \t]{1,3}", after in "[ \t]{0,2}|[ \t]\\PC{0,9}",
        ) {
            let (mut plain, mut noisy) = (String::new(), "\u{feff}".to_owned());
            for (((x, y, z), suffix, digit), noise) in listed.iter().zip(&noise) {
                let digits = digit.repeat(40);
                plain += &format!("v{x}.{y}.{z}{suffix} {digits}\n");
                let digits = digits.to_uppercase();
                noisy += &format!("{noise}{end}{x}.{y}.{z}{suffix}{between}{digits}{after}{end}");
            }
            let plain = Versions::parse(plain.as_bytes()).unwrap();
            let noisy = Versions::parse(noisy.as_bytes()).unwrap();
            prop_assert_eq!(plain.entries(), noisy.entries());
            prop_assert_eq!(plain.entries().len(), listed.len());
        }

        #[test]
        fn files_are_what_is_found(
            lines in proptest::collection::vec("v1\\.0\\.[0-3](-rc1)? [a-f]", 0..12),
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let versions = parse(&lines);
            let files: HashMap<_, _> = versions.files().collect();
            prop_assert_eq!(files.len(), versions.files().count());
            for entry in versions.entries() {
                prop_assert_eq!(files.get(&entry.version).copied(), versions.find(entry.version));
            }
        }
    }
}
