//! A line of the trail: what became of a task, in words that every tool can read.

use serde::Serialize;
use wpk_plugin::api::words::clean;
use wpk_plugin::api::{Change, Changed, Task};

/// One change. Members that are not known are left out.
#[derive(Serialize)]
struct Line {
    /// When it was written, in seconds since 1970-01-01 00:00:00 UTC. A change that comes
    /// again is written again.
    written: u64,
    /// The number of the change.
    revision: u64,
    /// `changed`, `imported` (somebody else made the task), or `deleted`.
    what: &'static str,
    /// The task.
    task: i64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    is: Option<Is>,
}

/// The task as it is; where it was deleted, as it was.
#[derive(Serialize)]
struct Is {
    agent: String,
    status: String,
    command: String,
    node: String,
    module: String,
    created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Is {
    fn of(task: &Task, longest: usize) -> Self {
        let text = |text: &str| clean(text, longest);
        Self {
            agent: task.agent.to_string(),
            status: text(task.status.as_str()),
            command: text(task.command.as_str()),
            node: text(&task.node),
            module: text(&task.module),
            created: task.created,
            updated: task.updated,
            error: task.error_msg.as_deref().map(text),
        }
    }
}

/// The line of a change, with its end; no text of it is longer than `longest` bytes.
///
/// # Errors
/// Those of writing JSON.
pub(crate) fn line(
    change: &Change,
    written: u64,
    longest: usize,
) -> Result<Vec<u8>, serde_json::Error> {
    let (what, task, is) = match &change.changed {
        Changed::Task(task) => ("changed", task.id, Some(task)),
        Changed::Foreign(task) => ("imported", task.id, Some(task)),
        Changed::Deleted(id) => ("deleted", *id, change.was.as_ref()),
    };
    let mut line = serde_json::to_vec(&Line {
        written,
        revision: change.revision.0,
        what,
        task: task.0,
        is: is.map(|task| Is::of(task, longest)),
    })?;
    line.push(b'\n');
    Ok(line)
}
