//! A simulated agent: what a healthy one answers to the commands of section 5,
//! in both command forms, read here without the project's own messages.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

/// Which of the two command forms a frame has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Agents from v4.1.0 on: `upgrade {...}`.
    Json,
    /// Older agents, and `lock_restart` of all: `com ...`.
    Com,
}

/// A command, taken apart.
#[derive(Debug)]
pub struct Command {
    /// The form it came in.
    pub form: Form,
    /// Its step, `open` and so on.
    pub step: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Json(Value),
    /// What follows the step.
    Com(Bytes),
}

impl Command {
    /// The task that it names (PROTOCOL.md, section 16).
    pub(crate) fn task(&self) -> Option<i64> {
        match &self.content {
            Content::Json(json) => json.get("parameters")?.get("task_id")?.as_i64(),
            Content::Com(_) => None,
        }
    }
}

/// Takes a command apart; `None` if it has neither form.
pub fn parse(command: &Bytes) -> Option<Command> {
    if let Some(text) = command.strip_prefix(b"upgrade ") {
        let json: Value = serde_json::from_slice(text).ok()?;
        let step = json.get("command")?.as_str()?.to_owned();
        return Some(Command {
            form: Form::Json,
            step,
            content: Content::Json(json),
        });
    }
    let text = command.strip_prefix(b"com ")?;
    let end = text
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(text.len());
    let step = std::str::from_utf8(text.get(..end)?).ok()?.to_owned();
    let rest = text.get(end + 1..).unwrap_or_default();
    Some(Command {
        form: Form::Com,
        step,
        content: Content::Com(command.slice_ref(rest)),
    })
}

/// The state of one agent.
#[derive(Debug, Default)]
pub struct Agent {
    /// The open file.
    open: Option<String>,
    hash: Sha1,
    content: BytesMut,
    /// Whether an upgrade was carried out whose result is not cleared yet.
    pub(crate) reports: bool,
    /// What it was told to run: file and installer.
    pub(crate) upgraded: Option<(String, String)>,
}

/// Why an agent refuses: number and text of section 7.
type Refusal = (i64, String);

impl Agent {
    /// What it has received since the last `open`.
    pub fn content(&self) -> Bytes {
        Bytes::copy_from_slice(&self.content)
    }

    /// Carries out a command. Returns its answer and whether it was a good one.
    /// `keep`: its file's bytes are kept as well as their digest.
    pub fn answer(&mut self, command: &Command, keep: bool) -> (Bytes, bool) {
        let result = match &command.content {
            Content::Json(json) => self.json(&command.step, json.get("parameters"), keep),
            Content::Com(rest) => self.com(&command.step, rest, keep),
        };
        let good = result.is_ok();
        let text = match (command.form, result) {
            (Form::Json, result) => {
                let (error, message) = match result {
                    Ok(message) => (
                        0,
                        if message.is_empty() {
                            "ok".to_owned()
                        } else {
                            message
                        },
                    ),
                    Err(refusal) => refusal,
                };
                format!(
                    "{{\"error\":{error},\"message\":{},\"data\":[]}}",
                    Value::from(message)
                )
            }
            (Form::Com, Ok(message)) => format!("ok {message}"),
            (Form::Com, Err((_, message))) => format!("err {message}"),
        };
        (text.into(), good)
    }

    fn json(
        &mut self,
        step: &str,
        parameters: Option<&Value>,
        keep: bool,
    ) -> Result<String, Refusal> {
        let missing = || (3, "Required parameters were not found".to_owned());
        let text = |key: &str| {
            parameters
                .and_then(|parameters| parameters.get(key))
                .and_then(Value::as_str)
                .ok_or_else(missing)
        };
        match step {
            "open" if matches!(text("mode")?, "w" | "wb") => self.open(text("file")?),
            "open" => Err((4, "Unsupported file mode".to_owned())),
            "write" => {
                let length = parameters
                    .and_then(|parameters| parameters.get("length"))
                    .and_then(Value::as_u64)
                    .ok_or_else(missing)?;
                let bytes = base64_simd::STANDARD
                    .decode_to_vec(text("buffer")?)
                    .map_err(|_| (10, "Cannot write file".to_owned()))?;
                self.write(text("file")?, length, &bytes, keep)
            }
            "close" => self.close(text("file")?),
            "sha1" => Ok(self.sha1()),
            "upgrade" => self.upgrade(text("file")?, text("installer")?),
            "clear_upgrade_result" => {
                self.reports = false;
                Ok(String::new())
            }
            _ => Err((2, "Command not found".to_owned())),
        }
    }

