//! Which version a request means, and what it costs to find that out.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wpk_api::{Dialect, ProviderError, Status, Version};
use wpk_testkit::memory::{Say, Trouble, agent};

use crate::stand::{NEWEST, Stand, id};

const OLDER: Version = Version::new(4, 13, 0);

#[tokio::test(start_paused = true)]
async fn without_a_version_the_latest_at_that_moment_is_meant() {
    let stand = Stand::with(|settings| {
        settings.node.version = None;
        settings.delivery.max_concurrent = 1.into();
    })
    .await;
    stand.rule(9, "write", Say::Hang);
    stand.upgrade(&[9]).await;
    stand.came(9, "write", 1).await;
    stand.directory.put([agent(2, "Wazuh v4.14.9")]);
    assert_eq!(stand.upgrade(&[1, 2]).await, [12, 0]);
    // What comes out while it waits is not what was agreed to.
    stand.provider.publish(Version::new(4, 15, 0), vec![1; 10]);
    stand.transport.release();
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![7; 100_000]);
}

#[tokio::test(start_paused = true)]
async fn in_the_dialect_of_4_x_the_managers_version_is_meant() {
    let stand = Stand::with(|settings| {
        settings.dialect = Dialect::Wazuh4;
        settings.node.version = Some(OLDER);
    })
    .await;
    stand.provider.publish(OLDER, vec![3; 300]);
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![3; 300]);
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_does_not_know_its_version_sets_no_limit() {
    let wish = json!({"agents": [1], "version": "v9.0.0"});
    let stand = Stand::new().await;
    assert_eq!(stand.codes(wish.clone()).await, [13]);
    let stand = Stand::with(|settings| settings.node.version = None).await;
    assert_eq!(stand.codes(wish).await, [0]);
}

/// A manager that is in its own directory, and no version in the settings.
async fn told_by_the_directory(dialect: Dialect) -> Stand {
    let stand = Stand::with(|settings| {
        settings.dialect = dialect;
        settings.node.version = None;
    })
    .await;
    stand.directory.put([agent(0, "Wazuh v4.13.0")]);
    stand
}

