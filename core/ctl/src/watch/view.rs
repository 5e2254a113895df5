//! How watching looks: bars on a terminal, otherwise a line for every change,
//! or an event for every change with `--json`.

use std::collections::HashMap;

use serde_json::{Value, json};
use wpk_api::{AgentId, Confirmation};

use super::bars::Bars;
use super::board::Board;
use super::entry::Entry;
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
    Bars(Bars),
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
    pub(crate) fn new(board: &Board, bars: bool, out: Output) -> Self {
        if bars {
            return Self::Bars(Bars::new(board));
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
            Self::Bars(bars) => bars.show(board),
            Self::Lines { shown, grain, out } => {
                for entry in board.entries().iter().filter(|entry| entry.task.is_some()) {
                    let text = entry.describe(*grain);
                    if shown.get(&entry.agent) == Some(&text) {
                        continue;
                    }
                    out.event(&event(entry))?;
                    out.line(format!("agent {}: {text}", entry.agent))?;
                    shown.insert(entry.agent, text);
                }
            }
        }
        Ok(())
    }

    /// Says something about the connection.
    ///
    /// # Errors
    /// [`CtlError::Print`].
    pub(crate) fn note(&mut self, event: &str, text: &str) -> Result<(), CtlError> {
        match self {
            Self::Bars(bars) => bars.note(text),
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
        if let Self::Bars(bars) = self {
            bars.finish();
        }
    }
}

fn event(entry: &Entry) -> Value {
    let delivery = entry.delivery.as_ref();
    json!({
        "event": "status",
        "agent": entry.agent,
        "task_id": entry.task,
        "status": entry.state.status(),
        "reason": entry.reason,
        "cause": entry.cause,
        "confirmation": entry.confirmation.as_ref().map(Confirmation::as_str),
        "seen": entry.seen(),
        "step": delivery.map(|delivery| delivery.step),
        "sent": delivery.map(|delivery| delivery.sent),
        "total": delivery.map(|delivery| delivery.total),
    })
}
