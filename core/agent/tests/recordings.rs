//! Every recording of a real agent's upgrade socket, replayed against the real
//! program. What differs on purpose is in [`DIFFERENCES`], each with its reason.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{
    Agent, QUICK, answer, datagram, files, home, package, queue, recordings, start_in, trust_ours,
    wpk,
};
use serde_json::Value;
use wpk_testkit::Client;

type Files = BTreeMap<String, (u64, String, String)>;

const CASE: &str = "keys are case-sensitive";
const LENGTH: &str = "`length` must be the decoded length (section 7)";
const BASE64: &str = "bad base64 is refused (section 7)";
const CRASH: &str = "the recorded agent crashed";
const RESULT: &str = "the result file is matched as a whole";
const MALFORMED: &str = "malformed merged content is refused as a whole (section 8)";
const TRUNCATED: &str = "an entry shorter than its stated size is refused (section 8)";
const GZIP: &str = "only an intact gzip stream is accepted (section 8)";
const FAILED: &str = "an installer that did not exit is a failure (section 7)";
const LINK: &str = "never through a symbolic link (section 7)";
/// SHA-1 of `hellox`, all that is written here.
const HELLOX: &str = "8d902a4d572bf8f2a6b9f6e5459f3405768821a1";
const CONTENT: &str = "follows from the writes that are refused here";

/// Name, our answer, reason. Besides these: a WPK leaves `var/incoming`
/// however its upgrade ends, and refused content leaves nothing in
/// `var/upgrade`, where the recorded agent leaves the one and part of the other.
const DIFFERENCES: &[(&str, u8, &str, &str)] = &[
    ("pending_result/'10\\n'/open", 0, "ok", RESULT),
    ("pending_result/'21\\n'/open", 0, "ok", RESULT),
    ("generic/case_key", 2, "Command not found", CASE),
    ("write/shorter_length", 10, "Cannot write file", LENGTH),
    ("write/zero_length", 10, "Cannot write file", LENGTH),
    ("write/float_length", 10, "Cannot write file", LENGTH),
    ("write/longer_length_by_1", 10, "Cannot write file", LENGTH),
    ("write/longer_length_by_64", 10, "Cannot write file", LENGTH),
    ("write_bad/len_70000", 10, "Cannot write file", LENGTH),
    ("write/bad_base64", 10, "Cannot write file", BASE64),
    ("write/base64_no_pad", 10, "Cannot write file", BASE64),
    ("write/base64_newline", 10, "Cannot write file", BASE64),
    ("write/base64_space", 10, "Cannot write file", BASE64),
    ("write/base64_urlsafe", 10, "Cannot write file", BASE64),
    ("write/base64_odd1", 10, "Cannot write file", BASE64),
    ("write/base64_3", 10, "Cannot write file", BASE64),
    ("write_bad/no_buffer", 10, "Cannot write file", CRASH),
    ("sha1/ok", 0, HELLOX, CONTENT),
    ("sha1/symlink", 12, "Cannot generate SHA1", LINK),
    ("upgrade/installer_exit_127", 0, "127", CRASH),
    (
        "upgrade/installer_killed_by_signal",
        18,
        "Error executing command",
        FAILED,
    ),
    (
        "upgrade/installer_timeout_3s",
        18,
        "Error executing command",
        FAILED,
    ),
    (
        "upgrade/installer_not_script",
        18,
        "Error executing command",
        CRASH,
    ),
    (
        "upgrade/installer_bad_interpreter",
        18,
        "Error executing command",
        CRASH,
    ),
    ("upgrade/installer_with_space", 0, "0", CRASH),
    (
        "upgrade/installer_directory",
        18,
        "Error executing command",
        CRASH,
    ),
    (
        "upgrade/size_smaller_than_data",
        16,
        "Error unmerging file",
        CRASH,
    ),
    (
        "upgrade/plain_not_gzip",
        14,
        "Could not uncompress package",
        GZIP,
    ),
    (
        "upgrade/truncated_gzip",
        14,
        "Could not uncompress package",
        GZIP,
    ),
    (
        "upgrade/absolute_name",
        16,
        "Error unmerging file",
        MALFORMED,
    ),
    (
        "upgrade/size_negative",
        16,
        "Error unmerging file",
        MALFORMED,
    ),
    ("upgrade/crlf_header", 16, "Error unmerging file", TRUNCATED),
    (
        "upgrade/size_not_number",
        16,
        "Error unmerging file",
        MALFORMED,
    ),
];

struct Case(Value);

impl Case {
    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn group(&self) -> &str {
        self.name().split('/').next().unwrap()
    }

