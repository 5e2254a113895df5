//! How watching looks: a picture on a terminal, otherwise a line for every change,
//! or an event for every change with `--json`.

use std::collections::HashMap;
use std::pin::pin;

use serde_json::{Value, json};
use tokio::time::Instant;
use wpk_api::{AgentId, Confirmation};

use super::board::Board;
use super::entry::Entry;
use super::picture;
use super::screen::{Screen, Stream};
use crate::error::CtlError;
use crate::output::Output;

/// Up to this many agents each tenth of a delivery is a change worth a line.
const FEW: usize = 50;
/// Grain of percentages for few and for many agents.
const GRAINS: (u64, u64) = (10, 100);

/// Shows the board while it changes.
#[derive(Debug)]
pub(crate) enum View {
    /// On a terminal.
    Picture {
        /// Where it is drawn; `None` once it is over.
        screen: Option<Screen>,
        /// What the connection has to tell.
        note: Option<String>,
    },
    /// Anywhere else.
    Lines {
        /// The last text of each agent.
        shown: HashMap<AgentId, String>,
        /// Percentages are rounded to this.
        grain: u64,
        /// Where to.
        out: Output,
    },
}

impl View {
    /// Whether watching is shown as a picture: on the terminal of standard error, so that
    /// what is printed may go to a file.
    pub(crate) fn draws(out: &Output) -> bool {
        !out.json && !out.quiet && Stream::Err.can_draw()
    }

    pub(crate) fn new(board: &Board, out: Output) -> Self {
        let screen = match Self::draws(&out) {
            true => Screen::open(Stream::Err, out.colors(true)).ok(),
            false => None,
        };
        if screen.is_some() {
            return Self::Picture { screen, note: None };
        }
        let few = board.entries().len() <= FEW;
        Self::Lines {
            shown: HashMap::new(),
            grain: if few { GRAINS.0 } else { GRAINS.1 },
            out,
        }
    }

    /// Shows what has changed.
    ///
    /// # Errors
    /// [`CtlError::Print`].
    pub(crate) fn show(&mut self, board: &Board) -> Result<(), CtlError> {
        match self {
            Self::Picture { screen, note } => {
                *note = None;
                if screen.as_mut().is_some_and(Screen::changed) {
                    self.draw(board)?;
                }
            }
            Self::Lines { shown, grain, out } => {
                for entry in board.entries().iter().filter(|entry| entry.task.is_some()) {
                    let text = entry.describe(*grain);
                    if shown.get(&entry.agent) == Some(&text) {
                        continue;
                    }
                    out.event(&event(entry))?;
                    let name = entry.name.as_deref();
                    let name = name.map_or_else(String::new, |name| format!(" ({name})"));
                    out.line(format!("agent {}{name}: {text}", entry.agent))?;
                    shown.insert(entry.agent, text);
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self, board: &Board) -> Result<(), CtlError> {
        let Self::Picture {
            screen: Some(screen),
            note,
        } = self
        else {
            return Ok(());
        };
        let drawn = screen.draw(|size| picture::draw(board, size, Instant::now(), note.as_deref()));
        drawn.map_err(CtlError::Print)
    }

    /// Does something that takes a while, and goes on showing the board meanwhile.
    ///
    /// # Errors
    /// [`CtlError::Print`].
    pub(super) async fn during<T>(
        &mut self,
        board: &Board,
        work: impl Future<Output = T>,
    ) -> Result<T, CtlError> {
        let mut work = pin!(work);
        loop {
            let due = async {
                match self {
                    Self::Picture {
                        screen: Some(screen),
                        ..
                    } => screen.due().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = due => self.draw(board)?,
            }
        }
    }

    /// Says something about the connection.
    ///
    /// # Errors
    /// [`CtlError::Print`].
    pub(crate) fn note(&mut self, event: &str, text: &str) -> Result<(), CtlError> {
        match self {
            Self::Picture { note, screen } => {
                *note = Some(text.to_owned());
                // It is drawn as soon as a picture is due.
                screen.as_mut().map(Screen::changed);
            }
            Self::Lines { out, .. } => {
                out.event(&json!({"event": event, "message": text}))?;
                if !out.json && !out.quiet {
                    out.warn(text);
                }
            }
        }
        Ok(())
    }

    /// Leaves the terminal as it was.
    pub(crate) fn finish(&mut self) {
        if let Self::Picture { screen, .. } = self {
            *screen = None;
        }
    }
}

fn event(entry: &Entry) -> Value {
    let delivery = entry.delivery.as_ref();
    json!({
        "event": "status",
        "agent": entry.agent,
        "name": entry.name,
        "task_id": entry.task,
        "status": entry.state.status(),
        "phase": entry.phase,
        "waits_for": entry.waits_for,
        "reason": entry.reason,
        "cause": entry.cause,
        "confirmation": entry.confirmation.as_ref().map(Confirmation::as_str),
        "seen": entry.seen(),
        "step": delivery.map(|delivery| delivery.step),
        "sent": delivery.map(|delivery| delivery.sent),
        "total": delivery.map(|delivery| delivery.total),
    })
}
