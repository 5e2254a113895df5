//! Several managers that keep their agents in one store, from the channel's side: it joins at
//! the start, looks every second for what others wrote, and has connections and CAs follow
//! from it. The registry says what is so ([`crate::registry`]).

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use wpk_api::{DirectoryError, DocumentWrite, TaskStore};

use crate::announcing;
use crate::clock::now;
use crate::core::Core;
use crate::goodbye::{Ending, Goodbye};
use crate::pki::{Authorities, PkiError};
use crate::registry::{Departure, Joining, RegistryError, unavailable};
use crate::shared::{AuthorityDocument, node_key};

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
    let copy_of = core.authority.folder().join(COPY_OF);
    core.registry.join(Joining {
        store,
        runtime,
        node: node.to_owned(),
        links: Arc::clone(&core.links),
        copy_of,
        new_id: random.iter().map(|byte| format!("{byte:02x}")).collect(),
        authority: core.authority.sealed().map_err(|error| failed(&error))?,
        now: now(),
    })?;
    let mut unfollowed = (core.unfollowed.lock()).unwrap_or_else(PoisonError::into_inner);
    follow(core, &mut unfollowed).map_err(|error| failed(&error))?;
    drop(unfollowed);
    catch_up(core).map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
    tracing::info!(
        agents = core.registry.len(),
        "the agents are those of the task store"
    );
    Ok(())
}

/// Has the CAs be those that all have, and everything follow from that; what could not the
/// last time is done now. Returns those that all have, where anybody shares them. Waits for
/// the disk: not for an async thread.
pub(crate) fn follow(
    core: &Core,
    unfollowed: &mut bool,
) -> Result<Option<AuthorityDocument>, PkiError> {
    let followed = try_to_follow(core, unfollowed);
    core.behind.store(followed.is_err(), Ordering::SeqCst);
    followed
}

/// Whether this manager may certify agents: those that it certified with a CA that others do
/// not have could dial nobody else.
pub(crate) fn may_certify(core: &Core) -> Result<(), DirectoryError> {
    match core.behind.load(Ordering::SeqCst) {
        false => Ok(()),
        true => Err(DirectoryError::Unavailable(
            "this manager cannot take over the CAs that the others have; its log says why"
                .to_owned(),
        )),
    }
}

fn try_to_follow(
    core: &Core,
    unfollowed: &mut bool,
) -> Result<Option<AuthorityDocument>, PkiError> {
    let all = core.registry.authority();
    if let Some(all) = &all
        && core.authority.adopt(all, false)?
    {
        tracing::info!("the CAs of agents are those of the task store now");
        *unfollowed = true;
    }
    if *unfollowed {
        announcing::follow(core)?;
        *unfollowed = false;
    }
    Ok(all)
}

/// Tells the others of a step from the CAs `before` that is on disk here; where that fails it
/// is taken back. Nothing where nobody shares the agents.
///
/// # Errors
/// [`DirectoryError`]: it was not taken.
pub(crate) fn announce(
    core: &Core,
    before: Option<&AuthorityDocument>,
    stepped: &Authorities,
    unfollowed: &mut bool,
) -> Result<(), DirectoryError> {
    let Some(before) = before else {
        return Ok(());
    };
    let sealed = core.authority.sealed_of(stepped);
    let written = sealed.map_err(|error| failed(&error)).and_then(|sealed| {
        core.registry
            .set_authority(before, &sealed)
            .map_err(unavailable)
    });
    let refused = match written {
        Ok(true) => return Ok(()),
        Ok(false) => DirectoryError::Refused(
            "another manager took a step at the same moment: `wpkctl agent ca` shows how things \
             stand now"
                .to_owned(),
        ),
        Err(error) => error,
    };
    let now = core.registry.authority().unwrap_or_else(|| before.clone());
    *unfollowed |= (core.authority.adopt(&now, true)).map_err(|error| failed(&error))?;
    follow(core, unfollowed).map_err(|error| failed(&error))?;
    Err(refused)
}

/// Learns what others wrote; connections follow from what was learned so far in any case.
fn catch_up(core: &Core) -> Result<(), RegistryError> {
    let result = core.registry.catch_up();
    for (agent, why) in core.registry.departures() {
        let Some(link) = core.links.get(agent) else {
            continue;
        };
        // Asked after the link was found: that of one that came back stays.
        match why {
            Departure::Revoked => link.end(Ending::Ours(Goodbye::revoked())),
            Departure::Moved if core.registry.is_here(agent) => {}
            Departure::Moved => link.end(Ending::Ours(Goodbye::replaced())),
        }
    }
    result
}

/// The same at once, for whoever asks about an agent that is not known here: it may have been
/// enrolled with another manager a moment ago. `false`: nobody can tell. However many ask,
/// one looks.
pub(crate) async fn look(core: &Arc<Core>) -> bool {
    if core.registry.living().is_none() {
        return true;
    }
    let asked = Instant::now();
    let mut looked = core.looked.lock().await;
    if let Some((begun, could)) = *looked
        && begun >= asked
    {
        return could;
    }
    let begun = Instant::now();
    let again = Arc::clone(core);
    let answer = tokio::task::spawn_blocking(move || catch_up(&again)).await;
    let error = match answer {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(error) = &error {
        tracing::debug!(
            error,
            "what other managers know of agents cannot be read now"
        );
    }
    let could = error.is_none();
    *looked = Some((begun, could));
    could
}

/// From now on the file of agents is no copy of what others have. Waits for the disk: not for
/// an async thread.
pub(crate) fn own(core: &Core) -> Result<(), DirectoryError> {
    let copy_of = core.authority.folder().join(COPY_OF);
    match std::fs::remove_file(&copy_of) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(DirectoryError::Unavailable(
            format!("{}: {error}", copy_of.display()),
        )),
        _ => Ok(()),
    }
}

/// This node keeps its agents in a file of its own: if it once kept them in this store, it
/// does not any more.
pub(crate) async fn resign(store: &dyn TaskStore, node: &str) -> Result<(), DirectoryError> {
    let key = node_key(node);
    // A store that keeps no documents never had one.
    let Ok(found) = store.documents(&key, "", 1).await else {
        return Ok(());
    };
    let Some(signed) = found.into_iter().find(|found| found.key == key) else {
        return Ok(());
    };
    let gone = DocumentWrite {
        key,
        expected: Some(signed.version),
        becomes: None,
    };
    match store.write_documents(vec![gone], None).await {
        Ok(_) => Ok(()),
        Err(error) => Err(DirectoryError::Unavailable(error.to_string())),
    }
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
            let mut unfollowed = (again.unfollowed.lock()).unwrap_or_else(PoisonError::into_inner);
            let followed = follow(&again, &mut unfollowed);
            followed.map(|_| ()).map_err(|error| error.to_string())
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
                "what other managers write of agents cannot be read, or not be followed; it is \
                 tried again"
            );
        }
    }
}

fn failed(error: &PkiError) -> DirectoryError {
    DirectoryError::Refused(format!("the certificates of the agent channel: {error}"))
}
