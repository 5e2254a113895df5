//! The lines of a `versions` file, read the same way by whoever reads it.
//!
//! Hand-made and mirrored repositories have odd lines, so the reader is
//! patient: a byte order mark in front, white space of any kind and line ends
//! of either kind, digests in either case, further columns (in any encoding),
//! comments, candidates of a release.

use crate::{Sha1, Version};

/// The longest file accepted, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most lines accepted, empty ones at the end aside.
pub const MAX_LINES: usize = 100_000;
/// In front of files that some editors save.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file is not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionsError {
    /// More than [`MAX_BYTES`].
    #[error("the list of versions is longer than 1 MiB")]
    TooLong,
    /// More than [`MAX_LINES`].
    #[error("the list of versions has more than 100000 lines")]
    TooManyLines,
}

/// One line that is not empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Begins with `#`; without the white space around it.
    Comment(&'a [u8]),
    /// A version and its digest.
    Listed(Listed<'a>),
    /// Anything else.
    Senseless,
}

/// A version and its digest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    pub(super) version: Version,
    /// What follows `X.Y.Z`, from its `-` or `+` on; empty for a release.
    pub(super) suffix: &'a str,
    pub(super) sha1: Sha1,
    /// Further columns, without the white space around them.
    pub(super) rest: &'a [u8],
}

/// The lines that are not empty, each with its number from 1.
///
/// # Errors
/// [`VersionsError`] if the file is too large; its lines are never an error.
pub(super) fn lines(file: &[u8]) -> Result<impl Iterator<Item = (usize, Line<'_>)>, VersionsError> {
    check_size(file)?;
    let lines = (1..).zip(split(file).map(<[u8]>::trim_ascii));
    Ok(lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| (number, read(line))))
}

/// Whether readers would take a file of this size.
///
/// # Errors
/// [`VersionsError`] if they would not.
pub(super) fn check_size(file: &[u8]) -> Result<(), VersionsError> {
    if file.len() > MAX_BYTES {
        return Err(VersionsError::TooLong);
    }
    if split(file).count() > MAX_LINES {
        return Err(VersionsError::TooManyLines);
    }
    Ok(())
}

fn split(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    file.trim_ascii_end().split(|byte| *byte == b'\n')
}

fn read(line: &[u8]) -> Line<'_> {
    if line.starts_with(b"#") {
        return Line::Comment(line);
    }
    listed(line).map_or(Line::Senseless, Line::Listed)
}

fn listed(line: &[u8]) -> Option<Listed<'_>> {
    let (version, rest) = split_word(line);
    let (sha1, rest) = split_word(rest.trim_ascii_start());
    let version = str::from_utf8(version).ok()?;
    let (number, suffix) = match version.find(['-', '+']) {
        Some(end) => version.split_at(end),
        None => (version, ""),
    };
    Some(Listed {
        version: number.parse().ok()?,
        suffix,
        sha1: str::from_utf8(sha1).ok()?.parse().ok()?,
        rest: rest.trim_ascii_start(),
    })
}

fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace);
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "4f2d06a2af3802730ed038e5a070815a525afdc4";

    fn all(file: &[u8]) -> Vec<(usize, Line<'_>)> {
        lines(file).unwrap().collect()
    }

    fn release<'a>(suffix: &'a str, rest: &'a [u8]) -> Line<'a> {
        Line::Listed(Listed {
            version: Version::new(4, 14, 9),
            suffix,
            sha1: SHA.parse().unwrap(),
            rest,
        })
    }

    #[test]
    fn odd_but_readable_lines_are_read() {
        for (line, wanted) in [
            (format!("v4.14.9 {SHA}"), release("", b"")),
            (format!("v4.14.9 {SHA}\n"), release("", b"")),
            (format!("v4.14.9 {SHA}\r\n"), release("", b"")),
            (
                format!("v4.14.9 {}   \n", SHA.to_uppercase()),
                release("", b""),
            ),
            (
                format!(" \tv4.14.9\t{SHA} \u{c} and  more \n"),
                release("", b"and  more"),
            ),
            (format!("4.14.9  {SHA}\n"), release("", b"")),
            (format!("\u{feff}v4.14.9 {SHA}\n"), release("", b"")),
            (format!("v4.14.9-rc1 {SHA}\n"), release("-rc1", b"")),
            (format!("v4.14.9+b-7 {SHA}\n"), release("+b-7", b"")),
            (format!("4.14.9- {SHA}\n"), release("-", b"")),
            (format!("v4.14.9 {SHA} #not\n"), release("", b"#not")),
        ] {
            assert_eq!(all(line.as_bytes()), [(1, wanted)], "{line:?}");
        }
    }

    #[test]
    fn only_the_columns_that_count_must_be_text() {
        let line = [b"v4.14.9 ", SHA.as_bytes(), b" caf\xe9"].concat();
        assert_eq!(all(&line), [(1, release("", b"caf\xe9"))]);
    }

    #[test]
    fn senseless_lines_are_told_apart() {
        for bad in [
            "<html>hello</html>".to_owned(),
            "latest".to_owned(),
            format!("v4.14 {SHA}"),
            format!("v4.14.9.1 {SHA}"),
            "v4.14.9".to_owned(),
            format!("v4.14.9 {SHA}0"),
            format!("v4.14.9 {}", &SHA[1..]),
            format!("v4.14.9 x {SHA}"),
            format!("v4.14.9,{SHA}"),
            format!("v4.14.9\u{a0}{SHA}"),
            format!("v4.14.9\u{b}{SHA}"),
            format!("-rc1 {SHA}"),
            format!("v4.14.9rc1 {SHA}"),
            format!("../v4.14.9 {SHA}"),
            SHA.to_owned(),
        ] {
            assert_eq!(all(bad.as_bytes()), [(1, Line::Senseless)], "{bad:?}");
        }
        for bad in [&b"v4.14.9 \xff\xff"[..], b"\xff 1", b"\xfe\xffv\x004"] {
            assert_eq!(all(bad), [(1, Line::Senseless)], "{bad:?}");
        }
        // A byte order mark is one at the beginning only.
        let inside = format!("\n\u{feff}v4.14.9 {SHA}");
        assert_eq!(all(inside.as_bytes()), [(2, Line::Senseless)]);
    }

    #[test]
    fn lines_keep_their_numbers() {
        let file = format!("\u{feff}# one\r\n\n  \t\r\n  #four \nfive\nv4.14.9 {SHA}\n\n");
        let wanted = [
            (1, Line::Comment(b"# one")),
            (4, Line::Comment(b"#four")),
            (5, Line::Senseless),
            (6, release("", b"")),
        ];
        assert_eq!(all(file.as_bytes()), wanted);
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n"), []);
        assert_eq!(all("\u{feff}".as_bytes()), []);
    }

    #[test]
    fn there_are_limits() {
        assert_eq!((MAX_BYTES, MAX_LINES), (1_048_576, 100_000));
        assert_eq!(all(&vec![b'x'; MAX_BYTES]).len(), 1);
        let too_long = vec![b'x'; MAX_BYTES + 1];
        assert_eq!(lines(&too_long).err(), Some(VersionsError::TooLong));
        let most = "x\n".repeat(MAX_LINES);
        assert_eq!(all(most.as_bytes()).len(), MAX_LINES);
        let too_many = format!("{most}x");
        let refused = lines(too_many.as_bytes()).err();
        assert_eq!(refused, Some(VersionsError::TooManyLines));
    }
}
