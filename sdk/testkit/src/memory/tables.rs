//! The plainest task store there is: what [`wpk_api::TaskStore`] asks for, word
//! by word, over a map. Other stores are held against it.

use std::collections::{BTreeMap, HashMap};

use wpk_api::{
    AgentId, Awaiting, Change, Changed, Claimed, Confirmation, Created, Fence, Incarnation,
    KeptOrder, LONGEST_TIMELINE, NewTask, Revision, Selector, Standing, Status, Task, TaskId,
    TaskPage, TaskPlace, TaskQuery, TimelineEntry, TimelineStep, Transition, TransitionResult,
    UnixTime, Version,
};

use super::documents::Documents;
use super::entries::Entries;

/// A task and what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) task: Task,
    order: Option<KeptOrder>,
    /// In which run of a daemon its installer was begun.
    pub(super) begun_in: Option<Incarnation>,
    /// When.
    pub(super) begun_at: Option<UnixTime>,
    /// Whether its file lies at the agent.
    pub(super) staged: bool,
    pub(super) standing: Standing,
    /// What its installer was begun with.
    pub(super) target: Option<Version>,
    pub(super) claimed: bool,
    crashes: u32,
    pub(super) timeline: Vec<TimelineEntry>,
    /// Whether its node holds the order.
    pub(super) held: bool,
    /// The document for which it was made.
    pub(super) fence: Option<Box<Fence>>,
    /// Under which id it is shown where it was imported from.
    pub(super) shown: Option<TaskId>,
}

impl Row {
    /// A task that somebody else made.
    pub(super) fn imported(id: TaskId, task: Task) -> Self {
        let created = task.created;
        Self {
            shown: Some(task.id),
            task: Task { id, ..task },
            order: None,
            begun_in: None,
            begun_at: None,
            staged: false,
            standing: Standing::default(),
            target: None,
            claimed: false,
            crashes: 0,
            held: false,
            fence: None,
            timeline: vec![TimelineEntry::new(created, TimelineStep::Created)],
        }
    }
}

/// All tasks.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub(super) rows: BTreeMap<TaskId, Row>,
    pub(super) last: i64,
    pub(super) changes: Vec<Change>,
    pub(super) places: HashMap<String, Revision>,
    /// Under which id a task of ours was found where others write, if not under its own.
    pub(super) moved: HashMap<TaskId, TaskId>,
    pub(super) entries: Entries,
    pub(super) documents: Documents,
}

impl Tables {
    /// See [`wpk_api::TaskStore::create`].
    pub fn create(&mut self, tasks: Vec<NewTask>) -> Vec<Created> {
        tasks
            .into_iter()
            .map(|task| self.create_one(task))
            .collect()
    }

    fn create_one(&mut self, new: NewTask) -> Created {
        if !self.documents.lets_through(new.fence.as_deref()) {
            return Created::Fenced;
        }
        if new.exclusive {
            let other = |row: &&Row| {
                row.task.agent == new.agent && row.task.node != new.node && gives_way(row)
            };
            let waiting: Vec<_> = self.rows.values().filter(other).map(id).collect();
            self.withdraw(&waiting);
            let mut rows = self.rows.values().rev();
            let live = rows.find(|row| row.task.agent == new.agent && row.task.status.is_live());
            if let Some(live) = live {
                return Created::AlreadyLive(live.task.id);
            }
        }
        self.last += 1;
        let task = new.task(TaskId(self.last));
        let row = Row {
            standing: Standing {
                ours: new.order.is_some(),
                begun: false,
            },
            timeline: vec![TimelineEntry::new(new.created, TimelineStep::Created)],
            order: new.order,
            begun_in: None,
            begun_at: None,
            staged: false,
            target: None,
            claimed: false,
            crashes: 0,
            held: new.held,
            fence: new.fence,
            shown: None,
            task,
        };
        self.put(row);
        Created::Task(TaskId(self.last))
    }

    /// Stores a row and tells of its change.
    pub(super) fn put(&mut self, row: Row) {
        let task = row.task.clone();
        self.tell(match row.shown {
            None => Changed::Task(task),
            Some(_) => Changed::Foreign(task),
        });
        self.rows.insert(row.task.id, row);
    }

    /// Changes a task, which is there, and tells of it.
    pub(super) fn change(&mut self, id: TaskId, change: impl FnOnce(&mut Row)) -> Option<Task> {
        let mut row = self.rows.get(&id)?.clone();
        change(&mut row);
        let task = row.task.clone();
        self.put(row);
        Some(task)
    }

