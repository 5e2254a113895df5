//! What a call changes, collected while it decides and written at its end, all tasks at
//! once: the rows of tasks, their timelines, the feed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use wpk_api::{LONGEST_TIMELINE, Task, TaskId, TimelineEntry};

use crate::fault::Fault;
use crate::pool::{Connection, Ready, Sql};
use crate::rows::{Known, stored, text};

/// Everything of a task that can change. What has ended is no longer to be carried out.
static TASKS: Sql = Sql {
    text: "UPDATE @tasks t SET node = u.node, updated = u.updated, status = u.status, \
           error_msg = u.error_msg, confirmation = u.confirmation, claimed = u.claimed, \
           begun = u.begun, begun_by = u.begun_by, target = u.target, crashes = u.crashes, \
           task_order = CASE WHEN u.live THEN t.task_order END \
           FROM unnest($1::int8[], $2::text[], $3::int8[], $4::text[], $5::text[], $6::text[], \
               $7::int8[], $8::int8[], $9::int8[], $10::text[], $11::int4[], $12::bool[]) \
               u(id, node, updated, status, error_msg, confirmation, claimed, begun, begun_by, \
               target, crashes, live) \
           WHERE t.id = u.id",
    types: &[
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT4_ARRAY,
        Type::BOOL_ARRAY,
    ],
};

/// Of tasks that are there. One entry, the creation, stands in the task itself; the oldest
/// of the others make room.
static TIMELINE: Sql = Sql {
    text: "WITH new AS (INSERT INTO @timeline (task, entry) \
               SELECT u.task, u.entry FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY \
                   u(task, entry, at) JOIN @tasks t ON t.id = u.task \
               ORDER BY u.at FOR KEY SHARE OF t RETURNING task, entry_id), \
           counted AS (SELECT e.entry_id, e.task, row_number() OVER \
                   (PARTITION BY e.task ORDER BY e.entry_id DESC) AS place FROM ( \
               SELECT task, entry_id FROM @timeline WHERE task = ANY ($1) \
               UNION ALL SELECT task, entry_id FROM new) e) \
           DELETE FROM @timeline t USING counted c \
           WHERE t.task = c.task AND t.entry_id = c.entry_id AND c.place > $3",
    types: &[Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::INT8],
};

/// In their order, without a revision.
static FEED: Sql = Sql {
    text: "INSERT INTO @changes (mark, task, gone, agent, node, module, command, \
               created, updated, status, error_msg, confirmation) \
           SELECT $1, u.task, u.gone, u.agent, u.node, u.module, u.command, \
               u.created, u.updated, u.status, u.error_msg, u.confirmation FROM \
               unnest($2::int8[], $3::bool[], $4::int4[], $5::text[], $6::text[], $7::text[], \
                   $8::int8[], $9::int8[], $10::text[], $11::text[], $12::text[]) \
               WITH ORDINALITY u(task, gone, agent, node, module, command, created, updated, \
                   status, error_msg, confirmation, at) ORDER BY u.at",
    types: &[
        Type::INT8,
        Type::INT8_ARRAY,
        Type::BOOL_ARRAY,
        Type::INT4_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
    ],
};

/// Entries that are kept of a task, beside its creation.
const KEPT: usize = LONGEST_TIMELINE - 1;

/// The same for tasks that are all new: what they are stands in the database already.
static MADE: Sql = Sql {
    text: "INSERT INTO @changes (mark, task, gone, agent, node, module, command, created, status) \
           SELECT $1, t.id, false, t.agent, t.node, t.module, t.command, t.created, t.status \
           FROM @tasks t WHERE t.id BETWEEN $2 AND $3 ORDER BY t.id",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// What is written when the call ends.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Tasks as they are to be.
    tasks: BTreeMap<TaskId, Known>,
    entries: Vec<(i64, String)>,
    /// In their order: a task as it was after the change; `true`: it is gone.
    changes: Vec<(Task, bool)>,
    /// The first and the last of those that were made, where nothing else changes.
    made: Option<(i64, i64)>,
}

/// The statements that are needed, ready to be sent.
pub(crate) struct Statements {
    tasks: Option<Ready>,
    timeline: Option<Ready>,
    feed: Option<Ready>,
}

impl Pending {
    /// A task is as it is now.
    pub(crate) fn change(&mut self, known: Known) {
        self.changes.push((known.task.clone(), false));
        self.tasks.insert(known.task.id, known);
    }

    /// The same, which nobody is told of.
    pub(crate) fn keep(&mut self, known: Known) {
        self.tasks.insert(known.task.id, known);
    }

    /// A task was written already, or is deleted already: only the feed has to tell of it.
    pub(crate) fn tell(&mut self, task: Task, gone: bool) {
        self.changes.push((task, gone));
    }

    /// All tasks with these ids are new, and nothing else changes.
    pub(crate) fn made(&mut self, first: TaskId, last: TaskId) {
        self.made = Some((first.0, last.0));
    }

    /// Whether the feed will tell of it.
    pub(crate) fn is_told(&self) -> bool {
        !self.changes.is_empty() || self.made.is_some()
    }

