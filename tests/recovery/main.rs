//! Daemons that are killed: every task reaches an end, none is lost, none runs
//! twice.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use wpk_testkit::manager::PATIENCE;
use wpk_testkit::suite::pattern;
use wpk_testkit::{fleet, wait_until};

const AGENTS: u32 = 24;
/// Nobody waits longer for a daemon that is asked to stop.
const QUICKLY: Duration = Duration::from_secs(10);

/// Kills the daemon in the middle of everything, several times, at different
/// moments of the deliveries.
#[tokio::test]
async fn kill_9_loses_no_task_and_runs_no_upgrade_twice() {
    let settings =
        "[delivery]\nmax_concurrent = 4\nchunk_size = 4096\n[tasks]\ntask_timeout = \"5s\"";
    let wpk = pattern(400_000);
    let (mut manager, _repository, parameters) = fleet(settings, AGENTS, &wpk).await.unwrap();
    // Agents report again and again, as real ones do, until they are told to stop.
    manager
        .remoted
        .set_ack_interval(Some(Duration::from_millis(200)));
    manager.remoted.set_latency(Duration::from_millis(1));
    let agents: Vec<u32> = (1..=AGENTS).collect();
    let items = manager.upgrade(&agents, parameters).await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    for frames in [1, 150, 700, 1300, 1900] {
        wait_until(PATIENCE, async || {
            (manager.remoted.frames().len() >= frames).then_some(())
        })
        .await
        .expect("the deliveries go on");
        manager.kill().await.unwrap();
        manager.boot().await.unwrap();
    }
    let mut updated = 0;
    for agent in agents {
        let Some(item) = manager
            .wait_for_status(agent, &["Updated", "Error", "Timeout"])
            .await
        else {
            panic!(
                "agent {agent}: {}\n{}",
                manager.result(agent).await,
                manager.output()
            );
        };
        assert_eq!(item["task_id"], agent, "no second task");
        let upgrades = manager.remoted.count(agent, "upgrade");
        if item["status"] == "Timeout" {
            // Killed after it was written down that the installer is about to
            // be run and before the agent was told: nobody can know, so it is
            // not told again.
            assert_eq!(upgrades, 0, "{item}");
            continue;
        }
        assert_eq!(item["status"], "Updated", "{item}");
        assert_eq!(
            upgrades, 1,
            "agent {agent} was told once to run the installer"
        );
        assert_eq!(manager.remoted.received(agent).unwrap(), wpk);
        updated += 1;
    }
    assert!(updated >= AGENTS - 8, "only {updated} were updated");
}

/// A task whose installer was begun is never begun again: it waits for the
/// agent's word, or times out.
#[tokio::test]
async fn an_upgrade_that_was_begun_is_not_begun_again() {
    let settings = "[tasks]\ntask_timeout = \"3s\"";
    let fleet = fleet(settings, 2, &pattern(400_000)).await;
    let (mut manager, _repository, parameters) = fleet.unwrap();
    manager.remoted.set_rules("* upgrade @noack\n").unwrap();
    manager.upgrade(&[1, 2], parameters).await;
    for agent in [1, 2] {
        manager.wait_for_step(agent, "upgrade").await.unwrap();
    }
    manager.kill().await.unwrap();
    manager.boot().await.unwrap();
    manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    manager
        .wait_for_status(1, &["Updated"])
        .await
        .expect("the word of the agent counts");
    manager
        .wait_for_status(2, &["Timeout"])
        .await
        .expect("no word, so a time-out");
    for agent in [1, 2] {
        let upgrades = manager.remoted.count(agent, "upgrade");
        assert_eq!(upgrades, 1, "agent {agent}");
    }
}

/// A daemon that is asked to stop ends at once although agents are slow, and
/// goes on after the next start.
#[tokio::test]
async fn a_stop_in_the_middle_is_quick_and_loses_nothing() {
    let wpk = pattern(400_000);
    let fleet = fleet("[delivery]\nmax_concurrent = 2", 4, &wpk).await;
    let (mut manager, _repository, parameters) = fleet.unwrap();
    manager.remoted.set_latency(Duration::from_millis(300));
    manager.upgrade(&[1, 2, 3, 4], parameters).await;
    manager
        .remoted
        .wait_for_nth(1, "write", 2, PATIENCE)
        .await
        .unwrap();
    assert!(manager.stop_within(QUICKLY).await.unwrap().success());
    manager.remoted.set_latency(Duration::ZERO);
    manager.boot().await.unwrap();
    for agent in 1..=4 {
        manager
            .wait_for_status(agent, &["Updated"])
            .await
            .expect("an end");
        assert_eq!(manager.remoted.received(agent).unwrap(), wpk);
    }
}

/// What was accepted is on disk before the caller hears of it.
#[tokio::test]
async fn a_task_is_on_disk_before_the_caller_hears_of_it() {
    let fleet = fleet("[delivery]\nmax_concurrent = 1", 200, &pattern(400_000)).await;
    let (mut manager, _repository, parameters) = fleet.unwrap();
    manager.remoted.set_latency(Duration::from_millis(100));
    let agents: Vec<u32> = (1..=200).collect();
    let items = manager.upgrade(&agents, parameters).await;
    manager.kill().await.unwrap();
    let database = rusqlite::Connection::open(manager.home.tasks_db()).unwrap();
    let tasks: i64 = database
        .query_row("SELECT COUNT(*) FROM TASKS", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tasks, items.len() as i64);
}
