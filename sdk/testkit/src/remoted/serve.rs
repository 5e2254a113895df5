//! What the fake does with a request: the rule that fits, or what a healthy agent
//! would do, and the acknowledgements that follow.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::agent::{self, Form};
use super::rules::{self, Action};
use super::state::{Frame, InFlight, State, locked};
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
    let parsed = wpk_wire::remoted::split_address(request)
        .map(|(agent, command)| (agent, request.slice_ref(command)))
        .and_then(|(agent, command)| Some((agent.get(), agent::parse(&command)?)));
    let Some((id, command)) = parsed else {
        let start = request.get(..64.min(request.len())).unwrap_or_default();
        let start = String::from_utf8_lossy(start).into_owned();
        state
            .lock()
            .violations
            .push(format!("not understood: {start:?}"));
        return (Reaction::Answer("err Internal error".into()), None);
    };
    let (agent, action, keep) = {
        let inner = &mut *state.lock();
        let agent = Arc::clone(inner.agents.entry(id).or_default());
        let action = rules::find(&mut inner.rules, id, &command.step);
        (agent, action, inner.keep_bytes)
    };
    let mut acknowledgement = None;
    let mut violation = None;
    // Nobody else waits while the agent does what it is told.
    let mut healthy = |ack: Option<(i64, String)>| {
        let (answer, good) = locked(&agent).answer(&command, keep);
        if !good {
            let text = String::from_utf8_lossy(&answer);
            violation = Some(format!("agent {id:03} to {}: {text}", command.step));
        }
        if good && command.step == "upgrade" && command.form == Form::Json {
            acknowledgement = ack.map(|(error, status)| (id, error, status));
        }
        Reaction::Answer(answer)
    };
    let reaction = match action {
        None => healthy(Some((0, "Done".to_owned()))),
        Some(Action::Acknowledge(ack)) => healthy(ack),
        Some(Action::Answer(answer)) => {
            if answer.is_empty() || !answer.starts_with(b"err") {
                // It did what it was told and only its words are odd.
                let _ = locked(&agent).answer(&command, keep);
            }
            Reaction::Answer(answer)
        }
        Some(Action::Close) => Reaction::Close,
        Some(Action::Hang) => Reaction::Hang,
        Some(Action::Raw(bytes)) => Reaction::Raw(bytes),
    };
    let mut inner = state.lock();
    inner.violations.extend(violation);
    inner.frames.push(Frame {
        agent: id,
        step: command.step,
        form: command.form,
        bytes: if keep { request.clone() } else { Bytes::new() },
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
            if !inner.agent(agent).is_some_and(|agent| agent.reports) {
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
