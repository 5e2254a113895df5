//! The enrolled agents on disk: one SQLite file of mode 0600. Only the registry
//! enters; it holds everything in memory and writes changes here.

mod ends;
mod tokens;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Row, params};
use wpk_api::{AgentId, Labels, Platform, UnixTime};
use wpk_sqlite_file::{Moved, Place};

use crate::files;
use crate::record::{Next, Record};

pub(crate) use ends::ends_in;
pub(crate) use tokens::{KEPT_TOKENS, MOST_TOKENS, Token, TokenId};

/// `user_version` of the layout below.
const LAYOUT: i64 = 4;

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

/// From layout 1 to 2. A new file takes both steps, so that both are alike.
const TO_2: &str = "
    ALTER TABLE agents ADD COLUMN removed INTEGER;
    ALTER TABLE agents ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE agents ADD COLUMN address TEXT;
    ALTER TABLE agents ADD COLUMN certificate_end INTEGER;
    PRAGMA user_version = 2;
";

/// From layout 2 to 3.
const TO_3: &str = "
    CREATE TABLE tokens (
        id BLOB PRIMARY KEY CHECK (length(id) = 8),
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        left INTEGER NOT NULL CHECK (left >= 0),
        revoked INTEGER,
        labels TEXT NOT NULL
    ) WITHOUT ROWID;
    PRAGMA user_version = 3;
";

/// From layout 3 to 4.
const TO_4: &str = "
    ALTER TABLE agents ADD COLUMN issuer BLOB;
    ALTER TABLE agents ADD COLUMN next_fingerprint BLOB;
    ALTER TABLE agents ADD COLUMN next_end INTEGER;
    ALTER TABLE agents ADD COLUMN next_issuer BLOB;
    ALTER TABLE agents ADD COLUMN renews INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE agents ADD COLUMN trusts TEXT NOT NULL DEFAULT '';
    PRAGMA user_version = 4;
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
    #[error("the enrolment token has no use left")]
    Token,
    #[error("agent id {0} is out of range")]
    Id(i64),
    #[error("the labels of agent {0} cannot be read: {1}; put the file back from a backup")]
    Labels(AgentId, serde_json::Error),
    #[error("no agent id is left: ids end at 2147483647")]
    NoIdLeft,
}

/// The open file.
pub(crate) struct Database {
    connection: Connection,
    /// Looked at before anything is written.
    place: Place,
    /// No id up to this one is given out.
    used: i64,
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
        let layout = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let steps = match layout {
            0 => &[TABLES, TO_2, TO_3, TO_4][..],
            1 => &[TO_2, TO_3, TO_4],
            2 => &[TO_3, TO_4],
            3 => &[TO_4],
            LAYOUT => &[],
            other => return Err(DatabaseError::Layout(other)),
        };
        for step in steps {
            transaction.execute_batch(step)?;
        }
        transaction.commit()?;
        let place = Place::of(path)?;
        Ok(Self {
            connection,
            place,
            used: 0,
        })
    }

    /// This id was given out once, whatever the file says.
    pub(crate) fn used(&mut self, id: AgentId) {
        self.used = self.used.max(id.into());
    }

    /// Every agent ever enrolled, ascending by id.
    pub(crate) fn load(&self) -> Result<Vec<Record>, DatabaseError> {
        self.load_page(0, usize::MAX)
    }

    /// Up to `limit` of them above an id.
    pub(crate) fn load_page(&self, after: i64, limit: usize) -> Result<Vec<Record>, DatabaseError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(
            "SELECT id, name, fingerprint, revoked, platform, os_version, os_major, os_minor,
                    os_arch, version, last_seen, enrolled, removed, address, certificate_end,
                    labels, issuer, next_fingerprint, next_end, next_issuer, renews, trusts
             FROM agents WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let rows = statement.query_map([after, limit], |row| {
            Ok((row.get(0)?, row.get(15)?, record(row)?))
        })?;
        rows.map(|row| {
            let (id, labels, mut record): (i64, String, Record) = row?;
            record.id = AgentId::new(id).map_err(|_| DatabaseError::Id(id))?;
            record.labels = serde_json::from_str(&labels)
                .map_err(|error| DatabaseError::Labels(record.id, error))?;
            Ok(record)
        })
        .collect()
    }

    /// Adds an agent: `make` gets its id and says who it is. With a token one use of it
    /// goes; where none is left nothing is added.
    pub(crate) fn insert<E: From<DatabaseError>>(
        &mut self,
        at: UnixTime,
        token: Option<&TokenId>,
        make: impl FnOnce(AgentId) -> Result<Record, E>,
    ) -> Result<Record, E> {
        let sqlite = |error| E::from(DatabaseError::Sqlite(error));
        self.place.check().map_err(DatabaseError::Moved)?;
        // Nobody else writes: who changes agents holds this.
        let last = self.last_id().map_err(E::from)?;
        let transaction = self.connection.transaction().map_err(sqlite)?;
        let id = AgentId::new(last + 1).map_err(|_| DatabaseError::NoIdLeft)?;
        let record = make(id)?;
        if let Some(token) = token {
            use_one(&transaction, token, at)?;
        }
        transaction
            .execute(
                "INSERT INTO agents (id, name, fingerprint, enrolled, certificate_end, labels,
                        issuer, trusts)
                 VALUES (?1, ?2, ?3, ?4,
        coalesce(?5, (SELECT revoked FROM agents WHERE id = ?1 AND enrolled = ?4)), ?6, ?7, ?8)",
                params![
                    i64::from(id),
                    record.name,
                    record.fingerprint,
                    at,
                    record.certificate_end,
                    as_json(&record.labels),
                    record.issuer,
                    record.trusts.join(" "),
                ],
            )
            .map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        Ok(record)
    }

    /// Writes agents that are there as they are now, all or nothing.
    pub(crate) fn put(&mut self, records: &[Record]) -> Result<(), DatabaseError> {
        self.write(PUT, records)
    }

    /// The same for agents as somebody else knows them: one that is not there is added, and
    /// one that has the name or the certificate of another takes its place, which is then
    /// known by other ones and comes as well.
    pub(crate) fn copy(&mut self, records: &[Record]) -> Result<(), DatabaseError> {
        self.write(COPY, records)
    }

    fn write(&mut self, sql: &str, records: &[Record]) -> Result<(), DatabaseError> {
        if records.is_empty() {
            return Ok(());
        }
        self.place.check()?;
        let transaction = self.connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(sql)?;
            for record in records {
                statement.execute(params![
                    i64::from(record.id),
                    record.name,
                    record.fingerprint,
                    record.enrolled,
                    record.revoked,
                    // Nobody asks when.
                    record.removed.then_some(record.revoked),
                    record.platform.name,
                    record.os_version,
                    record.platform.major,
                    record.platform.minor,
                    record.platform.arch,
                    record.version,
                    record.last_seen,
                    record.address,
                    record.certificate_end,
                    as_json(&record.labels),
                    record.issuer,
                    record.next.as_ref().map(|next| next.fingerprint),
                    record.next.as_ref().map(|next| next.end),
                    record.next.as_ref().map(|next| next.issuer),
                    record.renews,
                    record.trusts.join(" "),
                ])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// How many agents are enrolled.
    pub(crate) fn enrolled(&self) -> Result<i64, DatabaseError> {
        let sql = "SELECT count(*) FROM agents WHERE revoked IS NULL";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// Who was revoked, ascending, and when each had been enrolled: the same id may be
    /// another agent's where a store was put back from a backup.
    pub(crate) fn revoked(&self) -> Result<Vec<(AgentId, UnixTime)>, DatabaseError> {
        let sql = "SELECT id, enrolled FROM agents WHERE revoked IS NOT NULL ORDER BY id";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (id, enrolled): (i64, UnixTime) = row?;
            let id = AgentId::new(id).map_err(|_| DatabaseError::Id(id))?;
            Ok((id, enrolled))
        })
        .collect()
    }

    /// Forgets all agents and tokens: they are those of a registry that is left.
    pub(crate) fn clear(&mut self) -> Result<(), DatabaseError> {
        self.place.check()?;
        self.connection
            .execute_batch("BEGIN; DELETE FROM agents; DELETE FROM tokens; COMMIT")?;
        self.used = 0;
        Ok(())
    }

    /// Forgets the tokens: they are kept elsewhere now.
    pub(crate) fn forget_tokens(&mut self) -> Result<(), DatabaseError> {
        self.place.check()?;
        self.connection.execute("DELETE FROM tokens", [])?;
        Ok(())
    }

    /// The highest id that was ever given out.
    pub(crate) fn last_id(&self) -> Result<i64, DatabaseError> {
        let last = self
            .connection
            .query_row("SELECT max(id) FROM agents", [], |row| {
                row.get::<_, Option<i64>>(0)
            })?;
        Ok(last.unwrap_or(0).max(self.used))
    }
}

