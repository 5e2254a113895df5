//! Agents that are silent, or not ready yet.

use std::time::{Duration, Instant};

use wpk_testkit::fleet;

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        silent_agents_cost_the_others_one_time_out,
        "agents",
        "8 silent at open, 12 healthy behind them",
        "healthy ones Updated within two time-outs, silent ones Error"
    ),
    check!(
        an_agent_that_just_started_is_waited_for,
        "agent",
        "open answered with code 1 for some seconds",
        "Updated"
    ),
    check!(
        an_agent_that_stays_not_ready_is_given_up,
        "agent",
        "open answered with code 1 for ever",
        "Error: Send open file error"
    ),
    check!(
        other_refusals_of_open_are_asked_ten_times,
        "agent",
        "open refused for ever",
        "Error: Send open file error, asked 10 times"
    ),
];

const NOT_READY: &str =
    r#"{"error":1,"message":"Upgrade module is disabled or not ready yet","data":[]}"#;

async fn silent_agents_cost_the_others_one_time_out() -> String {
    const TIMEOUT: Duration = Duration::from_secs(8);
    let settings = "[transport]\ntype = \"remoted\"\ntimeout = \"8s\"";
    let (manager, _repository, parameters) = fleet(settings, 20, b"a package").await.unwrap();
    let rules: String = (1..=8).map(|id| format!("{id} open @hang\n")).collect();
    manager.remoted.set_rules(&rules).unwrap();
    let began = Instant::now();
    manager
        .upgrade(&(1..=20).collect::<Vec<_>>(), parameters)
        .await;
    for agent in 9..=20 {
        let ended = manager.wait_for_status(agent, &["Updated", "Error"]).await;
        assert_eq!(ended.expect("an end")["status"], "Updated");
    }
    let took = began.elapsed();
    for agent in 1..=8 {
        let ended = manager.wait_for_status(agent, &["Updated", "Error"]).await;
        assert_eq!(ended.expect("an end")["status"], "Error");
    }
    match took < 2 * TIMEOUT {
        true => "healthy ones Updated within two time-outs, silent ones Error".to_owned(),
        false => format!("healthy ones Updated after {took:.0?}"),
    }
}

/// The end of an upgrade of an agent with these rules.
async fn end_with(settings: &str, rules: &str) -> (String, usize) {
    let (manager, _repository, parameters) = fleet(settings, 1, b"a package").await.unwrap();
    manager.remoted.set_rules(rules).unwrap();
    manager.upgrade(&[1], parameters).await;
    let ended = manager.wait_for_status(1, &["Updated", "Error"]).await;
    let ended = ended.expect("an end");
    let text = |key: &str| ended[key].as_str().map(str::to_owned);
    let status = text("status").expect("a status");
    let said = match text("error_msg") {
        Some(error_msg) => format!("{status}: {error_msg}"),
        None => status,
    };
    (said, manager.remoted.count(1, "open"))
}

async fn an_agent_that_just_started_is_waited_for() -> String {
    end_with("", &format!("1 open @count:4:{NOT_READY}\n"))
        .await
        .0
}

async fn an_agent_that_stays_not_ready_is_given_up() -> String {
    let settings = "[delivery]\nready_within = \"3s\"";
    end_with(settings, &format!("1 open {NOT_READY}\n")).await.0
}

async fn other_refusals_of_open_are_asked_ten_times() -> String {
    let (said, asked) = end_with("", "1 open err Cannot send request\n").await;
    format!("{said}, asked {asked} times")
}
