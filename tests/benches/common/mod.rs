//! What the benches share: lines of the table, clients, and what a process used.

#![allow(dead_code, clippy::unwrap_used, missing_docs)]

pub(crate) mod directory;

use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, PostgresServer};

/// The head of the table.
pub(crate) fn head() {
    println!(
        "{:55} {:>10} {:>12} {:>9}",
        "what", "must be", "measured", "share"
    );
}

/// A line: good up to a share of 1.
pub(crate) fn report(what: &str, must: f64, measured: f64) {
    println!(
        "{what:55} {must:10.2} {measured:12.2}   {:7.2}",
        measured / must
    );
}

/// A line where more is better: good from a share of 1 on.
pub(crate) fn report_more(what: &str, must: f64, measured: f64) {
    println!(
        "{what:55} {must:10.2} {measured:12.2} + {:7.2}",
        measured / must
    );
}

/// A manager that knows so many agents, all of v4.7.0, and its daemon's process.
pub(crate) async fn manager(settings: &str, agents: u32) -> (Manager, u32) {
    let mut manager = Manager::prepare(settings).await.unwrap();
    let pid = boot(&mut manager, agents).await;
    (manager, pid)
}

/// Starts the daemon of a manager that knows so many agents; its process.
pub(crate) async fn boot(manager: &mut Manager, agents: u32) -> u32 {
    manager.log = "warn,wpkd=info".to_owned();
    manager.boot().await.unwrap();
    let rows = (1..=i64::from(agents)).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    manager.remoted.keep_bytes(false);
    manager.daemon().unwrap().id().unwrap()
}

/// The longest answer to a request, in bytes.
const LONGEST: usize = 16 << 20;

/// Seconds from a request for these agents to its answer, in which each has a task.
pub(crate) async fn ask_for(manager: &Manager, agents: Range<u32>) -> f64 {
    let wanted = agents.len();
    // Nobody answers there, and nothing is tried for long.
    let request = json!({"command": "upgrade", "origin": {"module": "api"}, "parameters": {
        "agents": agents.collect::<Vec<_>>(),
        "version": "v4.14.8", "wpk_repo": "http://127.0.0.1:9/",
    }});
    let (socket, question) = (
        manager.home.upgrade_socket(),
        framed(request.to_string().as_bytes()),
    );
    // As clients of 4.x do: a thread that waits.
    let asked = tokio::task::spawn_blocking(move || {
        let mut answer = vec![0; LONGEST];
        let began = Instant::now();
        let mut stream = UnixStream::connect(socket).unwrap();
        let length = exchange(&mut stream, &question, &mut answer);
        let time = took(began);
        answer.truncate(length);
        (answer, time)
    });
    let (answer, time) = asked.await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let items = answer["data"].as_array().unwrap();
    let good = items.iter().filter(|item| item["error"] == json!(0));
    assert_eq!(good.count(), wanted, "{:?}", items.first());
    time
}

/// Seconds since then.
pub(crate) fn took(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}

/// The setting of a store in this schema of a server.
pub(crate) fn store_on(server: &PostgresServer, schema: &str) -> String {
    format!(
        "[store]\ntype = \"postgres\"\nuser = \"postgres\"\ndatabase = \"postgres\"\n\
         schema = \"{schema}\"\nhost = \"{}\"\nport = {}\n",
        server.socket_folder().display(),
        server.port()
    )
}

/// A frame of section 1.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

/// Answers a second that so many threads got within `span`, on a connection for each
/// question, or on one that is kept.
pub(crate) async fn hammer(
    socket: PathBuf,
    request: &'static [u8],
    clients: usize,
    span: Duration,
    keep: bool,
) -> f64 {
    let clients = (0..clients).map(|_| {
        let socket = socket.clone();
        tokio::task::spawn_blocking(move || client(&socket, request, span, keep))
    });
    let mut answers = 0;
    for client in clients.collect::<Vec<_>>() {
        answers += client.await.unwrap();
    }
    answers as f64 / span.as_secs_f64()
}

fn client(socket: &Path, request: &[u8], span: Duration, keep: bool) -> usize {
    let frame = framed(request);
    let mut kept = UnixStream::connect(socket).unwrap();
    let (mut answers, end) = (0, Instant::now() + span);
    let mut answer = vec![0; 4096];
    while Instant::now() < end {
        if keep {
            exchange(&mut kept, &frame, &mut answer);
        } else {
            let mut once = UnixStream::connect(socket).unwrap();
            exchange(&mut once, &frame, &mut answer);
        }
        answers += 1;
    }
    answers
}

/// Sends a frame and reads one; its length.
pub(crate) fn exchange(stream: &mut UnixStream, frame: &[u8], answer: &mut [u8]) -> usize {
    stream.write_all(frame).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let length = u32::from_le_bytes(length) as usize;
    stream.read_exact(&mut answer[..length]).unwrap();
    length
}

/// Seconds of processor time a process has used.
pub(crate) fn processor_time(pid: u32) -> f64 {
    time_in(&format!("/proc/{pid}/stat"))
}

/// The same of the thread that asks.
pub(crate) fn own_processor_time() -> f64 {
    time_in("/proc/thread-self/stat")
}

fn time_in(stat: &str) -> f64 {
    let stat = std::fs::read_to_string(stat).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // The kernel counts in hundredths of a second for every program.
    ticks as f64 / 100.0
}

/// A line of a process' status, in MiB: `VmRSS:` is its memory now, `VmHWM:` its peak.
pub(crate) fn memory(pid: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|found| found.starts_with(line));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}
