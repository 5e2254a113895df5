//! One simulated agent: its open file, its installers, and the result that it
//! repeats until it is told to stop. It knows which task each of its installers
//! was for, which no real agent does: that is what the table is held against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use wpk_api::{AgentId, TaskId, Version};
use wpk_testkit::memory::{Form, Hands, take_apart};

use crate::dice::Dice;
use crate::oracle::Knows;

/// How an installer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done,
    Failed,
    MissingDependency,
}

impl End {
    /// `error`, `status` and `message` of the acknowledgement (section 6).
    pub const fn word(self) -> (i64, &'static str, &'static str) {
        match self {
            Self::Done => (0, "Done", "Upgrade was successful"),
            Self::MissingDependency => (1, "Failed", "Upgrade failed due missing dependency"),
            Self::Failed => (2, "Failed", "Upgrade failed"),
        }
    }

    /// The text that a 4.x pipeline stores with it.
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Failed => Some("Upgrade procedure exited with error code"),
            Self::MissingDependency => {
                Some("Upgrade procedure exited with error code, missing dependency in agent")
            }
        }
    }
}

/// One installer that ran, or runs.
#[derive(Debug)]
pub struct Run {
    pub end: End,
    pub ended: bool,
    /// The agent spoke of it at least once.
    pub said: bool,
    /// What it leaves says nothing to anybody: the version inside never reports.
    mute: bool,
    /// Its result gets lost before anybody hears of it.
    pub loses_result: bool,
    pub takes: Duration,
    target: Option<Version>,
}

/// What an agent knows of a task.
#[derive(Debug, Clone, Copy)]
enum Known {
    Refused,
    Run(usize),
}

/// The agent.
#[derive(Debug)]
pub struct Agent {
    pub id: AgentId,
    pub version: Version,
    pub online: bool,
    /// Faulty commands in a thousand.
    pub temper: u32,
    pub dice: Dice,
    hands: Hands,
    /// No command but one is carried out until then: it just started.
    pub ready_from: Duration,
    pub runs: Vec<Run>,
    /// Its installer runs.
    running: Option<usize>,
    /// The result that it repeats.
    pub result: Option<usize>,
    known: BTreeMap<TaskId, Known>,
    /// When it told the digest of its file last.
    told_digest: Option<Duration>,
}

/// What came of a command.
pub struct Heard {
    pub answer: Bytes,
    /// The installer that it began.
    pub began: Option<usize>,
    /// What it did that no agent may be made to do.
    pub wrong: Option<String>,
}

/// What agents in general know.
pub struct Lore<'a> {
    pub now: Duration,
    /// Everything goes well.
    pub calm: bool,
    /// Files that are whole.
    pub files: &'a BTreeSet<Bytes>,
}

impl Agent {
    pub fn new(id: AgentId, version: Version, dice: Dice) -> Self {
        Self {
            id,
            version,
            online: true,
            temper: 0,
            dice,
            hands: Hands::default(),
            ready_from: Duration::ZERO,
            runs: Vec::new(),
            running: None,
            result: None,
            known: BTreeMap::new(),
            told_digest: None,
        }
    }

    /// What it knows of a task; `begun`: what the manager wrote down about it.
    pub fn knows(&self, task: TaskId, begun: bool) -> Knows {
        let run = match self.known.get(&task) {
            None if begun => return Knows::NothingYet,
            None => return Knows::Nothing,
            Some(Known::Refused) => return Knows::Refused,
            Some(Known::Run(run)) => &self.runs[*run],
        };
        match (run.mute, run.ended, run.said, run.end) {
            (true, ..) => Knows::RunsMute,
            (_, false, ..) => Knows::Runs,
            (_, _, false, _) => Knows::EndedUnsaid,
            (_, _, _, End::Done) => Knows::SaidDone,
            _ => Knows::SaidFailed,
        }
    }

    /// Whether it is there and ready, and everything that it will ever say was said and
    /// heard. An old agent that just started refuses in plain words, which are not
    /// waited for.
    pub fn is_quiet(&self, now: Duration) -> bool {
        let ready = self.online && now >= self.ready_from;
        ready && self.running.is_none() && self.result.is_none()
    }

    /// Whether the manager may be about to have an installer begun.
    pub fn is_about_to_install(&self, now: Duration) -> bool {
        const ANSWER: Duration = Duration::from_secs(180);
        self.told_digest.is_some_and(|told| now < told + ANSWER)
    }

