//! A connection of a local socket, watched for what is waited for and for nothing else.
//!
//! A stream of the runtime is watched for room to write as well: whenever the peer reads
//! what was sent, that wakes a thread which has nothing to do then. Here a stream is
//! watched for bytes to read from the first time on that it is waited for, and for room
//! from the first time on that there was none.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;

use bytes::BytesMut;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// Bytes that are few.
const SHORT: usize = 512;

/// One end of a connection.
#[derive(Debug)]
pub struct LocalStream(Watched);

#[derive(Debug)]
enum Watched {
    Not(UnixStream),
    ForBytes(AsyncFd<UnixStream>),
    ForBoth(AsyncFd<UnixStream>),
    /// Watching it failed.
    Lost,
}

impl LocalStream {
    /// A stream that does not block.
    pub fn new(stream: UnixStream) -> Self {
        Self(Watched::Not(stream))
    }

    /// Waits until something is there, and appends up to `room` bytes of it; 0 is the end.
    /// May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn read_more(&mut self, buffer: &mut BytesMut, room: usize) -> io::Result<usize> {
        let stream = self.for_bytes()?;
        loop {
            let mut ready = poll_fn(|context| stream.poll_read_ready(context)).await?;
            match read_now(stream.get_ref(), buffer, room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(read) => {
                    // Less than there was room for: that was all, and more is told anew.
                    if (1..room).contains(&read) {
                        ready.clear_ready_matching(Ready::READABLE);
                    }
                    return Ok(read);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Appends up to `room` bytes of what is there already.
    ///
    /// # Errors
    /// Those of reading; [`ErrorKind::WouldBlock`] where nothing is there.
    pub fn read_now(&mut self, buffer: &mut BytesMut, room: usize) -> io::Result<usize> {
        read_now(self.stream()?, buffer, room)
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// Those of writing.
    pub async fn write_all(&mut self, left: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut short = [0; SHORT];
        match joined(left, &mut short) {
            Some(short) => self.write_parts(&mut [IoSlice::new(short)]).await,
            None => self.write_parts(left).await,
        }
    }

    async fn write_parts(&mut self, mut left: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let written = match &self.0 {
                Watched::ForBoth(stream) => {
                    let mut ready = poll_fn(|context| stream.poll_write_ready(context)).await?;
                    let written = write_now(stream.get_ref(), left);
                    if would_block(&written) {
                        ready.clear_ready();
                        continue;
                    }
                    written
                }
                _ => write_now(self.stream()?, left),
            };
            match written {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.for_both()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn stream(&self) -> io::Result<&UnixStream> {
        match &self.0 {
            Watched::Not(stream) => Ok(stream),
            Watched::ForBytes(stream) | Watched::ForBoth(stream) => Ok(stream.get_ref()),
            Watched::Lost => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn for_bytes(&mut self) -> io::Result<&AsyncFd<UnixStream>> {
        self.0 = match std::mem::replace(&mut self.0, Watched::Lost) {
            Watched::Not(stream) => Watched::ForBytes(watched(stream, Interest::READABLE)?),
            watched => watched,
        };
        match &self.0 {
            Watched::ForBytes(stream) | Watched::ForBoth(stream) => Ok(stream),
            Watched::Not(_) | Watched::Lost => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn for_both(&mut self) -> io::Result<()> {
        let stream = match std::mem::replace(&mut self.0, Watched::Lost) {
            Watched::Not(stream) => stream,
            Watched::ForBytes(stream) | Watched::ForBoth(stream) => stream.into_inner(),
            Watched::Lost => return Err(ErrorKind::NotConnected.into()),
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        self.0 = Watched::ForBoth(watched(stream, both)?);
        Ok(())
    }
}

/// Deprecated for what gives away another descriptor each time that it is asked: a stream
/// owns its own, and keeps it. What is said to take its place is an unsafe function.
#[allow(deprecated)]
fn watched(stream: UnixStream, what: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, what)
}

/// The parts as one, where they are few bytes: to copy these costs less than to have the
/// kernel gather them.
fn joined<'a>(parts: &[IoSlice<'_>], short: &'a mut [u8; SHORT]) -> Option<&'a [u8]> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        short.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    short.get(..length)
}

fn would_block(outcome: &io::Result<usize>) -> bool {
    matches!(outcome, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn write_now(mut stream: &UnixStream, left: &[IoSlice<'_>]) -> io::Result<usize> {
    match left {
        [all] => stream.write(all),
        parts => stream.write_vectored(parts),
    }
}

fn read_now(mut stream: &UnixStream, buffer: &mut BytesMut, room: usize) -> io::Result<usize> {
    let held = buffer.len();
    buffer.resize(held + room, 0);
    let read = stream.read(buffer.get_mut(held..).unwrap_or_default());
    buffer.truncate(held + read.as_ref().map_or(0, |read| *read));
    read
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn pair() -> (LocalStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (LocalStream::new(ours), theirs)
    }

    #[tokio::test]
    async fn what_comes_is_read_as_it_comes_and_the_end_is_told() {
        let (mut ours, mut theirs) = pair();
        let mut buffer = BytesMut::new();
        let nothing = ours.read_now(&mut buffer, 10).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        let (go, told) = std::sync::mpsc::channel::<()>();
        let writing = thread::spawn(move || {
            for text in ["abc", "defghijklmno"] {
                told.recv().unwrap();
                theirs.write_all(text.as_bytes()).unwrap();
            }
            told.recv().unwrap();
        });
        for read in [3, 10, 2, 0] {
            if read != 2 {
                go.send(()).unwrap();
            }
            assert_eq!(ours.read_more(&mut buffer, 10).await.unwrap(), read);
        }
        assert_eq!(buffer, "abcdefghijklmno");
        writing.join().unwrap();
    }

    #[tokio::test]
    async fn what_does_not_fit_is_sent_as_the_peer_reads() {
        const LONG: usize = 4 << 20;
        let (mut ours, mut theirs) = pair();
        let reading = thread::spawn(move || {
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).unwrap();
            read
        });
        let long = vec![7; LONG];
        for _ in 0..2 {
            let mut parts = [&b""[..], b"head", &long, b""].map(IoSlice::new);
            ours.write_all(&mut parts).await.unwrap();
        }
        drop(ours);
        let read = reading.join().unwrap();
        assert_eq!(read.len(), 2 * (LONG + 4));
        assert_eq!(read[LONG + 4..LONG + 9], *b"head\x07");
    }

    #[tokio::test]
    async fn a_peer_that_left_is_an_error_and_no_signal() {
        let (mut ours, theirs) = pair();
        drop(theirs);
        let mut parts = [IoSlice::new(b"x")];
        let error = ours.write_all(&mut parts).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(ours.read_more(&mut BytesMut::new(), 1).await.unwrap(), 0);
    }
}
