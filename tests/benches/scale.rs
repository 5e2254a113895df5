//! Many agents at once: what a daemon with its settings at their defaults takes of time,
//! memory and processor, each beside its bar, and beside what the same work takes without
//! a daemon where there is such a thing.
//!
//! `cargo bench -p wpk-tests --bench scale [-- NAME]`. Clients and fakes share the cores
//! with the daemon. The last column is what was measured as a share of the bar: good up
//! to 1, and where more is better from 1 on (marked `+`).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/mod.rs"]
mod common;

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::directory::FastDirectory;
use common::{ask_for, exchange, framed, hammer, manager, processor_time, report, took};
use serde_json::{Value, json};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{Manager, PostgresServer};

const MIB: usize = 1 << 20;
const SPAN: Duration = Duration::from_secs(3);
const CLIENTS: usize = 32;

/// Threads of the fakes: agents are machines of their own, and one that sums up the 10 MiB it
/// got must not keep the answers of others waiting.
const FAKES: usize = 8;

fn main() {
    let wanted: Option<String> = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(FAKES)
        .enable_all()
        .build()
        .unwrap();
    common::head();
    let is = |name: &str| wanted.as_deref().is_none_or(|wanted| name.contains(wanted));
    runtime.block_on(async {
        if is("request") {
            requests().await;
        }
        if is("shared") {
            shared().await;
        }
        if is("queue") {
            long_queue().await;
        }
        if is("latency") {
            answers_that_take_5_ms().await;
        }
        if is("rate") {
            no_latency().await;
        }
        if is("result") {
            results().await;
        }
    });
}

fn wpk(manager: &Manager, bytes: usize) -> Value {
    let file = manager.home.path("file.wpk");
    std::fs::write(&file, vec![0x5a; bytes]).unwrap();
    json!({"file_path": file})
}

async fn all_told(manager: &Manager, agents: u32) {
    for agent in 1..=agents {
        let told = manager.remoted.wait_for(agent, "upgrade", PATIENCE).await;
        told.unwrap_or_else(|| panic!("agent {agent} waits for ever\n{}", manager.output()));
    }
}

/// `upgrade` for 1,000 and 50,000 agents; no repository is there, so nothing is sent.
async fn requests() {
    const SMALL: u32 = 1_000;
    const LARGE: u32 = 50_000;
    const TIMES: u32 = 3;
    let first_of_large = TIMES * SMALL + 1;
    let known = TIMES * SMALL + LARGE;
    let directory = FastDirectory::of(known);
    let settings = format!("[delivery]\nmax_concurrent = 1\n{}", directory.settings());
    let (manager, pid) = manager(&settings, 0).await;
    let mut small = Vec::new();
    for time in 0..TIMES {
        let first = time * SMALL + 1;
        small.push(ask_for(&manager, first..first + SMALL).await);
    }
    small.sort_by(f64::total_cmp);
    report("upgrade, 1,000 agents, ms", 12.0, small[1] * 1e3);
    reset_peak(pid);
    let large = ask_for(&manager, first_of_large..first_of_large + LARGE).await;
    report("upgrade, 50,000 agents, s", 0.8, large);
    report("    the daemon's peak memory, MiB", 64.0, peak(pid));
    let mut bare = [0.0; 2];
    for (agents, bare) in [SMALL, LARGE].into_iter().zip(&mut bare) {
        let asked = ask_barely(&directory.socket(), agents).await;
        let stored = store_barely(&manager.home.path("bare.db"), agents);
        *bare = asked + stored;
        println!(
            "    bare threads ask about {agents} in {:.1} ms, bare SQLite keeps them in {:.1} ms",
            asked * 1e3,
            stored * 1e3
        );
    }
    println!(
        "    the daemon: {:.1} and {:.1} times that",
        small[1] / bare[0],
        large / bare[1]
    );
}

/// Seconds that eight bare clients need to ask the directory about so many agents, each on
/// a connection that is kept.
async fn ask_barely(socket: &Path, agents: u32) -> f64 {
    const ASKERS: u32 = 8;
    let began = Instant::now();
    let askers = (1..=ASKERS).map(|first| {
        let socket = socket.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            let mut answer = [0; 4096];
            for agent in (first..=agents).step_by(ASKERS as usize) {
                let question = framed(format!("global get-agent-info {agent}").as_bytes());
                exchange(&mut stream, &question, &mut answer);
                assert!(answer.starts_with(b"ok [{"), "{}", answer.escape_ascii());
            }
        })
    });
    for asker in askers.collect::<Vec<_>>() {
        asker.await.unwrap();
    }
    took(began)
}

