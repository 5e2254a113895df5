//! Agents that are told that their word arrived, and answers that cannot be had.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use wpk_api::{Dialect, Endpoint, Peer, Status, StoreError, Version};
use wpk_testkit::memory::{Say, agent};

use crate::stand::{Stand, id};

const CLEAR: &str = "clear_upgrade_result";

#[tokio::test(start_paused = true)]
async fn an_agent_is_told_once_for_each_word() {
    let stand = Stand::installing().await;
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stand.transport.count(id(1), CLEAR), 1);
    // It repeats itself where it was not heard; also without a task for it.
    assert_eq!(stand.word(1, 0, "Done").await, 3);
    assert_eq!(stand.word(2, 0, "Done").await, 3);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stand.transport.count(id(1), CLEAR), 2);
    assert_eq!(stand.transport.count(id(2), CLEAR), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_agent_that_repeats_itself_is_told_once_at_a_time() {
    let stand = Stand::installing().await;
    stand.rule_times(1, CLEAR, Say::Hang, 1);
    stand.word(1, 0, "Done").await;
    stand.came(1, CLEAR, 1).await;
    let asked = Instant::now();
    for _ in 0..5 {
        assert_eq!(stand.word(1, 0, "Done").await, 3);
    }
    stand.word(2, 0, "Done").await;
    stand.came(2, CLEAR, 1).await;
    assert_eq!(asked.elapsed(), Duration::ZERO, "nobody waits for it");
    assert_eq!(stand.transport.count(id(1), CLEAR), 1);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_could_not_be_told_is_told_when_it_repeats_itself() {
    let stand = Stand::installing().await;
    stand.rule_times(1, CLEAR, Say::NotConnected, 1);
    stand.word(1, 0, "Done").await;
    stand.came(1, CLEAR, 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stand.transport.count(id(1), CLEAR), 1);
    assert_eq!(stand.word(1, 0, "Done").await, 3);
    stand.came(1, CLEAR, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_a_second_for_agents_that_are_being_told() {
    let stand = Stand::installing().await;
    stand.rule(1, CLEAR, Say::Hang);
    stand.word(1, 0, "Done").await;
    stand.came(1, CLEAR, 1).await;
    let told = Instant::now();
    stand.stop().await;
    assert_eq!(told.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_read_are_answered_4() {
    let stand = Stand::new().await;
    let away = StoreError::Unavailable("away".into());
    stand.faults.add("latest", 1, away);
    let items = stand
        .items("upgrade_result", json!({"agents": [1, 2]}))
        .await;
    let codes: Vec<_> = items.iter().map(|item| &item["error"]).collect();
    assert_eq!(codes, [&json!(4), &json!(4)]);
}

#[tokio::test(start_paused = true)]
async fn results_are_told_in_the_order_asked_and_in_the_words_of_the_dialect() {
    for (dialect, legacy, time) in [
        (Dialect::Documented, "Legacy", Some("0")),
        (Dialect::Wazuh4, "Legacy upgrade: check", None),
    ] {
        let stand = Stand::with(|settings| {
            settings.dialect = dialect;
            settings.delivery.max_concurrent = 1.into();
        })
        .await;
        stand.provider.publish(Version::new(4, 0, 4), vec![1; 10]);
        stand.directory.put([agent(1, "Wazuh v3.9.0")]);
        let wish = json!({"agents": [1], "version": "v4.0.4"});
        assert_eq!(stand.codes(wish).await, [0]);
        stand.until(1, Status::Legacy).await;
        stand.rule(3, "open", Say::Hang);
        stand.upgrade(&[3, 2]).await;
        stand.came(3, "open", 1).await;
        let asked = json!({"agents": [2, 9, 1, -4]});
        let items = stand.items("upgrade_result", asked).await;
        let codes: Vec<_> = (items.iter())
            .map(|item| {
                (
                    item["error"].as_i64().unwrap(),
                    item["agent"].as_i64().unwrap(),
                )
            })
            .collect();
        assert_eq!(codes, [(0, 2), (3, 9), (0, 1), (3, -4)]);
        assert_eq!(items[0]["status"], "In queue");
        assert_eq!(items[0].get("update_time").and_then(Value::as_str), time);
        let shown = items[2]["status"].as_str().unwrap();
        assert!(shown.starts_with(legacy), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn agents_are_listed_past_pages_without_any() {
    let stand = Stand::new().await;
    let current = (1..=9).map(|number| agent(number, "Wazuh v4.14.9"));
    stand.directory.put(current);
    let wish = json!({"limit": 2, "version": "older"});
    let items = stand.items("agent_list", wish).await;
    let agents: Vec<_> = items.iter().map(|item| &item["agent"]).collect();
    assert_eq!(agents, [&json!(10)]);
    stand.directory.set_down(Some("it is down"));
    let refused = stand.items("agent_list", json!({})).await;
    let text = refused[0]["message"].as_str().unwrap();
    assert!(text.contains("it is down"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_know_its_version_cannot_compare() {
    let stand = Stand::with(|settings| settings.node.version = None).await;
    let items = stand.items("agent_list", json!({"version": "older"})).await;
    assert_eq!(items[0]["error"], 3);
    let text = items[0]["message"].as_str().unwrap();
    assert!(text.contains("node.version"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn only_root_may_enroll_agents() {
    let stand = Stand::new().await;
    let request = json!({
        "origin": {"module": "api"}, "command": "agent_enroll", "parameters": {"name": "web"},
    });
    let mut texts = Vec::new();
    for peer in [
        Peer::Unknown,
        Peer::Local { uid: u32::MAX },
        Peer::Local { uid: 0 },
    ] {
        let answer = stand.call(Endpoint::Upgrade, peer, &request).await;
        assert_eq!(answer["data"][0]["error"], 3);
        texts.push(answer["data"][0]["message"].as_str().unwrap().to_owned());
    }
    let forbidden = "Only root and the user of wpkd may enroll agents";
    assert_eq!(texts[..2], [forbidden, forbidden]);
    // Root is let through, to a directory that enrolls nobody.
    assert!(texts[2].contains("does not enroll"), "{}", texts[2]);
}

#[tokio::test(start_paused = true)]
async fn only_root_may_change_agents() {
    let stand = Stand::new().await;
    let request = json!({
        "origin": {"module": "api"}, "command": "agent_revoke", "parameters": {"agent": 1},
    });
    let mut texts = Vec::new();
    for command in ["agent_token", "agent_token_list", "agent_ca"] {
        let request = json!({"origin": {"module": "api"}, "command": command});
        let peer = Peer::Local { uid: u32::MAX };
        let answer = stand.call(Endpoint::Upgrade, peer, &request).await;
        let text = answer["data"][0]["message"].as_str().unwrap();
        assert!(text.starts_with("Only root"), "{command}: {text}");
        let peer = Peer::Local { uid: 0 };
        let answer = stand.call(Endpoint::Upgrade, peer, &request).await;
        let text = answer["data"][0]["message"].as_str().unwrap();
        assert!(text.starts_with("not supported here"), "{command}: {text}");
    }
    for peer in [Peer::Local { uid: u32::MAX }, Peer::Local { uid: 0 }] {
        let answer = stand.call(Endpoint::Upgrade, peer, &request).await;
        assert_eq!(answer["error"], 3);
        texts.push(answer["data"][0]["message"].as_str().unwrap().to_owned());
    }
    let forbidden = "Only root and the user of wpkd may change agents";
    assert_eq!(texts[0], forbidden);
    // As of a manager whose agents are enrolled and changed with its own tools.
    assert!(texts[1].starts_with("not supported here"), "{}", texts[1]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_shown_with_its_last_result() {
    let stand = Stand::installing().await;
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    stand.until(1, Status::Done).await;
    let shown = stand.items("agent_show", json!({"agent": 1})).await;
    assert_eq!(shown[0]["name"], "agent1");
    assert_eq!(shown[0]["last_result"], "Updated");
    assert!(shown[0]["last_result_at"].is_i64());
    // The list tells it where it is asked for it.
    let listed = stand.items("agent_list", json!({"limit": 1})).await;
    assert_eq!(listed[0].get("last_result"), None);
    let wish = json!({"limit": 1, "details": true});
    let listed = stand.items("agent_list", wish).await;
    assert_eq!(listed[0]["last_result"], "Updated");
    let nobody = stand.items("agent_show", json!({"agent": 999})).await;
    assert_eq!(nobody[0]["message"], "There is no agent 999");
}

#[tokio::test(start_paused = true)]
async fn a_word_that_says_nothing_is_answered_4_and_not_heard_again() {
    let stand = Stand::installing().await;
    let word = json!({"agents": [1], "status": "Dance", "message": "x"});
    let items = stand.items("upgrade_update_status", word).await;
    assert_eq!(items[0]["error"], 4);
    assert_eq!(stand.task(1).status, Status::InProgress);
    stand.came(1, CLEAR, 1).await;
}

/// Where somebody passes he is told of the file; where nobody does it is told all the same, so
/// that one mistake is not found after the other.
#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_sent_is_told_of_where_no_agent_passes_too() {
    let stand = Stand::new().await;
    for flag in ["check_file", "dry_run"] {
        let items = async |agents: &[u32]| {
            let file = "/nonexistent/agent.wpk";
            let mut parameters = json!({"agents": agents, "file_path": file});
            parameters[flag] = true.into();
            stand.items("upgrade_custom", parameters).await
        };
        let nobody = items(&[77]).await.remove(0);
        assert_eq!(nobody["error"], 6, "{nobody}");
        let reason = nobody["reason"].as_str().unwrap();
        let told = "the file cannot be sent either: ";
        assert!(reason.starts_with(told), "{reason}");
        assert!(reason.contains("/nonexistent/agent.wpk"), "{reason}");
        let both = items(&[77, 1]).await;
        assert_eq!(both[0].get("reason"), None, "{both:?}");
        assert_eq!(both[1]["error"], 16, "{both:?}");
    }
}

/// A dry run that promises what cannot be carried out is worse than none.
#[tokio::test(start_paused = true)]
async fn a_package_without_the_installer_is_refused_before_anything_is_sent() {
    let stand = Stand::new().await;
    let ca = wpk_testkit::wpk::SigningCa::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.wpk");
    let package = ca.package(&[("setup.sh", b"#!/bin/sh\n")]).unwrap();
    std::fs::write(&file, package).unwrap();
    let file = file.to_str().unwrap();
    for flag in ["check_file", "dry_run"] {
        for (installer, told) in [
            (
                json!("../setup.sh"),
                "it has no installer \"../setup.sh\"; it has setup.sh",
            ),
            (
                json!("absent.sh"),
                "it has no installer \"absent.sh\"; it has setup.sh",
            ),
            (json!(null), "it has neither upgrade.sh nor upgrade.bat"),
        ] {
            let mut parameters = json!({"agents": [1], "file_path": file});
            parameters[flag] = true.into();
            if installer.is_string() {
                parameters["installer"] = installer;
            }
            let item = stand.items("upgrade_custom", parameters).await.remove(0);
            assert_ne!(item["error"], 0, "{item}");
            let reason = item["reason"].as_str().unwrap();
            assert!(reason.contains(told), "{reason}");
        }
    }
    let parameters = json!({
        "agents": [1], "file_path": file, "installer": "setup.sh", "dry_run": true,
    });
    let good = stand.items("upgrade_custom", parameters).await.remove(0);
    assert_eq!(good["error"], 0, "{good}");
}
