//! `agent.jsonl`: the upgrade socket of an agent, and what is on its disk
//! afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use wpk_testkit::files::{Files, files};
use wpk_testkit::home::make_agent_folders;
use wpk_testkit::wpk::SigningCa;
use wpk_testkit::{Client, Process, binary, wait_until};

use crate::case::{self, Case};
use crate::differences;
use crate::report::{Mismatch, Tally, differs};

const DEADLINE: Duration = Duration::from_secs(30);

/// How long it is watched that no acknowledgement comes.
const SILENCE: Duration = Duration::from_millis(200);

/// Short pauses; everything else as by default.
const SETTINGS: &str = "[upgrade]\nnotification_wait_start = \"30ms\"\n\
    notification_wait_max = \"100ms\"\nresult_wait = \"5s\"\nresult_check = \"10ms\"\n\
    execution_timeout = \"1s\"\n";

/// Replays all cases: an agent for each group that needs its own.
pub async fn replay() -> Tally {
    let mut tally = Tally::new("agent.jsonl", differences::AGENT).strict();
    let cases = case::load("agent.jsonl");
    let of = |groups: &'static [&'static str]| {
        let in_groups = |case: &&Case| groups.contains(&group(case));
        cases.iter().filter(in_groups).collect::<Vec<_>>()
    };
    disabled(&mut tally, of(&["disabled"])).await;
    pending_results(&mut tally, of(&["pending_result"])).await;
    upgrades(&mut tally, of(&["upgrade"])).await;
    let known = ["disabled", "pending_result", "upgrade"];
    let rest = cases.iter().filter(|case| !known.contains(&group(case)));
    files_and_frames(&mut tally, rest.collect()).await;
    tally
}

fn group(case: &Case) -> &str {
    case.name().split('/').next().unwrap()
}

/// The program in a home of its own.
struct Agent {
    home: TempDir,
    _process: Process,
}

/// A home that trusts the recordings' CA.
fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    make_agent_folders(home.path()).unwrap();
    fs::write(home.path().join("etc/wpk_root.pem"), wpk("ca.pem")).unwrap();
    home
}

fn wpk(name: &str) -> Vec<u8> {
    fs::read(case::folder().join("wpk").join(name)).unwrap()
}

async fn start(home: TempDir, more: &str) -> Agent {
    let config = home.path().join("etc/agent.toml");
    fs::write(&config, format!("{SETTINGS}{more}[listen]\n")).unwrap();
    let mut command = Command::new(binary("wpk-agent").unwrap());
    command
        .arg("--config")
        .arg(config)
        .arg("--home")
        .arg(home.path());
    command.env("WPK_AGENT_LOG", "debug");
    let mut process = Process::start(command, home.path().join("logs/agent.log")).unwrap();
    let ready = process.wait_for_line("the agent is ready", DEADLINE).await;
    assert!(ready.is_some(), "{}", process.output());
    Agent {
        home,
        _process: process,
    }
}

impl Agent {
    fn path(&self, inside: &str) -> PathBuf {
        self.home.path().join(inside)
    }

    /// `closed` where there is no answer.
    async fn send(&self, raw: &[u8]) -> String {
        let socket = self.path("queue/sockets/upgrade");
        let mut client = Client::connect(socket).await.unwrap();
        // The agent may close before it has read everything.
        let _ = client.send_raw(raw).await;
        let answer = client.receive().await.unwrap();
        answer.map_or_else(
            || "closed".to_owned(),
            |bytes| String::from_utf8(bytes).unwrap(),
        )
    }

    async fn ask(&self, command: &str, parameters: Value) {
        let request = json!({"command": command, "parameters": parameters}).to_string();
        assert_eq!(
            self.send(&case::frame(request.as_bytes())).await,
            answer(0, "ok")
        );
    }

    async fn upload(&self, name: &str, bytes: &[u8]) {
        let open = json!({"command": "open", "parameters": {"mode": "wb", "file": name}});
        let open = case::frame(open.to_string().as_bytes());
        // What the installer before left running may still live.
        let opened = async || (self.send(&open).await == answer(0, "ok")).then_some(());
        assert!(
            wait_until(DEADLINE, opened).await.is_some(),
            "it stays shut"
        );
        for chunk in bytes.chunks(32_768) {
            let buffer = base64_simd::STANDARD.encode_to_string(chunk);
            let write = json!({"buffer": buffer, "length": chunk.len(), "file": name});
            self.ask("write", write).await;
        }
        self.ask("close", json!({"file": name})).await;
    }

    /// Sends the request of a case and compares the answer.
    async fn replay(&self, case: &Case) -> (Option<Mismatch>, String) {
        let got = self.send(&request(case)).await;
        let recorded = case.text("response").unwrap_or("closed");
        (differs("answer", recorded, got.clone()), got)
    }
}