/// Seconds that SQLite needs for so many tasks and orders in one transaction, with one
/// statement for each and on disk at its end.
fn store_barely(file: &Path, tasks: u32) -> f64 {
    let mut database = rusqlite::Connection::open(file).unwrap();
    database
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {}
             CREATE TABLE ORDERS (TASK_ID INTEGER PRIMARY KEY, TASK_ORDER TEXT);
             CREATE INDEX BY_AGENT ON TASKS (AGENT_ID, TASK_ID);",
            wpk_testkit::wdb::TASK_TABLE
        ))
        .unwrap();
    let order = "x".repeat(200);
    let began = Instant::now();
    let transaction = database.transaction().unwrap();
    let task = "INSERT INTO TASKS (AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, STATUS) \
                VALUES (?1, 'node01', 'upgrade_module', 'upgrade', 1700000000, 'Pending')";
    let kept = "INSERT INTO ORDERS (TASK_ID, TASK_ORDER) VALUES (?1, ?2)";
    {
        let mut task = transaction.prepare(task).unwrap();
        let mut kept = transaction.prepare(kept).unwrap();
        for agent in 1..=tasks {
            task.execute([agent]).unwrap();
            let id = transaction.last_insert_rowid();
            kept.execute(rusqlite::params![id, order]).unwrap();
        }
    }
    transaction.commit().unwrap();
    let stored = took(began);
    drop(database);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
    stored
}

/// The same with a PostgreSQL database on this machine, where one is installed.
async fn shared() {
    const LARGE: u32 = 50_000;
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    server.configure("fsync = on");
    server.restart();
    let directory = FastDirectory::of(LARGE);
    let settings = format!(
        "[delivery]\nmax_concurrent = 1\n{}{}",
        directory.settings(),
        common::store_on(&server, "wpkd")
    );
    let (manager, pid) = manager(&settings, 0).await;
    reset_peak(pid);
    let time = ask_for(&manager, 1..LARGE + 1).await;
    report("upgrade, 50,000 agents on PostgreSQL, s", 2.5, time);
    report("    the daemon's peak memory, MiB", 64.0, peak(pid));
    let asked = ask_barely(&directory.socket(), LARGE).await;
    server.sql(
        "CREATE TABLE bare (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, agent int4, \
             node text, module text, command text, created int8, status text, task_order text); \
         CREATE INDEX bare_agent ON bare (agent, id)",
    );
    let began = Instant::now();
    server.sql(&format!(
        "INSERT INTO bare (agent, node, module, command, created, status, task_order) \
             SELECT i, 'node01', 'upgrade_module', 'upgrade', 1700000000, 'Pending', \
                 repeat('x', 200) FROM generate_series(1, {LARGE}) AS i"
    ));
    let stored = took(began);
    println!(
        "    bare threads ask in {asked:.2} s, a bare INSERT takes {stored:.2} s: the daemon {:.1} \
         times that",
        time / (asked + stored)
    );
}

/// 50,000 tasks wait while 256 agents get the same 10 MiB.
async fn long_queue() {
    const WAITING: u32 = 50_000;
    let (manager, pid) = manager("[delivery]\nmax_concurrent = 256", WAITING).await;
    manager.remoted.set_latency(Duration::from_millis(5));
    let file = wpk(&manager, 10 * MIB);
    let agents: Vec<u32> = (1..=WAITING).collect();
    for some in agents.chunks(10_000) {
        manager.upgrade_custom(some, file.clone()).await;
    }
    reset_peak(pid);
    all_told(&manager, 256).await;
    report(
        "256 deliveries and 50,000 that wait, peak MiB",
        64.0,
        peak(pid),
    );
}

/// All settings at their defaults.
async fn answers_that_take_5_ms() {
    const AGENTS: u32 = 256;
    let (manager, pid) = manager("", AGENTS).await;
    manager.remoted.set_latency(Duration::from_millis(5));
    let file = wpk(&manager, 10 * MIB);
    let agents: Vec<u32> = (1..=AGENTS).collect();
    let began = Instant::now();
    manager.upgrade_custom(&agents, file).await;
    all_told(&manager, AGENTS).await;
    let daemon = took(began);
    report("256 x 10 MiB, 5 ms each command, s", 6.0, daemon);
    report("    the daemon's peak memory, MiB", 64.0, peak(pid));
    let each = 10 * MIB;
    let (rate, _) = bare_writers(manager.remoted.path(), AGENTS as usize, each, true).await;
    let bare = (AGENTS as usize * each) as f64 / rate / 1e6;
    println!(
        "    as many bare clients at once take {bare:.2} s: the daemon {:.1} times that",
        daemon / bare
    );
}

