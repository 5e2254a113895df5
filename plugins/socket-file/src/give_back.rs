//! Gives the path back to the built-in module whose socket was pushed aside: at the
//! end of ours, and from outside after a kill.

use std::path::Path;

use rustix::io::Errno;

use crate::error::SocketError;
use crate::place::{Identity, Lies, Name, Place, Served};

/// What [`give_back`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenBack {
    /// The built-in's socket is at the path again.
    Yes,
    /// What a killed program of ours left there is gone; no socket of a built-in was
    /// kept, or nobody serves it any more.
    NobodyBehind,
    /// What lies at the path is not ours, or nothing does.
    NotOurs,
    /// A program of ours runs and serves it.
    Running,
}

/// After a program of ours was killed: puts the built-in's socket back to `path` and
/// removes what was left. Acts only where the path's socket is ours and nobody serves
/// it any more.
///
/// # Errors
/// [`SocketError`] if something cannot be looked at, moved or removed.
pub fn give_back(path: &Path) -> Result<GivenBack, SocketError> {
    let place = match Place::open(path) {
        Ok(place) => place,
        Err(SocketError::System { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            return Ok(GivenBack::NotOurs);
        }
        Err(error) => return Err(error),
    };
    let _lock = place.lock()?;
    let Left::Behind(given, corpse) = left_behind(&place)? else {
        return Ok(GivenBack::Running);
    };
    if let Some(corpse) = corpse {
        take_away(&place, corpse)?;
    }
    Ok(given)
}

/// What was found of a program of ours that may have been killed.
pub(crate) enum Left {
    /// It runs.
    Running,
    /// It does not. What was given back; and its socket, where that is still at the path.
    Behind(GivenBack, Option<Identity>),
}

/// Gives back and tidies up what a killed program of ours left. Its socket stays at the
/// path where nobody is behind it. The folder must be locked.
pub(crate) fn left_behind(place: &Place) -> Result<Left, SocketError> {
    let file = match place.lies(Name::Own)? {
        Lies::Nothing => return Ok(Left::Behind(GivenBack::NotOurs, None)),
        Lies::Other => return Err(SocketError::NoSocket(place.path_of(Name::Own))),
        Lies::Socket(file) => file,
    };
    match place.served(Name::Own) {
        Served::No | Served::Gone => {}
        Served::Yes | Served::OtherType => return Ok(Left::Running),
        Served::Unsure(error) => {
            return Err(SocketError::Unsure {
                path: place.path_of(Name::Own),
                source: error.into(),
            });
        }
    }
    let handed = hand_over(place, file)?;
    place.unlink(Name::Own)?;
    Ok(match handed {
        Handed::Over => Left::Behind(GivenBack::Yes, None),
        Handed::NobodyBehind => Left::Behind(GivenBack::NobodyBehind, Some(file)),
        Handed::NotOurs => Left::Behind(GivenBack::NotOurs, None),
    })
}

/// How [`hand_over`] went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handed {
    /// The built-in's socket is at the path.
    Over,
    /// Ours is there still: there is nobody to give it to.
    NobodyBehind,
    /// Ours was not there.
    NotOurs,
}

/// Puts the built-in's socket to the path, where `file`, ours, is; the name of the
/// built-in's is free afterwards.
pub(crate) fn hand_over(place: &Place, file: Identity) -> Result<Handed, SocketError> {
    let behind = behind(place, file)?;
    let handed = match place.lies(Name::Path)? {
        lies if lies.is(file) && behind => exchange(place, file)?,
        lies if lies.is(file) => Handed::NobodyBehind,
        // Somebody removed ours, and the built-in waits for its clients elsewhere.
        Lies::Nothing if behind => match place.shift(Name::Builtin, Name::Path) {
            Ok(()) => Handed::Over,
            Err(Errno::EXIST | Errno::NOENT) => Handed::NotOurs,
            Err(error) => return Err(place.failed("give it back", error)),
        },
        _ => Handed::NotOurs,
    };
    // An older one, a dead one, or a further name of ours.
    if matches!(place.lies(Name::Builtin)?, Lies::Socket(_)) {
        place.unlink(Name::Builtin)?;
    }
    Ok(handed)
}

/// Whether the socket of a built-in that still serves it was pushed aside.
fn behind(place: &Place, file: Identity) -> Result<bool, SocketError> {
    Ok(match place.lies(Name::Builtin)? {
        Lies::Nothing | Lies::Other => false,
        lies if lies.is(file) => false,
        // One that cannot be asked was served when it was pushed aside.
        Lies::Socket(_) => !matches!(place.served(Name::Builtin), Served::No | Served::Gone),
    })
}

fn exchange(place: &Place, file: Identity) -> Result<Handed, SocketError> {
    let swap = || place.exchange(Name::Builtin, Name::Path);
    match swap() {
        Ok(()) => {}
        // The built-in itself was quicker.
        Err(Errno::NOENT) => return Ok(Handed::NotOurs),
        Err(error) => return Err(place.failed("give it back", error)),
    }
    if !place.lies(Name::Builtin)?.is(file) {
        // The built-in bound a new one in between: that is the one to keep.
        swap().map_err(|error| place.failed("give it back", error))?;
    }
    Ok(Handed::Over)
}

/// Takes `file` away from the path, and nothing else that may have come there.
pub(crate) fn take_away(place: &Place, file: Identity) -> Result<(), SocketError> {
    if !place.lies(Name::Path)?.is(file) {
        return Ok(());
    }
    match place.shift(Name::Path, Name::Builtin) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(()),
        // That name is not ours to use.
        Err(Errno::EXIST) => return place.unlink(Name::Path),
        Err(error) => return Err(place.failed("remove the socket", error)),
    }
    if place.lies(Name::Builtin)?.is(file) {
        return place.unlink(Name::Builtin);
    }
    // Somebody put another one there in between.
    match place.shift(Name::Builtin, Name::Path) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(place.failed("put back what is not ours", error)),
    }
}
