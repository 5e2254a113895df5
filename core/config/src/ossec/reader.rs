//! The syntax of an `ossec.conf` as a 4.x manager reads it (PROTOCOL.md, section
//! 11): bytes in, elements out. It looks like XML and is none: no entities, no
//! escapes but a backslash, several roots, and limits of its own.
//!
//! Pure, and linear in the length of the input.

/// A name, a value or an attribute of so many bytes is refused.
const TOO_LONG: usize = 20_480;
/// The most attributes of one element.
const MOST_ATTRIBUTES: usize = 49;
/// The most elements that may be open at once.
const DEEPEST: usize = 1_024;
/// Elements deeper than an option of a section are read and not kept.
const KEPT: usize = 3;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: Vec<u8>,
    /// The text after the last child, up to a NUL, as it stands.
    pub(super) value: Vec<u8>,
    /// The line, counted from 1, in which it begins.
    pub(super) line: usize,
    pub(super) children: Vec<Element>,
}

/// Where and why the bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    /// The line, counted from 1, where the reader gave up.
    pub(super) line: usize,
    pub(super) reason: &'static str,
}

/// Reads all roots.
///
/// # Errors
/// What a manager's reader refuses as well.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Element>, Refused> {
    let mut reader = Reader {
        bytes,
        at: 0,
        counted: 0,
        line: 1,
    };
    reader.document()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Line ends before this place are counted in `line`.
    counted: usize,
    line: usize,
}

/// How a tag ends.
enum Ending {
    /// The element's content follows.
    Open,
    /// `/>`: there is none.
    Closed,
}

const NOT_CLOSED: &str = "an element or an attribute value is not closed";
const NO_VALUE: &str = "an attribute without a value in quotes";

