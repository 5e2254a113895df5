//! A stand-in for the manager's database daemon (PROTOCOL.md, section 9).
//!
//! It answers `global get-agent-info ID` and `global get-all-agents last_id N`
//! from a table that a test fills and changes at run time, or with any bytes at
//! all, and remembers what it was asked.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;
use wpk_wire::frame::frame;

use crate::server::{Connection, Server};

/// The task table as a 4.x manager's database daemon makes it, with more constraints than
/// the published layout has.
pub const TASK_TABLE: &str = "
CREATE TABLE TASKS (TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT, AGENT_ID INT NOT NULL,
    NODE TEXT NOT NULL, MODULE TEXT NOT NULL, COMMAND TEXT NOT NULL,
    CREATE_TIME INTEGER NOT NULL, LAST_UPDATE_TIME INTEGER, STATUS TEXT NOT NULL,
    ERROR_MESSAGE TEXT);
CREATE TABLE METADATA (key TEXT PRIMARY KEY, value TEXT);
INSERT INTO METADATA (key, value) VALUES ('db_version', '1');
";

/// The fake daemon; ends when dropped.
#[derive(Debug)]
pub struct FakeWazuhDb {
    server: Server,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    /// Told to end every open connection.
    hang_up: Notify,
}

#[derive(Debug)]
struct Inner {
    rows: BTreeMap<i64, Row>,
    /// Raw answers instead of rows.
    replies: HashMap<i64, Vec<u8>>,
    /// Raw answer to everything.
    reply_to_all: Option<Vec<u8>>,
    requests: Vec<String>,
    connections: usize,
    page: usize,
    latency: Duration,
}

/// An agent, and the answer about it: written once, since benches ask about tens of
/// thousands and measure who asks.
#[derive(Debug)]
struct Row {
    columns: Value,
    answer: Bytes,
}

impl From<Value> for Row {
    fn from(columns: Value) -> Self {
        let answer = frame(format!("ok [{columns}]").as_bytes());
        Self { columns, answer }
    }
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            replies: HashMap::new(),
            reply_to_all: None,
            requests: Vec::new(),
            connections: 0,
            page: 1000,
            latency: Duration::ZERO,
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeWazuhDb {
    /// Listens at `path`, with no agents.
    ///
    /// # Errors
    /// Those of binding the socket.
    pub fn start(path: impl AsRef<Path>) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let server = Server::sharing(path.as_ref(), &state, serve)?;
        Ok(Self { server, state })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.server.path()
    }

    /// Adds or replaces an agent: a row as the daemon answers it, with `id`.
    pub fn set_agent(&self, row: Value) {
        if let Some(id) = row.get("id").and_then(Value::as_i64) {
            self.state.lock().rows.insert(id, row.into());
        }
    }

    /// Replaces all agents.
    pub fn set_agents(&self, rows: impl IntoIterator<Item = Value>) {
        self.state.lock().rows.clear();
        for row in rows {
            self.set_agent(row);
        }
    }

    /// Replaces all agents by those of the `setup` of a recording.
    pub fn set_up(&self, setup: &Value) {
        self.set_agents(rows_of_setup(setup));
    }

    /// Changes one column of an agent, for example `connection_status`.
    pub fn set_column(&self, id: i64, column: &str, value: Value) {
        if let Some(row) = self.state.lock().rows.get_mut(&id) {
            let mut columns = row.columns.take();
            if let Value::Object(columns) = &mut columns {
                columns.insert(column.to_owned(), value);
            }
            *row = columns.into();
        }
    }

    /// Removes an agent.
    pub fn remove_agent(&self, id: i64) {
        self.state.lock().rows.remove(&id);
    }

    /// Answers questions about this agent with these bytes.
    pub fn set_reply(&self, id: i64, reply: impl Into<Vec<u8>>) {
        self.state.lock().replies.insert(id, reply.into());
    }

    /// Answers everything with these bytes; `None`: no more.
    pub fn set_reply_to_all(&self, reply: Option<&[u8]>) {
        self.state.lock().reply_to_all = reply.map(<[u8]>::to_vec);
    }

    /// How many ids one page of `get-all-agents` holds; 1000 at first.
    pub fn set_page(&self, ids: usize) {
        self.state.lock().page = ids.max(1);
    }

    /// How long each answer takes.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    /// Ends every open connection.
    pub fn hang_up(&self) {
        self.state.hang_up.notify_waiters();
    }

