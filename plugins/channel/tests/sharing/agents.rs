//! Agents that are enrolled with one manager and dial another.

use std::time::Duration;

use wpk_api::{AgentChange, AgentDirectory, ConnectionStatus, Enrollment, Labels, paths};
use wpk_testkit::channel_agent::{ChannelAgent, DEADLINE};
use wpk_testkit::channel_enroll::enroll;
use wpk_testkit::wait_until;

use crate::common::Manager;
use crate::site::{LEASE, Site, names, token, until};

/// The same agent, as it dials another manager.
fn at(enrollment: &Enrollment, manager: &Manager) -> Enrollment {
    Enrollment {
        address: Some(manager.address()),
        ..enrollment.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_one_manager_enrolled_is_everybodys_at_once() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let one = first.enroll("web01").await;
    // Nobody waits for a look: whoever is asked about somebody unknown looks at once.
    let (agent, welcome) = ChannelAgent::connect(&at(&one, &second)).await.unwrap();
    assert_eq!((welcome.agent, &*welcome.name), (one.id, "web01"));
    let two = second.enroll("web02").await;
    assert_eq!((one.id.get(), two.id.get()), (1, 2));
    assert_eq!(first.info(two.id).await.name.as_deref(), Some("web02"));
    let taken = first.channel.enroll("web02").await.unwrap_err().to_string();
    assert!(taken.contains("taken by agent 002"), "{taken}");
    // Where it is connected is told by both.
    for manager in [&first, &second] {
        until(manager, one.id, |info| {
            info.connection == ConnectionStatus::Active && info.node.as_deref() == Some("node02")
        })
        .await;
    }
    assert_eq!(first.status(two.id).await, ConnectionStatus::NeverConnected);
    drop(agent);
    for manager in [&second, &first] {
        until(manager, one.id, |info| {
            info.connection == ConnectionStatus::Disconnected
        })
        .await;
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_moves_is_where_it_came_last() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let one = first.enroll("web01").await;
    let (mut before, _) = ChannelAgent::connect(&one).await.unwrap();
    until(&second, one.id, |info| {
        info.node.as_deref() == Some("node01")
    })
    .await;
    let (_after, _) = ChannelAgent::connect(&at(&one, &second)).await.unwrap();
    // The connection that it left is not taken for it any more.
    let goodbye = before.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("replaced"), "{goodbye}");
    for manager in [&first, &second] {
        until(manager, one.id, |info| {
            info.connection == ConnectionStatus::Active && info.node.as_deref() == Some("node02")
        })
        .await;
    }
    first.stop().await;
    second.stop().await;
}

/// One that dials back and forth all the time is, in the end, where it came last.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_dials_back_and_forth_is_where_it_came_last() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let one = first.enroll("web01").await;
    for round in 0..12 {
        let manager = if round % 2 == 0 { &second } else { &first };
        let (agent, _) = ChannelAgent::connect(&at(&one, manager)).await.unwrap();
        drop(agent);
    }
    let (mut last, _) = ChannelAgent::connect(&at(&one, &second)).await.unwrap();
    for manager in [&first, &second] {
        until(manager, one.id, |info| {
            info.connection == ConnectionStatus::Active && info.node.as_deref() == Some("node02")
        })
        .await;
    }
    // And it stays there: nobody who learns late of an earlier one ends it.
    let quiet = Duration::from_millis(2_500);
    let ended = tokio::time::timeout(quiet, last.goodbye()).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(first.info(one.id).await.node.as_deref(), Some("node02"));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_a_manager_that_died_are_not_connected() {
    let site = Site::new();
    let second = site.manager("node02").await;
    let one = second.enroll("web01").await;
    let first = site.manager("node01").await;
    let (agent, _) = ChannelAgent::connect(&at(&one, &first)).await.unwrap();
    until(&second, one.id, |info| {
        info.connection == ConnectionStatus::Active
    })
    .await;
    first.kill().await;
    drop(agent);
    // It is taken at its word as long as its lease lives.
    second
        .channel
        .change(one.id, &AgentChange::Rename("web02".to_owned()))
        .await
        .unwrap();
    assert_eq!(second.status(one.id).await, ConnectionStatus::Active);
    // Its lease runs out; that of the one that lives is renewed.
    site.pass(LEASE + Duration::from_secs(1));
    let _renewed = site.entered("node02").await;
    until(&second, one.id, |info| {
        info.connection == ConnectionStatus::Disconnected && info.node.as_deref() == Some("node01")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_of_a_token_is_one_use_for_all_managers() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let text = token(&first, 3).await;
    let mut enrolling = tokio::task::JoinSet::new();
    for n in 0..10 {
        let manager = if n % 2 == 0 { &first } else { &second };
        let (address, text) = (manager.address(), text.clone());
        enrolling.spawn(async move { enroll(&address, &text, &format!("many{n}")).await });
    }
    let came: Vec<_> = enrolling.join_all().await;
    let mut ids: Vec<i64> = (came.iter().flatten())
        .map(|one| i64::from(one.id))
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3], "{came:?}");
    for refused in came.iter().filter_map(|one| one.as_ref().err()) {
        let text = refused.to_string();
        assert!(
            text.contains("used up") || text.contains("no use left"),
            "{text}"
        );
    }
    for manager in [&first, &second] {
        let tokens = manager.channel.tokens().await.unwrap();
        assert_eq!((tokens.len(), tokens[0].uses, tokens[0].left), (1, 3, 0));
    }
    let other = token(&second, 5).await;
    let tokens = second.channel.tokens().await.unwrap();
    let issued = tokens.iter().find(|one| one.uses == 5).unwrap();
    first.channel.revoke_token(&issued.id).await.unwrap();
    let refused = enroll(&second.address(), &other, "late").await.unwrap_err();
    assert!(refused.to_string().contains("revoked"), "{refused}");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_manager_changes_all_managers_show() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let one = first.enroll("web01").await;
    let two = first.enroll("web02").await;
    until(&second, two.id, |_| true).await;
    let site_of = |name: &str| AgentChange::Label {
        set: Labels::from([("site".to_owned(), name.to_owned())]),
        unset: Vec::new(),
    };
    let rename = |name: &str| AgentChange::Rename(name.to_owned());
    // Both change the same agent at the same moment, again and again: nothing is lost.
    for n in 0..10 {
        let (name, place) = (rename(&format!("web{n}")), site_of(&format!("site{n}")));
        let (a, b) = tokio::join!(
            first.channel.change(one.id, &name),
            second.channel.change(one.id, &place)
        );
        a.unwrap();
        b.unwrap();
    }
    let both = rename("same");
    let (a, b) = tokio::join!(
        first.channel.change(one.id, &both),
        second.channel.change(two.id, &both)
    );
    assert!(a.is_ok() != b.is_ok(), "one name for two: {a:?}, {b:?}");
    first
        .channel
        .change(two.id, &AgentChange::Remove)
        .await
        .unwrap();
    for manager in [&first, &second] {
        wait_until(DEADLINE, async || {
            (names(manager).await.len() == 1).then_some(())
        })
        .await
        .unwrap();
        let details = manager.channel.details(&[one.id, two.id]).await.unwrap();
        assert_eq!(details.len(), 1, "{details:?}");
        assert_eq!(details[0].labels["site"], "site9");
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_one_manager_revoked_opens_nothing_anywhere() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let one = first.enroll("web01").await;
    let (mut agent, _) = ChannelAgent::connect(&at(&one, &second)).await.unwrap();
    first
        .channel
        .change(one.id, &AgentChange::Revoke)
        .await
        .unwrap();
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked"), "{goodbye}");
    let refused = ChannelAgent::connect(&at(&one, &second))
        .await
        .err()
        .unwrap();
    assert!(refused.to_string().starts_with("revoked"), "{refused}");
    second.stop().await;
    first.stop().await;
    // Also where the registry of this node is put back from before: the list says so.
    let listed = std::fs::read_to_string(
        site.home("node02")
            .join(paths::CHANNEL_FOLDER)
            .join("revoked"),
    );
    assert!(listed.unwrap().lines().any(|line| line.starts_with("1 ")));
}
