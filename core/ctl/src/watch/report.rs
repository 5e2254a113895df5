//! The end of an upgrade: refusals and tasks right after the request, and the
//! table that tells for every agent what became of it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use wpk_api::settings::Span;
use wpk_api::{AgentId, Cause, Confirmation, TaskId};
use wpk_wire::Code;

use super::board::Board;
use super::counts::Counts;
use super::entry::Entry;
use crate::error::CtlError;
use crate::ids;
use crate::manager::state::State;
use crate::output::{Ending, Output};
use crate::table::{render, table};

/// What was asked for, to judge by what an agent reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// This version.
    Version(String),
    /// What the manager chooses.
    Latest,
    /// A file, whose version only its maker knows, or what somebody else asked for.
    File,
}

/// How the call came to its end.
#[derive(Debug)]
pub(crate) enum Closing {
    /// All was done.
    Ended,
    /// The time for watching was over.
    TimedOut(Duration),
    /// Ctrl-C.
    Interrupted,
    /// The manager went away.
    Lost(CtlError),
}

/// One row.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    agent: AgentId,
    name: Option<String>,
    task_id: Option<TaskId>,
    from: Option<String>,
    /// The version the agent has now as far as is known, else the one asked for.
    to: Option<String>,
    /// Whether the agent itself reported `to`.
    confirmed: bool,
    status: &'static str,
    code: Option<Code>,
    /// The fixed text.
    reason: Option<String>,
    /// The words of whoever said why, and what to do.
    cause: Option<Cause>,
    /// What the manager found out about the agent's version, and what it saw.
    confirmation: Option<&'static str>,
    seen: Option<String>,
    seconds: Option<f64>,
    /// The state, for people.
    #[serde(skip)]
    word: &'static str,
    /// All of why, for people.
    #[serde(skip)]
    why: Option<String>,
}

impl Row {
    fn new(entry: &Entry, asked: &Asked) -> Self {
        let (to, confirmed) = target(entry, asked);
        let reported = || match &entry.reported {
            Some(version) => format!("the agent reports {version}"),
            None => "the agent's version is not known".to_owned(),
        };
        let why = match entry.why() {
            None if entry.state == State::Legacy => {
                Some("delivered; this agent cannot report the result".to_owned())
            }
            None if entry.state.well() && !confirmed => Some(reported()),
            why => why,
        };
        Self {
            agent: entry.agent,
            name: entry.name.clone(),
            task_id: entry.task,
            from: entry.from.clone(),
            to,
            confirmed,
            status: entry.state.status(),
            code: entry.code,
            reason: entry.reason.clone().or_else(|| why.clone()),
            cause: entry.cause.clone(),
            confirmation: entry.confirmation.as_ref().map(Confirmation::as_str),
            seen: entry.seen(),
            seconds: entry
                .took
                .map(|took| (took.as_secs_f64() * 10.0).round() / 10.0),
            word: entry.state.word(),
            why,
        }
    }

    fn cells(&self) -> [String; 7] {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            self.agent.to_string(),
            or_dash(&self.name),
            or_dash(&self.from),
            match &self.to {
                Some(version) if !self.confirmed => format!("{version} (not confirmed)"),
                version => or_dash(version),
            },
            self.word.to_owned(),
            or_dash(&self.why),
            self.seconds
                .map_or("-".to_owned(), |seconds| format!("{seconds:.1}")),
        ]
    }
}

/// The version to show, and whether the agent reported it.
fn target(entry: &Entry, asked: &Asked) -> (Option<String>, bool) {
    let reported = entry.reported.clone();
    if entry.confirmation == Some(Confirmation::Confirmed) {
        let asked = match asked {
            Asked::Version(version) => Some(version.clone()),
            Asked::Latest | Asked::File => None,
        };
        return (reported.or(asked), true);
    }
    if !entry.state.well() {
        // Whatever was asked for: the agent has what it reports.
        let known = reported.is_some();
        return (reported, known);
    }
    match asked {
        Asked::Version(version) => {
            let confirmed = reported.as_ref() == Some(version);
            (Some(version.clone()), confirmed)
        }
        Asked::Latest => {
            let confirmed = reported.is_some() && reported != entry.from;
            (reported, confirmed)
        }
        Asked::File => {
            let confirmed = reported.is_some();
            (reported, confirmed)
        }
    }
}

/// Whether an agent ended as Updated without reporting the version it should have, or, where
/// nobody knows which that is, another than before.
pub(crate) fn unsettled(board: &Board, asked: &Asked) -> bool {
    let mut updated = board
        .entries()
        .iter()
        .filter(|entry| entry.state == State::Updated);
    let as_before = |entry: &Entry| {
        let checked = entry.confirmation == Some(Confirmation::Confirmed);
        matches!(asked, Asked::File) && !checked && entry.reported == entry.from
    };
    updated.any(|entry| !target(entry, asked).1 || as_before(entry))
}