    /// See [`wpk_api::TaskStore::latest`].
    pub fn latest(&self, agents: &[AgentId]) -> Vec<Option<Task>> {
        agents
            .iter()
            .map(|agent| self.newest(*agent, |_| true).map(|row| row.task.clone()))
            .collect()
    }

    /// See [`wpk_api::TaskStore::tasks`].
    pub fn tasks(&self, ids: &[TaskId]) -> Vec<Option<Task>> {
        let task = |id: &TaskId| self.rows.get(id).map(|row| row.task.clone());
        ids.iter().map(task).collect()
    }

    /// See [`wpk_api::TaskStore::history`].
    pub fn history(&self, query: &TaskQuery) -> TaskPage {
        let before = query.before.unwrap_or(TaskPlace::FIRST);
        let since = query.since.unwrap_or(UnixTime::MIN);
        let looked_at = |task: &&Task| TaskPlace::of(task) < before && task.created >= since;
        let rows = self.rows.values().map(|row| &row.task);
        let mut tasks: Vec<&Task> = rows.filter(looked_at).collect();
        tasks.sort_unstable_by_key(|task| std::cmp::Reverse(TaskPlace::of(task)));
        let tasks = tasks.into_iter().take(query.looks_at());
        query.page(tasks.cloned().collect())
    }

    fn newest(&self, agent: AgentId, meant: impl Fn(&Row) -> bool) -> Option<&Row> {
        let mut newest_first = self.rows.values().rev();
        newest_first.find(|row| row.task.agent == agent && meant(row))
    }

    /// See [`wpk_api::TaskStore::transition`].
    pub fn transition(&mut self, moves: Vec<Transition>) -> Vec<TransitionResult> {
        moves.into_iter().map(|one| self.move_one(one)).collect()
    }

    fn move_one(&mut self, one: Transition) -> TransitionResult {
        let row = match one.select {
            Selector::Task(id) => self.rows.get(&id),
            Selector::LatestOf(agent) => self.newest(agent, |_| true),
            Selector::SpokenOf(agent) => {
                self.newest(agent, |row| row.standing.begun || !row.standing.ours)
            }
            Selector::TaskOf { task, agent } => {
                (self.rows.get(&task)).filter(|row| row.task.agent == agent)
            }
        };
        let Some(row) = row else {
            return TransitionResult::Refused(None);
        };
        let task = &row.task;
        if !one.is_open(task, row.standing, self.entries.caller()) {
            return TransitionResult::Refused(Some(task.clone()));
        }
        let id = task.id;
        let moved = self.change(id, |row| {
            if one.error_msg.is_some() {
                row.task.error_msg = one.error_msg;
            } else if one.to == Status::Done {
                row.task.error_msg = None;
            }
            if row.standing.ours {
                row.task.confirmation = Confirmation::at_end(&one.to, row.target);
            }
            let late = row.task.status == Status::Timeout;
            row.task.status = one.to;
            row.task.updated = Some(one.at);
            let entry = one.entry.map(|entry| entry.of_late(late));
            row.timeline.extend(entry);
        });
        moved.map_or(TransitionResult::Refused(None), TransitionResult::Moved)
    }

    /// Whether whoever calls carries a task out.
    pub(super) fn carries_out(&self, row: &Row) -> bool {
        (row.standing).is_carried_out_by(&row.task.node, self.entries.caller())
    }

    /// See [`wpk_api::TaskStore::claim`].
    pub fn claim(&mut self, node: &str, limit: usize, now: UnixTime) -> Vec<Claimed> {
        let opened = |row: &Row| row.fence.as_ref().is_none_or(|fence| fence.opens <= now);
        let claimable = |row: &&Row| {
            row.task.node == node && waits(row) && opened(row) && self.carries_out(row)
        };
        let rows = self.rows.values().filter(claimable);
        let ids: Vec<_> = rows.take(limit).map(id).collect();
        for id in &ids {
            self.change(*id, |row| {
                row.claimed = true;
                row.task.status = Status::InProgress;
                row.task.updated = Some(now);
            });
        }
        ids.iter().filter_map(|id| self.claimed(*id)).collect()
    }

    pub(super) fn claimed(&self, id: TaskId) -> Option<Claimed> {
        let row = self.rows.get(&id)?;
        Some(Claimed {
            task: row.task.clone(),
            order: (row.order.as_ref()?.read()).map_err(|error| error.to_string()),
            crashes: row.crashes,
        })
    }

