//! A socket of ours in its place, from its birth to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::net::SocketFlags;
use tokio::net::{UnixListener, UnixStream};

use crate::bind::bind_own;
use crate::error::SocketError;
use crate::give_back::{Handed, Left, hand_over, left_behind, take_away};
use crate::names::Names;
use crate::place::{Identity, Name, Place};
use crate::standing::{Standing, standing};
use crate::take::{self, Taken};

/// How long a start waits where nothing lies at the path, or a socket at which nobody
/// listens: the built-in module may be between its own steps.
const PATIENCE_AT_START: Duration = Duration::from_secs(1);
/// How often is looked whether somebody listens by now: no event tells.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What socket is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where clients come; at most 107 bytes.
    pub path: PathBuf,
    /// The rights of its file, exactly, whatever the umask is.
    pub mode: u32,
    /// The group of its file; absent: left as created.
    pub group: Option<u32>,
    /// Whether a socket that another program serves is pushed aside, and given back.
    pub take_over: bool,
    /// How the programs are called.
    pub names: Names,
}

/// A listening socket of ours. Its file goes when this is dropped, and the built-in's
/// is given back, if that was not done before.
#[derive(Debug)]
pub struct SocketFile {
    /// Kept open until the file is gone: whoever finds it finds somebody there.
    listener: UnixListener,
    pub(crate) place: Place,
    pub(crate) wanted: Wanted,
    pub(crate) file: Identity,
    /// Of this one and those it was made anew from.
    pub(crate) losses: Arc<AtomicU64>,
    ended: AtomicBool,
}

impl SocketFile {
    /// Binds a socket, lets it listen and puts it into its place; missing folders are
    /// made. What a killed program of ours left is given back or removed first. Where it
    /// takes over and nothing (or a dead socket) lies at the path, it waits for up to a
    /// second, blocking: the built-in may be about to bind. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`SocketError`]; nothing is left behind then.
    pub fn open(wanted: Wanted) -> Result<Self, SocketError> {
        let (socket, known) = Self::bind(wanted, Arc::default())?;
        socket.settle(known)?;
        Ok(socket)
    }

    /// As [`open`](Self::open), but it is not at its path yet. Also what is known to be
    /// left over there.
    pub(crate) fn bind(
        wanted: Wanted,
        losses: Arc<AtomicU64>,
    ) -> Result<(Self, Option<Identity>), SocketError> {
        let place = Place::make(&wanted.path)?;
        let lock = place.lock()?;
        let known = match left_behind(&place)? {
            Left::Behind(_, known) => known,
            Left::Running => {
                return Err(SocketError::Ours {
                    path: wanted.path,
                    own: place.path_of(Name::Own),
                });
            }
        };
        let (listener, file) = bind_own(&place, wanted.mode, wanted.group)?;
        drop(lock);
        let listener = UnixListener::from_std(listener).inspect_err(|_| {
            let _ = place.unlink(Name::Own);
        });
        let listener =
            listener.map_err(|error| SocketError::system(&wanted.path, "listen", error))?;
        let socket = Self {
            listener,
            place,
            wanted,
            file,
            losses,
            ended: AtomicBool::new(false),
        };
        Ok((socket, known))
    }

    fn settle(&self, known: Option<Identity>) -> Result<(), SocketError> {
        let end = Instant::now() + PATIENCE_AT_START;
        loop {
            let patient = Instant::now() < end;
            match self.put_there(patient, known)? {
                Taken::Ours => return Ok(()),
                Taken::NotYet => std::thread::sleep(LOOK_AGAIN),
                Taken::Nameless => {
                    let removed = std::io::Error::other("somebody removed it at once");
                    let action = "put the new socket there";
                    return Err(SocketError::system(self.path(), action, removed));
                }
            }
        }
    }

    /// Tries once to get to the path; see [`take`].
    pub(crate) fn put_there(
        &self,
        patient: bool,
        known: Option<Identity>,
    ) -> Result<Taken, SocketError> {
        match self.wanted.take_over {
            true => take::over(&self.place, self.file, patient, known),
            false => take::into_free_place(&self.place, self.file),
        }
    }

    /// The listening socket.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Those who wait in the queue of the kernel, without waiting for others: once nobody
    /// can come any more, after [`give_back`](Self::give_back). It ends at the last one, or
    /// where no descriptor is left.
    pub fn waiting(&self) -> impl Iterator<Item = UnixStream> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        std::iter::from_fn(move || {
            let waiting = rustix::net::accept_with(&self.listener, flags).ok()?;
            let stream = std::os::unix::net::UnixStream::from(waiting);
            UnixStream::from_std(stream).ok()
        })
    }

    /// Where clients come.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// How often the place was lost and had back, since the first start of this socket.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Who serves the path, in one line.
    pub fn told(&self) -> String {
        let now = standing(self.path()).unwrap_or(Standing::Ours { behind: false });
        now.told(self.path(), self.wanted.names)
    }

    /// Ends to serve the path: the built-in's socket, if it is served still, is there
    /// afterwards in one step; else nothing is. Clients that connected by then can still
    /// be accepted. What cannot be done is logged.
    pub fn give_back(&self) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let path = self.path().display();
        match self.end() {
            Ok(Handed::Over) => {
                let (times, them) = (self.losses(), self.wanted.names.them);
                tracing::info!(%path, times, "the socket is given back to {them}");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("the socket cannot be given back or removed: {error}"),
        }
    }

    fn end(&self) -> Result<Handed, SocketError> {
        let place = &self.place;
        // Without the name of ours the others are a successor's.
        if !place.lies(Name::Own)?.is(self.file) {
            take_away(place, self.file)?;
            return Ok(Handed::NotOurs);
        }
        let handed = hand_over(place, self.file)?;
        if handed == Handed::NobodyBehind {
            take_away(place, self.file)?;
        }
        place.unlink(Name::Own)?;
        Ok(handed)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.give_back();
    }
}
