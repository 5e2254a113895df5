//! Requests a source hands over, on their way through the host to the engine.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;
use wpk_api::border::Envelope;
use wpk_api::{Request, RequestService};

use crate::core::{Core, lock};

/// The engine, as a source behind the border sees it.
pub(crate) struct EngineBehind {
    pub(crate) core: Weak<Core>,
    /// The token of the `SERVE` operation.
    pub(crate) serve: u64,
}

/// Forgets an open request when nobody waits for its answer any more.
struct Open {
    core: Arc<Core>,
    token: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.core.requests).remove(&self.token);
    }
}

#[async_trait]
impl RequestService for EngineBehind {
    async fn call(&self, request: Request) -> Option<Bytes> {
        let core = self.core.upgrade()?;
        let token = core.number();
        let (send, receive) = oneshot::channel();
        lock(&core.requests).insert(token, send);
        let envelope = Envelope {
            endpoint: request.endpoint,
            peer: request.peer,
        };
        let json = serde_json::to_vec(&envelope).ok()?;
        core.host
            .request(self.serve, &json, &request.payload, token);
        let _open = Open { core, token };
        receive.await.ok().flatten()
    }
}
