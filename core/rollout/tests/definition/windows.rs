//! Windows: days, midnight, leap days, daylight saving; nothing is open by mistake.

use jiff::Timestamp;
use proptest::prelude::*;
use wpk_rollout::{Opening, Window, Zone, opening};

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn windows(texts: &[&str]) -> Vec<Window> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn paris(texts: &[&str], moment: &str) -> Opening {
    opening(&windows(texts), &zone("Europe/Paris"), at(moment))
}

fn open(until: &str) -> Opening {
    Opening::Open(Some(at(until)))
}

fn closed(until: &str) -> Opening {
    Opening::Closed(Some(at(until)))
}

#[test]
fn texts_read_and_print() {
    for (text, shown) in [
        ("Mon-Thu 22:00-05:00", "Mon-Thu 22:00-05:00"),
        ("sat,SUN 00:00-24:00", "Sat-Sun 00:00-24:00"),
        ("Fri-Mon 01:00-02:00", "Mon,Fri-Sun 01:00-02:00"),
        ("Mon-Sun 01:00-02:00", "01:00-02:00"),
        ("  22:00-05:00 ", "22:00-05:00"),
        ("Wed 23:59-00:00", "Wed 23:59-00:00"),
    ] {
        assert_eq!(text.parse::<Window>().unwrap().to_string(), shown);
    }
    for bad in [
        "",
        "Mon",
        "Mon 22:00",
        "Mon 22-05",
        "Mon 22:00-25:00",
        "Mon 22:60-23:00",
        "Mon 24:00-05:00",
        "Mon 24:01-05:00",
        "Mon 10:00-10:00",
        "Mo 10:00-11:00",
        "Mon- 10:00-11:00",
        "Mon 10:00-11:00 x",
        "Mon 1:00-2:00",
        "Mon 10:00-11:00,12:00-13:00",
        "Mon -1:00-02:00",
    ] {
        let error = bad.parse::<Window>().unwrap_err().to_string();
        assert!(error.contains("write for example"), "{bad:?}: {error}");
    }
}

// A window that is cut at UTC midnight would close at 01:00 in Paris.
#[test]
fn a_night_goes_over_midnight_by_the_clock_on_the_wall() {
    let nights = ["Mon-Thu 22:00-05:00"];
    // 2026-11-23 is a Monday; Paris is at +01:00.
    assert_eq!(
        paris(&nights, "2026-11-23T20:59:59Z"),
        closed("2026-11-23T21:00:00Z")
    );
    assert_eq!(
        paris(&nights, "2026-11-23T21:00:00Z"),
        open("2026-11-24T04:00:00Z")
    );
    assert_eq!(
        paris(&nights, "2026-11-24T00:00:00Z"),
        open("2026-11-24T04:00:00Z")
    );
    assert_eq!(
        paris(&nights, "2026-11-24T03:59:59Z"),
        open("2026-11-24T04:00:00Z")
    );
    assert_eq!(
        paris(&nights, "2026-11-24T04:00:00Z"),
        closed("2026-11-24T21:00:00Z")
    );
    // Thursday's night ends on Friday; then comes Monday.
    assert_eq!(
        paris(&nights, "2026-11-27T03:00:00Z"),
        open("2026-11-27T04:00:00Z")
    );
    assert_eq!(
        paris(&nights, "2026-11-27T04:00:00Z"),
        closed("2026-11-30T21:00:00Z")
    );
    // Monday before 05:00 is not Sunday's night.
    assert!(!paris(&nights, "2026-11-30T02:00:00Z").is_open());
}

#[test]
fn the_hour_that_is_skipped_opens_nothing() {
    // 2026-03-29, 02:00 to 03:00 does not exist in Paris (01:00Z).
    assert_eq!(
        paris(&["Sun 02:15-02:45"], "2026-03-29T00:59:59Z"),
        closed("2026-04-05T00:15:00Z")
    );
    assert_eq!(
        paris(&["Sun 02:15-02:45"], "2026-03-29T01:00:00Z"),
        closed("2026-04-05T00:15:00Z")
    );
    // What begins in it begins with the change, what ends in it ends with the change.
    assert_eq!(
        paris(&["Sun 02:30-04:00"], "2026-03-29T00:59:59Z"),
        closed("2026-03-29T01:00:00Z")
    );
    assert_eq!(
        paris(&["Sun 02:30-04:00"], "2026-03-29T01:00:00Z"),
        open("2026-03-29T02:00:00Z")
    );
    assert_eq!(
        paris(&["Sun 01:00-02:30"], "2026-03-29T00:30:00Z"),
        open("2026-03-29T01:00:00Z")
    );
    // A night is an hour shorter.
    assert_eq!(
        paris(&["Sat 22:00-05:00"], "2026-03-28T21:00:00Z"),
        open("2026-03-29T03:00:00Z")
    );
}

#[test]
fn the_hour_that_comes_twice_does_not_reopen() {
    // 2026-10-25, 02:00 to 03:00 comes twice in Paris (00:00Z and 01:00Z).
    let half = ["Sun 02:15-02:45"];
    assert_eq!(
        paris(&half, "2026-10-25T00:15:00Z"),
        open("2026-10-25T00:45:00Z")
    );
    assert_eq!(
        paris(&half, "2026-10-25T01:20:00Z"),
        closed("2026-11-01T01:15:00Z")
    );
    assert_eq!(
        paris(&["Sat 22:00-05:00"], "2026-10-24T20:00:00Z"),
        open("2026-10-25T04:00:00Z")
    );
}

