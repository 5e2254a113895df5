//! One request as the framework of a 4.x manager makes it, a connection for itself, and
//! how it went.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use wpk_testkit::{Client, modulesd};

/// Who answered, or why nobody did.
#[derive(Debug)]
pub enum Answer {
    /// wpkd, with a task of its own.
    Wpkd {
        /// Its id.
        task: i64,
    },
    /// The manager's own module, with a task of its own.
    Modulesd {
        /// Its id.
        task: i64,
    },
    /// There was nothing to connect to, or nobody listened there: in words.
    NobodyThere(String),
    /// Somebody took the connection and did not answer, or said something else.
    Wrong(String),
}

/// A request that was made.
#[derive(Debug)]
pub struct Made {
    pub agent: u32,
    pub from: Instant,
    pub to: Instant,
    pub answer: Answer,
}

/// Asks for the upgrade of one agent.
pub async fn upgrade(path: PathBuf, agent: u32, mut parameters: Value) -> Made {
    parameters["agents"] = json!([agent]);
    let request = json!({"command": "upgrade", "parameters": parameters});
    let from = Instant::now();
    let answer = match Client::connect(&path).await {
        Err(error) if is_nobody(&error) => Answer::NobodyThere(error.to_string()),
        Err(error) => Answer::Wrong(error.to_string()),
        Ok(mut client) => match client.ask(request.to_string()).await {
            Ok(Some(answer)) => read(&answer),
            Ok(None) => Answer::Wrong("closed without an answer".to_owned()),
            Err(error) => Answer::Wrong(error.to_string()),
        },
    };
    let to = Instant::now();
    Made {
        agent,
        from,
        to,
        answer,
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused
    )
}

fn read(answer: &[u8]) -> Answer {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    let item = &json["data"][0];
    let task = item["task_id"].as_i64().filter(|id| *id > 0);
    match (json["by"].as_str(), item["error"].as_i64(), task) {
        (Some(modulesd::BY), Some(0), Some(task)) => Answer::Modulesd { task },
        (None, Some(0), Some(task)) => Answer::Wpkd { task },
        _ => Answer::Wrong(String::from_utf8_lossy(answer).into_owned()),
    }
}
