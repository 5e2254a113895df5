//! The table at the end, and the verdict: did every agent end as it should?

use comfy_table::{Table, presets};
use wpk_api::words::{LONGEST_CAUSE, clean};

use crate::agents::{Fate, NEW, OLD};
use crate::fleet::{Ending, Outcome};
use crate::screen::{say, scold};

/// The words of the installer of a `wpk-agent` that did not come back.
const NOT_BACK: &str = "Upgrade failed: not healthy: the agent did not come back within 8 s: it does not \
                        run; the time limit is over; the old version is back";

/// Prints the table, and what is not as it should be. True if nothing is.
pub(crate) fn print(outcomes: &[Outcome]) -> bool {
    say(format_args!("\n{}", table(outcomes)));
    let wrong: Vec<String> = outcomes.iter().flat_map(differences).collect();
    for line in &wrong {
        scold(line);
    }
    if wrong.is_empty() {
        say(
            "\nEvery agent ended as it should: four run the new program, and two, whose upgrade\n\
             had to fail, still run the old one. One agent is a new wpk-agent itself, and one\n\
             was brought back by the watchdog because the new one did not come back.",
        );
    }
    wrong.is_empty()
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["agent", "from", "to", "status", "reason", "seconds"]);
    for outcome in outcomes {
        table.add_row([
            outcome.label(),
            outcome.from.clone(),
            outcome.to.clone(),
            outcome.ending.status.clone(),
            reason(&outcome.ending),
            format!("{:.1}", outcome.ending.took.as_secs_f64()),
        ]);
    }
    table
}

/// The protocol's text, and below it the words of whoever said why and what to do.
fn reason(ending: &Ending) -> String {
    let cause = ending.cause.as_ref();
    let told = cause.map(|cause| [&cause.said, &cause.advice]);
    let lines = [&ending.reason]
        .into_iter()
        .chain(told.into_iter().flatten());
    let lines: Vec<String> = lines
        .filter(|line| !line.is_empty())
        .map(|line| clean(line, LONGEST_CAUSE))
        .collect();
    lines.join("\n")
}

/// What is not as it should be, a line each.
fn differences(outcome: &Outcome) -> Vec<String> {
    // The reasons are those of PROTOCOL.md, section 2, codes 24 and 23; the causes
    // are the agent's own words.
    let (status, reason, cause, to) = match outcome.member.fate {
        Fate::Updated => ("Updated", "", "", NEW),
        Fate::InstallerFails => (
            "Error",
            "Upgrade procedure exited with error code",
            "Upgrade failed",
            OLD,
        ),
        Fate::AgentUpdated => ("Updated", "", "", NEW),
        Fate::AgentRolledBack => (
            "Error",
            "Upgrade procedure exited with error code",
            NOT_BACK,
            OLD,
        ),
        Fate::SignatureRefused => (
            "Error",
            "Send upgrade command error",
            "upgrade failed in the agent: Could not verify signature (error 13)",
            OLD,
        ),
    };
    let said = outcome
        .ending
        .cause
        .as_ref()
        .map(|cause| cause.said.as_str());
    let checks = [
        ("its program before the upgrade", outcome.from.as_str(), OLD),
        ("its program after the upgrade", outcome.to.as_str(), to),
        ("its task's status", outcome.ending.status.as_str(), status),
        (
            "its task's error_msg",
            outcome.ending.reason.as_str(),
            reason,
        ),
        ("the cause of its failure", said.unwrap_or_default(), cause),
    ];
    let wrong = checks.into_iter().filter(|(_, is, should)| is != should);
    wrong
        .map(|(what, is, should)| {
            format!(
                "agent {}: {what} is {is:?} and should be {should:?}",
                outcome.label()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::CAST;
    use std::time::Duration;
    use wpk_api::Cause;

    fn outcome(at: usize, to: &str, status: &str, reason: &str, said: &str) -> Outcome {
        Outcome {
            id: wpk_api::AgentId::new(1).unwrap(),
            member: &CAST[at],
            from: OLD.to_owned(),
            to: to.to_owned(),
            ending: Ending {
                status: status.to_owned(),
                reason: reason.to_owned(),
                cause: (!said.is_empty()).then(|| Cause::new(23, said, "look")),
                took: Duration::from_secs(1),
            },
        }
    }

    #[test]
    fn the_right_endings_are_right() {
        let installer = "Upgrade procedure exited with error code";
        let signature = "upgrade failed in the agent: Could not verify signature (error 13)";
        for outcome in [
            outcome(0, NEW, "Updated", "", ""),
            outcome(4, OLD, "Error", installer, "Upgrade failed"),
            outcome(5, OLD, "Error", "Send upgrade command error", signature),
        ] {
            assert_eq!(differences(&outcome), Vec::<String>::new());
        }
        let silent = outcome(5, OLD, "Error", "Send upgrade command error", "");
        assert_eq!(differences(&silent).len(), 1);
    }

    #[test]
    fn a_claim_without_a_changed_program_is_found() {
        let wrong = differences(&outcome(0, OLD, "Updated", "", ""));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("after the upgrade"), "{wrong:?}");
    }

    #[test]
    fn a_changed_program_where_none_may_change_is_found() {
        assert_eq!(differences(&outcome(5, NEW, "Updated", "", "")).len(), 4);
    }
}
