//! Several managers that keep their agents in one store, from the channel's side: it joins at
//! the start, looks every second for what others wrote, and has connections and CAs follow
//! from it. The registry says what is so ([`crate::registry`]).

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};
use wpk_api::{DirectoryError, TaskStore};

use crate::announcing;
use crate::clock::now;
use crate::core::Core;
use crate::goodbye::{Ending, Goodbye};
use crate::pki::PkiError;
use crate::registry::{Departure, Joining, RegistryError};

/// How often what others wrote is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Of which registry the file of agents is a copy: the name of the file that says it, beside
/// the CA.
pub(crate) const COPY_OF: &str = "registry";

/// From now on the agents are those of the store. Waits for it: not for an async thread.
///
/// # Errors
/// [`DirectoryError::Refused`] where it must not be.
pub(crate) fn join(
    core: &Arc<Core>,
    store: Arc<dyn TaskStore>,
    runtime: Handle,
    node: &str,
) -> Result<(), DirectoryError> {
    let mut random = [0; 16];
    let source = core.authority.provider().secure_random;
    source.fill(&mut random).map_err(|_| {
        DirectoryError::Unavailable("this machine gives no random numbers".to_owned())
    })?;
    core.registry.join(Joining {
        store,
        runtime,
        node: node.to_owned(),
        links: Arc::clone(&core.links),
        copy_of: core.authority.folder().join(COPY_OF),
        new_id: random.iter().map(|byte| format!("{byte:02x}")).collect(),
        authority: core.authority.sealed().map_err(|error| failed(&error))?,
        now: now(),
    })?;
    follow(core).map_err(|error| failed(&error))?;
    catch_up(core).map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
    tracing::info!(
        agents = core.registry.len(),
        "the agents are those of the task store"
    );
    Ok(())
}

/// Has the CAs be those that all have. Waits for the disk: not for an async thread.
pub(crate) fn follow(core: &Core) -> Result<(), PkiError> {
    let Some(all) = core.registry.authority() else {
        return Ok(());
    };
    if core.authority.adopt(&all)? {
        tracing::info!("the CAs of agents are those of the task store now");
        announcing::follow(core)?;
    }
    Ok(())
}

/// Tells the others of a step that was taken here; where that fails it was not taken. Nothing
/// where nobody shares the agents.
///
/// # Errors
/// [`DirectoryError`]: it was not taken.
pub(crate) fn announce(core: &Core) -> Result<(), DirectoryError> {
    if core.registry.authority().is_none() {
        return Ok(());
    }
    let sealed = core.authority.sealed().map_err(|error| failed(&error))?;
    let refused = match core.registry.set_authority(&sealed) {
        Ok(true) => return Ok(()),
        Ok(false) => DirectoryError::Refused(
            "another manager took a step at the same moment: `wpkctl agent ca` shows how things \
             stand now"
                .to_owned(),
        ),
        Err(error) => DirectoryError::Unavailable(error.to_string()),
    };
    follow(core).map_err(|error| failed(&error))?;
    Err(refused)
}

/// Learns what others wrote.
fn catch_up(core: &Core) -> Result<(), RegistryError> {
    core.registry.catch_up()?;
    for (agent, why) in core.registry.departures() {
        if let Some(link) = core.links.get(agent) {
            link.end(Ending::Ours(match why {
                Departure::Revoked => Goodbye::revoked(),
                Departure::Moved => Goodbye::replaced(),
            }));
        }
    }
    Ok(())
}

/// The same at once, for whoever asks about an agent that is not known here: it may have been
/// enrolled with another manager a moment ago. `false`: nobody can tell.
pub(crate) async fn look(core: &Arc<Core>) -> bool {
    if core.registry.living().is_none() {
        return true;
    }
    let core = Arc::clone(core);
    let looked = tokio::task::spawn_blocking(move || catch_up(&core)).await;
    match looked.map_err(|error| error.to_string()) {
        Ok(Ok(())) => true,
        Ok(Err(error)) => told(&error.to_string()),
        Err(error) => told(&error),
    }
}

fn told(error: &str) -> bool {
    tracing::debug!(
        error,
        "what other managers know of agents cannot be read now"
    );
    false
}

/// Looks for what others wrote for as long as it is polled.
pub(crate) async fn keep_up(core: &Arc<Core>) {
    if core.registry.living().is_none() {
        return std::future::pending().await;
    }
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        looks.tick().await;
        let again = Arc::clone(core);
        let looked = tokio::task::spawn_blocking(move || {
            catch_up(&again).map_err(|error| error.to_string())?;
            follow(&again).map_err(|error| error.to_string())
        });
        let error = match looked.await {
            Ok(Ok(())) => {
                if std::mem::take(&mut away) {
                    tracing::info!("what other managers write of agents is read again");
                }
                continue;
            }
            Ok(Err(error)) => error,
            Err(error) => error.to_string(),
        };
        if !std::mem::replace(&mut away, true) {
            tracing::warn!(
                error,
                "what other managers write of agents cannot be read; it is tried again"
            );
        }
    }
}

fn failed(error: &PkiError) -> DirectoryError {
    DirectoryError::Refused(format!("the certificates of the agent channel: {error}"))
}
