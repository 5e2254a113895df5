//! A restart with tasks in the queue, `on_restart` both ways, in both dialects.

use serde_json::json;

use crate::{end_of, fleet};

fn settings(dialect: &str, on_restart: &str) -> String {
    format!(
        "dialect = {dialect:?}\n[delivery]\nmax_concurrent = 1\n\
         [tasks]\non_restart = {on_restart:?}\ntask_timeout = \"3s\""
    )
}

#[tokio::test]
async fn what_waits_goes_on_or_is_cancelled() {
    let cases = [
        ("documented", "resume", "In queue"),
        ("documented", "cancel", "Cancelled"),
        (
            "wazuh-4",
            "cancel",
            "Task cancelled since the manager was restarted",
        ),
    ];
    for (dialect, on_restart, shown) in cases {
        let about = format!("{dialect} {on_restart}");
        let (mut manager, _repository, parameters) = fleet(&settings(dialect, on_restart), 5).await;
        // Agent 1 was told to run the installer, agent 2 is being written to and
        // holds the only place, agents 3 to 5 wait.
        manager
            .remoted
            .set_rules("1 upgrade @noack\n2 write @hang\n")
            .unwrap();
        manager.upgrade(&[1], parameters.clone()).await;
        manager.wait_for_step(1, "upgrade").await.unwrap();
        manager.upgrade(&[2, 3, 4, 5], parameters.clone()).await;
        manager.wait_for_step(2, "write").await.unwrap();
        manager.kill().await.unwrap();
        if on_restart == "cancel" {
            manager.remoted.set_rules("").unwrap();
        }
        manager.boot().await.unwrap();

        for agent in 3..=5 {
            let item = manager.result(agent).await;
            assert_eq!(item["status"], shown, "{about}: {item}");
        }
        // The word of the agent that was told to run it counts in any case.
        manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
        assert_eq!(end_of(&manager, 1).await, "Updated", "{about}");
        manager.remoted.set_rules("").unwrap();
        if on_restart == "resume" {
            // Whoever hung fails by the time limit of the channel; what a restart
            // interrupted has one attempt more.
            assert_eq!(end_of(&manager, 2).await, "Updated", "{about}");
            for agent in 3..=5 {
                assert_eq!(end_of(&manager, agent).await, "Updated", "{about}");
                assert_eq!(manager.result(agent).await["task_id"], agent, "{about}");
            }
            continue;
        }
        // Nobody carries a cancelled task out; what was interrupted before its
        // installer was begun is cancelled as well.
        let interrupted = manager.result(2).await;
        assert_eq!(interrupted["status"], shown, "{about}: {interrupted}");
        assert_eq!(interrupted["task_id"], 2);
        for agent in 3..=5 {
            assert!(manager.remoted.steps(agent).is_empty(), "{about}");
            let item = manager.result(agent).await;
            assert_eq!(item["status"], shown, "{about}: {item}");
        }
        // All of them can be upgraded now.
        let items = manager.upgrade(&[2, 3, 4, 5], parameters).await;
        assert!(
            items.iter().all(|item| item["error"] == 0),
            "{about}: {items:?}"
        );
        for agent in 2..=5 {
            assert_eq!(end_of(&manager, agent).await, "Updated", "{about}");
        }
    }
}

/// A time-out frees the agent for a new task, which has its whole time again.
#[tokio::test]
async fn after_a_time_out_a_new_task_has_a_life_of_its_own() {
    let settings = "[tasks]\ntask_timeout = \"1s\"";
    let (manager, _repository, parameters) = fleet(settings, 2).await;
    manager.remoted.set_rules("* upgrade @noack\n").unwrap();
    manager.upgrade(&[1, 2], parameters.clone()).await;
    for agent in [1, 2] {
        assert_eq!(end_of(&manager, agent).await, "Timeout");
    }
    manager.remoted.set_rules("2 upgrade @noack\n").unwrap();
    let items = manager.upgrade(&[1, 2], parameters).await;
    assert_eq!(items[1]["task_id"], json!(4), "{items:?}");
    assert_eq!(end_of(&manager, 1).await, "Updated");
    assert_eq!(
        end_of(&manager, 2).await,
        "Timeout",
        "each has its own time"
    );
}
