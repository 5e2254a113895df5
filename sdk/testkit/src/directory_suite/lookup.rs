//! Questions about given agents: some, none, unknown ones, 10,000 at once, many
//! askers, askers that give up.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::task::JoinSet;
use wpk_api::{AgentDirectory, AgentId};

use super::stand::{MANY, Stand, found};
use crate::suite::at_every_point;

/// Askers at a time.
const ASKERS: usize = 32;
/// Agents that are asked for one by one.
const ONE_BY_ONE: usize = 50;

/// All stories.
pub(super) async fn run(directory: &Arc<dyn AgentDirectory>, stand: &Stand) {
    let (ids, unknown) = (stand.ids(), stand.unknown(40));
    assert_eq!(found(&**directory, &[]).await, [], "of nobody");
    assert_eq!(found(&**directory, &unknown).await, [], "of unknown agents");
    for id in ids.iter().take(ONE_BY_ONE) {
        finds(&**directory, &[*id], stand).await;
    }
    finds(&**directory, &ids, stand).await;
    let backwards: Vec<_> = ids.iter().rev().copied().collect();
    finds(&**directory, &backwards, stand).await;
    finds(&**directory, &mixed(&ids, &unknown), stand).await;
    let mostly_unknown = mixed(&ids, &stand.unknown(u32::try_from(MANY).unwrap_or(0)));
    finds(&**directory, &mostly_unknown, stand).await;
    many_ask_at_the_same_time(directory, stand).await;
    at_every_point(
        "a lookup that is given up",
        async || drop(found(&**directory, &ids).await),
        async || {
            let few: Vec<_> = ids.iter().copied().take(3).collect();
            finds(&**directory, &few, stand).await;
        },
    )
    .await;
    finds(&**directory, &ids, stand).await;
}

/// Unknown agents between known ones.
fn mixed(ids: &[AgentId], unknown: &[AgentId]) -> Vec<AgentId> {
    let mut mixed = Vec::with_capacity(ids.len() + unknown.len());
    let mut unknown = unknown.iter();
    for id in ids {
        mixed.extend(unknown.next());
        mixed.push(*id);
    }
    mixed.extend(unknown);
    mixed
}

/// Asks, and compares what comes with what the stand says.
pub(super) async fn finds(directory: &dyn AgentDirectory, ids: &[AgentId], stand: &Stand) {
    let found = found(directory, ids).await;
    let distinct: HashSet<_> = found.iter().map(|agent| agent.id).collect();
    assert_eq!(distinct.len(), found.len(), "an agent was given twice");
    let found: BTreeMap<_, _> = found.into_iter().map(|agent| (agent.id, agent)).collect();
    let expected: BTreeMap<_, _> = ids
        .iter()
        .filter_map(|id| Some((*id, stand.agents.get(id)?)))
        .collect();
    for (id, agent) in &expected {
        match found.get(id) {
            Some(found) => assert_eq!(found, *agent),
            None => panic!(
                "agent {id} is missing among {} that were found",
                found.len()
            ),
        }
    }
    let unasked = found.keys().find(|id| !expected.contains_key(id));
    assert_eq!(unasked, None, "nobody asked for it, or it is not there");
}

async fn many_ask_at_the_same_time(directory: &Arc<dyn AgentDirectory>, stand: &Stand) {
    let ids: Vec<_> = stand.ids().into_iter().take(500).collect();
    let mut askers = JoinSet::new();
    for n in 0..ASKERS {
        let directory = Arc::clone(directory);
        let some: Vec<_> = ids.iter().copied().skip(n).step_by(n + 1).collect();
        askers.spawn(async move {
            let answer = found(&*directory, &some).await;
            let mut found: Vec<_> = answer.into_iter().map(|agent| agent.id).collect();
            found.sort_unstable();
            assert_eq!(found, some, "each asker gets what it asked for");
        });
    }
    askers.join_all().await;
}
