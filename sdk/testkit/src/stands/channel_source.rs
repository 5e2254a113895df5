//! The agent channel as the source of acknowledgements: every client is an
//! agent of its own that dials in and reports.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::json;
use wpk_api::{AgentDirectory, Endpoint, Peer, RequestSource};
use wpk_wire::ChannelMessage;

use super::build;
use super::channel::ChannelFactories;
use crate::Home;
use crate::channel_agent::ChannelAgent;
use crate::source_suite::{SourceClient, Stand};
use crate::suite::{now, ok};

/// Where the next agent is enrolled: the channel that is open now.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<Option<Arc<dyn AgentDirectory>>>>);

impl Open {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn AgentDirectory>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enrols an agent, dials in and says hello.
    async fn dial(&self, n: usize) -> io::Result<Agent> {
        let directory = self.lock().clone().ok_or(io::ErrorKind::NotConnected)?;
        let enrolled = directory.enroll(&format!("agent{n}")).await;
        let enrolled = enrolled.map_err(io::Error::other)?;
        let (agent, _) = ChannelAgent::connect(&enrolled).await?;
        Ok(Agent(agent))
    }
}

/// Sets up a channel, for `source_suite::one_way`.
pub async fn channel_source(factories: ChannelFactories) -> Stand {
    let home = ok("making a folder", Home::new());
    let context = home.context();
    let open = Open::default();
    let dialled = open.clone();
    let next = Arc::new(AtomicUsize::new(0));
    let peer = Peer::Agent(wpk_api::AgentId::MANAGER);
    Stand::new(
        peer,
        move || {
            // The one before must be gone before the next is built.
            *open.lock() = None;
            let settings = json!({"listen": "127.0.0.1:0"});
            let _transport = build(&factories.transport, &settings, &context);
            let agents = build(&factories.directory, &json!({}), &context);
            let source: Arc<dyn RequestSource> = build(&factories.source, &json!({}), &context);
            *open.lock() = Some(agents);
            now(source)
        },
        move |_| {
            let dialled = dialled.clone();
            let n = next.fetch_add(1, Ordering::Relaxed);
            async move { Ok(Box::new(dialled.dial(n).await?) as Box<dyn SourceClient>) }
        },
    )
    .endpoints([Endpoint::Upgrade])
    .keep(home)
}

/// One connection of an agent.
struct Agent(ChannelAgent);

#[async_trait]
impl SourceClient for Agent {
    async fn send(&mut self, report: &[u8]) -> io::Result<()> {
        let report = json!({
            "command": "upgrade_update_status",
            "parameters": {
                "error": 0,
                "message": String::from_utf8_lossy(report),
                "status": "Done",
            },
        });
        let body = report.to_string().into();
        self.0.send(&ChannelMessage::Acknowledge(body)).await
    }

    async fn begin(&mut self, report: &[u8]) -> io::Result<()> {
        let length = u32::try_from(report.len() + 1).map_err(io::Error::other)?;
        self.0.send_raw(&length.to_le_bytes()).await?;
        self.0.send_raw(report).await
    }

    /// The manager answers no report; all that can come is the end.
    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.0.goodbye().await.map(|_| None)
    }
}
