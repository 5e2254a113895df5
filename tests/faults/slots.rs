//! `delivery.max_concurrent` bounds the agents that are written to; what waits
//! for something else does not keep their places.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_silent_repository_holds_up_nobody_else,
        "repository",
        "silent, with 40 agents waiting",
        "another's agent Updated within 30 s"
    ),
    check!(
        what_waits_to_be_begun_anew_is_not_timed_out,
        "daemon",
        "killed; less slots and a short time-out then",
        "4 Updated"
    ),
];

/// Forty agents wait for a repository that accepts and says nothing; the
/// forty-first gets its file at once.
async fn a_silent_repository_holds_up_nobody_else() -> String {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.8", b"a package").unwrap();
    let settings = "[delivery]\nmax_concurrent = 2\n[[provider]]\ntype = \"repository\"\n\
                    timeout = \"40s\"";
    let manager = Manager::start(settings).await.unwrap();
    let agents: Vec<u32> = (1..=40).collect();
    let rows = (1..=41).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    let lost = json!({"wpk_repo": format!("http://{address}/"), "version": "v4.14.8"});
    manager.upgrade(&agents, lost).await;
    let _asked = tokio::time::timeout(PATIENCE, silent.accept())
        .await
        .expect("the repository is asked")
        .unwrap();
    let began = Instant::now();
    let good = json!({"wpk_repo": repository.base(), "use_http": true, "version": "v4.14.8"});
    manager.upgrade(&[41], good).await;
    let ended = manager.wait_for_status(41, &["Updated", "Error"]).await;
    assert_eq!(ended.expect("an end")["status"], "Updated");
    let took = began.elapsed();
    assert!(manager.remoted.most_in_flight() <= 2);
    assert_eq!(manager.result(1).await["status"], "Updating");
    match took < Duration::from_secs(30) {
        true => "another's agent Updated within 30 s".to_owned(),
        false => format!("Updated after {took:.0?}"),
    }
}

/// Deliveries that a crash interrupted wait for a slot longer than the time-out:
/// they are carried out all the same.
async fn what_waits_to_be_begun_anew_is_not_timed_out() -> String {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.8", &[7; 100_000]).unwrap();
    let slots = |slots: u32| {
        format!("[delivery]\nmax_concurrent = {slots}\n[tasks]\ntask_timeout = \"2s\"")
    };
    let mut manager = Manager::start(&slots(4)).await.unwrap();
    let rows = (1..=4).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    manager.remoted.set_latency(Duration::from_millis(250));
    let parameters = json!({"wpk_repo": repository.base(), "use_http": true});
    manager.upgrade(&[1, 2, 3, 4], parameters).await;
    for agent in 1..=4 {
        let begun = manager.wait_for_step(agent, "open").await;
        begun.expect("all are under way");
    }
    manager.kill().await.unwrap();
    manager.configure(&slots(1)).unwrap();
    manager.boot().await.unwrap();
    for agent in 1..=4 {
        let ended = manager.wait_for_status(agent, &["Updated", "Error", "Timeout"]);
        let ended = ended.await.expect("an end");
        assert_eq!(ended["status"], "Updated", "{ended}\n{}", manager.output());
    }
    "4 Updated".to_owned()
}
