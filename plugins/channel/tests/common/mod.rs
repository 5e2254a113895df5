//! A manager's channel on a port of its own, with an engine that only writes
//! down what it is asked.
#![allow(unreachable_pub, dead_code)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wpk_api::settings::Span;
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, CancellationToken, ConnectionStatus, Context, Enrollment,
    NodeInfo, Request, RequestService, RequestSource, Role, SourceError, Version,
};
use wpk_plugin_channel::{Channel, Settings};
use wpk_testkit::channel_agent::{ChannelAgent, DEADLINE};
use wpk_wire::ChannelMessage;

/// An engine that writes requests down and answers each when it is let.
struct Engine {
    requests: mpsc::UnboundedSender<Request>,
    turns: Arc<Semaphore>,
}

#[async_trait]
impl RequestService for Engine {
    async fn call(&self, request: Request) -> Option<Bytes> {
        self.requests.send(request).unwrap();
        self.turns.acquire().await.unwrap().forget();
        None
    }
}

pub struct Manager {
    pub channel: Arc<Channel>,
    pub requests: mpsc::UnboundedReceiver<Request>,
    /// One permit for each request that the engine may finish.
    pub turns: Arc<Semaphore>,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), SourceError>>,
}

pub fn context(home: &Path) -> Context {
    context_of("node01", home)
}

pub fn context_of(node: &str, home: &Path) -> Context {
    let node = NodeInfo {
        name: node.to_owned(),
        role: Role::Master,
        version: Some(Version::new(4, 14, 0)),
    };
    Context::new(home, node)
}

pub fn span(millis: u64) -> Span {
    Span(Duration::from_millis(millis))
}

pub fn settings() -> Settings {
    Settings {
        listen: "127.0.0.1:0".to_owned(),
        ..Settings::default()
    }
}

impl Manager {
    pub fn start(home: &Path) -> Self {
        Self::with(home, settings())
    }

    pub fn with(home: &Path, settings: Settings) -> Self {
        Self::over(Channel::open(settings, &context(home)).unwrap())
    }

    /// Serves a channel that is open.
    pub fn over(channel: Arc<Channel>) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let turns = Arc::new(Semaphore::new(1_000));
        let serving = tokio::spawn({
            let (channel, stop) = (Arc::clone(&channel), stop.clone());
            let engine = Arc::new(Engine {
                requests: sender,
                turns: Arc::clone(&turns),
            });
            async move { channel.serve(engine, stop).await }
        });
        Self {
            channel,
            requests,
            turns,
            stop,
            serving,
        }
    }

    pub fn address(&self) -> String {
        self.channel.local_addr().to_string()
    }

    pub async fn enroll(&self, name: &str) -> Enrollment {
        self.channel.enroll(name).await.unwrap()
    }

    /// Enrols and connects an agent.
    pub async fn agent(&self, name: &str) -> (AgentId, ChannelAgent) {
        let enrollment = self.enroll(name).await;
        let (agent, _) = ChannelAgent::connect(&enrollment).await.unwrap();
        (enrollment.id, agent)
    }

    pub async fn info(&self, id: AgentId) -> AgentInfo {
        let mut found = self.channel.lookup(&[id]).await.unwrap();
        assert_eq!(found.len(), 1, "agent {id}");
        found.remove(0)
    }

    pub async fn status(&self, id: AgentId) -> ConnectionStatus {
        self.info(id).await.connection
    }

    /// Waits until an agent has this status.
    pub async fn until(&self, id: AgentId, status: ConnectionStatus) {
        wpk_testkit::wait_until(DEADLINE, async || {
            (self.status(id).await == status).then_some(())
        })
        .await
        .unwrap_or_else(|| panic!("agent {id} never became {status:?}"));
    }

    pub async fn next_request(&mut self) -> Request {
        timeout(DEADLINE, self.requests.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Lets an agent acknowledge again and again, as agents do, until a
    /// request reaches the engine.
    pub async fn acknowledged(
        &mut self,
        agent: &mut ChannelAgent,
        message: &ChannelMessage,
    ) -> Request {
        let repeating = async {
            loop {
                agent.send(message).await.unwrap();
                let pause = Duration::from_millis(100);
                if let Ok(request) = timeout(pause, self.requests.recv()).await {
                    return request.unwrap();
                }
            }
        };
        timeout(DEADLINE, repeating).await.unwrap()
    }

    /// It ends in the middle of whatever it does, and does nothing more.
    pub async fn kill(self) {
        self.serving.abort();
        let ended = self.serving.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    pub async fn stop(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}
