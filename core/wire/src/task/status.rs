//! Stored statuses and the texts that clients see (section 3).

use wpk_api::{Dialect, Status};

/// The text of a stored status in an `upgrade_result` item. `None` for a word
/// that is no status: the item then has no `status` member, as recorded.
pub fn show_status(stored: &Status, dialect: Dialect) -> Option<&'static str> {
    let (documented, wazuh4) = match stored {
        Status::Pending => ("In queue", "In queue"),
        Status::InProgress => ("Updating", "Updating"),
        Status::Done => ("Updated", "Updated"),
        Status::Failed => ("Error", "Error"),
        Status::Cancelled => (
            "Cancelled",
            "Task cancelled since the manager was restarted",
        ),
        Status::Timeout => (
            "Timeout",
            "Timeout reached while waiting for the response from the agent, check the result manually on the agent for more information",
        ),
        Status::Legacy => (
            "Legacy",
            "Legacy upgrade: check the result manually since the agent cannot report the result of the task",
        ),
        Status::Other(_) => return None,
    };
    Some(match dialect {
        Dialect::Documented => documented,
        Dialect::Wazuh4 => wazuh4,
    })
}

/// The stored status behind a text of [`show_status`], in either dialect; `None`
/// for any other text.
pub fn read_status(shown: &str) -> Option<Status> {
    Status::KNOWN.into_iter().find(|status| {
        [Dialect::Documented, Dialect::Wazuh4]
            .into_iter()
            .any(|dialect| show_status(status, dialect) == Some(shown))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_lead_back_to_the_stored_status() {
        for status in Status::KNOWN {
            for dialect in [Dialect::Documented, Dialect::Wazuh4] {
                let shown = show_status(&status, dialect).unwrap();
                assert_eq!(read_status(shown).as_ref(), Some(&status), "{shown}");
            }
        }
        for text in ["", "Done", "updated"] {
            assert_eq!(read_status(text), None, "{text}");
            let other = Status::Other(text.to_owned());
            assert_eq!(show_status(&other, Dialect::Documented), None);
        }
    }
}
