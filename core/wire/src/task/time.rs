//! Times of tasks: `YYYY/MM/DD HH:MM:SS`, in UTC under the documented dialect
//! and in local time under 4.x (section 3).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use wpk_api::{Dialect, UnixTime};

/// Writes times; made once per answer, since it looks up the time zone.
#[derive(Clone, Debug)]
pub struct TaskTimes {
    dialect: Dialect,
    zone: TimeZone,
}

impl TaskTimes {
    /// With the time zone that the dialect asks for.
    pub fn new(dialect: Dialect) -> Self {
        let zone = match dialect {
            Dialect::Documented => TimeZone::UTC,
            Dialect::Wazuh4 => TimeZone::system(),
        };
        Self { dialect, zone }
    }

    /// `create_time` of a task created at that time.
    pub fn create(&self, seconds: UnixTime) -> String {
        self.write(seconds)
    }

    /// `update_time` of a task: before the first update `0`, and under 4.x no
    /// such member. A stored 0 counts as no update, which is how some tables
    /// hold it.
    pub fn update(&self, seconds: Option<UnixTime>) -> Option<String> {
        match (seconds.filter(|&seconds| seconds != 0), self.dialect) {
            (Some(seconds), _) => Some(self.write(seconds)),
            (None, Dialect::Documented) => Some("0".to_owned()),
            (None, Dialect::Wazuh4) => None,
        }
    }

    fn write(&self, seconds: UnixTime) -> String {
        // Beyond the calendar only a damaged table can lead; it shows as the edge.
        let limit = if seconds < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let time = self
            .zone
            .to_datetime(Timestamp::from_second(seconds).unwrap_or(limit));
        format!(
            "{:04}/{:02}/{:02} {:02}:{:02}:{:02}",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_s_example_is_utc() {
        let times = TaskTimes::new(Dialect::Documented);
        assert_eq!(times.create(1_597_104_318), "2020/08/11 00:05:18");
        assert_eq!(times.update(None).as_deref(), Some("0"));
        assert_eq!(times.update(Some(0)).as_deref(), Some("0"));
        assert_eq!(
            times.update(Some(1_597_104_352)).as_deref(),
            Some("2020/08/11 00:05:52")
        );
    }

    #[test]
    fn four_x_is_local_and_omits_a_missing_update() {
        let times = TaskTimes {
            dialect: Dialect::Wazuh4,
            zone: TimeZone::fixed(jiff::tz::offset(-3)),
        };
        assert_eq!(times.create(1_597_104_318), "2020/08/10 21:05:18");
        assert_eq!(times.update(None), None);
        assert_eq!(times.create(i64::MAX).len(), 19);
        assert!(times.create(i64::MAX).starts_with("9999/12/3"));
        assert!(times.create(i64::MIN).starts_with("-999"));
        assert_eq!(
            times.update(Some(-1)).as_deref(),
            Some("1969/12/31 20:59:59")
        );
    }
}
