//! Many clients at once, clients that leave, and several requests on one
//! connection.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{Client, ask, wait_until};

use crate::{end_of, fleet};

fn upgrade(agents: &[u32], parameters: &Value) -> String {
    let mut parameters = parameters.clone();
    parameters["agents"] = json!(agents);
    json!({"origin": {"module": "api"}, "command": "upgrade", "parameters": parameters}).to_string()
}

fn items(answer: &[u8]) -> Vec<Value> {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    answer["data"].as_array().unwrap().clone()
}

/// However many ask for the same agents at the same moment, each agent gets one
/// task, and everybody hears which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_ask_for_the_same_agents_make_one_task_each() {
    let (manager, _repository, parameters) = fleet("", 20).await;
    manager.remoted.set_rules("* upgrade @noack\n").unwrap();
    let agents: Vec<u32> = (1..=20).collect();
    let socket = manager.home.upgrade_socket();
    let clients: Vec<_> = (0..40)
        .map(|shift| {
            // Each in another order, so that none wins everywhere.
            let mut agents = agents.clone();
            agents.rotate_left(shift % 20);
            let request = upgrade(&agents, &parameters);
            let socket = socket.clone();
            tokio::spawn(async move { items(&ask(socket, request).await.unwrap()) })
        })
        .collect();
    let mut created = Vec::new();
    for client in clients {
        let items = client.await.unwrap();
        assert_eq!(items.len(), 20);
        for item in items {
            match item["error"].as_u64() {
                Some(0) => created.push(item["agent"].as_u64().unwrap()),
                Some(10) => assert_eq!(item.get("task_id"), None),
                _ => panic!("{item}"),
            }
        }
    }
    let distinct: BTreeSet<u64> = created.iter().copied().collect();
    assert_eq!((created.len(), distinct.len()), (20, 20));
    for agent in agents {
        manager.wait_for_step(agent, "upgrade").await.unwrap();
        let steps = manager.remoted.steps(agent);
        let locks = steps.iter().filter(|step| *step == "lock_restart").count();
        assert_eq!(locks, 1, "agent {agent} was delivered to once");
    }
}

/// What a client asked for happens, also when it does not wait for the answer.
#[tokio::test]
async fn a_client_that_closes_without_reading_gets_its_upgrade() {
    let (manager, _repository, parameters) = fleet("", 3).await;
    for agent in 1..=3 {
        let mut client = Client::connect(manager.home.upgrade_socket())
            .await
            .unwrap();
        client.send(upgrade(&[agent], &parameters)).await.unwrap();
        drop(client);
    }
    for agent in 1..=3 {
        assert_eq!(end_of(&manager, agent).await, "Updated", "agent {agent}");
    }
    // One that leaves in the middle of its request asked for nothing. The ids were given
    // in the order in which three connections were read, whichever that was.
    let task = manager.result(1).await["task_id"].clone();
    let request = upgrade(&[1], &parameters);
    let mut client = Client::connect(manager.home.upgrade_socket())
        .await
        .unwrap();
    let mut bytes = u32::try_from(request.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(&request.as_bytes()[..request.len() - 1]);
    client.send_raw(bytes).await.unwrap();
    drop(client);
    assert_eq!(manager.result(1).await["task_id"], task);
}

/// A whole upgrade over one connection, on each socket what belongs there.
#[tokio::test]
async fn one_connection_carries_a_whole_upgrade() {
    let (manager, _repository, parameters) = fleet("", 1).await;
    manager.remoted.set_rules("1 upgrade @noack\n").unwrap();
    let mut client = Client::connect(manager.home.upgrade_socket())
        .await
        .unwrap();
    let result = json!({"origin": {"module": "api"}, "command": "upgrade_result",
        "parameters": {"agents": [1]}})
    .to_string();
    let word = json!({"command": "upgrade_update_status", "parameters":
        {"agents": [1], "error": 0, "message": "Upgrade was successful", "status": "Done"}})
    .to_string();
    // In one go: no task yet, refused nonsense, the task, and the task again.
    for request in [
        &result,
        "{",
        &upgrade(&[1], &parameters),
        &upgrade(&[1], &parameters),
    ] {
        client.send(request).await.unwrap();
    }
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(items(&client.receive().await.unwrap().unwrap()).remove(0));
    }
    let codes: Vec<u64> = answers
        .iter()
        .map(|item| item["error"].as_u64().unwrap())
        .collect();
    assert_eq!(codes, [3, 1, 0, 10]);
    manager.wait_for_step(1, "upgrade").await.unwrap();
    // And one after the other, on a second one to the task manager too.
    let mut tasks = Client::connect(manager.home.task_socket()).await.unwrap();
    let status = json!({"origin": {"name": "node01", "module": "upgrade_module"},
        "command": "upgrade_get_status", "parameters": {"agents": [1]}})
    .to_string();
    let stored = items(&tasks.ask(&status).await.unwrap().unwrap()).remove(0);
    assert_eq!(stored["status"], "In progress");
    let answer = client.ask(&word).await.unwrap().unwrap();
    assert_eq!(items(&answer)[0]["error"], 0);
    let shown = items(&client.ask(&result).await.unwrap().unwrap()).remove(0);
    assert_eq!(shown["status"], "Updated");
    let stored = items(&tasks.ask(&status).await.unwrap().unwrap()).remove(0);
    assert_eq!(stored["status"], "Done");
}

/// Reading is not held up by writing: results are told while tasks are created.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_told_while_others_ask_for_upgrades() {
    let (manager, _repository, parameters) = fleet("", 200).await;
    manager
        .remoted
        .set_rules("* lock_restart @close\n")
        .unwrap();
    let socket = manager.home.upgrade_socket();
    let writer = {
        let socket = socket.clone();
        tokio::spawn(async move {
            for agent in 1..=200 {
                ask(&socket, upgrade(&[agent], &parameters)).await.unwrap();
            }
        })
    };
    let result = json!({"origin": {"module": "api"}, "command": "upgrade_result",
        "parameters": {"agents": (1..=200).collect::<Vec<u32>>()}});
    let readers = 0..8;
    let readers: Vec<_> = readers
        .map(|_| {
            let (socket, result) = (socket.clone(), result.to_string());
            tokio::spawn(async move {
                let mut most = 0;
                for _ in 0..50 {
                    let items = items(&ask(&socket, &result).await.unwrap());
                    let known = items.iter().filter(|item| item["error"] == 0).count();
                    assert!(known >= most, "a task was seen and is gone");
                    most = known;
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    writer.await.unwrap();
    let all = wait_until(PATIENCE, async || {
        let answer = ask(&socket, result.to_string()).await?;
        let ended = items(&answer).iter().all(|item| item["status"] == "Error");
        ended.then_some(())
    });
    all.await.expect("every task has its end");
}
