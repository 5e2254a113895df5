//! The built-in upgrade module of the worker starts while tasks wait there: through the
//! cluster daemon it has the master cancel all that waits for its node.

use std::time::Duration;

use serde_json::{Value, json};
use wpk_testkit::cluster::{FakeCluster, TaskTable};
use wpk_testkit::{Manager, release};

use crate::{Cluster, cluster_socket, prepare_worker};

/// One agent at a time, some hundred frames for each.
const ONE_BY_ONE: &str = "[delivery]\nmax_concurrent = 1\nchunk_size = 1024";

/// All six are asked for; the last of them waits.
async fn ask_for_all(worker: &Manager, parameters: &Value) -> i64 {
    worker.remoted.set_latency(Duration::from_millis(5));
    let items = worker
        .upgrade(&[1, 2, 3, 4, 5, 6], parameters.clone())
        .await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    worker.wait_for_step(1, "write").await.unwrap();
    let last = worker.result(6).await;
    assert_eq!(last["status"], "In queue", "{last}");
    last["task_id"].as_i64().unwrap()
}

/// All are upgraded, each once; the newest task of the last agent.
async fn all_are_upgraded(worker: &Manager) -> i64 {
    worker.remoted.set_latency(Duration::ZERO);
    for agent in 1..=6 {
        let Some(_) = worker.wait_for_status(agent, &["Updated", "Error"]).await else {
            panic!(
                "agent {agent}: {}\n{}",
                worker.result(agent).await,
                worker.output()
            );
        };
        assert_eq!(worker.result(agent).await["status"], "Updated");
        assert_eq!(worker.remoted.count(agent, "upgrade"), 1, "agent {agent}");
    }
    worker.result(6).await["task_id"].as_i64().unwrap()
}

fn module_starts() -> Value {
    json!({
        "origin": {"name": "worker01", "module": "upgrade_module"},
        "command": "upgrade_cancel_tasks", "parameters": {},
    })
}

#[tokio::test]
async fn a_master_of_ours_keeps_what_waits_for_a_worker_of_ours() {
    let cluster = Cluster::start("documented", ONE_BY_ONE).await;
    let task = ask_for_all(&cluster.worker, &cluster.parameters).await;
    let starts = module_starts().to_string();
    let answer = cluster.master.ask_tasks(&starts).await.unwrap();
    assert_eq!(answer["error"], 0, "{answer}");
    let kept = cluster.master.result(6).await;
    assert_eq!(
        (&kept["status"], &kept["task_id"]),
        (&json!("In queue"), &json!(task))
    );
    assert_eq!(all_are_upgraded(&cluster.worker).await, task);
}

#[tokio::test]
async fn what_a_4x_master_cancels_of_a_worker_of_ours_is_delivered_once() {
    let table = TaskTable::wazuh4();
    let mut worker = prepare_worker("wazuh-4", ONE_BY_ONE).await;
    let answers = table.clone();
    let _link = FakeCluster::start(cluster_socket(&worker), move |message| {
        answers.answer(message)
    });
    worker.boot().await.unwrap();
    let (_repository, mut parameters) = release(&[7; 300_000]).await.unwrap();
    parameters["version"] = json!("v4.14.8");
    let task = ask_for_all(&worker, &parameters).await;
    table.answer(&module_starts());
    assert_eq!(table.statuses(6), ["Cancelled"]);
    let anew = all_are_upgraded(&worker).await;
    assert!(anew > task, "{anew}");
    assert_eq!(table.statuses(6), ["Cancelled", "Done"]);
    // The former one tells what became of it.
    let request = json!({
        "origin": {"module": "api"}, "command": "upgrade_timeline",
        "parameters": {"tasks": [task]},
    });
    let told = worker.ask(request.to_string()).await.unwrap();
    let text = told["data"][0].to_string();
    assert!(
        text.contains(&format!("it waits again as task {anew}")),
        "{told}"
    );
}
