//! The table at the end, and the verdict: did both rollouts do what they should, and
//! nothing else?

use comfy_table::{Table, presets};
use wpk_wire::own::rollout::{AgentState, RolloutMember, RolloutState};

use crate::rollout::evidence::Became;
use crate::rollout::fleet::{Agent, Fleet};
use crate::rollout::plan::{Release, SITES};
use crate::rollout::watch::{Watched, is_canary};
use crate::screen::{say, scold};

/// A rollout and what it did.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) release: &'static Release,
    pub(crate) watched: Watched,
    /// What the agents' homes tell, in the order of the agents.
    pub(crate) became: Vec<Became>,
}

/// Prints the table, and what is not as it should be. True if nothing is.
pub(crate) fn print(fleet: &Fleet, good: &Round, bad: Option<&Round>) -> bool {
    say(format_args!("\n{}", table(fleet, good, bad)));
    for round in [Some(good), bad].into_iter().flatten() {
        let of_site = round.watched.most.iter().zip(&SITES);
        let most = of_site.map(|(most, site)| format!("{most} of {} in {}", site.most, site.name));
        say(format_args!(
            "{}: {} after {:.1} s; most in flight at once: {}, canary {} of 1",
            round.release.version,
            round.watched.state,
            round.watched.took.as_secs_f64(),
            most.collect::<Vec<_>>().join(", "),
            round.watched.most_canary,
        ));
    }
    let mut wrong = differences(fleet, good);
    match bad {
        Some(bad) => wrong.extend(differences(fleet, bad)),
        None => wrong.push("the bad release was not rolled out".to_owned()),
    }
    for line in &wrong {
        scold(line);
    }
    if wrong.is_empty() {
        say(
            "\nBoth rollouts did what they should: the good release reached all forty agents,\n\
             its canary first. The bad one failed at one agent of its canary, whose installer\n\
             put the good one back, and halted: the other thirty-nine were not touched.",
        );
    }
    wrong.is_empty()
}

fn table(fleet: &Fleet, good: &Round, bad: Option<&Round>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let title = |round: &Round| format!("{} release {}", round.release.name, round.release.version);
    let bad_title = bad.map_or_else(|| "bad release".to_owned(), title);
    table.set_header([
        "site".to_owned(),
        "agent".to_owned(),
        title(good),
        bad_title,
    ]);
    for (at, agent) in fleet.agents().iter().enumerate() {
        let cell = |round: &Round| cell(round, at, agent);
        table.add_row([
            agent.site.name.to_owned(),
            agent.label(),
            cell(good),
            bad.map_or_else(|| "not begun".to_owned(), cell),
        ]);
    }
    table
}

fn cell(round: &Round, at: usize, agent: &Agent) -> String {
    let member = round.watched.members.get(&agent.id);
    let wave = if member.is_some_and(is_canary) {
        " (canary)"
    } else {
        ""
    };
    let became = match round.became.get(at) {
        Some(Became::Upgraded) => "upgraded",
        Some(Became::Failed) => "failed, the one before is back",
        Some(Became::Untouched) => "untouched",
        Some(Became::Odd(_)) | None => "?",
    };
    format!("{became}{wave}")
}

