//! The registry: names, ids, what agents said, and who is let in no more.

use crate::common::{Manager, settings};
use bytes::Bytes;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use wpk_api::{
    AgentChange, AgentDirectory, AgentId, ConnectionStatus, DirectoryError, Labels, Transport,
    TransportError,
};
use wpk_plugin_channel::Settings;
use wpk_testkit::channel_agent::ChannelAgent;

#[tokio::test]
async fn names_ids_and_pages() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    for name in ["a", "b", "c"] {
        manager.enroll(name).await;
    }
    for bad in ["b", "", "no spaces", "../etc"] {
        let refused = manager.channel.enroll(bad).await;
        assert!(
            matches!(refused, Err(DirectoryError::Refused(_))),
            "{bad:?}"
        );
    }
    let page = manager.channel.list(None, 2).await.unwrap();
    assert_eq!((page.agents.len(), page.more), (2, true));
    let rest = manager
        .channel
        .list(Some(page.agents[1].id), 2)
        .await
        .unwrap();
    assert_eq!((rest.agents.len(), rest.more), (1, false));
    assert_eq!(rest.agents[0].name.as_deref(), Some("c"));

    let ids: Vec<_> = (0..10_000).map(|id| AgentId::new(id).unwrap()).collect();
    let found = manager.channel.lookup(&ids).await.unwrap();
    assert_eq!(found.len(), 4, "three agents and the manager itself");
    assert!(found.iter().any(|info| info.id == AgentId::MANAGER));
    manager.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_ids_certificates_and_what_agents_said() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let (id, mut agent) = manager.agent("web01").await;
    let other = manager.enroll("web02").await;
    let port = manager.channel.local_addr();
    let (goodbye, ()) = tokio::join!(agent.goodbye(), manager.stop());
    assert!(goodbye.unwrap().unwrap().starts_with("stopping: "));

    let manager = Manager::with(
        home.path(),
        Settings {
            listen: port.to_string(),
            ..settings()
        },
    );
    let info = manager.info(id).await;
    assert_eq!(info.connection, ConnectionStatus::Disconnected);
    assert_eq!(info.version.as_deref(), Some("Wazuh v4.2.1"));
    assert_eq!(
        manager.status(other.id).await,
        ConnectionStatus::NeverConnected
    );
    let (_agent, welcome) = ChannelAgent::connect(&other).await.unwrap();
    assert_eq!(welcome.agent, other.id);
    assert_eq!(manager.status(other.id).await, ConnectionStatus::Active);
    let third = manager.enroll("web03").await;
    assert_eq!(third.id.get(), 3);
    assert_eq!(third.ca_pem, other.ca_pem);
    manager.stop().await;
}

#[tokio::test]
async fn keys_and_the_registry_are_private() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let (_, _agent) = manager.agent("web01").await;
    let mode = |path: &str| {
        let metadata = fs::metadata(home.path().join(path)).unwrap();
        format!("{:o}", metadata.permissions().mode() & 0o777)
    };
    assert_eq!(mode("etc/channel"), "700");
    assert_eq!(mode("queue/channel"), "700");
    for file in ["ca.pem", "ca.key", "manager.pem", "manager.key"] {
        assert_eq!(mode(&format!("etc/channel/{file}")), "600", "{file}");
    }
    for file in fs::read_dir(home.path().join("queue/channel")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert_eq!(mode(&format!("queue/channel/{name}")), "600", "{name}");
    }
    manager.stop().await;
}

#[tokio::test]
async fn a_revoked_agent_is_out_at_once_and_stays_out() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let enrollment = manager.enroll("web01").await;
    let (mut agent, _) = ChannelAgent::connect(&enrollment).await.unwrap();
    assert!(manager.channel.revoke(enrollment.id).await.unwrap());
    assert!(!manager.channel.revoke(enrollment.id).await.unwrap());
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked: "), "{goodbye}");
    assert_eq!(manager.channel.lookup(&[enrollment.id]).await, Ok(vec![]));
    assert_eq!(
        manager.channel.request(enrollment.id, Bytes::new()).await,
        Err(TransportError::NotConnected(enrollment.id))
    );

    let refused = ChannelAgent::connect(&enrollment).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked: "), "{refused}");
    let port = manager.channel.local_addr().to_string();
    manager.stop().await;
    let listen = Settings {
        listen: port,
        ..settings()
    };
    let manager = Manager::with(home.path(), listen);
    let refused = ChannelAgent::connect(&enrollment).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked: "), "{refused}");
    assert_eq!(manager.enroll("web01").await.id.get(), 2);
    manager.stop().await;
}

#[tokio::test]
async fn agents_are_changed_while_they_are_connected() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let channel = &manager.channel;
    let one = manager.enroll("web01").await;
    let (mut agent, _) = ChannelAgent::connect(&one).await.unwrap();
    let change = async |change: AgentChange| channel.change(one.id, &change).await;
    change(AgentChange::Rename("web02".into())).await.unwrap();
    let set = Labels::from([("site".to_owned(), "lyon".to_owned())]);
    let label = AgentChange::Label {
        set: set.clone(),
        unset: vec![],
    };
    change(label).await.unwrap();
    assert_eq!(manager.info(one.id).await.name.as_deref(), Some("web02"));
    let details = channel.details(&[one.id]).await.unwrap().remove(0);
    assert_eq!(details.labels, set);
    assert_eq!(details.address.as_deref(), Some("127.0.0.1"));
    assert!(details.last_seen >= details.enrolled);
    assert!(details.certificate_end > details.enrolled);

    change(AgentChange::Revoke).await.unwrap();
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked: "), "{goodbye}");
    let again = change(AgentChange::Revoke).await;
    assert!(
        matches!(again, Err(DirectoryError::Refused(_))),
        "{again:?}"
    );
    let details = channel.details(&[one.id]).await.unwrap().remove(0);
    assert!(details.revoked >= details.enrolled);

    // Removed at once, and after it was revoked.
    let (two, mut agent) = manager.agent("web03").await;
    channel.change(two, &AgentChange::Remove).await.unwrap();
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked: "), "{goodbye}");
    change(AgentChange::Remove).await.unwrap();
    assert_eq!(channel.details(&[one.id, two]).await, Ok(vec![]));
    let refused = ChannelAgent::connect(&one).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked: "), "{refused}");
    assert_eq!(manager.enroll("web01").await.id.get(), 3);
    manager.stop().await;
}

#[tokio::test]
async fn a_certificate_that_the_registry_lost_is_unknown() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let mut enrollment = manager.enroll("web01").await;
    manager.stop().await;
    fs::remove_dir_all(home.path().join("queue")).unwrap();
    let manager = Manager::start(home.path());
    enrollment.address = Some(manager.address());
    let refused = ChannelAgent::connect(&enrollment).await.err().unwrap();
    assert!(refused.to_string().starts_with("unknown: "), "{refused}");
    manager.stop().await;
}
