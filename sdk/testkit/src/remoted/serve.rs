//! What the fake does with a request: the rule that fits, or what a healthy agent
//! would do, and the acknowledgements that follow.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::agent::{self, Agent, Form};
use super::rules::{self, Action};
use super::state::{Frame, InFlight, State};
use crate::client::Client;
use crate::server::Connection;

/// What to do about one request.
enum Reaction {
    Answer(Bytes),
    Close,
    Hang,
    Raw(Bytes),
}

/// One connection: one request.
pub(super) async fn serve(mut connection: Connection, state: Arc<State>) -> io::Result<()> {
    let request = match connection.receive().await {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(()),
        Err(error) => {
            state
                .lock()
                .violations
                .push(format!("unreadable request: {error}"));
            return Err(error);
        }
    };
    let _in_flight = InFlight::new(&state);
    let latency = state.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (reaction, acknowledgement) = react(&state, &request);
    state.progress.notify_waiters();
    match reaction {
        Reaction::Answer(answer) => connection.send(&answer).await?,
        Reaction::Raw(bytes) => connection.send_raw(&bytes).await?,
        Reaction::Close => {}
        Reaction::Hang => while connection.receive().await?.is_some() {},
    }
    if let Some((agent, error, status)) = acknowledgement {
        tokio::spawn(keep_acknowledging(Arc::clone(&state), agent, error, status));
    }
    Ok(())
}

/// An acknowledgement to come: agent, error, status.
type Acknowledgement = (u32, i64, String);

fn react(state: &State, request: &Bytes) -> (Reaction, Option<Acknowledgement>) {
    let mut guard = state.lock();
    let inner = &mut *guard;
    let parsed = wpk_wire::remoted::split_address(request)
        .map(|(agent, command)| (agent, request.slice_ref(command)))
        .and_then(|(agent, command)| Some((agent.get(), agent::parse(&command)?)));
    let Some((id, command)) = parsed else {
        let start = request.get(..64.min(request.len())).unwrap_or_default();
        let start = String::from_utf8_lossy(start).into_owned();
        inner.violations.push(format!("not understood: {start:?}"));
        return (Reaction::Answer("err Internal error".into()), None);
    };
    let agent = inner.agents.entry(id).or_default();
    let mut acknowledgement = None;
    let mut healthy = |agent: &mut Agent, ack: Option<(i64, String)>| {
        let (answer, good) = agent.answer(&command, inner.keep_bytes);
        if !good {
            let text = String::from_utf8_lossy(&answer);
            inner
                .violations
                .push(format!("agent {id:03} to {}: {text}", command.step));
        }
        if good && command.step == "upgrade" && command.form == Form::Json {
            acknowledgement = ack.map(|(error, status)| (id, error, status));
        }
        Reaction::Answer(answer)
    };
    let reaction = match rules::find(&mut inner.rules, id, &command.step) {
        None => healthy(agent, Some((0, "Done".to_owned()))),
        Some(Action::Acknowledge(ack)) => healthy(agent, ack),
        Some(Action::Answer(answer)) => {
            if answer.is_empty() || !answer.starts_with(b"err") {
                // It did what it was told and only its words are odd.
                let _ = agent.answer(&command, inner.keep_bytes);
            }
            Reaction::Answer(answer)
        }
        Some(Action::Close) => Reaction::Close,
        Some(Action::Hang) => Reaction::Hang,
        Some(Action::Raw(bytes)) => Reaction::Raw(bytes),
    };
    inner.frames.push(Frame {
        agent: id,
        step: command.step,
        form: command.form,
        bytes: if inner.keep_bytes {
            request.clone()
        } else {
            Bytes::new()
        },
        answer: match &reaction {
            Reaction::Answer(answer) => Some(answer.clone()),
            _ => None,
        },
    });
    (reaction, acknowledgement)
}

/// Sends an acknowledgement, again and again if the fake is set to that, until
/// the agent is told to stop.
async fn keep_acknowledging(state: Arc<State>, agent: u32, error: i64, status: String) {
    let delay = state.lock().ack_delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    loop {
        let (socket, interval) = {
            let inner = state.lock();
            if !inner.agents.get(&agent).is_some_and(|agent| agent.reports) {
                return;
            }
            (inner.upgrade_socket.clone(), inner.ack_interval)
        };
        if let Some(socket) = socket {
            // Nobody there: a later repetition may reach it.
            let _ = send_acknowledgement(&socket, agent, error, &status).await;
        }
        match interval {
            Some(interval) => tokio::time::sleep(interval).await,
            None => return,
        }
    }
}

/// One acknowledgement, as the event pipeline sends it.
pub(super) async fn send_acknowledgement(
    socket: &Path,
    agent: u32,
    error: i64,
    status: &str,
) -> io::Result<()> {
    let message = agent::acknowledgement(agent, error, status);
    // Closed without reading an answer, as the event pipeline does.
    Client::connect(socket).await?.send(message).await
}
