//! `wpkctl rollout status`: a rollout as a whole. `text` is what it prints once, `board`
//! the picture of `--watch`, `watch` asks again and again.

mod ask;
mod board;
mod text;
mod watch;

use wpk_api::settings::Span;
use wpk_wire::own::rollout::{
    AskRollout, ListMembers, RolloutMember, RolloutState, StatusOfRollout,
};

use super::args::StatusArgs;
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean};
use crate::table::{render, table};
use watch::End;

/// Shows a rollout, once or until nothing is left to do.
pub(super) async fn run(
    global: &Global,
    args: StatusArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let asked = AskRollout {
        name: args.name.clone(),
        failures: Some(args.failures),
    };
    if args.watch {
        let watched = watch::until_over(&mut client, &asked, &args.pace(), out).await?;
        if let Some(status) = &watched.status {
            print(status, out)?;
        }
        let found = watched.status.as_ref().map_or(Ending::Unknown, ending);
        let (ending, after) = match watched.end {
            End::Over => return Ok(found),
            // Nobody knows yet how it ends.
            End::TimedOut(limit) => (
                found.max(Ending::Unknown),
                format!(" after {}", Span(limit)),
            ),
            End::Interrupted => (Ending::Interrupted, String::new()),
        };
        out.line(format!(
            "No longer watched{after}; the rollout goes on: {}",
            args.name
        ))?;
        return Ok(ending);
    }
    let status = ask::status(&mut client, &asked).await?;
    if args.agents {
        let asked = ListMembers {
            name: args.name,
            state: args.state,
            ..ListMembers::default()
        };
        let members = rollouts::members(&mut client, asked).await?;
        for member in &members {
            out.event(member)?;
        }
        out.line(listed(&members))?;
        out.line("")?;
    }
    print(&status, out)?;
    Ok(ending(&status))
}

fn print(status: &StatusOfRollout, out: &Output) -> Result<(), CtlError> {
    out.last(status)?;
    for line in text::lines(status) {
        out.line(line)?;
    }
    Ok(())
}

fn listed(members: &[RolloutMember]) -> String {
    if members.is_empty() {
        return "There are no such agents.".to_owned();
    }
    let mut table = table(&["agent", "name", "state", "wave", "task", "reason"]);
    for member in members {
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            member.agent.to_string(),
            shown(member.name.as_ref().map(|name| clean(name))),
            member.state.to_string(),
            shown(member.wave.as_ref().map(|wave| clean(wave))),
            shown(member.task_id.map(|task| task.to_string())),
            clean(&member.reason),
        ]);
    }
    render(&table)
}

/// The exit status is true to how the rollout is.
fn ending(status: &StatusOfRollout) -> Ending {
    let bad = matches!(status.state, RolloutState::Halted)
        || status.counts.failed > 0
        || !status.problems.is_empty();
    let over = matches!(
        status.state,
        RolloutState::Cancelled | RolloutState::Superseded
    );
    let unplanned = !over && (status.planner.node.is_none() || status.planner.trouble.is_some());
    match (bad, status.counts.unknown > 0 || unplanned) {
        (true, _) => Ending::Badly,
        (false, true) => Ending::Unknown,
        (false, false) => Ending::Well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_wire::own::rollout::{Planner, StateCounts};

    #[test]
    fn the_exit_status_is_true_to_the_rollout() {
        let with = |state, failed, unknown, node: Option<&str>| StatusOfRollout {
            state,
            counts: StateCounts {
                failed,
                unknown,
                ..StateCounts::default()
            },
            planner: Planner {
                node: node.map(Into::into),
                ..Planner::default()
            },
            ..StatusOfRollout::default()
        };
        let node = Some("node01");
        for (status, expected) in [
            (with(RolloutState::Running, 0, 0, node), Ending::Well),
            (with(RolloutState::Converged, 0, 0, node), Ending::Well),
            (with(RolloutState::Running, 0, 1, node), Ending::Unknown),
            (with(RolloutState::Running, 0, 0, None), Ending::Unknown),
            (with(RolloutState::Cancelled, 0, 0, None), Ending::Well),
            (with(RolloutState::Running, 1, 1, node), Ending::Badly),
            (with(RolloutState::Halted, 0, 0, node), Ending::Badly),
        ] {
            assert_eq!(ending(&status), expected, "{status:?}");
        }
        let stuck = StatusOfRollout {
            problems: vec!["wave canary has 3 agents".into()],
            ..with(RolloutState::Running, 0, 0, node)
        };
        assert_eq!(ending(&stuck), Ending::Badly);
    }
}
