//! A manager for tests: a real Unix socket, framed answers, each decided by a
//! closure that sees the request. And the program itself, run as a process.
#![allow(dead_code, unreachable_pub)]

pub mod terminal;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use serde_json::{Value, json};

/// What the manager does with a request.
pub enum Reply {
    /// Answers, and keeps the connection.
    Answer(Value),
    /// Answers, then closes, as a 4.x manager does.
    Last(Value),
    /// Closes without an answer.
    Close,
    /// Goes away: the socket is removed, the connection closed.
    Die,
}

type Handler = Box<dyn FnMut(&Value) -> Reply + Send>;

pub struct Manager {
    pub socket: PathBuf,
    pub requests: Arc<Mutex<Vec<Value>>>,
}

impl Manager {
    /// Listens at `socket` until the test ends.
    pub fn start(socket: &Path, handler: impl FnMut(&Value) -> Reply + Send + 'static) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(Box::new(handler)));
        let (log, path) = (requests.clone(), socket.to_owned());
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (handler, log, path) = (handler.clone(), log.clone(), path.clone());
                thread::spawn(move || serve(stream, &handler, &log, &path));
            }
        });
        Self {
            socket: socket.to_owned(),
            requests,
        }
    }

    /// The requests with this command.
    pub fn asked(&self, command: &str) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|request| request["command"] == command)
            .cloned()
            .collect()
    }
}

fn serve(mut stream: UnixStream, handler: &Mutex<Handler>, log: &Mutex<Vec<Value>>, path: &Path) {
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut payload = vec![0; u32::from_le_bytes(length) as usize];
        stream.read_exact(&mut payload).unwrap();
        let request: Value = serde_json::from_slice(&payload).unwrap();
        log.lock().unwrap().push(request.clone());
        let reply = (handler.lock().unwrap())(&request);
        let (answer, last) = match reply {
            Reply::Answer(answer) => (answer, false),
            Reply::Last(answer) => (answer, true),
            Reply::Close => return,
            Reply::Die => {
                std::fs::remove_file(path).unwrap();
                return;
            }
        };
        let answer = answer.to_string().into_bytes();
        let mut frame = u32::try_from(answer.len()).unwrap().to_le_bytes().to_vec();
        frame.extend(answer);
        if stream.write_all(&frame).is_err() || last {
            return;
        }
    }
}

/// The ids in a request.
pub fn agents(request: &Value) -> Vec<i64> {
    let agents = request["parameters"]["agents"].as_array().unwrap();
    agents.iter().map(|agent| agent.as_i64().unwrap()).collect()
}

/// An answer with these items.
pub fn answer(items: Vec<Value>) -> Reply {
    Reply::Answer(json!({"error": 0, "data": items, "message": "Success"}))
}

/// A refusal of a whole request.
pub fn refusal(code: u8, text: &str) -> Reply {
    let item = json!({"error": code, "message": text});
    Reply::Answer(json!({"error": code, "data": [item], "message": text}))
}

/// The item of a new task; agent N gets task 100 + N.
pub fn created(agent: i64) -> Value {
    json!({"error": 0, "message": "Success", "agent": agent, "task_id": 100 + agent})
}

/// The item of a result.
pub fn task(agent: i64, status: &str, error_msg: Option<&str>) -> Value {
    let mut item = json!({
        "error": 0, "message": "Success", "agent": agent, "task_id": 100 + agent,
        "node": "node01", "module": "upgrade_module", "command": "upgrade",
        "status": status, "create_time": "2025/01/02 03:04:05", "update_time": "0",
    });
    if let Some(text) = error_msg {
        item["error_msg"] = text.into();
    }
    item
}

/// An item of `agent_list`.
pub fn listed(agent: i64, version: &str) -> Value {
    json!({
        "error": 0, "message": "Success", "agent": agent, "name": format!("host{agent}"),
        "version": format!("Wazuh {version}"), "connection_status": "active",
        "os_platform": "ubuntu", "os_major": "22", "os_minor": "04", "os_arch": "x86_64",
        "group": "default", "node_name": "node01",
    })
}

/// The program, not run yet; no settings of the surroundings reach it.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wpkctl"));
    command.args(arguments).env_clear();
    command
}

/// The folder with the program and the daemon, which is built if it is not there.
pub fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| wpk_testkit::process::build(&["wpkd", "wpkctl"]).unwrap())
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Run {
    Run::of(program(arguments).output().unwrap())
}

pub struct Run {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn ended(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            Some(status),
            "out: {}\nerr: {}",
            self.out,
            self.err
        );
        self
    }

    /// Standard output begins so.
    #[track_caller]
    pub fn begins(&self, start: &str) {
        assert!(self.out.starts_with(start), "{}", self.out);
    }

    /// The lines of standard output as JSON.
    pub fn objects(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The words of the line that starts with `start`.
    #[track_caller]
    pub fn row(&self, start: &str) -> Vec<&str> {
        let found = self
            .out
            .lines()
            .find(|line| line.trim_start().starts_with(start));
        found
            .unwrap_or_else(|| panic!("no {start:?} in {}", self.out))
            .split_whitespace()
            .collect()
    }
}
