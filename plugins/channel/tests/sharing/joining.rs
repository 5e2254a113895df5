//! How a manager comes to keep its agents in the store, and goes back.

use std::sync::Arc;

use wpk_api::AgentDirectory;
use wpk_plugin_channel::Place;
use wpk_testkit::channel_agent::ChannelAgent;
use wpk_testkit::channel_enroll::enroll;
use wpk_testkit::memory::MemoryStore;

use crate::common::Manager;
use crate::site::{Site, names, token};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_brings_its_agents_and_the_others_find_them() {
    let site = Site::new();
    let alone = site.alone("node01", &["web01", "web02", "db01"]).await;
    let one = alone.enroll("db02").await;
    let revoked = alone.enroll("gone").await;
    alone.channel.revoke(revoked.id).await.unwrap();
    let (agent, _) = ChannelAgent::connect(&one).await.unwrap();
    let text = token(&alone, 5).await;
    drop(agent);
    alone.stop().await;

    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    for manager in [&first, &second] {
        assert_eq!(names(manager).await, ["web01", "web02", "db01", "db02"]);
        let details = manager
            .channel
            .details(&[one.id, revoked.id])
            .await
            .unwrap();
        assert!(details[0].last_seen.is_some() && details[1].revoked.is_some());
        assert_eq!(manager.channel.tokens().await.unwrap().len(), 1);
    }
    // Its certificate and the token are good at the other as well: they have one CA.
    let mut there = one.clone();
    there.address = Some(second.address());
    ChannelAgent::connect(&there).await.unwrap();
    let new = enroll(&second.address(), &text, "new01").await.unwrap();
    assert_eq!(new.id.get(), 6);
    let mut out = revoked.clone();
    out.address = Some(second.address());
    let refused = ChannelAgent::connect(&out).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked"), "{refused}");
    first.stop().await;
    second.stop().await;

    // They are there again, and nobody has to be asked twice.
    let second = site.manager("node02").await;
    assert_eq!(names(&second).await.len(), 5);
    second.stop().await;
    // And a manager that goes back to being alone has all of them, the newest too.
    let channel = site.open("node02", Place::File);
    channel.entered(Arc::new(MemoryStore::new())).await.unwrap();
    let alone = Manager::over(channel);
    assert_eq!(names(&alone).await.len(), 5);
    let after = alone.enroll("after").await;
    assert_eq!(after.id.get(), 7);
    alone.stop().await;
    // What it enrolled alone would get lost, so it does not join again.
    let refused = site.join("node02").await.unwrap_err().to_string();
    assert!(
        refused.contains("6 agents of its own") && refused.contains("--again"),
        "{refused}"
    );
    // As it is told: those of the store are there.
    let database = site.home("node02").join("queue/channel/agents.db");
    for side in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{side}", database.display()));
    }
    let second = site.manager("node02").await;
    assert_eq!(names(&second).await.len(), 5);
    second.stop().await;
}

/// A manager that is killed while it brings its agents brings the rest when it starts again,
/// and nobody takes what is there for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_broken_off_goes_on() {
    let site = Site::new();
    let alone = site.alone("node01", &["web01", "web02"]).await;
    token(&alone, 3).await;
    alone.stop().await;
    // Whatever the last writing is that passes.
    for left in 0..3 {
        site.wire.writings(left);
        let refused = site.join("node01").await;
        assert!(refused.is_err(), "{left}");
        site.wire.writings(usize::MAX);
        if left > 1 {
            let refused = site.join("node02").await.unwrap_err().to_string();
            let names_it = refused.contains("node node01 is moving its agents");
            assert!(names_it, "{left}: {refused}");
        }
    }
    let first = site.manager("node01").await;
    let second = site.manager("node02").await;
    for manager in [&first, &second] {
        assert_eq!(names(manager).await, ["web01", "web02"]);
        assert_eq!(manager.channel.tokens().await.unwrap().len(), 1);
    }
    assert_eq!(second.enroll("web03").await.id.get(), 3);
    first.stop().await;
    second.stop().await;
    // A token that is used up or taken back elsewhere is worth nothing in a file.
    let alone = Manager::over(site.open("node01", Place::File));
    assert!(alone.channel.tokens().await.unwrap().is_empty());
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_that_start_together_for_the_first_time_all_start() {
    let site = Site::new();
    let nodes = ["node01", "node02", "node03"];
    // All of them are in the store before one looks for the others.
    let mut stores = Vec::new();
    for node in nodes {
        stores.push((site.open(node, Place::Store), site.entered(node).await));
    }
    let mut joining = tokio::task::JoinSet::new();
    for (channel, store) in stores {
        joining.spawn(async move {
            channel.entered(store).await.unwrap();
            channel
        });
    }
    let channels = joining.join_all().await;
    let one = channels[0].enroll("web01").await.unwrap();
    for channel in &channels {
        let found = channel.lookup(&[one.id]).await.unwrap();
        assert_eq!(found.len(), 1);
    }
}

