//! Whether those who read the feed of changes come along: an observer that is locked
//! out or broken shows tasks as they were.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Row};
use wpk_api::examine::Check;

use crate::fault::Fault;

/// Seconds that a reader may be behind: a manager's database daemon keeps its table
/// locked for a minute.
const BEHIND: i64 = 5 * 60;

/// A reader, what it has not read, and since when that waits.
const UNREAD: &str = "SELECT r.NAME, count(*), min(nullif(max(ifnull(c.LAST_UPDATE_TIME, 0), \
        ifnull(t.CREATE_TIME, 0)), 0)) \
    FROM WPKD_READERS r JOIN WPKD_CHANGES c ON c.REVISION > r.PLACE \
    LEFT JOIN TASKS t ON t.TASK_ID = c.TASK_ID GROUP BY r.NAME ORDER BY r.NAME";

/// A warning for each reader that is behind.
pub(super) fn behind(connection: &Connection) -> Result<Vec<Check>, Fault> {
    let ours = "SELECT EXISTS (SELECT 1 FROM sqlite_schema \
                WHERE type = 'table' AND name = 'WPKD_READERS')";
    if !connection.query_row(ours, [], |row| row.get(0))? {
        return Ok(Vec::new());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let mut statement = connection.prepare(UNREAD)?;
    let unread = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows = statement.query_map([], unread)?;
    let rows: Vec<(String, i64, Option<i64>)> = rows.collect::<Result<_, _>>()?;
    let late = rows.into_iter().filter_map(|(name, changes, oldest)| {
        let since = now.saturating_sub(oldest?);
        (since > BEHIND).then(|| {
            let detail = format!(
                "{name:?} has not heard of {changes} changes of tasks, for {} min",
                since / 60
            );
            let advice = "look for it in the log of wpkd; its list of tasks is behind, the tasks \
                          themselves are not. If there is no such [[observer]] any more, nothing \
                          is amiss";
            Check::warning("observer", detail, advice)
        })
    });
    Ok(late.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_minutes_behind_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        drop(crate::SqliteStore::open(&file).unwrap());
        let connection = Connection::open(&file).unwrap();
        let said = || behind(&connection).unwrap();
        assert!(said().is_empty());
        connection
            .execute_batch(
                "INSERT INTO TASKS (AGENT_ID, CREATE_TIME, STATUS) VALUES (1, 1000, 'Done');
                 INSERT INTO WPKD_CHANGES (TASK_ID, STATUS, LAST_UPDATE_TIME)
                     VALUES (1, 'Pending', NULL), (1, 'Done', 1005);
                 INSERT INTO WPKD_READERS VALUES ('mirror', 1), ('audit', 2);",
            )
            .unwrap();
        let checks = said();
        assert_eq!(checks.len(), 1, "{checks:?}");
        assert!(
            checks[0]
                .detail
                .starts_with("\"mirror\" has not heard of 1 change")
        );
        let now = "UPDATE TASKS SET CREATE_TIME = unixepoch(); \
                   UPDATE WPKD_CHANGES SET LAST_UPDATE_TIME = unixepoch();";
        connection.execute_batch(now).unwrap();
        assert!(said().is_empty(), "it may be a minute behind");
    }
}
