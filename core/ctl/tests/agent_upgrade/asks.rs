//! Options, chunks, patience, and the ways to be called and to be stopped.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Mutex;

use serde_json::json;

use crate::common::{Reply, agents, answer, created, refusal, run};
use crate::stage::{CANCELLED, Home, done_in_round_two, manager};

#[test]
fn silence_waits_and_prints_nothing() {
    let home = Home::new(manager(done_in_round_two));
    home.prints("-s -a 1 2", "");
    assert_eq!(home.manager.asked("upgrade_result").len(), 3);
}

#[test]
fn debug_goes_to_standard_error() {
    let home = Home::new(manager(done_in_round_two));
    let run = home.run("-d -a 1 -v v4.14.0").ended(0);
    assert_eq!(
        run.out,
        "\nUpgrading...\n\nUpgraded agents:\n\tAgent 001 upgraded: Wazuh v4.7.0 -> v4.14.0\n"
    );
    assert!(
        run.err.contains("debug: sent `upgrade` for 1 agents"),
        "{}",
        run.err
    );
}

#[test]
fn options_become_parameters() {
    let home = Home::new(manager(done_in_round_two));
    home.run("-a 1 -r mirror/wpk/ -v 4.14.0 -F --http --package_type rpm")
        .ended(0);
    home.run("-a 1 -f /a/b.wpk -x go.sh").ended(0);
    home.run("-a 1 -x go.sh").ended(0);
    home.run("-a 1 -f var/upgrade/b.wpk").ended(0);
    assert_eq!(
        home.manager.asked("upgrade")[0]["parameters"],
        json!({"agents": [1], "version": "4.14.0", "wpk_repo": "mirror/wpk/",
               "use_http": true, "force_upgrade": true, "package_type": "rpm"})
    );
    let custom = home.manager.asked("upgrade_custom");
    assert_eq!(
        custom[0]["parameters"],
        json!({"agents": [1], "file_path": "/a/b.wpk", "installer": "go.sh"})
    );
    assert_eq!(
        custom[1]["parameters"],
        json!({"agents": [1], "installer": "go.sh"})
    );
    // As seen from the manager's home, wherever the tool is started.
    assert_eq!(
        custom[2]["parameters"],
        json!({"agents": [1], "file_path": "var/upgrade/b.wpk"})
    );
}

#[test]
fn many_agents_go_in_chunks_that_are_halved_when_the_task_manager_is_away() {
    let ids: Vec<String> = (100..1_300).map(|id| id.to_string()).collect();
    let arguments = format!("-s -a {}", ids.join(" "));

    let home = Home::new(manager(done_in_round_two));
    home.run(&arguments).ended(0);
    let sizes = |home: &Home| -> Vec<usize> {
        let requests = home.manager.asked("upgrade");
        requests
            .iter()
            .map(|request| agents(request).len())
            .collect()
    };
    assert_eq!(sizes(&home), [500, 500, 200]);

    // Takes no more than 200 at a time; the first of a longer chunk get tasks.
    let tasks = Mutex::new(HashSet::new());
    let mut rounds = manager(done_in_round_two);
    let home = Home::new(move |request| match request["command"].as_str().unwrap() {
        "upgrade" => {
            let items = agents(request).into_iter().enumerate().map(|(n, agent)| {
                if n >= 200 {
                    return json!({"error": 4, "message": "Task manager communication error", "agent": agent});
                }
                assert!(tasks.lock().unwrap().insert(agent), "{agent} is sent twice");
                created(agent)
            });
            answer(items.collect())
        }
        _ => rounds(request),
    });
    let run = home.run(&arguments.replace("-s ", "-v v4.14.0 ")).ended(0);
    assert_eq!(sizes(&home)[..2], [500, 250]);
    assert_eq!(run.out.matches("upgraded: ").count(), 1_200, "{}", run.out);
}

#[test]
fn a_task_manager_that_stays_away_ends_the_call() {
    let mut rounds = manager(done_in_round_two);
    let home = Home::new(move |request| match request["command"].as_str().unwrap() {
        "upgrade" => refusal(4, "Task manager communication error"),
        _ => rounds(request),
    });
    home.prints(
        "-a 1 2 3 10",
        "Error 1814: Task manager communication error\n",
    );
    assert_eq!(home.manager.asked("upgrade").len(), 3, "4, 2, 1");
}

#[test]
fn a_restart_of_the_manager_is_outlived() {
    let mut rounds = manager(|_, _| (CANCELLED, None));
    let mut asked = 0;
    let home = Home::new(move |request| {
        asked += usize::from(request["command"] == "upgrade_result");
        match asked {
            1 | 2 => Reply::Close,
            _ => rounds(request),
        }
    });
    home.prints(
        "-a 1",
        &format!("\nUpgrading...\n\nFailed upgrades:\n\tAgent 001 status: {CANCELLED}\n"),
    );
}

#[test]
fn without_agents_it_prints_its_help() {
    let home = Home::new(|_| panic!("not asked"));
    let run = home.run("").ended(0);
    for option in [
        "-a, --agents <ID>",
        "-r, --repository <URL>",
        "-v, --version <V>",
        "-F, --force",
        "-s, --silent",
        "-l, --list_outdated",
        "-f, --file <WPK>",
        "-x, --execute <INSTALLER>",
        "-d, --debug",
        "--http",
        "--package_type <TYPE>",
    ] {
        assert!(run.out.contains(option), "{option}: {}", run.out);
    }
    for hidden in ["--socket", "--interval", "--json", "wpkctl"] {
        assert!(!run.out.contains(hidden), "{hidden}: {}", run.out);
    }
    assert_eq!(run.out, home.run("-h").ended(0).out);
    assert_eq!(run.out, home.run("-F").ended(0).out);
    for bad in [
        "-a",
        "-a x",
        "-a 1-3",
        "-a 1 --package_type msi",
        "--nothing",
    ] {
        home.run(bad).ended(2);
    }
}

#[test]
fn interrupting_it_is_status_1() {
    let home = Home::new(manager(|_, _| ("Updating", None)));
    let mut tool = home
        .command("-a 1 --interval 10ms")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tool.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "");
    assert_eq!(lines.next().unwrap().unwrap(), "Upgrading...");
    let pid = rustix::process::Pid::from_child(&tool);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(lines.next().is_none());
    assert_eq!(tool.wait().unwrap().code(), Some(1));
}

#[test]
fn under_its_own_name_it_is_a_hidden_command() {
    let home = Home::new(manager(done_in_round_two));
    let socket = home.manager.socket.to_str().unwrap();
    let ran = run(&["--socket", socket, "agent_upgrade", "-a", "2"]).ended(0);
    assert_eq!(
        ran.out,
        "Agents that cannot be upgraded:\n\
         \tAgent 002 upgrade failed. Status: Error 1822 - Current agent version is greater or equal\n"
    );
    assert!(!run(&["--help"]).ended(0).out.contains("agent_upgrade"));
}
