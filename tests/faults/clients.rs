//! Clients of the upgrade socket that ask and do not listen.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::json;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{Manager, wait_until};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[check!(
    who_does_not_read_keeps_nobody_waiting,
    "clients",
    "150 ask for 20,000 results each and read nothing",
    "another's answer within 10 s, less than 400 MiB"
)];

async fn who_does_not_read_keeps_nobody_waiting() -> String {
    let mut manager = Manager::start("").await.unwrap();
    let socket = manager.home.upgrade_socket();
    let agents: Vec<u32> = (1..=20_000).collect();
    let request = json!({"origin": {"module": "api"}, "command": "upgrade_result",
        "parameters": {"agents": agents}});
    let request = request.to_string().into_bytes();
    let mut frame = (request.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(&request);
    let asking = tokio::task::spawn_blocking(move || {
        let ask = |_| {
            let mut client = UnixStream::connect(&socket).ok()?;
            let patience = Some(Duration::from_millis(200));
            client.set_write_timeout(patience).ok()?;
            // A daemon that takes no more of them is right.
            (0..4).find(|_| client.write_all(&frame).is_err());
            Some(client)
        };
        (0..150).filter_map(ask).collect::<Vec<_>>()
    });
    let clients = asking.await.unwrap();
    let began = Instant::now();
    let answered = wait_until(PATIENCE, || manager.ask(br#"{"command":"nonsense"}"#)).await;
    let took = began.elapsed();
    let daemon = manager.daemon().unwrap().id().unwrap();
    let mib = most_memory(daemon) / 1024;
    drop(clients);
    match answered {
        None => format!("no answer within {PATIENCE:?}"),
        Some(_) if took < Duration::from_secs(10) && mib < 400 => {
            "another's answer within 10 s, less than 400 MiB".to_owned()
        }
        Some(_) => format!("another's answer after {took:.1?}, {mib} MiB"),
    }
}

/// The most memory that a process had, in KiB.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap()
}
