//! The start of a manager that keeps its agents in the store that others share. The first
//! brings its own agents, under the ids that they have; whoever comes later finds them, and
//! has none of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use wpk_api::words::clean;
use wpk_api::{AgentId, DirectoryError, TaskStore, UnixTime};

use super::error::unavailable as failed;
use super::publish::TRIES;
use super::{Agents, Kept, Pending, Registry, Sharing, lock};
use crate::database::DatabaseError;
use crate::files;
use crate::links::Links;
use crate::record::Record;
use crate::shared::{
    About, AgentDocument, AuthorityDocument, RegistryDocument, SeenDocument, Shared, SharedError,
    Writes, new_registry, text_of,
};

/// How long is waited each time for a node that brings its agents.
const WAIT: Duration = Duration::from_millis(200);
/// Agents written at a time.
const TOGETHER: usize = 500;
/// The longest name of a node that is repeated, in bytes.
const LONGEST_NAME: usize = 255;

/// What a manager brings.
pub(crate) struct Joining {
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) runtime: Handle,
    pub(crate) node: String,
    pub(crate) links: Arc<Links>,
    /// The file that says of which registry the file of agents is a copy.
    pub(crate) copy_of: PathBuf,
    /// The id of the registry, if this is its beginning.
    pub(crate) new_id: String,
    /// The CAs, if this is its beginning.
    pub(crate) authority: AuthorityDocument,
    pub(crate) now: UnixTime,
}

impl Registry {
    /// From now on the agents are those of the store. Waits for it: not for an async thread.
    ///
    /// # Errors
    /// [`DirectoryError::Refused`]: the store is one daemon's, a node that numbers its own
    /// agents works in it, or this node has agents of its own.
    pub(crate) fn join(&self, joining: Joining) -> Result<(), DirectoryError> {
        let mut kept = lock(&self.database);
        let mut shared = Shared::new(Arc::clone(&joining.store), joining.runtime.clone());
        shared_by_several(&shared)?;
        // First, so that nodes that start together know each other.
        shared.sign(&joining.node).map_err(failed)?;
        let joined = only_such_nodes(&shared, &joining.node, &joining.runtime)
            .and_then(|()| self.find_or_bring(&mut kept, &mut shared, &joining));
        if joined.is_err()
            && let Err(error) = shared.resign(&joining.node)
        {
            tracing::warn!(%error, "the task store goes on to say that this node keeps its agents there");
        }
        joined?;
        // They are in the store, and what becomes of them there is not known here.
        kept.file.forget_tokens().map_err(unreadable)?;
        let sharing = Sharing {
            node: joining.node.clone(),
            links: joining.links,
            pending: Mutex::new(Pending::default()),
        };
        if self.sharing.set(sharing).is_err() {
            return Err(DirectoryError::Refused(
                "the agents are kept in a task store already".to_owned(),
            ));
        }
        let revoked = kept.file.revoked().map_err(unreadable)?;
        // Read from the beginning: what was read so far is only known by its versions.
        kept.shared = Some(Shared::new(joining.store, joining.runtime));
        self.write(|agents| {
            let revoked = std::mem::take(&mut agents.revoked);
            *agents = Agents {
                revoked,
                ..Agents::default()
            };
        });
        self.learn(&mut kept).map_err(failed)?;
        self.bring_back(&mut kept)?;
        drop(kept);
        self.after_the_list(&revoked, joining.now)?;
        self.nobody_is_connected(&joining.node);
        Ok(())
    }

    /// The agents of the store, which the first brings.
    fn find_or_bring(
        &self,
        kept: &mut Kept,
        shared: &mut Shared,
        joining: &Joining,
    ) -> Result<(), DirectoryError> {
        let registry = begin(shared, kept, joining)?;
        match &registry.importing {
            Some(node) if *node == joining.node => import(shared, kept, joining),
            Some(node) => Err(DirectoryError::Refused(format!(
                "node {} is moving its agents into the task store: start this one when that is \
                 done; if it was stopped in the middle, start that one first, and if it is lost \
                 with its files, begin anew in another `store.schema`",
                clean(node, LONGEST_NAME)
            ))),
            None => self.adopt(kept, shared, &registry, joining),
        }
    }

