//! Which run of a daemon has the file. It is one daemon's (`lock`), so nobody holds a name
//! against another: whoever enters is the newest, and what an older one still writes is
//! refused.

use rusqlite::{Connection, OptionalExtension, params};
use wpk_api::{Entry, Incarnation, TaskId, UnixTime};

use crate::fault::Fault;
use crate::statement::prepared;

/// An open store, as the entry that it is.
#[derive(Debug, Clone)]
pub(crate) struct Mine {
    pub(crate) node: String,
    pub(crate) incarnation: Incarnation,
}

/// The name under which a store was entered.
pub(crate) fn node(mine: Option<&Mine>) -> Option<&str> {
    mine.map(|mine| mine.node.as_str())
}

/// See [`wpk_api::TaskStore::enter`].
pub(crate) fn enter(connection: &Connection, entry: &Entry) -> Result<Mine, Fault> {
    let holder = &entry.holder;
    // The key is counted on for ever; the newest row is enough to see who was here.
    prepared(
        connection,
        "INSERT INTO WPKD_ENTRIES (NODE, HOST, PROCESS, ENTERED) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![entry.node, holder.host, holder.process, now()])?;
    let incarnation = connection.last_insert_rowid();
    prepared(
        connection,
        "DELETE FROM WPKD_ENTRIES WHERE INCARNATION < ?1",
    )?
    .execute([incarnation])?;
    Ok(Mine {
        node: entry.node.clone(),
        incarnation: incarnation.unsigned_abs(),
    })
}

/// Refuses whoever is not the newest entry; one that never entered is not asked.
pub(crate) fn fence(connection: &Connection, mine: Option<&Mine>) -> Result<(), Fault> {
    let Some(mine) = mine else { return Ok(()) };
    let newest = prepared(
        connection,
        "SELECT INCARNATION, NODE FROM WPKD_ENTRIES ORDER BY INCARNATION DESC LIMIT 1",
    )?
    .query_row([], |row| {
        Ok((
            row.get::<_, i64>(0)?.unsigned_abs(),
            row.get::<_, String>(1)?,
        ))
    })
    .optional()?;
    match newest {
        Some((incarnation, node)) if incarnation > mine.incarnation => Err(Fault::Fenced(format!(
            "another daemon entered as {node} after this one; two must not have one file"
        ))),
        _ => Ok(()),
    }
}

/// See [`wpk_api::TaskStore::begun`].
pub(crate) fn begun(connection: &Connection, id: TaskId) -> Result<Option<Incarnation>, Fault> {
    let found = prepared(
        connection,
        "SELECT ifnull(BEGUN_IN, 0) FROM WPKD_ORDERS \
         WHERE TASK_ID = ?1 AND INSTALLER_BEGUN IS NOT NULL",
    )?
    .query_row([id.0], |row| row.get::<_, i64>(0))
    .optional()?;
    Ok(found.map(i64::unsigned_abs))
}

/// The time for what is written down without a caller's: this machine's.
pub(crate) fn now() -> UnixTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs().cast_signed())
}
