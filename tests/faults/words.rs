//! The agent's last word: it comes late, or after silence, or never.

use serde_json::Value;
use wpk_testkit::fleet::{RELEASE, fleet};
use wpk_testkit::{Manager, Repository};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_late_word_corrects_a_time_out,
        "agent",
        "reports success after the time-out",
        "Timeout, then Updated"
    ),
    check!(
        a_late_word_of_failure_corrects_a_time_out,
        "agent",
        "reports failure after the time-out",
        "Timeout, then Error: Upgrade procedure exited with error code"
    ),
    check!(
        a_late_word_corrects_a_time_out_in_the_other_dialect,
        "agent, dialect wazuh-4",
        "reports success after the time-out",
        "Timeout reached, then Updated"
    ),
    check!(
        silence_after_upgrade_is_no_end,
        "agent",
        "does not answer upgrade, then reports success",
        "Updating, then Updated"
    ),
    check!(
        a_connection_that_ends_after_upgrade_is_no_end,
        "remote daemon",
        "closes after upgrade, the agent reports success",
        "Updating, then Updated"
    ),
    check!(
        the_remote_daemons_time_out_is_no_end,
        "remote daemon",
        "err Response timeout to upgrade, the agent reports success",
        "Updating, then Updated"
    ),
    check!(
        a_refused_upgrade_is_an_error_at_once,
        "agent",
        "refuses upgrade",
        "Error: Send upgrade command error"
    ),
];

struct Stand {
    manager: Manager,
    _repository: Repository,
}

impl Stand {
    /// Agent 1 is told to run its installer, with these rules.
    async fn told(settings: &str, rules: &str) -> Self {
        let (manager, repository, mut parameters) = fleet(settings, 1, b"a package").await.unwrap();
        // The other dialect means its own version where none is named.
        parameters["version"] = RELEASE.into();
        manager.remoted.set_rules(rules).unwrap();
        manager.upgrade(&[1], parameters).await;
        let told = manager.wait_for_step(1, "upgrade").await;
        told.expect("it is told to run the installer");
        Self {
            manager,
            _repository: repository,
        }
    }

    async fn status(&self) -> String {
        let item = self.manager.result(1).await;
        words(&item)
    }

    /// Waits until the status shown begins so.
    async fn until(&self, start: &str) -> String {
        let shown = wpk_testkit::wait_until(wpk_testkit::manager::PATIENCE, async || {
            let words = words(&self.manager.result(1).await);
            words.starts_with(start).then_some(words)
        });
        shown.await.unwrap_or_else(|| format!("never {start}"))
    }

    async fn word(&self, error: i64, status: &str) {
        let sent = self.manager.remoted.acknowledge(1, error, status).await;
        sent.expect("the word is sent");
        let told = self.manager.wait_for_step(1, "clear_upgrade_result").await;
        told.expect("the agent is told that it was heard");
    }
}

fn words(item: &Value) -> String {
    let status = item["status"].as_str().unwrap_or_default();
    match item["error_msg"].as_str() {
        Some(error_msg) => format!("{status}: {error_msg}"),
        None => status.to_owned(),
    }
}

const SHORT: &str = "[tasks]\ntask_timeout = \"1s\"";

async fn a_late_word_corrects_a_time_out() -> String {
    let stand = Stand::told(SHORT, "1 upgrade @noack\n").await;
    let before = stand.until("Timeout").await;
    stand.word(0, "Done").await;
    format!("{before}, then {}", stand.status().await)
}

async fn a_late_word_of_failure_corrects_a_time_out() -> String {
    let stand = Stand::told(SHORT, "1 upgrade @noack\n").await;
    let before = stand.until("Timeout").await;
    stand.word(2, "Failed").await;
    format!("{before}, then {}", stand.status().await)
}

async fn a_late_word_corrects_a_time_out_in_the_other_dialect() -> String {
    let settings = format!("dialect = \"wazuh-4\"\n{SHORT}");
    let stand = Stand::told(&settings, "1 upgrade @noack\n").await;
    let before = stand.until("Timeout reached").await;
    let before = &before[..before.len().min("Timeout reached".len())];
    stand.word(0, "Done").await;
    format!("{before}, then {}", stand.status().await)
}

/// What is shown after the answer to `upgrade` that is none, and after the word.
async fn silence(settings: &str, rules: &str, logged: &str) -> String {
    let mut stand = Stand::told(settings, rules).await;
    let daemon = stand.manager.daemon().unwrap();
    let noticed = daemon.wait_for_line(logged, wpk_testkit::manager::PATIENCE);
    noticed.await.expect("the silence is noticed");
    let before = stand.status().await;
    stand.word(0, "Done").await;
    format!("{before}, then {}", stand.status().await)
}

const NOTICED: &str = "did not say whether it runs the installer";

async fn silence_after_upgrade_is_no_end() -> String {
    let settings = "[transport]\ntype = \"remoted\"\ntimeout = \"1s\"";
    silence(settings, "1 upgrade @hang\n", NOTICED).await
}

async fn a_connection_that_ends_after_upgrade_is_no_end() -> String {
    silence("", "1 upgrade @close\n", NOTICED).await
}

async fn the_remote_daemons_time_out_is_no_end() -> String {
    silence("", "1 upgrade err Response timeout\n", NOTICED).await
}

async fn a_refused_upgrade_is_an_error_at_once() -> String {
    let rule = "1 upgrade {\"error\":13,\"message\":\"Could not verify signature\",\"data\":[]}\n";
    let stand = Stand::told("", rule).await;
    stand.until("Error").await
}
