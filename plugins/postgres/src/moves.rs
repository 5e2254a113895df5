//! How tasks move. Each function is the body of one call of [`wpk_api::TaskStore`]: it
//! loads the tasks that are concerned and holds their rows, decides by the rules of
//! `wpk-api`, and leaves what has changed to be written with the commit.

use std::collections::HashMap;

use tokio_postgres::types::Type;
use wpk_api::{
    AgentId, Cancel, Claimed, Confirmation, Mover, Overdue, Selector, Status, Task, TaskId,
    TimelineEntry, TimelineStep, Transition, TransitionResult, UnixTime,
};

use crate::fault::Fault;
use crate::pool::Sql;
use crate::rows::{Known, all, claimed, count, known, numbers};
use crate::work::Work;

/// Always in this order, so that no two calls wait for each other.
static HOLD: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        " FROM @tasks t WHERE t.id = ANY ($1) ORDER BY t.id FOR UPDATE"
    ),
    types: &[Type::INT8_ARRAY],
};

/// See [`wpk_api::Selector`].
static NEWEST: Sql = Sql {
    text: "SELECT u.agent, \
               (SELECT t.id FROM @tasks t WHERE t.agent = u.agent ORDER BY t.id DESC LIMIT 1), \
               (SELECT t.id FROM @tasks t WHERE t.agent = u.agent \
                    AND (NOT t.ours OR t.begun IS NOT NULL) ORDER BY t.id DESC LIMIT 1) \
           FROM unnest($1::int4[]) u(agent)",
    types: &[Type::INT4_ARRAY],
};

macro_rules! waiting {
    () => {
        " FROM @tasks t WHERE t.node = $1 AND t.task_order IS NOT NULL AND t.claimed IS NULL \
         AND t.begun IS NULL AND (t.fence_opens IS NULL OR t.fence_opens <= $3) "
    };
}

static CLAIM: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        ", t.task_order",
        waiting!(),
        "ORDER BY t.id LIMIT $2 FOR UPDATE SKIP LOCKED"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// What others held at that moment, and may have given back since.
static CLAIM_HELD: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        ", t.task_order",
        waiting!(),
        "ORDER BY t.id LIMIT $2 FOR UPDATE"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

static OTHERS_WAIT: Sql = Sql {
    text: concat!(
        "SELECT EXISTS (SELECT 1",
        waiting!(),
        "AND t.id <> ALL ($2))"
    ),
    types: &[Type::TEXT, Type::INT8_ARRAY, Type::INT8],
};

static INTERRUPTED: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        ", t.task_order FROM @tasks t WHERE t.node = $1 AND t.status = 'In progress' \
         AND t.task_order IS NOT NULL AND t.claimed IS NOT NULL AND t.begun IS NULL \
         ORDER BY t.id FOR UPDATE"
    ),
    types: &[Type::TEXT],
};

/// By the two indexes of what lives.
static LIVE_ON: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        " FROM @tasks t WHERE t.node = $1 \
             AND ((t.exclusive AND t.status IN ('Pending', 'In progress')) \
               OR (NOT t.exclusive AND t.status IN ('Pending', 'In progress'))) \
         ORDER BY t.id FOR UPDATE"
    ),
    types: &[Type::TEXT],
};

/// Tasks by their ids, which nobody else changes until the call ends.
pub(crate) async fn hold(
    work: &mut Work<'_>,
    ids: &[TaskId],
) -> Result<HashMap<TaskId, Known>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = work.ask(&HOLD, &[&numbers(ids)]).await?;
    let known = rows
        .iter()
        .map(|row| known(row).map(|known| (known.task.id, known)));
    known.collect()
}

/// The newest task of each agent, and the one that its word is about.
type Newest = HashMap<AgentId, (Option<TaskId>, Option<TaskId>)>;

async fn newest(work: &mut Work<'_>, moves: &[Transition]) -> Result<Newest, Fault> {
    let agents = moves.iter().filter_map(|one| match one.select {
        Selector::LatestOf(agent) | Selector::SpokenOf(agent) => Some(agent),
        Selector::Task(_) | Selector::TaskOf { .. } => None,
    });
    let agents: Vec<AgentId> = agents.collect();
    if agents.is_empty() {
        return Ok(Newest::new());
    }
    let numbers: Vec<i32> = (agents.iter())
        .map(|agent| i32::try_from(agent.get()).unwrap_or(i32::MAX))
        .collect();
    let rows = work.ask(&NEWEST, &[&numbers]).await?;
    let mut newest = Newest::new();
    for (agent, row) in agents.into_iter().zip(&rows) {
        let id = |at| Ok::<_, Fault>(row.try_get::<_, Option<i64>>(at)?.map(TaskId));
        newest.insert(agent, (id(1)?, id(2)?));
    }
    Ok(newest)
}

