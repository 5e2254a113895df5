//! The store is away, loses answers, or is an older one.

use wpk_api::{AgentChange, AgentDirectory, DocumentWrite, NewDocument};
use wpk_testkit::channel_agent::{ChannelAgent, DEADLINE};
use wpk_testkit::memory::Lost;
use wpk_testkit::wait_until;

use crate::site::{Site, names, token, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_looked_for_and_not_made_twice() {
    let site = Site::new();
    let first = site.manager("node01").await;
    let text = token(&first, 5).await;
    for (n, lost) in [(1, Lost::Answer), (2, Lost::Question)] {
        site.wire.lossy.lose("write_documents", lost);
        let name = format!("web{n}");
        let enrolled = wpk_testkit::channel_enroll::enroll(&first.address(), &text, &name).await;
        assert_eq!(enrolled.unwrap().id.get(), n, "{lost:?}");
        let tokens = first.channel.tokens().await.unwrap();
        assert_eq!(i64::from(tokens[0].left), 5 - i64::from(n), "{lost:?}");
    }
    assert_eq!(names(&first).await, ["web1", "web2"]);
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_agents_stay_and_nobody_is_told_more_than_is_known() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let known = first.enroll("web01").await;
    until(&second, known.id, |_| true).await;
    let (agent, _) = ChannelAgent::connect(&known).await.unwrap();
    let hasty = first.enroll("web02").await;
    site.wire.cut(true);
    // One that is known comes and goes.
    let mut there = known.clone();
    there.address = Some(second.address());
    let (moved, _) = ChannelAgent::connect(&there).await.unwrap();
    drop(agent);
    // Of one that is not nobody says that it is a stranger: it dials again soon.
    let mut unknown = hasty.clone();
    unknown.address = Some(second.address());
    let other = site.join("node03").await;
    assert!(other.is_err(), "it would have nobody");
    if names(&second).await.len() == 1 {
        let refused = second.channel.lookup(&[hasty.id]).await.unwrap_err();
        assert!(
            refused.to_string().contains("cannot be read now"),
            "{refused}"
        );
        let refused = ChannelAgent::connect(&unknown).await.err().unwrap();
        assert!(refused.to_string().starts_with("stopping"), "{refused}");
    }
    let refused = first.channel.enroll("web03").await.unwrap_err().to_string();
    assert!(refused.contains("the wire is cut"), "{refused}");
    // A certificate that is taken back is worth nothing here, whatever the others know.
    let (mut back, _) = ChannelAgent::connect(&known).await.unwrap();
    let revoked = first.channel.change(known.id, &AgentChange::Revoke).await;
    let told = revoked.unwrap_err().to_string();
    assert!(told.contains("revoked here"), "{told}");
    let goodbye = back.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked"), "{goodbye}");
    let refused = ChannelAgent::connect(&known).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked"), "{refused}");
    site.wire.cut(false);
    // The others hear of it as soon as they can.
    let mut moved = moved;
    let goodbye = tokio::time::timeout(2 * DEADLINE, moved.goodbye()).await;
    let goodbye = goodbye.unwrap().unwrap().unwrap();
    assert!(goodbye.starts_with("revoked"), "{goodbye}");
    ChannelAgent::connect(&unknown).await.unwrap();
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_put_back_learns_what_a_copy_knows() {
    let mut site = Site::new();
    let first = site.manager("node01").await;
    let second = site.manager("node02").await;
    let one = first.enroll("web01").await;
    let gone = first.enroll("gone").await;
    let change = first.channel.change(gone.id, &AgentChange::Revoke).await;
    change.unwrap();
    let heard = wait_until(DEADLINE, async || {
        let details = second.channel.details(&[gone.id]).await.unwrap();
        details.first()?.revoked
    });
    heard.await.unwrap();
    first.stop().await;
    second.stop().await;
    // All of it is lost: the first that comes brings its copy, and is nobody's second.
    site.lose_the_store();
    let second = site.manager("node02").await;
    assert_eq!(names(&second).await, ["web01"]);
    let mut there = one.clone();
    there.address = Some(second.address());
    ChannelAgent::connect(&there).await.unwrap();
    let mut out = gone.clone();
    out.address = Some(second.address());
    let refused = ChannelAgent::connect(&out).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked"), "{refused}");
    second.stop().await;

    // The other's copy is not taken for one of these, whatever is in it.
    let refused = site.join("node01").await.unwrap_err().to_string();
    assert!(refused.contains("move the file"), "{refused}");

    // One agent is lost: whoever knows it brings it back, under its id.
    let store = site.entered("node09").await;
    let lost = store.documents("channel/agents/0000000001", "", 1).await;
    let lost = lost.unwrap().remove(0);
    let registry = store.documents("channel/registry", "", 1).await.unwrap();
    let registry = registry.into_iter().next().unwrap();
    let older = registry.text.replace("\"last_id\":2", "\"last_id\":0");
    assert_ne!(older, registry.text);
    let write = |key: &str, expected, becomes: Option<String>| DocumentWrite {
        key: key.to_owned(),
        expected: Some(expected),
        becomes: becomes.map(|text| NewDocument {
            epoch: 0,
            keeps_tasks: false,
            text,
        }),
    };
    let writes = vec![
        write(&lost.key, lost.version, None),
        write(&registry.key, registry.version, Some(older)),
    ];
    assert!(store.write_documents(writes, None).await.unwrap().is_some());
    store.leave().await.unwrap();
    let second = site.manager("node02").await;
    assert_eq!(names(&second).await, ["web01"]);
    assert_eq!(second.enroll("new").await.id.get(), 3);
    second.stop().await;
}