impl Reader<'_> {
    fn document(&mut self) -> Result<Vec<Element>, Refused> {
        let (mut roots, mut open) = (Vec::new(), Vec::new());
        let mut escaped = false;
        while let Some(byte) = self.next()? {
            if byte != b'<' || escaped {
                escaped = byte == b'\\' && !escaped;
                if let Some(Element { value, .. }) = open.last_mut() {
                    self.push(value, byte)?;
                }
                continue;
            }
            match self.next()? {
                None => return self.refuse(NOT_CLOSED),
                Some(b'/') => {
                    let element = self.closing_tag(&mut open)?;
                    keep(element, &mut roots, &mut open);
                }
                Some(first) => {
                    let line = self.line();
                    let (name, ending) = self.opening_tag(first)?;
                    if open.len() == DEEPEST {
                        return self.refuse("too many levels");
                    }
                    if let Some(Element { value, .. }) = open.last_mut() {
                        value.clear();
                    }
                    let element = Element {
                        name,
                        line,
                        ..Element::default()
                    };
                    match ending {
                        Ending::Open => open.push(element),
                        Ending::Closed => keep(element, &mut roots, &mut open),
                    }
                }
            }
        }
        if open.is_empty() {
            Ok(roots)
        } else {
            self.refuse("the file ends inside an element")
        }
    }

    /// The rest of `</name>`, which must be that of the innermost element to the
    /// letter.
    fn closing_tag(&mut self, open: &mut Vec<Element>) -> Result<Element, Refused> {
        let mut name = Vec::new();
        loop {
            match self.next()? {
                None => return self.refuse(NOT_CLOSED),
                Some(b'>') => break,
                Some(byte) => self.push(&mut name, byte)?,
            }
        }
        let Some(mut element) = open.pop() else {
            return self.refuse("a closing tag without its opening one");
        };
        if until_nul(name) != element.name {
            return self.refuse(NOT_CLOSED);
        }
        element.value = until_nul(element.value);
        Ok(element)
    }

    /// The rest of `<name attributes>` or `<name/>`.
    fn opening_tag(&mut self, first: u8) -> Result<(Vec<u8>, Ending), Refused> {
        let (mut name, mut byte) = (Vec::new(), Some(first));
        let ending = loop {
            match byte {
                None => return self.refuse(NOT_CLOSED),
                Some(b'>') => break Ending::Open,
                Some(b'/') if self.skip(b">") => break Ending::Closed,
                Some(blank) if is_blank(blank) => break self.attributes()?,
                Some(other) => self.push(&mut name, other)?,
            }
            byte = self.next()?;
        };
        Ok((until_nul(name), ending))
    }

    /// All attributes up to the end of the tag. Nobody wants to know them, but
    /// the file is refused for wrong ones. There are no comments among them.
    fn attributes(&mut self) -> Result<Ending, Refused> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        loop {
            match self.skip_blanks() {
                None => return self.refuse(NOT_CLOSED),
                Some(b'>') => return Ok(Ending::Open),
                Some(b'/') if self.skip(b">") => return Ok(Ending::Closed),
                Some(_) if names.len() == MOST_ATTRIBUTES => {
                    return self.refuse("more than 49 attributes");
                }
                Some(first) => {
                    let name = self.attribute(first)?;
                    if names.contains(&name) {
                        return self.refuse("an attribute given twice");
                    }
                    names.push(name);
                }
            }
            match self.bytes.get(self.at) {
                Some(next) if is_blank(*next) || *next == b'>' => {}
                Some(b'/') if self.bytes.get(self.at + 1) == Some(&b'>') => {}
                _ => return self.refuse("no blank between two attributes"),
            }
        }
    }

    /// One `name="value"`; its name.
    fn attribute(&mut self, first: u8) -> Result<Vec<u8>, Refused> {
        const LONG: &str = "an attribute is too long";
        let (mut name, mut byte) = (Vec::new(), Some(first));
        loop {
            match byte {
                Some(b'=') => break,
                Some(other) if other != b'>' && !is_blank(other) => {
                    self.push_as(&mut name, other, LONG)?;
                }
                _ => return self.refuse(NO_VALUE),
            }
            byte = self.raw();
        }
        let quote = match self.skip_blanks() {
            Some(quote @ (b'"' | b'\'')) => quote,
            _ => return self.refuse(NO_VALUE),
        };
        let mut length = 0;
        loop {
            match self.raw() {
                None | Some(b'>') => return self.refuse(NOT_CLOSED),
                Some(byte) if byte == quote => return Ok(until_nul(name)),
                Some(_) => length += 1,
            }
            if length >= TOO_LONG {
                return self.refuse(LONG);
            }
        }
    }

    /// The next byte, comments passed over.
    fn next(&mut self) -> Result<Option<u8>, Refused> {
        loop {
            let byte = self.raw();
            if byte != Some(b'<') || !self.skip(b"!") {
                return Ok(byte);
            }
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let end = (0..rest.len()).find_map(|at| {
                let ends = [b"-->".as_slice(), b"!>"];
                let found = ends.into_iter().find(|end| rest[at..].starts_with(end));
                found.map(|end| at + end.len())
            });
            match end {
                Some(length) => self.at += length,
                None => {
                    self.at = self.bytes.len();
                    return self.refuse("a comment is not closed");
                }
            }
        }
    }

    fn raw(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// Passes over `what` if it is next.
    fn skip(&mut self, what: &[u8]) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = rest.starts_with(what);
        self.at += if found { what.len() } else { 0 };
        found
    }

    /// The first byte that is no blank.
    fn skip_blanks(&mut self) -> Option<u8> {
        loop {
            let byte = self.raw();
            if !byte.is_some_and(is_blank) {
                return byte;
            }
        }
    }

    fn push(&mut self, into: &mut Vec<u8>, byte: u8) -> Result<(), Refused> {
        self.push_as(into, byte, "a name or value is too long")
    }

    fn push_as(
        &mut self,
        into: &mut Vec<u8>,
        byte: u8,
        reason: &'static str,
    ) -> Result<(), Refused> {
        into.push(byte);
        if into.len() >= TOO_LONG {
            return self.refuse(reason);
        }
        Ok(())
    }

    fn refuse<T>(&mut self, reason: &'static str) -> Result<T, Refused> {
        Err(Refused {
            line: self.line(),
            reason,
        })
    }

    /// The line of the byte that was read last.
    fn line(&mut self) -> usize {
        let read = self.bytes.get(self.counted..self.at).unwrap_or_default();
        self.line += read.iter().filter(|byte| **byte == b'\n').count();
        self.counted = self.at;
        self.line
    }
}

