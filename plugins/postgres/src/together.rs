//! Requests that wait at the same time, as one transaction. Whoever creates tasks takes
//! turns with all others, and keeps the turn until its commit is on disk: so what gathered
//! meanwhile goes together, and the disk is waited for once.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wpk_api::{Created, NewTask, StoreError, StoreResult};

use crate::create;
use crate::database::{Database, write};
use crate::fault::Fault;

/// Requests that may wait; the next caller waits for a place.
const WAITING: usize = 1_024;
/// Requests of one transaction.
const AT_ONCE: usize = 256;
/// Their tasks, unless the first request alone has more.
const TASKS: usize = 4_096;

type Reply = oneshot::Sender<StoreResult<Vec<Created>>>;

/// A request and the way back to whoever made it.
struct Call {
    tasks: Vec<NewTask>,
    /// Until when it may be begun.
    deadline: Instant,
    reply: Reply,
}

/// Where requests wait.
pub(crate) struct Creates {
    calls: mpsc::Sender<Call>,
}

impl Creates {
    /// Begins to carry out what is asked; ends when it is dropped and all is done.
    pub(crate) fn start(database: Arc<Database>) -> Self {
        let (calls, waiting) = mpsc::channel(WAITING);
        tokio::spawn(run(database, waiting));
        Self { calls }
    }

    /// See [`wpk_api::TaskStore::create`].
    pub(crate) async fn create(
        &self,
        database: &Database,
        tasks: Vec<NewTask>,
    ) -> StoreResult<Vec<Created>> {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            deadline: database.attempts(tasks.len()).deadline,
            tasks,
            reply,
        };
        let sent = self.calls.send(call).await;
        sent.map_err(|_| StoreError::Unavailable("it is closed".to_owned()))?;
        answer.await.unwrap_or_else(|_| {
            let lost = "whoever carried it out ended before it answered";
            Err(StoreError::Uncertain(lost.to_owned()))
        })
    }
}

async fn run(database: Arc<Database>, mut waiting: mpsc::Receiver<Call>) {
    let mut first = waiting.recv().await;
    while let Some(call) = first {
        let mut batch = vec![call];
        first = gather(&mut batch, &mut waiting);
        // What nobody waits for any more is not begun.
        batch.retain(|call| !call.reply.is_closed());
        carry_out(&database, batch).await;
        if first.is_none() {
            first = waiting.recv().await;
        }
    }
}

/// Takes what waits, up to the bounds; returns the first that is too much.
fn gather(batch: &mut Vec<Call>, waiting: &mut mpsc::Receiver<Call>) -> Option<Call> {
    let mut tasks: usize = batch.iter().map(|call| call.tasks.len()).sum();
    while batch.len() < AT_ONCE {
        let next = waiting.try_recv().ok()?;
        tasks += next.tasks.len();
        if tasks > TASKS {
            return Some(next);
        }
        batch.push(next);
    }
    None
}

async fn carry_out(database: &Database, batch: Vec<Call>) {
    let now = Instant::now();
    let (batch, late): (Vec<Call>, Vec<Call>) =
        batch.into_iter().partition(|call| call.deadline > now);
    for call in late {
        answer(call.reply, Err(Fault::silent().into_error()));
    }
    if batch.is_empty() {
        return;
    }
    let sizes: Vec<usize> = batch.iter().map(|call| call.tasks.len()).collect();
    let (calls, tasks): (Vec<_>, Vec<_>) = (batch.into_iter())
        .map(|call| (call.reply, call.tasks))
        .unzip();
    let tasks = joined(tasks);
    match create(database, &tasks).await {
        Ok(created) => {
            let mut created = created.into_iter();
            for (reply, size) in calls.into_iter().zip(sizes) {
                answer(reply, Ok(created.by_ref().take(size).collect()));
            }
        }
        // One of them may have taken the others with it: each gets its own chance.
        Err(StoreError::Damaged(_) | StoreError::Full(_)) if calls.len() > 1 => {
            let mut rest = tasks.as_slice();
            for (reply, size) in calls.into_iter().zip(sizes) {
                let (own, others) = rest.split_at(size.min(rest.len()));
                rest = others;
                answer(reply, create(database, own).await);
            }
        }
        Err(error) => {
            for reply in calls {
                answer(reply, Err(error.clone()));
            }
        }
    }
}

/// All of them in the first list: a request of tens of thousands is not copied.
fn joined(lists: Vec<Vec<NewTask>>) -> Vec<NewTask> {
    let all = lists.iter().map(Vec::len).sum::<usize>();
    let mut lists = lists.into_iter();
    let mut joined = lists.next().unwrap_or_default();
    joined.reserve_exact(all - joined.len());
    joined.extend(lists.flatten());
    joined
}

async fn create(database: &Database, tasks: &[NewTask]) -> StoreResult<Vec<Created>> {
    write!(database, tasks.len(), |work| create::create(
        &mut work, tasks
    ))
}

/// Whoever asked may have gone; the work is done all the same.
fn answer(reply: Reply, created: StoreResult<Vec<Created>>) {
    drop(reply.send(created));
}
