//! What rollouts came to, as of the last plan. The node that plans tells it, and no other,
//! so that sums over nodes are true.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use wpk_rollout::{Counts, Gate, RolloutState, RolloutStatus};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    rollout: String,
    state: &'static str,
}

/// What is measured of rollouts.
#[derive(Default)]
pub(crate) struct Rollouts {
    states: Family<OfState, Gauge>,
    agents: Family<OfState, Gauge>,
    waves: Family<OfState, Gauge>,
    halts: Counter,
}

impl Rollouts {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "1: the state that a rollout is in, as of the last plan of this node";
        registry.register("rollout_state", help, self.states.clone());
        let help = "Agents of a rollout, by their state";
        registry.register("rollout_agents", help, self.agents.clone());
        let help = "Waves of a rollout, by whether they are open or passed";
        registry.register("rollout_waves", help, self.waves.clone());
        let help = "Rollouts that were halted here, by the planner or by an operator";
        registry.register("rollout_halts", help, self.halts.clone());
    }

    /// A rollout was halted.
    pub(crate) fn halted(&self) {
        self.halts.inc();
    }

    /// All that are not over; what was told of others is forgotten.
    pub(crate) fn are<'a>(&self, rollouts: impl IntoIterator<Item = &'a RolloutStatus>) {
        self.none();
        for rollout in rollouts {
            if matches!(
                rollout.state,
                RolloutState::Superseded | RolloutState::Cancelled
            ) {
                continue;
            }
            let set = |family: &Family<OfState, Gauge>, state, count: usize| {
                let rollout = rollout.key.name.to_string();
                let gauge = family.get_or_create(&OfState { rollout, state });
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            };
            set(&self.states, rollout.state.as_str(), 1);
            for (state, count) in by_state(&rollout.counts) {
                set(&self.agents, state, count);
            }
            let waves = |is: fn(&Gate) -> bool| {
                let waves = rollout.waves.iter();
                waves.filter(|wave| is(&wave.gate)).count()
            };
            let passed = waves(|gate| *gate == Gate::Passed);
            let closed = waves(|gate| *gate == Gate::NotOpen);
            set(&self.waves, "passed", passed);
            set(&self.waves, "not_open", closed);
            let open = rollout.waves.len().saturating_sub(passed + closed);
            set(&self.waves, "open", open);
        }
    }

    /// This node does not plan.
    pub(crate) fn none(&self) {
        self.states.clear();
        self.agents.clear();
        self.waves.clear();
    }
}

const fn by_state(counts: &Counts) -> [(&'static str, usize); 10] {
    [
        ("current", counts.current),
        ("excluded", counts.excluded),
        ("unreachable", counts.unreachable),
        ("unsupported", counts.unsupported),
        ("waiting", counts.waiting),
        ("running", counts.running),
        ("soaking", counts.soaking),
        ("succeeded", counts.succeeded),
        ("failed", counts.failed),
        ("unknown", counts.unknown),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use wpk_rollout::RolloutKey;

    fn status(name: &str, state: RolloutState) -> RolloutStatus {
        let counts = Counts {
            failed: 3,
            waiting: 5,
            ..Counts::default()
        };
        RolloutStatus {
            key: RolloutKey {
                name: name.parse().unwrap(),
                generation: 2,
            },
            state,
            counts,
            waves: Vec::new(),
            problems: Vec::new(),
            elsewhere: Vec::new(),
            overdue: None,
        }
    }

    #[test]
    fn what_is_over_is_forgotten_and_halts_are_counted() {
        let metrics = Metrics::new();
        let halted = RolloutState::Halted("3 failed".into());
        let over = status("old", RolloutState::Cancelled);
        metrics
            .rollouts
            .are(&[status("prod", halted), over.clone()]);
        metrics.rollouts.halted();
        let text = metrics.text();
        for line in [
            "wpkd_rollout_state{rollout=\"prod\",state=\"halted\"} 1",
            "wpkd_rollout_agents{rollout=\"prod\",state=\"failed\"} 3",
            "wpkd_rollout_agents{rollout=\"prod\",state=\"waiting\"} 5",
            "wpkd_rollout_waves{rollout=\"prod\",state=\"open\"} 0",
            "wpkd_rollout_halts_total 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("\"old\""), "{text}");
        metrics.rollouts.are(&[over]);
        assert!(!metrics.text().contains("\"prod\""));
    }
}
