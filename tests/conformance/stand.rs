//! A real daemon between its fake peers that takes one case after the other:
//! the task table is written through SQLite, as another program might, and the
//! peers are told who the agents are and how they behave.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};
use wpk_testkit::{Client, Manager, wait_until};

/// How long a case may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Stand {
    pub manager: Manager,
    tasks: Mutex<Connection>,
}

/// Everything in the table of tasks, and in our own beside it.
const EMPTY: &str = "DELETE FROM TASKS; DELETE FROM WPKD_ORDERS; DELETE FROM WPKD_LIVE;
    DELETE FROM sqlite_sequence WHERE name = 'TASKS';";

/// Tasks that a delivery is not done with.
const BUSY: &str = "SELECT COUNT(*) FROM TASKS t JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID
    WHERE t.STATUS = 'Pending' OR (t.STATUS = 'In progress' AND o.INSTALLER_BEGUN IS NULL)";

impl Stand {
    /// A daemon with these settings (TOML). Tasks of long ago stay as they are:
    /// the recording machine's clean-up was off.
    pub async fn start(settings: &str) -> Self {
        let settings =
            format!("{settings}\n[tasks]\ntask_timeout = \"36500d\"\ncleanup_time = \"36500d\"\n");
        let manager = Manager::start(&settings).await.unwrap();
        manager.remoted.set_ack_delay(Duration::ZERO);
        let tasks = Connection::open(manager.home.tasks_db()).unwrap();
        tasks.busy_timeout(PATIENCE).unwrap();
        tasks.execute_batch("PRAGMA synchronous = OFF").unwrap();
        Self {
            manager,
            tasks: Mutex::new(tasks),
        }
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.tasks.lock().unwrap()
    }

    /// Forgets the last case and sets this one up.
    pub fn set_up(&self, setup: &Value) {
        let manager = &self.manager;
        manager
            .wdb
            .set_reply_to_all(setup["wdb_reply"].as_str().map(str::as_bytes));
        manager.wdb.set_up(setup);
        let rules = setup["remoted_rules"].as_str().unwrap_or_default();
        manager.remoted.set_rules(rules).unwrap();
        self.set_tasks(setup["tasks"].as_array().map_or(&[], Vec::as_slice));
        manager.remoted.reset();
    }

    fn set_tasks(&self, tasks: &[Value]) {
        let database = self.database();
        let transaction = database.unchecked_transaction().unwrap();
        transaction.execute_batch(EMPTY).unwrap();
        for task in tasks {
            transaction
                .execute(
                    "INSERT INTO TASKS (AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME,
                     LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
                    params![
                        task["agent_id"].as_i64(),
                        task["node"].as_str(),
                        task["module"].as_str(),
                        task["command"].as_str(),
                        task["create_time"].as_i64(),
                        task["last_update_time"].as_i64(),
                        task["status"].as_str(),
                        task["error_message"].as_str(),
                    ],
                )
                .unwrap();
        }
        transaction.commit().unwrap();
    }

    /// The table as the recordings write it: no times, and no `ERROR_MESSAGE`
    /// where there is none.
    pub fn tasks(&self) -> Vec<Value> {
        let database = self.database();
        let mut statement = database
            .prepare_cached(
                "SELECT TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, STATUS, ERROR_MESSAGE
                 FROM TASKS ORDER BY TASK_ID",
            )
            .unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            let mut task = Map::new();
            task.insert("TASK_ID".into(), json!(row.get::<_, i64>(0)?));
            task.insert("AGENT_ID".into(), json!(row.get::<_, i64>(1)?));
            for (at, key) in ["NODE", "MODULE", "COMMAND", "STATUS"]
                .into_iter()
                .enumerate()
            {
                task.insert(key.into(), json!(row.get::<_, Option<String>>(at + 2)?));
            }
            if let Some(message) = row.get::<_, Option<String>>(6)? {
                task.insert("ERROR_MESSAGE".into(), json!(message));
            }
            Ok(Value::Object(task))
        };
        statement
            .query_map([], row)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// Makes the task table unusable, or usable again.
    pub fn break_tasks(&self, broken: bool) {
        let (from, to) = if broken {
            ("TASKS", "GONE")
        } else {
            ("GONE", "TASKS")
        };
        self.database()
            .execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))
            .unwrap();
    }

    /// Sends raw bytes to one of the two sockets; the answers until the daemon
    /// closes, or the first one where the client does not say that it is done.
    pub async fn send(
        &self,
        socket: &str,
        raw: &[u8],
        half_close: bool,
    ) -> io::Result<Vec<Vec<u8>>> {
        let path = match socket {
            "task" => self.manager.home.task_socket(),
            _ => self.manager.home.upgrade_socket(),
        };
        let mut client = Client::connect(path).await?;
        // The daemon may close before it has read everything.
        let _ = client.send_raw(raw).await;
        if half_close {
            let _ = client.half_close().await;
        }
        let mut answers = Vec::new();
        while let Some(answer) = client.receive().await? {
            answers.push(answer);
            if !half_close {
                break;
            }
        }
        Ok(answers)
    }

    /// Waits until no delivery runs or waits to run.
    pub async fn settle(&self, agents: &[i64]) {
        let progress = json!({"command": "upgrade_progress", "parameters": {"agents": agents}});
        let progress = progress.to_string();
        wait_until(PATIENCE, async || {
            let busy: i64 = self
                .database()
                .query_row(BUSY, [], |row| row.get(0))
                .unwrap();
            if busy > 0 {
                return None;
            }
            let answer = self.manager.ask(&progress).await?;
            answer["data"].as_array()?.is_empty().then_some(())
        })
        .await
        .expect("the deliveries come to an end");
    }
}
