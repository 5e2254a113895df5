//! The text of a `versions` file: a line per version, `vX.Y.Z SHA1HEX`, newest
//! first (protocol.md, section 4). Pure: text in, text out.

use wpk_api::{Sha1, Version};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    version: Version,
    sha1: String,
    /// Further columns, kept as they are.
    rest: String,
}

/// The text with `version` added, and whether it replaces an entry. Readers
/// of 4.x understand neither CRLF nor upper-case digests nor doubles, so the
/// lines that were there lose them.
///
/// # Errors
/// The number of the first line that cannot be read, from 1, and what is wrong.
pub(super) fn add(text: &str, version: Version, sha1: &str) -> Result<(String, bool), String> {
    let mut lines: Vec<Line> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let line = read(line).ok_or_else(|| {
            format!("line {number} is not `vX.Y.Z SHA1`; correct it or take it out")
        })?;
        // Readers take the first of doubles.
        if !lines.iter().any(|other| other.version == line.version) {
            lines.push(line);
        }
    }
    let before = lines.len();
    lines.retain(|line| line.version != version);
    let replaced = lines.len() < before;
    lines.push(Line {
        version,
        sha1: sha1.to_owned(),
        rest: String::new(),
    });
    lines.sort_by_key(|line| std::cmp::Reverse(line.version));
    let text = lines
        .iter()
        .map(|line| format!("{} {}{}\n", line.version, line.sha1, line.rest))
        .collect();
    Ok((text, replaced))
}

fn read(line: &str) -> Option<Line> {
    let mut columns = line.split_whitespace();
    let version = columns.next()?.parse().ok()?;
    let sha1 = columns.next()?.to_ascii_lowercase();
    sha1.parse::<Sha1>().ok()?;
    let rest = columns.map(|column| format!(" {column}")).collect();
    Some(Line {
        version,
        sha1,
        rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_comes_first_by_number() {
        let (text, replaced) = add("", version("v4.9.0"), A).unwrap();
        assert!(!replaced);
        let (text, _) = add(&text, version("v4.10.0"), B).unwrap();
        let (text, _) = add(&text, version("v4.2.0"), A).unwrap();
        assert_eq!(text, format!("v4.10.0 {B}\nv4.9.0 {A}\nv4.2.0 {A}\n"));
        let (text, replaced) = add(&text, version("v4.9.0"), B).unwrap();
        assert!(replaced);
        assert_eq!(text, format!("v4.10.0 {B}\nv4.9.0 {B}\nv4.2.0 {A}\n"));
    }

    #[test]
    fn what_others_wrote_is_kept_and_put_right() {
        let upper = A.to_uppercase();
        let before = format!("v4.1.0 {upper}  note more \r\n\r\n4.0.0 {A}\r\nv4.1.0 {B}\n");
        let (text, _) = add(&before, version("v4.2.0"), B).unwrap();
        assert_eq!(
            text,
            format!("v4.2.0 {B}\nv4.1.0 {A} note more\nv4.0.0 {A}\n")
        );
    }

    #[test]
    fn nothing_that_is_not_understood_is_thrown_away() {
        for bad in ["what", "v4.1.0", "v4.1.0 xyz", "latest aaaa"] {
            let error = add(&format!("v4.0.0 {A}\n{bad}\n"), version("v4.2.0"), B).unwrap_err();
            assert!(error.starts_with("line 2 "), "{error}");
        }
    }
}
