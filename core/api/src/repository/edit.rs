//! Writes the file `versions` for those who fill a repository. Text in, text
//! out; what others wrote stays, put right where readers of 4.x trip over it.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::line::{Line, Listed, VersionsError, check_size, lines};
use crate::{Sha1, Version};

/// Why a list is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is, or would be, too large for those who read it.
    #[error(transparent)]
    Versions(#[from] VersionsError),
    /// Nothing that is not understood is thrown away, or kept in the way of readers.
    #[error("line {0} is not `vX.Y.Z SHA1`; correct it or take it out")]
    Senseless(
        /// The number of the first such line, from 1.
        usize,
    ),
}

/// A list with a version added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new content of the file.
    pub file: Vec<u8>,
    /// Whether the version was listed before.
    pub replaced: bool,
}

/// One line that lists a version, with the comments above it.
struct Record<'a> {
    comments: Vec<&'a [u8]>,
    version: Version,
    suffix: &'a str,
    sha1: Sha1,
    rest: &'a [u8],
}

/// A list, taken apart.
#[derive(Default)]
struct List<'a> {
    /// Comments above the first record.
    head: Vec<&'a [u8]>,
    records: Vec<Record<'a>>,
    /// Comments below the last record.
    foot: Vec<&'a [u8]>,
    places: HashMap<(Version, &'a str), usize>,
}

/// Adds a version and the digest of its file to the content of a `versions`
/// file, empty for a new one. The newest comes first, a release before its
/// candidates. Comments and further columns stay: comments at the top at the
/// top, others above the line they stood above. Readers of 4.x understand
/// neither a byte order mark nor CRLF nor upper-case digests nor doubles, so
/// the lines that were there lose them.
///
/// # Errors
/// [`EditError`] if there is a line that makes no sense, or the list is too large.
pub fn add_version(file: &[u8], version: Version, sha1: Sha1) -> Result<Edited, EditError> {
    let mut list = List::read(file)?;
    let replaced = list.places.contains_key(&(version, ""));
    list.put(Listed {
        version,
        suffix: "",
        sha1,
        rest: b"",
    });
    let file = list.write();
    check_size(&file)?;
    Ok(Edited { file, replaced })
}

impl<'a> List<'a> {
    fn read(file: &'a [u8]) -> Result<Self, EditError> {
        let mut list = Self::default();
        for (number, line) in lines(file)? {
            match line {
                Line::Senseless => return Err(EditError::Senseless(number)),
                Line::Comment(text) => list.foot.push(text),
                Line::Listed(listed) => list.take(listed),
            }
        }
        if list.records.is_empty() {
            list.head = std::mem::take(&mut list.foot);
        }
        Ok(list)
    }

    /// Takes the next line of the file, and the comments above it.
    fn take(&mut self, listed: Listed<'a>) {
        let mut comments = std::mem::take(&mut self.foot);
        if self.records.is_empty() {
            self.head = std::mem::take(&mut comments);
        }
        let key = (listed.version, listed.suffix);
        // Readers take the first of doubles.
        match self
            .places
            .get(&key)
            .and_then(|at| self.records.get_mut(*at))
        {
            Some(first) => first.comments.append(&mut comments),
            None => self.push(listed, comments),
        }
    }

    /// Lists a version anew, or in place of what was listed.
    fn put(&mut self, listed: Listed<'a>) {
        let key = (listed.version, listed.suffix);
        match self
            .places
            .get(&key)
            .and_then(|at| self.records.get_mut(*at))
        {
            Some(record) => (record.sha1, record.rest) = (listed.sha1, listed.rest),
            None => self.push(listed, Vec::new()),
        }
    }

    fn push(&mut self, listed: Listed<'a>, comments: Vec<&'a [u8]>) {
        let key = (listed.version, listed.suffix);
        self.places.insert(key, self.records.len());
        self.records.push(Record {
            comments,
            version: listed.version,
            suffix: listed.suffix,
            sha1: listed.sha1,
            rest: listed.rest,
        });
    }

