//! Tasks as the master shows them, read back: it may speak either dialect
//! (PROTOCOL.md, sections 3 and 12), which shows in the texts of some statuses
//! and in how it writes a missing time, and decides whether its times are UTC
//! or local.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wpk_api::{Command, Status, Task, UnixTime};
use wpk_wire::task::{read_status, show_status};
use wpk_wire::{Dialect, Item};

/// The time zone of a master that speaks this dialect.
pub(super) fn zone(dialect: Dialect) -> TimeZone {
    match dialect {
        Dialect::Documented => TimeZone::UTC,
        // The nodes of a cluster are expected in one time zone.
        Dialect::Wazuh4 => TimeZone::system(),
    }
}

/// The dialect that an item gives away; most say nothing once they have been updated.
pub(super) fn dialect(item: &Item) -> Option<Dialect> {
    item.task_id?;
    match item.update_time.as_deref() {
        None => return Some(Dialect::Wazuh4),
        Some("0") => return Some(Dialect::Documented),
        Some(_) => {}
    }
    let text = item.status.as_deref()?;
    let stored = status(text);
    let is = |dialect| show_status(&stored, dialect) == Some(text);
    match (is(Dialect::Documented), is(Dialect::Wazuh4)) {
        (true, false) => Some(Dialect::Documented),
        (false, true) => Some(Dialect::Wazuh4),
        _ => None,
    }
}

/// The stored status behind a shown one, of either dialect; a stored word is
/// itself.
pub(super) fn status(text: &str) -> Status {
    read_status(text).unwrap_or_else(|| Status::from_word(text))
}

/// The task in an item of `upgrade_result`; `None` if the item holds none.
pub(super) fn task(item: Item, zone: &TimeZone) -> Option<Task> {
    Some(Task {
        id: item.task_id?,
        agent: item.agent_id()?,
        node: item.node.unwrap_or_default(),
        module: item.module.unwrap_or_default(),
        command: item
            .command
            .unwrap_or_else(|| Command::Other(String::new())),
        created: item
            .create_time
            .and_then(|text| time(&text, zone))
            .unwrap_or_default(),
        updated: item.update_time.and_then(|text| time(&text, zone)),
        status: status(&item.status.unwrap_or_default()),
        error_msg: item.error_msg,
        confirmation: None,
    })
}

/// Reads `YYYY/MM/DD HH:MM:SS`; `None` for anything else, `0` included.
fn time(text: &str, zone: &TimeZone) -> Option<UnixTime> {
    let bytes: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let shape = b"dddd/dd/dd dd:dd:dd";
    let fits = bytes.iter().zip(shape).all(|(byte, shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        mark => byte == mark,
    });
    if !fits {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    let small = |range| number(range).and_then(|number| i8::try_from(number).ok());
    let time = DateTime::new(
        number(0..4)?,
        small(5..7)?,
        small(8..10)?,
        small(11..13)?,
        small(14..16)?,
        small(17..19)?,
        0,
    )
    .ok()?;
    Some(zone.to_timestamp(time).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use wpk_api::TaskId;
    use wpk_wire::task::TaskTimes;

    fn item(members: Value) -> Item {
        let mut whole = json!({"error": 0, "message": "Success", "agent": 7, "task_id": 3});
        for (key, value) in members.as_object().unwrap() {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn both_dialects_lead_back_to_the_stored_status() {
        for stored in Status::KNOWN {
            for dialect in [Dialect::Documented, Dialect::Wazuh4] {
                let shown = show_status(&stored, dialect).unwrap();
                assert_eq!(status(shown), stored, "{shown}");
            }
            assert_eq!(status(stored.as_str()), stored);
        }
        assert_eq!(status("Weird"), Status::Other("Weird".to_owned()));
    }

    #[test]
    fn times_are_read_in_the_master_s_zone() {
        let text = "2020/08/11 00:05:18";
        assert_eq!(time(text, &TimeZone::UTC), Some(1_597_104_318));
        let west = TimeZone::fixed(jiff::tz::offset(-3));
        assert_eq!(time(text, &west), Some(1_597_104_318 + 3 * 3600));
        for bad in [
            "",
            "0",
            "2020/13/11 00:05:18",
            "2020/02/30 00:05:18",
            "2020/08/11 24:05:18",
            "2020-08-11 00:05:18",
            "2020/08/11 00:05:1\u{e9}",
            "+020/08/11 00:05:18",
            "2020/08/11 00:05:180",
        ] {
            assert_eq!(time(bad, &TimeZone::UTC), None, "{bad}");
        }
    }

    #[test]
    fn the_dialect_shows_where_it_can() {
        let time = "2020/08/11 00:05:18";
        let cases = [
            (
                json!({"status": "In queue", "update_time": "0"}),
                Some(Dialect::Documented),
            ),
            (json!({"status": "In queue"}), Some(Dialect::Wazuh4)),
            (json!({"status": "Updating", "update_time": time}), None),
            (
                json!({"status": "Cancelled", "update_time": time}),
                Some(Dialect::Documented),
            ),
            (
                json!({"status": "Task cancelled since the manager was restarted", "update_time": time}),
                Some(Dialect::Wazuh4),
            ),
        ];
        for (members, expected) in cases {
            assert_eq!(dialect(&item(members.clone())), expected, "{members}");
        }
        // An item without a task says nothing.
        let none = json!({"error": 3, "message": "No task in DB", "agent": 7});
        assert_eq!(dialect(&serde_json::from_value(none).unwrap()), None);
    }

    #[test]
    fn a_whole_item_becomes_the_task() {
        let shown = item(json!({
            "node": "worker1", "module": "upgrade_module", "command": "upgrade_custom",
            "status": "Error", "error_msg": "Send open file error",
            "create_time": "2020/08/11 00:05:18", "update_time": "2020/08/11 00:05:52",
        }));
        let task = task(shown, &TimeZone::UTC).unwrap();
        assert_eq!((task.id, task.agent.get()), (TaskId(3), 7));
        assert_eq!(task.command, Command::UpgradeCustom);
        assert_eq!(task.status, Status::Failed);
        assert_eq!(
            (task.created, task.updated),
            (1_597_104_318, Some(1_597_104_352))
        );
        assert_eq!(task.error_msg.as_deref(), Some("Send open file error"));
    }

    proptest! {
        #[test]
        fn what_we_write_reads_back(seconds in 0i64..4_000_000_000) {
            let shown = TaskTimes::new(Dialect::Documented).create(seconds);
            prop_assert_eq!(time(&shown, &TimeZone::UTC), Some(seconds));
        }

        #[test]
        fn no_text_panics(text in ".{0,24}") {
            time(&text, &TimeZone::UTC);
            status(&text);
        }
    }
}
