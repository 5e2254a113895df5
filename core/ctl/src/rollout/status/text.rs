//! A rollout as text, which is printed once.

use wpk_wire::own::rollout::{
    FailedAgent, GateWord, RolloutState, StatusOfRollout, StatusOfWave, Words,
};

use crate::output::{clean, time};
use crate::rollout::words::{agents, counts, destination, done, kind_lines, kinds, named, span};
use crate::table::{indented, table};

/// All lines.
pub(super) fn lines(status: &StatusOfRollout) -> Vec<String> {
    let mut lines = vec![title(status)];
    lines.extend(warnings(status).into_iter().map(|line| format!("  {line}")));
    let mut times = format!("  applied {}", time(status.applied));
    if let Some(starts) = status.starts {
        times += &format!(", starts {}", time(starts));
    }
    if let Some(deadline) = status.deadline {
        times += &format!(", deadline {}", time(deadline));
    }
    lines.push(times);
    lines.push(format!("  agents: {}", counts(&status.counts)));
    if !status.elsewhere.is_empty() {
        let others = kinds(&status.elsewhere);
        lines.push(format!("  belong to rollouts applied before: {others}"));
    }
    lines.extend(waves(&status.waves));
    if !status.causes.is_empty() {
        lines.push("  failures by cause:".to_owned());
        lines.extend(kind_lines(&status.causes));
    }
    if !status.failures.is_empty() {
        lines.push("  newest failures:".to_owned());
        lines.extend(
            status
                .failures
                .iter()
                .map(failure)
                .map(|line| format!("    {line}")),
        );
    }
    if let Some(next) = &status.next {
        lines.push(format!("  next: {}: {}", time(next.at), clean(&next.what)));
    }
    if let Some(node) = &status.planner.node {
        let made = status.planner.planned;
        let made = made.map_or_else(String::new, |at| format!(" at {}", time(at)));
        lines.push(format!("  planned by node {}{made}", clean(node)));
    }
    lines
}

/// What it is, where it goes, how it is.
pub(super) fn title(status: &StatusOfRollout) -> String {
    format!(
        "rollout {}{}: {}",
        named(&status.name, status.generation),
        destination(status.target.as_ref(), status.file.as_ref()),
        status.state
    )
}

/// What somebody should look at.
pub(super) fn warnings(status: &StatusOfRollout) -> Vec<String> {
    let mut lines = Vec::new();
    // Why it cannot start is told once.
    let reason = status.reason.as_ref();
    if let Some(reason) = reason.filter(|reason| !status.problems.contains(reason)) {
        lines.push(format!("{}: {}", status.state, clean(reason)));
    }
    for problem in &status.problems {
        lines.push(format!("cannot start: {}", clean(problem)));
    }
    if let Some(left) = status.overdue {
        lines.push(format!("its deadline is over, and {} left", are(left)));
    }
    let over = matches!(
        status.state,
        RolloutState::Cancelled | RolloutState::Superseded
    );
    if status.planner.node.is_none() && !over {
        lines.push("no manager node plans it now: nothing begins".to_owned());
    }
    if let Some(trouble) = &status.planner.trouble {
        lines.push(format!("it cannot be planned: {}", clean(trouble)));
    }
    if let Some(since) = status.planner.stale_since {
        let for_long = span(status.now.saturating_sub(since));
        lines.push(format!("what is told here is {for_long} old"));
    }
    lines
}

fn are(left: u64) -> String {
    match left {
        1 => "1 agent is".to_owned(),
        left => format!("{} are", agents(left)),
    }
}

fn waves(waves: &[StatusOfWave]) -> Vec<String> {
    if waves.is_empty() {
        return Vec::new();
    }
    let mut table = table(&[
        "wave", "agents", "done", "soaking", "running", "waiting", "away", "failed", "may fail",
        "unknown",
    ]);
    for wave in waves {
        let counts = &wave.counts;
        let mut row = vec![clean(&wave.name)];
        let numbers = [
            wave.members,
            done(counts),
            counts.soaking,
            counts.running,
            counts.waiting,
            counts.unreachable,
            wave.failed,
            wave.may_fail,
            counts.unknown,
        ];
        row.extend(numbers.map(|number| number.to_string()));
        table.add_row(row);
    }
    let mut lines = indented(&table, 2);
    lines.extend(waves.iter().map(|wave| format!("  {}", gate(wave))));
    lines
}

/// What the gate of a wave says.
pub(super) fn gate(wave: &StatusOfWave) -> String {
    let words = match &*wave.gate_words {
        "" => String::new(),
        words => format!(": {}", clean(words)),
    };
    let name = clean(&wave.name);
    match wave.gate {
        GateWord::NotOpen => format!("gate of {name}: its wave is not open{words}"),
        GateWord::Waits => format!("gate of {name} waits{words}"),
        GateWord::Passes => format!("gate of {name} passes{words}"),
        GateWord::Passed => match wave.passed {
            Some(at) => format!("gate of {name} passed {}{words}", time(at)),
            None => format!("gate of {name} passed{words}"),
        },
        GateWord::Exceeded => format!("gate of {name} is exceeded{words}"),
        GateWord::Other => format!("gate of {name}{words}"),
    }
}

/// An agent that failed, on one line.
pub(super) fn failure(failed: &FailedAgent) -> String {
    let in_brackets = |text: &Option<Words>| {
        let text = text.as_ref();
        text.map_or_else(String::new, |text| format!(" ({})", clean(text)))
    };
    let wave = failed.wave.as_ref();
    let wave = wave.map_or_else(String::new, |wave| format!(", wave {}", clean(wave)));
    let at = failed.at;
    let at = at.map_or_else(String::new, |at| format!(", {}", time(at)));
    let again = match failed.tries_left {
        0 => String::new(),
        1 => "; 1 try left".to_owned(),
        left => format!("; {left} tries left"),
    };
    format!(
        "agent {}{}{wave}{at}: {}{again}",
        failed.agent,
        in_brackets(&failed.name),
        clean(&failed.cause)
    )
}
