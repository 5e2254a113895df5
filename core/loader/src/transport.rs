//! A transport behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wpk_abi::Operation;
use wpk_api::border::{Agent, Opened, Takes};
use wpk_api::{AgentId, PEER_MAX_COMMAND, Transport, TransportError};

use crate::instance::Instance;

struct Channel {
    instance: Instance,
    max_command: usize,
}

pub(crate) fn make(instance: Instance, opened: Opened) -> Arc<dyn Transport> {
    Arc::new(Channel {
        instance,
        // Where the plugin says nothing: the default of the trait.
        max_command: opened.max_command.unwrap_or(PEER_MAX_COMMAND),
    })
}

impl Channel {
    /// A library that was made before, or fails, has agents as 4.x has them.
    async fn takes(&self, agent: AgentId) -> Takes {
        let question = Agent { agent };
        let answer = self.instance.ask_for(Operation::Takes, &question).await;
        answer.unwrap_or_default()
    }
}

#[async_trait]
impl Transport for Channel {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        let question = Agent { agent };
        let answer = self.instance.ask(Operation::Send, &question, command).await;
        answer
            .map(|answer| answer.body)
            .map_err(|error| error.transport(agent))
    }

    async fn connected(&self, agent: AgentId) {
        // A transport that cannot know, or is broken, says so to the request.
        let _ = self
            .instance
            .ask(Operation::Connected, &Agent { agent }, Bytes::new())
            .await;
    }

    async fn names_tasks(&self, agent: AgentId) -> bool {
        self.takes(agent).await.names_tasks
    }

    async fn takes_json(&self, agent: AgentId) -> bool {
        self.takes(agent).await.takes_json
    }

    fn max_command(&self) -> usize {
        self.max_command
    }
}
