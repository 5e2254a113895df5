//! What happened to tasks and why: the manager's `upgrade_timeline`
//! (PROTOCOL.md, section 15). A manager that does not know the command refuses
//! it; callers then say so, or go on without.

use std::collections::HashMap;

use wpk_api::{AgentId, Cause, Confirmation, TaskId};
use wpk_wire::own::{AskTimeline, TaskTimeline, TimelineLine};
use wpk_wire::{Item, UpgradeCode};

use super::client::Client;
use crate::error::CtlError;
use crate::output::clean;

/// What a person is told of a manager without the command.
pub(crate) const NONE: &str = "this manager has no timelines";

/// What the manager says of a task: as its result, and what happened to it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) item: Item,
    /// `None` where there is no such task.
    pub(crate) timeline: Option<TaskTimeline>,
}

/// The newest task of each of the agents, with this many entries each; `None`
/// from a manager that has no timelines. Agents it does not answer for are left out.
///
/// # Errors
/// Those of [`Client::ask`].
pub(crate) async fn of_agents(
    client: &mut Client,
    agents: &[AgentId],
    entries: Option<usize>,
) -> Result<Option<HashMap<AgentId, Told>>, CtlError> {
    let ask = |agents: &[AgentId]| AskTimeline {
        agents: agents.to_vec(),
        entries,
        ..AskTimeline::default()
    };
    all(client, agents, ask, Item::agent_id).await
}

/// The same for tasks by their ids.
///
/// # Errors
/// Those of [`Client::ask`].
pub(crate) async fn of_tasks(
    client: &mut Client,
    tasks: &[TaskId],
    entries: Option<usize>,
) -> Result<Option<HashMap<TaskId, Told>>, CtlError> {
    let ask = |tasks: &[TaskId]| AskTimeline {
        tasks: tasks.to_vec(),
        entries,
        ..AskTimeline::default()
    };
    all(client, tasks, ask, |item| item.task_id).await
}

/// Asks until each was answered, or an answer brings nothing new.
async fn all<K: Copy + Eq + std::hash::Hash>(
    client: &mut Client,
    keys: &[K],
    ask: impl Fn(&[K]) -> AskTimeline,
    key: impl Fn(&Item) -> Option<K>,
) -> Result<Option<HashMap<K, Told>>, CtlError> {
    let mut found = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(AskTimeline::MOST) {
        let mut left = chunk.to_vec();
        while !left.is_empty() {
            let items = match client.own(ask(&left)).await {
                Ok(items) => items,
                Err(error) if is_unknown(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let before = left.len();
            for item in items {
                let Some(key) = key(&item) else { continue };
                let timeline = TaskTimeline::from_item(&item).filter(|_| item.error.is_success());
                found.insert(key, Told { item, timeline });
            }
            left.retain(|key| !found.contains_key(key));
            if left.len() == before {
                break;
            }
        }
    }
    Ok(Some(found))
}

/// Whether a manager refuses the command because it does not know it.
pub(crate) fn is_unknown(error: &CtlError) -> bool {
    use UpgradeCode::{NotRecognized, RequiredParameters};
    matches!(error, CtlError::Refused { code, .. }
        if matches!(code.upgrade(), Some(RequiredParameters | NotRecognized)))
}

/// The cause in a line of a timeline, fit for a terminal.
pub(crate) fn cause(line: &TimelineLine) -> Option<Cause> {
    let cause = line.entry.failure.as_ref()?;
    Some(Cause {
        code: cause.code,
        said: clean(&cause.said),
        advice: clean(&cause.advice),
    })
}

/// Why a task failed, on one line: the fixed text of the protocol, the words of
/// whoever said it, and what to do.
pub(crate) fn because(fixed: Option<&str>, cause: &Cause) -> String {
    // A failure that the protocol has no text for has its cause there already.
    let said = (Some(cause.said.as_str()))
        .filter(|said| !said.is_empty() && !fixed.is_some_and(|fixed| fixed.contains(*said)));
    let told: Vec<&str> = fixed.into_iter().chain(said).collect();
    let told = told.join(": ");
    match cause.advice.as_str() {
        "" => told,
        advice if told.is_empty() => advice.to_owned(),
        advice => format!("{told}; {advice}"),
    }
}

/// What a check of an agent's version found, in words; `None` where that it
/// succeeded says it all.
pub(crate) fn doubt(confirmation: Option<&Confirmation>) -> Option<String> {
    match confirmation? {
        Confirmation::Awaited => Some("the agent's new version is awaited".to_owned()),
        Confirmation::Unconfirmed(seen) if seen.is_empty() => {
            Some("the version it was sent was not seen".to_owned())
        }
        Confirmation::Unconfirmed(seen) => Some(format!(
            "the version it was sent was not seen, but {}",
            clean(seen)
        )),
        Confirmation::Confirmed | Confirmation::NotChecked => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_and_with_what_to_do() {
        let cause = |said: &str, advice: &str| Cause::new(23, said, advice);
        let fixed = Some("Send upgrade command error");
        let bad = "Could not verify signature (error 13)";
        assert_eq!(
            because(fixed, &cause(bad, "sign it")),
            format!("Send upgrade command error: {bad}; sign it")
        );
        assert_eq!(because(None, &cause(bad, "")), bad);
        let doubled = format!("Unknown error: {bad}");
        assert_eq!(because(Some(&doubled), &cause(bad, "")), doubled);
        assert_eq!(
            because(fixed, &cause("", "x")),
            "Send upgrade command error; x"
        );
        assert_eq!(because(None, &cause("", "x")), "x");
    }

    #[test]
    fn only_what_leaves_a_doubt_is_told() {
        assert_eq!(doubt(None), None);
        assert_eq!(doubt(Some(&Confirmation::Confirmed)), None);
        assert_eq!(doubt(Some(&Confirmation::NotChecked)), None);
        let seen = Confirmation::Unconfirmed("v4.7.0\u{1b}[2J".into());
        let told = doubt(Some(&seen)).unwrap();
        assert!(told.ends_with("but v4.7.0?[2J"), "{told}");
    }
}
