//! What happened to each task, step by step.

use rusqlite::{Connection, params};
use wpk_api::{LONGEST_TIMELINE, TaskId, TimelineEntry, TimelineStep};

use crate::fault::Fault;
use crate::read;
use crate::statement::prepared;

/// Adds an entry; the oldest of the task make room.
pub(crate) fn add(connection: &Connection, id: TaskId, entry: &TimelineEntry) -> Result<(), Fault> {
    let json = serde_json::to_string(entry).map_err(|error| {
        Fault::Nonsense(format!("a step of task {id} cannot be stored: {error}"))
    })?;
    prepared(
        connection,
        "INSERT INTO WPKD_TIMELINE (TASK_ID, ENTRY) \
         SELECT TASK_ID, ?2 FROM TASKS WHERE TASK_ID = ?1",
    )?
    .execute(params![id.0, json])?;
    // One entry, the creation, stands in the task itself.
    prepared(
        connection,
        "DELETE FROM WPKD_TIMELINE WHERE TASK_ID = ?1 AND ENTRY_ID <= (\
             SELECT ENTRY_ID FROM WPKD_TIMELINE WHERE TASK_ID = ?1 \
             ORDER BY ENTRY_ID DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![id.0, LONGEST_TIMELINE as i64 - 1])?;
    Ok(())
}

/// See [`wpk_api::TaskStore::note`].
pub(crate) fn note(
    connection: &Connection,
    entries: &[(TaskId, TimelineEntry)],
) -> Result<(), Fault> {
    entries
        .iter()
        .try_for_each(|(id, entry)| add(connection, *id, entry))
}

/// See [`wpk_api::TaskStore::timeline`].
pub(crate) fn of(connection: &Connection, id: TaskId) -> Result<Vec<TimelineEntry>, Fault> {
    let Some(task) = read::by_id(connection, id)? else {
        return Ok(Vec::new());
    };
    let mut entries = vec![TimelineEntry::new(task.created, TimelineStep::Created)];
    let mut stored = prepared(
        connection,
        "SELECT ENTRY FROM WPKD_TIMELINE WHERE TASK_ID = ?1 ORDER BY ENTRY_ID",
    )?;
    let rows = stored.query_map([id.0], |row| Ok(read::text(row.get_ref(0)?)))?;
    for row in rows {
        // What a later version wrote and this one cannot read is left out.
        let entry = row?.and_then(|json| serde_json::from_str(&json).ok());
        entries.extend(entry);
    }
    Ok(entries)
}
