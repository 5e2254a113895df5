//! A connection of a local socket, watched for what is waited for and for nothing else.
//!
//! A stream of the runtime is watched for room to write as well: whenever the peer reads
//! what was sent, that wakes a thread which has nothing to do then. Here a stream is
//! watched for bytes to read from the first time on that it is waited for, and for room
//! from the first time on that there was none. A thread that has nothing else to do may
//! sleep at it instead.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

use crate::unread::{self, Unread};

/// Bytes that are few.
const SHORT: usize = 512;

/// One end of a connection.
#[derive(Debug)]
pub struct LocalStream {
    watched: Watched,
    unread: Unread,
}

#[derive(Debug)]
enum Watched {
    Not(UnixStream),
    /// A thread sleeps at it until something is there, for so long: it blocks.
    ByThread(UnixStream, Duration),
    ForBytes(AsyncFd<UnixStream>),
    ForBoth(AsyncFd<UnixStream>),
    /// Watching it failed.
    Lost,
}

impl LocalStream {
    /// A stream that does not block.
    pub fn new(stream: UnixStream) -> Self {
        Self::with(stream, Unread::Never)
    }

    /// A stream that does not block, of a client that is answered: where it asks again, it is
    /// not woken because its question was read.
    pub fn serving(stream: UnixStream) -> Self {
        Self::with(stream, Unread::Nothing)
    }

    fn with(stream: UnixStream, unread: Unread) -> Self {
        Self {
            watched: Watched::Not(stream),
            unread,
        }
    }

    /// Waits until something is there, and appends up to `room` bytes of it; 0 is the end.
    /// May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn read_more(&mut self, buffer: &mut BytesMut, room: usize) -> io::Result<usize> {
        let stream = self.watched.for_bytes()?;
        loop {
            let mut ready = poll_fn(|context| stream.poll_read_ready(context)).await?;
            match self.unread.read(stream.get_ref(), buffer, room) {
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
        self.watched.by_no_thread()?;
        self.unread.read(self.watched.stream()?, buffer, room)
    }

    /// The thread sleeps until something is there, for `longest` at most, and appends up to
    /// `room` bytes of it; 0 is the end.
    ///
    /// # Errors
    /// Those of reading; [`ErrorKind::WouldBlock`] where nothing came.
    pub fn read_asleep(
        &mut self,
        buffer: &mut BytesMut,
        room: usize,
        longest: Duration,
    ) -> io::Result<usize> {
        let stream = self.watched.by_thread(longest)?;
        // What is left would wake it at once.
        self.unread.take(stream)?;
        unread::read(stream, buffer, room)
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// Those of writing.
    pub async fn write_all(&mut self, mut left: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.write_now(&mut left)?;
        while !left.is_empty() {
            let stream = self.watched.for_both()?;
            let mut ready = poll_fn(|context| stream.poll_write_ready(context)).await?;
            let written = write(stream.get_ref(), left);
            if would_block(&written) {
                ready.clear_ready();
            }
            advance(&mut left, written)?;
        }
        Ok(())
    }

    /// Sends what there is room for, and leaves the rest.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write_now(&mut self, left: &mut &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(left, 0);
        if left.is_empty() {
            return Ok(());
        }
        advance(left, write(self.watched.stream()?, left))
    }
}

impl Drop for LocalStream {
    fn drop(&mut self) {
        if let Ok(stream) = self.watched.stream() {
            // It is closed whatever that says.
            let _ = self.unread.take(stream);
        }
    }
}

impl Watched {
    fn stream(&self) -> io::Result<&UnixStream> {
        match self {
            Self::Not(stream) | Self::ByThread(stream, _) => Ok(stream),
            Self::ForBytes(stream) | Self::ForBoth(stream) => Ok(stream.get_ref()),
            Self::Lost => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn by_thread(&mut self, longest: Duration) -> io::Result<&UnixStream> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::ByThread(stream, set) if set == longest => Self::ByThread(stream, set),
            Self::Not(stream) | Self::ByThread(stream, _) => blocking(stream, longest)?,
            Self::ForBytes(stream) | Self::ForBoth(stream) => {
                blocking(stream.into_inner(), longest)?
            }
            Self::Lost => Self::Lost,
        };
        self.stream()
    }

    fn by_no_thread(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::ByThread(stream, _) => {
                stream.set_nonblocking(true)?;
                Self::Not(stream)
            }
            watched => watched,
        };
        Ok(())
    }

