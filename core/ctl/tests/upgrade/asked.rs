//! What is asked for, of whom, and what is refused.

use crate::common::*;
use serde_json::{Value, json};

use crate::stage::*;

#[test]
fn without_watching_a_task_is_enough() {
    let (_dir, path) = socket();
    let manager = manager(&path, |_, _| panic!("not asked"));
    let run = upgrade(&manager, &["1", "1-2", "002"]).ended(0);
    assert_eq!(run.out, "agent 001: task 101\nagent 002: task 102\n");
    upgrade(&manager, &["1", "8"]).ended(1);
    assert_eq!(upgrade(&manager, &["1", "--quiet"]).ended(0).out, "");
    assert_eq!(agents(&manager.asked("upgrade")[0]), [1, 2]);
}

#[test]
fn options_become_parameters() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |request| {
        answer(agents(request).into_iter().map(created).collect())
    });
    let options = "1 --version v4.14.0 --repository mirror/wpk/ --force --http --package-type deb";
    upgrade(&manager, &options.split(' ').collect::<Vec<_>>()).ended(0);
    upgrade(&manager, &["1"]).ended(0);
    upgrade(
        &manager,
        &["1", "--file", "/tmp/a b.wpk", "--installer", "go.sh"],
    )
    .ended(0);
    let requests = manager.requests.lock().unwrap().clone();
    assert!(
        requests
            .iter()
            .all(|request| request["origin"] == json!({"module": "api"}))
    );
    let parameters: Vec<&Value> = requests
        .iter()
        .map(|request| &request["parameters"])
        .collect();
    assert_eq!(
        *parameters[0],
        json!({"agents": [1], "version": "v4.14.0", "wpk_repo": "mirror/wpk/",
               "use_http": true, "force_upgrade": true, "package_type": "deb"})
    );
    assert_eq!(
        *parameters[1],
        json!({"agents": [1], "use_http": false, "force_upgrade": false})
    );
    assert_eq!(requests[2]["command"], "upgrade_custom");
    assert_eq!(
        *parameters[2],
        json!({"agents": [1], "file_path": "/tmp/a b.wpk", "installer": "go.sh",
               "check_file": true})
    );
}

#[test]
fn many_agents_go_in_several_requests() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |request| {
        let agents = agents(request);
        if agents[0] == 1 {
            answer(agents.into_iter().map(created).collect())
        } else {
            refusal(4, "Task manager communication error")
        }
    });
    let run = upgrade(&manager, &["1-60000", "--json"]).ended(1);
    let sizes: Vec<_> = manager
        .asked("upgrade")
        .iter()
        .map(|r| agents(r).len())
        .collect();
    assert_eq!(sizes, [50_000, 10_000]);
    let summary = run.objects().pop().unwrap();
    assert_eq!(
        [&summary["under_way"], &summary["refused"]],
        [50_000, 10_000]
    );
}

#[test]
fn every_agent_of_the_list() {
    let (_dir, path) = socket();
    let manager = manager(&path, |_, _| ("Updated", None));
    upgrade(&manager, &["--all"]).ended(1);
    assert_eq!(
        agents(&manager.asked("upgrade")[0]),
        [1, 2, 3, 4, 5, 6, 7, 8, 9]
    );
}

#[test]
fn a_refused_request_is_an_error() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |_| refusal(3, "Parameter \"x\" should be a string"));
    let run = upgrade(&manager, &["1"]).ended(1);
    let wanted = "refused `upgrade` with code 3: Parameter \"x\" should be a string";
    assert!(run.err.contains(wanted), "{}", run.err);
    let objects = upgrade(&manager, &["1", "--json"]).ended(1).objects();
    assert_eq!(objects[0]["event"], "error");
}

#[test]
fn a_request_whose_answer_is_lost_is_never_sent_twice() {
    let (_dir, path) = socket();
    let manager = Manager::start(&path, |_| Reply::Close);
    let run = upgrade(&manager, &["1"]).ended(1);
    assert!(
        run.err.contains("tasks may have been created"),
        "{}",
        run.err
    );
    assert_eq!(manager.asked("upgrade").len(), 1);
}

#[test]
fn a_socket_without_a_manager_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    for more in [&["upgrade", "1"][..], &["result", "1"], &["agents"]] {
        let run = run(&[&["--home", home][..], more].concat()).ended(1);
        let wanted = format!("cannot reach the manager at {home}/queue/tasks/upgrade");
        assert!(run.err.contains(&wanted), "{}", run.err);
        assert!(run.err.contains("start wpkd"), "{}", run.err);
    }
}

#[test]
fn the_managers_settings_lead_to_its_socket() {
    let (dir, path) = socket();
    let manager = manager(&path, |_, _| ("Updated", None));
    let config = dir.path().join("wpkd.toml");
    let text = format!(
        "home = {:?}\n[[source]]\ntype = \"unix-socket\"\nupgrade = \"upgrade\"\n",
        dir.path()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    run(&["upgrade", "1", "--config", config]).ended(0);
    assert_eq!(manager.asked("upgrade").len(), 1);
    std::fs::write(config, "homme = 1\n").unwrap();
    let run = run(&["upgrade", "1", "--config", config]).ended(1);
    assert!(run.err.contains("homme"), "{}", run.err);
}

#[test]
fn nonsense_on_the_command_line_is_a_usage_error() {
    for bad in [
        &["upgrade"][..],
        &["upgrade", "x y"],
        &["upgrade", "5-1"],
        &["upgrade", "0-2147483647"],
        &["upgrade", "1", "--file", "a.wpk", "--version", "v4.14.0"],
        &["upgrade", "1", "--installer", "a.sh"],
        &["upgrade", "1", "--package-type", "msi"],
        &["upgrade", "1", "--timeout", "soon"],
        &["upgrade", "1", "--confirm-for", "1m"],
        &["result", "1", "--task", "7"],
        &["upgrade", "1", "--all"],
        &["result"],
        &["nothing"],
    ] {
        run(bad).ended(2);
    }
}