#[tokio::test(start_paused = true)]
async fn the_version_of_agent_0_is_the_limit_and_asked_again() {
    let stand = told_by_the_directory(Dialect::Documented).await;
    let wish = json!({"agents": [1], "version": NEWEST.to_string()});
    let before = stand.directory.asked();
    assert_eq!(stand.codes(wish.clone()).await, [13]);
    assert_eq!(stand.directory.asked(), before + 1, "one question for all");
    // Also against the repository's latest.
    assert_eq!(stand.upgrade(&[2]).await, [13]);
    // The manager itself stays what it is.
    assert_eq!(stand.codes(json!({"agents": [0]})).await, [7]);
    let mut forced = wish.clone();
    forced["force_upgrade"] = json!(true);
    assert_eq!(stand.codes(forced).await, [0]);
    stand.delivered(1).await;
    // Upgraded meanwhile.
    stand.directory.put([agent(0, "Wazuh v4.14.9")]);
    let wish = json!({"agents": [2], "version": NEWEST.to_string()});
    assert_eq!(stand.codes(wish).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn the_version_of_agent_0_is_the_target_of_4_x() {
    let stand = told_by_the_directory(Dialect::Wazuh4).await;
    stand.provider.publish(OLDER, vec![3; 300]);
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![3; 300]);
}

/// The repository says late which version is its latest.
#[tokio::test(start_paused = true)]
async fn the_version_of_agent_0_is_the_limit_of_a_delivery_as_well() {
    let stand = told_by_the_directory(Dialect::Documented).await;
    stand.provider.set_trouble(Trouble::Mute);
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.provider.release();
    let task = stand.until(1, Status::Failed).await;
    let text = "Upgrading an agent to a version higher than the manager requires the force flag";
    assert_eq!(task.error_msg.as_deref(), Some(text));
}

#[tokio::test(start_paused = true)]
async fn agents_are_compared_with_agent_0() {
    let stand = told_by_the_directory(Dialect::Documented).await;
    stand.directory.put([agent(3, "Wazuh v4.13.0")]);
    let items = stand.items("agent_list", json!({"version": "older"})).await;
    let ids: Vec<u64> = items
        .iter()
        .filter_map(|item| item["agent"].as_u64())
        .collect();
    assert!(ids.contains(&1) && !ids.contains(&3), "{items:?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_none_is_no_repositorys() {
    let stand = Stand::new().await;
    let wish = json!({"agents": [1], "version": "vNext", "force_upgrade": true});
    assert_eq!(stand.codes(wish).await, [0]);
    let task = stand.until(1, Status::Failed).await;
    let text = "The version of the WPK does not exist in the repository";
    assert_eq!(task.error_msg.as_deref(), Some(text));
    assert_eq!((stand.provider.fetched(), stand.steps(1).len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_file_of_ones_own_is_measured_by_no_target() {
    let stand = Stand::new().await;
    let path = stand.home.path().join("own.wpk");
    std::fs::write(&path, [5; 70]).unwrap();
    let aged = [agent(1, "Wazuh v9.9.9"), agent(2, "Wazuh v2.9.9")];
    stand.directory.put(aged);
    let wish = json!({"agents": [1, 2], "file_path": path});
    let items = stand.items("upgrade_custom", wish).await;
    let codes: Vec<_> = items.iter().map(|item| &item["error"]).collect();
    assert_eq!(codes, [&json!(11), &json!(0)]);
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![5; 70]);
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_is_slow_holds_a_request_up_for_5_s_at_most() {
    let stand = Stand::new().await;
    stand.directory.put([agent(1, "Wazuh v4.14.9")]);
    stand.provider.set_trouble(Trouble::Mute);
    let asked = Instant::now();
    assert_eq!(stand.upgrade(&[1]).await, [0], "as far as is known");
    assert_eq!(asked.elapsed(), Duration::from_secs(5));
    // The delivery asks for the latest again, and applies the rule then.
    stand.provider.release();
    let task = stand.until(1, Status::Failed).await;
    let text = "Current agent version is greater or equal";
    assert_eq!(task.error_msg.as_deref(), Some(text));
    assert_eq!(stand.steps(1), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_is_back_is_asked_for_the_latest_by_the_delivery() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 3).await;
    let away = ProviderError::NotReachable("away".into());
    stand.provider.set_trouble(Trouble::Resolve(away));
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.provider.set_trouble(Trouble::None);
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![7; 100_000]);
    assert_eq!(stand.provider.resolved(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_what_the_providers_say() {
    let stand = Stand::new().await;
    let dry = |version: &str| json!({"agents": [1], "version": version, "dry_run": true});
    let items = stand.items("upgrade", dry("v4.13.0")).await;
    assert_eq!(
        (&items[0]["error"], &items[0]["target"]),
        (&json!(15), &json!("v4.13.0"))
    );
    let none = ProviderError::NoPackage("none for it".into());
    stand.provider.set_trouble(Trouble::Resolve(none));
    let items = stand.items("upgrade", dry("v4.14.9")).await;
    assert_eq!(items[0]["error"], 9);
    let reason = items[0]["reason"].as_str().unwrap();
    assert!(reason.contains("none for it"), "{reason}");
    stand.provider.set_trouble(Trouble::Mute);
    let asked = Instant::now();
    assert_eq!(stand.codes(dry("v4.14.9")).await, [14]);
    assert_eq!(asked.elapsed(), Duration::from_secs(30));
    assert_eq!(stand.upgrade(&[1]).await, [0], "nothing was created");
}

/// Its client waits for 120 s, and would lose what is known of all others.
#[tokio::test(start_paused = true)]
async fn a_dry_run_ends_in_time_where_many_wishes_get_no_answer() {
    let stand = Stand::new().await;
    let many: Vec<u32> = (100..400).collect();
    let of_its_own = many.iter().map(|id| {
        let mut agent = wpk_testkit::memory::agent(*id, "v4.7.0");
        agent.platform.major = Some(id.to_string());
        agent
    });
    stand.directory.put(of_its_own);
    stand.provider.set_trouble(Trouble::Mute);
    let asked = Instant::now();
    for (some, seconds) in [(&many[..40], 34), (&many[..], 100)] {
        let begun = asked.elapsed();
        let dry = json!({"agents": some, "version": "v4.14.9", "dry_run": true});
        assert_eq!(stand.codes(dry).await, vec![14; some.len()]);
        assert_eq!((asked.elapsed() - begun).as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_without_a_version_names_the_latest() {
    let stand = Stand::new().await;
    let wish = json!({"agents": [1, 1], "dry_run": true});
    let items = stand.items("upgrade", wish).await;
    assert_eq!(items[0]["target"], NEWEST.to_string());
    assert_eq!(items[0]["file"], format!("agent_{NEWEST}.wpk"));
    assert_eq!(items[1]["error"], 10, "the second of the same agent");
}

/// A node of a cluster, as `ossec.conf` says.
async fn node_of_a_cluster(disabled: &str) -> Stand {
    let conf = format!(
        "<ossec_config><cluster><node_name>worker-1</node_name><node_type>worker</node_type>\
         <disabled>{disabled}</disabled></cluster></ossec_config>"
    );
    let conf = wpk_config::OssecConf::parse(std::path::Path::new("ossec.conf"), conf.as_bytes());
    let stand = Stand::with(|settings| settings.ossec = Some(conf.unwrap())).await;
    let on = |id, node: &str| wpk_api::AgentInfo {
        node: Some(node.to_owned()),
        ..agent(id, "Wazuh v4.7.0")
    };
    stand
        .directory
        .put([on(1, "worker-1"), on(2, "worker-2"), on(3, "unknown")]);
    stand
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_another_node_is_refused_with_its_name() {
    let stand = node_of_a_cluster("no").await;
    let items = stand.items("upgrade", json!({"agents": [1, 2, 3]})).await;
    let reason =
        "the agent is connected to node worker-2, and this is node worker-1: ask on that node";
    assert_eq!(
        items[0],
        json!({"error": 8, "message": "Agent is not active", "agent": 2, "reason": reason})
    );
    assert_eq!(
        (&items[1]["error"], &items[2]["error"]),
        (&json!(0), &json!(0))
    );
    let dry = json!({"agents": [2], "dry_run": true, "file_path": "/x.wpk"});
    let items = stand.items("upgrade_custom", dry).await;
    assert_eq!(
        (&items[0]["error"], &items[0]["reason"]),
        (&json!(8), &json!(reason))
    );
    // Where there is no cluster the names say nothing.
    let alone = node_of_a_cluster("yes").await;
    assert_eq!(alone.codes(json!({"agents": [2]})).await, [0]);
}