    /// Carries out a command that was sent for `task`.
    pub fn hears(&mut self, command: &Bytes, task: Option<TaskId>, lore: &Lore<'_>) -> Heard {
        let silent = |answer| Heard {
            answer,
            began: None,
            wrong: None,
        };
        let Some(sent) = take_apart(command) else {
            return silent(Bytes::from_static(b"err Command not found"));
        };
        let busy = self.running.is_some() || self.result.is_some();
        let ready = lore.now >= self.ready_from && !busy;
        match sent.step.as_str() {
            "lock_restart" => {}
            "clear_upgrade_result" => {
                if self.running.is_none() {
                    self.result = None;
                }
                return silent(said(sent.form, 0, "ok"));
            }
            _ if !ready => {
                let text = "Upgrade module is disabled or not ready yet";
                if let ("upgrade", Some(task)) = (sent.step.as_str(), task) {
                    self.known.entry(task).or_insert(Known::Refused);
                }
                return silent(said(sent.form, 1, text));
            }
            "sha1" => self.told_digest = Some(lore.now),
            _ => {}
        }
        if sent.step == "upgrade" {
            return self.installs(&sent.form, command, task, lore);
        }
        if !lore.calm && self.temper > 0 && self.dice.per_mille(3) {
            return silent(said(sent.form, 10, "Cannot write file"));
        }
        silent(self.hands.answer(&sent, true).0)
    }

    fn installs(
        &mut self,
        form: &Form,
        command: &Bytes,
        task: Option<TaskId>,
        lore: &Lore<'_>,
    ) -> Heard {
        let answer = |code, text| said(*form, code, text);
        let refused = |answer| Heard {
            answer,
            began: None,
            wrong: None,
        };
        let Some(task) = task else {
            return Heard {
                wrong: Some("it is told to install, and no task is In progress".to_owned()),
                ..refused(answer(18, "Error executing command"))
            };
        };
        if let Some(Known::Run(_)) = self.known.get(&task) {
            return Heard {
                wrong: Some(format!("the installer of task {task} runs twice")),
                ..refused(answer(18, "Error executing command"))
            };
        }
        self.known.insert(task, Known::Refused);
        if !lore.files.contains(&self.hands.content()) {
            return refused(answer(13, "Could not verify signature"));
        }
        if !lore.calm && self.dice.per_mille(40) {
            return refused(answer(18, "Error executing command"));
        }
        if !lore.calm && self.dice.per_mille(30) {
            return refused(answer(0, "7"));
        }
        let target = target_of(command);
        let run = Run {
            end: match self.dice.below(20) {
                0 | 1 if !lore.calm => End::Failed,
                2 if !lore.calm => End::MissingDependency,
                _ => End::Done,
            },
            ended: false,
            said: false,
            mute: target.is_some_and(|version| version < Version::new(4, 1, 0)),
            loses_result: !lore.calm && self.dice.per_mille(30),
            takes: match self.dice.per_mille(80) && !lore.calm {
                true => self.dice.seconds(600, 2_400),
                false => self.dice.seconds(1, 240),
            },
            target,
        };
        self.runs.push(run);
        let began = self.runs.len() - 1;
        self.known.insert(task, Known::Run(began));
        self.running = Some(began);
        Heard {
            answer: answer(0, "0"),
            began: Some(began),
            wrong: None,
        }
    }

    /// Its installer ends; whether there is a result to speak of.
    pub fn ends(&mut self, run: usize) -> bool {
        self.running = None;
        let ended = &mut self.runs[run];
        ended.ended = true;
        if let (End::Done, Some(target)) = (ended.end, ended.target) {
            self.version = target;
        }
        let speaks = !ended.mute && !ended.loses_result;
        if speaks {
            self.result = Some(run);
        }
        speaks
    }

    /// What it repeats.
    pub fn word(&mut self, run: usize) -> End {
        self.runs[run].said = true;
        self.runs[run].end
    }

    /// A result that it spoke of before and that was cleared.
    pub fn older_word(&mut self) -> Option<End> {
        let idle = self.running.is_none() && self.result.is_none();
        let older: Vec<End> = self
            .runs
            .iter()
            .filter(|run| run.said)
            .map(|run| run.end)
            .collect();
        match idle && !older.is_empty() {
            true => Some(self.dice.pick(&older)),
            false => None,
        }
    }
}

/// An answer in the form of the command.
fn said(form: Form, code: i64, text: &str) -> Bytes {
    match (form, code) {
        (Form::Json, _) => json!({"error": code, "message": text, "data": []})
            .to_string()
            .into(),
        (Form::Com, 0) => format!("ok {text}").into(),
        (Form::Com, _) => format!("err {text}").into(),
    }
}

/// The version that the file of the command is called by.
fn target_of(command: &Bytes) -> Option<Version> {
    let text = std::str::from_utf8(command).ok()?;
    let name = text.split_once("agent_")?.1;
    name.split_once(".wpk")?.0.parse().ok()
}