    /// A step of a task.
    pub(crate) fn entry(&mut self, task: TaskId, entry: &TimelineEntry) -> Result<(), Fault> {
        let json = serde_json::to_string(entry).map_err(|error| {
            Fault::Nonsense(format!("a step of task {task} cannot be stored: {error}"))
        })?;
        self.entries.push((task.0, json));
        Ok(())
    }

    /// Makes ready what will be sent.
    pub(crate) async fn prepare(&self, on: &mut Connection) -> Result<Statements, Fault> {
        let mut statements = Statements {
            tasks: None,
            timeline: None,
            feed: None,
        };
        if !self.tasks.is_empty() {
            statements.tasks = Some(on.ready(&TASKS).await?);
        }
        if !self.entries.is_empty() {
            statements.timeline = Some(on.ready(&TIMELINE).await?);
        }
        if self.is_told() {
            let sql = if self.made.is_some() { &MADE } else { &FEED };
            statements.feed = Some(on.ready(sql).await?);
        }
        Ok(statements)
    }

    pub(crate) async fn tasks(&self, on: &Connection, ready: &Statements) -> Result<(), Fault> {
        let Some(ready) = &ready.tasks else {
            return Ok(());
        };
        let all = self.tasks.values();
        let of = |get: fn(&Known) -> Option<i64>| all.clone().map(get).collect::<Vec<_>>();
        let texts =
            |get: fn(&Known) -> Option<Cow<'_, str>>| all.clone().map(get).collect::<Vec<_>>();
        let live: Vec<bool> = all.clone().map(|one| one.task.status.is_live()).collect();
        let crashes: Vec<i32> = all.clone().map(|one| one.crashes).collect();
        done(
            on.send(
                ready,
                &[
                    &of(|one| Some(one.task.id.0)),
                    &texts(|one| Some(text(&one.task.node))),
                    &of(|one| one.task.updated),
                    &texts(|one| Some(text(one.task.status.as_str()))),
                    &texts(|one| one.task.error_msg.as_deref().map(text)),
                    &texts(|one| stored(one.task.confirmation.as_ref()).map(Cow::Owned)),
                    &of(|one| one.claimed),
                    &of(|one| one.begun.map(|(at, _)| at)),
                    &of(|one| one.begun.and_then(|(_, by)| i64::try_from(by).ok())),
                    &texts(|one| one.target.map(String::from).map(Cow::Owned)),
                    &crashes,
                    &live,
                ],
            )
            .await,
        )
    }

    pub(crate) async fn timeline(&self, on: &Connection, ready: &Statements) -> Result<(), Fault> {
        let Some(ready) = &ready.timeline else {
            return Ok(());
        };
        let newest = newest(&self.entries);
        let (tasks, entries): (Vec<i64>, Vec<&str>) = newest.into_iter().unzip();
        done(on.send(ready, &[&tasks, &entries, &(KEPT as i64)]).await)
    }

    pub(crate) async fn feed(
        &self,
        on: &Connection,
        ready: &Statements,
        mark: i64,
    ) -> Result<(), Fault> {
        let Some(ready) = &ready.feed else {
            return Ok(());
        };
        if let Some((first, last)) = self.made {
            return done(on.send(ready, &[&mark, &first, &last]).await);
        }
        let all = self.changes.iter();
        let of = |get: fn(&Task) -> Option<i64>| {
            all.clone().map(|(task, _)| get(task)).collect::<Vec<_>>()
        };
        let texts = |get: fn(&Task) -> Option<Cow<'_, str>>| {
            all.clone().map(|(task, _)| get(task)).collect::<Vec<_>>()
        };
        let agents: Vec<i32> = all.clone().map(|(task, _)| agent(task)).collect();
        let gone: Vec<bool> = all.clone().map(|(_, gone)| *gone).collect();
        done(
            on.send(
                ready,
                &[
                    &mark,
                    &of(|task| Some(task.id.0)),
                    &gone,
                    &agents,
                    &texts(|task| Some(text(&task.node))),
                    &texts(|task| Some(text(&task.module))),
                    &texts(|task| Some(text(task.command.as_str()))),
                    &of(|task| Some(task.created)),
                    &of(|task| task.updated),
                    &texts(|task| Some(text(task.status.as_str()))),
                    &texts(|task| task.error_msg.as_deref().map(text)),
                    &texts(|task| stored(task.confirmation.as_ref()).map(Cow::Owned)),
                ],
            )
            .await,
        )
    }
}

/// The entries without those that newer ones of the same call push out.
fn newest(entries: &[(i64, String)]) -> Vec<(i64, &str)> {
    let mut counted: BTreeMap<i64, usize> = BTreeMap::new();
    let mut newest: Vec<_> = (entries.iter().rev())
        .filter(|(task, _)| {
            let count = counted.entry(*task).or_default();
            *count += 1;
            *count <= KEPT
        })
        .map(|(task, json)| (*task, json.as_str()))
        .collect();
    newest.reverse();
    newest
}

/// An agent's id as the database keeps it; no id is larger.
pub(crate) fn agent(task: &Task) -> i32 {
    i32::try_from(task.agent.get()).unwrap_or(i32::MAX)
}

fn done(answer: Result<Vec<Row>, Fault>) -> Result<(), Fault> {
    answer.map(|_| ())
}
