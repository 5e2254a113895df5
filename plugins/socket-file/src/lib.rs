//! The file of a listening Unix socket: put into place with exact rights, kept
//! there, and taken away at the end; beside a Wazuh 4.x manager or agent also
//! taken over from its own module and given back (PROTOCOL.md, section 14).
//!
//! Whoever serves a socket (the `unix-socket` source, `wpk-agent`) enters through
//! [`SocketFile::open`], awaits [`SocketFile::kept`] while it accepts, and calls
//! [`SocketFile::give_back`] when it stops. After a kill [`give_back`] does the last
//! step from outside; [`standing`] says who serves a path, for checks.
//!
//! # The names
//! Of a socket `upgrade` there are up to three names in its folder:
//!
//! | name | what it is |
//! | --- | --- |
//! | `upgrade` | where clients come: a second name (hard link) of ours, or somebody else's socket |
//! | `.upgrade.wpk` | ours, from its birth to its end. Somebody listens there: a program of ours runs |
//! | `.upgrade.builtin` | the socket of the built-in module, pushed aside; it goes on listening |
//!
//! Ours listens before it gets its place, and gets it in one atomic step: by a link
//! where nothing lies, by an exchange of two names where something does. What came
//! out of an exchange is looked at afterwards, so nothing that came in between is
//! lost. And as `.upgrade.wpk` keeps the file alive, no other file can have its
//! inode: "is that one ours" is never a guess, also after a kill.
//!
//! [`LocalStream`] is a connection over such a socket, from either side.

mod bind;
mod error;
mod give_back;
mod group;
mod keep;
mod names;
mod place;
mod socket_file;
mod standing;
mod stream;
mod take;
mod unread;
mod watch;

pub use error::SocketError;
pub use give_back::{GivenBack, give_back};
pub use group::group_id;
pub use keep::Kept;
pub use names::Names;
pub use place::{builtin_path, own_path};
pub use socket_file::{SocketFile, Wanted};
pub use standing::{Standing, standing};
pub use stream::LocalStream;
