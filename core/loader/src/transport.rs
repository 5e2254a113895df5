//! A transport behind the border.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use wpk_abi::codes::operation as op;
use wpk_api::{AgentId, PEER_MAX_COMMAND, Transport, TransportError};

use crate::instance::Instance;

struct Channel {
    instance: Instance,
    max_command: usize,
}

pub(crate) fn make(instance: Instance, says: Value) -> Arc<dyn Transport> {
    let max_command = says.get("max_command").and_then(Value::as_u64);
    let max_command = max_command.and_then(|bytes| usize::try_from(bytes).ok());
    Arc::new(Channel {
        instance,
        // Where the plugin says nothing: the default of the trait.
        max_command: max_command.unwrap_or(PEER_MAX_COMMAND),
    })
}

#[async_trait]
impl Transport for Channel {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        let question = json!({"agent": agent});
        let answer = self.instance.ask(op::SEND, &question, command).await;
        answer
            .map(|answer| answer.body)
            .map_err(|error| error.transport(agent))
    }

    async fn connected(&self, agent: AgentId) {
        let question = json!({"agent": agent});
        // A transport that cannot know, or is broken, says so to the request.
        let _ = self
            .instance
            .ask(op::CONNECTED, &question, Bytes::new())
            .await;
    }

    fn max_command(&self) -> usize {
        self.max_command
    }
}
