//! One plugin made from its settings, as the traits ask it.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Handle as Runtime, RuntimeFlavor};
use tokio::sync::oneshot;
use wpk_abi::Operation;
use wpk_abi::codes::status;
use wpk_abi::host::PluginView;

use crate::border::Border;
use crate::failure::{CallError, Said};
use crate::handles::{Handle, User};
use crate::operation::{Asked, Completed, Ended, PIECE};

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
        operation: Operation,
        question: &impl Serialize,
        body: Bytes,
    ) -> Result<Completed, CallError> {
        let json = write(self.border, operation, question)?;
        let number = self.handle.number();
        let ended = wait_for(
            self.border,
            operation.into(),
            &self.handle,
            move |view, token| {
                view.call(number, operation.code(), &json, &body, token);
            },
        );
        settle(self.border, operation.into(), ended.await)
    }

    /// Asks and reads the answer.
    pub(crate) async fn ask_for<T: DeserializeOwned>(
        &self,
        operation: Operation,
        question: &impl Serialize,
    ) -> Result<T, CallError> {
        let completed = self.ask(operation, question, Bytes::new()).await?;
        read(self.border, operation, &completed.json)
    }

    /// The next bytes of `stream`; `None` at its end.
    pub(crate) async fn next(&self, stream: &Handle) -> Result<Option<Bytes>, CallError> {
        let number = stream.number();
        let next = move |view: &PluginView, token| view.next(number, PIECE as u64, token);
        let ended = wait_for(self.border, Asked::Next, stream, next).await;
        match ended {
            Ok(completed) if completed.status == status::END => Ok(None),
            other => {
                let body = settle(self.border, Asked::Next, other)?.body;
                if body.is_empty() {
                    return Err(nonsense(
                        self.border,
                        Asked::Next,
                        "no bytes, and not the end",
                    ));
                }
                Ok(Some(body))
            }
        }
    }
}

/// Begins an operation and waits for its end. Dropping the future takes it back.
async fn wait_for(
    border: &'static Border,
    asked: Asked,
    about: &Handle,
    call: impl FnOnce(&PluginView, u64) + Send + 'static,
) -> Ended {
    let (send, receive) = oneshot::channel();
    let waiting = Waiting {
        border,
        token: border.token(),
    };
    let token = waiting.token;
    let done = move |ended| drop(send.send(ended));
    border.begin(token, asked, about.clone(), done, move |view| {
        call(view, token);
    });
    let ended = receive.await;
    waiting.over();
    ended.unwrap_or_else(|_| Err(gone(border)))
}

/// Asks something that belongs to no instance, and reads the answer.
pub(crate) async fn ask<T: DeserializeOwned>(
    border: &'static Border,
    operation: Operation,
    question: &impl Serialize,
) -> Result<T, CallError> {
    let json = write(border, operation, question)?;
    let ended = wait_for(
        border,
        operation.into(),
        &Handle::None,
        move |view, token| {
            view.call(0, operation.code(), &json, &[], token);
        },
    );
    let completed = settle(border, operation.into(), ended.await)?;
    read(border, operation, &completed.json)
}

/// Asks something that belongs to no instance, or that a trait asks without
/// `async`; waits on this thread.
pub(crate) fn ask_now(
    border: &'static Border,
    about: &Handle,
    operation: Operation,
    question: &impl Serialize,
) -> Result<Completed, CallError> {
    let json = write(border, operation, question)?;
    let (number, token) = (about.number(), border.token());
    let (send, receive) = mpsc::channel();
    let done = move |ended| drop(send.send(ended));
    border.begin(token, operation.into(), about.clone(), done, move |view| {
        view.call(number, operation.code(), &json, &[], token);
    });
    let ended = wait_here(|| receive.recv());
    settle(
        border,
        operation.into(),
        ended.unwrap_or_else(|_| Err(gone(border))),
    )
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

fn settle(border: &'static Border, what: Asked, ended: Ended) -> Result<Completed, CallError> {
    let completed = ended?;
    match completed.status {
        status::OK => Ok(completed),
        status::END => Err(nonsense(border, what, "the end of a stream")),
        status => {
            let mut said = Said::read(status, &completed.json);
            if matches!(status, status::PANICKED | status::CANCELLED) {
                said.message = format!("plugin {}: `{what}`: {}", border.name(), said.message);
            }
            Err(CallError::Failed(said))
        }
    }
}

/// The JSON of an answer; nothing counts as null, or as an empty object.
pub(crate) fn read<T: DeserializeOwned>(
    border: &'static Border,
    operation: Operation,
    json: &[u8],
) -> Result<T, CallError> {
    let json = if json.is_empty() { b"null" } else { json };
    let nonsense =
        |error: serde_json::Error| nonsense(border, operation.into(), &error.to_string());
    serde_json::from_slice(json).map_err(nonsense)
}

fn nonsense(border: &'static Border, what: Asked, cause: &str) -> CallError {
    border.broke_a_rule(&format!("its answer to `{what}` makes no sense: {cause}"));
    CallError::Garbage(format!(
        "plugin {}: its answer to `{what}` makes no sense: {cause}",
        border.name()
    ))
}

fn write(
    border: &Border,
    operation: Operation,
    question: &impl Serialize,
) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(question).map_err(|error| {
        CallError::Garbage(format!(
            "plugin {}: `{}` cannot be asked: {error}",
            border.name(),
            operation.word()
        ))
    })
}
