//! The manager: settings, sockets, rights, and a single agent.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use wpk_testkit::wpk::SigningCa;

use crate::common::{Manager, agents, answer, listed, refusal, task};
use crate::site::{Site, doctor, healthy};

fn chmod(path: std::path::PathBuf, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_healthy_manager_passes_every_check() {
    let ca = SigningCa::new().unwrap();
    let wpk = ca.package(&[("upgrade.sh", b"#!/bin/sh\n")]).unwrap();
    let site = Site::new(healthy(wpk)).await;
    std::fs::write(
        site.dir.path().join("etc/wpk_root.pem"),
        ca.certificate_pem(),
    )
    .unwrap();
    let run = site.doctor(&["--agent", "001", "--download"]).ended(0);
    let names: Vec<&str> = run
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("ok       ")?.split(": ").next())
        .collect();
    assert_eq!(
        names,
        [
            "settings",
            "upgrade socket",
            "task socket",
            "agent database",
            "manager version",
            "remote daemon",
            "rights",
            "disk space",
            "repository",
            "versions",
            "clock",
            "files",
            "CA store",
            "WPK certificates",
            "task database",
            "agent",
            "dry run",
        ],
        "{}",
        run.out
    );
    assert!(
        run.out.ends_with("\n17 ok, 0 warnings, 0 failures\n"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("dry run: 001 would be upgraded to v4.14.0 from http://x/a.wpk\n"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("files: 1 of 1 have the SHA-1"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("is signed well: \"CN=Test signer\" has 36"),
        "{}",
        run.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn json_has_an_object_per_check_and_a_summary() {
    let site = Site::new(healthy(Vec::new())).await;
    std::fs::remove_file(site.dir.path().join("queue/sockets/remote")).unwrap();
    let objects = site.doctor(&["--json"]).ended(1).objects();
    let remote = objects
        .iter()
        .find(|o| o["check"] == "remote daemon")
        .unwrap();
    assert_eq!(remote["event"], "check");
    assert_eq!(
        [&remote["status"], &remote["section"]],
        ["failure", "transport"]
    );
    let repository = objects.iter().find(|o| o["check"] == "repository");
    assert_eq!(repository.unwrap()["section"], "provider.0");
    assert!(
        remote["detail"]
            .as_str()
            .unwrap()
            .contains("queue/sockets/remote")
    );
    assert!(
        remote["advice"]
            .as_str()
            .unwrap()
            .starts_with("start the manager's")
    );
    let summary = objects.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!([&summary["failures"], &summary["exit_status"]], [1, 1]);
    let quiet = site.doctor(&["--json", "--quiet"]).ended(1).objects();
    assert_eq!(quiet.len(), 1);
}

#[test]
fn where_nothing_runs_each_failure_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("wpkd.toml");
    // Nothing listens at port 9 of this machine, or what does is no repository.
    let settings = format!(
        "home = \"{}\"\ndirectory = {{ type = \"wazuh-db\" }}\ntransport = {{ type = \"remoted\" }}\n\
         [[provider]]\ntype = \"repository\"\nurl = \"http://127.0.0.1:9/wpk/\"\n",
        dir.path().join("home").display()
    );
    std::fs::write(&config, settings).unwrap();
    let run = doctor(&["--config", config.to_str().unwrap()]).ended(1);
    for (level, check) in [
        // Of what is not started yet nothing has failed.
        ("warning", "upgrade socket"),
        ("warning", "task socket"),
        ("failure", "agent database"),
        ("failure", "remote daemon"),
        ("failure", "repository"),
    ] {
        let start = format!("{level}  {check}: ");
        let line = run.out.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{check}: {}", run.out));
        assert!(line.contains("; "), "no advice: {line}");
    }
    assert!(run.out.contains("warning  task database: "), "{}", run.out);
    assert!(!dir.path().join("home").exists(), "nothing is made");
}

#[test]
fn settings_that_are_wrong_are_the_only_thing_to_tell() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("wpkd.toml");
    std::fs::write(&config, "homme = \"/x\"\ndialect = \"klingon\"\n").unwrap();
    let run = doctor(&["--config", config.to_str().unwrap()]).ended(1);
    assert_eq!(
        run.out.matches("failure  settings: ").count(),
        2,
        "{}",
        run.out
    );
    assert!(
        run.out.ends_with("\n0 ok, 0 warnings, 2 failures\n"),
        "{}",
        run.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_built_in_module_is_recognised() {
    let site = Site::new(healthy(Vec::new())).await;
    std::fs::remove_file(&site.upgrade.socket).unwrap();
    let _built_in = Manager::start(&site.upgrade.socket, |_| {
        refusal(2, "Required parameters in json message where not found")
    });
    let line = site.line("upgrade socket", &[]);
    assert!(line.starts_with("failure "), "{line}");
    assert!(line.contains("set take_over = true"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_directory_that_fails_is_not_taken_for_another_program() {
    let site = Site::new(healthy(Vec::new())).await;
    std::fs::remove_file(&site.upgrade.socket).unwrap();
    let _manager = Manager::start(&site.upgrade.socket, |_| {
        refusal(3, "the agent database does not answer")
    });
    let line = site.line("upgrade socket", &[]);
    assert!(
        line.contains("the agent database does not answer"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_strangers_may_do_is_told() {
    let site = Site::new(healthy(Vec::new())).await;
    chmod(site.dir.path().join("var/upgrade"), 0o777);
    let line = site.line("rights", &[]);
    assert!(
        line.starts_with("failure ") && line.contains("; chmod o-w "),
        "{line}"
    );

    chmod(site.dir.path().join("var/upgrade"), 0o750);
    chmod(site.upgrade.socket.clone(), 0o666);
    let run = site.doctor(&[]).ended(0);
    assert!(
        run.out
            .contains("lets every user in (mode 0666); set mode = \"0660\""),
        "{}",
        run.out
    );
    chmod(site.config(), 0o666);
    assert!(site.line("rights", &[]).contains("wpkd.toml"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn room_for_the_largest_download_is_asked_for() {
    let site = Site::new(healthy(Vec::new())).await;
    assert!(site.line("disk space", &[]).contains(" MiB free for "));
    let mut settings = std::fs::read_to_string(site.config()).unwrap();
    settings.push_str("[cache]\nmax_size = \"1000000GiB\"\n");
    std::fs::write(site.config(), settings).unwrap();
    let line = site.line("disk space", &[]);
    assert!(
        line.starts_with("warning ") && line.contains("cache.max_size"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_agent_that_cannot_be_upgraded_fails() {
    let site = Site::new(healthy(Vec::new())).await;
    let line = site.line("agent", &["--agent", "2"]);
    assert!(
        line.starts_with("failure ") && line.contains("is disconnected"),
        "{line}"
    );
    let line = site.line("dry run", &["--agent", "2"]);
    assert!(line.contains("002: code 8: Agent is not active"), "{line}");
    let line = site.line("agent", &["--agent", "3"]);
    assert!(line.contains("003 is not known"), "{line}");
}

/// A manager with the agents 1 to 4, whose last upgrades ended so, `ago` seconds ago.
fn after_upgrades(ago: i64) -> impl Fn(&serde_json::Value) -> crate::common::Reply {
    move |request| match request["command"].as_str().unwrap() {
        "agent_list" => {
            let after = request["parameters"]["after"].as_i64().unwrap_or(0);
            answer(
                (after + 1..=4)
                    .map(|agent| listed(agent, "v4.7.0"))
                    .collect(),
            )
        }
        "upgrade_timeline" => {
            assert_eq!(request["parameters"]["entries"], 1);
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let at = i64::try_from(now.unwrap().as_secs()).unwrap() - ago;
            let item = |agent| {
                let (status, more) = match agent {
                    1 => ("Updated", json!({"confirmation": "confirmed"})),
                    2 => (
                        "Updated",
                        json!({"confirmation": "unconfirmed", "seen": "v4.7.0"}),
                    ),
                    3 => ("Timeout", json!({})),
                    _ => return json!({"error": 3, "message": "No task in DB", "agent": agent}),
                };
                let mut item = task(agent, status, None);
                let members = item.as_object_mut().unwrap();
                members.extend(more.as_object().unwrap().clone());
                members.insert("timeline".into(), json!([{"at": at, "step": "confirm"}]));
                item
            };
            answer(agents(request).into_iter().map(item).collect())
        }
        _ => refusal(3, "JSON parameter not recognized"),
    }
}

#[test]
fn upgrades_that_ended_in_doubt_are_told_for_a_day() {
    for (ago, wanted) in [
        (
            3_600,
            "warning  last upgrades: 4 agents, since a day 1 not seen to run what they were sent \
             (002), 1 without a word after their installer began (003); look at these agents",
        ),
        (
            90_000,
            "ok       last upgrades: 4 agents, none of them in doubt since a day\n",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let manager = Manager::start(&dir.path().join("s"), after_upgrades(ago));
        let socket = manager.socket.to_str().unwrap();
        let home = dir.path().to_str().unwrap();
        let run = doctor(&["--socket", socket, "--home", home]);
        assert!(run.out.contains(wanted), "{}", run.out);
    }
}