/// See [`wpk_api::TaskStore::transition`].
pub(crate) async fn transition(
    work: &mut Work<'_>,
    moves: &[Transition],
) -> Result<Vec<TransitionResult>, Fault> {
    let newest = newest(work, moves).await?;
    let meant = |one: &Transition| match one.select {
        Selector::Task(id) | Selector::TaskOf { task: id, .. } => Some(id),
        Selector::LatestOf(agent) => newest.get(&agent)?.0,
        Selector::SpokenOf(agent) => newest.get(&agent)?.1,
    };
    let ids: Vec<TaskId> = moves.iter().filter_map(meant).collect();
    let mut held = hold(work, &ids).await?;
    let mut results = Vec::with_capacity(moves.len());
    for one in moves {
        let found = meant(one).and_then(|id| held.get_mut(&id));
        let found = found.filter(|known| match one.select {
            Selector::TaskOf { agent, .. } => known.task.agent == agent,
            _ => true,
        });
        results.push(match found {
            Some(known) => move_one(work, known, one)?,
            None => TransitionResult::Refused(None),
        });
    }
    Ok(results)
}

fn move_one(
    work: &mut Work<'_>,
    known: &mut Known,
    one: &Transition,
) -> Result<TransitionResult, Fault> {
    if !one.is_open(&known.task, known.standing(), work.node()) {
        return Ok(TransitionResult::Refused(Some(known.task.clone())));
    }
    let at = work.time(one.at);
    let late = known.task.status == Status::Timeout;
    let task = &mut known.task;
    task.status = one.to.clone();
    task.updated = Some(at);
    if one.error_msg.is_some() {
        task.error_msg.clone_from(&one.error_msg);
    } else if one.to == Status::Done {
        // What a time-out or an attempt before it left is no longer so.
        task.error_msg = None;
    }
    if known.ours {
        task.confirmation = Confirmation::at_end(&one.to, known.target);
    }
    known.ordered &= known.task.status.is_live();
    work.pending.change(known.clone());
    if let Some(entry) = &one.entry {
        note(work, known.task.id, &entry.clone().of_late(late))?;
    }
    Ok(TransitionResult::Moved(known.task.clone()))
}

/// Whether this daemon carries a task out, or nobody here does.
pub(crate) fn is_carried_out_by(known: &Known, entered: Option<&str>) -> bool {
    (known.standing()).is_carried_out_by(&known.task.node, entered)
}

/// Adds a step, at the time that counts.
pub(crate) fn note(work: &mut Work<'_>, id: TaskId, entry: &TimelineEntry) -> Result<(), Fault> {
    let entry = TimelineEntry {
        at: work.time(entry.at),
        ..entry.clone()
    };
    work.pending.entry(id, &entry)
}

/// Whether a node's tasks are this daemon's to take.
fn is_own(work: &Work<'_>, node: &str) -> bool {
    work.node().is_none_or(|own| own == node)
}

/// What a claim got.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) tasks: Vec<Claimed>,
    /// Whether others wait that somebody held just then.
    pub(crate) more: bool,
}

/// See [`wpk_api::TaskStore::claim`]. What others hold is left out, unless it is `held` that
/// is asked for: then whoever has it is waited for.
pub(crate) async fn claim(
    work: &mut Work<'_>,
    node: &str,
    limit: usize,
    now: UnixTime,
    held: bool,
) -> Result<Taken, Fault> {
    let mut taken = Taken::default();
    if !is_own(work, node) || limit == 0 {
        return Ok(taken);
    }
    let now = work.time(now);
    let sql = if held { &CLAIM_HELD } else { &CLAIM };
    let rows = work.ask(sql, &[&node, &count(limit), &now]).await?;
    for row in rows {
        let mut known = known(&row)?;
        known.claimed = Some(now);
        known.task.status = Status::InProgress;
        known.task.updated = Some(now);
        taken.tasks.push(claimed(&known, row.try_get(21)?));
        work.pending.change(known);
    }
    if !held && taken.tasks.len() < limit {
        let ids: Vec<i64> = taken.tasks.iter().map(|one| one.task.id.0).collect();
        let rows = work.ask(&OTHERS_WAIT, &[&node, &ids, &now]).await?;
        taken.more = rows.first().map(|row| row.try_get(0)).transpose()? == Some(true);
    }
    Ok(taken)
}

