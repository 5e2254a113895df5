//! The manager's own task table beside ours (PROTOCOL.md, section 14): it shows our
//! tasks, whoever locks it, and whatever ends in between.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;
use tokio::time::MissedTickBehavior;
use wpk_testkit::manager::{Manager, PATIENCE};
use wpk_testkit::suite::pattern;
use wpk_testkit::wdb::TASK_TABLE;
use wpk_testkit::{fleet, wait_until};

const AGENTS: u32 = 300;
/// What a request may take while the table is locked, but for one in a hundred: other
/// programs run on this machine as well.
const LIMIT: Duration = Duration::from_millis(50);
const SETTINGS: &str = "[[observer]]\ntype = \"wazuh-tasks\"\n";

/// How long the table is held: as long as it must work, or what is set by hand.
fn held_for() -> Duration {
    let seconds = std::env::var("LOCK_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(90))
}

/// Another process that keeps a table locked until this is released.
struct Holder {
    process: Child,
    input: Option<ChildStdin>,
    /// Kept open: what it says at its end goes there.
    output: BufReader<ChildStdout>,
}

impl Holder {
    fn of(table: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_process_that_holds_the_table", "--nocapture"]);
        command.env("TABLE_TO_HOLD", table);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let locked = output.by_ref().lines().map_while(Result::ok);
        assert!(
            { locked }.any(|line| line.ends_with("locked")),
            "it holds the table"
        );
        let input = process.stdin.take();
        Self {
            process,
            input,
            output,
        }
    }

    fn release(mut self) {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

/// Not a test by itself: what [`Holder`] starts. It makes a row of its own, as the
/// manager's database daemon does when it takes the lock.
#[test]
fn a_process_that_holds_the_table() {
    let Some(table) = std::env::var_os("TABLE_TO_HOLD") else {
        return;
    };
    let connection = Connection::open(table).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection
        .execute_batch(
            "BEGIN IMMEDIATE; INSERT INTO TASKS (AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, STATUS) \
             VALUES (999, 'node01', 'upgrade_module', 'upgrade', 1700000000, 'Cancelled');",
        )
        .unwrap();
    println!("locked");
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).unwrap();
    connection.execute_batch("COMMIT").unwrap();
}

/// The rows of a table of tasks, but for those of the other process.
fn rows(table: &Path) -> Vec<String> {
    let connection = Connection::open(table).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT json_array(AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE) \
             FROM TASKS WHERE AGENT_ID <> 999 ORDER BY AGENT_ID, CREATE_TIME, TASK_ID",
        )
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Waits until the manager's table shows what ours holds.
async fn shows_all(manager: &Manager, within: Duration) {
    let (ours, theirs) = (manager.home.tasks_db(), manager.home.manager_tasks_db());
    let alike = wait_until(within, async || {
        (rows(&ours) == rows(&theirs)).then_some(())
    });
    if alike.await.is_none() {
        panic!(
            "ours: {:#?}\ntheirs: {:#?}\n{}",
            rows(&ours),
            rows(&theirs),
            manager.output()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_do_not_notice_that_the_table_is_locked() {
    let fleet = fleet(SETTINGS, AGENTS, &pattern(2_000)).await.unwrap();
    let (mut manager, _repository, parameters) = fleet;
    let table = manager.home.manager_tasks_db();
    Connection::open(&table)
        .unwrap()
        .execute_batch(TASK_TABLE)
        .unwrap();
    // It is there from now on: what was done before is shown as well.
    manager.upgrade(&[1], parameters.clone()).await;
    shows_all(&manager, PATIENCE).await;
    assert_eq!(rows(&table).len(), 1);

    let holder = tokio::task::block_in_place(|| Holder::of(&table));
    let until = Instant::now() + held_for();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Vec::new();
    for agent in (2..=AGENTS).cycle() {
        ticks.tick().await;
        let began = Instant::now();
        if began >= until {
            break;
        }
        let upgrades = times.len() as u32 + 1 < AGENTS && agent % 2 == 0;
        let items = if upgrades {
            manager.upgrade(&[agent], parameters.clone()).await
        } else {
            vec![manager.result(agent & !1).await]
        };
        times.push(began.elapsed());
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["error"], 0, "{items:?}");
        if times.len() == 20 {
            // What is behind is behind over a restart as well.
            manager.kill().await.unwrap();
            manager.boot().await.unwrap();
        }
    }
    assert_eq!(rows(&table).len(), 1, "it was locked");
    holder.release();
    shows_all(&manager, Duration::from_secs(15)).await;
    times.sort_unstable();
    let (most, longest) = (times[times.len() * 99 / 100 - 1], times[times.len() - 1]);
    println!(
        "{} requests, 99 % within {most:?}, the longest {longest:?}",
        times.len()
    );
    assert!(most < LIMIT, "{most:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    // What the other process made meanwhile is known by now, or within a minute.
    let known = wait_until(Duration::from_secs(90), async || {
        let item = manager.result(999).await;
        (item["status"] == "Cancelled").then_some(())
    });
    known.await.expect("a row of the manager's own module");
}

#[tokio::test]
async fn tasks_are_shown_from_their_creation_to_their_end_within_seconds() {
    let fleet = fleet(SETTINGS, 3, &pattern(2_000)).await.unwrap();
    let (manager, _repository, parameters) = fleet;
    let table = manager.home.manager_tasks_db();
    Connection::open(&table)
        .unwrap()
        .execute_batch(TASK_TABLE)
        .unwrap();
    manager
        .remoted
        .set_rules("2 sha1 err refused\n3 upgrade @noack\n")
        .unwrap();
    let items = manager.upgrade(&[1, 2, 3], parameters).await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    for (agent, status) in [(1, "Done"), (2, "Failed"), (3, "In progress")] {
        let shown = wait_until(PATIENCE, async || {
            let wanted = format!("[{agent},\"node01\"");
            let row = rows(&table)
                .into_iter()
                .find(|row| row.starts_with(&wanted))?;
            row.contains(&format!("\"{status}\"")).then_some(())
        });
        shown
            .await
            .unwrap_or_else(|| panic!("agent {agent}: {:?}", rows(&table)));
    }
    // What the manager's own module does to our rows is put right; an agent's word is not.
    let connection = Connection::open(&table).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    let word = "UPDATE TASKS SET STATUS = 'Done', LAST_UPDATE_TIME = unixepoch() WHERE AGENT_ID = 3; \
                UPDATE TASKS SET STATUS = 'Timeout' WHERE AGENT_ID = 1;";
    connection.execute_batch(word).unwrap();
    let heard = wait_until(Duration::from_secs(90), async || {
        (manager.result(3).await["status"] == "Updated").then_some(())
    });
    heard
        .await
        .expect("the agent's word, given to somebody else");
    shows_all(&manager, PATIENCE).await;
    assert_eq!(manager.result(1).await["status"], json!("Updated"));
}
