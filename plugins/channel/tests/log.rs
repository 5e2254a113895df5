//! What an administrator's log says of agents: each fact in a field of its own,
//! so that a log can be searched for one agent or one address.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use common::Manager;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use wpk_testkit::channel_agent::{ChannelAgent, DEADLINE};
use wpk_testkit::wait_until;

type Fields = BTreeMap<&'static str, String>;

/// Keeps the events of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Fields>>>);

impl Log {
    /// The events with this message.
    fn find(&self, message: &str) -> Vec<Fields> {
        let mut events = self.0.lock().unwrap().clone();
        events.retain(|event| event.get("message").is_some_and(|text| text == message));
        events
    }

    /// The one event with this message.
    fn event(&self, message: &str) -> Fields {
        let mut found = self.find(message);
        assert_eq!(found.len(), 1, "{message:?} in {:#?}", self.0.lock());
        found.remove(0)
    }
}

impl Subscriber for Log {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target().starts_with("wpk_plugin_channel")
    }

    fn event(&self, event: &Event<'_>) {
        struct Reader(Fields);
        impl Visit for Reader {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.insert(field.name(), format!("{value:?}"));
            }
        }
        let mut reader = Reader(Fields::new());
        event.record(&mut reader);
        self.0.lock().unwrap().push(reader.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn the_log_names_agent_peer_and_reason_in_fields() {
    let log = Log::default();
    let _kept = tracing::subscriber::set_default(log.clone());
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let listens = log.event("agent channel listening");
    assert_eq!(listens["address"], manager.channel.local_addr().to_string());
    assert_eq!(listens["enrolled"], "0");

    let enrollment = manager.enroll("web01").await;
    let enrolled = log.event("the agent was enrolled");
    assert_eq!(
        (enrolled["agent"].as_str(), enrolled["name"].as_str()),
        ("001", "\"web01\"")
    );

    let (agent, _) = ChannelAgent::connect(&enrollment).await.unwrap();
    let connected = log.event("the agent connected");
    assert_eq!(
        (connected["agent"].as_str(), connected["name"].as_str()),
        ("001", "\"web01\"")
    );
    assert!(connected["peer"].starts_with("127.0.0.1:"), "{connected:?}");

    drop(agent);
    let ended = async || log.find("the agent disconnected").pop();
    let disconnected = wait_until(DEADLINE, ended).await.unwrap();
    assert_eq!(disconnected["agent"], "001");
    assert_eq!(disconnected["peer"], connected["peer"]);
    assert!(disconnected.contains_key("reason"), "{disconnected:?}");
}
