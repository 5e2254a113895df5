//! The list: in ascending order, page by page, without the manager itself.

use std::sync::Arc;

use tokio::task::JoinSet;
use wpk_api::{AgentDirectory, AgentId, AgentPage};

use super::stand::{FEW, MANY, Stand};
use crate::suite::{at_every_point, ok, within};

/// All stories.
pub(super) async fn run(directory: &Arc<dyn AgentDirectory>, stand: &Stand) {
    let ids = stand.ids();
    let count = ids.len();
    let limits = match count {
        MANY => vec![999, 1000, 1001, count - 1, count, count + 1],
        _ => vec![1, 2, 7, count.max(2) - 1, count.max(1), count + 1],
    };
    for limit in limits {
        assert_eq!(walk(&**directory, limit).await, ids, "in pages of {limit}");
    }
    let all = page(&**directory, None, usize::MAX).await;
    assert!(!all.more, "there is nothing behind all agents");
    for (listed, known) in all.agents.iter().zip(stand.agents.values()) {
        assert_eq!(listed, known, "the list and lookup must agree");
    }
    assert_eq!(all.agents.len(), count);
    let nobody = page(&**directory, None, 0).await;
    assert!(nobody.agents.is_empty(), "up to 0 agents");

    let from_zero = page(&**directory, Some(AgentId::MANAGER), usize::MAX).await;
    assert_eq!(from_zero, all, "there are no agents up to id 0");
    let behind = ids.last().copied().into_iter().chain(stand.unknown(3));
    for after in behind {
        let page = page(&**directory, Some(after), 10).await;
        assert_eq!(page, AgentPage::default(), "after {after}");
    }
    if count == FEW {
        many_list_at_the_same_time(directory, &ids).await;
        at_every_point(
            "a list that is given up",
            async || drop(page(&**directory, None, 5).await),
            async || assert_eq!(walk(&**directory, 10).await, ids),
        )
        .await;
    }
}

async fn page(directory: &dyn AgentDirectory, after: Option<AgentId>, limit: usize) -> AgentPage {
    ok("list", within("list", directory.list(after, limit)).await)
}

/// All ids, page by page.
async fn walk(directory: &dyn AgentDirectory, limit: usize) -> Vec<AgentId> {
    let mut ids: Vec<AgentId> = Vec::new();
    loop {
        let page = page(directory, ids.last().copied(), limit).await;
        assert!(page.agents.len() <= limit, "over the limit of {limit}");
        for agent in &page.agents {
            assert_ne!(agent.id, AgentId::MANAGER, "the manager is not listed");
            assert!(
                ids.last().is_none_or(|last| *last < agent.id),
                "{} comes after {:?}",
                agent.id,
                ids.last()
            );
            ids.push(agent.id);
        }
        if !page.more {
            return ids;
        }
        assert!(
            !page.agents.is_empty(),
            "an empty page that says there is more: nobody could go on from it"
        );
    }
}

async fn many_list_at_the_same_time(directory: &Arc<dyn AgentDirectory>, ids: &[AgentId]) {
    let mut askers = JoinSet::new();
    for limit in 1..=16 {
        let (directory, ids) = (Arc::clone(directory), ids.to_vec());
        askers.spawn(async move { assert_eq!(walk(&*directory, limit).await, ids) });
    }
    askers.join_all().await;
}
