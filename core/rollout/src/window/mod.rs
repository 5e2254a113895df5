//! Windows: when installers may begin at a site. `Mon-Thu 22:00-05:00` is from 22:00 on
//! each of these days to 05:00 of the next one, by the clock on the site's wall.
//!
//! ```text
//! window = [ days ] HH:MM "-" HH:MM        without days: every day; 24:00 may end one
//! days   = day [ "-" day ] { "," day [ "-" day ] }
//! ```
//!
//! Where daylight saving turns the clock forward, a time that does not exist is the
//! moment of the change; where it turns it back, a time that comes twice is its first
//! coming. So a window may be shorter or empty on such a day, but never ends later than
//! it says. Without any window a site is closed.

mod zone;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wpk_api::UnixTime;
use wpk_api::words::clean;

use crate::text::from_text;

pub use zone::{UnknownZone, Zone};

/// The most windows of one site.
pub const MOST_WINDOWS: usize = 64;
/// How far ahead openings and closings are looked for: longer than any gap between two
/// windows, of which the only one may fall into the hour that a clock skips.
const DAYS_AHEAD: i32 = 22;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// One window of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// A bit for each day on which it begins; Monday is the lowest.
    days: u8,
    /// Minutes since midnight.
    start: u16,
    /// Minutes since midnight; not later than `start` is on the next day.
    end: u16,
}

/// A text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no window: {why}; write for example \"Mon-Thu 22:00-05:00\"")]
pub struct WindowError {
    /// The text.
    pub text: String,
    why: &'static str,
}

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EVERY_DAY: u8 = 0x7f;

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        read(text).map_err(|why| WindowError {
            text: clean(text, 64),
            why,
        })
    }
}

fn read(text: &str) -> Result<Window, &'static str> {
    let mut words = text.split_whitespace();
    let (days, times) = match (words.next(), words.next(), words.next()) {
        (Some(times), None, _) => (EVERY_DAY, times),
        (Some(named), Some(times), None) => (days(named)?, times),
        _ => return Err("days and times are expected"),
    };
    let (start, end) = times
        .split_once('-')
        .ok_or("a time such as 22:00-05:00 is missing")?;
    let (start, end) = (minute(start)?, minute(end)?);
    if start == DAY {
        return Err("24:00 can only end it");
    }
    if start == end {
        return Err(
            "it ends when it begins, so it would never be open (the whole day is 00:00-24:00)",
        );
    }
    Ok(Window { days, start, end })
}

fn days(text: &str) -> Result<u8, &'static str> {
    const WRONG: &str = "days are Mon, Tue, Wed, Thu, Fri, Sat, Sun, with - and ,";
    let day = |name: &str| {
        let at = NAMES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name));
        at.ok_or(WRONG)
    };
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // Fri-Mon goes over the end of the week.
        for step in 0..=(last + 7 - first) % 7 {
            days |= 1 << ((first + step) % 7);
        }
    }
    Ok(days)
}

fn minute(text: &str) -> Result<u16, &'static str> {
    const WRONG: &str = "times are HH:MM, 00:00 to 24:00";
    let (hour, minute) = text.split_once(':').ok_or(WRONG)?;
    let number = |text: &str| -> Result<u16, &'static str> {
        let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| two).ok_or(WRONG)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let whole = hour * 60 + minute;
    if minute > 59 || whole > DAY {
        return Err(WRONG);
    }
    Ok(whole)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != EVERY_DAY {
            let is = |day: usize| self.days & (1 << day) != 0;
            let mut day = 0;
            let mut between = "";
            while day < 7 {
                if !is(day) {
                    day += 1;
                    continue;
                }
                let last = (day..7).take_while(|day| is(*day)).last().unwrap_or(day);
                f.write_str(between)?;
                between = ",";
                match last - day {
                    0 => f.write_str(NAMES[day])?,
                    _ => write!(f, "{}-{}", NAMES[day], NAMES[last])?,
                }
                day = last + 1;
            }
            f.write_str(" ")?;
        }
        let (start, end) = (self.start, self.end);
        let (h, m) = (start / 60, start % 60);
        write!(f, "{h:02}:{m:02}-{:02}:{:02}", end / 60, end % 60)
    }
}

impl Window {
    fn begins_on(&self, day: Weekday) -> bool {
        self.days & (1 << day.to_monday_zero_offset()) != 0
    }

    /// From when to when it is open if it begins on `date`; `None` if it does not, or if
    /// the clock skips all of it.
    fn on(&self, date: Date, zone: &Zone) -> Option<(UnixTime, UnixTime)> {
        if !self.begins_on(date.weekday()) {
            return None;
        }
        let last = match self.end > self.start {
            true => date,
            false => date.tomorrow().ok()?,
        };
        let start = zone.instant(date, self.start)?;
        let end = zone.instant(last, self.end)?;
        (start < end).then_some((start, end))
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "Mon-Thu 22:00-05:00")
    }
}

/// What a site's windows say of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Open; until when, `None` if it does not close within three weeks.
    Open(Option<UnixTime>),
    /// Closed; from when it is open, `None` if that never comes.
    Closed(Option<UnixTime>),
}

/// Whether any of `windows` is open at `now`, and what changes next. No windows: closed.
/// Times beyond year 9999: closed.
pub fn opening(windows: &[Window], zone: &Zone, now: UnixTime) -> Opening {
    let Ok(instant) = Timestamp::from_second(now) else {
        return Opening::Closed(None);
    };
    let today = zone.date(instant);
    let mut spans: Vec<(UnixTime, UnixTime)> = (-2..=DAYS_AHEAD)
        .filter_map(|days| today.checked_add(jiff::Span::new().days(days)).ok())
        .flat_map(|date| {
            windows
                .iter()
                .filter_map(move |window| window.on(date, zone))
        })
        .collect();
    spans.sort_unstable();
    // Windows that touch are one.
    let mut merged: Vec<(UnixTime, UnixTime)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    let Some((start, end)) = merged.into_iter().find(|(_, end)| now < *end) else {
        return Opening::Closed(None);
    };
    if now < start {
        return Opening::Closed(Some(start));
    }
    let horizon = now.saturating_add(i64::from(DAYS_AHEAD - 1) * 86_400);
    Opening::Open((end < horizon).then_some(end))
}

impl Opening {
    /// Whether it is open.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open(_))
    }
}
