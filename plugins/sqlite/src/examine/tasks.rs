//! What the tasks themselves tell: that the clock was set, or that this daemon had
//! another name when it took them.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use wpk_api::examine::Check;

use crate::fault::Fault;

/// Seconds by which a time may be ahead of the clock: others write here as well.
const AHEAD: i64 = 10 * 60;
/// Nodes that are named.
const SHOWN: usize = 3;

/// Whether the newest time in the table lies ahead of this machine's clock.
pub(super) fn ahead(connection: &Connection) -> Result<Option<Check>, Fault> {
    let newest: i64 = connection.query_row(
        "SELECT ifnull(max(max(ifnull(CREATE_TIME, 0), ifnull(LAST_UPDATE_TIME, 0))), 0) \
         FROM TASKS",
        [],
        |row| row.get(0),
    )?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let ahead = newest.saturating_sub(now);
    Ok((ahead > AHEAD).then(|| {
        let detail = format!(
            "the newest time among the tasks is {} ahead of this machine's clock",
            span(ahead)
        );
        let advice = "set the clock right; tasks that an earlier run left are judged by it";
        Check::warning("task times", detail, advice)
    }))
}

/// Days, hours or minutes.
fn span(seconds: i64) -> String {
    match seconds {
        86_400.. => format!("{} d", seconds / 86_400),
        3_600.. => format!("{} h", seconds / 3_600),
        _ => format!("{} min", seconds / 60),
    }
}

/// Whether tasks wait that this daemon took under another name.
pub(super) fn elsewhere(connection: &Connection, node: &str) -> Result<Option<Check>, Fault> {
    let ours = "SELECT EXISTS (SELECT 1 FROM sqlite_schema \
                WHERE type = 'table' AND name = 'WPKD_ORDERS')";
    if !connection.query_row(ours, [], |row| row.get(0))? {
        return Ok(None);
    }
    let mut statement = connection.prepare(
        "SELECT ifnull(t.NODE, ''), count(*) FROM TASKS t \
         JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID \
         WHERE t.STATUS IN ('Pending', 'In progress') AND o.TASK_ORDER IS NOT NULL \
         AND o.INSTALLER_BEGUN IS NULL AND t.NODE <> ?1 GROUP BY 1 ORDER BY 2 DESC, 1",
    )?;
    let found: Vec<(String, i64)> = statement
        .query_map(params![node], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(None);
    }
    let tasks: i64 = found.iter().map(|(_, count)| count).sum();
    let names: Vec<_> = found.iter().map(|(name, _)| format!("{name:?}")).collect();
    let shown = names.get(..SHOWN).unwrap_or(&names).join(", ");
    let detail = format!(
        "{tasks} tasks wait for the node {shown}, and this one is {node:?}: nobody carries them out"
    );
    let advice = "give the node its name back with node.name until they have ended";
    Ok(Some(Check::warning("waiting tasks", detail, advice)))
}
