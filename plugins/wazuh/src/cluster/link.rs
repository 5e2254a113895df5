//! One question to the master and its answer: a connection, a time limit over
//! everything, attempts with growing pauses.
//!
//! A question that creates tasks must not be put twice: if its answer is lost
//! nobody knows whether it took effect. Such a question is only tried again
//! when it certainly never left this machine.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::header::{HEADER_LEN, Header, frame};

/// The longest answer that is read, in bytes. A 4.x task manager stays below 65,536.
const MAX_ANSWER: u32 = 1 << 20;
/// The longest frame that is sent, in bytes (section 1).
const MAX_REQUEST: usize = 65_535;
/// Questions at a time; further ones wait.
const AT_A_TIME: usize = 16;
/// The first pause between two attempts; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How much of a foreign text is repeated in a message, in characters.
const SHOWN: usize = 300;

/// Whether a question may be put twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Putting it twice does no harm.
    Harmless,
    /// It must take effect once at most.
    Never,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// The task manager's JSON.
    pub(super) payload: Vec<u8>,
    /// The question was put more than once; an earlier one may have taken effect.
    pub(super) repeated: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAnswer {
    /// The question may have reached the master all the same.
    pub(super) maybe_sent: bool,
    /// What happened and what to do.
    pub(super) reason: String,
}

/// The way to the master.
#[derive(Debug)]
pub(super) struct Link {
    socket: PathBuf,
    timeout: Duration,
    attempts: u32,
    counter: AtomicU32,
    places: Semaphore,
}

impl Link {
    /// A question takes `timeout` at most, its `attempts` (at least 1) together.
    pub(super) fn new(socket: PathBuf, timeout: Duration, attempts: u32) -> Self {
        Self {
            socket,
            timeout,
            attempts,
            counter: AtomicU32::new(1),
            places: Semaphore::new(AT_A_TIME),
        }
    }

    /// How long a question may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Puts one question.
    pub(super) async fn ask(&self, message: &[u8], repeat: Repeat) -> Result<Answer, NoAnswer> {
        // What was last known when the time is up.
        let mut last = NoAnswer {
            maybe_sent: false,
            reason: format!("{}: no answer", self.socket.display()),
        };
        match tokio::time::timeout(self.timeout, self.attempts(message, repeat, &mut last)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(NoAnswer {
                maybe_sent: last.maybe_sent,
                reason: format!("{} within {:?}", last.reason, self.timeout),
            }),
        }
    }

    async fn attempts(
        &self,
        message: &[u8],
        repeat: Repeat,
        last: &mut NoAnswer,
    ) -> Result<Answer, NoAnswer> {
        let frame = self.frame(message)?;
        let _place = self.places.acquire().await.map_err(|error| NoAnswer {
            maybe_sent: false,
            reason: error.to_string(),
        })?;
        let (mut pause, mut attempt) = (FIRST_PAUSE, 1);
        loop {
            let repeated = last.maybe_sent;
            match self.once(&frame, last).await {
                Ok(payload) => return Ok(Answer { payload, repeated }),
                Err(reason) => {
                    tracing::debug!(attempt, reason, "the master gave no answer");
                    let enough =
                        attempt >= self.attempts || (last.maybe_sent && repeat == Repeat::Never);
                    if enough {
                        let maybe_sent = last.maybe_sent;
                        return Err(NoAnswer { maybe_sent, reason });
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            attempt += 1;
        }
    }

    fn frame(&self, message: &[u8]) -> Result<Vec<u8>, NoAnswer> {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        frame(counter, message)
            .filter(|frame| frame.len() <= MAX_REQUEST)
            .ok_or_else(|| NoAnswer {
                maybe_sent: false,
                reason: format!(
                    "a message of {} bytes does not fit a frame of the master",
                    message.len()
                ),
            })
    }

    async fn once(&self, frame: &[u8], last: &mut NoAnswer) -> Result<Vec<u8>, String> {
        let path = self.socket.display();
        let mut stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            format!(
                "{path}: {error} (does the cluster daemon run, and may wpkd's user open its socket?)"
            )
        })?;
        last.maybe_sent = true;
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                format!("{path}: the cluster daemon closed without a whole answer")
            }
            _ => format!("{path}: the connection broke: {error}"),
        };
        let sent = stream.write_all(frame).await;
        let mut header = [0; HEADER_LEN];
        // Also after a failed write: the daemon may have answered before it closed.
        if let Err(error) = stream.read_exact(&mut header).await {
            return Err(broken(sent.err().unwrap_or(error)));
        }
        let header = Header::parse(&header);
        if header.length > MAX_ANSWER {
            return Err(format!(
                "{path}: an answer of {} bytes was announced; at most {MAX_ANSWER} are read",
                header.length
            ));
        }
        // Grows with what arrives, not with what was announced.
        let mut payload = Vec::new();
        let mut rest = stream.take(u64::from(header.length));
        let read = rest.read_to_end(&mut payload).await.map_err(broken)?;
        if u32::try_from(read) != Ok(header.length) {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
        if header.failed {
            return Err(format!(
                "the cluster daemon could not ask the master: {:?}",
                shown(&payload)
            ));
        }
        Ok(payload)
    }
}

/// The beginning of a foreign text.
pub(super) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(SHOWN).collect()
}
