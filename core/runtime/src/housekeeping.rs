//! The task manager's clock: time-outs and clean-up (PROTOCOL.md, section 3).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{debug, error, info, warn};
use wpk_api::{CancellationToken, Overdue, Task, TaskId, UnixTime};

use crate::clock::whole_seconds;
use crate::workshop::Workshop;

const DAY: Duration = Duration::from_secs(86_400);

/// Runs until `stop`.
pub(crate) async fn run(workshop: Arc<Workshop>, stop: CancellationToken) {
    let tasks = &workshop.settings.tasks;
    let (timeout, keep) = (tasks.task_timeout.0, tasks.cleanup_time.0);
    // Often enough that a time-out is late by a quarter at the most.
    let look = (timeout / 4).clamp(Duration::from_secs(1), Duration::from_secs(30));
    // Once a day; oftener where tasks are kept for less than that. Never at the
    // very start, when the administrator may want to see what was.
    let clean = keep.clamp(Duration::from_secs(1), DAY);
    let mut looks = interval_at(Instant::now() + look, look);
    let mut cleans = interval_at(Instant::now() + clean.min(DAY / 24), clean);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    cleans.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ages = Ages::new(timeout);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => expire(&workshop, &mut ages).await,
            _ = cleans.tick() => purge(&workshop, keep).await,
        }
    }
}

/// Tasks read from the store at a time.
const PAGE: usize = 10_000;

/// How long each task that is In progress has been without an update, measured
/// by a clock that nobody sets. Only what an earlier run left is judged by the
/// times that were stored.
struct Ages {
    timeout: Duration,
    seen: HashMap<TaskId, Silence>,
    /// Whether this run has looked before: what it meets later is new to it.
    looked: bool,
}

/// A task without a word.
#[derive(Clone, Copy)]
struct Silence {
    updated: Option<UnixTime>,
    since: Instant,
    /// How long it had lasted when it was first seen.
    before: Duration,
}

impl Ages {
    fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            seen: HashMap::new(),
            looked: false,
        }
    }

    /// Takes in what is In progress now, without what is in hand; returns what is
    /// overdue.
    fn look(&mut self, running: &[Task], now: UnixTime) -> Vec<Overdue> {
        let mut seen = HashMap::with_capacity(running.len());
        let mut overdue = Vec::new();
        for task in running {
            let known = self.seen.get(&task.id).copied();
            let silence = known
                .filter(|silence| silence.updated == task.updated)
                .unwrap_or_else(|| self.begins(task, now));
            if silence.before + silence.since.elapsed() >= self.timeout {
                overdue.push(Overdue {
                    task: task.id,
                    updated: task.updated,
                });
            }
            seen.insert(task.id, silence);
        }
        self.seen = seen;
        self.looked = true;
        overdue
    }

    fn begins(&self, task: &Task, now: UnixTime) -> Silence {
        let last_word = task.updated.unwrap_or(task.created);
        let left_over = now.saturating_sub(last_word).max(0).unsigned_abs();
        Silence {
            updated: task.updated,
            since: Instant::now(),
            before: match self.looked {
                true => Duration::ZERO,
                false => Duration::from_secs(left_over).min(self.timeout),
            },
        }
    }
}

/// Tasks without an update for too long end as Timeout; those that are being
/// delivered right now do not.
async fn expire(workshop: &Workshop, ages: &mut Ages) {
    let (store, now) = (workshop.store(), workshop.now());
    let mut running = Vec::new();
    loop {
        let after = running.last().map_or(TaskId(0), |task: &Task| task.id);
        match store.in_progress(after, PAGE).await {
            Ok(page) if page.is_empty() => break,
            Ok(page) => running.extend(page),
            Err(error) => {
                warn!(%error, "running tasks cannot be read; no time-outs this time");
                return;
            }
        }
    }
    let in_hand: HashSet<TaskId> = workshop.in_hand.ids().into_iter().collect();
    running.retain(|task| !in_hand.contains(&task.id));
    let overdue = ages.look(&running, now);
    // Also when there is none: a store that is not alone looks around then.
    match store.expire(&overdue, now).await {
        Ok(ended) => {
            for task in ended {
                warn!(task = %task.id, agent = %task.agent, "no word from the agent in time");
            }
        }
        Err(error) => error!(%error, "time-outs cannot be stored; trying again"),
    }
}

async fn purge(workshop: &Workshop, keep: Duration) {
    let until = workshop.now().saturating_sub(whole_seconds(keep));
    match workshop.store().purge(until).await {
        Ok(0) => debug!("no old tasks to delete"),
        Ok(deleted) => info!(deleted, "old tasks deleted"),
        Err(error) => error!(%error, "old tasks cannot be deleted; trying again tomorrow"),
    }
}
