//! A stand-in for the `wazuh-modulesd` of a manager or an agent, as far as its upgrade
//! module and task manager are concerned (PROTOCOL.md, section 14): at each start it
//! unlinks the paths of its sockets, whoever serves them, and binds new ones; then it
//! asks whoever serves the task socket to cancel what waits. Requests it answers itself,
//! and says so, so that one can see who answered.
//!
//! It is a real thing on real sockets: somebody who grabs the path between its unlink
//! and its bind breaks it, as he would break a manager. How long clients found nobody
//! because of its own steps it reports as [`Gap`]s.

mod table;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{ask_json, wait_until};
use crate::home::Home;
use crate::server::Connection;
use table::Table;

/// The member `by` of its answers.
pub const BY: &str = "modulesd";
/// How long it waits for its connections when it ends.
const GRACE: Duration = Duration::from_secs(5);

/// A time in which clients of a path could find nobody because of its own steps: from
/// the end of its old socket to the `listen` of its new one.
#[derive(Debug, Clone)]
pub struct Gap {
    /// The path.
    pub path: PathBuf,
    /// Its beginning.
    pub from: Instant,
    /// Its end.
    pub to: Instant,
}

/// The fake daemon. It ends when it is dropped, as a process that is killed: its files
/// stay.
#[derive(Debug)]
pub struct FakeModulesd {
    paths: Vec<PathBuf>,
    /// Where it asks for cancelling, and under which name.
    cancels: Option<(PathBuf, String)>,
    /// How long it takes between unlink and bind, and between bind and listen.
    pub pauses: (Duration, Duration),
    served: Vec<Served>,
    closed: Option<Instant>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gaps: Mutex<Vec<Gap>>,
    broken: Mutex<Vec<PathBuf>>,
    requests: Mutex<Vec<Value>>,
    cancelled: Mutex<Vec<Option<Value>>>,
    table: Mutex<Option<Table>>,
    connections: TaskTracker,
}

/// One socket of its.
#[derive(Debug)]
struct Served {
    path: PathBuf,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl FakeModulesd {
    /// That of a master node: both sockets, and a word to the task socket at each start.
    /// It does not run yet.
    pub fn of_master(home: &Home, node: &str) -> Self {
        let cancels = (home.task_socket(), node.to_owned());
        Self::new(
            vec![home.task_socket(), home.upgrade_socket()],
            Some(cancels),
        )
    }

    /// One with the socket at `path` alone: that of a worker node, or of an agent. It does
    /// not run yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self::new(vec![path.into()], None)
    }

    fn new(paths: Vec<PathBuf>, cancels: Option<(PathBuf, String)>) -> Self {
        Self {
            paths,
            cancels,
            pauses: (Duration::ZERO, Duration::ZERO),
            served: Vec::new(),
            closed: None,
            shared: Arc::default(),
        }
    }

    /// Lets it keep its tasks, for a node of this name, in a task table that is there.
    pub fn keep_tasks(&self, path: impl Into<PathBuf>, node: &str) {
        *lock(&self.shared.table) = Some(Table {
            path: path.into(),
            node: node.to_owned(),
        });
    }

    /// A start of its process. A path that it cannot bind it does not serve, and is
    /// [`broken`](Self::broken).
    ///
    /// # Errors
    /// Those of anything but a bind to a path that is taken.
    pub async fn start(&mut self) -> io::Result<()> {
        for path in self.paths.clone() {
            if let Some(served) = self.bind(&path).await? {
                self.served.push(served);
            }
        }
        self.closed = None;
        if let Some((path, node)) = &self.cancels {
            let request = json!({"origin": {"name": node, "module": "upgrade_module"},
                "command": "upgrade_cancel_tasks", "parameters": {}});
            let answer = ask_json(path, &request).await;
            lock(&self.shared.cancelled).push(answer);
        }
        Ok(())
    }

    async fn bind(&self, path: &Path) -> io::Result<Option<Served>> {
        let began = Instant::now();
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        pause(self.pauses.0).await;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match rustix::net::bind(&socket, &SocketAddrUnix::new(path)?) {
            Err(Errno::ADDRINUSE) => {
                lock(&self.shared.broken).push(path.to_owned());
                return Ok(None);
            }
            bound => bound?,
        }
        pause(self.pauses.1).await;
        rustix::fs::chmod(path, Mode::from_raw_mode(0o660))?;
        rustix::net::listen(&socket, 128)?;
        lock(&self.shared.gaps).push(Gap {
            path: path.to_owned(),
            from: self.closed.unwrap_or(began),
            to: Instant::now(),
        });
        self.serve(path, socket).map(Some)
    }

