//! How tasks move. Each function is the body of one call of
//! [`wpk_api::TaskStore`]; the writer's thread ([`crate::worker`]) puts the
//! transaction around it, so none of them begins or ends one.

use rusqlite::{Connection, params};
use wpk_api::{
    Cancel, Claimed, Confirmation, Mover, Overdue, Selector, Standing, Status, Task, TaskId,
    TimelineEntry, TimelineStep, Transition, TransitionResult, UnixTime, Version,
};

use crate::entries::{self, Mine};
use crate::fault::Fault;
use crate::read::{self, columns, live};
use crate::rows::make_way;
use crate::statement::{ids, prepared};
use crate::{documents, feed, timeline};

/// By an index of what waits alone, in its order: neither what was taken nor what is behind
/// the first few costs anything.
pub(crate) const CLAIMABLE: &str = concat!(
    "SELECT ",
    columns!(),
    ", o.TASK_ORDER, o.CRASHES FROM WPKD_ORDERS o CROSS JOIN TASKS t ON t.TASK_ID = o.TASK_ID \
     WHERE o.TASK_ID > 0 AND o.TASK_ORDER IS NOT NULL AND o.CLAIMED IS NULL \
     AND o.INSTALLER_BEGUN IS NULL AND ",
    live!(),
    " AND t.NODE = ?1 AND NOT EXISTS (\
         SELECT 1 FROM WPKD_FENCES f WHERE f.TASK_ID = t.TASK_ID AND f.OPENS > ?3) \
     ORDER BY o.TASK_ID LIMIT ?2"
);

/// Tasks of a node that may be cancelled; which of them is decided one by one.
pub(crate) const LIVE_ON: &str = "SELECT t.TASK_ID FROM TASKS t \
    WHERE t.STATUS IN ('Pending', 'In progress') AND t.NODE = ?1 ORDER BY t.TASK_ID";

pub(crate) fn transition(
    connection: &Connection,
    mine: Option<&Mine>,
    moves: &[Transition],
) -> Result<Vec<TransitionResult>, Fault> {
    let moved = |one| move_one(connection, entries::node(mine), one);
    moves.iter().map(moved).collect()
}

fn move_one(
    connection: &Connection,
    entered: Option<&str>,
    one: &Transition,
) -> Result<TransitionResult, Fault> {
    let found = match one.select {
        Selector::Task(id) => read::by_id(connection, id)?,
        // The newest task decides, also where an older one is still live.
        Selector::LatestOf(agent) => read::latest(connection, agent)?,
        Selector::SpokenOf(agent) => read::of_agent(connection, read::SPOKEN_OF, agent)?,
        Selector::TaskOf { task, agent } => {
            read::by_id(connection, task)?.filter(|task| task.agent == agent)
        }
    };
    let Some(mut task) = found else {
        return Ok(TransitionResult::Refused(None));
    };
    let standing = read::standing(connection, task.id)?;
    if !one.is_open(&task, standing, entered) {
        return Ok(TransitionResult::Refused(Some(task)));
    }
    let late = task.status == Status::Timeout;
    task.status = one.to.clone();
    task.updated = Some(one.at);
    if one.error_msg.is_some() {
        task.error_msg.clone_from(&one.error_msg);
    } else if one.to == Status::Done {
        // What a time-out or an attempt before it left is no longer so.
        task.error_msg = None;
    }
    if standing.ours {
        let target = read::target(connection, task.id)?;
        task.confirmation = Confirmation::at_end(&one.to, target);
    }
    set(connection, &task)?;
    if let Some(entry) = &one.entry {
        timeline::add(connection, task.id, &entry.clone().of_late(late))?;
    }
    Ok(TransitionResult::Moved(task))
}

