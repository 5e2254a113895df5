//! Whether the new agent came back: another process than before, which runs the program
//! that is in place now, carries out commands, and, where it dials a manager, was welcomed
//! with the new version.

use std::fs;
use std::path::Path;

use crate::agent::Agent;

/// Looks at the agent of this home; `before` is the one that was upgraded.
///
/// # Errors
/// What is missing, in words for whoever asked for the upgrade.
pub(crate) fn look(home: &Path, before: &Agent) -> Result<(), String> {
    let now = Agent::read(home).map_err(|error| format!("it tells nothing of itself: {error}"))?;
    judge(&now, before)
}

fn judge(now: &Agent, before: &Agent) -> Result<(), String> {
    let refuse = |reason: &str| Err(reason.to_owned());
    if !now.is_alive() {
        return refuse("it does not run");
    }
    if now.pid == before.pid || !now.runs_what_is_there() {
        return refuse("another program than the new one runs");
    }
    if !now.ready {
        return refuse("it runs, and does not become ready");
    }
    let Some(channel) = &now.channel else {
        return Ok(());
    };
    if !channel.connected {
        let reason = match channel.reason.as_str() {
            "" => "nobody answered yet",
            reason => reason,
        };
        return Err(format!("it runs, and does not reach its manager: {reason}"));
    }
    let Some(file) = &now.version_file else {
        return Ok(());
    };
    let text = fs::read_to_string(file).unwrap_or_default();
    let bare = |text: &str| text.trim().trim_start_matches('v').to_owned();
    let wanted = text.lines().next().unwrap_or_default();
    let told = channel.version.as_deref().unwrap_or_default();
    match bare(told) == bare(wanted) {
        true => Ok(()),
        false => Err(format!("it tells its manager {told}, not {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Channel;
    use crate::agent::tests::of_this_process;

    #[test]
    fn only_a_new_process_with_all_that_is_wanted_is_healthy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("VERSION");
        fs::write(&file, "v4.14.1\n").unwrap();
        let before = Agent::default();
        let channel = |connected, version: &str| Channel {
            connected,
            version: Some(version.to_owned()),
            ..Channel::default()
        };
        let with = |channel| Agent {
            channel: Some(channel),
            version_file: Some(file.clone()),
            ..of_this_process()
        };
        judge(&of_this_process(), &before).unwrap();
        judge(&with(channel(true, "v4.14.1")), &before).unwrap();
        for (agent, word) in [
            (Agent::default(), "does not run"),
            (with(channel(true, "v4.14.0")), "v4.14.0, not v4.14.1"),
            (with(channel(false, "v4.14.1")), "does not reach"),
            (
                Agent {
                    ready: false,
                    ..of_this_process()
                },
                "ready",
            ),
            (
                Agent {
                    program: "/bin/sh".into(),
                    ..of_this_process()
                },
                "another program",
            ),
        ] {
            let reason = judge(&agent, &before).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
        let same = of_this_process();
        assert!(judge(&same, &same.clone()).is_err(), "it was not restarted");
    }
}
