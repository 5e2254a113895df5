//! The conversation with one agent: lock_restart, open, write..., close, sha1,
//! and, once that is written down, upgrade (PROTOCOL.md, section 5).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use wpk_api::settings::Span;
use wpk_api::{AgentId, Order, TimelineEntry, TimelineStep, TransportError};
use wpk_wire::agent::command::max_chunk;
use wpk_wire::agent::reply::ReplyError;
use wpk_wire::{
    AgentCommand, AgentReply, CommandForm, INSTALLER, INSTALLER_OF_WINDOWS, Step, UpgradeCode,
};

use super::chunk::{COMMAND_ROOM, carried, chunk};
use super::ledger::Ledger;
use super::outcome::Ended;
use super::pauses::Growing;
use super::slots::Slot;
use crate::cache::WpkFile;
use crate::failure::Failure;
use crate::in_hand::InHand;
use crate::rollout::Link;
use crate::workshop::Workshop;

/// How often `open` is tried (section 5).
const OPEN_ATTEMPTS: usize = 10;
/// The agent's code for "disabled or not ready yet" (section 7).
const NOT_READY: i64 = 1;
/// A try to open that took longer is followed by a breath, aside.
const SLOW: Duration = Duration::from_secs(5);
const BREATH: Duration = Duration::from_secs(1);
/// The shortest pause while an agent is not ready.
const SHORTEST: Duration = Duration::from_millis(100);
/// How often the timeline is told how far the file is.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// And how much more of it is there then, at least, in bytes.
const TELL_OF: u64 = 1 << 20;
/// The conversation about one delivery.
pub(super) struct Session<'a> {
    ledger: &'a Ledger<'a>,
    workshop: &'a Workshop,
    agent: AgentId,
    form: CommandForm,
    takes_json: bool,
    file: &'a WpkFile,
    installer: &'a str,
    chunk: usize,
    in_hand: &'a mut InHand,
    /// What may be sent to the agent's site.
    link: Link,
    /// The quickest answer so far.
    quickest: Duration,
}

impl<'a> Session<'a> {
    /// Prepares the conversation.
    ///
    /// # Errors
    /// Names that this agent's form of commands cannot carry.
    pub(super) async fn new(
        ledger: &'a Ledger<'a>,
        order: &'a Order,
        file: &'a WpkFile,
        in_hand: &'a mut InHand,
    ) -> Result<Self, Failure> {
        let workshop = ledger.workshop;
        let agent = order.agent.id;
        // A channel of ours has agents of any version, and none takes plain text.
        let takes_json = workshop.parts.transport.takes_json(agent).await;
        let form = match order.agent.parsed_version() {
            Some(version) if !takes_json => CommandForm::for_version(version),
            _ => CommandForm::Json,
        };
        let windows = order.agent.platform.name.as_deref() == Some("windows");
        let default = if windows {
            INSTALLER_OF_WINDOWS
        } else {
            INSTALLER
        };
        let installer = order.installer.as_deref().unwrap_or(default);
        // Plain-text commands end a name at a space; the agent would take the
        // rest for something else.
        if form == CommandForm::Com && file.name.contains(char::is_whitespace) {
            return Err(Failure::new(
                UpgradeCode::SendOpen,
                format!(
                    "agents below v4.1.0 take no file name with spaces: {:?}",
                    file.name
                ),
            ));
        }
        if form == CommandForm::Com && installer.contains(char::is_whitespace) {
            return Err(Failure::new(
                UpgradeCode::SendUpgrade,
                format!("agents below v4.1.0 take no installer with spaces: {installer:?}"),
            ));
        }
        let transport = &*workshop.parts.transport;
        let fits = max_chunk(form, &file.name, agent).min(carried(form, transport.max_command()));
        let chunk = chunk(workshop.delivery().chunk_size, takes_json, fits);
        if chunk == 0 {
            return Err(Failure::new(
                UpgradeCode::SendWrite,
                "the file name leaves no room for data",
            ));
        }
        let links = &workshop.rollouts.links;
        let link = links.to(&*workshop.parts.directory, &order.agent).await;
        Ok(Self {
            chunk: link.piece(chunk),
            link,
            ledger,
            workshop,
            agent,
            form,
            takes_json,
            file,
            installer,
            in_hand,
            quickest: Duration::MAX,
        })
    }

    /// All steps up to `sha1`. May be dropped at any point and begun anew.
    /// Where an agent is waited for, the slot is given away meanwhile.
    pub(super) async fn send(&mut self, slot: &mut Slot) -> Result<(), Failure> {
        let limit = self.workshop.delivery().timeout;
        within(limit, self.send_all(slot)).await
    }

    /// The same without `lock_restart`, for a file whose installer waits.
    pub(super) async fn send_ahead(&mut self, slot: &mut Slot) -> Result<(), Failure> {
        let limit = self.workshop.delivery().timeout;
        within(limit, self.send_file(slot)).await
    }

