//! Agent ids on the command line: single ones and ranges, how many of them a command
//! takes, and how many are shown on one line.

use std::ops::RangeInclusive;

use wpk_api::AgentId;

use crate::error::CtlError;

/// The most agents that one command takes.
const MAX_AGENTS: u64 = 1_000_000;
/// The most ids and ranges in one printed list.
const MAX_SHOWN: usize = 20;

/// One id or a range of them.
pub(crate) fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
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

/// Whether ranges are few enough for one command.
///
/// # Errors
/// [`CtlError::Usage`] if there are more than a million ids in them.
pub(crate) fn bounded(ranges: impl Iterator<Item = RangeInclusive<u32>>) -> Result<(), CtlError> {
    let total: u64 = ranges
        .map(|range| u64::from(range.end() - range.start()) + 1)
        .sum();
    if total > MAX_AGENTS {
        return Err(CtlError::Usage(format!(
            "{total} agents are too many for one command; give at most {MAX_AGENTS}"
        )));
    }
    Ok(())
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

    fn shown(ids: impl IntoIterator<Item = i64>) -> String {
        compact(ids.into_iter().map(|id| AgentId::new(id).unwrap()))
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "a",
            "-1",
            "1-",
            "5-1",
            "2147483648",
            "+1",
            "1-2-3",
            " 1",
        ] {
            assert!(range(bad).is_err(), "{bad:?}");
        }
        assert!(
            bounded([0..=2_147_483_647].into_iter())
                .unwrap_err()
                .is_usage()
        );
    }

    #[test]
    fn lists_are_short() {
        assert_eq!(shown([3, 1, 2, 7, 9, 10]), "001-003, 007, 009, 010");
        let scattered = (0..100).map(|n| n * 2);
        assert!(shown(scattered).ends_with("038, and 80 more"));
    }
}
