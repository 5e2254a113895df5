//! `[telemetry] listen`: what a monitoring system sees of a daemon that works.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::process::Signal;
use wpk_testkit::{Manager, Process, binary, release, wait_until};

const SETTINGS: &str = "[telemetry]\nlisten = \"127.0.0.1:0\"";

/// Where the daemon says that it serves them.
async fn port(manager: &mut Manager) -> u16 {
    let daemon = manager.daemon().unwrap();
    let line = daemon
        .wait_for_line("metrics are served", PATIENCE)
        .await
        .unwrap();
    let address = line.rsplit("127.0.0.1:").next().unwrap();
    let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The status and the body of an answer.
async fn get(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: here\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

/// The value of a line that begins with this.
fn value(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn what_the_daemon_does_can_be_watched() {
    let mut manager = Manager::start(SETTINGS).await.unwrap();
    let port = port(&mut manager).await;
    let wpk = vec![7; 100_000];
    let (_repository, parameters) = release(&wpk).await.unwrap();
    let rows = (1..=3).map(|id| wpk_testkit::wdb::agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    manager
        .remoted
        .set_rules("2 open err Cannot send request\n")
        .unwrap();
    assert_eq!(get(port, "GET /healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(port, "GET /readyz").await, (200, "ready\n".to_owned()));

    manager.upgrade(&[1, 2, 77], parameters).await;
    manager.wait_for_status(1, &["Updated"]).await.unwrap();
    manager.wait_for_status(2, &["Error"]).await.unwrap();
    let told = || async {
        let (status, text) = get(port, "GET /metrics").await;
        assert_eq!(status, 200);
        let ended = text
            .lines()
            .filter(|line| line.starts_with("wpkd_tasks_ended_total"));
        (ended.count() == 2).then_some(text)
    };
    let text = wait_until(PATIENCE, told).await.unwrap();
    let failed = "wpkd_tasks_ended_total{status=\"Failed\",cause=\"Send open file error\"}";
    for (name, expected) in [
        ("wpkd_tasks_created_total", 2.0),
        ("wpkd_agents_refused_total{code=\"6\"}", 1.0),
        (failed, 1.0),
        ("wpkd_tasks_ended_total{status=\"Done\",cause=\"\"}", 1.0),
        ("wpkd_wpk_sent_bytes_total", 100_000.0),
        ("wpkd_step_duration_seconds_count{step=\"upgrade\"}", 1.0),
        ("wpkd_slots", 8.0),
        ("wpkd_deliveries", 0.0),
        ("wpkd_tasks_in_hand", 0.0),
        ("wpkd_store_up", 1.0),
        ("wpkd_store_lease_left_seconds", 0.0),
        ("wpkd_queue_age_seconds", 0.0),
        ("wpkd_cache_fetched_total", 1.0),
        ("wpkd_cache_files", 1.0),
        ("wpkd_cache_used_bytes", 100_000.0),
        (
            "wpkd_store_call_seconds_count{call=\"create\",ok=\"yes\"}",
            1.0,
        ),
    ] {
        assert_eq!(value(&text, name), Some(expected), "{name} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(
        !text.contains("wpkd-metrics"),
        "its own reader is nobody's observer"
    );
    documented(&text);

    for request in ["GET /", "GET /metrics/../etc/passwd", "POST /metrics"] {
        let (status, _) = get(port, request).await;
        assert!((400..500).contains(&status), "{request}: {status}");
    }
    // Clients that say nothing keep nobody from it.
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    assert_eq!(get(port, "GET /healthz").await.0, 200);
    manager.stop().await.unwrap();
}

/// Every name has its line in the page, and the page names none that is not there.
fn documented(text: &str) {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../config/monitoring/METRICS.md"
    );
    let page = std::fs::read_to_string(page).unwrap();
    let of_page: BTreeSet<&str> = (page.lines())
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .collect();
    let mut served: BTreeSet<String> = (text.lines())
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let end = if kind == "counter" { "_total" } else { "" };
            format!("{name}{end}")
        })
        .collect();
    // There are no observer, library, certificate and rollout here, and what has no value has
    // no type.
    for nobody in [
        "observer_behind",
        "plugin_up",
        "certificate_days_left",
        "rollout_state",
        "rollout_agents",
        "rollout_waves",
    ] {
        served.insert(format!("wpkd_{nobody}"));
    }
    assert_eq!(of_page, served.iter().map(String::as_str).collect());
    // What alerts and the dashboard ask for exists.
    for file in ["alerts.yml", "dashboard.json"] {
        let path = format!("{}/../config/monitoring/{file}", env!("CARGO_MANIFEST_DIR"));
        let asked = std::fs::read_to_string(path).unwrap();
        let names = asked.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for name in names.filter(|name| name.starts_with("wpkd_")) {
            let base = ["_bucket", "_count", "_sum"].iter();
            let base = base.fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
            assert!(served.contains(base), "{file}: {name}");
        }
    }
}

#[tokio::test]
async fn a_taken_port_ends_the_start_with_its_key() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let settings = format!("[telemetry]\nlisten = \"{address}\"");
    let mut manager = Manager::prepare(&settings).await.unwrap();
    let told = manager.boot().await.unwrap_err().to_string();
    assert!(told.contains("telemetry.listen"), "{told}");
}

#[tokio::test]
async fn a_log_for_programs_is_an_object_a_line() {
    let manager = Manager::prepare("[log]\nformat = \"json\"").await.unwrap();
    let mut command = tokio::process::Command::new(binary("wpkd").unwrap());
    command.arg("--config").arg(manager.config());
    let log = manager.home.path("logs/json.log");
    let mut daemon = Process::start(command, &log).unwrap();
    let ready = daemon
        .wait_for_line("\"message\":\"ready\"", PATIENCE)
        .await;
    assert!(ready.is_some(), "{}", daemon.output());
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
    let written = daemon.output();
    let mut messages = Vec::new();
    for line in written.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(
            event["timestamp"].is_string() && event["level"].is_string(),
            "{line}"
        );
        messages.push(event["fields"]["message"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        messages.last().map(String::as_str),
        Some("stopped"),
        "{messages:?}"
    );
}
