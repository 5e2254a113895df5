//! Whole outputs, byte for byte.

use serde_json::json;

use crate::common::{answer, listed, refusal};
use crate::stage::{CANCELLED, Home, LEGACY, TIMEOUT, done_in_round_two, manager};

#[test]
fn success() {
    let home = Home::new(manager(done_in_round_two));
    let old_to_reported =
        "\nUpgrading...\n\nUpgraded agents:\n\tAgent 001 upgraded: Wazuh v4.7.0 -> Wazuh v4.14.0\n";
    home.prints("-a 001", old_to_reported);
    assert_eq!(home.manager.asked("upgrade_result").len(), 3);
    assert_eq!(
        home.manager.asked("upgrade")[0],
        json!({"origin": {"module": "api"}, "command": "upgrade",
               "parameters": {"agents": [1], "use_http": false, "force_upgrade": false}})
    );
}

#[test]
fn the_version_asked_for_is_shown() {
    for version in ["v4.14.5", "4.14.5"] {
        let home = Home::new(manager(done_in_round_two));
        home.prints(
            &format!("--agents 10 1 10 --version {version}"),
            "\nUpgrading...\n\nUpgraded agents:\n\
             \tAgent 001 upgraded: Wazuh v4.7.0 -> v4.14.5\n\
             \tAgent 010 upgraded: Wazuh v4.7.0 -> v4.14.5\n",
        );
    }
}

#[test]
fn failures_tell_their_reason() {
    let home = Home::new(manager(|agent, _| match agent {
        1 => ("Error", Some("Send open file error")),
        8 => (TIMEOUT, None),
        10 => (CANCELLED, None),
        11 => (LEGACY, None),
        12 => ("Error", None),
        13 => ("Timeout", None),
        14 => ("Cancelled", None),
        _ => ("Updated", None),
    }));
    home.prints(
        "-a 15 14 13 12 11 10 8 1 -v v4.14.0",
        &format!(
            "\nUpgrading...\n\nUpgraded agents:\n\
             \tAgent 011 upgraded: Wazuh v4.7.0 -> v4.14.0\n\
             \tAgent 015 upgraded: Wazuh v4.7.0 -> v4.14.0\n\
             \nFailed upgrades:\n\
             \tAgent 001 status: Send open file error\n\
             \tAgent 008 status: {TIMEOUT}\n\
             \tAgent 010 status: {CANCELLED}\n\
             \tAgent 012 status: Error\n\
             \tAgent 013 status: {TIMEOUT}\n\
             \tAgent 014 status: {CANCELLED}\n"
        ),
    );
}

#[test]
fn only_failures() {
    let home = Home::new(manager(|_, _| (TIMEOUT, None)));
    home.prints(
        "-a 1",
        &format!("\nUpgrading...\n\nFailed upgrades:\n\tAgent 001 status: {TIMEOUT}\n"),
    );
}

#[test]
fn refusals_are_grouped_by_reason() {
    let home = Home::new(manager(done_in_round_two));
    let refused = "Agents that cannot be upgraded:\n\
         \tAgent 009 upgrade failed. Status: Error 1701 - Agent does not exist\n\
         \tAgent 000 upgrade failed. Status: Error 1703 - Action not available for Manager (agent 000)\n\
         \tAgent 003, 004 upgrade failed. Status: Error 1707 - Cannot send request, agent is not active\n\
         \tAgent 006 upgrade failed. Status: Error 1816 - Agent information not found in database\n\
         \tAgent 005 upgrade failed. Status: Error 1819 - The WPK for this platform is not available\n\
         \tAgent 002 upgrade failed. Status: Error 1822 - Current agent version is greater or equal\n";
    home.prints("-a 9 4 3 2 0 5 6", refused);
    assert!(home.manager.asked("upgrade_result").is_empty());
    home.prints(
        "-a 9 4 3 2 0 5 6 1 -v v4.14.0",
        &format!(
            "{refused}\nUpgrading...\n\nUpgraded agents:\n\
             \tAgent 001 upgraded: Wazuh v4.7.0 -> v4.14.0\n"
        ),
    );
}

#[test]
fn a_target_above_the_manager_ends_the_call() {
    let text = "Error 1823: Upgrading an agent to a version higher than the manager requires the force flag\n";
    let home = Home::new(manager(done_in_round_two));
    home.prints("-a 3 7 -v v9.0.0", text);
    // What was started before is not kept quiet, but is no line for scripts.
    let run = home.run("-a 1 7 -v v9.0.0").ended(0);
    assert_eq!(run.out, text);
    assert_eq!(
        run.err,
        "agent_upgrade: the upgrade of agent 001 was started before this failure and goes on\n"
    );
    assert!(home.manager.asked("upgrade_result").is_empty());
}

#[test]
fn other_failures_end_the_call() {
    let home = Home::new(|request| match request["command"].as_str().unwrap() {
        "agent_list" => refusal(3, "JSON parameter not recognized"),
        _ => refusal(3, "Parameter \"wpk_repo\" should be a string"),
    });
    home.prints(
        "-a 1",
        "Error 1813: Parameter \"wpk_repo\" should be a string\n",
    );
    home.prints("-l", "Error 1813: JSON parameter not recognized\n");

    std::fs::remove_file(&home.manager.socket).unwrap();
    let run = home.run("-a 1").ended(0);
    assert!(
        run.out
            .starts_with("Internal error: cannot reach the manager at "),
        "{}",
        run.out
    );
    assert_eq!(run.out.lines().count(), 1);
}

#[test]
fn a_manager_that_cannot_list_agents_can_still_upgrade_them() {
    let mut rounds = manager(done_in_round_two);
    let home = Home::new(move |request| match request["command"].as_str().unwrap() {
        "agent_list" => refusal(3, "JSON parameter not recognized"),
        _ => rounds(request),
    });
    home.prints(
        "-a 1 9",
        "Agents that cannot be upgraded:\n\
         \tAgent 009 upgrade failed. Status: Error 1701 - Agent does not exist\n\
         \nUpgrading...\n\nUpgraded agents:\n\tAgent 001 upgraded: unknown -> unknown\n",
    );
}

#[test]
fn the_list_of_outdated_agents() {
    let home = Home::new(|request| {
        assert_eq!(request["parameters"]["version"], "different");
        let after = request["parameters"]["after"].as_i64().unwrap_or(0);
        answer(
            [3, 1234]
                .into_iter()
                .filter(|agent| *agent > after)
                .map(|agent| listed(agent, "v4.7.0"))
                .collect(),
        )
    });
    home.prints(
        "-l",
        "ID    Name                                Version                  \n\
         003   host3                               Wazuh v4.7.0             \n\
         1234  host1234                            Wazuh v4.7.0             \n\
         \nTotal outdated agents: 2\n",
    );
    let home = Home::new(|_| answer(vec![]));
    home.prints("--list_outdated", "All agents are updated.\n");
}