/// One that leaves says so: whoever starts then does not take its agents for those of all.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_numbers_its_own_agents_again_is_no_member() {
    let site = Site::new();
    let first = site.manager("node01").await;
    first.stop().await;
    let alone = site.open("node01", Place::File);
    alone.entered(site.entered("node01").await).await.unwrap();
    let refused = site.join("node02").await.unwrap_err().to_string();
    assert!(refused.contains("node node01"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_with_agents_of_its_own_does_not_join_others() {
    let site = Site::new();
    let first = site.manager("node01").await;
    first.enroll("web01").await;
    let alone = site.alone("node02", &["other"]).await;
    alone.stop().await;
    let refused = site.join("node02").await.unwrap_err().to_string();
    assert!(refused.contains("1 agents of its own"), "{refused}");
    // It is as it was.
    let alone = Manager::over(site.open("node02", Place::File));
    assert_eq!(names(&alone).await, ["other"]);
    alone.stop().await;
    std::fs::remove_dir_all(site.home("node02")).unwrap();
    let second = site.manager("node02").await;
    assert_eq!(names(&second).await, ["web01"]);
    second.stop().await;
    first.stop().await;
}

/// Its ids are those of the others from now on, and what it once revoked is none of them.
#[tokio::test(flavor = "multi_thread")]
async fn agents_that_a_manager_once_revoked_are_not_taken_for_others() {
    let site = Site::new();
    let alone = site.alone("node02", &["a", "b", "c"]).await;
    let page = alone.channel.list(None, 9).await.unwrap();
    for agent in page.agents {
        assert!(alone.channel.revoke(agent.id).await.unwrap());
    }
    alone.stop().await;
    let first = site.manager("node01").await;
    let one = first.enroll("web01").await;
    for _ in 0..2 {
        let second = site.manager("node02").await;
        assert_eq!(names(&second).await, ["web01"]);
        let mut there = one.clone();
        there.address = Some(second.address());
        ChannelAgent::connect(&there).await.unwrap();
        second.stop().await;
    }
    assert_eq!(first.enroll("web02").await.id.get(), 2);
    first.stop().await;
    let alone = Manager::over(site.open("node02", Place::File));
    assert_eq!(names(&alone).await, ["web01"]);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_number_agents_otherwise_and_stores_of_one_daemon_are_refused() {
    let site = Site::new();
    let _other = site.entered("node02").await;
    let refused = site.join("node01").await.unwrap_err().to_string();
    assert!(
        refused.contains("node node02") && refused.contains("registry"),
        "{refused}"
    );
    let channel = site.open("node03", Place::Store);
    let own = std::sync::Arc::new(MemoryStore::new());
    let refused = channel.entered(own).await.unwrap_err().to_string();
    assert!(refused.contains("postgres"), "{refused}");
    // By itself a manager numbers its agents for itself alone, and says so.
    assert!(!channel.numbers_agents());
    assert!(site.open("node04", Place::File).numbers_agents());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_passphrase_is_that_of_all() {
    let site = Site::new();
    let first = site.manager("node01").await;
    site.passphrase("another");
    let refused = site.join("node02").await.unwrap_err().to_string();
    assert!(refused.contains("another passphrase"), "{refused}");
    site.passphrase("correct horse");
    std::fs::remove_dir_all(site.home("node02")).unwrap();
    let second = site.manager("node02").await;
    second.stop().await;
    first.stop().await;
}
