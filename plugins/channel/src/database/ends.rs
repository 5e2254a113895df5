//! When agents' certificates end, read out of a registry that another process has open.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use wpk_api::{AgentId, UnixTime};

use super::DatabaseError;

/// Agents whose certificate ends after `now` and within `soon` seconds, or, of those that
/// renew theirs, within `overdue`; with its end, ascending by id. Nothing is written; of a
/// file of an earlier layout, or where there is none, nobody.
pub(crate) fn ends_in(
    path: &Path,
    now: UnixTime,
    soon: i64,
    overdue: i64,
) -> Result<Vec<(AgentId, UnixTime)>, DatabaseError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let connection = match Path::new(&log).exists() {
        true => Connection::open_with_flags(path, flags)?,
        // Nobody has it open: no side file must be made beside it.
        false => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable(path), flags)?
        }
    };
    connection.busy_timeout(Duration::from_secs(1))?;
    let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if layout < 4 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(
        "SELECT id, certificate_end FROM agents
         WHERE revoked IS NULL AND next_fingerprint IS NULL AND certificate_end > ?1
           AND certificate_end < ?1 + CASE WHEN renews THEN ?3 ELSE ?2 END
         ORDER BY id",
    )?;
    let rows = statement.query_map([now, soon, overdue], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (id, end): (i64, UnixTime) = row?;
        Ok((AgentId::new(id).map_err(|_| DatabaseError::Id(id))?, end))
    })
    .collect()
}

/// The file as SQLite's URI.
fn immutable(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}
