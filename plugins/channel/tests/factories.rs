//! One channel behind three sections of the settings.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use bytes::Bytes;
use common::context;
use serde_json::json;
use wpk_api::{BuildError, Factory, TransportError};
use wpk_plugin_channel::ChannelPlugin;

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
    assert_eq!(
        transport
            .check(&json!({"listen": "x", "keepalive": 1}))
            .len(),
        1
    );
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
