//! Requests: the codes of PROTOCOL.md, section 2, in their order, and our own
//! commands (section 15).

use serde_json::{Value, json};
use wpk_api::{AgentInfo, ConnectionStatus, Endpoint, Peer, Status, StoreError, Version};
use wpk_testkit::memory::{Say, agent};

use crate::stand::{Stand, id};

async fn refused(change: impl FnOnce(&mut AgentInfo), wish: Value, code: i64) {
    let stand = Stand::new().await;
    let mut odd = agent(1, "Wazuh v4.7.0");
    change(&mut odd);
    stand.directory.put([odd]);
    let mut parameters = json!({"agents": [1]});
    for (key, value) in wish.as_object().unwrap() {
        parameters[key] = value.clone();
    }
    assert_eq!(stand.codes(parameters).await, [code]);
    assert_eq!(stand.store.tables().latest(&[id(1)]), [None], "no task");
}

#[tokio::test(start_paused = true)]
async fn an_agent_nobody_knows_is_code_6() {
    let stand = Stand::new().await;
    assert_eq!(stand.upgrade(&[77]).await, [6]);
    assert_eq!(
        stand
            .codes(json!({"agents": [-1, 2_147_483_648_i64]}))
            .await,
        [6, 6]
    );
}

#[tokio::test(start_paused = true)]
async fn the_manager_itself_is_code_7() {
    let stand = Stand::new().await;
    assert_eq!(stand.upgrade(&[0]).await, [7]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_away_is_code_8() {
    refused(
        |agent| agent.connection = ConnectionStatus::Disconnected,
        json!({}),
        8,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_system_without_packages_is_code_9() {
    refused(
        |agent| agent.platform.name = Some("solaris".into()),
        json!({}),
        9,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_version_too_old_is_code_11() {
    refused(
        |agent| agent.version = Some("Wazuh v2.1.0".into()),
        json!({}),
        11,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_current_is_code_12() {
    refused(
        |agent| agent.version = Some("Wazuh v4.14.9".into()),
        json!({}),
        12,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_target_above_the_manager_is_code_13() {
    refused(|_| {}, json!({"version": "v5.0.0"}), 13).await;
}

#[tokio::test(start_paused = true)]
async fn force_passes_12_and_13() {
    let stand = Stand::new().await;
    stand.provider.publish(Version::new(5, 0, 0), vec![1; 10]);
    stand.directory.put([agent(1, "Wazuh v5.0.0")]);
    let wish = json!({"agents": [1], "version": "v5.0.0", "force_upgrade": true});
    assert_eq!(stand.codes(wish).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn a_second_task_is_code_10_until_the_first_ended() {
    let stand = Stand::new().await;
    assert_eq!(stand.upgrade(&[1, 1]).await, [10, 0]);
    assert_eq!(stand.upgrade(&[1]).await, [10]);
    stand.delivered(1).await;
    assert_eq!(stand.upgrade(&[1]).await, [10]);
    stand.word(1, 0, "Done").await;
    assert_eq!(stand.upgrade(&[1]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn refused_agents_come_first_then_tasks_in_the_order_asked() {
    let stand = Stand::new().await;
    let items = stand
        .items("upgrade", json!({"agents": [3, 77, 1, 0, 2]}))
        .await;
    let agents: Vec<_> = items
        .iter()
        .map(|item| item["agent"].as_i64().unwrap())
        .collect();
    assert_eq!(agents, [77, 0, 3, 1, 2]);
    let tasks: Vec<_> = items[2..]
        .iter()
        .map(|item| item["task_id"].as_i64().unwrap())
        .collect();
    assert_eq!(tasks, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_is_refused_as_a_whole() {
    let stand = Stand::new().await;
    let codes = [
        (
            json!({"command": "upgrade", "parameters": {"agents": [1]}}),
            2,
        ),
        (
            json!({"origin": {"module": "x"}, "command": "upgrade", "parameters": {"agents": [1]}}),
            3,
        ),
        (
            json!({"origin": {"module": "api"}, "command": "downgrade", "parameters": {"agents": [1]}}),
            3,
        ),
        (
            json!({"origin": {"module": "api"}, "command": "upgrade", "parameters": {}}),
            2,
        ),
        (
            json!({"origin": {"module": "api"}, "command": "upgrade", "parameters": {"agents": ["1"]}}),
            3,
        ),
        (json!([]), 2),
    ];
    for (request, code) in codes {
        let answer = stand.call(Endpoint::Upgrade, Peer::Unknown, &request).await;
        assert!(
            [
                answer["error"].as_i64(),
                answer["data"][0]["error"].as_i64()
            ]
            .contains(&Some(code)),
            "{request}: {answer}"
        );
        assert_eq!(answer["data"].as_array().unwrap().len(), 1, "{answer}");
    }
    assert_eq!(stand.store.tables().latest(&[id(1)]), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_down_knows_nobody() {
    let stand = Stand::new().await;
    stand.directory.set_down(Some("no socket"));
    assert_eq!(stand.upgrade(&[1]).await, [6]);
    stand.directory.set_down(None);
    assert_eq!(stand.upgrade(&[1]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_code_4_and_nothing_is_delivered() {
    let stand = Stand::new().await;
    stand
        .faults
        .add("create", 1, StoreError::Full("no space".into()));
    assert_eq!(stand.upgrade(&[1, 77]).await, [6, 4]);
    stand
        .faults
        .add("latest", 1, StoreError::Unavailable("away".into()));
    let items = stand.items("upgrade_result", json!({"agents": [1]})).await;
    assert_eq!(items[0]["error"], 4);
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.delivered(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_and_does_nothing() {
    let stand = Stand::new().await;
    stand.directory.put([agent(2, "Wazuh v4.14.9")]);
    let wish = json!({"agents": [1, 2, 77], "dry_run": true});
    let items = stand.items("upgrade", wish).await;
    let codes: Vec<_> = items
        .iter()
        .map(|item| item["error"].as_i64().unwrap())
        .collect();
    assert_eq!(codes, [0, 12, 6], "in the order asked");
    assert_eq!(items[0]["target"], "v4.14.9");
    assert_eq!(items[0]["file"], "agent_v4.14.9.wpk");
    assert_eq!(stand.store.tables().latest(&[id(1)]), [None]);
    assert_eq!(stand.provider.fetched(), 0);
}

#[tokio::test(start_paused = true)]
async fn agents_are_listed_in_pages_and_by_version() {
    let stand = Stand::new().await;
    stand.directory.put([agent(2, "Wazuh v4.14.9")]);
    let page = stand
        .items("agent_list", json!({"limit": 3, "after": 1}))
        .await;
    let ids: Vec<_> = page
        .iter()
        .map(|item| item["agent"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [2, 3, 4]);
    let older = stand.items("agent_list", json!({"version": "older"})).await;
    assert_eq!(older.len(), 9, "all but agent 2");
    let end = stand.items("agent_list", json!({"after": 10})).await;
    assert_eq!(end.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_while_an_agent_is_delivered_to() {
    let stand = Stand::new().await;
    stand.rule(1, "close", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "close", 1).await;
    let items = stand
        .items("upgrade_progress", json!({"agents": [1, 3]}))
        .await;
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0]["step"], "close");
    assert_eq!(
        (&items[0]["sent"], &items[0]["total"]),
        (&json!(100_000), &json!(100_000))
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_may_only_speak_of_itself() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let word = json!({"command": "upgrade_update_status",
        "parameters": {"agents": [1], "error": 0, "status": "Done", "message": "x"}});
    let other = stand
        .call(Endpoint::Upgrade, Peer::Agent(id(2)), &word)
        .await;
    assert_eq!(other["data"][0]["error"], 3, "{other}");
    assert_eq!(stand.task(1).status, Status::InProgress);
    let task = stand.call(Endpoint::Task, Peer::Agent(id(1)), &word).await;
    assert_ne!(task["error"], 0, "{task}");
    let own = stand
        .call(Endpoint::Upgrade, Peer::Agent(id(1)), &word)
        .await;
    assert_eq!(own["data"][0]["error"], 0, "{own}");
}

#[tokio::test(start_paused = true)]
async fn a_result_shows_the_newest_task() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let items = stand
        .items("upgrade_result", json!({"agents": [1, 2]}))
        .await;
    assert_eq!(items[0]["status"], "Updating");
    assert_eq!(items[0]["create_time"], "2023/11/14 22:13:20");
    assert_eq!(items[1]["error"], 3);
}

/// The agents of a long request are looked up a slice after the other, and answered as
/// if they had been at once.
#[tokio::test(start_paused = true)]
async fn a_long_request_is_answered_in_its_order() {
    let stand = Stand::new().await;
    let known = |id: u32| !id.is_multiple_of(7);
    let agents: Vec<u32> = (1..=10_000).rev().collect();
    let directory = agents.iter().filter(|id| known(**id));
    stand
        .directory
        .put(directory.map(|id| agent(*id, "Wazuh v4.7.0")));
    let asked = stand.directory.asked();
    let parameters = json!({"agents": agents, "version": "v4.14.9"});
    let items = stand.items("upgrade", parameters).await;
    assert_eq!(stand.directory.asked() - asked, 5);
    let told: Vec<(u64, u64)> = (items.iter())
        .map(|item| {
            (
                item["agent"].as_u64().unwrap(),
                item["error"].as_u64().unwrap(),
            )
        })
        .collect();
    // 1 to 10 are known to the stand anyway.
    let (here, away): (Vec<u32>, Vec<u32>) =
        agents.iter().partition(|id| known(**id) || **id <= 10);
    let away = away.iter().map(|id| (u64::from(*id), 6));
    let here = here.iter().map(|id| (u64::from(*id), 0));
    let wanted: Vec<(u64, u64)> = away.chain(here).collect();
    assert_eq!(told, wanted);
    let tasks: Vec<u64> = (items.iter())
        .filter_map(|item| item["task_id"].as_u64())
        .collect();
    assert!(tasks.is_sorted() && tasks.len() > 8_000, "{}", tasks.len());
}