/// All that is written of an agent that is there.
const PUT: &str = "UPDATE agents SET name = ?2, fingerprint = ?3, enrolled = ?4, revoked = ?5,
        removed = ?6, platform = ?7, os_version = ?8, os_major = ?9, os_minor = ?10,
        os_arch = ?11, version = ?12, last_seen = ?13, address = ?14, certificate_end = ?15,
        labels = ?16, issuer = ?17, next_fingerprint = ?18, next_end = ?19, next_issuer = ?20,
        renews = ?21, trusts = ?22
    WHERE id = ?1";

/// Nobody who was revoked is enrolled again under the same id.
const COPY: &str = "INSERT OR REPLACE INTO agents (id, name, fingerprint, enrolled, revoked,
        removed, platform, os_version, os_major, os_minor, os_arch, version, last_seen, address,
        certificate_end, labels, issuer, next_fingerprint, next_end, next_issuer, renews, trusts)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
        ?19, ?20, ?21, ?22)";

/// Takes one use of a token that is good.
fn use_one(connection: &Connection, id: &TokenId, now: UnixTime) -> Result<(), DatabaseError> {
    let changed = connection.execute(
        "UPDATE tokens SET left = left - 1
         WHERE id = ?1 AND left > 0 AND revoked IS NULL AND expires > ?2",
        params![id, now],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(DatabaseError::Token)
    }
}

fn as_json(labels: &Labels) -> String {
    serde_json::json!(labels).to_string()
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        // The caller checks and puts in the id.
        id: AgentId::MANAGER,
        name: row.get(1)?,
        fingerprint: row.get(2)?,
        revoked: row.get(3)?,
        enrolled: row.get(11)?,
        removed: row.get::<_, Option<i64>>(12)?.is_some(),
        address: row.get(13)?,
        certificate_end: row.get(14)?,
        issuer: row.get(16)?,
        next: match (row.get(17)?, row.get(18)?, row.get(19)?) {
            (Some(fingerprint), Some(end), Some(issuer)) => Some(Next {
                fingerprint,
                end,
                issuer,
            }),
            _ => None,
        },
        renews: row.get(20)?,
        trusts: (row.get::<_, String>(21)?.split_whitespace())
            .map(str::to_owned)
            .collect(),
        // And the labels.
        labels: Labels::new(),
        platform: Platform {
            name: row.get(4)?,
            major: row.get(6)?,
            minor: row.get(7)?,
            arch: row.get(8)?,
        },
        os_version: row.get(5)?,
        version: row.get(9)?,
        last_seen: row.get(10)?,
        node: None,
        connected: false,
    })
}
