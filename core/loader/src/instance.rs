//! One plugin made from its settings, as the traits ask it.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Handle as Runtime, RuntimeFlavor};
use tokio::sync::oneshot;
use wpk_abi::codes::status;

use crate::border::Border;
use crate::failure::{CallError, Said};
use crate::handles::{Handle, User};
use crate::operation::{self, Completed, Ended, NEXT, PIECE};

/// A plugin made from its settings. Closed when the last copy and all its
/// streams and operations are gone.
#[derive(Clone)]
pub(crate) struct Instance {
    border: &'static Border,
    handle: Handle,
    _user: Arc<User>,
}

impl Instance {
    pub(crate) fn new(border: &'static Border, handle: Handle) -> Self {
        Self {
            border,
            handle,
            _user: User::new(border),
        }
    }

    pub(crate) fn border(&self) -> &'static Border {
        self.border
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Asks and waits. Dropping the future takes the question back.
    pub(crate) async fn ask(
        &self,
        what: u32,
        question: &impl Serialize,
        body: Bytes,
    ) -> Result<Completed, CallError> {
        let json = write(self.border, what, question)?;
        let number = self.handle.number();
        let token = self.border.token();
        let (send, receive) = oneshot::channel();
        let waiting = Waiting {
            border: self.border,
            token,
        };
        self.border.begin(
            token,
            what,
            self.handle.clone(),
            move |ended| drop(send.send(ended)),
            move |view| view.call(number, what, &json, &body, token),
        );
        let ended = receive.await;
        waiting.over();
        settle(
            self.border,
            what,
            ended.unwrap_or_else(|_| Err(gone(self.border))),
        )
    }

    /// Asks and reads the answer.
    pub(crate) async fn ask_for<T: DeserializeOwned>(
        &self,
        what: u32,
        question: &impl Serialize,
    ) -> Result<T, CallError> {
        let completed = self.ask(what, question, Bytes::new()).await?;
        read(self.border, what, &completed.json)
    }

    /// The next bytes of `stream`; `None` at its end.
    pub(crate) async fn next(&self, stream: &Handle) -> Result<Option<Bytes>, CallError> {
        let (number, token) = (stream.number(), self.border.token());
        let (send, receive) = oneshot::channel();
        let waiting = Waiting {
            border: self.border,
            token,
        };
        self.border.begin(
            token,
            NEXT,
            stream.clone(),
            move |ended| drop(send.send(ended)),
            move |view| view.next(number, PIECE as u64, token),
        );
        let ended = receive.await;
        waiting.over();
        let ended = ended.unwrap_or_else(|_| Err(gone(self.border)));
        match ended {
            Ok(completed) if completed.status == status::END => Ok(None),
            other => {
                let body = settle(self.border, NEXT, other)?.body;
                if body.is_empty() {
                    return Err(nonsense(self.border, NEXT, "no bytes, and not the end"));
                }
                Ok(Some(body))
            }
        }
    }
}

/// Asks something that belongs to no instance, or that a trait asks without
/// `async`; waits on this thread.
pub(crate) fn ask_now(
    border: &'static Border,
    about: &Handle,
    what: u32,
    question: &impl Serialize,
) -> Result<Completed, CallError> {
    let json = write(border, what, question)?;
    let (number, token) = (about.number(), border.token());
    let (send, receive) = mpsc::channel();
    border.begin(
        token,
        what,
        about.clone(),
        move |ended| drop(send.send(ended)),
        move |view| view.call(number, what, &json, &[], token),
    );
    let ended = wait_here(|| receive.recv());
    settle(border, what, ended.unwrap_or_else(|_| Err(gone(border))))
}

/// Waits on this thread. Its other work goes on elsewhere, where the runtime can
/// do that.
pub(crate) fn wait_here<T>(wait: impl FnOnce() -> T) -> T {
    match Runtime::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(wait)
        }
        _ => wait(),
    }
}

/// Takes an operation back when its future is dropped.
struct Waiting {
    border: &'static Border,
    token: u64,
}

impl Waiting {
    fn over(self) {
        std::mem::forget(self);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.border.give_up(self.token);
    }
}

fn gone(border: &Border) -> CallError {
    CallError::Garbage(format!(
        "plugin {}: the operation was given up",
        border.name()
    ))
}

fn settle(border: &'static Border, what: u32, ended: Ended) -> Result<Completed, CallError> {
    let completed = ended?;
    match completed.status {
        status::OK => Ok(completed),
        status::END => Err(nonsense(border, what, "the end of a stream")),
        status => {
            let mut said = Said::read(status, &completed.json);
            if matches!(status, status::PANICKED | status::CANCELLED) {
                let what = operation::name(what);
                said.message = format!("plugin {}: `{what}`: {}", border.name(), said.message);
            }
            Err(CallError::Failed(said))
        }
    }
}

/// The JSON of an answer; nothing counts as null, or as an empty object.
pub(crate) fn read<T: DeserializeOwned>(
    border: &'static Border,
    what: u32,
    json: &[u8],
) -> Result<T, CallError> {
    let json = if json.is_empty() { b"null" } else { json };
    serde_json::from_slice(json).map_err(|error| nonsense(border, what, &error.to_string()))
}

fn nonsense(border: &'static Border, what: u32, cause: &str) -> CallError {
    let name = operation::name(what);
    border.broke_a_rule(&format!("its answer to `{name}` makes no sense: {cause}"));
    CallError::Garbage(format!(
        "plugin {}: its answer to `{name}` makes no sense: {cause}",
        border.name()
    ))
}

fn write(border: &Border, what: u32, question: &impl Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(question).map_err(|error| {
        CallError::Garbage(format!(
            "plugin {}: `{}` cannot be asked: {error}",
            border.name(),
            operation::name(what)
        ))
    })
}