#[test]
fn leap_days_weeks_and_years_end() {
    // 2028-02-29 is a Tuesday.
    let tuesday = ["Tue 23:00-01:00"];
    assert_eq!(
        paris(&tuesday, "2028-02-29T22:30:00Z"),
        open("2028-03-01T00:00:00Z")
    );
    assert_eq!(
        paris(&["Thu 22:00-05:00"], "2026-12-31T23:30:00Z"),
        open("2027-01-01T04:00:00Z")
    );
    assert_eq!(
        paris(&["Sun 22:00-05:00"], "2026-11-30T02:00:00Z"),
        open("2026-11-30T04:00:00Z")
    );
}

#[test]
fn windows_that_touch_are_one_and_a_week_of_them_never_closes() {
    let two = ["Mon 22:00-24:00", "Tue 00:00-03:00"];
    assert_eq!(
        paris(&two, "2026-11-23T21:30:00Z"),
        open("2026-11-24T02:00:00Z")
    );
    assert_eq!(
        paris(&["00:00-24:00"], "2026-11-23T21:30:00Z"),
        Opening::Open(None)
    );
    assert_eq!(
        paris(&["22:00-10:00", "09:00-22:00"], "2026-11-23T21:30:00Z"),
        Opening::Open(None)
    );
}

#[test]
fn nothing_is_closed_and_so_is_the_end_of_time() {
    assert_eq!(paris(&[], "2026-11-23T21:30:00Z"), Opening::Closed(None));
    let always = windows(&["00:00-24:00"]);
    for now in [i64::MIN, i64::MAX, 253_402_300_800] {
        assert_eq!(
            opening(&always, &zone("Europe/Paris"), now),
            Opening::Closed(None),
            "{now}"
        );
    }
}

#[test]
fn zones_are_those_of_the_database() {
    for good in [
        "UTC",
        "utc",
        "Europe/Paris",
        "America/St_Johns",
        "Asia/Kathmandu",
    ] {
        assert!(good.parse::<Zone>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "Paris",
        "Europe/",
        "CEST+1",
        "../etc/localtime",
        "Europe/Lyon",
    ] {
        let error = bad.parse::<Zone>().unwrap_err().to_string();
        assert!(error.contains("Europe/Paris"), "{bad}: {error}");
    }
}

const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Casablanca",
];

fn any_window() -> impl Strategy<Value = Window> {
    let minute = || (0u32..24, prop::sample::select(vec![0u32, 15, 30, 59]));
    (1u32..128, minute(), minute()).prop_filter_map("empty", |(days, start, end)| {
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days: Vec<_> = (0..7)
            .filter(|d| days & (1 << d) != 0)
            .map(|d| names[d])
            .collect();
        let text = format!(
            "{} {:02}:{:02}-{:02}:{:02}",
            days.join(","),
            start.0,
            start.1,
            end.0,
            end.1
        );
        text.parse().ok()
    })
}

/// Whether the clock on the wall shows a time of the window, found without the code that
/// is tested.
fn by_the_wall(window: &Window, zone: &str, now: i64) -> bool {
    let wall = Timestamp::from_second(now).unwrap();
    let wall = wall.to_zoned_datetime(jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap());
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let text = window.to_string();
    let (days, times) = text.rsplit_once(' ').unwrap_or(("Mon-Sun", &text));
    let place = |day: &str| names.iter().position(|n| *n == day).unwrap();
    let begins = |day: usize| {
        days.split(',').any(|part| match part.split_once('-') {
            Some((a, b)) => (place(a)..=place(b)).contains(&day),
            None => place(part) == day,
        })
    };
    let minutes = |t: &str| t[..2].parse::<i64>().unwrap() * 60 + t[3..].parse::<i64>().unwrap();
    let (start, end) = times.split_once('-').unwrap();
    let (start, end) = (minutes(start), minutes(end));
    let minute = i64::from(wall.hour()) * 60 + i64::from(wall.minute());
    let today = wall.weekday().to_monday_zero_offset() as usize;
    let yesterday = (today + 6) % 7;
    if start < end {
        begins(today) && (start..end).contains(&minute)
    } else {
        (begins(today) && minute >= start) || (begins(yesterday) && minute < end)
    }
}

/// Whether the zone's offset is the same for two days around.
fn is_calm(zone: &str, now: i64) -> bool {
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap();
    let offset = |at: i64| zone.to_offset(Timestamp::from_second(at).unwrap());
    (-48..=48).all(|hours| offset(now + hours * 3600) == offset(now))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    // Invariant 10: no begin outside the agent's windows.
    #[test]
    fn open_is_what_the_wall_shows(
        window in any_window(),
        zone in prop::sample::select(&ZONES[..]),
        // 2024 to 2031, with leap days.
        now in 1_704_067_200i64..1_924_991_999,
    ) {
        let parsed: Zone = zone.parse().unwrap();
        let found = opening(&[window], &parsed, now);
        let wall = by_the_wall(&window, zone, now);
        if is_calm(zone, now) {
            prop_assert_eq!(found.is_open(), wall);
        } else if found.is_open() {
            prop_assert!(wall, "open at {} although the wall says no", now);
        }
        // What it says comes next comes next.
        match found {
            Opening::Open(Some(end)) => {
                prop_assert!(end > now);
                prop_assert!(opening(&[window], &parsed, end - 1).is_open());
                prop_assert!(!opening(&[window], &parsed, end).is_open());
            }
            Opening::Closed(Some(start)) => {
                prop_assert!(start > now);
                prop_assert!(opening(&[window], &parsed, start).is_open());
                prop_assert!(!opening(&[window], &parsed, start - 1).is_open());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
