//! One channel behind three sections of the settings.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use bytes::Bytes;
use common::context;
use serde_json::json;
use wpk_api::{AgentDirectory, BuildError, Factory, TransportError};
use wpk_plugin_channel::ChannelPlugin;

#[tokio::test]
async fn a_registry_that_is_removed_takes_no_agents() {
    let home = tempfile::tempdir().unwrap();
    let manager = common::Manager::start(home.path());
    let first = manager.enroll("web01").await;
    let file = home.path().join("queue/channel/agents.db");
    let away = home.path().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    let error = manager.channel.enroll("web02").await.unwrap_err();
    assert!(
        error.to_string().contains("agents.db was removed"),
        "{error}"
    );
    // A certificate is taken back whatever became of the registry.
    assert!(manager.channel.revoke(first.id).await.unwrap());
    let list = std::fs::read_to_string(home.path().join("etc/channel/revoked")).unwrap();
    assert!(list.lines().any(|line| line.starts_with("1 ")), "{list}");
    std::fs::rename(&away, &file).unwrap();
    manager.enroll("web02").await;
    manager.stop().await;
}

#[tokio::test]
async fn one_object_behind_three_factories() {
    let home = tempfile::tempdir().unwrap();
    let context = context(home.path());
    let plugin = ChannelPlugin::new();
    let (transport, directory, source) = (plugin.transport(), plugin.directory(), plugin.source());
    assert_eq!(
        (transport.kind(), directory.kind(), source.kind()),
        ("channel", "channel", "channel")
    );
    let too_early = directory.build(&json!({}), &context).err().unwrap();
    assert!(too_early.to_string().contains("[transport]"), "{too_early}");
    assert!(source.build(&json!({}), &context).is_err());
    let mistakes = transport.check(&json!({"listen": "x", "keepalive": 1}));
    assert_eq!(mistakes.len(), 2, "one hides no other: {mistakes:?}");
    assert_eq!(directory.check(&json!({"listen": "127.0.0.1:0"})).len(), 1);
    assert!(directory.check(&json!({})).is_empty());

    let settings = json!({"listen": "127.0.0.1:0", "advertise": "manager.example.org:1517"});
    let built = transport.build(&settings, &context).unwrap();
    assert!(matches!(
        transport.build(&settings, &context),
        Err(BuildError::Failed(_))
    ));
    let directory = directory.build(&json!({}), &context).unwrap();
    let source = source.build(&json!({}), &context).unwrap();
    let enrollment = directory.enroll("web01").await.unwrap();
    assert_eq!(
        enrollment.address.as_deref(),
        Some("manager.example.org:1517")
    );
    let answer = built.request(enrollment.id, Bytes::new()).await;
    assert_eq!(answer, Err(TransportError::NotConnected(enrollment.id)));
    assert!(plugin.channel().is_some());
    drop((built, directory, source));
    assert!(plugin.channel().is_none());
}