    /// A node that has agents of its own would lose them.
    fn adopt(
        &self,
        kept: &mut Kept,
        shared: &Shared,
        registry: &RegistryDocument,
        joining: &Joining,
    ) -> Result<(), DirectoryError> {
        let path = &joining.copy_of;
        let io = |error: std::io::Error| {
            DirectoryError::Unavailable(format!("{}: {error}", path.display()))
        };
        let copy_of = files::read_text(path).map_err(io)?;
        if copy_of.as_deref().map(str::trim) == Some(&registry.id) {
            return Ok(());
        }
        let own = kept.file.enrolled().map_err(unreadable)?;
        if own > 0 {
            return Err(DirectoryError::Refused(format!(
                "this manager has {own} agents of its own, and the task store has agents under \
                 the same ids; move the file of [transport] `database` away and start again: \
                 those that it had from this store are there, and the others must be enrolled \
                 again (on the manager: wpkctl agent token, on each agent: wpk-agent enroll \
                 --again)"
            )));
        }
        kept.file.clear().map_err(unreadable)?;
        let ours = &joining.authority.current.certificate;
        let same_ca = (shared.authority()).is_some_and(|all| all.current.certificate == *ours);
        if !same_ca {
            // Agents that it revoked had certificates of a CA that goes; nothing of them is
            // left to be taken for those of the store that have their ids.
            let list = self.revocations.set_aside();
            list.map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
        }
        // Before the first agent is copied.
        files::write_private(path, registry.id.as_bytes()).map_err(io)
    }

    /// Agents that stand in this node's copy and not in the store, which was put back from a
    /// backup, are there again: no document of an agent is ever deleted. No id of one is
    /// given out again.
    fn bring_back(&self, kept: &mut Kept) -> Result<(), DirectoryError> {
        let last_id = kept.file.last_id().map_err(unreadable)?;
        for _ in 0..TRIES {
            let Some(shared) = &mut kept.shared else {
                break;
            };
            let Some(mut registry) = shared.registry().cloned() else {
                break;
            };
            if registry.last_id >= last_id {
                break;
            }
            registry.last_id = last_id;
            let writes = vec![(About::Registry, text_of(&registry))];
            if !shared.write(writes).map_err(failed)? {
                self.learn(kept).map_err(failed)?;
            }
        }
        let mut last = 0;
        loop {
            let page = kept.file.load_page(last, TOGETHER).map_err(unreadable)?;
            let Some(end) = page.last() else {
                return Ok(());
            };
            last = end.id.into();
            for record in page {
                for _ in 0..TRIES {
                    if self.bring_one_back(kept, &record)? {
                        break;
                    }
                    self.learn(kept).map_err(failed)?;
                }
            }
        }
    }

    /// `false`: somebody else was quicker.
    fn bring_one_back(&self, kept: &mut Kept, record: &Record) -> Result<bool, DirectoryError> {
        let id = record.id;
        let Some(shared) = &mut kept.shared else {
            return Ok(true);
        };
        if shared.has(About::Agent(id)) || shared.check(About::Agent(id)).is_err() {
            return Ok(true);
        }
        if record.revoked.is_none() && self.is_free(&record.name).is_err() {
            tracing::warn!(
                agent = %id,
                name = record.name,
                "an agent that the task store does not know is left out: another has its name \
                 now; enroll it again"
            );
            return Ok(true);
        }
        let mut writes = vec![(About::Agent(id), text_of(&AgentDocument::of(record)))];
        if let Some(registry) = shared.registry() {
            // Its name is nobody else's.
            writes.push((About::Registry, text_of(registry)));
        }
        if record.revoked.is_none() {
            let seen = SeenDocument::of(record, false);
            writes.push((About::Seen(id), text_of(&seen)));
        }
        let written = shared.write(writes).map_err(failed)?;
        if written {
            tracing::warn!(agent = %id, "the task store did not know the agent; it does again");
            self.write(|agents| agents.insert(record.clone()));
        }
        Ok(written)
    }

    /// What this node's list, or its copy, says is revoked is so, whatever the store says: it
    /// may be an older one from a backup, or was away when the agent was revoked.
    fn after_the_list(
        &self,
        revoked: &[(AgentId, UnixTime)],
        now: UnixTime,
    ) -> Result<(), DirectoryError> {
        let listed: BTreeSet<AgentId> = self.read(|agents| {
            let found = (self.listed.iter())
                .filter_map(|entry| agents.by_fingerprint.get(&entry.fingerprint));
            let copied = revoked.iter().filter(|(id, enrolled)| {
                let same = agents.by_id.get(id);
                same.is_some_and(|record| record.enrolled == *enrolled)
            });
            let copied = copied.map(|(id, _)| id);
            found.chain(copied).copied().collect()
        });
        for id in listed {
            tracing::warn!(agent = %id, "the task store does not know that the agent was revoked; it is");
            self.revoke(id, now)?;
        }
        Ok(())
    }

    /// Whoever was connected here when this node was killed is not any more.
    fn nobody_is_connected(&self, node: &str) {
        let stale: Vec<AgentId> = self.read(|agents| {
            let here = agents
                .by_id
                .values()
                .filter(|record| record.connected && record.node.as_deref() == Some(node));
            here.map(|record| record.id).collect()
        });
        lock(&self.changed).extend(stale);
        self.wake.notify_one();
    }
}

