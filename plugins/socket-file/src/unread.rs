//! What was read of a peer that asks again and again, and is left with the kernel for a while.
//!
//! When the kernel lets go of what a peer sent, it tells the peer that there is room to write,
//! and with that wakes a thread which sleeps until it is answered, as clients of 4.x do: once
//! for each question, for nothing, and in the way of whoever is about to answer. So few bytes
//! are looked at only, and taken together with those that come after them.
//!
//! The first read takes what it reads, since most clients ask once. Where a stream is closed
//! what is left must be taken before ([`Unread::take`]): the kernel would tell the peer that
//! its connection was reset, and not that it ended.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

use bytes::BytesMut;
use rustix::net::{RecvFlags, recv};

/// At most so many bytes are left. Each read looks at them again.
const LEFT: usize = 1024;
/// Whoever has room for more than that expects much.
const LOOKED_AT: usize = 4096;

/// Of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unread {
    /// Whatever is read is taken.
    Never,
    /// Of a stream that nothing was read from yet.
    Nothing,
    /// So many bytes were read and are left.
    Left(usize),
}

impl Unread {
    /// Appends up to `room` bytes of what is there and was not read yet; 0 is the end.
    pub(crate) fn read(
        &mut self,
        stream: &UnixStream,
        buffer: &mut BytesMut,
        room: usize,
    ) -> io::Result<usize> {
        if let Self::Left(left) = *self
            && room <= LOOKED_AT
        {
            let mut space = [MaybeUninit::uninit(); LEFT + LOOKED_AT];
            let space = space.get_mut(..left + room).unwrap_or_default();
            let ((found, _), _) = recv(stream, space, RecvFlags::PEEK)?;
            if let Some(new) = found.get(left..)
                && !new.is_empty()
            {
                buffer.extend_from_slice(new);
                *self = Self::Left(found.len());
                if found.len() > LEFT {
                    self.take(stream)?;
                }
                return Ok(new.len());
            }
        }
        // What is left may hide that the peer closed, or there is nothing.
        self.take(stream)?;
        let read = read(stream, buffer, room);
        if let (Self::Nothing, Ok(_)) = (*self, &read) {
            *self = Self::Left(0);
        }
        read
    }

    /// Takes what is left.
    pub(crate) fn take(&mut self, mut stream: &UnixStream) -> io::Result<()> {
        if let Self::Left(left) = *self
            && left > 0
        {
            let mut space = [0; LEFT + LOOKED_AT];
            stream.read_exact(space.get_mut(..left).unwrap_or_default())?;
            *self = Self::Left(0);
        }
        Ok(())
    }
}

/// Appends up to `room` bytes of what is there; 0 is the end.
pub(crate) fn read(
    mut stream: &UnixStream,
    buffer: &mut BytesMut,
    room: usize,
) -> io::Result<usize> {
    let held = buffer.len();
    buffer.resize(held + room, 0);
    let read = stream.read(buffer.get_mut(held..).unwrap_or_default());
    buffer.truncate(held + read.as_ref().map_or(0, |read| *read));
    read
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};

    use super::*;

    /// A client and the stream that serves it, which has read its first byte.
    fn asked_once() -> (UnixStream, UnixStream, Unread) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut unread = Unread::Nothing;
        theirs.write_all(b"1").unwrap();
        let mut buffer = BytesMut::new();
        assert_eq!(unread.read(&ours, &mut buffer, 10).unwrap(), 1);
        assert!(is_empty(&ours), "the first is taken");
        (theirs, ours, unread)
    }

    /// Whether nothing is with the kernel.
    fn is_empty(stream: &UnixStream) -> bool {
        let mut byte = [0; 1];
        let found = recv(stream, &mut byte[..], RecvFlags::PEEK);
        found == Err(rustix::io::Errno::WOULDBLOCK)
    }

    #[test]
    fn each_byte_is_read_once_whatever_is_left() {
        let (mut theirs, ours, mut unread) = asked_once();
        let mut sent = Vec::new();
        let mut buffer = BytesMut::new();
        for (n, length) in [1, 3, 700, 1, 500, 1_024, 1, 9_000, 2, 1_023, 1, 1]
            .into_iter()
            .enumerate()
        {
            let part = vec![u8::try_from(n).unwrap(); length];
            theirs.write_all(&part).unwrap();
            sent.extend(part);
            loop {
                match unread.read(&ours, &mut buffer, LOOKED_AT) {
                    Ok(read) => assert!(read > 0),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
                assert!(matches!(unread, Unread::Left(left) if left <= LEFT));
            }
            assert_eq!(buffer, sent);
        }
    }

    #[test]
    fn little_is_left_and_much_is_taken() {
        let (mut theirs, ours, mut unread) = asked_once();
        let mut buffer = BytesMut::new();
        for _ in 0..2 {
            theirs.write_all(&[7; LEFT / 2]).unwrap();
            assert_eq!(unread.read(&ours, &mut buffer, 4_096).unwrap(), LEFT / 2);
            assert!(!is_empty(&ours));
        }
        theirs.write_all(b"x").unwrap();
        assert_eq!(unread.read(&ours, &mut buffer, 4_096).unwrap(), 1);
        assert!(is_empty(&ours));
        theirs.write_all(&[7; LEFT]).unwrap();
        let long = unread.read(&ours, &mut buffer, 1 << 20).unwrap();
        assert_eq!((long, is_empty(&ours)), (LEFT, true));
    }

    #[test]
    fn the_end_is_told_behind_what_is_left() {
        let (mut theirs, ours, mut unread) = asked_once();
        theirs.write_all(b"question").unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let mut buffer = BytesMut::new();
        assert_eq!(unread.read(&ours, &mut buffer, 10).unwrap(), 8);
        for _ in 0..2 {
            assert_eq!(unread.read(&ours, &mut buffer, 10).unwrap(), 0);
        }
        assert_eq!(buffer, "question");
    }

    #[test]
    fn whoever_never_leaves_any_takes_all() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut unread = Unread::Never;
        let mut buffer = BytesMut::new();
        for _ in 0..3 {
            theirs.write_all(b"12").unwrap();
            assert_eq!(unread.read(&ours, &mut buffer, 10).unwrap(), 2);
            assert!(is_empty(&ours));
        }
    }
}
