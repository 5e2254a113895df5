//! Asking again and again, of a manager that does not tell what changed: the result of every
//! task under way, why those ended that did, and how far the deliveries are.

use wpk_wire::own::{AskProgress, Delivery};

use super::board::Board;
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::results::{self, CHUNK};
use crate::manager::timelines;

/// The most agents whose delivery is asked for at a time; more could not be shown.
const DELIVERIES: usize = 1_000;
/// What is to be confirmed is asked for every so many rounds: it takes minutes.
const CONFIRM_EVERY: u32 = 4;

/// What was learned about the manager.
#[derive(Debug)]
pub(super) struct Poll {
    /// Which of our own commands it knows, as far as was seen.
    deliveries: bool,
    timelines: bool,
    rounds: u32,
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            deliveries: true,
            timelines: true,
            rounds: 0,
        }
    }
}

impl Poll {
    /// One round.
    ///
    /// # Errors
    /// Those of [`Client::ask`].
    pub(super) async fn round(
        &mut self,
        client: &mut Client,
        board: &mut Board,
    ) -> Result<(), CtlError> {
        for chunk in board.running().chunks(CHUNK) {
            let items = results::of(client, chunk).await?;
            items.into_iter().for_each(|item| board.result(item));
        }
        let again = self.rounds.is_multiple_of(CONFIRM_EVERY);
        self.rounds = self.rounds.wrapping_add(1);
        self.explain(client, board, again).await?;
        let updating = board.updating(DELIVERIES);
        if !self.deliveries || updating.is_empty() {
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
            Err(CtlError::Refused { .. }) => self.deliveries = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Asks why tasks ended as they did. What is to be confirmed is asked for `again`, or left
    /// for another round.
    async fn explain(
        &mut self,
        client: &mut Client,
        board: &mut Board,
        again: bool,
    ) -> Result<(), CtlError> {
        let asked = board.unexplained(again);
        if asked.is_empty() {
            return Ok(());
        }
        let told = match self.timelines {
            true => timelines::of_agents(client, &asked, Some(0)).await?,
            false => None,
        };
        self.timelines = told.is_some();
        board.explain(&asked, told.as_ref());
        Ok(())
    }
}
