//! The questions: statements that read, each on its own and without waiting for anybody.

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use wpk_api::{
    AgentId, Awaiting, Change, Changed, Revision, Task, TaskId, TimelineEntry, TimelineStep,
};

use crate::fault::Fault;
use crate::pool::Sql;
use crate::rows::{columns, task, task_at};

pub(crate) static LATEST: Sql = Sql {
    text: concat!(
        "SELECT u.at, ",
        columns!(),
        " FROM unnest($1::int4[]) WITH ORDINALITY u(agent, at) CROSS JOIN LATERAL (\
             SELECT * FROM @tasks t WHERE t.agent = u.agent ORDER BY t.id DESC LIMIT 1) t"
    ),
    types: &[Type::INT4_ARRAY],
};

pub(crate) static TASKS: Sql = Sql {
    text: concat!(
        "SELECT u.at, ",
        columns!(),
        " FROM unnest($1::int8[]) WITH ORDINALITY u(id, at) JOIN @tasks t ON t.id = u.id"
    ),
    types: &[Type::INT8_ARRAY],
};

pub(crate) static IN_PROGRESS: Sql = Sql {
    text: concat!(
        "SELECT ",
        columns!(),
        " FROM @tasks t WHERE t.status = 'In progress' AND t.id > $1 ORDER BY t.id LIMIT $2"
    ),
    types: &[Type::INT8, Type::INT8],
};

pub(crate) static AWAITING: Sql = Sql {
    text: concat!(
        "SELECT ",
        columns!(),
        ", t.target, (SELECT n.id FROM @tasks n WHERE n.agent = t.agent AND n.id > t.id \
             AND n.begun IS NOT NULL ORDER BY n.id LIMIT 1) \
         FROM @tasks t WHERE t.confirmation = '\"awaited\"' AND t.node = $1 AND t.id > $2 \
         AND t.target IS NOT NULL ORDER BY t.id LIMIT $3"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

pub(crate) static TIMELINE: Sql = Sql {
    text: "SELECT t.created, e.entry FROM @tasks t LEFT JOIN @timeline e ON e.task = t.id \
           WHERE t.id = $1 ORDER BY e.entry_id",
    types: &[Type::INT8],
};

pub(crate) static CHANGES: Sql = Sql {
    text: "SELECT c.task, c.agent, c.node, c.module, c.command, c.created, c.updated, c.status, \
           c.error_msg, c.confirmation, c.revision, c.gone \
           FROM @changes c WHERE c.revision > $1 ORDER BY c.revision LIMIT $2",
    types: &[Type::INT8, Type::INT8],
};

/// Numbers some of the changes that were committed; whether there may be more.
pub(crate) static NUMBER: Sql = Sql {
    text: "SELECT @number_changes()",
    types: &[],
};

pub(crate) static REVISION: Sql = Sql {
    text: "SELECT revision FROM @feed",
    types: &[],
};

pub(crate) static CLOCK: Sql = Sql {
    text: "SELECT floor(extract(epoch FROM clock_timestamp()))::int8",
    types: &[],
};

pub(crate) static BEGUN: Sql = Sql {
    text: "SELECT coalesce(begun_by, 0) FROM @tasks WHERE id = $1 AND begun IS NOT NULL",
    types: &[Type::INT8],
};

pub(crate) static PLACE: Sql = Sql {
    text: "SELECT place FROM @readers WHERE node = $1 AND name = $2",
    types: &[Type::TEXT, Type::TEXT],
};

/// Agents as the database numbers them.
pub(crate) fn agents(agents: &[AgentId]) -> Vec<i32> {
    let number = |agent: &AgentId| i32::try_from(agent.get()).unwrap_or(i32::MAX);
    agents.iter().map(number).collect()
}

/// Tasks at the places at which they were asked for.
pub(crate) fn placed(rows: &[Row], asked: usize) -> Result<Vec<Option<Task>>, Fault> {
    let mut found = vec![None; asked];
    for row in rows {
        let at: i64 = row.try_get(0)?;
        let place = usize::try_from(at - 1)
            .ok()
            .and_then(|at| found.get_mut(at));
        if let Some(place) = place {
            *place = Some(task_at(row, 1)?);
        }
    }
    Ok(found)
}

/// Tasks, one for each row.
pub(crate) fn tasks(rows: &[Row]) -> Result<Vec<Task>, Fault> {
    rows.iter().map(task).collect()
}

/// See [`wpk_api::TaskStore::awaiting`].
pub(crate) fn awaiting(row: &Row) -> Result<Option<Awaiting>, Fault> {
    let target: &str = row.try_get(10)?;
    let next: Option<i64> = row.try_get(11)?;
    let Ok(target) = target.parse() else {
        return Ok(None);
    };
    Ok(Some(Awaiting {
        task: task(row)?,
        target,
        next: next.map(TaskId),
    }))
}

/// See [`wpk_api::TaskStore::timeline`].
pub(crate) fn timeline(rows: &[Row]) -> Result<Vec<TimelineEntry>, Fault> {
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let mut entries = vec![TimelineEntry::new(first.try_get(0)?, TimelineStep::Created)];
    for row in rows {
        let stored: Option<&str> = row.try_get(1)?;
        // What a later version wrote and this one cannot read is left out.
        entries.extend(stored.and_then(|json| serde_json::from_str::<TimelineEntry>(json).ok()));
    }
    Ok(entries)
}

/// See [`wpk_api::TaskStore::changes`].
pub(crate) fn change(row: &Row) -> Result<Change, Fault> {
    let task = task(row)?;
    let revision: i64 = row.try_get(10)?;
    let gone: bool = row.try_get(11)?;
    let (changed, was) = match gone {
        true => (Changed::Deleted(task.id), Some(task)),
        false => (Changed::Task(task), None),
    };
    Ok(Change {
        revision: Revision(revision.unsigned_abs()),
        changed,
        was,
    })
}
