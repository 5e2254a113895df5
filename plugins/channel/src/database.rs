//! The enrolled agents on disk: one SQLite file of mode 0600. Only the registry
//! enters; it holds everything in memory and writes changes here.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{AgentId, Platform, UnixTime};
use wpk_sqlite_file::{Moved, Place};

use crate::files;
use crate::record::Record;

/// `user_version` of the layout below.
const LAYOUT: i64 = 1;

/// Rows are never deleted: that an id and a certificate were once given out
/// must not be forgotten.
const TABLES: &str = "
    CREATE TABLE agents (
        id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 2147483647),
        name TEXT NOT NULL,
        fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
        enrolled INTEGER NOT NULL,
        revoked INTEGER,
        platform TEXT, os_version TEXT, os_major TEXT, os_minor TEXT, os_arch TEXT,
        version TEXT,
        last_seen INTEGER
    );
    CREATE UNIQUE INDEX agents_by_name ON agents (name) WHERE revoked IS NULL;
    PRAGMA user_version = 1;
";

/// The file is not there, not ours or not to be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Moved(#[from] Moved),
    #[error(
        "its layout is {0}, this version knows {LAYOUT}: update wpkd, or use the file that belongs to this version"
    )]
    Layout(i64),
    #[error("agent id {0} is out of range")]
    Id(i64),
    #[error("no agent id is left: ids end at 2147483647")]
    NoIdLeft,
}

/// The open file.
pub(crate) struct Database {
    connection: Connection,
    /// Looked at before anything is written.
    place: Place,
}

impl Database {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        if let Some(folder) = path.parent() {
            files::private_folder(folder)?;
        }
        // SQLite gives its side files the mode of the file it finds.
        files::private_file(path)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction()?;
        match transaction.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0 => transaction.execute_batch(TABLES)?,
            LAYOUT => {}
            other => return Err(DatabaseError::Layout(other)),
        }
        transaction.commit()?;
        let place = Place::of(path)?;
        Ok(Self { connection, place })
    }

    /// Every agent ever enrolled, ascending by id.
    pub(crate) fn load(&self) -> Result<Vec<Record>, DatabaseError> {
        let mut statement = self.connection.prepare(
            "SELECT id, name, fingerprint, revoked, platform, os_version, os_major, os_minor,
                    os_arch, version, last_seen
             FROM agents ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, record(row)?)))?;
        rows.map(|row| {
            let (id, mut record): (i64, Record) = row?;
            record.id = AgentId::new(id).map_err(|_| DatabaseError::Id(id))?;
            Ok(record)
        })
        .collect()
    }

    /// Adds an agent: `make` gets its id and says who it is.
    pub(crate) fn insert<E: From<DatabaseError>>(
        &mut self,
        at: UnixTime,
        make: impl FnOnce(AgentId) -> Result<Record, E>,
    ) -> Result<Record, E> {
        let sqlite = |error| E::from(DatabaseError::Sqlite(error));
        self.place.check().map_err(DatabaseError::Moved)?;
        let transaction = self.connection.transaction().map_err(sqlite)?;
        let last: Option<i64> = transaction
            .query_row("SELECT max(id) FROM agents", [], |row| row.get(0))
            .optional()
            .map_err(sqlite)?
            .flatten();
        let id = AgentId::new(last.unwrap_or(0) + 1).map_err(|_| DatabaseError::NoIdLeft)?;
        let record = make(id)?;
        transaction
            .execute(
                "INSERT INTO agents (id, name, fingerprint, enrolled) VALUES (?1, ?2, ?3, ?4)",
                params![i64::from(id), record.name, record.fingerprint, at],
            )
            .map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        Ok(record)
    }

    /// Writes what agents said of themselves, all or nothing.
    pub(crate) fn update(&mut self, records: &[Record]) -> Result<(), DatabaseError> {
        self.place.check()?;
        let transaction = self.connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(
                "UPDATE agents SET platform = ?2, os_version = ?3, os_major = ?4, os_minor = ?5,
                        os_arch = ?6, version = ?7, last_seen = ?8
                 WHERE id = ?1",
            )?;
            for record in records {
                statement.execute(params![
                    i64::from(record.id),
                    record.platform.name,
                    record.os_version,
                    record.platform.major,
                    record.platform.minor,
                    record.platform.arch,
                    record.version,
                    record.last_seen,
                ])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Remembers that an agent's certificate is no longer good.
    pub(crate) fn revoke(&mut self, id: AgentId, at: UnixTime) -> Result<(), DatabaseError> {
        self.place.check()?;
        self.connection.execute(
            "UPDATE agents SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL",
            params![i64::from(id), at],
        )?;
        Ok(())
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        // The caller checks and puts in the id.
        id: AgentId::MANAGER,
        name: row.get(1)?,
        fingerprint: row.get(2)?,
        revoked: row.get::<_, Option<i64>>(3)?.is_some(),
        platform: Platform {
            name: row.get(4)?,
            major: row.get(6)?,
            minor: row.get(7)?,
            arch: row.get(8)?,
        },
        os_version: row.get(5)?,
        version: row.get(9)?,
        last_seen: row.get(10)?,
    })
}