    fn for_bytes(&mut self) -> io::Result<&AsyncFd<UnixStream>> {
        self.by_no_thread()?;
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Not(stream) => Self::ForBytes(watched(stream, Interest::READABLE)?),
            watched => watched,
        };
        match self {
            Self::ForBytes(stream) | Self::ForBoth(stream) => Ok(stream),
            Self::Not(_) | Self::ByThread(..) | Self::Lost => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn for_both(&mut self) -> io::Result<&AsyncFd<UnixStream>> {
        self.by_no_thread()?;
        let both = |stream| watched(stream, Interest::READABLE | Interest::WRITABLE);
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Not(stream) => Self::ForBoth(both(stream)?),
            Self::ForBytes(stream) => Self::ForBoth(both(stream.into_inner())?),
            watched => watched,
        };
        match self {
            Self::ForBoth(stream) => Ok(stream),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }
}

fn blocking(stream: UnixStream, longest: Duration) -> io::Result<Watched> {
    stream.set_read_timeout(Some(longest))?;
    stream.set_nonblocking(false)?;
    Ok(Watched::ByThread(stream, longest))
}

/// Deprecated for what gives away another descriptor each time that it is asked: a stream
/// owns its own, and keeps it. What is said to take its place is an unsafe function.
#[allow(deprecated)]
fn watched(stream: UnixStream, what: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, what)
}

/// Writes some of it: few bytes in one piece, since to copy these costs less than to have
/// the kernel gather them. Waits for nobody, also where a thread would.
fn write(stream: &UnixStream, left: &[IoSlice<'_>]) -> io::Result<usize> {
    const AT_ONCE: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
    let mut short = [0; SHORT];
    let written = match (left, joined(left, &mut short)) {
        (_, Some(short)) => send(stream, short, AT_ONCE),
        ([all], None) => send(stream, all, AT_ONCE),
        (parts, None) => sendmsg(stream, parts, &mut SendAncillaryBuffer::default(), AT_ONCE),
    };
    Ok(written?)
}

fn joined<'a>(parts: &[IoSlice<'_>], short: &'a mut [u8; SHORT]) -> Option<&'a [u8]> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        short.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    short.get(..length)
}

/// Leaves what was not written: all of it where there was no room, or a signal came.
fn advance(left: &mut &mut [IoSlice<'_>], written: io::Result<usize>) -> io::Result<()> {
    match written {
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        Ok(written) => {
            IoSlice::advance_slices(left, written);
            Ok(())
        }
        Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn would_block(outcome: &io::Result<usize>) -> bool {
    matches!(outcome, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
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

    #[tokio::test]
    async fn a_client_that_asks_again_is_told_the_end_and_no_reset() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = LocalStream::serving(ours);
        let mut buffer = BytesMut::new();
        for _ in 0..3 {
            theirs.write_all(b"question").unwrap();
            assert_eq!(ours.read_more(&mut buffer, 4_096).await.unwrap(), 8);
            ours.write_all(&mut [IoSlice::new(b"a")]).await.unwrap();
        }
        assert!(matches!(ours.unread, Unread::Left(16)), "{ours:?}");
        drop(ours);
        let mut answers = Vec::new();
        theirs.read_to_end(&mut answers).unwrap();
        assert_eq!(answers, b"aaa");
    }

    #[tokio::test]
    async fn a_thread_sleeps_until_something_comes_and_the_runtime_waits_afterwards() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = LocalStream::serving(ours);
        let mut buffer = BytesMut::new();
        for part in [b"first", b"again"] {
            theirs.write_all(part).unwrap();
            ours.read_more(&mut buffer, 4_096).await.unwrap();
        }
        assert!(matches!(ours.unread, Unread::Left(5)), "{ours:?}");
        // What is left does not wake it, and is not read twice.
        let short = Duration::from_millis(1);
        let nothing = ours.read_asleep(&mut buffer, 10, short).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        let late = thread::spawn(move || {
            theirs.write_all(b"1234567").unwrap();
            theirs
        });
        let long = Duration::from_secs(20);
        assert_eq!(ours.read_asleep(&mut buffer, 4, long).unwrap(), 4);
        assert_eq!(ours.read_asleep(&mut buffer, 4, long).unwrap(), 3);
        assert_eq!(buffer, "firstagain1234567");
        let mut theirs = late.join().unwrap();
        // It does not block where the runtime waits, nor where there is no room.
        let nothing = ours.read_now(&mut buffer, 10).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        ours.read_asleep(&mut buffer, 4, short).unwrap_err();
        let reading = thread::spawn(move || {
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).unwrap();
            read.len()
        });
        ours.write_all(&mut [IoSlice::new(&vec![7; 4 << 20])])
            .await
            .unwrap();
        drop(ours);
        assert_eq!(reading.join().unwrap(), 4 << 20);
    }
}
