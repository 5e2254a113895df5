//! What the calls of one store share: the master, our own file, and who may ask
//! the master for something at the moment. What is done with them is in
//! `create`, `claims`, `moves`, `remember` and `settle`.

use tokio::sync::{Mutex, MutexGuard};
use wpk_api::StoreError;

use super::local::Local;
use super::master::Master;

/// What the calls share.
pub(super) struct Inner {
    /// The name of this node.
    pub(super) node: String,
    pub(super) master: Master,
    pub(super) local: Local,
    /// Held while the master is asked for tasks, and while what such a question
    /// may have left behind is looked at: no two requests create at a time, as
    /// the master itself keeps no agent from having two live tasks.
    pub(super) creating: Mutex<()>,
    /// Held while tasks are claimed.
    pub(super) claiming: Mutex<()>,
    /// Held while the master is told to cancel.
    pub(super) cancelling: Mutex<()>,
}

impl Inner {
    /// The right to create; not waited for longer than a question to the master
    /// takes, since whoever holds it may be waiting for one.
    pub(super) async fn creating(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        tokio::time::timeout(self.master.patience(), self.creating.lock())
            .await
            .map_err(|_elapsed| {
                StoreError::Unavailable("earlier requests still wait for the master".to_owned())
            })
    }
}
