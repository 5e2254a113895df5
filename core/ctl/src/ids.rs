//! Agent ids on the command line: single ones, ranges, lists of both, and how
//! many of them are shown on one line.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use wpk_api::AgentId;

use crate::error::CtlError;

/// The most agents that one command takes.
const MAX_AGENTS: u64 = 1_000_000;
/// The most ids and ranges in one printed list.
const MAX_SHOWN: usize = 20;

/// One argument: `7`, `001`, `1-50`, `1,2,5-7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdRanges(Vec<RangeInclusive<u32>>);

impl FromStr for IdRanges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(range)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    match text.split_once('-') {
        None => number(text).map(|id| id.get()..=id.get()),
        Some((first, last)) => {
            let (first, last) = (number(first)?.get(), number(last)?.get());
            if first > last {
                return Err(format!("{text:?} runs backwards; write {last}-{first}"));
            }
            Ok(first..=last)
        }
    }
}

/// One id: 0 to 2147483647, in digits only.
pub(crate) fn number(text: &str) -> Result<AgentId, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<i64>()
        .ok()
        .filter(|_| digits)
        .and_then(|id| AgentId::new(id).ok())
        .ok_or_else(|| {
            format!("{text:?} is no agent id; ids are 0 to 2147483647, ranges are written 1-50")
        })
}

/// The ids of all arguments, in their order, each once.
///
/// # Errors
/// [`CtlError::Usage`] if there are more than a million.
pub(crate) fn expand(arguments: &[IdRanges]) -> Result<Vec<AgentId>, CtlError> {
    let ranges = || arguments.iter().flat_map(|argument| &argument.0);
    let total: u64 = ranges()
        .map(|range| u64::from(range.end() - range.start()) + 1)
        .sum();
    if total > MAX_AGENTS {
        return Err(CtlError::Usage(format!(
            "{total} agents are too many for one command; give at most {MAX_AGENTS}"
        )));
    }
    let mut seen = HashSet::new();
    Ok(ranges()
        .flat_map(Clone::clone)
        .filter(|id| seen.insert(*id))
        .filter_map(|id| AgentId::new(id.into()).ok())
        .collect())
}

/// Ids in ascending order as short as it goes: `001-003, 007`.
pub(crate) fn compact(ids: impl IntoIterator<Item = AgentId>) -> String {
    let mut ids: Vec<AgentId> = ids.into_iter().collect();
    ids.sort_unstable();
    let mut ranges: Vec<(AgentId, AgentId)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if id.get() - last.get() <= 1 => *last = id,
            _ => ranges.push((id, id)),
        }
    }
    let mut shown: Vec<String> = ranges
        .iter()
        .take(MAX_SHOWN)
        .map(|(first, last)| match last.get() - first.get() {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    if ranges.len() > MAX_SHOWN {
        let hidden: u64 = ranges
            .iter()
            .skip(MAX_SHOWN)
            .map(|(first, last)| u64::from(last.get() - first.get()) + 1)
            .sum();
        shown.push(format!("and {hidden} more"));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(arguments: &[&str]) -> Vec<u32> {
        let parsed: Vec<IdRanges> = arguments.iter().map(|a| a.parse().unwrap()).collect();
        let ids = expand(&parsed).unwrap();
        ids.into_iter().map(AgentId::get).collect()
    }

    fn shown(ids: impl IntoIterator<Item = i64>) -> String {
        compact(ids.into_iter().map(|id| AgentId::new(id).unwrap()))
    }

    #[test]
    fn ids_and_ranges_expand_in_order_and_once() {
        assert_eq!(ids(&["001", "3-5", "4", "9,2"]), [1, 3, 4, 5, 9, 2]);
        assert_eq!(ids(&["000"]), [0]);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "a",
            "-1",
            "1-",
            "5-1",
            "1,,2",
            "2147483648",
            "+1",
            "1-2-3",
            " 1",
        ] {
            assert!(bad.parse::<IdRanges>().is_err(), "{bad:?}");
        }
        let many = ["0-2147483647".parse().unwrap()];
        assert!(expand(&many).unwrap_err().is_usage());
    }

    #[test]
    fn lists_are_short() {
        assert_eq!(shown([3, 1, 2, 7, 9, 10]), "001-003, 007, 009, 010");
        let scattered = (0..100).map(|n| n * 2);
        assert!(shown(scattered).ends_with("038, and 80 more"));
    }
}
