//! The table at the end, and the verdict: did every agent end as it should?

use comfy_table::{Table, presets};

use crate::agents::{Fate, NEW, OLD};
use crate::fleet::Outcome;
use crate::screen::{say, scold};

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
             had to fail, still run the old one.",
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
            outcome.ending.reason.clone(),
            format!("{:.1}", outcome.ending.took.as_secs_f64()),
        ]);
    }
    table
}

/// What is not as it should be, a line each.
fn differences(outcome: &Outcome) -> Vec<String> {
    // The texts are those of PROTOCOL.md, section 2, codes 24 and 23.
    let (status, reason, to) = match outcome.member.fate {
        Fate::Updated => ("Updated", "", NEW),
        Fate::InstallerFails => ("Error", "Upgrade procedure exited with error code", OLD),
        Fate::SignatureRefused => ("Error", "Send upgrade command error", OLD),
    };
    let checks = [
        ("its program before the upgrade", outcome.from.as_str(), OLD),
        ("its program after the upgrade", outcome.to.as_str(), to),
        ("its task's status", outcome.ending.status.as_str(), status),
        (
            "its task's error_msg",
            outcome.ending.reason.as_str(),
            reason,
        ),
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
    use crate::fleet::Ending;
    use std::time::Duration;

    fn outcome(at: usize, to: &str, status: &str, reason: &str) -> Outcome {
        Outcome {
            id: wpk_api::AgentId::new(1).unwrap(),
            member: &CAST[at],
            from: OLD.to_owned(),
            to: to.to_owned(),
            ending: Ending {
                status: status.to_owned(),
                reason: reason.to_owned(),
                took: Duration::from_secs(1),
            },
        }
    }

    #[test]
    fn the_right_endings_are_right() {
        let installer = "Upgrade procedure exited with error code";
        for outcome in [
            outcome(0, NEW, "Updated", ""),
            outcome(4, OLD, "Error", installer),
            outcome(5, OLD, "Error", "Send upgrade command error"),
        ] {
            assert_eq!(differences(&outcome), Vec::<String>::new());
        }
    }

    #[test]
    fn a_claim_without_a_changed_program_is_found() {
        let wrong = differences(&outcome(0, OLD, "Updated", ""));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("after the upgrade"), "{wrong:?}");
    }

    #[test]
    fn a_changed_program_where_none_may_change_is_found() {
        assert_eq!(differences(&outcome(5, NEW, "Updated", "")).len(), 3);
    }
}
