//! Room for the outcomes of running tasks on a disk that is full. `worker` enters.
//!
//! Two things are needed for a task to end there. The log must have been put back into the
//! file, so that its space is used again: the file therefore has room on the disk for all
//! its pages before a transaction with new ones is committed ([`Reserve::back`]). And there must
//! be pages for what is written: a row of the table `WPKD_RESERVE` holds [`KEPT`] bytes of
//! them, which are let go when there is no other room ([`Reserve::let_go`]). Until the row
//! is there again nothing new is accepted ([`Reserve::keep`]). A file system that writes
//! elsewhere what is overwritten needs room for that, which nobody can keep here.
//!
//! A release that knows nothing of this has a table more, and the pages of a file that is
//! longer than they are: SQLite knows such files, and cuts them when it likes.

use std::cell::Cell;
use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Error, Transaction, TransactionBehavior, ffi};
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

use crate::fault::Fault;
use crate::statement::prepared;

/// Bytes that are kept in the file, and in its log: outcomes of some thousand tasks.
const KEPT: u32 = 1 << 20;
/// Bytes that the file grows by at least, so that not every commit asks for some.
const STEP: u64 = 256 << 10;

/// What is kept.
pub(crate) struct Reserve {
    /// The file, and the bytes of a page; `None` where its room cannot be asked for. It stays
    /// open for as long as SQLite has it: to close it would drop SQLite's locks.
    file: Option<(File, u64)>,
    /// Whether the row is there.
    is_kept: Cell<bool>,
}

impl Reserve {
    /// Looks what is kept in the file that `connection` writes, and keeps what is not yet. A
    /// disk that is full already is told; nothing new is accepted then.
    pub(crate) fn open(connection: &Connection, file: &Path) -> Self {
        let reserve = Self {
            file: pages(connection, file)
                .inspect_err(|error| tracing::debug!(%error, "no room is asked for"))
                .ok(),
            is_kept: Cell::new(false),
        };
        if let Err(fault) = reserve.first(connection) {
            let error = fault.at(file);
            tracing::warn!(%error, "no room can be kept for the outcomes of tasks");
        }
        // As far as the file system can; without it the log has what it came to by itself.
        if let Err(error) = lengthen_log(file) {
            tracing::debug!(%error, "no room is kept for the log of the task store");
        }
        reserve
    }

    fn first(&self, connection: &Connection) -> Result<(), Fault> {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        self.keep(&transaction)?;
        self.back(&transaction)?;
        transaction.commit()?;
        self.kept();
        Ok(())
    }

    /// In a transaction with something new: keeps what was let go.
    pub(crate) fn keep(&self, connection: &Connection) -> Result<(), Fault> {
        if self.is_kept.get() {
            return Ok(());
        }
        prepared(
            connection,
            "INSERT INTO WPKD_RESERVE (ROOM) SELECT zeroblob(?1) \
             WHERE NOT EXISTS (SELECT 1 FROM WPKD_RESERVE)",
        )?
        .execute([KEPT])?;
        Ok(())
    }

    /// A transaction that kept it was committed.
    pub(crate) fn kept(&self) {
        self.is_kept.set(true);
    }

    /// Before a commit: the file gets room for all pages that it has then.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn back(&self, connection: &Connection) -> Result<(), Fault> {
        let Some((file, page)) = &self.file else {
            return Ok(());
        };
        let pages = prepared(connection, "PRAGMA page_count")?
            .query_row([], |row| row.get::<_, i64>(0))?
            .unsigned_abs();
        // A file that cannot be looked at is written by SQLite, which says why it cannot.
        let has = file.metadata().map_or(u64::MAX, |data| data.len());
        let lacks = pages.saturating_mul(*page).saturating_sub(has);
        if lacks == 0 {
            return Ok(());
        }
        let grow = |by| fallocate(file, FallocateFlags::empty(), has, by);
        match grow(lacks.max(STEP)).or_else(|_| grow(lacks)) {
            Err(Errno::NOSPC) => Err(no_room(ffi::SQLITE_FULL, "database or disk is full")),
            // As SQLite has it: a limit may be a disk that is about to die.
            Err(Errno::DQUOT | Errno::FBIG) => {
                Err(no_room(ffi::SQLITE_IOERR_WRITE, "disk I/O error"))
            }
            // Another error: the file system cannot do so.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Lets go what is kept; `false` if nothing is, or it cannot be let go.
    pub(crate) fn let_go(&self, connection: &Connection, file: &Path) -> bool {
        if !self.is_kept.get() {
            return false;
        }
        if let Err(error) = connection.execute("DELETE FROM WPKD_RESERVE", []) {
            tracing::debug!(%error, "the room that is kept cannot be let go");
            return false;
        }
        self.is_kept.set(false);
        tracing::warn!(
            file = %file.display(),
            "there is no room to write to: tasks end in that which was kept for it, and no \
             new ones are accepted until there is other room"
        );
        true
    }
}

fn no_room(code: c_int, text: &str) -> Fault {
    Error::SqliteFailure(ffi::Error::new(code), Some(text.to_owned())).into()
}

/// The file, and the bytes of a page.
fn pages(connection: &Connection, file: &Path) -> Result<(File, u64), io::Error> {
    let page = connection
        .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))
        .map_err(io::Error::other)?;
    Ok((open(file)?, page.unsigned_abs()))
}

fn open(file: &Path) -> io::Result<File> {
    (OpenOptions::new().write(true))
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(file)
}

/// Gives the log room beyond its end, which SQLite does not see.
fn lengthen_log(file: &Path) -> io::Result<()> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let log = open(&PathBuf::from(log))?;
    fallocate(&log, FallocateFlags::KEEP_SIZE, 0, u64::from(KEPT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;

    fn connection(file: &Path) -> Connection {
        Connection::open(file).unwrap()
    }

    /// Also by releases that know nothing of the room: SQLite does.
    #[test]
    fn a_file_that_is_longer_than_its_pages_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        drop(SqliteStore::open(&file).unwrap());
        let long = open(&file).unwrap();
        let length = long.metadata().unwrap().len();
        fallocate(&long, FallocateFlags::empty(), length, STEP).unwrap();
        drop(long);
        let look = connection(&file);
        let sound = look.query_row("PRAGMA integrity_check", [], |row| row.get(0));
        assert_eq!(sound, Ok("ok".to_owned()));
        look.execute("INSERT INTO TASKS (AGENT_ID) VALUES (7)", [])
            .unwrap();
        drop(look);
        drop(SqliteStore::open(&file).unwrap());
        let count = "SELECT count(*) FROM TASKS";
        let count = connection(&file).query_row(count, [], |row| row.get(0));
        assert_eq!(count, Ok(1_i64));
    }

    #[test]
    fn what_was_let_go_is_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        drop(SqliteStore::open(&file).unwrap());
        let look = connection(&file);
        let free = || {
            let free = look.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
            free.unwrap()
        };
        let reserve = Reserve::open(&look, &file);
        let before = free();
        assert!(reserve.let_go(&look, &file));
        assert!(!reserve.let_go(&look, &file), "nothing is kept");
        assert!(free() >= before + 250);
        reserve.first(&look).unwrap();
        assert_eq!(free(), before);
    }
}
