//! Requests as they are read and responses as they are written, with the
//! faults a test can ask for.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt,
};

/// Longest head of a request.
const HEAD: u64 = 64 << 10;
/// Longest body of a request; it is read and forgotten.
const REQUEST_BODY: u64 = 1 << 20;
/// Largest piece in which a body is written.
const PIECE: usize = 64 << 10;
/// A slow body is written this many times a second.
const TICKS: u64 = 20;

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// What stands in the request line: a path with its query, or a whole URL
    /// where the client takes this server for a proxy.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads one request; `None` when the client has nothing more to ask.
    pub(super) async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut head = stream.take(HEAD);
        let mut line = String::new();
        if head.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(bad("no request line"));
        };
        let (method, target) = (method.to_owned(), target.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if head.read_line(&mut line).await? == 0 {
                return Err(bad("the head of the request ends early or is too long"));
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("no header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let request = Self {
            method,
            target,
            headers,
        };
        let length: u64 = request
            .header("content-length")
            .map_or(Ok(0), str::parse)
            .map_err(io::Error::other)?;
        if length > REQUEST_BODY {
            return Err(bad("the body of the request is too long"));
        }
        tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
        Ok(Some(request))
    }
}

/// What a body is made of.
#[derive(Debug)]
pub enum Body {
    /// These bytes.
    Bytes(Bytes),
    /// A part of a file.
    File {
        /// The file, open for reading.
        file: std::fs::File,
        /// Its first byte to send.
        offset: u64,
        /// How many to send.
        length: u64,
    },
    /// Zeros without end, in chunked encoding.
    Endless,
}

/// An answer, and how it misbehaves.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Further headers; lengths are written by the server.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// Cut the connection after this many bytes of the body.
    pub drop_after: Option<u64>,
    /// After this many bytes of the body send nothing more, until the client goes.
    pub stall_after: Option<u64>,
    /// Promise this length whatever the body has; then the connection is closed.
    pub declared_length: Option<u64>,
    /// Send the body in chunked encoding, without telling its length.
    pub chunked: bool,
    /// Send so many bytes of the body a second.
    pub bytes_per_second: Option<u64>,
}

impl Response {
    /// A well-behaved answer.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self::with_body(status, Body::Bytes(body.into()))
    }

    /// A well-behaved answer with any kind of body.
    pub fn with_body(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            drop_after: None,
            stall_after: None,
            declared_length: None,
            chunked: false,
            bytes_per_second: None,
        }
    }

    /// A redirect (302).
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::new(302, "").header("Location", location)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Writes it; whether the connection can be used again.
    pub(super) async fn write(
        self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        request: &Request,
    ) -> io::Result<bool> {
        let length = match &self.body {
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File { length, .. } => Some(*length),
            Body::Endless => None,
        };
        let chunked = self.chunked || length.is_none();
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.declared_length.or(length) {
            Some(length) if !chunked => head.push_str(&format!("Content-Length: {length}\r\n")),
            _ => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let wants_close = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if request.method == "HEAD" {
            return Ok(!wants_close);
        }
        let honest = self
            .declared_length
            .is_none_or(|declared| Some(declared) == length);
        self.write_body(stream, chunked).await?;
        Ok(!wants_close && honest)
    }

    async fn write_body(
        self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        chunked: bool,
    ) -> io::Result<()> {
        let piece_limit = match self.bytes_per_second {
            Some(rate) => usize::try_from((rate / TICKS).max(1))
                .unwrap_or(PIECE)
                .min(PIECE),
            None => PIECE,
        };
        let mut pieces = Pieces::open(self.body).await?;
        let mut sent = 0u64;
        loop {
            let mut limit = piece_limit;
            for stop in [self.drop_after, self.stall_after].into_iter().flatten() {
                limit = limit.min(usize::try_from(stop.saturating_sub(sent)).unwrap_or(PIECE));
            }
            if limit == 0 {
                stream.flush().await?;
                if self.stall_after.is_some_and(|stop| stop <= sent) {
                    // Whatever the client still says, until it goes.
                    tokio::io::copy(stream, &mut tokio::io::sink()).await?;
                }
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let piece = pieces.next(limit).await?;
            if piece.is_empty() {
                break;
            }
            if chunked {
                let size = format!("{:x}\r\n", piece.len());
                stream.write_all(size.as_bytes()).await?;
            }
            stream.write_all(&piece).await?;
            if chunked {
                stream.write_all(b"\r\n").await?;
            }
            sent += piece.len() as u64;
            if self.bytes_per_second.is_some() {
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(1_000 / TICKS)).await;
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(())
    }
}

/// A body, piece by piece.
enum Pieces {
    Bytes(Bytes),
    File(tokio::io::Take<tokio::fs::File>),
    Endless,
}

impl Pieces {
    async fn open(body: Body) -> io::Result<Self> {
        Ok(match body {
            Body::Bytes(bytes) => Self::Bytes(bytes),
            Body::Endless => Self::Endless,
            Body::File {
                file,
                offset,
                length,
            } => {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(io::SeekFrom::Start(offset)).await?;
                Self::File(file.take(length))
            }
        })
    }

    /// Up to `limit` bytes; none at the end.
    async fn next(&mut self, limit: usize) -> io::Result<Bytes> {
        Ok(match self {
            Self::Bytes(bytes) => bytes.split_to(limit.min(bytes.len())),
            Self::Endless => Bytes::from(vec![0; limit]),
            Self::File(file) => {
                let mut piece = vec![0; limit];
                let read = file.read(&mut piece).await?;
                piece.truncate(read);
                piece.into()
            }
        })
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