/// Writes what of a task can change; what has ended is no longer to be carried out.
pub(crate) fn set(connection: &Connection, task: &Task) -> Result<(), Fault> {
    prepared(
        connection,
        "UPDATE TASKS SET STATUS = ?2, LAST_UPDATE_TIME = ?3, ERROR_MESSAGE = ?4 \
         WHERE TASK_ID = ?1",
    )?
    .execute(params![
        task.id.0,
        task.status.as_str(),
        task.updated,
        task.error_msg,
    ])?;
    if let Some(confirmation) = &task.confirmation {
        let json = serde_json::to_string(confirmation)
            .map_err(|error| Fault::Nonsense(error.to_string()))?;
        prepared(
            connection,
            "UPDATE WPKD_ORDERS SET CONFIRMATION = ?2 WHERE TASK_ID = ?1",
        )?
        .execute(params![task.id.0, json])?;
    }
    feed::changed(connection, task.id)?;
    if !task.status.is_live() {
        prepared(
            connection,
            "UPDATE WPKD_ORDERS SET TASK_ORDER = NULL WHERE TASK_ID = ?1",
        )?
        .execute([task.id.0])?;
        make_way(connection, task.id)?;
    }
    Ok(())
}

/// Whether tasks of ours of this node are the caller's to carry out.
pub(crate) fn carries_out(mine: Option<&Mine>, node: &str) -> bool {
    let ours = Standing {
        ours: true,
        begun: false,
    };
    ours.is_carried_out_by(node, entries::node(mine))
}

