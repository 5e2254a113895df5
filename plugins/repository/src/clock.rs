//! The clock, against that of a repository: certificates and task time-outs
//! depend on it.

use std::time::SystemTime;

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use wpk_api::examine::Check;

/// Seconds that are nothing to worry about; the header counts whole ones.
const FINE: u64 = 60;
/// Seconds from which certificates may be misjudged.
const TOO_MUCH: u64 = 3_600;
/// No machine with this program lives before 2025.
const BEFORE: i64 = 1_735_689_600;

/// Judges the machine's clock; `date` is a `Date` header received just now.
pub(crate) fn look(date: Option<&HeaderValue>) -> Check {
    let now = Timestamp::try_from(SystemTime::now()).map_or(0, Timestamp::as_second);
    judge(now, date.and_then(|date| date.to_str().ok()))
}

/// `now` in unix seconds.
fn judge(now: i64, date: Option<&str>) -> Check {
    const NAME: &str = "clock";
    const ADVICE: &str = "synchronise the clock (NTP)";
    if now < BEFORE {
        return Check::failure(NAME, "it is set before 2025", ADVICE);
    }
    let parse = |text| jiff::fmt::rfc2822::parse(text).ok();
    let Some(theirs) = date.and_then(parse) else {
        return Check::ok(NAME, "not compared: the repository did not tell its time");
    };
    let apart = now.abs_diff(theirs.timestamp().as_second());
    let detail = format!("{apart} s apart from the repository's");
    if apart <= FINE {
        Check::ok(NAME, detail)
    } else if apart < TOO_MUCH {
        Check::warning(NAME, detail, ADVICE)
    } else {
        Check::failure(NAME, detail, ADVICE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::examine::Level;

    #[test]
    fn the_difference_decides() {
        // Sun, 06 Nov 2044 08:49:37 GMT.
        let theirs = 2_362_034_977;
        let date = Some("Sun, 06 Nov 2044 08:49:37 GMT");
        for (now, level) in [
            (theirs, Level::Ok),
            (theirs + 60, Level::Ok),
            (theirs - 61, Level::Warning),
            (theirs + 3_600, Level::Failure),
            (0, Level::Failure),
        ] {
            assert_eq!(judge(now, date).level, level, "{now}");
        }
        assert_eq!(judge(theirs, Some("yesterday")).level, Level::Ok);
        assert_eq!(judge(5, None).level, Level::Failure);
    }
}
