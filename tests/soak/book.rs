//! The store as the daemon has it here: a real one on a real file, whose calls
//! take simulated time, fail now and then, and whose every change is held against
//! what the agents know at that moment.
//!
//! Each call is carried out in one go, without the runtime: otherwise a paused
//! clock would run on while the store's threads work. Writes are in a queue, as
//! before the one thread that writes. A daemon that is killed before an answer
//! reaches it finds out after its next start what became of the call.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex as Queue;
use wpk_api::{
    AgentId, Changed, Revision, Status, StoreError, Task, TaskId, TaskStore, TimelineStep,
};
use wpk_testkit::memory::{Carried, Gate};

use crate::dice::Dice;
use crate::oracle::{Fault, Says, Worth, judge, judge_at_the_end};
use crate::world::{LAST_OF_OURS, World};

/// A task as the table showed it last.
#[derive(Debug, Clone)]
struct Row {
    task: Task,
    /// When it was changed last, by the story's time.
    changed: Duration,
    gone: bool,
    /// Its installer was begun, as far as the manager wrote down.
    begun: bool,
    /// Another module's.
    foreign: bool,
}

/// What the table said, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Book {
    rows: BTreeMap<TaskId, Row>,
    newest: BTreeMap<AgentId, TaskId>,
    accepted: BTreeSet<TaskId>,
    read: Revision,
    remembered: Revision,
    faults: Vec<(Fault, String)>,
    /// When the daemon was started, by the story's time, and its time-out.
    pub since: Duration,
    pub task_timeout: Duration,
    /// From now on all tasks are ours.
    pub finale: bool,
    /// How often a time-out was corrected by a late word.
    pub corrected: usize,
}

impl Book {
    pub fn fault(&mut self, fault: Fault, what: String) {
        self.faults.push((fault, what));
    }

    pub fn faults(&self) -> &[(Fault, String)] {
        &self.faults
    }

    /// The caller heard that the task is accepted.
    pub fn accepts(&mut self, task: TaskId) {
        self.accepted.insert(task);
    }

    pub fn accepted(&self) -> usize {
        self.accepted.len()
    }

    /// The newest task of an agent, if it is In progress.
    pub fn in_progress(&self, agent: AgentId) -> Option<TaskId> {
        let row = self.rows.get(self.newest.get(&agent)?)?;
        (row.task.status == Status::InProgress).then_some(row.task.id)
    }

    /// Whether a word of an agent that names no task is about none that could take
    /// it: its newest task is being delivered, and the newest whose installer was
    /// begun has ended by the agent's word or for good.
    pub fn takes_no_word(&self, agent: AgentId) -> bool {
        let delivered = self
            .in_progress(agent)
            .is_some_and(|task| !self.rows[&task].begun);
        let begun = |row: &&Row| row.task.agent == agent && row.begun && !row.gone;
        let spoken_of = self.rows.values().rev().find(begun);
        let takes = |row: &Row| matches!(row.task.status, Status::InProgress | Status::Timeout);
        delivered && !spoken_of.is_some_and(takes)
    }

    /// The tasks that are not over.
    pub fn live(&self) -> Vec<&Task> {
        let live = |row: &&Row| !row.gone && row.task.status.is_live();
        self.rows
            .values()
            .filter(live)
            .map(|row| &row.task)
            .collect()
    }

    /// How many tasks have each status.
    pub fn statuses(&self) -> BTreeMap<String, usize> {
        let mut statuses = BTreeMap::new();
        for row in self.rows.values().filter(|row| !row.foreign) {
            *statuses.entry(row.task.status.to_string()).or_default() += 1;
        }
        statuses
    }

    /// The newest tasks of an agent, for messages.
    fn all_of(&self, agent: AgentId) -> String {
        let rows = self
            .rows
            .values()
            .rev()
            .filter(|row| row.task.agent == agent);
        let row = |row: &Row| {
            let (begun, gone) = (row.begun.then_some(" begun"), row.gone.then_some(" gone"));
            let (begun, gone) = (begun.unwrap_or_default(), gone.unwrap_or_default());
            format!("{} {}{begun}{gone}", row.task.id, row.task.status)
        };
        rows.take(6).map(row).collect::<Vec<_>>().join(", ")
    }

    /// Whether a time-out comes before its time. Of what an earlier run left the
    /// daemon knows only what the machine's clock said.
    fn is_early(&self, task: &Task, now: Duration) -> bool {
        let known = self
            .rows
            .get(&task.id)
            .filter(|row| row.changed > self.since);
        let early = known.is_some_and(|row| now < row.changed + self.task_timeout);
        task.status == Status::Timeout && early
    }

    fn enters(&mut self, task: Task, begun: bool, now: Duration) -> bool {
        let foreign = task.agent.get() > LAST_OF_OURS && !self.finale;
        let late = |row: &Row| row.task.status == Status::Timeout;
        let known = self.rows.get(&task.id);
        self.corrected += usize::from(known.is_some_and(late) && task.status != Status::Timeout);
        let foreign = known.map_or(foreign, |row| row.foreign);
        let newest = self.newest.entry(task.agent).or_insert(task.id);
        *newest = task.id.max(*newest);
        if self.is_early(&task, now) {
            let what = format!("task {} timed out early, {now:.0?} into the story", task.id);
            self.fault(Fault::Untrue, what);
        }
        let row = Row {
            task,
            changed: now,
            gone: false,
            begun,
            foreign,
        };
        self.rows.insert(row.task.id, row);
        foreign
    }

