//! The task manager of a master in memory: section 3 of PROTOCOL.md, written
//! from the document and from nothing of ours. Times are UTC.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

/// What a 4.x manager shows where its texts are not the documented ones.
const LONG_TEXTS: [(&str, &str); 3] = [
    (
        "Cancelled",
        "Task cancelled since the manager was restarted",
    ),
    (
        "Timeout",
        "Timeout reached while waiting for the response from the agent, check the result manually on the agent for more information",
    ),
    (
        "Legacy",
        "Legacy upgrade: check the result manually since the agent cannot report the result of the task",
    ),
];

/// A table of tasks; clones are the same table.
#[derive(Debug, Clone, Default)]
pub struct TaskTable {
    rows: Arc<Mutex<Vec<Row>>>,
    wazuh4: bool,
    /// It knows what nodes of ours say of their orders.
    ours: bool,
}

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    agent: i64,
    node: String,
    module: String,
    command: String,
    status: String,
    error_msg: Option<String>,
    updated: bool,
    deleted: bool,
    /// Its node holds the order.
    held: bool,
}

impl TaskTable {
    /// An empty table that speaks as the documentation has it.
    pub fn documented() -> Self {
        Self::default()
    }

    /// An empty table of a master of ours, which knows section 15 as well.
    pub fn ours() -> Self {
        Self {
            ours: true,
            ..Self::default()
        }
    }

