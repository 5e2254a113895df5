//! The agent channel: commands take time, get lost, come late, and so do answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;
use wpk_api::{AgentId, Transport, TransportError};
use wpk_testkit::memory::take_apart;

use crate::world::{Event, World};

/// How long an agent may take to answer.
const TIMEOUT: Duration = Duration::from_secs(75);

/// What a channel does that tells the daemon what is not so. A story with one of
/// these must find faults: it shows that the oracle sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// None.
    No,
    /// Silence is told as a refusal: a manager that guesses would do the same.
    SilenceIsRefusal,
    /// The command that runs the installer is sent twice.
    Twice,
}

/// The channel.
pub struct Channel {
    pub world: Arc<World>,
    pub lie: Lie,
}

/// What becomes of a command.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It arrives after the first time, and the answer takes the second.
    Answered(Duration, Duration),
    /// It arrives, and then this is all that is heard.
    Unanswered(Duration, Silence),
    /// It never arrives.
    Lost(Silence),
}

/// What is heard instead of an answer.
#[derive(Debug, Clone, Copy)]
enum Silence {
    Nothing,
    Closed,
    Says(&'static str),
    Unavailable,
}

impl Channel {
    fn fate(&self, agent: AgentId, step: &str) -> Option<Fate> {
        let mut state = self.world.state();
        let calm = state.calm;
        let agent = state.agent(agent);
        if !agent.online {
            return None;
        }
        let (temper, dice) = (agent.temper, &mut agent.dice);
        let quick = Fate::Answered(dice.millis(1, 20), dice.millis(1, 20));
        if calm || !dice.per_mille(temper) {
            return Some(quick);
        }
        let soon = dice.millis(1, 2_000);
        // One that comes late would take away the next result.
        let late = match step {
            "clear_upgrade_result" => soon,
            _ => dice.seconds(2, 90),
        };
        Some(match dice.below(10) {
            0 => Fate::Lost(Silence::Nothing),
            1 => Fate::Lost(Silence::Closed),
            2 => Fate::Lost(Silence::Says("err Cannot send request")),
            3 => Fate::Lost(Silence::Says("err Maximum attempts exceeded")),
            4 => Fate::Lost(Silence::Unavailable),
            5 => Fate::Unanswered(soon, Silence::Nothing),
            6 => Fate::Unanswered(soon, Silence::Closed),
            7 => Fate::Unanswered(soon, Silence::Says("err Response timeout")),
            8 => Fate::Answered(late, soon),
            _ => Fate::Answered(soon, dice.seconds(1, 70)),
        })
    }

    fn sends(&self, agent: AgentId, command: &Bytes, after: Duration) -> oneshot::Receiver<Bytes> {
        let step = take_apart(command).map(|sent| sent.step);
        let task = match step.as_deref() {
            Some("upgrade") => self.world.tells(agent),
            _ => None,
        };
        let (reply, answer) = oneshot::channel();
        let command = command.clone();
        let arrives = Event::Arrives {
            agent,
            command,
            task,
            reply,
        };
        self.world.plan(after, arrives);
        answer
    }

    fn heard(&self, agent: AgentId, silence: Silence) -> TransportError {
        let reason = match (self.lie, silence) {
            (Lie::SilenceIsRefusal, Silence::Nothing | Silence::Closed) => {
                "err Cannot send request"
            }
            (_, Silence::Nothing) => return TransportError::TimedOut(agent),
            (_, Silence::Closed) => {
                let reason = "it hung up".to_owned();
                return TransportError::Closed { agent, reason };
            }
            (_, Silence::Says(reason)) => reason,
            (_, Silence::Unavailable) => return TransportError::Unavailable("away".into()),
        };
        let reason = reason.to_owned();
        TransportError::Refused { agent, reason }
    }
}

#[async_trait]
impl Transport for Channel {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        let step = take_apart(&command).map_or_else(String::new, |sent| sent.step);
        let Some(fate) = self.fate(agent, &step) else {
            return Err(TransportError::NotConnected(agent));
        };
        if self.lie == Lie::Twice && step == "upgrade" {
            drop(self.sends(agent, &command, Duration::from_millis(1)));
        }
        let (answer, silence) = match fate {
            Fate::Lost(silence) => {
                if step == "upgrade" {
                    self.world.tells(agent);
                }
                (None, silence)
            }
            Fate::Answered(there, back) => {
                let answer = self.sends(agent, &command, there);
                let comes = async {
                    let answer = answer.await;
                    tokio::time::sleep(back).await;
                    answer
                };
                match tokio::time::timeout(TIMEOUT, comes).await {
                    Ok(Ok(answer)) => (Some(answer), Silence::Nothing),
                    _ => (None, Silence::Nothing),
                }
            }
            Fate::Unanswered(there, silence) => {
                let _ = self.sends(agent, &command, there).await;
                (None, silence)
            }
        };
        if answer.is_none() && matches!(silence, Silence::Nothing) {
            // The whole time, however much of it is gone.
            tokio::time::sleep(TIMEOUT).await;
        }
        answer.ok_or_else(|| self.heard(agent, silence))
    }

    async fn connected(&self, agent: AgentId) {
        loop {
            let back = self.world.back.notified();
            if self.world.state().agent(agent).online {
                return;
            }
            back.await;
        }
    }
}
