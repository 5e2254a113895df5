//! The embedded task store: one SQLite file, the one a 4.x manager keeps
//! (PROTOCOL.md, section 3), with tables of our own beside its table.
//!
//! The engine enters through [`SqliteStore`], which implements
//! [`wpk_api::TaskStore`]; the daemon makes one from its settings through
//! [`plugin`]. Inside, one thread owns the only writing connection and
//! commits what is waiting in one go (`worker`); a few threads with
//! read-only connections answer questions and, since the file is in WAL mode,
//! never wait for the writer; short questions need no thread at all (`near`).
//!
//! A call that writes returns when its commit is on the disk (`synchronous = FULL`: with a log
//! that is one flush for each commit, which takes along all that waited). `NORMAL` would lose
//! the last commits with the power, and `EXTRA` differs only without a log.
//!
//! In the folder lie the file itself, `-wal` and `-shm` beside it while it is in use (the log,
//! and the index of it, both SQLite's), and `.owner`, which is locked by who has it. 1 MiB of
//! the file is a row that holds nothing, and as much of the disk is kept for the log: with it
//! tasks can end on a disk that is full (`reserve`).
//!
//! One file per concern: `settings` (the section of the configuration),
//! `open` (files and connections), `adopt` (the file of the first release), `reserve` (room for a disk that is full), `schema` (tables, and what another
//! program may have left in them), `worker` (threads and transactions),
//! `read`, `create` and `many` (tasks come), `rows` (tasks go) and `moves` (the statements,
//! prepared by `statement`), `imports` (tasks of other programs), `timeline`, `feed` (changes and their
//! readers), `entries` (which run of a daemon has the file), `orphans` (tasks of a former
//! name), `documents` and `fenced` (what is
//! kept beside tasks, and the tasks made for it), `fault` (errors),
//! `examine` (what the doctor is told), `store`.

mod adopt;
mod attempts;
mod create;
mod documents;
mod entries;
mod examine;
mod fault;
mod feed;
mod fenced;
mod history;
mod imports;
mod lock;
mod many;
mod moves;
mod near;
mod newest;
mod open;
mod opened;
mod orphans;
#[cfg(test)]
mod plans;
mod read;
mod reserve;
mod rows;
mod schema;
mod settings;
mod statement;
mod store;
mod timeline;
mod worker;

pub use opened::SqliteStore;
pub use settings::{Settings, plugin};