    fn com(&mut self, step: &str, rest: &[u8], keep: bool) -> Result<String, Refusal> {
        let bad = || (3, format!("Bad arguments of {step}"));
        let line = || std::str::from_utf8(rest).map_err(|_| bad());
        match step {
            "lock_restart" => Ok(String::new()),
            "open" => match line()?.split_once(' ') {
                Some(("w" | "wb", file)) => self.open(file),
                _ => Err(bad()),
            },
            "write" => {
                // N F BYTES: the open file's name may hold spaces, the bytes anything.
                let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
                let (length, rest) = rest.split_at(space);
                let length = std::str::from_utf8(length)
                    .ok()
                    .and_then(|digits| digits.parse().ok())
                    .ok_or_else(bad)?;
                let file = self.open.clone().ok_or_else(not_open)?;
                let bytes = rest
                    .strip_prefix(b" ")
                    .and_then(|rest| rest.strip_prefix(file.as_bytes()))
                    .and_then(|rest| rest.strip_prefix(b" "))
                    .ok_or_else(bad)?;
                self.write(&file, length, bytes, keep)
            }
            "close" => self.close(line()?),
            "sha1" => Ok(self.sha1()),
            "upgrade" => match line()?.rsplit_once(' ') {
                Some((file, installer)) => self.upgrade(file, installer),
                None => Err(bad()),
            },
            _ => Err((2, "Unrecognized command".to_owned())),
        }
    }

    fn open(&mut self, file: &str) -> Result<String, Refusal> {
        if file.is_empty() || file.contains('/') || file.contains('\\') {
            return Err((5, "Invalid file name".to_owned()));
        }
        self.open = Some(file.to_owned());
        self.hash = Sha1::new();
        self.content.clear();
        Ok(String::new())
    }

    fn write(
        &mut self,
        file: &str,
        length: u64,
        bytes: &[u8],
        keep: bool,
    ) -> Result<String, Refusal> {
        match self.open.as_deref() {
            None => return Err(not_open()),
            Some(open) if open != file => {
                return Err((
                    9,
                    "The target file doesn't match the opened file".to_owned(),
                ));
            }
            Some(_) => {}
        }
        if length != bytes.len() as u64 {
            return Err((10, "Cannot write file".to_owned()));
        }
        self.hash.update(bytes);
        if keep {
            self.content.extend_from_slice(bytes);
        }
        Ok(String::new())
    }

    fn close(&mut self, file: &str) -> Result<String, Refusal> {
        match self.open.as_deref() {
            None => Err((8, "No file opened".to_owned())),
            Some(open) if open != file => Err((
                9,
                "The target file doesn't match the opened file".to_owned(),
            )),
            Some(_) => {
                self.open = None;
                Ok(String::new())
            }
        }
    }

    fn sha1(&self) -> String {
        let digest = self.hash.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn upgrade(&mut self, file: &str, installer: &str) -> Result<String, Refusal> {
        self.reports = true;
        self.upgraded = Some((file.to_owned(), installer.to_owned()));
        Ok("0".to_owned())
    }
}

fn not_open() -> Refusal {
    (
        7,
        "File not opened. Agent might have been auto-restarted during upgrade".to_owned(),
    )
}

/// The acknowledgement as the manager's event pipeline writes it to the upgrade
/// socket (PROTOCOL.md, section 6).
pub(crate) fn acknowledgement(agent: u32, error: i64, status: &str) -> Vec<u8> {
    let message = match error {
        0 => "Upgrade was successful",
        1 => "Upgrade failed due missing dependency",
        _ => "Upgrade failed",
    };
    json!({
        "command": "upgrade_update_status",
        "parameters": {"error": error, "message": message, "status": status, "agents": [agent]},
    })
    .to_string()
    .into_bytes()
}
