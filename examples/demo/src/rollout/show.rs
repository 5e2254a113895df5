//! A line for every change of a rollout.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::time::{Duration, Instant};

use wpk_api::AgentId;
use wpk_wire::own::rollout::{
    AgentState, GateWord, HistoryEvent, RolloutMember, StatusOfRollout, StatusOfWave,
};

use crate::screen::say;

/// Between two lines of the same wave, at least; one that is strict is small.
const PAUSE: Duration = Duration::from_secs(1);
/// The most agents that are named in a line.
const NAMED: usize = 2;

/// What was shown already.
pub(crate) struct View {
    since: Instant,
    events: u64,
    waves: HashMap<String, (String, Instant)>,
    failed: BTreeSet<AgentId>,
}

impl View {
    /// Nothing yet.
    pub(crate) fn new(since: Instant) -> Self {
        Self {
            since,
            events: 0,
            waves: HashMap::new(),
            failed: BTreeSet::new(),
        }
    }

    /// Shows what is new.
    pub(crate) fn show(
        &mut self,
        history: &[HistoryEvent],
        status: &StatusOfRollout,
        members: &BTreeMap<AgentId, RolloutMember>,
    ) {
        for failed in &status.failures {
            if self.failed.insert(failed.agent) {
                let name = failed.name.as_deref().unwrap_or_default();
                self.line(
                    format_args!("{} {name}", failed.agent),
                    format_args!("failed: {}", failed.cause),
                );
            }
        }
        for event in history.iter().filter(|event| event.number > self.events) {
            self.line("rollout", format_args!("{}: {}", event.what, event.words));
        }
        let newest = history.last().map_or(0, |event| event.number);
        self.events = self.events.max(newest);
        for wave in status.waves.iter().filter(|wave| is_open(wave)) {
            let text = text(wave, members);
            let shown = self.waves.get(&*wave.name);
            let pause = if wave.strict { Duration::ZERO } else { PAUSE };
            if shown.is_some_and(|(shown, at)| *shown == text || at.elapsed() < pause) {
                continue;
            }
            self.line(format_args!("wave {}", wave.name), &text);
            self.waves
                .insert(wave.name.to_string(), (text, Instant::now()));
        }
    }

    /// Something about the whole.
    pub(crate) fn note(&self, text: impl Display) {
        self.line("rollout", text);
    }

    fn line(&self, label: impl Display, text: impl Display) {
        let since = self.since.elapsed().as_secs_f64();
        let label = label.to_string();
        say(format_args!("  {since:4.1} s  {label:12} {text}"));
    }
}

fn is_open(wave: &StatusOfWave) -> bool {
    !matches!(wave.gate, GateWord::NotOpen | GateWord::Passed)
}

/// `1 running (lyon-07), 3 waiting; its gate waits: 1 of 4 are running`
fn text(wave: &StatusOfWave, members: &BTreeMap<AgentId, RolloutMember>) -> String {
    let counted = AgentState::ALL.iter().filter_map(|state| {
        let count = wave.counts.of(*state);
        let running = *state == AgentState::Running && count <= NAMED as u64;
        let names: Vec<&str> = members
            .values()
            .filter(|member| running && member.state == *state)
            .filter(|member| member.wave.as_deref() == Some(&*wave.name))
            .filter_map(|member| member.name.as_deref())
            .collect();
        match (count, names.as_slice()) {
            (0, _) => None,
            (count, []) => Some(format!("{count} {state}")),
            (count, names) => Some(format!("{count} {state} ({})", names.join(", "))),
        }
    });
    let counted: Vec<String> = counted.collect();
    let gate = match wave.gate {
        GateWord::Waits => "its gate waits",
        GateWord::Passes => "its gate passes",
        GateWord::Exceeded => "its gate is shut",
        _ => "its gate",
    };
    format!("{}; {gate}: {}", counted.join(", "), wave.gate_words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_wire::own::rollout::StateCounts;

    #[test]
    fn a_wave_is_one_line_with_what_its_gate_waits_for() {
        let wave = StatusOfWave {
            name: "canary".into(),
            counts: StateCounts {
                running: 1,
                waiting: 3,
                ..StateCounts::default()
            },
            gate: GateWord::Waits,
            gate_words: "1 of 4 are running".into(),
            ..StatusOfWave::default()
        };
        let id = AgentId::new(7).unwrap();
        let runs = RolloutMember {
            agent: id,
            name: Some("lyon-07".into()),
            state: AgentState::Running,
            reason: "".into(),
            wave: Some("canary".into()),
            task_id: None,
        };
        assert_eq!(
            text(&wave, &BTreeMap::from([(id, runs)])),
            "3 waiting, 1 running (lyon-07); its gate waits: 1 of 4 are running"
        );
    }
}