/// Puts an element that ended where it belongs.
fn keep(element: Element, roots: &mut Vec<Element>, open: &mut [Element]) {
    let depth = open.len();
    match open.last_mut() {
        None => roots.push(element),
        Some(parent) if depth < KEPT => parent.children.push(element),
        Some(_) => {}
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(text: &str) -> &'static str {
        read(text.as_bytes()).unwrap_err().reason
    }

    fn value(text: &str) -> String {
        let roots = read(text.as_bytes()).unwrap();
        String::from_utf8(roots[0].value.clone()).unwrap()
    }

    #[test]
    fn values_stand_as_they_are_written() {
        for (text, wanted) in [
            ("<a> b </a>", " b "),
            ("<a>&lt;</a>", "&lt;"),
            (r"<a>\<b\></a>", r"\<b\>"),
            (r"<a>C:\\</a>", r"C:\\"),
            ("<a>old<b>x</b>new</a>", "new"),
            ("<a>old<b/></a>", ""),
            ("<a>1<!-- <b> -->2<!x!>3<!-->4</a>", "1234"),
            ("<a>b\0c</a>", "b"),
            ("<a<!-- x -->>1</<!-- y -->a>", "1"),
        ] {
            assert_eq!(value(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        let open = "<a>".repeat(1_025);
        let long = format!("<a>{}</a>", "x".repeat(TOO_LONG));
        for (text, wanted) in [
            ("<a></b>", NOT_CLOSED),
            ("<a></a >", NOT_CLOSED),
            ("<a>", "the file ends inside an element"),
            ("</a>", "a closing tag without its opening one"),
            ("<a><!-- </a>", "a comment is not closed"),
            ("<a b>1</a>", NO_VALUE),
            ("<a b =\"1\">1</a>", NO_VALUE),
            ("<a b=1>1</a>", NO_VALUE),
            ("<a b=\"1\"c=\"1\">1</a>", "no blank between two attributes"),
            ("<a b=\"1\" b='2'>1</a>", "an attribute given twice"),
            ("<a b=\">\">1</a>", NOT_CLOSED),
            ("<a b=\"1", NOT_CLOSED),
            ("<a", NOT_CLOSED),
            ("<", NOT_CLOSED),
            (&open, "too many levels"),
            (&long, "a name or value is too long"),
        ] {
            assert_eq!(reason(text), wanted, "{:?}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        let roots = read(b"\n<a>\n<b>1</b>\n<!-- \n -->\n<c/>\n</a>").unwrap();
        let lines: Vec<usize> = roots[0].children.iter().map(|c| c.line).collect();
        assert_eq!((roots[0].line, lines), (2, vec![3, 6]));
        assert_eq!(read(b"<a>\n\n</b>").unwrap_err().line, 3);
    }

    proptest! {
        /// Whatever the bytes: an answer, and the line is one of the file's.
        #[test]
        fn no_input_is_too_strange(pieces in prop::collection::vec(
            prop::sample::select(vec![
                "<", ">", "/", "</", "/>", "<a", "<a>", "</a>", "<!--", "-->", "!>", "=", "\"", "'",
                "\\", " ", "\n", "x", "\0", "b=\"1\"", "<ossec_config>", "</ossec_config>", "\u{e9}",
            ]), 0..60)) {
            let text = pieces.concat();
            if let Err(refused) = read(text.as_bytes()) {
                let lines = 1 + text.matches('\n').count();
                prop_assert!((1..=lines).contains(&refused.line));
            }
        }
    }
}
