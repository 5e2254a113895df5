//! A transport behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wpk_abi::Operation;
use wpk_api::border::{Agent, Opened};
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

    fn max_command(&self) -> usize {
        self.max_command
    }
}