    /// See [`wpk_api::TaskStore::interrupted`].
    pub fn interrupted(&mut self, node: &str, crashed: bool) -> Vec<Claimed> {
        if !self.entries.may_carry_out(node) {
            return Vec::new();
        }
        let interrupted = |row: &&mut Row| {
            row.task.status == Status::InProgress
                && row.task.node == node
                && row.claimed
                && row.order.is_some()
                && !row.standing.begun
        };
        let mut ids = Vec::new();
        for row in self.rows.values_mut().filter(interrupted) {
            row.crashes += u32::from(crashed);
            ids.push(row.task.id);
        }
        ids.into_iter().filter_map(|id| self.claimed(id)).collect()
    }

    /// See [`wpk_api::TaskStore::begin_installer`].
    pub fn begin_installer(&mut self, id: TaskId, target: Option<Version>, now: UnixTime) -> bool {
        let may = |row: &Row| {
            row.task.status == Status::InProgress
                && !row.standing.begun
                && self.carries_out(row)
                && self.documents.lets_begin(row.fence.as_deref(), now)
        };
        if !self.rows.get(&id).is_some_and(may) {
            return false;
        }
        let incarnation = self.entries.incarnation();
        self.change(id, |row| {
            row.standing.begun = true;
            row.begun_in = Some(incarnation);
            row.begun_at = Some(now);
            row.target = target;
            row.task.updated = Some(now);
            row.timeline
                .push(TimelineEntry::new(now, TimelineStep::Upgrade));
        });
        true
    }

    /// See [`wpk_api::TaskStore::touch`].
    pub fn touch(&mut self, tasks: &[TaskId], now: UnixTime) {
        for id in tasks {
            let runs = |row: &Row| row.task.status == Status::InProgress && self.carries_out(row);
            if self.rows.get(id).is_some_and(runs) {
                self.change(*id, |row| row.task.updated = Some(now));
            }
        }
    }

    /// See [`wpk_api::TaskStore::in_progress`].
    pub fn in_progress(&self, after: TaskId, limit: usize) -> Vec<Task> {
        let rows = self.rows.values().filter(|row| row.task.id > after);
        rows.filter(|row| row.task.status == Status::InProgress)
            .take(limit)
            .map(|row| row.task.clone())
            .collect()
    }

    /// See [`wpk_api::TaskStore::note`].
    pub fn note(&mut self, entries: Vec<(TaskId, TimelineEntry)>) {
        for (id, entry) in entries {
            if let Some(row) = self.rows.get_mut(&id) {
                row.timeline.push(entry);
                let over = row.timeline.len().saturating_sub(LONGEST_TIMELINE);
                row.timeline.drain(..over);
            }
        }
    }

    /// See [`wpk_api::TaskStore::timeline`].
    pub fn timeline(&self, task: TaskId) -> Vec<TimelineEntry> {
        let row = self.rows.get(&task);
        row.map(|row| row.timeline.clone()).unwrap_or_default()
    }

    /// See [`wpk_api::TaskStore::awaiting`].
    pub fn awaiting(&self, node: &str, after: TaskId, limit: usize) -> Vec<Awaiting> {
        let rows = self.rows.values().filter(|row| row.task.id > after);
        let awaited = rows.filter(|row| {
            row.task.node == node && row.task.confirmation == Some(Confirmation::Awaited)
        });
        let awaited = awaited.filter_map(|row| {
            let task = row.task.clone();
            let mut later = self.rows.values().filter(|row| row.task.id > task.id);
            let next = later.find(|row| row.task.agent == task.agent && row.standing.begun);
            Some(Awaiting {
                target: row.target?,
                next: next.map(id),
                task,
            })
        });
        awaited.take(limit).collect()
    }

    /// See [`wpk_api::TaskStore::confirm`].
    pub fn confirm(&mut self, id: TaskId, what: Confirmation, entry: TimelineEntry) -> bool {
        let awaited = |row: &Row| row.task.confirmation == Some(Confirmation::Awaited);
        if !self.rows.get(&id).is_some_and(awaited) {
            return false;
        }
        self.change(id, |row| {
            row.task.confirmation = Some(what);
            row.timeline.push(entry);
        });
        true
    }
}

/// Whether a task waits, and nobody holds an order of it.
pub(super) fn gives_way(row: &Row) -> bool {
    row.task.status == Status::Pending && !row.standing.ours && !row.held
}

/// Whether a task waits to be taken.
pub(super) fn waits(row: &Row) -> bool {
    let free = !row.claimed && !row.standing.begun;
    free && row.order.is_some() && row.task.status.is_live()
}

pub(super) fn id(row: &Row) -> TaskId {
    row.task.id
}
