//! Whether upgrades are allowed (section 7), and who is told when that may have
//! changed. The engine asks, the notification loop listens.
//!
//! Nothing is remembered but the switch: the result of an upgrade that waits to
//! be delivered is a file, so the answer is the same after a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::result::ResultFile;

/// Shared between engine and notification loop.
#[derive(Debug)]
pub(crate) struct State {
    enabled: AtomicBool,
    result: PathBuf,
    changed: Notify,
}

impl State {
    pub(crate) fn new(enabled: bool, result: PathBuf) -> Self {
        Self {
            enabled: AtomicBool::new(enabled),
            result,
            changed: Notify::new(),
        }
    }

    /// Whether commands are carried out: not while switched off, and not until
    /// the result of the upgrade before was delivered.
    pub(crate) fn allows_upgrades(&self) -> bool {
        self.enabled.load(Ordering::Relaxed) && !ResultFile::read(&self.result).is_pending()
    }

    /// Carries out `clear_upgrade_result`: removes the file and allows upgrades
    /// again, even where the settings did not, as a 4.x agent does.
    ///
    /// # Errors
    /// Those of removing the file, also when there is none.
    pub(crate) fn clear(&self) -> io::Result<()> {
        std::fs::remove_file(&self.result)?;
        self.enabled.store(true, Ordering::Relaxed);
        self.changed.notify_one();
        Ok(())
    }

    /// An installer has ended its first part: a result may come soon.
    pub(crate) fn expect_result(&self) {
        self.changed.notify_one();
    }

    /// Waits for [`State::clear`] or [`State::expect_result`].
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Where the result is looked for.
    pub(crate) fn result_path(&self) -> &Path {
        &self.result
    }
}