    fn goes(&mut self, task: TaskId) {
        let Some(row) = self.rows.get_mut(&task) else {
            return;
        };
        row.gone = true;
        if row.task.status.is_live() {
            let what = format!("task {task} was deleted while it was {}", row.task.status);
            self.fault(Fault::Lost, what);
        }
    }
}

/// The name under which the book reads the feed.
const READER: &str = "soak";
/// Changes after which the store is told how far the book has come.
const PAGE: u64 = 1_000;

/// The store is told how far the book has come: what is behind that it may forget.
pub fn remember(world: &World, store: &dyn TaskStore) {
    let read = world.book().read;
    at_once(store.set_place(READER, read)).expect("the place is kept");
    world.book().remembered = read;
}

/// Reads what changed and holds it against what the agents know.
pub fn look(world: &World, store: &dyn TaskStore) {
    loop {
        let read = world.book().read;
        let changes = at_once(store.changes(read, 1_000)).expect("the feed is read");
        let Some(last) = changes.last() else {
            return;
        };
        world.book().read = last.revision;
        if last.revision.0 > world.book().remembered.0 + PAGE {
            remember(world, store);
        }
        for change in changes {
            match change.changed {
                Changed::Deleted(task) => world.book().goes(task),
                Changed::Task(task) | Changed::Foreign(task) => {
                    let begun = is_begun(store, &task);
                    let foreign = world.book().enters(task.clone(), begun, world.time());
                    if foreign {
                        continue;
                    }
                    if let Some(what) = worth(world, store, &task, begun, false) {
                        world.book().fault(what.0, what.1);
                    }
                }
            }
        }
    }
}

/// What is wrong about what the table says of a task.
fn worth(
    world: &World,
    store: &dyn TaskStore,
    task: &Task,
    begun: bool,
    end: bool,
) -> Option<(Fault, String)> {
    let knows = world.knows(task.agent, task.id, begun);
    let Some(says) = Says::of(task) else {
        return Some((
            Fault::Untrue,
            format!("task {}: {:?}", task.id, task.status),
        ));
    };
    let fault = match end {
        true => judge_at_the_end(knows, says).err()?,
        false => match judge(knows, says) {
            Worth::Untrue => Fault::Untrue,
            Worth::True | Worth::Open => return None,
        },
    };
    let timeline = at_once(store.timeline(task.id)).unwrap_or_default();
    let steps: Vec<String> = timeline
        .iter()
        .map(|entry| format!("{} {:?}", entry.at, entry.step))
        .collect();
    let what = format!(
        "task {} of agent {}: the table says {says:?} ({:?}), the agent knows {knows:?}; {:.0?} into the story; {}; all of it: {}",
        task.id,
        task.agent,
        task.error_msg,
        world.time(),
        steps.join(", "),
        world.book().all_of(task.agent),
    );
    Some((fault, what))
}

/// Whether it was written down that the installer is begun.
fn is_begun(store: &dyn TaskStore, task: &Task) -> bool {
    let timeline = at_once(store.timeline(task.id)).expect("the timeline is read");
    let begins = |step, failed: bool| step == TimelineStep::Upgrade && !failed;
    timeline
        .iter()
        .any(|entry| begins(entry.step, entry.failure.is_some()))
}

/// Holds everything against the truth when nothing more is going to happen.
pub fn close(world: &World, store: &dyn TaskStore) {
    look(world, store);
    let (rows, accepted) = {
        let book = world.book();
        let rows: Vec<Row> = book
            .rows
            .values()
            .filter(|row| !row.gone)
            .cloned()
            .collect();
        (rows, book.accepted.clone())
    };
    for row in &rows {
        let wrong = match row.foreign {
            true if row.task.status.is_live() => Some((Fault::Stuck, format!("{:?}", row.task))),
            true => None,
            false => worth(world, store, &row.task, row.begun, true),
        };
        if let Some((fault, what)) = wrong {
            world.book().fault(fault, what);
        }
    }
    let mut book = world.book();
    for task in accepted {
        if !book.rows.contains_key(&task) {
            book.fault(
                Fault::Lost,
                format!("task {task} was accepted and is not there"),
            );
        }
    }
}

/// The gate before the store of one life.
pub struct Desk {
    pub world: Arc<World>,
    pub store: Arc<dyn TaskStore>,
    pub dice: std::sync::Mutex<Dice>,
    /// Calls in a thousand that fail.
    pub trouble: u32,
    pub queue: Queue<()>,
}

impl Desk {
    fn dice(&self) -> std::sync::MutexGuard<'_, Dice> {
        self.dice.lock().unwrap()
    }
}

const READS: [&str; 6] = [
    "latest",
    "in_progress",
    "timeline",
    "changes",
    "revision",
    "place",
];

#[async_trait]
impl Gate for Desk {
    async fn pass(&self, _: &'static str) -> Result<(), StoreError> {
        let mut dice = self.dice();
        match dice.per_mille(self.trouble) {
            false => Ok(()),
            true if dice.per_mille(500) => Err(StoreError::Full("the disk is full".into())),
            true => Err(StoreError::Unavailable("it is away".into())),
        }
    }

    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        if READS.contains(&operation) {
            return at_once(call);
        }
        let (before, after) = {
            let mut dice = self.dice();
            (dice.millis(0, 4), dice.millis(0, 4))
        };
        let turn = self.queue.lock().await;
        tokio::time::sleep(before).await;
        let answer = at_once(call);
        look(&self.world, &*self.store);
        drop(turn);
        tokio::time::sleep(after).await;
        answer
    }
}

/// Carries a future out here and now.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    // Without the runtime's budget, which nobody would renew here.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