    /// Everything it was asked, in order.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().requests.clone()
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.state.lock().connections
    }
}

async fn serve(mut connection: Connection, state: Arc<State>) -> io::Result<()> {
    state.lock().connections += 1;
    let mut hang_up = pin!(state.hang_up.notified());
    loop {
        let request = tokio::select! {
            () = &mut hang_up => return Ok(()),
            request = connection.receive() => request?,
        };
        let Some(request) = request else {
            return Ok(());
        };
        let request = String::from_utf8_lossy(&request).into_owned();
        let (answer, latency) = {
            let mut inner = state.lock();
            let answer = inner.answer(&request);
            inner.requests.push(request);
            (answer, inner.latency)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        connection.send_raw(&answer).await?;
    }
}

impl Inner {
    /// The answer, in its frame.
    fn answer(&self, request: &str) -> Bytes {
        if let Some(reply) = &self.reply_to_all {
            return frame(reply);
        }
        let number = |text: &str| text.parse::<i64>().ok();
        if let Some(id) = request
            .strip_prefix("global get-agent-info ")
            .and_then(number)
        {
            if let Some(reply) = self.replies.get(&id) {
                return frame(reply);
            }
            return match self.rows.get(&id) {
                Some(row) => row.answer.clone(),
                None => frame(b"ok []"),
            };
        }
        if let Some(after) = request
            .strip_prefix("global get-all-agents last_id ")
            .and_then(number)
        {
            let mut ids = self.rows.range(after.saturating_add(1)..).map(|(id, _)| id);
            let page: Vec<Value> = ids
                .by_ref()
                .take(self.page)
                .map(|id| json!({"id": id}))
                .collect();
            let word = if ids.next().is_some() { "due" } else { "ok" };
            return frame(format!("{word} {}", Value::Array(page)).as_bytes());
        }
        frame(format!("err Invalid DB query syntax, near '{request:.32}'").as_bytes())
    }
}

/// A row as the daemon answers it, for an active agent on Ubuntu 22.04.
pub fn agent_row(id: i64, version: &str) -> Value {
    json!({
        "id": id,
        "name": format!("agent{id:03}"),
        "ip": "any",
        "register_ip": "any",
        "os_name": "Ubuntu",
        "os_platform": "ubuntu",
        "os_major": "22",
        "os_minor": "04",
        "os_arch": "x86_64",
        "version": version,
        "connection_status": "active",
        "group": "default",
        "node_name": "node01",
    })
}

/// The rows described by the `setup` of a recording: `agents` (a list, a single
/// agent, or a text such as `1..700 all disconnected`) on top of `agent_defaults`; what neither states is as in
/// [`agent_row`] with version `Wazuh v4.7.0`, and `null` is an absent value.
pub fn rows_of_setup(setup: &Value) -> Vec<Value> {
    let agents = match setup.get("agents") {
        Some(Value::Array(agents)) => agents.clone(),
        Some(agent @ Value::Object(_)) => vec![agent.clone()],
        Some(Value::String(range)) => agents_of_range(range),
        _ => Vec::new(),
    };
    let defaults = setup.get("agent_defaults").unwrap_or(&Value::Null);
    agents
        .iter()
        .filter_map(|agent| {
            let id = agent.get("id").and_then(Value::as_i64)?;
            let mut row = agent_row(id, "Wazuh v4.7.0");
            for stated in [defaults, agent] {
                for (key, value) in stated.as_object().into_iter().flatten() {
                    if let Value::Object(row) = &mut row {
                        row.insert(column(key).to_owned(), value.clone());
                    }
                }
            }
            Some(row)
        })
        .collect()
}

/// Reads `FIRST..LAST all STATUS`.
fn agents_of_range(text: &str) -> Vec<Value> {
    let parse = || {
        let (range, status) = text.split_once(" all ")?;
        let (first, last) = range.split_once("..")?;
        Some((
            first.parse::<i64>().ok()?,
            last.parse::<i64>().ok()?,
            status,
        ))
    };
    parse().map_or_else(Vec::new, |(first, last, status)| {
        (first..=last)
            .map(|id| json!({"id": id, "status": status}))
            .collect()
    })
}

/// The column that a key of a recording's set-up stands for.
fn column(key: &str) -> &str {
    match key {
        "platform" => "os_platform",
        "major" => "os_major",
        "minor" => "os_minor",
        "arch" => "os_arch",
        "status" => "connection_status",
        other => other,
    }
}
