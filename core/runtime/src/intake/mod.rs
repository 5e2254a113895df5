//! Where requests enter the engine: parse, answer, and nothing that waits for
//! an agent or a download. One file per kind of request.

mod acknowledge;
mod asked;
mod authority;
mod cancel;
mod changes;
mod custom;
mod dry_run;
mod extension;
mod fleet;
mod latest;
mod manage;
mod result;
mod rollouts;
mod task;
mod tasks;
mod timeline;
mod tokens;
mod upgrade;
mod versions;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tracing::{debug, warn};
use wpk_api::{AgentId, Endpoint, Peer, Request, RequestService};
use wpk_wire::{Refusal, TaskRequest, UpgradeRequest};

use crate::workshop::Workshop;

/// Answers the requests of all sources.
pub(crate) struct Intake {
    workshop: Arc<Workshop>,
}

impl Intake {
    pub(crate) fn new(workshop: Arc<Workshop>) -> Self {
        Self { workshop }
    }

    async fn upgrade_endpoint(&self, peer: Peer, payload: &[u8]) -> Bytes {
        let workshop = &self.workshop;
        let request = match UpgradeRequest::parse(payload, workshop.settings.dialect) {
            Ok(request) => request,
            Err(refusal) => {
                debug!(
                    code = refusal.code().number(),
                    detail = refusal.detail(),
                    "request refused"
                );
                return refusal.to_bytes();
            }
        };
        if let Peer::Agent(agent) = peer
            && !is_own_word(&request, agent)
        {
            warn!(%agent, "an agent asked for something that is not its own acknowledgement");
            return Refusal::not_recognized("An agent may only acknowledge its own upgrade")
                .to_bytes();
        }
        let response = match request {
            UpgradeRequest::Upgrade { agents, params } => {
                return upgrade::from_repository(workshop, &agents, params).await;
            }
            UpgradeRequest::UpgradeCustom { agents, params } => {
                return upgrade::from_file(workshop, &agents, params).await;
            }
            UpgradeRequest::Result { agents } => {
                result::for_upgrade_socket(workshop, &agents).await
            }
            UpgradeRequest::UpdateStatus { agents, ack } => {
                acknowledge::answer(workshop, peer, &agents, &ack).await
            }
            UpgradeRequest::Own(request) => {
                match extension::answer(workshop, peer, request).await {
                    Ok(response) => response,
                    Err(refusal) => refusal.to_response(),
                }
            }
        };
        response.to_bytes()
    }

    async fn task_endpoint(&self, peer: Peer, payload: &[u8]) -> Bytes {
        if let Peer::Agent(agent) = peer {
            warn!(%agent, "an agent spoke to the task manager");
            return Refusal::task(wpk_wire::TaskCode::InvalidCommand).to_bytes();
        }
        match TaskRequest::parse(payload) {
            Ok(request) => task::answer(&self.workshop, request).await.to_bytes(),
            Err(refusal) => refusal.to_bytes(),
        }
    }
}

#[async_trait]
impl RequestService for Intake {
    async fn call(&self, request: Request) -> Option<Bytes> {
        let Request {
            endpoint,
            peer,
            payload,
        } = request;
        Some(match endpoint {
            Endpoint::Upgrade => self.upgrade_endpoint(peer, &payload).await,
            Endpoint::Task => self.task_endpoint(peer, &payload).await,
        })
    }

    fn was_away(&self) {
        self.workshop.was_away.send_modify(|times| *times += 1);
    }

    fn is_sending(&self) -> bool {
        self.workshop.pieces.are_sent()
    }
}

/// Whether an agent's request is the acknowledgement of exactly that agent.
fn is_own_word(request: &UpgradeRequest, agent: AgentId) -> bool {
    matches!(request, UpgradeRequest::UpdateStatus { agents, .. }
        if agents.iter().all(|id| *id == agent))
}