fn shared_by_several(shared: &Shared) -> Result<(), DirectoryError> {
    match shared.living().map_err(failed)?.is_empty() {
        false => Ok(()),
        true => Err(DirectoryError::Refused(
            "[transport] registry = \"store\" needs a task store that several managers share, \
             such as [store] type = \"postgres\"; with this one leave `registry` out"
                .to_owned(),
        )),
    }
}

/// A node that numbers its own agents would take ours for its own.
fn only_such_nodes(shared: &Shared, own: &str, runtime: &Handle) -> Result<(), DirectoryError> {
    for _ in 1..TRIES {
        if one_that_is_not(shared, own)?.is_none() {
            return Ok(());
        }
        // Where they start together, it will be in a moment.
        runtime.block_on(tokio::time::sleep(WAIT));
    }
    match one_that_is_not(shared, own)? {
        None => Ok(()),
        Some(other) => Err(DirectoryError::Refused(format!(
            "node {} has its tasks in the same task store, but not its agents: agent 1 would be \
             one agent here and another there; give that node [transport] registry = \"store\" \
             as well, or this one another store (for `postgres` another `store.schema`)",
            clean(&other, LONGEST_NAME)
        ))),
    }
}

fn one_that_is_not(shared: &Shared, own: &str) -> Result<Option<String>, DirectoryError> {
    let living = shared.living().map_err(failed)?;
    let such = shared.nodes().map_err(failed)?;
    let other = (living.into_iter()).find(|node| node != own && !such.contains(node));
    Ok(other)
}

/// The registry that is there; where there is none, this node begins to bring its agents.
fn begin(
    shared: &mut Shared,
    kept: &Kept,
    joining: &Joining,
) -> Result<RegistryDocument, DirectoryError> {
    let last_id = kept.file.last_id().map_err(unreadable)?;
    for again in 0..TRIES {
        shared.look().map_err(failed)?;
        if let Some(registry) = shared.registry() {
            let others = (registry.importing.as_ref()).is_some_and(|node| *node != joining.node);
            if others && again + 1 < TRIES {
                // Where they start together, that is done in a moment.
                joining.runtime.block_on(tokio::time::sleep(WAIT));
                continue;
            }
            return Ok(registry.clone());
        }
        let new = new_registry(joining.new_id.clone(), last_id, &joining.node);
        let writes = vec![
            (About::Registry, text_of(&new)),
            (About::Authority, text_of(&joining.authority)),
        ];
        shared.write(writes).map_err(failed)?;
    }
    Err(failed(SharedError::Raced))
}

/// Writes this node's agents and tokens into the store. Where it was broken off it goes on.
fn import(shared: &mut Shared, kept: &Kept, joining: &Joining) -> Result<(), DirectoryError> {
    // What is there already is only looked at for its versions.
    while shared.since().map_err(failed)?.is_some() {}
    let (mut last, mut count) = (0, 0);
    loop {
        let page = kept.file.load_page(last, TOGETHER).map_err(unreadable)?;
        let Some(end) = page.last() else { break };
        last = end.id.into();
        count += page.len();
        let mut writes = Writes::new();
        for mut record in page {
            record.node = record.last_seen.map(|_| joining.node.clone());
            let document = AgentDocument::of(&record);
            writes.push((About::Agent(record.id), text_of(&document)));
            if !record.removed {
                let seen = SeenDocument::of(&record, false);
                writes.push((About::Seen(record.id), text_of(&seen)));
            }
        }
        written(shared.write(writes))?;
    }
    for token in kept.file.tokens().map_err(unreadable)? {
        if shared.token(&token.id).map_err(failed)?.is_none() {
            written(shared.write_tokens(&[(None, &token)], &[]))?;
        }
    }
    let Some(mut done) = shared.registry().cloned() else {
        return Err(failed(SharedError::Raced));
    };
    files::write_private(&joining.copy_of, done.id.as_bytes()).map_err(|error| {
        DirectoryError::Unavailable(format!("{}: {error}", joining.copy_of.display()))
    })?;
    done.importing = None;
    written(shared.write(vec![(About::Registry, text_of(&done))]))?;
    tracing::info!(
        agents = count,
        "this manager's agents are in the task store now"
    );
    Ok(())
}

fn written(written: Result<bool, SharedError>) -> Result<(), DirectoryError> {
    match written {
        Ok(true) => Ok(()),
        // Nobody else writes before this is done.
        Ok(false) => Err(failed(SharedError::Raced)),
        Err(error) => Err(failed(error)),
    }
}

fn unreadable(error: DatabaseError) -> DirectoryError {
    DirectoryError::Unavailable(format!("the registry of agents cannot be read: {error}"))
}
