//! Files below a folder, as a repository serves them: nothing outside the
//! folder, no listings, one range per request.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::{Body, Request, Response};

/// A folder whose files are served.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    ranges: bool,
}

impl Folder {
    /// The folder `root`, links in its own path followed once, now.
    ///
    /// # Errors
    /// If it is no folder.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = root.as_ref().canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root, ranges: true })
    }

    /// The same, answering every request with the whole file and nothing to
    /// recognise it by.
    #[must_use]
    pub fn without_ranges(mut self) -> Self {
        self.ranges = false;
        self
    }

    /// The answer to a request: 200 or 206 with the file, 404 for what is not
    /// there, is no file, or lies outside (also through a link), 405, or 416.
    pub fn answer(&self, request: &Request) -> Response {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Response::new(405, "only GET and HEAD\n").header("Allow", "GET, HEAD");
        }
        let found = self.locate(&request.target).and_then(|path| {
            let file = File::open(path).ok()?;
            let metadata = file.metadata().ok()?;
            metadata.is_file().then_some((file, metadata))
        });
        let Some((file, metadata)) = found else {
            return Response::new(404, "not found\n");
        };
        let size = metadata.len();
        let changed = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_nanos());
        let tag = format!("\"{size:x}-{changed:x}\"");
        let whole = |file| {
            Response::with_body(
                200,
                Body::File {
                    file,
                    offset: 0,
                    length: size,
                },
            )
            .header("Content-Type", "application/octet-stream")
        };
        if !self.ranges {
            return whole(file);
        }
        let same = request.header("if-range").is_none_or(|known| known == tag);
        let range = request
            .header("range")
            .filter(|_| same)
            .map(|range| read_range(range, size));
        match range {
            None | Some(Range::Whole) => whole(file),
            Some(Range::Outside) => {
                Response::new(416, "").header("Content-Range", format!("bytes */{size}"))
            }
            Some(Range::Part { first, last }) => Response::with_body(
                206,
                Body::File {
                    file,
                    offset: first,
                    length: last - first + 1,
                },
            )
            .header("Content-Range", format!("bytes {first}-{last}/{size}")),
        }
        .header("Accept-Ranges", "bytes")
        .header("ETag", tag)
    }

    /// The file a request target names, if it lies inside the folder.
    fn locate(&self, target: &str) -> Option<PathBuf> {
        let path = target.split(['?', '#']).next()?;
        let path = decode(path.strip_prefix('/')?)?;
        let mut full = self.root.clone();
        for part in path.split('/') {
            if part.is_empty() || part == "." || part == ".." || part.contains(['\0', '\\']) {
                return None;
            }
            full.push(part);
        }
        // Links may lead elsewhere; what they lead to must be inside as well.
        let full = full.canonicalize().ok()?;
        full.starts_with(&self.root).then_some(full)
    }
}

enum Range {
    Whole,
    Part { first: u64, last: u64 },
    Outside,
}

/// Reads `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LENGTH`. What cannot be
/// read, and more than one range, is answered with the whole file.
fn read_range(range: &str, size: u64) -> Range {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Range::Whole;
    };
    let end = size.saturating_sub(1);
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), _) if first >= size => Range::Outside,
        (Ok(first), Ok(last)) if last >= first => Range::Part {
            first,
            last: last.min(end),
        },
        (Ok(first), Err(_)) if last.is_empty() => Range::Part { first, last: end },
        (Err(_), Ok(0)) if first.is_empty() => Range::Outside,
        (Err(_), Ok(length)) if first.is_empty() && size > 0 => Range::Part {
            first: size.saturating_sub(length),
            last: end,
        },
        _ => Range::Whole,
    }
}

/// Undoes percent-encoding; `None` for what is no UTF-8 or badly encoded.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
