//! A stand-in for the cluster daemon of a worker node (PROTOCOL.md, section
//! 10): takes task messages at its socket and answers them as the master would.
//!
//! What the master says comes from a function ([`FakeCluster::start`]; a
//! [`TaskTable`] is one), or from the task socket of a real daemon
//! ([`FakeCluster::bridge`]). Knobs make it misbehave at run time.

mod table;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use wpk_api::PEER_MAX_PAYLOAD;

pub use table::TaskTable;

type Answer = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;
type Master = Box<dyn Fn(Value) -> Answer + Send + Sync>;

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mood {
    /// As the master says.
    #[default]
    Well,
    /// It closes every connection without having read anything.
    Away,
    /// It reads and never answers.
    Silent,
    /// It hands the message on, then closes without an answer.
    Forgetful,
    /// It marks a failure (`err`) with this text; the master hears nothing.
    Failing(String),
    /// It sends these bytes in place of an answer, header and all.
    Garbage(Vec<u8>),
    /// It sends this payload with a sound header.
    Payload(Vec<u8>),
}

/// The fake daemon; ends, and removes its socket, when dropped.
pub struct FakeCluster {
    state: Arc<State>,
    path: PathBuf,
    _stop: DropGuard,
}

struct State {
    master: Master,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    mood: Mood,
    latency: Duration,
    /// Moods of the next answers, one each, before `mood`.
    next: Vec<Mood>,
    requests: Vec<Value>,
    longest_answer: usize,
    violations: Vec<String>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeCluster {
    /// Listens at `path`; `master` answers each task message.
    ///
    /// # Errors
    /// Those of binding the socket.
    pub fn start(
        path: impl AsRef<Path>,
        master: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let answer = move |message: Value| -> Answer {
            let answer = master(&message).to_string().into_bytes();
            Box::pin(std::future::ready(Some(answer)))
        };
        Self::listen(path.as_ref(), Box::new(answer))
    }

    /// Listens at `path`; the messages go to the task socket of a real daemon.
    /// Does that not answer, the failure is marked, as the real cluster does.
    ///
    /// # Errors
    /// Those of binding the socket.
    pub fn bridge(path: impl AsRef<Path>, task_socket: impl Into<PathBuf>) -> io::Result<Self> {
        let task_socket = task_socket.into();
        let answer = move |message: Value| -> Answer {
            let task_socket = task_socket.clone();
            Box::pin(async move { crate::ask(task_socket, message.to_string()).await })
        };
        Self::listen(path.as_ref(), Box::new(answer))
    }

    fn listen(path: &Path, master: Master) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let stop = CancellationToken::new();
        let state = Arc::new(State {
            master,
            inner: Mutex::default(),
        });
        let (stopped, shared) = (stop.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else { return };
                let (stopped, shared) = (stopped.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        _ended = serve(stream, &shared) => {}
                    }
                });
            }
        });
        Ok(Self {
            state,
            path: path.to_owned(),
            _stop: stop.drop_guard(),
        })
    }

    /// How it answers from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.state.lock().mood = mood;
    }

    /// How it answers the next question; called several times, the next ones in
    /// this order.
    pub fn set_next(&self, mood: Mood) {
        self.state.lock().next.push(mood);
    }

    /// How long each answer takes.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    /// The task messages it was sent, in order.
    pub fn requests(&self) -> Vec<Value> {
        self.state.lock().requests.clone()
    }

    /// The commands of those messages.
    pub fn commands(&self) -> Vec<String> {
        let requests = self.requests();
        let command = |message: &Value| message["command"].as_str().unwrap_or_default().to_owned();
        requests.iter().map(command).collect()
    }

    /// The longest answer it has sent, in bytes of payload.
    pub fn longest_answer(&self) -> usize {
        self.state.lock().longest_answer
    }

    /// Frames that a 4.x cluster daemon would not have understood.
    pub fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(mut stream: UnixStream, state: &State) -> io::Result<()> {
    let mood = {
        let mut inner = state.lock();
        if inner.next.is_empty() {
            inner.mood.clone()
        } else {
            inner.next.remove(0)
        }
    };
    if mood == Mood::Away {
        return Ok(());
    }
    let mut header = [0; 20];
    stream.read_exact(&mut header).await?;
    let [a, b, c, d, e, f, g, h, command @ ..] = header;
    let counter = [a, b, c, d];
    let length = usize::try_from(u32::from_be_bytes([e, f, g, h])).unwrap_or(usize::MAX);
    if length.saturating_add(header.len()) >= PEER_MAX_PAYLOAD || command != *b"sendsync ---" {
        let text = format!("{length} bytes, {:?}", String::from_utf8_lossy(&command));
        state.lock().violations.push(text);
        return Ok(());
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    let Ok(mut whole) = serde_json::from_slice::<Value>(&payload) else {
        state.lock().violations.push("no JSON".to_owned());
        return Ok(());
    };
    if whole["daemon_name"] != "task-manager" {
        state.lock().violations.push(whole.to_string());
        return Ok(());
    }
    let message = whole["message"].take();
    let latency = {
        let mut inner = state.lock();
        inner.requests.push(message.clone());
        inner.latency
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let failed = *b"err --------";
    let (command, answer) = match mood {
        Mood::Well => match (state.master)(message).await {
            Some(answer) => (command, answer),
            None => (failed, b"the master does not answer".to_vec()),
        },
        Mood::Forgetful => {
            (state.master)(message).await;
            return Ok(());
        }
        Mood::Failing(text) => (failed, text.into_bytes()),
        Mood::Payload(bytes) => (command, bytes),
        Mood::Garbage(bytes) => return stream.write_all(&bytes).await,
        Mood::Silent | Mood::Away => {
            // Until the other side has had enough.
            stream.read_u8().await?;
            return Ok(());
        }
    };
    {
        let mut inner = state.lock();
        inner.longest_answer = inner.longest_answer.max(answer.len());
    }
    let length = u32::try_from(answer.len()).unwrap_or(u32::MAX);
    let mut frame = counter.to_vec();
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&command);
    frame.extend_from_slice(&answer);
    stream.write_all(&frame).await
}