    /// Whether the agent still has what it was sent ahead. It must not restart from now on.
    ///
    /// # Errors
    /// It does not take `lock_restart`.
    pub(super) async fn still_has(&mut self) -> Result<bool, Failure> {
        self.lock_restart().await?;
        let command = AgentCommand::Sha1 {
            file: &self.file.name,
        };
        // Whatever is wrong with it: the file is sent again.
        let digest = self.step(command).await;
        let there = digest.is_ok_and(|digest| digest.check_sha1(self.file.sha1).is_ok());
        if there {
            let sha1 = self.file.sha1.to_string();
            self.ledger.went_well(TimelineStep::Sha1, Some(sha1));
            self.in_hand.bytes(self.file.len, self.file.len);
        }
        Ok(there)
    }

    async fn lock_restart(&mut self) -> Result<(), Failure> {
        self.step(AgentCommand::LockRestart).await?;
        self.ledger.went_well(TimelineStep::LockRestart, None);
        Ok(())
    }

    async fn send_all(&mut self, slot: &mut Slot) -> Result<(), Failure> {
        self.lock_restart().await?;
        self.send_file(slot).await
    }

    async fn send_file(&mut self, slot: &mut Slot) -> Result<(), Failure> {
        let name = &self.file.name;
        let ledger = self.ledger;
        self.open(slot).await?;
        ledger.went_well(TimelineStep::Open, Some(name.clone()));
        self.write(slot).await?;
        let sent = format!("{} bytes, {} at a time", self.file.len, self.chunk);
        ledger.went_well(TimelineStep::Write, Some(sent));
        self.step(AgentCommand::Close { file: name }).await?;
        ledger.went_well(TimelineStep::Close, None);
        let digest = self.step(AgentCommand::Sha1 { file: name }).await?;
        digest.check_sha1(self.file.sha1).map_err(|error| {
            self.workshop.cache.doubt(self.file);
            self.workshop.pieces.forget(self.file.sha1);
            Failure::new(UpgradeCode::SendSha1, error.to_string())
        })?;
        ledger.went_well(TimelineStep::Sha1, Some(self.file.sha1.to_string()));
        Ok(())
    }

    /// Whether the agent takes JSON and reports whatever its version.
    pub(super) fn takes_json(&self) -> bool {
        self.takes_json
    }

    /// The last step: the agent unpacks the file and runs the installer.
    ///
    /// # Errors
    /// The agent said no, or nothing.
    pub(super) async fn run_installer(&mut self) -> Result<(), Ended> {
        let names_task = self.workshop.parts.transport.names_tasks(self.agent).await;
        let command = AgentCommand::Upgrade {
            file: &self.file.name,
            installer: self.installer,
            task: names_task.then_some(self.ledger.task.id),
        };
        self.in_hand.installer_begins();
        let answer = match self.ask(&command).await {
            Ok(answer) => answer,
            Err(unheard) if unheard.silent => return Err(Ended::Unanswered(unheard.failure)),
            Err(unheard) => return Err(Ended::Refused(unheard.failure)),
        };
        self.judge(command.step(), &answer)
            .map(drop)
            .map_err(Ended::Refused)
    }

    /// Asks the agent to open the file: ten times where it refuses, for a while
    /// where it is not ready yet, and once where it says nothing.
    async fn open(&mut self, slot: &mut Slot) -> Result<(), Failure> {
        let (mut tried, mut pauses, began) = (1, Growing::new(), Instant::now());
        let patience = self.workshop.delivery().ready_within.0;
        loop {
            let asked = Instant::now();
            match self.open_once().await? {
                Opened::Yes => return Ok(()),
                Opened::NotReady(failure) if !patience.is_zero() => {
                    let left = patience.saturating_sub(began.elapsed());
                    if left.is_zero() {
                        return Err(failure);
                    }
                    let pause = pauses.next().min(left).max(SHORTEST);
                    pauses.grow();
                    slot.without(tokio::time::sleep(pause)).await;
                }
                Opened::NotReady(failure) | Opened::No(failure) => {
                    if tried == OPEN_ATTEMPTS {
                        return Err(failure);
                    }
                    tried += 1;
                    if asked.elapsed() > SLOW {
                        slot.without(tokio::time::sleep(BREATH)).await;
                    }
                }
            }
        }
    }

    /// # Errors
    /// The agent said nothing in time: that is not asked again.
    async fn open_once(&mut self) -> Result<Opened, Failure> {
        let command = AgentCommand::Open {
            file: &self.file.name,
        };
        let answer = match self.ask(&command).await {
            Ok(answer) => answer,
            Err(unheard) if unheard.timed_out => return Err(unheard.failure),
            Err(unheard) => return Ok(Opened::No(unheard.failure)),
        };
        Ok(match AgentReply::parse(self.form, &answer, Step::Open) {
            Ok(_) => Opened::Yes,
            Err(
                error @ ReplyError::Agent {
                    code: NOT_READY, ..
                },
            ) => Opened::NotReady(failure_of(Step::Open, error.to_string())),
            Err(error) => Opened::No(failure_of(Step::Open, error.to_string())),
        })
    }

