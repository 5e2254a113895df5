//! `wpkctl result --log`: what happened to a task, step by step.

use wpk_api::TimelineStep;
use wpk_wire::own::TimelineLine;

use super::found::Found;
use crate::error::CtlError;
use crate::manager::timelines::{because, cause};
use crate::output::{Output, clean};
use crate::table::{render, table};

/// Prints the timeline of a task, where there is one.
///
/// # Errors
/// [`CtlError::Print`].
pub(super) fn print(found: &Found, out: &Output) -> Result<(), CtlError> {
    let Some(timeline) = &found.timeline else {
        return Ok(());
    };
    out.line(format!(
        "\nagent {}, task {}: {}",
        timeline.agent,
        timeline.task_id,
        found.status()
    ))?;
    if timeline.older > 0 {
        out.line(format!("({} older steps are left out)", timeline.older))?;
    }
    let mut rows = table(&["time", "step", "asked", "what"]);
    for line in &timeline.timeline {
        let asked = line.entry.asked.as_deref();
        rows.add_row([
            clean(&line.time),
            step(line.entry.step),
            asked.map_or("-".to_owned(), clean),
            what(line),
        ]);
    }
    out.line(render(&rows))
}

/// The word of a step, as with `--json`.
fn step(step: TimelineStep) -> String {
    let word = serde_json::to_value(step).ok();
    let word = word.as_ref().and_then(|word| word.as_str());
    word.unwrap_or("other").to_owned()
}

/// What came of it, or why it failed.
fn what(line: &TimelineLine) -> String {
    let detail = line.entry.detail.as_deref().map(clean);
    match cause(line) {
        None => detail.unwrap_or_else(|| "-".to_owned()),
        Some(cause) => format!(
            "code {}: {}",
            cause.code,
            because(detail.as_deref(), &cause)
        ),
    }
}
