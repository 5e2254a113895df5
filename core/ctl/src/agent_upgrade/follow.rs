//! Waits until every task has ended, asking for results again and again.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::say::Say;
use crate::error::CtlError;
use crate::manager::client::{Client, passing};
use crate::manager::fleet;
use crate::manager::results::{self, CHUNK};
use crate::watch::board::Board;

/// How long a manager may be away, as when it is restarted.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until every task has ended; there is no limit of time but the task
/// manager's own.
///
/// # Errors
/// A manager that stays away, or answers what cannot be read.
pub(super) async fn follow(
    client: &mut Client,
    board: &mut Board,
    pause: Duration,
    say: &Say,
) -> Result<(), CtlError> {
    let mut ticker = interval(pause);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away: Option<Instant> = None;
    while !board.live().is_empty() {
        ticker.tick().await;
        match round(client, board).await {
            Ok(()) => away = None,
            Err(error) if passing(&error) => {
                say.debug(format!("{error}; trying again"));
                if away.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        say.debug(format!("{} tasks under way", board.live().len()));
    }
    Ok(())
}

async fn round(client: &mut Client, board: &mut Board) -> Result<(), CtlError> {
    for chunk in board.live().chunks(CHUNK) {
        let items = results::of(client, chunk).await?;
        items.into_iter().for_each(|item| board.result(item));
    }
    Ok(())
}

/// Asks what the agents report now. Their word about the task may overtake
/// their new version, so those that still show the old one are asked once more.
/// A manager that cannot tell leaves it open.
pub(super) async fn settle(client: &mut Client, board: &mut Board, pause: Duration) {
    for again in [false, true] {
        if again {
            sleep(pause).await;
        }
        match fleet::find(client, board.with_task()).await {
            Ok(agents) => board.report(fleet::version_texts(&agents)),
            Err(_) => return,
        }
        let mut entries = board.entries().iter();
        if !entries.any(|entry| entry.state.well_as_4x() && entry.reported == entry.from) {
            return;
        }
    }
}
