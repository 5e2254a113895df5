//! Transports that call the suite's agents without anything in between.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use wpk_api::{AgentId, Transport, TransportError};
use wpk_testkit::suite::now;
use wpk_testkit::transport_suite::{self, AGENTS, Agents, Reaction, Stand};

use super::{complains, verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    OneAtATime,
    CutsLongCommands,
    AnswersOfOthers,
    LosesPlaces,
    RetriesByItself,
    NeverGivesUp,
    NamesAnother,
    NobodyIsUnknown,
}

struct Direct {
    fault: Fault,
    agents: Arc<Agents>,
    known: Vec<AgentId>,
    places: Semaphore,
    last: Mutex<Bytes>,
}

fn id(id: i64) -> AgentId {
    AgentId::new(id).unwrap()
}

impl Direct {
    async fn exchange(&self, agent: AgentId, mut command: Bytes) -> Option<Bytes> {
        if self.fault == Fault::CutsLongCommands {
            command.truncate(1 << 16);
        }
        tokio::task::yield_now().await;
        let answer = match self.agents.command(agent, &command).await {
            Reaction::Answer(answer) => answer,
            Reaction::Vanish if self.fault == Fault::RetriesByItself => Bytes::new(),
            Reaction::Vanish => return None,
        };
        tokio::task::yield_now().await;
        let last = std::mem::replace(&mut *self.last.lock().unwrap(), answer.clone());
        Some(match self.fault {
            Fault::AnswersOfOthers if !last.is_empty() => last,
            _ => answer,
        })
    }
}

#[async_trait]
impl Transport for Direct {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        let named = match self.fault {
            Fault::NamesAnother => id(1),
            _ => agent,
        };
        if !self.known.contains(&agent) && self.fault != Fault::NobodyIsUnknown {
            return Err(TransportError::NotConnected(named));
        }
        if command.len() > self.max_command() && self.fault != Fault::CutsLongCommands {
            let reason = "too long".into();
            return Err(TransportError::Refused { agent, reason });
        }
        let place = self.places.acquire().await.unwrap();
        if self.fault == Fault::LosesPlaces {
            place.forget();
        }
        let limit = match self.fault {
            Fault::NeverGivesUp => Duration::from_secs(1_000),
            _ => Duration::from_secs(3),
        };
        let answer = tokio::time::timeout(limit, self.exchange(agent, command)).await;
        if self.fault == Fault::LosesPlaces {
            self.places.add_permits(1);
        }
        let answer = answer.map_err(|_| TransportError::TimedOut(agent))?;
        answer.ok_or_else(|| TransportError::Closed {
            agent,
            reason: "vanished".into(),
        })
    }
}

fn run(fault: Fault) -> String {
    verdict(move || async move {
        transport_suite::run(async |agents| {
            let known: Vec<_> = (1..).map(id).take(AGENTS).collect();
            let ids = known.clone();
            let places = if fault == Fault::OneAtATime { 1 } else { 100 };
            Stand::new(ids, id(99), move || {
                now(Arc::new(Direct {
                    fault,
                    agents: Arc::clone(&agents),
                    known: known.clone(),
                    places: Semaphore::new(places),
                    last: Mutex::default(),
                }) as Arc<dyn Transport>)
            })
        })
        .await;
    })
}

#[test]
fn a_good_transport_passes() {
    assert_eq!(run(Fault::None), "");
}

#[test]
fn bad_transports_are_found_out() {
    complains(&run(Fault::OneAtATime), "did not answer in time");
    complains(&run(Fault::CutsLongCommands), "cut short");
    complains(&run(Fault::AnswersOfOthers), "to this very command");
    complains(&run(Fault::LosesPlaces), "took longer");
    complains(&run(Fault::RetriesByItself), "so this is Closed");
    complains(&run(Fault::NeverGivesUp), "took longer");
    complains(&run(Fault::NamesAnother), "names another agent");
    complains(&run(Fault::NobodyIsUnknown), "there is no agent 099");
}