/// Prints what the manager answered: refusals by reason, then the tasks, or (`brief`) how
/// many there are.
///
/// # Errors
/// [`CtlError::Print`].
pub(crate) fn print_answers(board: &Board, brief: bool, out: &Output) -> Result<(), CtlError> {
    let mut refused: BTreeMap<(Option<Code>, String), Vec<AgentId>> = BTreeMap::new();
    for entry in board.entries() {
        match entry.task {
            Some(task) => {
                out.event(&json!({"event": "task", "agent": entry.agent, "task_id": task}))?;
            }
            None => {
                let (agent, reason) = (entry.agent, &entry.reason);
                out.event(&json!({
                    "event": "refused", "agent": agent, "code": entry.code, "reason": reason,
                }))?;
                let key = (entry.code, entry.why().unwrap_or_default());
                refused.entry(key).or_default().push(agent);
            }
        }
    }
    if !refused.is_empty() {
        out.line("Agents that cannot be upgraded:")?;
    }
    for ((_, why), agents) in refused {
        out.line(format!("  {}: {why}", ids::compact(agents)))?;
    }
    let tasks = board.entries().iter();
    let tasks = tasks.filter_map(|entry| Some((entry.agent, entry.task?)));
    match tasks.clone().count() {
        count @ 2.. if brief => out.line(format!("{count} tasks were created")),
        _ => tasks
            .into_iter()
            .try_for_each(|(agent, task)| out.line(format!("agent {agent}: task {task}"))),
    }
}

/// Prints the end and says with which exit status to leave.
///
/// # Errors
/// [`CtlError::Print`], and what [`Closing::Lost`] holds.
pub(crate) fn print(
    board: &Board,
    asked: &Asked,
    closing: Closing,
    watched: bool,
    out: &Output,
) -> Result<Ending, CtlError> {
    let running: HashSet<AgentId> = board.running().into_iter().collect();
    let ending = match closing {
        Closing::Interrupted => Ending::Interrupted,
        _ if watched => Counts::ending(board),
        _ => Ending::when(board.entries().iter().all(|entry| entry.task.is_some())),
    };
    let mut rows: Vec<Row> = board.entries().iter().map(|e| Row::new(e, asked)).collect();
    if let Closing::TimedOut(after) = closing {
        for row in rows.iter_mut().filter(|row| running.contains(&row.agent)) {
            row.reason = Some(format!("still under way after {}", Span(after)));
            row.why.clone_from(&row.reason);
        }
    }
    let counts = Counts::of(board);
    out.last(&json!({
        "event": "summary",
        "agents": rows,
        "updated": counts.updated,
        "unconfirmed": counts.unconfirmed,
        "legacy": counts.legacy,
        "failed": counts.failed,
        "timed_out": counts.timed_out,
        "unknown": counts.unknown,
        "refused": counts.refused,
        "confirming": counts.confirming,
        "under_way": counts.under_way,
        "interrupted": ending == Ending::Interrupted,
        "exit_status": ending.status(),
    }))?;
    if watched && !rows.is_empty() {
        let mut table = table(&["agent", "name", "from", "to", "status", "reason", "seconds"]);
        table.add_rows(rows.iter().map(Row::cells));
        out.line(format!("\n{}\n", render(&table)))?;
        out.line(counts.sentence())?;
    }
    let goes_on = |what: &str, agents: &[AgentId]| {
        out.warn(format!(
            "{what} of {} agents go on in the manager; see `wpkctl result {}`",
            agents.len(),
            ids::compact(agents.iter().copied()).replace(", ", ",")
        ));
    };
    let confirming: Vec<AgentId> = (board.live().into_iter())
        .filter(|agent| !running.contains(agent))
        .collect();
    if !confirming.is_empty() {
        goes_on("the checks of the new versions", &confirming);
    }
    if !running.is_empty() && (watched || ending == Ending::Interrupted) {
        goes_on("the tasks", &board.running());
    } else if ending == Ending::Interrupted {
        out.warn("interrupted; if the manager had the request already, `wpkctl result` tells");
    }
    match closing {
        Closing::Lost(error) => Err(error),
        _ => Ok(ending),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    use wpk_wire::Item;

    fn row(status: &'static str, reported: Option<&str>, asked: &Asked) -> Row {
        let agent = AgentId::new(1).unwrap();
        let created = || Item::created(agent, TaskId(5));
        let mut board = Board::new(&[agent]);
        board.came_from(HashMap::from([(agent, "v4.7.0".to_owned())]));
        board.answered(created());
        board.result(Item {
            status: Some(status.into()),
            ..created()
        });
        board.report(
            reported
                .map(|version| (agent, version.to_owned()))
                .into_iter()
                .collect(),
        );
        Row::new(&board.entries()[0], asked)
    }

    #[test]
    fn the_version_shown_is_true_or_marked() {
        let version = Asked::Version("v4.14.0".to_owned());
        let to = |status, reported, asked: &Asked| row(status, reported, asked).cells()[3].clone();
        assert_eq!(to("Updated", Some("v4.14.0"), &version), "v4.14.0");
        assert_eq!(
            to("Updated", Some("v4.7.0"), &version),
            "v4.14.0 (not confirmed)"
        );
        assert_eq!(to("Updated", None, &version), "v4.14.0 (not confirmed)");
        assert_eq!(to("Legacy", Some("v4.14.0"), &version), "v4.14.0");
        assert_eq!(to("Error", Some("v4.7.0"), &version), "v4.7.0");
        assert_eq!(to("Error", None, &version), "-");
        assert_eq!(to("Updated", Some("v4.14.0"), &Asked::Latest), "v4.14.0");
        assert_eq!(
            to("Updated", Some("v4.7.0"), &Asked::Latest),
            "v4.7.0 (not confirmed)"
        );
        assert_eq!(to("Updated", Some("v4.7.0"), &Asked::File), "v4.7.0");
    }

    #[test]
    fn what_is_not_confirmed_says_why() {
        let version = Asked::Version("v4.14.0".to_owned());
        let reason = |reported| row("Updated", reported, &version).reason;
        assert_eq!(reason(Some("v4.7.0")).unwrap(), "the agent reports v4.7.0");
        assert_eq!(reason(None).unwrap(), "the agent's version is not known");
        assert_eq!(reason(Some("v4.14.0")), None);
    }
}
