//! The question that is asked once, or again and again.

use wpk_wire::UpgradeCommand;
use wpk_wire::own::rollout::{AskRollout, StatusOfRollout};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::rollouts;

/// How a rollout is.
///
/// # Errors
/// Those of [`rollouts::ask`].
pub(super) async fn status(
    client: &mut Client,
    asked: &AskRollout,
) -> Result<StatusOfRollout, CtlError> {
    let items = rollouts::ask(client, asked.clone()).await?;
    rollouts::first(
        client,
        UpgradeCommand::RolloutStatus,
        &items,
        StatusOfRollout::from_item,
    )
}
