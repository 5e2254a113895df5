//! Words that somebody else said: an agent's answer, a repository's error, a
//! version text. They reach logs, terminals and the store only through here, so
//! that none is longer than it may be and none moves the cursor of a terminal.

use std::fmt::Write as _;

/// The longest cause that is kept with a task, in bytes.
pub const LONGEST_CAUSE: usize = 1024;

/// The words, at most `limit` bytes of them, on one line: control characters,
/// line breaks and characters that turn the direction of text are written as
/// escapes (`\n`, `\u{1b}`); where something was cut off, `…` stands.
///
/// ```
/// assert_eq!(wpk_api::words::clean("ok\u{1b}[2J\n", 100), "ok\\u{1b}[2J\\n");
/// assert_eq!(wpk_api::words::clean("aaaaaaaa", 6), "aaa…");
/// ```
pub fn clean(words: &str, limit: usize) -> String {
    const CUT: char = '…';
    let mut clean = String::new();
    let mut piece = String::new();
    let mut fits = 0;
    for c in words.chars() {
        piece.clear();
        match c {
            '\n' | '\r' | '\t' => piece.extend(c.escape_default()),
            c if steers(c) => {
                // Writing to a String cannot fail.
                let _ = write!(piece, "\\u{{{:x}}}", u32::from(c));
            }
            c => piece.push(c),
        }
        if clean.len() + piece.len() > limit {
            clean.truncate(fits);
            clean.push(CUT);
            return clean;
        }
        clean.push_str(&piece);
        if clean.len() + CUT.len_utf8() <= limit {
            fits = clean.len();
        }
    }
    clean
}

/// The same for bytes, of which those that are no UTF-8 are replaced.
pub fn clean_bytes(words: &[u8], limit: usize) -> String {
    // An escape is never shorter than the byte it stands for.
    let enough = words.get(..limit.saturating_add(4)).unwrap_or(words);
    clean(&String::from_utf8_lossy(enough), limit)
}

/// Whether a character may steer a terminal: control characters, marks and
/// overrides of the direction of text, and line separators.
pub fn steers(c: char) -> bool {
    c.is_control() || turns_text(c)
}

fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        let said = "a\u{0}\u{1b}]0;x\u{7}\r\nb\u{202e}c\u{9b}é";
        let shown = clean(said, 1000);
        assert!(!shown.chars().any(steers), "{shown}");
        assert!(shown.ends_with('é'), "{shown}");
    }

    #[test]
    fn the_limit_holds_for_every_length_and_every_character() {
        for words in [
            "aaaaaaaaaa",
            "éééééééééé",
            "\n\n\n\n\n\n",
            "a\u{1b}b\u{1b}c",
        ] {
            for limit in 3..40 {
                let shown = clean(words, limit);
                assert!(shown.len() <= limit, "{words:?} {limit}: {shown}");
            }
            assert!(!clean(words, 1000).contains('…'));
        }
        assert_eq!(clean("abc", 3), "abc");
        assert_eq!(clean("abcd", 3), "…");
        assert_eq!(clean_bytes(b"ab\xffcd", 100), "ab\u{fffd}cd");
        assert_eq!(clean_bytes(&[b'x'; 5000], 10), "xxxxxxx…");
    }
}
