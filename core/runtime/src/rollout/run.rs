//! Planning, whenever something could have changed: a document, an agent, a task, or the
//! time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};
use wpk_api::{CancellationToken, StoreError, StoreResult};

use super::act::{Acted, act};
use super::log;
use super::look::{sources, stamp};
use super::pace::{Pace, SHORTEST};
use super::seat;
use super::spread::Spread;
use crate::workshop::Workshop;

/// How often the feed is looked at while a rollout runs: the time from the deciding
/// report to the halt.
const FEED_EVERY: Duration = Duration::from_millis(200);
/// How often it is looked whether another daemon wrote something.
const OTHERS_EVERY: Duration = Duration::from_secs(1);
/// How long is waited after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// After how many plans the history is tidied up.
const TIDY_EVERY: u32 = 1_000;

/// Runs until `stop`.
pub(crate) async fn run(workshop: Arc<Workshop>, stop: CancellationToken) {
    let mut desk = Desk {
        workshop,
        spread: Spread::default(),
        pace: Pace::default(),
        next: None,
        plans: 0,
    };
    let mut running = std::pin::pin!(desk.run());
    tokio::select! {
        () = &mut running => {}
        () = stop.cancelled() => {}
    }
}

struct Desk {
    workshop: Arc<Workshop>,
    spread: Spread,
    pace: Pace,
    /// When something changes by itself.
    next: Option<Instant>,
    plans: u32,
}

/// What is to be waited for.
enum Wait {
    /// There is something to plan, and it may wait so long.
    Soon(Duration),
    /// A rollout runs: the feed, the agents, the time.
    Busy,
    /// None does: a wish, of here or of another node.
    Idle,
    /// Another daemon is the planner, or the store failed.
    Pause(Duration),
}

impl Desk {
    async fn run(&mut self) {
        loop {
            let wait = match self.round().await {
                Ok(wait) => {
                    if self.workshop.rollouts.went(None) {
                        info!("rollouts are planned again");
                    }
                    wait
                }
                Err(StoreError::Fenced(why)) => {
                    self.workshop.membership.is_shut_out(&why);
                    return;
                }
                Err(trouble) => {
                    if self.workshop.rollouts.went(Some(trouble.to_string())) {
                        error!(%trouble, "rollouts cannot be planned; trying again");
                    }
                    Wait::Pause(PAUSE)
                }
            };
            self.wait(wait).await;
        }
    }

    async fn wait(&self, wait: Wait) {
        let wake = &self.workshop.rollouts.wake;
        match wait {
            // What comes meanwhile may not wait.
            Wait::Soon(left) => {
                let _ = tokio::time::timeout(left.min(FEED_EVERY), wake.notified()).await;
            }
            Wait::Pause(pause) => {
                let _ = tokio::time::timeout(pause, wake.notified()).await;
            }
            Wait::Idle if self.workshop.membership.is_shared() => {
                let _ = tokio::time::timeout(OTHERS_EVERY, wake.notified()).await;
            }
            Wait::Idle => wake.notified().await,
            Wait::Busy => self.until_changed().await,
        }
    }

    /// Ends when the feed has something new, agents are to be read, it is time, or somebody
    /// wrote something.
    async fn until_changed(&self) {
        let wake = &self.workshop.rollouts.wake;
        let (place, due) = {
            let eyes = self.workshop.rollouts.eyes.lock().await;
            (
                eyes.tasks.place(),
                eyes.fleet.due().unwrap_or_else(Instant::now),
            )
        };
        let mut until = self.next.map_or(due, |next| next.min(due));
        if self.workshop.membership.is_shared() {
            until = until.min(Instant::now() + OTHERS_EVERY);
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let woken = tokio::time::timeout(left.min(FEED_EVERY), wake.notified()).await;
            if woken.is_ok() || Instant::now() >= until {
                return;
            }
            match self.workshop.store().revision().await {
                Ok(newest) if newest == place => {}
                _ => return,
            }
        }
    }

    async fn round(&mut self) -> StoreResult<Wait> {
        let workshop = self.workshop.clone();
        let mut eyes = workshop.rollouts.eyes.lock().await;
        let read = match stamp(&workshop).await {
            Ok(stamp) => eyes.read_book(workshop.store(), Some(stamp)).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(()) => {}
            Err(error) if error == StoreError::keeps_no_documents() => {
                return Ok(Wait::Pause(Duration::from_secs(60)));
            }
            Err(error) => return Err(error),
        }
        let book = eyes.book.clone();
        let nodes = workshop.membership.others().living.len() as u64 + 1;
        workshop.rollouts.links.of(nodes, &book);
        if !book.is_busy() {
            workshop.metrics.rollouts.none();
            return Ok(Wait::Idle);
        }
        // Files may be sent ahead.
        workshop.staged.want(true);
        let Some(guard) = seat::hold(&workshop, &book).await? else {
            workshop.metrics.rollouts.none();
            return Ok(Wait::Pause(OTHERS_EVERY));
        };
        let planner = book.planner.as_ref();
        if !planner.is_some_and(|planner| seat::is_ours(&workshop, planner)) {
            // The place was taken just now: what the planner before wrote is read first.
            return Ok(Wait::Soon(SHORTEST));
        }
        let view = eyes.look(&sources(&workshop)).await?;
        let due = self.next.is_some_and(|next| next <= Instant::now());
        if !eyes.has_news() && !due {
            return Ok(Wait::Busy);
        }
        if let Some(left) = self.pace.left(eyes.is_urgent()) {
            return Ok(Wait::Soon(left));
        }
        let began = std::time::Instant::now();
        let made = view.plan().await?;
        let acted = act(&workshop, &mut eyes, &mut self.spread, &guard, &view, &made).await?;
        workshop.metrics.rollouts.are(&made.rollouts);
        eyes.planned(&made);
        self.pace.planned(began.elapsed());
        self.plans = self.plans.wrapping_add(1);
        if self.plans.is_multiple_of(TIDY_EVERY) {
            log::forget(workshop.store()).await?;
        }
        let left = made.next.map(|at| at.saturating_sub(view.now).max(1));
        let left = left.and_then(|left| u64::try_from(left).ok());
        self.next = left.map(|left| Instant::now() + Duration::from_secs(left.min(86_400)));
        Ok(match acted {
            Acted::Nothing => {
                eyes.rest();
                Wait::Busy
            }
            Acted::Done => Wait::Soon(SHORTEST),
            Acted::Stale => {
                eyes.missed();
                Wait::Soon(SHORTEST)
            }
        })
    }
}
