//! Who serves a path, looked at from outside: for checks before a start and beside a
//! running program. Nothing is changed.

use std::fmt::Write;
use std::io;
use std::path::Path;

use crate::error::SocketError;
use crate::names::Names;
use crate::place::{Lies, Name, Place, Served, builtin_path};

/// Who serves a path.
#[derive(Debug)]
pub enum Standing {
    /// Nobody: nothing lies there, or a socket that nobody serves.
    Nobody,
    /// A program of ours.
    Ours {
        /// Whether the built-in's socket is kept beside it and served.
        behind: bool,
    },
    /// Nobody: a killed program of ours left its socket there.
    Left {
        /// Whether the built-in's socket is kept beside it and served.
        behind: bool,
    },
    /// Another program; none of ours runs.
    Another,
    /// Another program, though one of ours runs: it is had back at any moment.
    AnotherInFront,
    /// Nobody, though a program of ours runs.
    Lost,
    /// No socket, or one of another type, lies there.
    NoSocket,
    /// It cannot be told, most often for want of rights.
    Unsure(io::Error),
}

/// Who serves `path`. Connects to it once to see whether somebody listens.
///
/// # Errors
/// [`SocketError`] if its folder cannot be looked into; a folder that is not there is no
/// error.
pub fn standing(path: &Path) -> Result<Standing, SocketError> {
    let place = match Place::open(path) {
        Ok(place) => place,
        Err(SocketError::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Standing::Nobody);
        }
        Err(error) => return Err(error),
    };
    let own = place.lies(Name::Own)?;
    let runs = matches!(own, Lies::Socket(_)) && place.served(Name::Own) == Served::Yes;
    let lies = place.lies(Name::Path)?;
    Ok(match lies {
        Lies::Nothing if runs => Standing::Lost,
        Lies::Nothing => Standing::Nobody,
        Lies::Other => Standing::NoSocket,
        Lies::Socket(_) if lies == own => {
            let behind = matches!(place.lies(Name::Builtin)?, Lies::Socket(_))
                && place.served(Name::Builtin) == Served::Yes;
            match place.served(Name::Path) {
                Served::Yes => Standing::Ours { behind },
                Served::No | Served::Gone | Served::OtherType => Standing::Left { behind },
                Served::Unsure(error) => Standing::Unsure(error.into()),
            }
        }
        Lies::Socket(_) => match place.served(Name::Path) {
            Served::Yes if runs => Standing::AnotherInFront,
            Served::Yes => Standing::Another,
            Served::No | Served::Gone if runs => Standing::Lost,
            Served::No | Served::Gone => Standing::Nobody,
            Served::OtherType => Standing::NoSocket,
            Served::Unsure(error) => Standing::Unsure(error.into()),
        },
    })
}

impl Standing {
    /// It in one line: `PATH: served by wpkd, ...`.
    pub fn told(&self, path: &Path, names: Names) -> String {
        let Names { us, them } = names;
        let mut line = format!("{}: ", path.display());
        let _ = match self {
            Self::Nobody => write!(line, "nobody serves it"),
            Self::Ours { .. } => write!(line, "served by {us}"),
            Self::Left { .. } => write!(line, "nobody serves it, a killed {us} left it"),
            Self::Another => write!(line, "served by {them} or another program than {us}"),
            Self::AnotherInFront => {
                write!(
                    line,
                    "served by {them} or another program, though {us} runs"
                )
            }
            Self::Lost => write!(line, "nobody serves it, though {us} runs"),
            Self::NoSocket => write!(line, "is no socket of this type"),
            Self::Unsure(error) => write!(line, "it cannot be told who serves it: {error}"),
        };
        if let Self::Ours { behind: true } | Self::Left { behind: true } = self {
            let _ = write!(
                line,
                ", {them} is behind it at {}",
                builtin_path(path).display()
            );
        }
        line
    }
}