async fn no_latency() {
    const AGENTS: u32 = 64;
    let (manager, pid) = manager("", AGENTS).await;
    let file = wpk(&manager, 10 * MIB);
    let agents: Vec<u32> = (1..=AGENTS).collect();
    let bytes = AGENTS as usize * 10 * MIB;
    let cpu = processor_time(pid);
    let began = Instant::now();
    manager.upgrade_custom(&agents, file).await;
    all_told(&manager, AGENTS).await;
    let rate = bytes as f64 / took(began) / 1e6;
    let used = (processor_time(pid) - cpu) * (1u64 << 30) as f64 / bytes as f64;
    let (bare, bare_cpu) = bare_writers(manager.remoted.path(), 8, bytes / 8, false).await;
    common::report_more(
        "64 x 10 MiB, share of eight bare clients",
        0.75,
        rate / bare,
    );
    println!("    {rate:.0} of {bare:.0} MB/s");
    report("    processor seconds per GiB", 1.0, used);
    println!("    bare clients use {bare_cpu:.2}");
    drop(manager);
}

/// Clients that send so many bytes to an agent each, as the daemon has to: to an open file,
/// a connection for each command. MB/s, and their processor seconds per GiB. `summed`: the
/// agents look at what they got in the end, as they do in a delivery.
async fn bare_writers(socket: &Path, writers: usize, bytes: usize, summed: bool) -> (f64, f64) {
    const CHUNK: usize = 32_768;
    let each = bytes / CHUNK;
    let began = Instant::now();
    let running = (1..=writers).map(|agent| {
        let socket = socket.to_owned();
        tokio::task::spawn_blocking(move || {
            let before = common::own_processor_time();
            let buffer = base64_simd::STANDARD.encode_to_string(vec![0x5a; CHUNK]);
            let bytes = json!({"buffer": buffer, "length": CHUNK, "file": "file.wpk"});
            let write = command(agent, "write", &bytes);
            let open = json!({"file": "file.wpk", "mode": "wb"});
            told(&socket, &command(agent, "open", &open));
            for _ in 0..each {
                told(&socket, &write);
            }
            told(
                &socket,
                &command(agent, "close", &json!({"file": "file.wpk"})),
            );
            if summed {
                told(
                    &socket,
                    &command(agent, "sha1", &json!({"file": "file.wpk"})),
                );
            }
            common::own_processor_time() - before
        })
    });
    let mut used = 0.0;
    for writer in running.collect::<Vec<_>>() {
        used += writer.await.unwrap();
    }
    let sent = (each * CHUNK * writers) as f64;
    (sent / took(began) / 1e6, used * (1u64 << 30) as f64 / sent)
}

/// A command of section 5, in its frame.
fn command(agent: usize, step: &str, parameters: &Value) -> Vec<u8> {
    let command = json!({"command": step, "parameters": parameters});
    framed(format!("{agent:03} upgrade {command}").as_bytes())
}

/// Sends it on a connection of its own; the agent does it.
fn told(socket: &Path, frame: &[u8]) {
    let mut answer = [0; 4096];
    let mut stream = UnixStream::connect(socket).unwrap();
    exchange(&mut stream, frame, &mut answer);
    assert!(
        answer.starts_with(b"{\"error\":0"),
        "{}",
        answer.escape_ascii()
    );
}

/// `upgrade_result` on kept connections, beside a thread for each client that answers the
/// same bytes without looking at anything.
async fn results() {
    const REQUEST: &[u8] =
        br#"{"origin":{"module":"api"},"command":"upgrade_result","parameters":{"agents":[1]}}"#;
    let (manager, _) = manager("", 1).await;
    let daemon = hammer(manager.home.upgrade_socket(), REQUEST, CLIENTS, SPAN, true).await;
    let answer = manager.ask(REQUEST).await.unwrap().to_string();
    let bare = manager.home.path("bare");
    answer_barely(bare.clone(), answer.into_bytes());
    let bare = hammer(bare, REQUEST, CLIENTS, SPAN, true).await;
    common::report_more(
        "upgrade_result, 32 kept connections, thousands a second",
        120.0,
        daemon / 1e3,
    );
    common::report_more("    or share of bare threads", 0.6, daemon / bare);
    println!("    {daemon:.0} of {bare:.0} a second");
}

/// Answers every frame with the same, a thread for each connection.
fn answer_barely(socket: PathBuf, answer: Vec<u8>) {
    let listener = UnixListener::bind(socket).unwrap();
    let frame = framed(&answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, frame) = (stream.unwrap(), frame.clone());
            std::thread::spawn(move || {
                let mut length = [0; 4];
                let mut question = vec![0; 4096];
                while stream.read_exact(&mut length).is_ok() {
                    let length = u32::from_le_bytes(length) as usize;
                    stream.read_exact(&mut question[..length]).unwrap();
                    std::io::Write::write_all(&mut stream, &frame).unwrap();
                }
            });
        }
    });
}

/// From now on the peak is counted anew.
fn reset_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// The most memory that a process had, in MiB.
fn peak(pid: u32) -> f64 {
    common::memory(pid, "VmHWM:")
}
