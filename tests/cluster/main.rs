//! A cluster of two real daemons: the tasks of the worker are the master's.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod meanwhile;
mod shipped;

use serde_json::{Value, json};
use wpk_testkit::cluster::{FakeCluster, Mood};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, release, wait_until};

/// A master, a worker with agents, and the cluster daemons between them.
struct Cluster {
    master: Manager,
    worker: Manager,
    link: FakeCluster,
    _repository: Repository,
    parameters: Value,
}

impl Cluster {
    async fn start(dialect: &str, more: &str) -> Self {
        let master = Manager::start(&format!("dialect = {dialect:?}"))
            .await
            .unwrap();
        let mut worker = prepare_worker(dialect, more).await;
        let link = FakeCluster::bridge(cluster_socket(&worker), master.home.task_socket()).unwrap();
        worker.boot().await.unwrap();
        let (repository, mut parameters) = release(&[7; 300_000]).await.unwrap();
        parameters["version"] = json!("v4.14.8");
        Self {
            master,
            worker,
            link,
            _repository: repository,
            parameters,
        }
    }
}

/// A worker with agents 1 to 6 that does not run yet.
async fn prepare_worker(dialect: &str, more: &str) -> Manager {
    let settings = format!(
        "dialect = {dialect:?}\n[node]\nname = \"worker01\"\nrole = \"worker\"\n\
         [store]\ntype = \"cluster\"\ntimeout = \"1s\"\nattempts = 2\n{more}"
    );
    let worker = Manager::prepare(&settings).await.unwrap();
    worker
        .wdb
        .set_agents((1..=6).map(|id| agent_row(id, "Wazuh v4.7.0")));
    worker
}

/// Where the cluster daemon of a worker listens.
fn cluster_socket(worker: &Manager) -> std::path::PathBuf {
    worker.home.path("queue/cluster/c-internal.sock")
}

#[tokio::test]
async fn an_upgrade_of_the_worker_is_a_task_of_the_master() {
    for dialect in ["documented", "wazuh-4"] {
        let cluster = Cluster::start(dialect, "").await;
        cluster
            .worker
            .remoted
            .set_rules("2 upgrade @ack:2:Failed\n3 write err Cannot send request\n")
            .unwrap();
        let items = cluster
            .worker
            .upgrade(&[1, 2, 3, 9], cluster.parameters.clone())
            .await;
        let codes: Vec<i64> = items
            .iter()
            .map(|item| item["error"].as_i64().unwrap())
            .collect();
        assert_eq!(codes, [6, 0, 0, 0], "{items:?}");
        let ends = [
            (1, "Updated", Value::Null),
            (
                2,
                "Error",
                json!("Upgrade procedure exited with error code"),
            ),
            (3, "Error", json!("Send write file error")),
        ];
        for (agent, status, reason) in ends {
            let item = cluster
                .worker
                .wait_for_status(agent, &["Updated", "Error"])
                .await
                .unwrap();
            assert_eq!(
                (&item["status"], &item["error_msg"]),
                (&json!(status), &reason),
                "{item}"
            );
            // The master says the same, and whose task it is.
            let there = cluster.master.result(agent).await;
            assert_eq!(there["status"], item["status"], "{there}");
            assert_eq!(there["node"], "worker01", "{there}");
            assert_eq!(there["task_id"], item["task_id"], "{there}");
        }
        assert_eq!(
            cluster.worker.remoted.received(1).unwrap(),
            vec![7; 300_000]
        );
        assert_eq!(cluster.link.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn without_the_master_nothing_is_accepted_and_nothing_lost() {
    let cluster = Cluster::start("documented", "").await;
    let worker = &cluster.worker;
    worker.remoted.set_rules("1 upgrade @noack\n").unwrap();
    worker.upgrade(&[1], cluster.parameters.clone()).await;
    worker.wait_for_step(1, "upgrade").await.unwrap();

    cluster.link.set_mood(Mood::Away);
    let items = worker.upgrade(&[2, 9], cluster.parameters.clone()).await;
    assert_eq!(
        Value::from(items),
        json!([
            {"error": 6, "message": "Agent information not found in database", "agent": 9},
            {"error": 4, "message": "Task manager communication error", "agent": 2},
        ])
    );
    // The agent is not told to stop as long as nobody can keep its word.
    worker.remoted.acknowledge(1, 0, "Done").await.unwrap();
    assert_eq!(worker.result(1).await["error"], 4);
    assert!(
        !worker
            .remoted
            .steps(1)
            .contains(&"clear_upgrade_result".to_owned())
    );

    cluster.link.set_mood(Mood::Well);
    worker.remoted.acknowledge(1, 0, "Done").await.unwrap();
    worker.wait_for_status(1, &["Updated"]).await.unwrap();
    assert!(
        worker
            .wait_for_step(1, "clear_upgrade_result")
            .await
            .is_some()
    );
    let items = wait_until(PATIENCE, async || {
        let items = worker.upgrade(&[2], cluster.parameters.clone()).await;
        (items[0]["error"] != 4).then_some(items)
    });
    assert_eq!(items.await.unwrap()[0]["error"], 0);
    worker.wait_for_status(2, &["Updated"]).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_is_killed_goes_on_with_the_tasks_of_the_master() {
    let mut cluster = Cluster::start(
        "documented",
        "[delivery]\nmax_concurrent = 2\nchunk_size = 4096",
    )
    .await;
    cluster
        .worker
        .remoted
        .set_ack_interval(Some(std::time::Duration::from_millis(200)));
    cluster
        .worker
        .remoted
        .set_latency(std::time::Duration::from_millis(2));
    let items = cluster
        .worker
        .upgrade(&[1, 2, 3, 4, 5, 6], cluster.parameters.clone())
        .await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    // Two agents at a time, about 80 frames each: always in the middle of writing.
    for frames in [40, 120, 330] {
        let remoted = &cluster.worker.remoted;
        wait_until(PATIENCE, async || {
            (remoted.frames().len() >= frames).then_some(())
        })
        .await
        .unwrap();
        cluster.worker.kill().await.unwrap();
        cluster.worker.boot().await.unwrap();
    }
    for agent in 1..=6 {
        let Some(item) = cluster
            .worker
            .wait_for_status(agent, &["Updated", "Error"])
            .await
        else {
            panic!(
                "agent {agent}: {}\n{}",
                cluster.worker.result(agent).await,
                cluster.worker.output()
            );
        };
        assert_eq!(item["status"], "Updated", "{item}");
        let steps = cluster.worker.remoted.steps(agent);
        assert_eq!(
            steps.iter().filter(|step| *step == "upgrade").count(),
            1,
            "agent {agent}"
        );
    }
}
