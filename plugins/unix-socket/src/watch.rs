//! Keeps a socket at its path while the daemon runs. Whoever removes it (a clean-up
//! of the folder, another daemon that ended) would leave a daemon that looks
//! healthy and that nobody can reach.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use wpk_api::SourceError;

use crate::bind::{Bound, Lies};

/// How often is looked. It is back within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is tried to make it again, a look apart: another daemon may hold the
/// folder for a moment.
const ATTEMPTS: u32 = 8;

/// Returns when the socket was removed and has been made again; until then it
/// watches. A socket that somebody else put in its place is left alone, and said.
///
/// # Errors
/// [`SourceError`] if it cannot be made again.
pub(crate) async fn made_again(bound: &Bound) -> Result<Bound, SourceError> {
    let path = bound.path().display();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut taken, mut failures) = (false, 0);
    loop {
        looks.tick().await;
        match bound.lies() {
            Lies::AtItsPath if taken => {
                taken = false;
                tracing::info!(%path, "the socket is back at its path");
            }
            Lies::AtItsPath => {}
            Lies::BehindAnother if taken => {}
            Lies::BehindAnother => {
                taken = true;
                tracing::error!(
                    %path,
                    "the socket was replaced by somebody else, whom clients reach now; end that \
                     program and remove what it left, and the socket is made again"
                );
            }
            Lies::Nowhere => match bound.again() {
                Ok(again) => {
                    tracing::warn!(%path, "the socket was removed; it has been made again");
                    return Ok(again);
                }
                Err(_) if failures < ATTEMPTS => failures += 1,
                Err(error) => {
                    return Err(SourceError {
                        source_name: path.to_string(),
                        message: format!(
                            "the socket was removed and cannot be made again: {error}"
                        ),
                    });
                }
            },
        }
    }
}
