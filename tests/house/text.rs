//! Rust source as plain text that a simple reader can trust: comments and the
//! content of literals become blanks, and so does what is built only for tests.
//! Lines and columns stay where they were.

/// `source` without comments, and with nothing between the quotes of literals.
pub fn bare(source: &str) -> String {
    let mut reader = Reader {
        rest: source,
        bare: String::with_capacity(source.len()),
    };
    while !reader.rest.is_empty() {
        reader.step();
    }
    reader.bare
}

struct Reader<'a> {
    rest: &'a str,
    bare: String,
}

impl Reader<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.blank(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.blank(block_comment(rest));
        } else if let Some(hashes) = raw_string(rest) {
            let open = rest.find('"').unwrap_or(0) + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            let body = rest[open..].find(&close).map_or(rest.len(), |at| open + at);
            self.keep(open);
            self.blank(body - open);
            self.keep(close.len().min(self.rest.len()));
        } else if rest.starts_with('"') {
            self.keep(1);
            self.blank(quoted(self.rest, '"'));
            self.keep(1.min(self.rest.len()));
        } else if rest.starts_with('\'') && is_char(rest) {
            self.keep(1);
            self.blank(quoted(self.rest, '\''));
            self.keep(1.min(self.rest.len()));
        } else {
            // A whole word, so that the `r` at the end of one is no raw string.
            let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            let one = rest.chars().next().map_or(0, char::len_utf8);
            self.keep(word.max(one));
        }
    }

    fn keep(&mut self, bytes: usize) {
        let (kept, rest) = self.rest.split_at(bytes);
        self.bare.push_str(kept);
        self.rest = rest;
    }

    fn blank(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes);
        self.bare.push_str(&blanks(gone));
        self.rest = rest;
    }
}

fn blanks(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { '\n' } else { ' ' })
        .collect()
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The number of `#` if a raw string starts here.
fn raw_string(text: &str) -> Option<usize> {
    let after = ["br", "cr", "r"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let string = after.trim_start_matches('#');
    string
        .starts_with('"')
        .then_some(after.len() - string.len())
}

fn is_char(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    after.next() == Some('\\') || after.next() == Some('\'')
}

/// Bytes up to the quote that ends a literal.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    text.len()
}

/// Blanks every item under `#[cfg(test)]` out of a bare text.
pub fn without_tests(bare: &str) -> String {
    let mut text = bare.to_owned();
    let mut from = 0;
    while let Some(at) = text[from..].find("#[cfg(").map(|at| from + at) {
        let attribute = at + matching(&text[at..], '[', ']');
        let of_tests = text[at..attribute]
            .split(|c| !is_word(c))
            .any(|word| word == "test")
            && !text[at..attribute].contains("not(");
        if of_tests {
            let end = attribute + item(&text[attribute..]);
            text.replace_range(at..end, &blanks(&bare[at..end]));
        }
        from = attribute;
    }
    text
}

/// Bytes up to and with the bracket that closes the first `open` in `text`.
pub fn matching(text: &str, open: char, close: char) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return at + c.len_utf8();
            }
        }
    }
    text.len()
}

/// Bytes of the item at the start of `text`: to its closing brace or semicolon.
fn item(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            '{' if depth == 0 => {
                let end = at + matching(&text[at..], '{', '}');
                // `use a::{b, c};` goes on to its semicolon.
                let is_use = text[..at].trim_end().ends_with("::");
                return if is_use {
                    end + item(&text[end..])
                } else {
                    end
                };
            }
            _ => {}
        }
    }
    text.len()
}

#[test]
fn comments_literals_and_tests_are_no_source() {
    let source = r##"
use a::b; // use crate::no;
/* use crate::no; /* deep */ use crate::no; */
const T: &str = "use crate::no; \" }";
const R: &[u8] = br#"" use crate::no; {"#;
const C: [char; 3] = ['{', '\'', '"'];
fn f<'a>(x: &'a str) -> &'a str { x }
#[cfg(test)]
use crate::{no, never};
#[cfg(all(test, unix))]
fn g(x: [u8; 2]) { crate::no(); }
#[cfg(not(test))]
fn h() { crate::yes(); }
#[cfg(test)]
mod tests { use crate::no; }
fn last() { crate::last(); }
"##;
    let read = without_tests(&bare(source));
    assert_eq!(read.lines().count(), source.lines().count());
    assert!(!read.contains("crate::no"), "{read}");
    for there in ["use a::b;", "fn f<'a>", "crate::yes", "crate::last"] {
        assert!(read.contains(there), "{there} is not in {read}");
    }
    assert_eq!(
        read.matches('{').count(),
        read.matches('}').count(),
        "{read}"
    );
}
