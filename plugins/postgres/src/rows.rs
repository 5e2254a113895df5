//! How a row becomes a task, and what else of it decides about its moves.

use std::borrow::Cow;

use tokio_postgres::Row;
use wpk_api::{
    AgentId, Claimed, Command, Confirmation, Incarnation, Order, Standing, Status, Task, TaskId,
    UnixTime, Version,
};

use crate::fault::Fault;

/// The columns of a task `t`, in the order of [`task`].
macro_rules! columns {
    () => {
        "t.id, t.agent, t.node, t.module, t.command, t.created, t.updated, t.status, \
         t.error_msg, t.confirmation"
    };
}
/// The columns of a task and of what is known of it, in the order of [`known`].
macro_rules! all {
    () => {
        "t.id, t.agent, t.node, t.module, t.command, t.created, t.updated, t.status, \
         t.error_msg, t.confirmation, t.ours, t.held, t.task_order IS NOT NULL, t.claimed, \
         t.begun, t.begun_by, t.target, t.crashes, t.fence_key IS NOT NULL, t.fence_epoch, t.fence_closes"
    };
}
pub(crate) use {all, columns};

/// A task and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) task: Task,
    pub(crate) ours: bool,
    /// Its node holds the order.
    pub(crate) held: bool,
    /// Its order is here.
    pub(crate) ordered: bool,
    /// When it was taken.
    pub(crate) claimed: Option<UnixTime>,
    /// When its installer was begun, and by whom.
    pub(crate) begun: Option<(UnixTime, Incarnation)>,
    /// What its installer was begun with.
    pub(crate) target: Option<Version>,
    pub(crate) crashes: i32,
    /// Whether it was made for a document, and the epoch of that then.
    pub(crate) fenced: bool,
    pub(crate) epoch: Option<i64>,
    /// From when on it is not begun any more.
    pub(crate) closes: Option<UnixTime>,
}

impl Known {
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            ours: self.ours,
            begun: self.begun.is_some(),
        }
    }

    /// Whether it waits to be taken.
    pub(crate) fn waits(&self) -> bool {
        self.ordered && self.claimed.is_none() && self.begun.is_none() && self.task.status.is_live()
    }

    /// Whether nobody holds an order of it and it has not begun: a task of another node
    /// does not count then.
    pub(crate) fn gives_way(&self) -> bool {
        self.task.status == Status::Pending && !self.ours && !self.held
    }
}

/// A task from a row that begins with [`columns`].
pub(crate) fn task(row: &Row) -> Result<Task, Fault> {
    task_at(row, 0)
}

/// The same from a row in which they begin later.
pub(crate) fn task_at(row: &Row, first: usize) -> Result<Task, Fault> {
    let agent: i32 = row.try_get(first + 1)?;
    let confirmation: Option<&str> = row.try_get(first + 9)?;
    Ok(Task {
        id: TaskId(row.try_get(first)?),
        agent: AgentId::new(i64::from(agent))
            .map_err(|error| Fault::Nonsense(error.to_string()))?,
        node: row.try_get(first + 2)?,
        module: row.try_get(first + 3)?,
        command: Command::from_word(row.try_get(first + 4)?),
        created: row.try_get(first + 5)?,
        updated: row.try_get(first + 6)?,
        status: Status::from_word(row.try_get(first + 7)?),
        error_msg: row.try_get(first + 8)?,
        confirmation: confirmation.and_then(read_confirmation),
    })
}

/// A task and what is known of it, from a row of [`all`].
pub(crate) fn known(row: &Row) -> Result<Known, Fault> {
    let begun: Option<i64> = row.try_get(14)?;
    let by: Option<i64> = row.try_get(15)?;
    let target: Option<&str> = row.try_get(16)?;
    Ok(Known {
        task: task(row)?,
        ours: row.try_get(10)?,
        held: row.try_get(11)?,
        ordered: row.try_get(12)?,
        claimed: row.try_get(13)?,
        begun: begun.map(|at| (at, by.unwrap_or_default().unsigned_abs())),
        target: target.and_then(|target| target.parse().ok()),
        crashes: row.try_get(17)?,
        fenced: row.try_get(18)?,
        epoch: row.try_get(19)?,
        closes: row.try_get(20)?,
    })
}

/// A task with its order, from a row of [`all`] and the order.
pub(crate) fn claimed(known: &Known, order: Option<&str>) -> Claimed {
    let order = serde_json::from_str::<Order>(order.unwrap_or_default()).map_err(|error| {
        format!(
            "the stored order of task {} cannot be read: {error}",
            known.task.id
        )
    });
    Claimed {
        task: known.task.clone(),
        order,
        crashes: u32::try_from(known.crashes).unwrap_or_default(),
    }
}

/// What was stored about the check of a version; nothing for what cannot be read.
fn read_confirmation(stored: &str) -> Option<Confirmation> {
    serde_json::from_str(stored).ok()
}

/// The same, to be stored. `"awaited"` is how [`Confirmation::Awaited`] is; an index holds
/// no others.
pub(crate) fn stored(confirmation: Option<&Confirmation>) -> Option<String> {
    confirmation.and_then(|confirmation| serde_json::to_string(confirmation).ok())
}

/// A text as the database can keep it: without NUL.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// As many rows at most, as the database counts.
pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The numbers of tasks.
pub(crate) fn numbers(ids: &[TaskId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}