/// What is not as it should be, a line each.
fn differences(fleet: &Fleet, round: &Round) -> Vec<String> {
    let Round {
        release, watched, ..
    } = round;
    let name = release.name;
    let mut wrong = Vec::new();
    let should = match release.works {
        true => RolloutState::Converged,
        false => RolloutState::Halted,
    };
    if watched.state != should {
        let why = watched.reason.as_deref().unwrap_or("no reason was told");
        let is = watched.state;
        wrong.push(format!(
            "rollout {name} is {is} and should be {should}: {why}"
        ));
    }
    for (most, site) in watched.most.iter().zip(&SITES) {
        if *most > site.most {
            let (cap, site) = (site.most, site.name);
            wrong.push(format!(
                "rollout {name}: {most} in flight at once in {site}, its cap is {cap}"
            ));
        }
    }
    if watched.most_canary > 1 {
        let most = watched.most_canary;
        wrong.push(format!(
            "rollout {name}: {most} of the strict canary in flight at once, and 1 may"
        ));
    }
    for (agent, became) in fleet.agents().iter().zip(&round.became) {
        let member = watched.members.get(&agent.id);
        let odd = difference(release.works, became, member);
        wrong.extend(odd.map(|odd| format!("rollout {name}, agent {}: {odd}", agent.label())));
    }
    let failed = round
        .became
        .iter()
        .filter(|became| **became == Became::Failed)
        .count();
    if failed != usize::from(!release.works) {
        wrong.push(format!(
            "rollout {name}: {failed} agents failed, and {} must",
            usize::from(!release.works)
        ));
    }
    wrong
}

/// What is wrong with one agent.
fn difference(works: bool, became: &Became, member: Option<&RolloutMember>) -> Option<String> {
    let Some(member) = member else {
        return Some("the manager says nothing of it".to_owned());
    };
    let expected = match became {
        Became::Odd(found) => return Some(found.clone()),
        Became::Upgraded if !works => return Some("a release that does not run runs".to_owned()),
        Became::Failed | Became::Untouched if works => {
            return Some(format!("it should be upgraded, and is {became:?}"));
        }
        Became::Failed if !is_canary(member) => {
            return Some("it failed, and is not of the canary".to_owned());
        }
        Became::Upgraded => AgentState::Succeeded,
        Became::Failed => AgentState::Failed,
        Became::Untouched => AgentState::Waiting,
    };
    if member.state != expected {
        let (is, why) = (member.state, &member.reason);
        return Some(format!(
            "{became:?} by its home, and {is} by the manager: {why}"
        ));
    }
    if *became == Became::Untouched && member.task_id.is_some() {
        return Some("it has a task, and should not have been touched".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::{AgentId, TaskId};

    fn member(state: AgentState, wave: &str) -> RolloutMember {
        RolloutMember {
            agent: AgentId::new(1).unwrap(),
            name: None,
            state,
            reason: "why".into(),
            wave: Some(wave.into()),
            task_id: None,
        }
    }

    #[test]
    fn what_should_be_is_right() {
        for (works, became, state) in [
            (true, Became::Upgraded, AgentState::Succeeded),
            (false, Became::Failed, AgentState::Failed),
            (false, Became::Untouched, AgentState::Waiting),
        ] {
            let member = member(state, "canary");
            assert_eq!(difference(works, &became, Some(&member)), None);
            assert!(difference(works, &became, None).is_some());
        }
    }

    #[test]
    fn whoever_was_touched_and_should_not_have_been_is_found() {
        let waits = member(AgentState::Waiting, "rest");
        // Its installer ran, whatever the manager says.
        for became in [
            Became::Upgraded,
            Became::Failed,
            Became::Odd("2 installers".into()),
        ] {
            assert!(
                difference(false, &became, Some(&waits)).is_some(),
                "{became:?}"
            );
        }
        let rest = member(AgentState::Failed, "rest");
        assert!(difference(false, &Became::Failed, Some(&rest)).is_some());
        let mut tasked = waits.clone();
        tasked.task_id = Some(TaskId(1));
        assert!(difference(false, &Became::Untouched, Some(&tasked)).is_some());
        let said = member(AgentState::Failed, "canary");
        assert!(difference(false, &Became::Untouched, Some(&said)).is_some());
    }

    #[test]
    fn a_good_release_that_does_not_reach_an_agent_is_found() {
        let succeeded = member(AgentState::Succeeded, "rest");
        for became in [Became::Untouched, Became::Failed] {
            assert!(difference(true, &became, Some(&succeeded)).is_some());
        }
        let failed = member(AgentState::Failed, "rest");
        assert!(difference(true, &Became::Upgraded, Some(&failed)).is_some());
    }
}
