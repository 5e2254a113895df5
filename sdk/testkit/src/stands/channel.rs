//! The agent channel of the embedded manager, with agents that dial in. The
//! transport, the directory and the source are one object behind three
//! factories; the stand serves the source, so that agents get in.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::DropGuard;
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, CancellationToken, ConnectionStatus, Context, Enrollment,
    Platform, Request, RequestService, RequestSource, SourceError, Transport,
};
use wpk_wire::ChannelMessage;

use super::{AnyFactory, build};
use crate::Home;
use crate::channel_agent::ChannelAgent;
use crate::directory_suite;
use crate::suite::{now, ok, within};
use crate::transport_suite::{AGENTS, Agents, Reaction, Stand};

/// Until an agent dials again.
const PAUSE: Duration = Duration::from_millis(20);

/// The three factories of one channel. Each stand needs a set of its own.
pub struct ChannelFactories {
    /// Builds and binds; comes first.
    pub transport: AnyFactory<dyn Transport>,
    /// Hands out what the transport's factory built.
    pub directory: AnyFactory<dyn AgentDirectory>,
    /// The same.
    pub source: AnyFactory<dyn RequestSource>,
}

/// A channel that is being served.
struct Serving {
    /// Ends the source, at the latest with the stand.
    stop: DropGuard,
    ended: JoinHandle<Result<(), SourceError>>,
}

/// What opens the channel again and again, on one port.
struct Channel {
    factories: ChannelFactories,
    context: Context,
    listen: Mutex<String>,
    serving: tokio::sync::Mutex<Option<Serving>>,
}

/// An engine that takes acknowledgements and says nothing.
struct Nobody;

#[async_trait]
impl RequestService for Nobody {
    async fn call(&self, _: Request) -> Option<Bytes> {
        None
    }
}

impl Channel {
    fn new(factories: ChannelFactories, context: Context) -> Arc<Self> {
        Arc::new(Self {
            factories,
            context,
            listen: Mutex::new("127.0.0.1:0".to_owned()),
            serving: tokio::sync::Mutex::default(),
        })
    }

    /// Ends the one before and opens the next.
    async fn open(&self) -> (Arc<dyn Transport>, Arc<dyn AgentDirectory>) {
        let mut serving = self.serving.lock().await;
        if let Some(before) = serving.take() {
            drop(before.stop);
            let ended = within("the end of the channel", before.ended).await;
            ok("serving", ok("serving", ended));
        }
        let listen = self.listen().clone();
        let settings = json!({"listen": listen, "request_timeout": "3s"});
        let transport = build(&self.factories.transport, &settings, &self.context);
        let directory = build(&self.factories.directory, &json!({}), &self.context);
        let source = build(&self.factories.source, &json!({}), &self.context);
        let stop = CancellationToken::new();
        let ended = tokio::spawn({
            let stop = stop.clone();
            async move { source.serve(Arc::new(Nobody), stop).await }
        });
        let stop = stop.drop_guard();
        *serving = Some(Serving { stop, ended });
        (transport, directory)
    }

    fn listen(&self) -> std::sync::MutexGuard<'_, String> {
        self.listen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets up a channel with agents that are connected, for `transport_suite`.
pub async fn channel_transport(factories: ChannelFactories, agents: Arc<Agents>) -> Stand {
    let home = ok("making a folder", Home::new());
    let channel = Channel::new(factories, home.context());
    let (transport, directory) = channel.open().await;
    let mut ids = Vec::new();
    let mut dialling = JoinSet::new();
    for n in 0..AGENTS {
        let enrolled = directory.enroll(&format!("agent{n}")).await;
        let enrolled = ok("enrolling", enrolled);
        if let Some(address) = &enrolled.address {
            channel.listen().clone_from(address);
        }
        ids.push(enrolled.id);
        dialling.spawn(live(enrolled, Arc::clone(&agents)));
    }
    let unknown = ok("enrolling", directory.enroll("never-dials-in").await).id;
    drop((transport, directory));
    Stand::new(ids, unknown, move || {
        let channel = Arc::clone(&channel);
        async move { channel.open().await.0 }
    })
    .with_agents_of_ours()
    .keep((dialling, home))
}

/// Sets up a channel with agents that were enrolled, for `directory_suite`.
pub async fn channel_directory(
    factories: ChannelFactories,
    count: usize,
) -> directory_suite::Stand {
    let home = ok("making a folder", Home::new());
    let context = home.context();
    let settings = json!({"listen": "127.0.0.1:0"});
    let transport = build(&factories.transport, &settings, &context);
    let directory = build(&factories.directory, &json!({}), &context);
    let mut agents = Vec::with_capacity(count);
    for n in 0..count {
        let name = format!("agent{n}");
        let enrolled = ok("enrolling", directory.enroll(&name).await);
        agents.push(AgentInfo {
            id: enrolled.id,
            name: Some(name),
            platform: Platform::default(),
            version: None,
            connection: ConnectionStatus::NeverConnected,
            group: None,
            node: None,
        });
    }
    drop((transport, directory));
    // A directory alone: what is bound is never served.
    directory_suite::Stand::new(agents, move || {
        let transport = build(&factories.transport, &settings, &context);
        let directory = build(&factories.directory, &json!({}), &context);
        drop(transport);
        now(directory)
    })
    .keep(home)
}

/// One agent: dials in, does what the suite says, dials in again.
async fn live(enrolled: Enrollment, agents: Arc<Agents>) {
    loop {
        if let Ok((agent, _)) = ChannelAgent::connect(&enrolled).await {
            // Lost or left: both mean to dial again.
            let _ = work(agent, enrolled.id, &agents).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Works on commands, several at a time, until the agent vanishes or is left.
async fn work(mut agent: ChannelAgent, id: AgentId, agents: &Agents) -> io::Result<()> {
    let mut at_work = FuturesUnordered::new();
    loop {
        tokio::select! {
            message = agent.recv() => match message? {
                Some(ChannelMessage::Command { stream, bytes }) => at_work.push(async move {
                    (stream, agents.command(id, &bytes).await)
                }),
                Some(ChannelMessage::Ping) => agent.send(&ChannelMessage::Pong).await?,
                Some(ChannelMessage::Goodbye { .. }) | None => return Ok(()),
                Some(_) => {}
            },
            Some((stream, reaction)) = at_work.next() => match reaction {
                Reaction::Answer(answer) => agent.answer(stream, answer).await?,
                Reaction::Vanish => return Ok(()),
            },
        }
    }
}