    /// The bytes to send, length included; the recording shortens long ones.
    fn frame(&self) -> Vec<u8> {
        if let Some(hex) = self.0["request_raw_hex"].as_str() {
            let hex = hex.trim_end_matches('.');
            let mut bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            let length = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            bytes.resize(4 + usize::try_from(length).unwrap(), b' ');
            return bytes;
        }
        let mut request = self.0["request"].as_str().unwrap().to_owned();
        if request.contains("...(5055 bytes)...") {
            let name = "a".repeat(5000);
            request =
                format!(r#"{{"command":"open","parameters":{{"mode":"wb","file":"{name}"}}}}"#);
            assert_eq!(request.len(), 5055);
        }
        let mut bytes = u32::try_from(request.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(request.as_bytes());
        bytes
    }

    fn expected(&self) -> Option<String> {
        match DIFFERENCES.iter().find(|(name, ..)| *name == self.name()) {
            Some((_, code, message, _)) => Some(answer(*code, message)),
            None => self.0["response"].as_str().map(str::to_owned),
        }
    }

    /// The recorded files below `folder`, without it in their names.
    fn files(&self, folder: &str) -> Files {
        let mut found = Files::new();
        for (name, file) in self.0["files_after"].as_object().into_iter().flatten() {
            if let Some(name) = name.strip_prefix(folder) {
                let text = |key: &str| file[key].as_str().unwrap().to_owned();
                let size = file["size"].as_u64().unwrap();
                found.insert(name.to_owned(), (size, text("mode"), text("sha1")));
            }
        }
        found
    }
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(recordings().join("agent.jsonl")).unwrap();
    let cases: Vec<_> = text
        .lines()
        .map(|line| Case(serde_json::from_str(line).unwrap()))
        .collect();
    assert_eq!(cases.len(), 219, "a recording is missing");
    for (name, ..) in DIFFERENCES {
        assert!(
            cases.iter().any(|case| case.name() == *name),
            "{name} is no case"
        );
    }
    cases
}

#[derive(Default)]
struct Report {
    ran: usize,
    differ: usize,
    wrong: Vec<String>,
}

impl Report {
    async fn replay(&mut self, agent: &Agent, case: &Case) {
        let mut client = Client::connect(agent.socket()).await.unwrap();
        // The agent may close before it has read everything.
        let _ = client.send_raw(case.frame()).await;
        let got = client
            .receive()
            .await
            .unwrap()
            .map(|got| String::from_utf8(got).unwrap());
        self.ran += 1;
        self.differ += usize::from(DIFFERENCES.iter().any(|(name, ..)| *name == case.name()));
        self.compare(case, "answer", case.expected(), got);
    }

    fn compare<T: PartialEq + std::fmt::Debug>(
        &mut self,
        case: &Case,
        what: &str,
        expected: T,
        got: T,
    ) {
        if expected != got {
            let name = case.name();
            self.wrong.push(format!(
                "{name}: {what}: expected {expected:?}, got {got:?}"
            ));
        }
    }

    fn finish(self, expected: usize) {
        println!(
            "{} cases ran, {} differ deliberately",
            self.ran, self.differ
        );
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        assert_eq!(self.ran, expected);
    }
}

const LISTEN: &str = "[listen]\n";

fn settings(more: &str) -> String {
    format!("{QUICK}{more}{LISTEN}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_agent() {
    let mut report = Report::default();
    let agent = start_in(home(), &settings("enabled = false\n")).await;
    for case in cases().iter().filter(|case| case.group() == "disabled") {
        if case.0["setup"]["upgrade_result"].is_string() {
            fs::write(agent.path("var/upgrade/upgrade_result"), "0\n").unwrap();
        }
        report.replay(&agent, case).await;
    }
    report.finish(10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_waits() {
    let mut report = Report::default();
    let cases = cases();
    let mut running: Option<(String, Agent, tokio::net::UnixDatagram)> = None;
    for case in cases.iter().filter(|case| case.group() == "pending_result") {
        let result = case.0["setup"]["upgrade_result"].as_str().unwrap();
        if running
            .as_ref()
            .is_none_or(|(content, ..)| content != result)
        {
            let home = home();
            fs::write(home.path().join("var/upgrade/upgrade_result"), result).unwrap();
            let queue = queue(home.path());
            let agent = start_in(home, &settings("")).await;
            running = Some((result.to_owned(), agent, queue));
        }
        let (_, agent, queue) = running.as_ref().unwrap();
        report.replay(agent, case).await;
        if let Some(expected) = case.0["after"]["ack_datagrams"].as_array() {
            let differs = DIFFERENCES.iter().any(|(name, ..)| *name == case.name());
            let expected = expected
                .first()
                .filter(|_| !differs)
                .and_then(Value::as_str);
            let deadline = if expected.is_some() {
                common::DEADLINE
            } else {
                Duration::from_millis(200)
            };
            let got = datagram(queue, deadline).await;
            report.compare(case, "acknowledgement", expected.map(str::to_owned), got);
        }
    }
    report.finish(27);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_frames() {
    let home = home();
    let incoming = home.path().join("var/incoming");
    fs::create_dir(incoming.join("adir")).unwrap();
    fs::write(home.path().join("etc/target"), "keep").unwrap();
    std::os::unix::fs::symlink("../../etc/target", incoming.join("link")).unwrap();
    let agent = start_in(home, &settings("")).await;
    let mut report = Report::default();
    let groups = [
        "generic",
        "frame",
        "open",
        "write",
        "close",
        "sha1",
        "w",
        "write_bad",
    ];
    for case in cases().iter().filter(|case| groups.contains(&case.group())) {
        if case.group() == "write_bad" {
            let open = r#"{"command":"open","parameters":{"mode":"wb","file":"cr"}}"#;
            assert_eq!(agent.ask(open).await, Some(answer(0, "ok")));
        }
        report.replay(&agent, case).await;
        match case.name() {
            "open/symlink" => {
                let target = fs::read_to_string(agent.path("etc/target")).unwrap();
                let expected = case.0["after"]["target_content"].as_str().unwrap();
                report.compare(case, "target", expected.to_owned(), target);
            }
            "close/ok" => {
                let mut expected = case.files("var/incoming/");
                expected.remove("casefile").unwrap();
                expected.remove("link").unwrap();
                let written = expected.get_mut("w1").unwrap();
                *written = (6, "0o640".to_owned(), HELLOX.to_owned());
                report.compare(case, "files", expected, files(&incoming));
            }
            name if name.starts_with("write_bad/") => {
                // What is refused writes nothing; the recorded agent read beyond its buffer.
                let size = fs::metadata(incoming.join("cr")).unwrap().len();
                report.compare(case, "size", 0, size);
            }
            _ => {}
        }
    }
    report.finish(134);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades() {
    let mut report = Report::default();
    let agent = start_in(home(), &settings("")).await;
    for case in cases().iter().filter(|case| case.group() == "upgrade") {
        let stores = &case.0["setup"]["ca_store"];
        if stores.is_null() {
            replay_upgrade(&mut report, &agent, case).await;
            continue;
        }
        let home = home();
        fs::write(home.path().join("etc/other.pem"), wpk("ca2.pem")).unwrap();
        let stores = match stores.is_array() {
            true => "[\"etc/other.pem\", \"etc/wpk_root.pem\"]",
            false => "[\"etc/nope.pem\"]",
        };
        let ca = format!("[upgrade.ca_verification]\nca_store = {stores}\n");
        let other = start_in(home, &settings(&ca)).await;
        replay_upgrade(&mut report, &other, case).await;
    }
    report.finish(48);
}

/// The recorded package; one is too large to be kept, so it is made here.
fn content(agent: &Agent, name: &str) -> Vec<u8> {
    if name != "large_10MiB.wpk" {
        return wpk(name);
    }
    trust_ours(agent.home.path());
    let mut seed = 1_u64;
    let big: Vec<u8> = (0..10_485_760)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .collect();
    package(&[("big.bin", &big), ("upgrade.sh", b"#!/bin/sh\nexit 0\n")])
}

async fn replay_upgrade(report: &mut Report, agent: &Agent, case: &Case) {
    let folder = agent.path("var/upgrade");
    fs::write(agent.path("var/victim.txt"), "not to be touched").unwrap();
    if let Some(file) = case.0["setup"]["wpk_file"].as_str() {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        agent.upload("t.wpk", &content(agent, name)).await;
    }
    let before = files(&folder);
    report.replay(agent, case).await;
    let ours = case.expected().unwrap_or_default();
    let expected = if ours == answer(13, "Could not verify signature")
        || ours == answer(14, "Could not uncompress package")
    {
        before
    } else if ours == answer(16, "Error unmerging file") {
        Files::new()
    } else {
        case.files("var/upgrade/")
    };
    let (mut expected, mut got) = (expected, files(&folder));
    if case.name() == "upgrade/large_10MiB" {
        for files in [&mut expected, &mut got] {
            // Not the recorded bytes, only as many.
            files.get_mut("big.bin").unwrap().2.clear();
        }
    }
    report.compare(case, "var/upgrade", expected, got);
    report.compare(
        case,
        "var/incoming",
        Files::new(),
        files(&agent.path("var/incoming")),
    );
    report.compare(case, "tmp", Files::new(), files(&agent.path("tmp")));
    let mut outside: Vec<_> = fs::read_dir(agent.path("var"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    outside.sort();
    report.compare(
        case,
        "var",
        ["incoming", "run", "upgrade", "victim.txt"]
            .map(str::to_owned)
            .to_vec(),
        outside,
    );
    let victim = fs::read_to_string(agent.path("var/victim.txt")).unwrap();
    report.compare(case, "victim", "not to be touched".to_owned(), victim);
}