fn answer(error: u8, message: &str) -> String {
    format!(
        "{{\"error\":{error},\"message\":{},\"data\":[]}}",
        Value::from(message)
    )
}

/// The bytes to send; the recording shortens long ones.
fn request(case: &Case) -> Vec<u8> {
    if let Some(hex) = case.text("request_raw_hex") {
        let hex = hex.trim_end_matches('.');
        let mut bytes = case::unhex(hex);
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        bytes.resize(4 + usize::try_from(length).unwrap(), b' ');
        return bytes;
    }
    let mut request = case.text("request").unwrap().to_owned();
    if request.contains("...(5055 bytes)...") {
        let name = "a".repeat(5000);
        request = format!(r#"{{"command":"open","parameters":{{"mode":"wb","file":"{name}"}}}}"#);
        assert_eq!(request.len(), 5055);
    }
    case::frame(request.as_bytes())
}

async fn disabled(tally: &mut Tally, cases: Vec<&Case>) {
    let agent = start(home(), "enabled = false\n").await;
    for case in cases {
        if case.setup()["upgrade_result"].is_string() {
            fs::write(agent.path("var/upgrade/upgrade_result"), "0\n").unwrap();
        }
        let (mismatch, _) = agent.replay(case).await;
        tally.judge(case.name(), mismatch);
    }
}

/// An agent that starts with a result from before.
async fn pending_results(tally: &mut Tally, cases: Vec<&Case>) {
    let mut running: Option<(String, Agent, UnixDatagram)> = None;
    for case in cases {
        let result = case.setup()["upgrade_result"].as_str().unwrap();
        if running.as_ref().is_none_or(|(of, ..)| of != result) {
            let home = home();
            fs::write(home.path().join("var/upgrade/upgrade_result"), result).unwrap();
            let queue = UnixDatagram::bind(home.path().join("queue/sockets/queue")).unwrap();
            running = Some((result.to_owned(), start(home, "").await, queue));
        }
        let (_, agent, queue) = running.as_ref().unwrap();
        let (mismatch, _) = agent.replay(case).await;
        let mut mismatches: Vec<Mismatch> = mismatch.into_iter().collect();
        if let Some(recorded) = case.0["after"]["ack_datagrams"].as_array() {
            // A result that is none is reported to nobody.
            let listed = differences::AGENT
                .iter()
                .any(|known| known.covers(case.name()));
            let expected = recorded.first().filter(|_| !listed).and_then(Value::as_str);
            let wait = if expected.is_some() {
                DEADLINE
            } else {
                SILENCE
            };
            let mut buffer = vec![0; 4096];
            let got = match tokio::time::timeout(wait, queue.recv(&mut buffer)).await {
                Ok(length) => String::from_utf8(buffer[..length.unwrap()].to_vec()).unwrap(),
                Err(_) => "none".to_owned(),
            };
            mismatches.extend(differs("acknowledgement", expected.unwrap_or("none"), got));
        }
        tally.judge(case.name(), mismatches);
    }
}

async fn files_and_frames(tally: &mut Tally, cases: Vec<&Case>) {
    let home = home();
    let incoming = home.path().join("var/incoming");
    fs::create_dir(incoming.join("adir")).unwrap();
    fs::write(home.path().join("etc/target"), "keep").unwrap();
    std::os::unix::fs::symlink("../../etc/target", incoming.join("link")).unwrap();
    let agent = start(home, "").await;
    for case in cases {
        if group(case) == "write_bad" {
            agent.ask("open", json!({"mode": "wb", "file": "cr"})).await;
        }
        let (mismatch, _) = agent.replay(case).await;
        let mut mismatches: Vec<Mismatch> = mismatch.into_iter().collect();
        match case.name() {
            "open/symlink" => {
                let target = fs::read_to_string(agent.path("etc/target")).unwrap();
                let recorded = case.0["after"]["target_content"].as_str().unwrap();
                mismatches.extend(differs("target", recorded, target));
            }
            "close/ok" => {
                let mut expected = recorded_files(case, "var/incoming/");
                // Written through a key in capitals and through a link.
                expected.remove("casefile").unwrap();
                expected.remove("link").unwrap();
                // Ours holds only what it was right to write.
                let written = expected.get_mut("w1").unwrap();
                *written = (
                    6,
                    "0o640".to_owned(),
                    "8d902a4d572bf8f2a6b9f6e5459f3405768821a1".to_owned(),
                );
                mismatches.extend(compare("files", &expected, &files(&incoming).unwrap()));
            }
            name if name.starts_with("write_bad/") => {
                // What is refused writes nothing.
                let size = fs::metadata(incoming.join("cr")).unwrap().len();
                mismatches.extend(differs("size", "0", size.to_string()));
            }
            _ => {}
        }
        tally.judge(case.name(), mismatches);
    }
}

async fn upgrades(tally: &mut Tally, cases: Vec<&Case>) {
    let agent = start(home(), "").await;
    for case in cases {
        let stores = &case.setup()["ca_store"];
        if stores.is_null() {
            upgrade(tally, &agent, case).await;
            continue;
        }
        let home = home();
        fs::write(home.path().join("etc/other.pem"), wpk("ca2.pem")).unwrap();
        let stores = match stores.is_array() {
            true => "[\"etc/other.pem\", \"etc/wpk_root.pem\"]",
            false => "[\"etc/nope.pem\"]",
        };
        let other = start(
            home,
            &format!("[upgrade.ca_verification]\nca_store = {stores}\n"),
        )
        .await;
        upgrade(tally, &other, case).await;
    }
}

async fn upgrade(tally: &mut Tally, agent: &Agent, case: &Case) {
    let folder = agent.path("var/upgrade");
    fs::write(agent.path("var/victim.txt"), "not to be touched").unwrap();
    if let Some(file) = case.setup()["wpk_file"].as_str() {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        agent.upload("t.wpk", &content(agent, name)).await;
    }
    let before = files(&folder).unwrap();
    let (mismatch, got) = agent.replay(case).await;
    let mut mismatches: Vec<Mismatch> = mismatch.into_iter().collect();
    let mut rule = None;

    let (mut recorded, mut ours) = (
        recorded_files(case, "var/upgrade/"),
        files(&folder).unwrap(),
    );
    if case.name() == "upgrade/large_10MiB" {
        for files in [&mut recorded, &mut ours] {
            // Not the recorded bytes, only as many.
            files.get_mut("big.bin").unwrap().2.clear();
        }
    }
    // What cannot be unpacked as a whole leaves nothing of itself.
    let refused = match got {
        got if got == answer(13, "Could not verify signature") => Some(before),
        got if got == answer(14, "Could not uncompress package") => Some(before),
        got if got == answer(16, "Error unmerging file") => Some(Files::new()),
        _ => None,
    };
    let expected = refused.unwrap_or_else(|| recorded.clone());
    mismatches.extend(compare("var/upgrade", &expected, &ours));
    if ours != recorded {
        rule = Some("nothing-left");
    }
    let incoming = files(&agent.path("var/incoming")).unwrap();
    mismatches.extend(compare("var/incoming", &Files::new(), &incoming));
    if incoming != recorded_files(case, "var/incoming/") {
        rule = Some("nothing-left");
    }
    mismatches.extend(compare(
        "tmp",
        &Files::new(),
        &files(&agent.path("tmp")).unwrap(),
    ));
    let entries = fs::read_dir(agent.path("var")).unwrap();
    let mut outside: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // Our own note of installers that still work; no 4.x agent has it.
    outside.retain(|name| name != "wpk-installers");
    outside.sort();
    mismatches.extend(differs(
        "var",
        "incoming run upgrade victim.txt",
        outside.join(" "),
    ));
    let victim = fs::read_to_string(agent.path("var/victim.txt")).unwrap();
    mismatches.extend(differs("victim", "not to be touched", victim));
    tally.judge_by_rule(case.name(), mismatches, rule);
}

/// The recorded package; one is too large to be kept, so it is made here.
fn content(agent: &Agent, name: &str) -> Vec<u8> {
    if name != "large_10MiB.wpk" {
        return wpk(name);
    }
    let ca = SigningCa::new().unwrap();
    let trusted = [&wpk("ca.pem")[..], ca.certificate_pem().as_bytes()].concat();
    fs::write(agent.path("etc/wpk_root.pem"), trusted).unwrap();
    let big = crate::deliveries::noise(10 << 20);
    ca.package(&[("big.bin", &big), ("upgrade.sh", b"#!/bin/sh\nexit 0\n")])
        .unwrap()
}

fn compare(what: &'static str, expected: &Files, got: &Files) -> Option<Mismatch> {
    differs(what, format!("{expected:?}"), format!("{got:?}"))
}

/// The recorded files below `folder`, without it in their names.
fn recorded_files(case: &Case, folder: &str) -> Files {
    let all = case.0["files_after"].as_object().into_iter().flatten();
    all.filter_map(|(name, file)| {
        let name = name.strip_prefix(folder)?;
        let text = |key: &str| file[key].as_str().unwrap().to_owned();
        Some((
            name.to_owned(),
            (file["size"].as_u64().unwrap(), text("mode"), text("sha1")),
        ))
    })
    .collect()
}
