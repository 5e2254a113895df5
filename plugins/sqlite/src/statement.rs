//! How statements are prepared and simple answers read, for all files that hold
//! some.

use rusqlite::{CachedStatement, Connection};
use wpk_api::TaskId;

use crate::fault::Fault;

/// A statement that is kept for the next time.
pub(crate) fn prepared<'c>(
    connection: &'c Connection,
    sql: &str,
) -> Result<CachedStatement<'c>, Fault> {
    Ok(connection.prepare_cached(sql)?)
}

/// The ids that a statement finds, in its order.
pub(crate) fn ids(
    statement: &mut rusqlite::Statement<'_>,
    parameters: impl rusqlite::Params,
) -> Result<Vec<TaskId>, Fault> {
    let rows = statement.query_map(parameters, |row| row.get(0).map(TaskId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
