//! What the daemon would refuse is never called good: its own settings are read
//! by its own code, and its own plugins look.

use serde_json::json;
use wpk_testkit::cluster::{FakeCluster, Mood};
use wpk_testkit::http::{HttpServer, Response};

use crate::site::{FOLDER, Site, healthy};

/// The settings of a worker node whose cluster daemon listens elsewhere.
fn worker(site: &Site, store: &str) {
    let settings = format!(
        "home = \"{}\"\nnode = {{ name = \"worker\", role = \"worker\" }}\n\
         directory = {{ type = \"wazuh-db\" }}\ntransport = {{ type = \"remoted\" }}\n{store}",
        site.dir.path().display()
    );
    std::fs::write(site.config(), settings).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_socket_of_the_store_is_the_one_that_is_asked() {
    let site = Site::new(healthy(Vec::new())).await;
    let elsewhere = site.dir.path().join("queue/elsewhere.sock");
    worker(
        &site,
        "[store]\ntype = \"cluster\"\nsocket = \"queue/elsewhere.sock\"\nattempts = 1\n",
    );
    let line = site.line("cluster", &[]);
    assert!(line.starts_with("failure "), "{line}");
    assert!(line.contains("queue/elsewhere.sock"), "{line}");
    assert!(line.contains("; start the manager's cluster"), "{line}");

    let none = json!({"error": 3, "message": "No task in DB"});
    let answer = json!({"error": 0, "data": [none], "message": "Success"});
    let master = FakeCluster::start(&elsewhere, move |_| answer.clone()).unwrap();
    let line = site.line("cluster", &[]);
    assert!(line.starts_with("ok "), "{line}");
    assert!(line.contains("queue/elsewhere.sock"), "{line}");
    assert_eq!(master.commands(), ["upgrade_result"], "nothing is changed");

    // A daemon that is there, and a master behind it that is not.
    master.set_mood(Mood::Failing("the master is away".to_owned()));
    let line = site.line("cluster", &[]);
    assert!(line.starts_with("failure "), "{line}");
    assert!(line.contains("the master is away"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_provider_that_cannot_be_read_is_not_taken_for_the_public_one() {
    let site = Site::new(healthy(Vec::new())).await;
    site.configure("[[provider]]\ntype = \"repository\"\nattempts = \"many\"\n");
    let run = site.doctor(&[]).ended(1);
    assert!(!run.out.contains("packages.wazuh.com"), "{}", run.out);
    let line = site.line("settings", &[]);
    assert!(line.starts_with("failure "), "{line}");
    assert!(line.contains("[[provider]] number 1: attempts: "), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_redirect_out_of_the_allowed_hosts_fails_here_too() {
    let elsewhere = HttpServer::start(healthy(Vec::new())).await.unwrap();
    let (target, port) = (elsewhere.url(), elsewhere.address().port());
    let site = Site::new(move |request| {
        let path = request.target.trim_start_matches('/').to_owned();
        Response::new(302, "").header("Location", format!("{target}{path}"))
    })
    .await;
    let provider = site.provider();
    assert!(site.line("repository", &[]).starts_with("ok "));

    site.configure(&format!("{provider}allow_hosts = [\"mirror.example\"]\n"));
    let line = site.line("repository", &[]);
    assert!(line.starts_with("failure "), "{line}");
    assert!(line.contains(&format!("{FOLDER}/versions")), "{line}");
    assert!(line.contains("allow_hosts"), "{line}");

    site.configure(&format!("{provider}allow_hosts = [\"127.0.0.1:{port}\"]\n"));
    let line = site.line("repository", &[]);
    assert!(line.starts_with("ok "), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_group_that_does_not_exist_is_found_before_the_start() {
    let site = Site::new(healthy(Vec::new())).await;
    let provider = site.provider();
    site.configure(&format!(
        "[[source]]\ntype = \"unix-socket\"\ngroup = \"no-such-group\"\n{provider}"
    ));
    let line = site.line("socket group", &[]);
    assert!(line.starts_with("failure "), "{line}");
    assert!(line.contains("no-such-group"), "{line}");
}
