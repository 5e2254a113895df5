//! Words of others on their way through the engine: none reaches the log, the store
//! or an answer raw or at length.

use serde_json::json;
use wpk_api::words::steers;
use wpk_api::{ProviderError, Status};
use wpk_testkit::log::Log;
use wpk_testkit::memory::{Say, Trouble};

use crate::stand::{Stand, id};

/// Moves the cursor, begins a line, turns the text, and goes on.
fn evil() -> String {
    format!("1\u{1b}[2J\r\nERROR\u{202e}{}", "x".repeat(20_000))
}

fn fit(what: &str, text: &str) {
    assert!(text.len() <= 2_048, "{what}: {} bytes", text.len());
    assert!(!text.contains(steers), "{what}: {text:?}");
}

#[tokio::test(start_paused = true)]
async fn no_foreign_word_is_passed_on_as_it_came() {
    let log = Log::of("wpk_runtime");
    let _kept = log.keep();
    let stand = Stand::new().await;
    // An exit text, an error, and an answer that is none.
    let exit = json!({"error": 0, "message": evil(), "data": []}).to_string();
    let error = json!({"error": 13, "message": evil(), "data": []}).to_string();
    for (agent, said) in [(1, exit), (2, error), (3, evil())] {
        stand.rule(agent, "upgrade", Say::Words(said.leak()));
    }
    assert_eq!(stand.upgrade(&[1, 2, 3, 4, 6]).await, [0; 5]);
    // A version that is none, which the provider repeats.
    let wish = json!({"agents": [5], "version": evil(), "force_upgrade": true});
    assert_eq!(stand.codes(wish).await, [0]);
    for agent in [1, 2, 3, 5] {
        stand.until(agent, Status::Failed).await;
    }
    // What an agent reports, and what it reports that is nothing.
    for (agent, status) in [(4, "Failed"), (6, evil().leak() as &str)] {
        stand.delivered(agent).await;
        let word = json!({"agents": [agent], "error": 2, "status": status, "message": evil()});
        stand.items("upgrade_update_status", word).await;
    }
    stand.came(6, "clear_upgrade_result", 1).await;
    // A provider in trouble.
    let trouble = ProviderError::NotReachable(evil());
    stand.provider.set_trouble(Trouble::Resolve(trouble));
    assert_eq!(stand.upgrade(&[7]).await, [0]);
    stand.until(7, Status::Failed).await;

    for message in [
        "upgrade failed",
        "the agent reported",
        "an acknowledgement with a status that is none",
    ] {
        assert!(!log.find(message).is_empty(), "{message}");
    }
    for event in log.events() {
        for (field, text) in &event {
            fit(field, text);
        }
    }
    for agent in [1, 2, 3, 4, 5, 7] {
        fit("error_msg", &stand.task(agent).error_msg.unwrap());
        let cause = stand.timeline(agent).pop().unwrap().failure.unwrap();
        fit("said", &cause.said);
        assert!(stand.transport.begun(id(agent)) <= 1);
    }
}