pub(crate) fn claim(
    connection: &Connection,
    mine: Option<&Mine>,
    node: &str,
    limit: usize,
    now: UnixTime,
) -> Result<Vec<Claimed>, Fault> {
    if !carries_out(mine, node) {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut claimed: Vec<Claimed> = prepared(connection, CLAIMABLE)?
        .query_map(params![node, limit, now], read::claimed)?
        .collect::<Result<_, _>>()?;
    for Claimed { task, .. } in &mut claimed {
        task.status = Status::InProgress;
        task.updated = Some(now);
        set(connection, task)?;
        prepared(
            connection,
            "UPDATE WPKD_ORDERS SET CLAIMED = ?2 WHERE TASK_ID = ?1",
        )?
        .execute(params![task.id.0, now])?;
    }
    Ok(claimed)
}

/// See [`wpk_api::TaskStore::interrupted`].
pub(crate) fn interrupted(
    connection: &Connection,
    mine: Option<&Mine>,
    node: &str,
    crashed: bool,
) -> Result<Vec<Claimed>, Fault> {
    if !carries_out(mine, node) {
        return Ok(Vec::new());
    }
    let mut found: Vec<Claimed> = prepared(connection, read::INTERRUPTED)?
        .query_map(params![node], read::claimed)?
        .collect::<Result<_, _>>()?;
    if crashed {
        for one in &mut found {
            one.crashes = one.crashes.saturating_add(1);
            prepared(
                connection,
                "UPDATE WPKD_ORDERS SET CRASHES = ?2 WHERE TASK_ID = ?1",
            )?
            .execute(params![one.task.id.0, one.crashes])?;
        }
    }
    Ok(found)
}

pub(crate) fn begin_installer(
    connection: &Connection,
    mine: Option<&Mine>,
    id: TaskId,
    target: Option<Version>,
    now: UnixTime,
) -> Result<bool, Fault> {
    if !is_carried_out(connection, mine, id)? {
        return Ok(false);
    }
    if let Some(fence) = documents::fence_of(connection, id)?
        && !documents::lets_begin(connection, &fence, now)?
    {
        return Ok(false);
    }
    let incarnation = mine.map(|mine| mine.incarnation.cast_signed());
    let begun = prepared(
        connection,
        "INSERT INTO WPKD_ORDERS (TASK_ID, OURS, INSTALLER_BEGUN, TARGET, BEGUN_IN) \
         SELECT TASK_ID, 0, ?2, ?3, ?4 FROM TASKS WHERE TASK_ID = ?1 AND STATUS = 'In progress' \
         ON CONFLICT (TASK_ID) DO UPDATE SET INSTALLER_BEGUN = excluded.INSTALLER_BEGUN, \
         TARGET = excluded.TARGET, BEGUN_IN = excluded.BEGUN_IN WHERE INSTALLER_BEGUN IS NULL",
    )?
    .execute(params![id.0, now, target.map(String::from), incarnation])?
        == 1;
    if begun {
        touch(connection, mine, &[id], now)?;
        timeline::add(
            connection,
            id,
            &TimelineEntry::new(now, TimelineStep::Upgrade),
        )?;
    }
    Ok(begun)
}

/// Whether the caller carries a task out; one that is not there nobody does.
fn is_carried_out(connection: &Connection, mine: Option<&Mine>, id: TaskId) -> Result<bool, Fault> {
    let Some(node) = read::node_of(connection, id)? else {
        return Ok(false);
    };
    let standing = read::standing(connection, id)?;
    Ok(standing.is_carried_out_by(&node, entries::node(mine)))
}

pub(crate) fn touch(
    connection: &Connection,
    mine: Option<&Mine>,
    tasks: &[TaskId],
    now: UnixTime,
) -> Result<(), Fault> {
    let mut statement = prepared(
        connection,
        "UPDATE TASKS SET LAST_UPDATE_TIME = ?2 WHERE TASK_ID = ?1 AND STATUS = 'In progress'",
    )?;
    for id in tasks {
        if is_carried_out(connection, mine, *id)? && statement.execute(params![id.0, now])? > 0 {
            feed::changed(connection, *id)?;
        }
    }
    Ok(())
}

pub(crate) fn cancel(
    connection: &Connection,
    mine: Option<&Mine>,
    node: &str,
    which: Cancel,
    now: UnixTime,
) -> Result<u64, Fault> {
    let mut live = prepared(connection, LIVE_ON)?;
    let mut cancelled = 0;
    for id in ids(&mut live, params![node])? {
        let Some(mut task) = read::by_id(connection, id)? else {
            continue;
        };
        let standing = read::standing(connection, id)?;
        let waits = task.status == Status::Pending;
        let meant = match which {
            Cancel::WithoutOrder | Cancel::Abandoned => {
                waits
                    && !standing.ours
                    && !read::is_held(connection, id)?
                    && (which == Cancel::WithoutOrder || !read::is_imported(connection, id)?)
            }
            Cancel::Pending => waits,
            Cancel::NotBegun => true,
        };
        let open = standing.is_carried_out_by(&task.node, entries::node(mine))
            && (task.status).may_become(&Status::Cancelled, standing, Mover::Delivery);
        if !meant || !open {
            continue;
        }
        task.status = Status::Cancelled;
        task.updated = Some(now);
        set(connection, &task)?;
        timeline::add(
            connection,
            id,
            &TimelineEntry::new(now, TimelineStep::Cancelled),
        )?;
        cancelled += 1;
    }
    Ok(cancelled)
}

pub(crate) fn expire(
    connection: &Connection,
    overdue: &[Overdue],
    now: UnixTime,
) -> Result<Vec<Task>, Fault> {
    let mut expired = Vec::new();
    for one in overdue {
        let found = read::by_id(connection, one.task)?;
        let unchanged =
            |task: &Task| task.status == Status::InProgress && task.updated == one.updated;
        if let Some(mut task) = found.filter(unchanged) {
            if read::waits(connection, task.id)? {
                continue;
            }
            task.status = Status::Timeout;
            task.updated = Some(now);
            set(connection, &task)?;
            timeline::add(
                connection,
                task.id,
                &TimelineEntry::new(now, TimelineStep::Timeout),
            )?;
            expired.push(task);
        }
    }
    Ok(expired)
}

/// See [`wpk_api::TaskStore::confirm`].
pub(crate) fn confirm(
    connection: &Connection,
    id: TaskId,
    what: &Confirmation,
    entry: &TimelineEntry,
) -> Result<bool, Fault> {
    let found = read::by_id(connection, id)?;
    let awaited = Some(Confirmation::Awaited);
    let Some(mut task) = found.filter(|task| task.confirmation == awaited) else {
        return Ok(false);
    };
    task.confirmation = Some(what.clone());
    set(connection, &task)?;
    timeline::add(connection, id, entry)?;
    Ok(true)
}
