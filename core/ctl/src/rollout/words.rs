//! How rollouts are told: rates, durations, counts, and what several commands print.

use wpk_wire::own::rollout::{AgentState, Planned, SiteRate, StateCounts, Tallied, Words};

use crate::output::clean;

/// A rate in bits, as definitions write it: `20 Mbit/s`.
pub(super) fn rate(bytes_per_second: u64) -> String {
    let bits = u128::from(bytes_per_second) * 8;
    for (unit, size) in [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000)] {
        if bits >= size {
            let tenths = bits * 10 / size;
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                part => format!("{}.{part} {unit}", tenths / 10),
            };
        }
    }
    format!("{} kbit/s", bits.div_ceil(1_000))
}

/// Rates by site on one line.
pub(super) fn rates(rates: &[SiteRate]) -> String {
    let shown: Vec<String> = rates
        .iter()
        .map(|one| format!("{} {}", clean(&one.site), rate(one.bytes_per_second)))
        .collect();
    shown.join(", ")
}

/// A time that passes, as people say it: `2d 3h`, `45s`.
pub(super) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(number, _)| *number > 0);
    let shown = parts.iter().skip(first.unwrap_or(3)).take(2);
    let shown: Vec<String> = shown
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    match shown.is_empty() {
        true => "0s".to_owned(),
        false => shown.join(" "),
    }
}

/// So many agents: `1 agent`, `7 agents`.
pub(super) fn agents(count: u64) -> String {
    match count {
        1 => "1 agent".to_owned(),
        count => format!("{count} agents"),
    }
}

/// Kinds on one line, the largest first: `lyon 7, default 3`.
pub(super) fn kinds(tallied: &Tallied) -> String {
    let mut shown: Vec<String> = tallied
        .kinds
        .iter()
        .map(|kind| {
            let what = match &*kind.what {
                "" => "not known".to_owned(),
                what => clean(what),
            };
            format!("{what} {}", kind.agents)
        })
        .collect();
    shown.extend(others(tallied));
    shown.join(", ")
}

/// Kinds a line each: `    12  no space left`.
pub(super) fn kind_lines(tallied: &Tallied) -> Vec<String> {
    let mut lines: Vec<String> = tallied
        .kinds
        .iter()
        .map(|kind| format!("{:>7}  {}", kind.agents, clean(&kind.what)))
        .collect();
    lines.extend(others(tallied).map(|others| format!("         {others}")));
    lines
}

fn others(tallied: &Tallied) -> Option<String> {
    let (kinds, count) = (tallied.other_kinds, tallied.other_agents);
    (kinds > 0).then(|| format!("and {kinds} more with {}", agents(count)))
}

/// The states that agents are in, in words: `12 running, 3 failed`.
pub(super) fn counts(counts: &StateCounts) -> String {
    let shown: Vec<String> = [
        AgentState::Succeeded,
        AgentState::Current,
        AgentState::Soaking,
        AgentState::Running,
        AgentState::Waiting,
        AgentState::Failed,
        AgentState::Unknown,
        AgentState::Unreachable,
        AgentState::Unsupported,
        AgentState::Excluded,
    ]
    .into_iter()
    .filter(|state| counts.of(*state) > 0)
    .map(|state| format!("{} {state}", counts.of(state)))
    .collect();
    match shown.is_empty() {
        true => "none".to_owned(),
        false => shown.join(", "),
    }
}

/// Agents that run the target.
pub(super) fn done(counts: &StateCounts) -> u64 {
    counts.succeeded.saturating_add(counts.current)
}

/// Where a rollout goes: ` to v4.14.7`, ` to v4.14.7 from /srv/a.wpk`.
pub(super) fn destination(target: Option<&Words>, file: Option<&Words>) -> String {
    let target = target.map(|target| format!(" to {}", clean(target)));
    let file = file.map(|file| format!(" from {}", clean(file)));
    [target, file].into_iter().flatten().collect()
}

/// Its name, and which of it: `prod`, `prod#2`.
pub(super) fn named(name: &Words, generation: u32) -> String {
    match generation {
        0 | 1 => clean(name),
        generation => format!("{}#{generation}", clean(name)),
    }
}

/// Whether applying a plan would change nothing.
pub(super) fn changes_nothing(planned: &Planned) -> bool {
    use wpk_wire::own::rollout::PlannedChange::Unchanged;
    let all = planned.rollouts.iter();
    !planned.replaces_sites
        && !planned.replaces_releases
        && all.map(|one| one.what).all(|what| what == Unchanged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_in_bits() {
        let told: Vec<String> = [0, 1, 8_000, 125_000, 2_500_000, 2_562_500, 125_000_000]
            .map(rate)
            .into();
        assert_eq!(
            told,
            [
                "0 kbit/s",
                "1 kbit/s",
                "64 kbit/s",
                "1 Mbit/s",
                "20 Mbit/s",
                "20.5 Mbit/s",
                "1 Gbit/s"
            ]
        );
    }

    #[test]
    fn spans_are_short() {
        let told: Vec<String> = [-5, 0, 59, 60, 3_661, 86_400, 90_061, 86_460]
            .map(span)
            .into();
        assert_eq!(
            told,
            ["0s", "0s", "59s", "1m", "1h 1m", "1d", "1d 1h", "1d"]
        );
    }

    #[test]
    fn what_was_cut_off_is_counted() {
        let all = (0..40).map(|kind| (format!("k{kind:02}"), 1));
        let told = kinds(&Tallied::new(all));
        assert!(told.starts_with("k00 1, k01 1, "), "{told}");
        assert!(
            told.ends_with("k29 1, and 10 more with 10 agents"),
            "{told}"
        );
        assert_eq!(kinds(&Tallied::new([("", 2)])), "not known 2");
        assert_eq!(counts(&StateCounts::default()), "none");
    }
}