    /// An empty table that speaks as a 4.x manager does.
    pub fn wazuh4() -> Self {
        Self {
            wazuh4: true,
            ..Self::default()
        }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stored statuses of all tasks of an agent, oldest first.
    pub fn statuses(&self, agent: i64) -> Vec<String> {
        let rows = self.rows();
        let of = rows
            .iter()
            .filter(|row| row.agent == agent && !row.deleted)
            .map(|row| row.status.clone());
        of.collect()
    }

    /// Gives the newest task of an agent a status, whatever it is now.
    pub fn set_status(&self, agent: i64, status: &str) {
        if let Some(row) = newest(&mut self.rows(), agent) {
            row.status = status.to_owned();
            row.updated = true;
        }
    }

    /// Adds a Pending task; its id.
    pub fn add(&self, agent: i64, node: &str) -> i64 {
        self.insert(agent, node, "upgrade_module", "upgrade", false)
    }

    /// Adds a Pending task of a node that holds its order; its id.
    pub fn add_held(&self, agent: i64, node: &str) -> i64 {
        self.insert(agent, node, "upgrade_module", "upgrade", true)
    }

    /// What a built-in upgrade module on that node has done when it starts.
    pub fn module_starts(&self, node: &str) {
        let origin = json!({"name": node, "module": "upgrade_module"});
        self.answer(
            &json!({"origin": origin, "command": "upgrade_cancel_tasks", "parameters": {}}),
        );
    }

    fn insert(&self, agent: i64, node: &str, module: &str, command: &str, held: bool) -> i64 {
        let mut rows = self.rows();
        let id = rows.last().map_or(1, |row| row.id + 1);
        rows.push(Row {
            id,
            agent,
            node: node.to_owned(),
            module: module.to_owned(),
            command: command.to_owned(),
            status: "Pending".to_owned(),
            error_msg: None,
            updated: false,
            deleted: false,
            held,
        });
        id
    }

    /// Answers one task message.
    pub fn answer(&self, message: &Value) -> Value {
        let text = |of: &str, key: &str| message[of][key].as_str().map(str::to_owned);
        let (node, module) = (text("origin", "name"), text("origin", "module"));
        let command = message["command"].as_str().unwrap_or_default();
        let held = self.ours && message["parameters"]["holds_order"] == true;
        let agents: Vec<i64> = (message["parameters"]["agents"].as_array().into_iter())
            .flatten()
            .filter_map(Value::as_i64)
            .collect();
        let refused = |code: u8, text: &str| {
            let item = json!({"error": code, "message": text});
            json!({"error": code, "data": [item], "message": text})
        };
        let Some(node) = node.or_else(|| (command == "upgrade_result").then(String::new)) else {
            return refused(1, "Invalid message");
        };
        let item: Box<dyn Fn(i64) -> Value> = match command {
            "upgrade" | "upgrade_custom" => {
                let Some(module) = module else {
                    return refused(1, "Invalid message");
                };
                Box::new(move |agent| {
                    let id = self.insert(agent, &node, &module, command, held);
                    success(agent, json!({"task_id": id}))
                })
            }
            "upgrade_get_status" => Box::new(move |agent| self.status(agent, &node)),
            "upgrade_update_status" => {
                let (status, error) = (
                    text("parameters", "status"),
                    text("parameters", "error_msg"),
                );
                let Some(status) = status else {
                    return refused(1, "Invalid message");
                };
                Box::new(move |agent| self.update(agent, &node, &status, error.clone()))
            }
            "upgrade_result" => Box::new(|agent| self.result(agent)),
            "upgrade_cancel_tasks" => {
                for row in self.rows().iter_mut() {
                    let spared = row.held && !held;
                    if row.node == node && row.status == "Pending" && !spared {
                        row.status = "Cancelled".to_owned();
                        row.updated = true;
                    }
                }
                let item = json!({"error": 0, "message": "Success"});
                return json!({"error": 0, "data": [item], "message": "Success"});
            }
            _ => return refused(2, "Invalid command"),
        };
        if agents.is_empty() {
            return refused(1, "Invalid message");
        }
        let data: Vec<Value> = agents.into_iter().map(item).collect();
        json!({"error": 0, "data": data, "message": "Success"})
    }

    fn status(&self, agent: i64, node: &str) -> Value {
        let mut rows = self.rows();
        let Some(row) = newest(&mut rows, agent) else {
            return success(agent, json!({}));
        };
        // A master of ours keeps what somebody holds the order of.
        if row.status == "Pending" && row.node != node && !row.held {
            row.deleted = true;
            return success(agent, json!({}));
        }
        success(agent, json!({"status": row.status}))
    }

    fn update(&self, agent: i64, node: &str, status: &str, error_msg: Option<String>) -> Value {
        let mut rows = self.rows();
        let row = newest(&mut rows, agent).filter(|row| {
            let same = row.node == node;
            match (row.status.as_str(), status) {
                ("Pending", "In progress") | ("In progress", "Legacy") => same,
                ("In progress", "Done" | "Failed") => true,
                _ => false,
            }
        });
        let Some(row) = row else {
            return no_task(agent);
        };
        row.status = status.to_owned();
        row.updated = true;
        row.error_msg = error_msg.or(row.error_msg.take());
        success(agent, json!({}))
    }

    fn result(&self, agent: i64) -> Value {
        let mut rows = self.rows();
        let Some(row) = newest(&mut rows, agent) else {
            return no_task(agent);
        };
        let mut shown = match row.status.as_str() {
            "Pending" => "In queue",
            "In progress" => "Updating",
            "Done" => "Updated",
            "Failed" => "Error",
            other => other,
        };
        if self.wazuh4
            && let Some((_, text)) = LONG_TEXTS.iter().find(|(word, _)| *word == shown)
        {
            shown = text;
        }
        let time = "2023/11/14 22:13:20";
        let mut item = json!({
            "task_id": row.id, "node": row.node, "module": row.module, "command": row.command,
            "status": shown, "create_time": time,
        });
        if let Some(text) = &row.error_msg {
            item["error_msg"] = text.as_str().into();
        }
        if row.updated {
            item["update_time"] = time.into();
        } else if !self.wazuh4 {
            item["update_time"] = "0".into();
        }
        success(agent, item)
    }
}

fn newest(rows: &mut [Row], agent: i64) -> Option<&mut Row> {
    rows.iter_mut()
        .rev()
        .find(|row| row.agent == agent && !row.deleted)
}

fn no_task(agent: i64) -> Value {
    json!({"error": 3, "message": "No task in DB", "agent": agent})
}

fn success(agent: i64, more: Value) -> Value {
    let mut item = Map::new();
    item.insert("error".to_owned(), 0.into());
    item.insert("message".to_owned(), "Success".into());
    item.insert("agent".to_owned(), agent.into());
    if let Value::Object(more) = more {
        item.extend(more);
    }
    Value::Object(item)
}
