//! Stored statuses and the texts that clients see (section 3).

use wpk_api::Dialect;

/// The text of a stored status in an `upgrade_result` item. `None` for a word
/// that is no status: the item then has no `status` member, as recorded.
pub fn show_status(stored: &str, dialect: Dialect) -> Option<&'static str> {
    let (documented, wazuh4) = match stored {
        "Pending" => ("In queue", "In queue"),
        "In progress" => ("Updating", "Updating"),
        "Done" => ("Updated", "Updated"),
        "Failed" => ("Error", "Error"),
        "Cancelled" => (
            "Cancelled",
            "Task cancelled since the manager was restarted",
        ),
        "Timeout" => (
            "Timeout",
            "Timeout reached while waiting for the response from the agent, check the result manually on the agent for more information",
        ),
        "Legacy" => (
            "Legacy",
            "Legacy upgrade: check the result manually since the agent cannot report the result of the task",
        ),
        _ => return None,
    };
    Some(match dialect {
        Dialect::Documented => documented,
        Dialect::Wazuh4 => wazuh4,
    })
}
