//! Watching tasks until they end: `board` holds what is known of each agent,
//! this file asks the manager again and again, `view` and `bars` show what
//! changes, `report` tells the end.

mod bars;
pub(crate) mod board;
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
use board::Board;
use report::Asked;
use view::View;

/// The most agents whose delivery is asked for at a time; more could not be shown.
const DELIVERIES: usize = 1_000;
/// The longest pause between two attempts to reach a manager that went away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
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
    let mut deliveries = true;
    let mut outage: Option<(Instant, Duration)> = None;
    view.show(board)?;
    loop {
        ticker.tick().await;
        match round(client, board, &mut deliveries).await {
            Ok(()) => {
                if outage.take().is_some() {
                    view.note("back", "the manager is back")?;
                }
                view.show(board)?;
                if board.live().is_empty() {
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

/// One round: the result of every task under way, then how far the deliveries are.
async fn round(
    client: &mut Client,
    board: &mut Board,
    deliveries: &mut bool,
) -> Result<(), CtlError> {
    for chunk in board.live().chunks(CHUNK) {
        let items = results::of(client, chunk).await?;
        items.into_iter().for_each(|item| board.result(item));
    }
    let updating = board.updating(DELIVERIES);
    if !*deliveries || updating.is_empty() {
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
        Err(CtlError::Refused { .. }) => *deliveries = false,
        Err(error) => return Err(error),
    }
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
