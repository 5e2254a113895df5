//! The steps by which ours gets to the path: into a free place, into the place of one
//! that nobody serves, or in exchange with the built-in's.

use rustix::io::Errno;

use crate::error::SocketError;
use crate::place::{Identity, Lies, Name, Place, Served};

/// How often is tried to get into a place that changes while it is looked at.
const ATTEMPTS: usize = 8;

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Ours is at the path.
    Ours,
    /// The built-in may be about to bind or to listen; look again soon.
    NotYet,
    /// Ours has no name any more by which it could be put there.
    Nameless,
}

/// Gets `file`, ours, to the path. One that somebody serves is not pushed aside.
pub(crate) fn into_free_place(place: &Place, file: Identity) -> Result<Taken, SocketError> {
    for _ in 0..ATTEMPTS {
        match place.link(Name::Own, Name::Path) {
            Ok(()) => return Ok(Taken::Ours),
            Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => return Ok(Taken::Nameless),
            Err(error) => return Err(place.failed("put the socket there", error)),
        }
        match place.lies(Name::Path)? {
            Lies::Nothing => continue,
            Lies::Other => return Err(SocketError::NoSocket(place.path().to_owned())),
            lies if lies.is(file) => return Ok(Taken::Ours),
            Lies::Socket(_) => {}
        }
        match place.served(Name::Path) {
            Served::Gone => {}
            Served::No => {
                let path = place.path().display();
                tracing::info!(%path, "replacing a socket that nobody serves");
                place.unlink(Name::Path)?;
            }
            Served::Yes | Served::OtherType => {
                return Err(SocketError::Served(place.path().to_owned()));
            }
            Served::Unsure(error) => return Err(unsure(place, error)),
        }
    }
    Err(place.failed("put the socket there", Errno::EXIST))
}

/// Gets `file`, ours, to the path. A socket that is served there is pushed aside. While
/// nothing lies there, or one at which nobody listens, the built-in may be in the middle
/// of its start, where it must not be disturbed: `patient` then waits. What is `known`
/// to be left over is never waited for.
pub(crate) fn over(
    place: &Place,
    file: Identity,
    patient: bool,
    known: Option<Identity>,
) -> Result<Taken, SocketError> {
    let known = known.map(Lies::Socket);
    match place.lies(Name::Path)? {
        Lies::Nothing if patient => Ok(Taken::NotYet),
        Lies::Nothing => match place.link(Name::Own, Name::Path) {
            Ok(()) => Ok(Taken::Ours),
            Err(Errno::EXIST) => Ok(Taken::NotYet),
            Err(Errno::NOENT) => Ok(Taken::Nameless),
            Err(error) => Err(place.failed("put the socket there", error)),
        },
        Lies::Other => Err(SocketError::NoSocket(place.path().to_owned())),
        lies if lies.is(file) => Ok(Taken::Ours),
        lies if Some(lies) == known => in_exchange(place, file, false),
        Lies::Socket(_) => match place.served(Name::Path) {
            Served::Yes => in_exchange(place, file, true),
            Served::No if !patient => in_exchange(place, file, false),
            // Before the built-in gives it its rights it may keep us out.
            Served::Unsure(error) if !patient => Err(unsure(place, error)),
            Served::OtherType => Err(SocketError::NoSocket(place.path().to_owned())),
            Served::No | Served::Gone | Served::Unsure(_) => Ok(Taken::NotYet),
        },
    }
}

/// Exchanges ours with what lies at the path. The older one that was pushed aside goes;
/// so does what came out, unless it is `served`, which is not asked twice: the built-in
/// notices each connection.
fn in_exchange(place: &Place, file: Identity, served: bool) -> Result<Taken, SocketError> {
    match place.lies(Name::Builtin)? {
        Lies::Nothing => {}
        Lies::Other => return Err(SocketError::NoSocket(place.path_of(Name::Builtin))),
        Lies::Socket(_) => place.unlink(Name::Builtin)?,
    }
    match place.link(Name::Own, Name::Builtin) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Taken::Nameless),
        Err(error) => return Err(place.failed("give ours a second name", error)),
    }
    match place.exchange(Name::Builtin, Name::Path) {
        Ok(()) => {}
        Err(error) => {
            place.unlink(Name::Builtin)?;
            return match error {
                // It was removed while we looked.
                Errno::NOENT => Ok(Taken::NotYet),
                error => Err(place.failed("exchange the socket with ours", error)),
            };
        }
    }
    // What came out is decided now.
    match place.lies(Name::Builtin)? {
        Lies::Other => {
            place
                .exchange(Name::Builtin, Name::Path)
                .map_err(|error| place.failed("put back what is no socket", error))?;
            place.unlink(Name::Builtin)?;
            return Err(SocketError::NoSocket(place.path().to_owned()));
        }
        lies if lies.is(file) => place.unlink(Name::Builtin)?,
        Lies::Socket(_) if !served && place.served(Name::Builtin) == Served::No => {
            let path = place.path().display();
            tracing::info!(%path, "replaced a socket that nobody served");
            place.unlink(Name::Builtin)?;
        }
        Lies::Socket(_) | Lies::Nothing => {}
    }
    Ok(Taken::Ours)
}

fn unsure(place: &Place, error: Errno) -> SocketError {
    SocketError::Unsure {
        path: place.path().to_owned(),
        source: error.into(),
    }
}