    fn write(mut self) -> Vec<u8> {
        self.records
            .sort_by_key(|record| (Reverse(record.version), !record.suffix.is_empty()));
        let mut file = Vec::new();
        let comment = |file: &mut Vec<u8>, text: &[u8]| {
            file.extend_from_slice(text);
            file.push(b'\n');
        };
        self.head.iter().for_each(|text| comment(&mut file, text));
        for record in &self.records {
            record
                .comments
                .iter()
                .for_each(|text| comment(&mut file, text));
            let line = format!("{}{} {}", record.version, record.suffix, record.sha1);
            file.extend_from_slice(line.as_bytes());
            if !record.rest.is_empty() {
                file.push(b' ');
                file.extend_from_slice(record.rest);
            }
            file.push(b'\n');
        }
        self.foot.iter().for_each(|text| comment(&mut file, text));
        file
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::line::{MAX_BYTES, MAX_LINES};
    use super::super::versions::Versions;
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn add(text: &str, version: &str, sha1: &str) -> (String, bool) {
        let (version, sha1) = (version.parse().unwrap(), sha1.parse().unwrap());
        let edited = add_version(text.as_bytes(), version, sha1).unwrap();
        (String::from_utf8(edited.file).unwrap(), edited.replaced)
    }

    fn refused(file: &[u8]) -> EditError {
        add_version(file, Version::new(4, 2, 0), B.parse().unwrap()).unwrap_err()
    }

    #[test]
    fn the_newest_comes_first_by_number() {
        let (text, replaced) = add("", "v4.9.0", A);
        assert!(!replaced);
        let (text, replaced) = add(&text, "v4.10.0", B);
        assert!(!replaced);
        let (text, _) = add(&text, "v4.2.0", A);
        assert_eq!(text, format!("v4.10.0 {B}\nv4.9.0 {A}\nv4.2.0 {A}\n"));
        let (text, replaced) = add(&text, "v4.9.0", B);
        assert!(replaced);
        assert_eq!(text, format!("v4.10.0 {B}\nv4.9.0 {B}\nv4.2.0 {A}\n"));
    }

    #[test]
    fn what_others_wrote_is_kept_and_put_right() {
        let upper = A.to_uppercase();
        let before = format!(
            "\u{feff}v4.1.0 {upper}  note  more \r\n\r\n4.0.0 {A}\r\nv4.1.0 {B}\nv4.0.0 {B} x\n"
        );
        let (text, replaced) = add(&before, "v4.2.0", B);
        let wanted = format!("v4.2.0 {B}\nv4.1.0 {A} note  more\nv4.0.0 {A}\n");
        assert_eq!((text, replaced), (wanted, false));
        // What was noted about a file that is replaced is no longer true.
        let (text, replaced) = add(&before, "v4.1.0", B);
        let wanted = format!("v4.1.0 {B}\nv4.0.0 {A}\n");
        assert_eq!((text, replaced), (wanted, true));
    }

    #[test]
    fn comments_stay_where_they_were() {
        let before = format!(
            "# top\n#\nv4.2.0 {A}\n# one\n# one more\nv4.1.0 {A}\n# double\nv4.2.0 {B}\n# foot\n"
        );
        let wanted = |first: &str, sha1: &str| {
            format!(
                "# top\n#\n{first}# double\nv4.2.0 {sha1}\n# one\n# one more\nv4.1.0 {A}\n# foot\n"
            )
        };
        let (text, _) = add(&before, "v4.3.0", B);
        assert_eq!(text, wanted(&format!("v4.3.0 {B}\n"), A));
        let (text, _) = add(&before, "v4.2.0", B);
        assert_eq!(text, wanted("", B));
        let (text, _) = add("# only\r\n# this", "v4.2.0", B);
        assert_eq!(text, format!("# only\n# this\nv4.2.0 {B}\n"));
        let (text, _) = add(&format!("# a\nv4.2.0 {A}\n# b\n"), "v4.1.0", B);
        assert_eq!(text, format!("# a\nv4.2.0 {A}\nv4.1.0 {B}\n# b\n"));
    }

    #[test]
    fn candidates_stand_below_their_release() {
        let before = format!("v4.2.0-rc2 {A}\nv4.2.0-rc1 {A} x\nv4.2.0-rc2 {B}\nv4.1.0 {A}\n");
        let (text, replaced) = add(&before, "v4.2.0", B);
        assert!(!replaced);
        assert_eq!(
            text,
            format!("v4.2.0 {B}\nv4.2.0-rc2 {A}\nv4.2.0-rc1 {A} x\nv4.1.0 {A}\n")
        );
    }

    #[test]
    fn columns_in_other_encodings_are_kept() {
        let before = [b"# \xfc\nv4.1.0 ", A.as_bytes(), b" caf\xe9\n"].concat();
        let after = add_version(&before, Version::new(4, 0, 0), A.parse().unwrap()).unwrap();
        let line = format!("v4.0.0 {A}\n");
        assert_eq!(after.file, [&before, line.as_bytes()].concat());
    }

    #[test]
    fn nothing_that_is_not_understood_is_thrown_away() {
        for bad in ["what", "v4.1.0", "v4.1.0 xyz", "latest aaaa"] {
            let error = refused(format!("v4.0.0 {A}\n\n{bad}\nthis\n").as_bytes());
            assert_eq!(error, EditError::Senseless(3), "{bad:?}");
        }
        let text = refused(b"what").to_string();
        assert_eq!(
            text,
            "line 1 is not `vX.Y.Z SHA1`; correct it or take it out"
        );
    }

    #[test]
    fn a_list_nobody_would_read_is_not_written() {
        let too_long = EditError::Versions(VersionsError::TooLong);
        assert_eq!(refused(&vec![b'#'; MAX_BYTES + 1]), too_long);
        // The line that is added has 48 bytes, the comment gets a line end.
        let longest = vec![b'#'; MAX_BYTES - 48 - 1];
        assert!(add_version(&longest, Version::new(4, 2, 0), B.parse().unwrap()).is_ok());
        assert_eq!(refused(&vec![b'#'; MAX_BYTES - 48]), too_long);
        let too_many = EditError::Versions(VersionsError::TooManyLines);
        assert_eq!(refused("#\n".repeat(MAX_LINES).as_bytes()), too_many);
    }

    proptest! {
        #[test]
        fn readers_find_what_was_added_and_what_was_there(
            before in proptest::collection::vec(
                "# ?[a-z]{0,5}|v?1\\.[0-9]\\.[01](-rc[12])? [aA]{40}( [a-z]{1,4})?", 0..12),
            (minor, patch) in (0u32..10, 0u32..2),
        ) {
            let before = before.join("\r\n");
            let (version, sha1) = (Version::new(1, minor, patch), B.parse().unwrap());
            let after = add_version(before.as_bytes(), version, sha1).unwrap();
            let old = Versions::parse(before.as_bytes()).unwrap();
            let new = Versions::parse(&after.file).unwrap();
            prop_assert_eq!(new.find(version), Some(sha1));
            for (other, sha1) in old.files().filter(|(other, _)| *other != version) {
                prop_assert_eq!(new.find(other), Some(sha1));
            }
            let versions: Vec<_> = new.entries().iter().map(|entry| entry.version).collect();
            prop_assert!(versions.is_sorted_by(|one, next| one >= next));
            let comments = |text: &[u8]| text.iter().filter(|byte| **byte == b'#').count();
            prop_assert_eq!(comments(&after.file), comments(before.as_bytes()));
            // Adding it again changes nothing.
            let again = add_version(&after.file, version, sha1).unwrap();
            prop_assert!(again.replaced);
            prop_assert_eq!(again.file, after.file);
        }
    }
}
