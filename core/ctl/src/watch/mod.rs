//! Watching tasks until they end: `board` holds what is known of each agent
//! (`entry`), this file asks the manager again and again, `view` and `bars` show
//! what changes, `report` tells the end and `counts` how many ended how.
//!
//! A task that ended as Updated may still wait for the manager to see the new
//! version: it is watched on until the manager has decided, which is within its
//! `tasks.confirm_within`, or for [`Pace::confirm_for`].

mod bars;
pub(crate) mod board;
mod counts;
pub(crate) mod entry;
pub(crate) mod report;
pub(crate) mod view;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use wpk_api::AgentId;
use wpk_wire::UpgradeCode;
use wpk_wire::own::{AskProgress, Delivery};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::fleet;
use crate::manager::results::{self, CHUNK};
use crate::manager::timelines;
use board::Board;
use report::Asked;
use view::View;

/// The most agents whose delivery is asked for at a time; more could not be shown.
const DELIVERIES: usize = 1_000;
/// The longest pause between two attempts to reach a manager that went away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What is to be confirmed is asked for every so many rounds: it takes minutes.
const CONFIRM_EVERY: u32 = 4;
/// How long to wait for agents to report the version they were upgraded to.
const SETTLE: Duration = Duration::from_secs(5);

/// How often and how long to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two rounds of questions.
    pub(crate) interval: Duration,
    /// For watching as a whole.
    pub(crate) timeout: Duration,
    /// For reaching a manager again that went away.
    pub(crate) reconnect_for: Duration,
    /// For what the manager sees of new versions once every task has ended; `None`:
    /// until it has decided.
    pub(crate) confirm_for: Option<Duration>,
}

/// How watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchEnd {
    /// Every task has ended.
    Ended,
    /// Some go on.
    TimedOut,
}

/// Asks until every task has ended or the time is over.
///
/// # Errors
/// When the manager cannot be reached for [`Pace::reconnect_for`], or answers
/// what cannot be read.
pub(crate) async fn watch(
    client: &mut Client,
    board: &mut Board,
    view: &mut View,
    pace: &Pace,
) -> Result<WatchEnd, CtlError> {
    match timeout(pace.timeout, until_ended(client, board, view, pace)).await {
        Ok(ended) => ended.map(|()| WatchEnd::Ended),
        Err(_) => Ok(WatchEnd::TimedOut),
    }
}

async fn until_ended(
    client: &mut Client,
    board: &mut Board,
    view: &mut View,
    pace: &Pace,
) -> Result<(), CtlError> {
    let mut ticker = interval(pace.interval);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut knows = Knows {
        deliveries: true,
        timelines: true,
    };
    let mut outage: Option<(Instant, Duration)> = None;
    let mut ended: Option<Instant> = None;
    let mut rounds: u32 = 0;
    view.show(board)?;
    loop {
        ticker.tick().await;
        let again = rounds.is_multiple_of(CONFIRM_EVERY);
        rounds = rounds.wrapping_add(1);
        match round(client, board, &mut knows, again).await {
            Ok(()) => {
                if outage.take().is_some() {
                    view.note("back", "the manager is back")?;
                }
                view.show(board)?;
                if board.live().is_empty() {
                    return Ok(());
                }
                if let (Some(limit), true) = (pace.confirm_for, board.running().is_empty())
                    && ended.get_or_insert_with(Instant::now).elapsed() >= limit
                {
                    return Ok(());
                }
            }
            Err(error) if passing(&error) => {
                if outage.is_none() {
                    view.note("lost", &format!("{error}; trying again"))?;
                }
                let (since, pause) = outage.unwrap_or((Instant::now(), pace.interval));
                let left = pace.reconnect_for.saturating_sub(since.elapsed());
                if left.is_zero() {
                    return Err(error);
                }
                sleep(pause.min(left)).await;
                outage = Some((since, (pause * 2).min(LONGEST_PAUSE)));
                ticker.reset_immediately();
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether trying again may help: a manager that restarts, or whose store is busy.
pub(crate) fn passing(error: &CtlError) -> bool {
    match error {
        CtlError::Unreachable { .. } | CtlError::Lost { .. } | CtlError::Silent { .. } => true,
        CtlError::Refused { code, .. } => matches!(
            code.upgrade(),
            Some(UpgradeCode::TaskManagerCommunication | UpgradeCode::TaskManagerFailure)
        ),
        _ => false,
    }
}

/// Which of our own commands the manager knows, as far as was seen.
struct Knows {
    deliveries: bool,
    timelines: bool,
}

/// One round: the result of every task under way, why those ended that did, and
/// how far the deliveries are. What is to be confirmed is asked for `again`, or
/// left for another round.
async fn round(
    client: &mut Client,
    board: &mut Board,
    knows: &mut Knows,
    again: bool,
) -> Result<(), CtlError> {
    for chunk in board.running().chunks(CHUNK) {
        let items = results::of(client, chunk).await?;
        items.into_iter().for_each(|item| board.result(item));
    }
    explain(client, board, knows, again).await?;
    let updating = board.updating(DELIVERIES);
    if !knows.deliveries || updating.is_empty() {
        return Ok(());
    }
    let asked = AskProgress {
        agents: updating.clone(),
    };
    match client.own(asked).await {
        Ok(items) => {
            let running: Vec<Delivery> = items.iter().filter_map(Delivery::from_item).collect();
            board.deliveries(&updating, &running);
        }
        // A manager without the command: the results alone must do.
        Err(CtlError::Refused { .. }) => knows.deliveries = false,
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Asks why tasks ended as they did.
async fn explain(
    client: &mut Client,
    board: &mut Board,
    knows: &mut Knows,
    again: bool,
) -> Result<(), CtlError> {
    let asked = board.unexplained(again);
    if asked.is_empty() {
        return Ok(());
    }
    let told = match knows.timelines {
        true => timelines::of_agents(client, &asked, Some(0)).await?,
        false => None,
    };
    knows.timelines = told.is_some();
    board.explain(&asked, told.as_ref());
    Ok(())
}

/// The versions of agents; empty from a manager that cannot list agents.
///
/// # Errors
/// If the manager cannot be reached.
pub(crate) async fn versions(
    client: &mut Client,
    agents: &[AgentId],
) -> Result<HashMap<AgentId, String>, CtlError> {
    match fleet::versions(client, agents.iter().copied()).await {
        Err(error @ CtlError::Unreachable { .. }) => Err(error),
        other => Ok(other.unwrap_or_default()),
    }
}

/// Asks which versions the agents report now. An agent's word about its task
/// may overtake its new version, so those that ended as Updated get a few
/// seconds. Failures are no failures of the upgrade: the report marks what is
/// not confirmed.
pub(crate) async fn settle(client: &mut Client, board: &mut Board, asked: &Asked, pause: Duration) {
    let _ = timeout(SETTLE, async {
        loop {
            let Ok(versions) = fleet::versions(client, board.with_task()).await else {
                return;
            };
            let supported = !versions.is_empty();
            board.report(versions);
            if !supported || !report::unconfirmed(board, asked) {
                return;
            }
            sleep(pause).await;
        }
    })
    .await;
}
