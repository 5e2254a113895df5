//! Words of agents that come when nobody asked, too often, or with too much in
//! them.

use std::time::Duration;

use serde_json::json;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::suite::pattern;
use wpk_testkit::{Manager, fleet};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        the_word_on_an_earlier_upgrade_does_not_end_this_one,
        "agent",
        "repeats an earlier result during a delivery",
        "Updating, told to stop, then Updated"
    ),
    check!(
        an_agent_that_repeats_itself_keeps_no_other_waiting,
        "agent",
        "reports 300 times and does not listen",
        "told once at a time, others at once"
    ),
    check!(
        an_agent_cannot_forge_lines_of_the_log,
        "agent",
        "reports a line of a log",
        "Updated, one line in the log"
    ),
    check!(
        an_agent_that_does_not_listen_does_not_delay_the_stop,
        "agent",
        "does not listen while the daemon stops",
        "an end in order within 10 s"
    ),
];

/// An agent that still repeats the result of an earlier upgrade does not end the
/// one that is being delivered to it.
async fn the_word_on_an_earlier_upgrade_does_not_end_this_one() -> String {
    let wpk = pattern(400_000);
    let fleet = fleet("[delivery]\nchunk_size = 8192", 1, &wpk).await;
    let (manager, _repository, parameters) = fleet.unwrap();
    manager.remoted.set_latency(Duration::from_millis(50));
    manager.upgrade(&[1], parameters).await;
    let sent = manager.remoted.wait_for_nth(1, "write", 3, PATIENCE).await;
    sent.expect("the delivery goes on");
    manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    let told = manager.wait_for_step(1, "clear_upgrade_result");
    told.await.expect("the agent is told to stop repeating it");
    let meanwhile = manager.result(1).await["status"].clone();
    let upgraded = manager.wait_for_step(1, "upgrade").await;
    upgraded.expect("the upgrade is carried out all the same");
    let ended = manager.wait_for_status(1, &["Updated", "Error"]).await;
    let ended = ended.unwrap()["status"].clone();
    assert_eq!(manager.remoted.received(1).unwrap(), wpk);
    let word = |status: &serde_json::Value| status.as_str().unwrap().to_owned();
    format!("{}, told to stop, then {}", word(&meanwhile), word(&ended))
}

/// One agent that says the same again and again, and does not listen, keeps the
/// answers to others from nobody.
async fn an_agent_that_repeats_itself_keeps_no_other_waiting() -> String {
    let manager = Manager::start("").await.unwrap();
    manager
        .remoted
        .set_rules("1 clear_upgrade_result @hang\n")
        .unwrap();
    for _ in 0..300 {
        manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    }
    let first = manager.wait_for_step(1, "clear_upgrade_result");
    first.await.expect("the first one is told");
    manager.remoted.acknowledge(2, 0, "Done").await.unwrap();
    let told = manager
        .remoted
        .wait_for(2, "clear_upgrade_result", Duration::from_secs(4));
    told.await.expect("the other is told meanwhile");
    match manager.remoted.steps(1).len() {
        1 => "told once at a time, others at once".to_owned(),
        times => format!("told {times} times at once"),
    }
}

/// What an agent says is logged, but writes no line of its own into the log.
async fn an_agent_cannot_forge_lines_of_the_log() -> String {
    let (manager, _repository, parameters) = fleet("", 1, b"a package").await.unwrap();
    manager.remoted.set_rules("* upgrade @noack\n").unwrap();
    manager.upgrade(&[1], parameters).await;
    let upgraded = manager.wait_for_step(1, "upgrade").await;
    upgraded.expect("it is told to run the installer");
    let request = json!({"command": "upgrade_update_status", "parameters":
        {"agents": [1], "error": 0, "status": "Done", "message": "fine\nERROR wpkd: all is lost"}});
    manager.ask(request.to_string()).await.unwrap();
    manager.wait_for_status(1, &["Updated"]).await.unwrap();
    let log = manager.output();
    assert!(log.contains("the agent reported"), "{log}");
    match log.lines().any(|line| line.starts_with("ERROR wpkd")) {
        false => "Updated, one line in the log".to_owned(),
        true => format!("a forged line: {log}"),
    }
}

/// An agent that does not listen does not keep the daemon from stopping.
async fn an_agent_that_does_not_listen_does_not_delay_the_stop() -> String {
    let settings = "[transport]\ntype = \"remoted\"\ntimeout = \"70s\"";
    let mut manager = Manager::start(settings).await.unwrap();
    manager
        .remoted
        .set_rules("1 clear_upgrade_result @hang\n")
        .unwrap();
    manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    let told = manager.wait_for_step(1, "clear_upgrade_result");
    told.await.expect("it is told");
    let stopped = manager.stop_within(Duration::from_secs(10)).await;
    assert!(stopped.unwrap().success());
    "an end in order within 10 s".to_owned()
}
