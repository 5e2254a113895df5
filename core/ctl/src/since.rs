//! A moment on the command line: some time ago, a day, or a moment with its offset.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use wpk_api::UnixTime;
use wpk_rollout::Moment;

use crate::options;

/// `2h`, `2026-12-05` or `2026-12-05T01:00:00+01:00`, as seconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since(pub(crate) UnixTime);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = options::duration(text) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let then = now.unwrap_or_default().saturating_sub(ago);
            return Ok(Self(then.as_secs().cast_signed()));
        }
        let day = format!("{text}T00:00:00Z");
        (text.parse::<Moment>().or_else(|_| day.parse::<Moment>()))
            .map(|moment| Self(moment.0))
            .map_err(|_| {
                format!(
                    "{text:?} is no time: write how long ago (2h, 3d), a day in UTC (2026-12-05) \
                     or a moment (2026-12-05T01:00:00+01:00)"
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_moments_and_spans_are_read_and_nothing_else() {
        let at = |text: &str| text.parse::<Since>().map(|since| since.0);
        assert_eq!(at("1970-01-02"), Ok(86_400));
        assert_eq!(at("1970-01-01T02:00:00+01:00"), Ok(3_600));
        assert_eq!(at("1969-12-31"), Ok(-86_400));
        let (day, hours) = (at("1d").unwrap(), at("25h").unwrap());
        assert!((3_600..3_660).contains(&(day - hours)), "{day} {hours}");
        for bad in [
            "",
            "h",
            "2",
            "yesterday",
            "2026-13-01",
            "2026-12-05T01:00",
            "-2h",
            "500d",
        ] {
            assert!(at(bad).unwrap_err().contains("is no time"), "{bad}");
        }
    }
}
