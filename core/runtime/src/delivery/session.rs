//! The conversation with one agent: lock_restart, open, write..., close, sha1,
//! and, once that is written down, upgrade (protocol.md, section 5).

use bytes::{Bytes, BytesMut};
use wpk_api::{AgentId, Order, PEER_MAX_COMMAND, TransportError};
use wpk_wire::agent::command::max_chunk;
use wpk_wire::{AgentCommand, AgentReply, CommandForm, Step, UpgradeCode};

use super::outcome::Ended;
use crate::cache::WpkFile;
use crate::failure::Failure;
use crate::in_hand::InHand;
use crate::workshop::Workshop;
use wpk_config::ChunkSize;

/// How often `open` is tried (section 5).
const OPEN_ATTEMPTS: usize = 10;
/// How much of the file is read at once, in bytes. Several chunks come out of
/// one block, so that a disk is not asked for each.
const BLOCK: usize = 1 << 20;
/// More than the head and tail of any command, in bytes.
const COMMAND_ROOM: usize = 1024;

/// How much of the file fits a command of a transport that carries less than a
/// 4.x peer does; one that carries as much is limited by the frame alone.
fn carried(form: CommandForm, max_command: usize) -> usize {
    if max_command >= PEER_MAX_COMMAND {
        return usize::MAX;
    }
    let room = max_command.saturating_sub(COMMAND_ROOM);
    match form {
        CommandForm::Json => room / 4 * 3,
        CommandForm::Com => room,
    }
}

/// The conversation about one delivery.
pub(super) struct Session<'a> {
    workshop: &'a Workshop,
    agent: AgentId,
    form: CommandForm,
    file: &'a WpkFile,
    installer: &'a str,
    chunk: usize,
    in_hand: &'a mut InHand,
}

impl<'a> Session<'a> {
    /// Prepares the conversation.
    ///
    /// # Errors
    /// Names that this agent's form of commands cannot carry.
    pub(super) fn new(
        workshop: &'a Workshop,
        order: &'a Order,
        file: &'a WpkFile,
        in_hand: &'a mut InHand,
    ) -> Result<Self, Failure> {
        let agent = order.agent.id;
        let version = order.agent.parsed_version();
        let form = version.map_or(CommandForm::Json, CommandForm::for_version);
        let windows = order.agent.platform.name.as_deref() == Some("windows");
        let default = if windows { "upgrade.bat" } else { "upgrade.sh" };
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
        let fits = max_chunk(form, &file.name, agent)
            .min(carried(form, workshop.parts.transport.max_command()));
        let chunk = match workshop.settings.delivery.chunk_size {
            ChunkSize::Auto => fits,
            ChunkSize::Bytes(bytes) => bytes.min(fits),
        };
        if chunk == 0 {
            return Err(Failure::new(
                UpgradeCode::SendWrite,
                "the file name leaves no room for data",
            ));
        }
        Ok(Self {
            workshop,
            agent,
            form,
            file,
            installer,
            chunk,
            in_hand,
        })
    }

    /// All steps up to `sha1`. May be dropped at any point and begun anew.
    pub(super) async fn send(&mut self) -> Result<(), Failure> {
        let name = &self.file.name;
        self.step(AgentCommand::LockRestart).await?;
        self.open().await?;
        self.write().await?;
        self.step(AgentCommand::Close { file: name }).await?;
        let digest = self.step(AgentCommand::Sha1 { file: name }).await?;
        digest.check_sha1(self.file.sha1).map_err(|error| {
            self.workshop.cache.doubt(self.file);
            Failure::new(UpgradeCode::SendSha1, error.to_string())
        })
    }

    /// The last step: the agent unpacks the file and runs the installer.
    ///
    /// # Errors
    /// The agent said no, or nothing.
    pub(super) async fn run_installer(&mut self) -> Result<(), Ended> {
        let command = AgentCommand::Upgrade {
            file: &self.file.name,
            installer: self.installer,
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

    async fn open(&mut self) -> Result<(), Failure> {
        let mut tried = 1;
        loop {
            match self
                .step(AgentCommand::Open {
                    file: &self.file.name,
                })
                .await
            {
                Ok(_) => return Ok(()),
                Err(failure) if tried == OPEN_ATTEMPTS => return Err(failure),
                Err(_) => tried += 1,
            }
        }
    }

    async fn write(&mut self) -> Result<(), Failure> {
        if self.file.len == 0 {
            return Err(Failure::new(UpgradeCode::SendWrite, "the WPK is empty"));
        }
        // A whole number of chunks per block keeps every chunk but the last full.
        let block_len = (BLOCK / self.chunk).max(1) * self.chunk;
        let mut sent = 0u64;
        while sent < self.file.len {
            let block = self.file.read_at(sent, block_len).await.map_err(|error| {
                Failure::new(
                    UpgradeCode::SendWrite,
                    format!("the WPK cannot be read: {error}"),
                )
            })?;
            if block.is_empty() {
                return Err(Failure::new(
                    UpgradeCode::SendWrite,
                    "the WPK became shorter meanwhile",
                ));
            }
            for chunk in block.chunks(self.chunk) {
                self.workshop.bandwidth.take(chunk.len()).await;
                self.step(AgentCommand::Write {
                    file: &self.file.name,
                    chunk,
                })
                .await?;
                sent += chunk.len() as u64;
                self.in_hand.bytes(sent, self.file.len);
            }
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
        let step = command.step();
        self.in_hand.step(step);
        let mut bytes = BytesMut::with_capacity(COMMAND_ROOM);
        command.encode(self.form, &mut bytes);
        let transport = &self.workshop.parts.transport;
        (transport.request(self.agent, bytes.freeze()).await).map_err(|error| Unheard {
            silent: is_silence(&error),
            failure: failure_of(step, error.to_string()),
        })
    }

    fn judge(&self, step: Step, answer: &[u8]) -> Result<AgentReply, Failure> {
        AgentReply::parse(self.form, answer, step)
            .map_err(|error| failure_of(step, error.to_string()))
    }
}

/// Why there was no answer from the agent itself.
struct Unheard {
    failure: Failure,
    /// Whether the agent may have heard the command all the same.
    silent: bool,
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