    async fn write(&mut self, slot: &Slot) -> Result<(), Failure> {
        if self.file.len == 0 {
            return Err(Failure::new(UpgradeCode::SendWrite, "the WPK is empty"));
        }
        let sender = (self.workshop.pieces).send(self.file, self.form, self.chunk);
        let (mut sent, mut told) = (0u64, (0, Instant::now()));
        while sent < self.file.len {
            if told.1.elapsed() >= TELL_EVERY && sent - told.0 >= TELL_OF {
                told = (sent, Instant::now());
                let far = format!("{sent} of {} bytes", self.file.len);
                let entry = TimelineEntry::new(self.workshop.now(), TimelineStep::Write);
                self.ledger.note([entry.detail(&far)]).await;
            }
            let command = sender.command(sent).await.map_err(|error| {
                Failure::new(
                    UpgradeCode::SendWrite,
                    format!("the WPK cannot be read: {error}"),
                )
            })?;
            let chunk = (self.file.len - sent).min(self.chunk as u64);
            self.workshop.bandwidth.take(chunk as usize).await;
            self.link.take(chunk as usize).await;
            let asked = Instant::now();
            let answer = self.send_bytes(Step::Write, command).await;
            let took = asked.elapsed();
            self.quickest = self.quickest.min(took);
            slot.answered(took, self.quickest, answer.is_ok());
            self.judge(Step::Write, &answer.map_err(|unheard| unheard.failure)?)?;
            sent += chunk;
            self.workshop.metrics.sent(chunk);
            self.in_hand.bytes(sent, self.file.len);
        }
        Ok(())
    }

    /// Sends one command and judges the answer.
    async fn step(&mut self, command: AgentCommand<'_>) -> Result<AgentReply, Failure> {
        let answer = self
            .ask(&command)
            .await
            .map_err(|unheard| unheard.failure)?;
        self.judge(command.step(), &answer)
    }

    /// Sends one command; what the agent says, whatever it is.
    async fn ask(&mut self, command: &AgentCommand<'_>) -> Result<Bytes, Unheard> {
        let mut bytes = BytesMut::with_capacity(COMMAND_ROOM);
        command.encode(self.form, &mut bytes);
        self.send_bytes(command.step(), bytes.freeze()).await
    }

    /// Sends one command that is encoded already.
    async fn send_bytes(&mut self, step: Step, command: Bytes) -> Result<Bytes, Unheard> {
        self.in_hand.step(step);
        let (transport, asked) = (&self.workshop.parts.transport, Instant::now());
        let answer = transport.request(self.agent, command).await;
        if answer.is_ok() {
            self.workshop.metrics.step(step, asked.elapsed());
        }
        answer.map_err(|error| Unheard {
            silent: is_silence(&error),
            timed_out: matches!(error, wpk_api::TransportError::TimedOut(_)),
            failure: failure_of(step, error.to_string()),
        })
    }

    fn judge(&self, step: Step, answer: &[u8]) -> Result<AgentReply, Failure> {
        AgentReply::parse(self.form, answer, step)
            .map_err(|error| failure_of(step, error.to_string()))
    }
}

/// # Errors
/// That of `sending`, or that it took too long.
async fn within(
    limit: Span,
    sending: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let sent = tokio::time::timeout(limit.0, sending).await;
    sent.unwrap_or_else(|_elapsed| {
        let cause = format!("the file was not sent within delivery.timeout ({limit})");
        Err(Failure::new(UpgradeCode::SendWrite, cause))
    })
}

/// Why there was no answer from the agent itself.
struct Unheard {
    failure: Failure,
    /// Whether the agent may have heard the command all the same.
    silent: bool,
    /// Whether its time was up.
    timed_out: bool,
}

/// What an agent says to `open`.
enum Opened {
    Yes,
    /// Its upgrade module is disabled or not ready yet.
    NotReady(Failure),
    No(Failure),
}

/// Whether an agent may have heard a command that it did not answer
/// (PROTOCOL.md, section 5).
fn is_silence(error: &TransportError) -> bool {
    const SILENT: [&str; 2] = ["err Response timeout", "err Maximum attempts exceeded"];
    match error {
        TransportError::TimedOut(_) | TransportError::Closed { .. } => true,
        TransportError::Refused { reason, .. } => SILENT.iter().any(|words| reason.contains(words)),
        TransportError::NotConnected(_) | TransportError::Unavailable(_) => false,
    }
}

fn failure_of(step: Step, cause: String) -> Failure {
    Failure::new(step.failure().unwrap_or(UpgradeCode::Unknown), cause)
}