/// See [`wpk_api::TaskStore::interrupted`].
pub(crate) async fn interrupted(
    work: &mut Work<'_>,
    node: &str,
    crashed: bool,
) -> Result<Vec<Claimed>, Fault> {
    if !is_own(work, node) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for row in work.ask(&INTERRUPTED, &[&node]).await? {
        let mut known = known(&row)?;
        if crashed {
            known.crashes = known.crashes.saturating_add(1);
        }
        found.push(claimed(&known, row.try_get(21)?));
        if crashed {
            work.pending.keep(known);
        }
    }
    Ok(found)
}

/// See [`wpk_api::TaskStore::touch`].
pub(crate) async fn touch(
    work: &mut Work<'_>,
    tasks: &[TaskId],
    now: UnixTime,
) -> Result<(), Fault> {
    let now = work.time(now);
    let held = hold(work, tasks).await?;
    for id in tasks {
        let Some(known) = held.get(id) else { continue };
        if known.task.status == Status::InProgress && is_carried_out_by(known, work.node()) {
            let mut known = known.clone();
            known.task.updated = Some(now);
            work.pending.change(known);
        }
    }
    Ok(())
}

/// See [`wpk_api::TaskStore::cancel`].
pub(crate) async fn cancel(
    work: &mut Work<'_>,
    node: &str,
    which: Cancel,
    now: UnixTime,
) -> Result<u64, Fault> {
    let now = work.time(now);
    let mut cancelled = 0;
    for row in work.ask(&LIVE_ON, &[&node]).await? {
        let mut known = known(&row)?;
        let waits = known.task.status == Status::Pending;
        let meant = match which {
            // Nothing here was imported.
            Cancel::WithoutOrder | Cancel::Abandoned => waits && !known.ours && !known.held,
            Cancel::Pending => waits,
            Cancel::NotBegun => true,
        };
        let (status, standing) = (&known.task.status, known.standing());
        let may = status.may_become(&Status::Cancelled, standing, Mover::Delivery);
        if !meant || !may || !is_carried_out_by(&known, work.node()) {
            continue;
        }
        known.task.status = Status::Cancelled;
        known.task.updated = Some(now);
        let id = known.task.id;
        work.pending.change(known);
        note(work, id, &TimelineEntry::new(now, TimelineStep::Cancelled))?;
        cancelled += 1;
    }
    Ok(cancelled)
}

/// See [`wpk_api::TaskStore::expire`].
pub(crate) async fn expire(
    work: &mut Work<'_>,
    overdue: &[Overdue],
    now: UnixTime,
) -> Result<Vec<Task>, Fault> {
    let now = work.time(now);
    let ids: Vec<TaskId> = overdue.iter().map(|one| one.task).collect();
    let mut held = hold(work, &ids).await?;
    let mut expired = Vec::new();
    for one in overdue {
        let Some(known) = held.get_mut(&one.task) else {
            continue;
        };
        let task = &known.task;
        let silent = task.status == Status::InProgress && task.updated == one.updated;
        if !silent || known.waits() {
            continue;
        }
        known.task.status = Status::Timeout;
        known.task.updated = Some(now);
        known.ordered = false;
        work.pending.change(known.clone());
        let entry = TimelineEntry::new(now, TimelineStep::Timeout);
        note(work, one.task, &entry)?;
        expired.push(known.task.clone());
    }
    Ok(expired)
}

/// See [`wpk_api::TaskStore::confirm`].
pub(crate) async fn confirm(
    work: &mut Work<'_>,
    id: TaskId,
    what: &Confirmation,
    entry: &TimelineEntry,
) -> Result<bool, Fault> {
    let found = hold(work, &[id]).await?.remove(&id);
    let awaited = |known: &Known| known.task.confirmation == Some(Confirmation::Awaited);
    let Some(mut known) = found.filter(awaited) else {
        return Ok(false);
    };
    known.task.confirmation = Some(what.clone());
    work.pending.change(known);
    note(work, id, entry)?;
    Ok(true)
}