    fn serve(&self, path: &Path, socket: OwnedFd) -> io::Result<Served> {
        let listener = UnixListener::from_std(std::os::unix::net::UnixListener::from(socket))?;
        let stop = CancellationToken::new();
        let (shared, stopped) = (Arc::clone(&self.shared), stop.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stopped.cancelled() => break,
                    accepted = listener.accept() => accepted,
                };
                if let Ok((stream, _)) = accepted {
                    shared.answer(stream);
                }
            }
            // Whoever has connected by now is answered.
            while let Ok(waiting) = rustix::net::accept(listener.as_fd()) {
                let stream = std::os::unix::net::UnixStream::from(waiting);
                let stream = stream.set_nonblocking(true).map(|()| stream);
                if let Ok(stream) = stream.and_then(UnixStream::from_std) {
                    shared.answer(stream);
                }
            }
        });
        Ok(Served {
            path: path.to_owned(),
            stop,
            accepting,
        })
    }

    /// The end of its process: its sockets are closed, their files stay. Who has connected
    /// is answered before.
    pub async fn stop(&mut self) {
        self.closed.get_or_insert_with(Instant::now);
        for mut served in self.served.drain(..) {
            served.stop.cancel();
            // It cannot fail.
            let _ = (&mut served.accepting).await;
        }
        let idle = || std::future::ready(self.shared.connections.is_empty().then_some(()));
        wait_until(GRACE, idle).await;
    }

    /// [`stop`](Self::stop) and [`start`](Self::start).
    ///
    /// # Errors
    /// Those of `start`.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.stop().await;
        self.start().await
    }

    /// The paths it serves now, as it believes.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.served
            .iter()
            .map(|served| served.path.clone())
            .collect()
    }

    /// When clients could find nobody because of its own steps, and where.
    pub fn gaps(&self) -> Vec<Gap> {
        lock(&self.shared.gaps).clone()
    }

    /// The paths that somebody grabbed between its unlink and its bind.
    pub fn broken(&self) -> Vec<PathBuf> {
        lock(&self.shared.broken).clone()
    }

    /// What it was asked.
    pub fn requests(&self) -> Vec<Value> {
        lock(&self.shared.requests).clone()
    }

    /// What it was told at each of its starts when it asked for cancelling.
    pub fn cancelled(&self) -> Vec<Option<Value>> {
        lock(&self.shared.cancelled).clone()
    }
}

impl Shared {
    fn answer(self: &Arc<Self>, stream: UnixStream) {
        let shared = Arc::clone(self);
        self.connections.spawn(async move {
            let mut connection = Connection::new(stream);
            while let Ok(Some(request)) = connection.receive().await {
                let request = serde_json::from_slice(&request).unwrap_or(Value::Null);
                let answer = shared.act(&request);
                lock(&shared.requests).push(request);
                if connection
                    .send(answer.to_string().as_bytes())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
    }

    /// Does what a request asks of the table, if there is one, and answers it.
    fn act(&self, request: &Value) -> Value {
        let table = lock(&self.table).clone();
        let command = request["command"].as_str().unwrap_or_default();
        let Some(table) = table else {
            return answer(request, |_| 1);
        };
        match command {
            "upgrade" | "upgrade_custom" => {
                answer(request, |agent| table.enter(agent, command).unwrap_or(-1))
            }
            "upgrade_cancel_tasks" if table.cancel().is_err() => json!({"error": 4, "by": BY}),
            _ => answer(request, |_| 1),
        }
    }
}

/// An item of success for each agent, with a `task` id; without agents the refusal of
/// section 2.
fn answer(request: &Value, task: impl Fn(&Value) -> i64) -> Value {
    let agents = request
        .pointer("/parameters/agents")
        .and_then(Value::as_array);
    if agents.is_none_or(Vec::is_empty) && request["command"] != "upgrade_cancel_tasks" {
        let text = "Required parameters in json message where not found";
        let item = json!({"error": 2, "message": text});
        return json!({"error": 2, "data": [item], "message": text, "by": BY});
    }
    let items = agents.into_iter().flatten().map(|agent| {
        json!({"error": 0, "message": "Success", "agent": agent, "task_id": task(agent), "node": BY,
            "module": "upgrade_module", "command": "upgrade", "status": "Updated"})
    });
    let items: Vec<Value> = items.collect();
    json!({"error": 0, "data": items, "message": "Success", "by": BY})
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
