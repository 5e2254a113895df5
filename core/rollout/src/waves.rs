//! Who is in which wave: an order of all agents, another one for each release, in which
//! every part has of each platform and site about what the whole has; and where the waves
//! end in it.

use std::collections::{BTreeMap, HashMap};

use wpk_api::AgentId;

use crate::definition::Wave;

/// An agent that could be in a wave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) id: AgentId,
    pub(crate) platform: &'a str,
    pub(crate) site: usize,
    pub(crate) connected: bool,
}

/// All candidates in the order of the waves. `seed` makes it another one for each release,
/// so that it is not always the same agents that go first. Agents that are not connected
/// come last: they could not fill a wave's sample.
pub(crate) fn order(candidates: &[Candidate<'_>], seed: &str) -> Vec<AgentId> {
    let seed = hash(seed);
    let mut order = Vec::with_capacity(candidates.len());
    for connected in [true, false] {
        let part: Vec<_> = (candidates.iter())
            .filter(|one| one.connected == connected)
            .collect();
        order.extend(spread(&part, seed));
    }
    order
}

fn spread(candidates: &[&Candidate<'_>], seed: u64) -> Vec<AgentId> {
    let mut groups: BTreeMap<(&str, usize), Vec<(u64, AgentId)>> = BTreeMap::new();
    for one in candidates {
        let place = (mix(seed ^ u64::from(one.id.get())), one.id);
        groups
            .entry((one.platform, one.site))
            .or_default()
            .push(place);
    }
    // The first of each platform, then everybody at the same part of his group as of the
    // whole.
    let mut first: HashMap<&str, (u64, AgentId)> = HashMap::new();
    for ((platform, _), group) in &mut groups {
        group.sort_unstable();
        if let Some(lowest) = group.first() {
            let known = first.entry(platform).or_insert(*lowest);
            *known = (*known).min(*lowest);
        }
    }
    let mut keyed: Vec<(u64, u64, AgentId)> = Vec::with_capacity(candidates.len());
    for ((platform, _), group) in &groups {
        for (rank, place) in group.iter().enumerate() {
            let part = ((2 * rank as u64 + 1) << 32) / (2 * group.len() as u64);
            let is_first = first.get(platform) == Some(place);
            keyed.push((if is_first { 0 } else { part }, place.0, place.1));
        }
    }
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, id)| id).collect()
}

/// Where each wave ends in an order of so many.
pub(crate) fn ends(waves: &[Wave], all: usize) -> Vec<usize> {
    let mut before = 0;
    let ends = waves.iter().map(|wave| {
        before = wave.size.up_of(all).clamp(before, all);
        before
    });
    ends.collect()
}

/// FNV-1a; the order is no secret.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The finaliser of SplitMix64.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Vec<Candidate<'static>> {
        let platforms = [("ubuntu", 60), ("windows", 30), ("darwin", 10)];
        let mut fleet = Vec::new();
        for (platform, count) in platforms {
            for number in 0..count {
                fleet.push(Candidate {
                    id: AgentId::new(fleet.len() as i64 + 1).unwrap(),
                    platform,
                    site: number % 2,
                    connected: true,
                });
            }
        }
        fleet
    }

    #[test]
    fn every_part_has_of_each_platform_and_site() {
        let fleet = fleet();
        let order = order(&fleet, "v4.14.7");
        assert_eq!(order.len(), 100);
        let of = |id: &AgentId| fleet[id.get() as usize - 1];
        for end in [3, 20, 50] {
            for (platform, share) in [("ubuntu", 60), ("windows", 30), ("darwin", 10)] {
                let here = order[..end]
                    .iter()
                    .filter(|id| of(id).platform == platform)
                    .count();
                let wanted = share * end / 100;
                assert!(
                    here.abs_diff(wanted) <= 2 && here > 0,
                    "{platform} {here} of {end}"
                );
            }
        }
        let second = order[..50].iter().filter(|id| of(id).site == 1).count();
        assert!((22..=28).contains(&second), "{second}");
    }

    // Trap: the same hosts are always the first.
    #[test]
    fn each_release_has_another_order() {
        let fleet = fleet();
        let first = |seed: &str| order(&fleet, seed)[..10].to_vec();
        assert_eq!(first("v4.14.7"), first("v4.14.7"));
        let (one, two) = (first("v4.14.7"), first("v4.14.8"));
        let both = one.iter().filter(|id| two.contains(id)).count();
        assert!(both < 5, "{both} of 10 are the first again");
    }

    #[test]
    fn who_is_not_connected_comes_last() {
        let mut fleet = fleet();
        fleet[3].connected = false;
        fleet[70].connected = false;
        let order = order(&fleet, "x");
        let last: Vec<_> = order[98..].iter().map(|id| id.get()).collect();
        assert!(last.contains(&4) && last.contains(&71), "{last:?}");
    }

    #[test]
    fn sizes_are_cumulative_and_rounded_up() {
        let wave = |size: &str| Wave {
            name: "w".parse().unwrap(),
            size: size.parse().unwrap(),
            min_sample: 1,
            max_failures: "0".parse().unwrap(),
            soak: wpk_api::settings::Span::seconds(1),
            strict: false,
            unknown_after: None,
            max_concurrent: None,
        };
        let waves = ["1%", "20", "50%", "100%"].map(wave);
        assert_eq!(ends(&waves, 101), [2, 20, 51, 101]);
        assert_eq!(ends(&waves, 10), [1, 10, 10, 10]);
        assert_eq!(ends(&waves, 0), [0, 0, 0, 0]);
    }
}
