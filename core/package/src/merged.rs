//! The unzipped ("merged") content of section 8: an optional line `#TAG`,
//! then for each file `!SIZE NAME`, a newline and SIZE bytes. This is the
//! only parser of it; checking, listing and unpacking go through it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use crate::digest::BUFFER;
use crate::error::UnmergeError;
use crate::file::FileError;
use crate::limits::Limits;
use crate::name::{self, NameError, NameSet};

/// Greatest length of the tag in bytes.
pub(crate) const TAG_LIMIT: usize = 1_024;
/// `!`, 20 digits, a space and the newline.
const HEADER_EXTRA: usize = 23;

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative path of plain components.
    pub name: PathBuf,
    /// Size in bytes.
    pub size: u64,
}

/// What a package holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The text of the `#TAG` line, without the `#`.
    pub tag: Option<String>,
    /// The files in their order.
    pub entries: Vec<Entry>,
}

/// Reads merged content to its end and answers what it holds, writing
/// nothing: the whole content is known to be good before the first file is
/// made. `label` names the content in messages.
///
/// # Errors
/// As the content is malformed, hostile, beyond a limit, or unreadable.
pub fn check_merged(
    merged: impl Read,
    label: &str,
    limits: &Limits,
) -> Result<Contents, UnmergeError> {
    list(&mut Merged::new(merged, label, limits))
}

/// [`check_merged`] over an existing parser.
pub(crate) fn list<R: Read>(merged: &mut Merged<R>) -> Result<Contents, UnmergeError> {
    let mut contents = Contents::default();
    while let Some(entry) = merged.next_entry()? {
        merged.copy_body(&entry, &mut io::sink(), "")?;
        contents.entries.push(entry);
    }
    contents.tag = merged.tag().map(ToOwned::to_owned);
    Ok(contents)
}

/// The parser: [`Merged::next_entry`], then [`Merged::copy_body`], and again.
pub(crate) struct Merged<R> {
    reader: BufReader<R>,
    label: String,
    limits: Limits,
    names: NameSet,
    entries: usize,
    offset: u64,
    total: u64,
    tag: Option<String>,
}

impl<R: Read> Merged<R> {
    pub(crate) fn new(reader: R, label: &str, limits: &Limits) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            label: label.to_owned(),
            limits: limits.clone(),
            names: NameSet::new(limits.entries),
            entries: 0,
            offset: 0,
            total: 0,
            tag: None,
        }
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The source below the parser's buffer.
    pub(crate) fn source(&mut self) -> &mut R {
        self.reader.get_mut()
    }

    /// The next entry; its body must be taken before the next call.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, UnmergeError> {
        if self.offset == 0 {
            self.read_tag()?;
        }
        let start = self.offset;
        match self.peek()? {
            None => return Ok(None),
            Some(b'!') => {}
            Some(_) if self.entries == 0 && self.no_header_follows()? => return Ok(None),
            Some(_) => {
                let reason = "a line \"!SIZE NAME\" was expected";
                return Err(UnmergeError::Header {
                    offset: start,
                    reason,
                });
            }
        }
        let line = self.line(self.limits.name.saturating_add(HEADER_EXTRA))?;
        let bad = |reason| UnmergeError::Header {
            offset: start,
            reason,
        };
        let line =
            line.ok_or_else(|| bad("the line has no end, or the name is longer than allowed"))?;
        let (size, raw) = split_header(&line).map_err(bad)?;
        let bad = |source| match source {
            NameError::TooManyFolders { limit } => UnmergeError::TooMany {
                what: "folders",
                limit,
            },
            source => UnmergeError::Name {
                offset: start,
                source,
            },
        };
        let name = name::parse(raw, self.limits.name).map_err(bad)?;
        if self.entries == self.limits.entries {
            return Err(UnmergeError::TooMany {
                what: "entries",
                limit: self.entries,
            });
        }
        self.entries += 1;
        self.names.add(&name).map_err(bad)?;
        let fits = self
            .total
            .checked_add(size)
            .filter(|total| *total <= self.limits.unpacked);
        self.total = fits.ok_or_else(|| UnmergeError::TooLarge {
            name: name::shown(raw),
            limit: self.limits.unpacked,
        })?;
        Ok(Some(Entry { name, size }))
    }

    /// Copies the body of the entry just read into `out`, which messages
    /// call `target`.
    pub(crate) fn copy_body(
        &mut self,
        entry: &Entry,
        out: &mut impl Write,
        target: &str,
    ) -> Result<(), UnmergeError> {
        let mut missing = entry.size;
        while missing > 0 {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(FileError::labelled("read", &self.label, error).into()),
            };
            if chunk.is_empty() {
                return Err(UnmergeError::Truncated {
                    name: entry.name.to_string_lossy().escape_debug().to_string(),
                    size: entry.size,
                    missing,
                });
            }
            let wanted = usize::try_from(missing)
                .unwrap_or(usize::MAX)
                .min(chunk.len());
            out.write_all(chunk.get(..wanted).unwrap_or_default())
                .map_err(|error| FileError::labelled("write", target, error))?;
            self.reader.consume(wanted);
            self.offset += wanted as u64;
            missing -= wanted as u64;
        }
        Ok(())
    }

    fn read_tag(&mut self) -> Result<(), UnmergeError> {
        if self.peek()? == Some(b'#') {
            let line = self.line(TAG_LIMIT + 2)?.ok_or(UnmergeError::Header {
                offset: 0,
                reason: "the tag is too long or its line has no end",
            })?;
            let text = String::from_utf8_lossy(line.get(1..).unwrap_or_default());
            self.tag = Some(text.trim_end_matches('\r').to_owned());
        }
        Ok(())
    }

    /// 4.x peers take content without a single header for a package without
    /// files, whatever text it holds. Reads to the end of such content.
    fn no_header_follows(&mut self) -> Result<bool, UnmergeError> {
        let mut line_start = true;
        loop {
            let Some(byte) = self.peek()? else {
                return Ok(true);
            };
            if line_start && byte == b'!' {
                return Ok(false);
            }
            line_start = byte == b'\n';
            self.reader.consume(1);
            self.offset += 1;
            if self.offset > self.limits.unpacked {
                return Ok(false);
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, UnmergeError> {
        loop {
            match self.reader.fill_buf() {
                Ok(chunk) => return Ok(chunk.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::labelled("read", &self.label, error).into()),
            }
        }
    }

    /// A line without its newline; `None` when it has no end within `limit`
    /// bytes or before the end of the content.
    fn line(&mut self, limit: usize) -> Result<Option<Vec<u8>>, UnmergeError> {
        let mut line = Vec::new();
        (&mut self.reader)
            .take(limit as u64)
            .read_until(b'\n', &mut line)
            .map_err(|error| FileError::labelled("read", &self.label, error))?;
        self.offset += line.len() as u64;
        Ok(if line.pop() == Some(b'\n') {
            Some(line)
        } else {
            None
        })
    }
}

/// Splits `!SIZE NAME`.
fn split_header(line: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let rest = line
        .strip_prefix(b"!")
        .ok_or("it does not start with \"!\"")?;
    let space = rest
        .iter()
        .position(|byte| *byte == b' ')
        .ok_or("it has no name")?;
    let (digits, name) = rest.split_at(space);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("the size is no number");
    }
    let size = std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    Ok((
        size.ok_or("the size is beyond all limits")?,
        name.get(1..).unwrap_or_default(),
    ))
}
