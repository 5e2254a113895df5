//! The recordings of a real manager and agent, as far as pure parsing and
//! printing decide them. Every case either agrees or stands in a short list of
//! deliberate differences with its reason; an entry that no case needs fails too.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;

use bytes::BytesMut;
use serde_json::Value;
use wpk_wire::frame::FrameDecoder;
use wpk_wire::{
    AgentCommand, AgentReply, AgentRequest, AgentResponse, CommandForm, Dialect, Response, Step,
    TaskRequest, UpgradeRequest, remoted,
};

fn cases(file: &str) -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/conformance/recordings/"
    );
    std::fs::read_to_string(format!("{path}{file}"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// `None` for what is recorded shortened.
fn hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// The payload of the first frame of a case, if there is a whole one.
fn payload(case: &Value) -> Option<Vec<u8>> {
    if let Some(text) = case["request"].as_str() {
        return Some(text.as_bytes().to_vec());
    }
    if let Some(text) = case["request_hex"].as_str() {
        return hex(text);
    }
    let mut decoder = FrameDecoder::new(16 << 20);
    decoder.push(&hex(case["request_raw_hex"].as_str()?)?);
    decoder
        .next_frame()
        .ok()
        .flatten()
        .map(|frame| frame.to_vec())
}

/// Counts what agrees, and holds what differs against the list.
struct Judge {
    differences: &'static [(&'static str, &'static str)],
    used: BTreeSet<&'static str>,
    agreed: usize,
    wrong: Vec<String>,
}

impl Judge {
    fn new(differences: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            differences,
            used: BTreeSet::new(),
            agreed: 0,
            wrong: Vec::new(),
        }
    }

    fn case(&mut self, name: &str, agrees: bool, about: impl FnOnce() -> String) {
        if agrees {
            self.agreed += 1;
            return;
        }
        let known = self
            .differences
            .iter()
            .find(|(part, _)| name.contains(part));
        match known {
            Some((part, _)) => {
                self.used.insert(part);
            }
            None => self.wrong.push(format!("{name}: {}", about())),
        }
    }

    fn finish(self, at_least: usize) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        assert!(self.agreed >= at_least, "only {} cases", self.agreed);
        for (part, reason) in self.differences {
            assert!(
                self.used.contains(part),
                "no case differs for {part} ({reason})"
            );
        }
    }
}

/// Code and bytes of our answer where the request is refused; code 0 where it is not.
fn our_refusal(socket: &str, payload: &[u8]) -> (u8, Vec<u8>) {
    let refusal = match socket {
        "upgrade" => UpgradeRequest::parse(payload, Dialect::Wazuh4).err(),
        _ => TaskRequest::parse(payload).err(),
    };
    refusal.map_or((0, Vec::new()), |refusal| {
        (refusal.code().number(), refusal.to_bytes().to_vec())
    })
}

#[test]
fn requests_are_refused_as_recorded() {
    let mut judge = Judge::new(&[
        ("case_keys", "keys are case-sensitive"),
        ("'upgrade\\x00x'", "a NUL does not end a word"),
        ("ids_float", "a fraction is no id"),
        ("agents_is_object1", "an object is no list of agents"),
        (
            "ids_neg",
            "-1 is an id like others and does not end the list",
        ),
    ]);
    for case in cases("requests.jsonl") {
        let name = case["name"].as_str().unwrap();
        let (Some(payload), Some(recorded)) = (payload(&case), case["response"].as_str()) else {
            continue;
        };
        // Not a matter of the request; long answers are recorded shortened.
        if name.starts_with("infra/") || !recorded.ends_with('}') {
            continue;
        }
        let (code, bytes) = our_refusal(case["socket"].as_str().unwrap(), &payload);
        let theirs: Value = serde_json::from_str(recorded).unwrap();
        let agrees = if code == 0 {
            theirs["error"] == 0
        } else {
            bytes == recorded.as_bytes()
        };
        judge.case(name, agrees, || {
            format!(
                "recorded {recorded}, ours {code} {}",
                String::from_utf8_lossy(&bytes)
            )
        });
    }
    judge.finish(1200);
}

#[test]
fn recorded_responses_are_printed_byte_for_byte() {
    let mut count = 0;
    let all = cases("requests.jsonl").into_iter();
    for case in all.chain(cases("deliveries.jsonl")) {
        for key in ["response", "upgrade_result_after"] {
            let Some(recorded) = case[key].as_str().filter(|text| text.ends_with('}')) else {
                continue;
            };
            let response = Response::parse(recorded.as_bytes()).unwrap();
            assert_eq!(response.to_bytes(), recorded, "{}", case["name"]);
            count += 1;
        }
    }
    assert!(count > 1400, "{count}");
}

#[test]
fn commands_to_agents_are_the_recorded_bytes() {
    let mut count = 0;
    for case in cases("channel_frames.jsonl") {
        // Bytes are recorded as characters of the same number.
        let bytes = |key: &str| -> Vec<u8> {
            let text = case[key].as_str().unwrap_or_default();
            text.chars()
                .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
                .collect()
        };
        let frame = bytes("frame");
        let (agent, command) = remoted::split_address(&frame).unwrap();
        assert_eq!(u64::from(agent.get()), case["agent"].as_u64().unwrap());
        let form = match case["format"].as_str() {
            Some("json") => CommandForm::Json,
            _ => CommandForm::Com,
        };
        let text = String::from_utf8_lossy(command).into_owned();
        let words: Vec<&str> = text.split(' ').collect();
        let tail = String::from_utf8_lossy(&bytes("frame_tail")).into_owned();
        let member = |text: &str, key: &str| -> Option<String> {
            let (_, rest) = text.split_once(&format!("\"{key}\":"))?;
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            Some(match values.next()?.ok()? {
                Value::String(text) => text,
                other => other.to_string(),
            })
        };
        let argument = |key: &str, at: usize| match form {
            CommandForm::Json => member(&text, key).or_else(|| member(&tail, key)),
            CommandForm::Com => words.get(at).map(|&word| word.to_owned()),
        };
        let step = case["step"].as_str().unwrap();
        let (file, chunk, installer);
        let ours = match step {
            "lock_restart" => AgentCommand::LockRestart,
            "clear_upgrade_result" => AgentCommand::ClearUpgradeResult { task: None },
            "open" => {
                file = argument("file", 3).unwrap();
                AgentCommand::Open { file: &file }
            }
            "write" => {
                file = argument("file", 3).unwrap();
                let length = argument("length", 2).unwrap().parse().unwrap();
                chunk = vec![0_u8; length];
                AgentCommand::Write {
                    file: &file,
                    chunk: &chunk,
                }
            }
            "close" | "sha1" => {
                file = argument("file", 2).unwrap();
                match step {
                    "close" => AgentCommand::Close { file: &file },
                    _ => AgentCommand::Sha1 { file: &file },
                }
            }
            "upgrade" => {
                file = argument("file", 2).unwrap();
                installer = argument("installer", 3).unwrap();
                AgentCommand::Upgrade {
                    file: &file,
                    installer: &installer,
                    task: None,
                }
            }
            other => panic!("{other}"),
        };
        assert_eq!(ours.step().as_str(), step);
        let mut printed = BytesMut::from(&*remoted::address(agent));
        ours.encode(form, &mut printed);
        let recorded_len = case["frame_len"].as_u64().unwrap();
        assert_eq!(
            printed.len() as u64,
            recorded_len,
            "{}: {text}",
            case["case"]
        );
        if step == "write" {
            // The content is not recorded whole; what surrounds it is.
            let head = match form {
                CommandForm::Json => {
                    let end = "\"buffer\":\"";
                    String::from_utf8_lossy(&frame).find(end).unwrap() + end.len()
                }
                CommandForm::Com => {
                    "000 com write  ".len()
                        + words[2].len()
                        + words[3].len()
                        + remoted::address(agent).len()
                        - 4
                }
            };
            assert_eq!(printed[..head], frame[..head]);
            if form == CommandForm::Json {
                let end = tail.rfind("\",\"length\"").unwrap();
                assert!(printed.ends_with(&tail.as_bytes()[end..]));
            }
        } else {
            assert_eq!(printed, frame);
        }
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn answers_of_agents_fail_the_step_they_are_recorded_to_fail() {
    let mut count = 0;
    for case in cases("deliveries.jsonl") {
        let name = case["name"].as_str().unwrap();
        let rules = case["setup"]["remoted_rules"].as_str().unwrap_or_default();
        let rules = rules.strip_suffix('\n').unwrap_or(rules);
        let mut parts = rules.splitn(3, ' ').skip(1);
        let (Some(step), Some(answer)) = (parts.next(), parts.next()) else {
            continue;
        };
        if answer.starts_with("@ack") || answer.starts_with("@count") {
            continue;
        }
        let answer = if answer == "@close" { "" } else { answer };
        let steps = [
            Step::LockRestart,
            Step::Open,
            Step::Write,
            Step::Close,
            Step::Sha1,
            Step::Upgrade,
        ];
        let step = *steps.iter().find(|known| known.as_str() == step).unwrap();
        let form = if name.starts_with("transfer/legacy") {
            CommandForm::Com
        } else {
            CommandForm::Json
        };
        let good = AgentReply::parse(form, answer.as_bytes(), step)
            .and_then(|reply| match step {
                Step::Sha1 => {
                    reply.check_sha1("4f2d06a2af3802730ed038e5a070815a525afdc4".parse().unwrap())
                }
                _ => Ok(()),
            })
            .is_ok();
        let recorded = case["final_tasks"][0]["ERROR_MESSAGE"].as_str();
        let expected = step.failure().unwrap().text();
        assert!(recorded.is_none_or(|text| text == expected), "{name}");
        assert_eq!(good, recorded.is_none(), "{name}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn commands_are_refused_by_the_agent_as_recorded() {
    let mut judge = Judge::new(&[
        ("generic/case_key", "keys are case-sensitive"),
        ("write/bad_base64", "bad base64 is code 10"),
        (
            "write/base64_",
            "so is base64 without padding, with white space or another alphabet",
        ),
        ("write/float_length", "a length must be the decoded length"),
        ("write/shorter_length", "likewise"),
        ("write/zero_length", "likewise"),
        ("write/longer_length", "likewise"),
        ("write_bad/len_70000", "likewise"),
        ("write_bad/no_buffer", "the recorded agent crashed"),
    ]);
    for case in cases("agent.jsonl") {
        let name = case["name"].as_str().unwrap();
        let Some(payload) = payload(&case).filter(|payload| !payload.is_empty()) else {
            continue;
        };
        // What only state decides is the agent's to test, and so is a crash in the installer.
        if name.starts_with("disabled/") || name.starts_with("pending_result/") {
            continue;
        }
        let recorded = case["response"].as_str().unwrap_or_default();
        if recorded.is_empty() && !name.starts_with("write_bad/") {
            continue;
        }
        // Recorded shortened: the name had 5000 bytes.
        let payload = match name.ends_with("_5000") {
            true => format!(
                r#"{{"command":"open","parameters":{{"mode":"wb","file":"{}"}}}}"#,
                "a".repeat(5000)
            )
            .into_bytes(),
            false => payload,
        };
        let theirs: Value = serde_json::from_str(recorded).unwrap_or_default();
        let ours = match AgentRequest::parse(&payload) {
            Err(refusal) => Some(refusal.to_response()),
            Ok(AgentRequest::Write { chunk: None, .. })
                if theirs["error"] != 7 && theirs["error"] != 9 =>
            {
                Some(AgentResponse::failure(wpk_wire::AgentCode::Write))
            }
            Ok(_) => None,
        };
        let agrees = match &ours {
            Some(response) => response.to_bytes() == recorded.as_bytes(),
            None => !matches!(theirs["error"].as_u64(), Some(2..=5)),
        };
        judge.case(name, agrees, || {
            format!("recorded {recorded}, ours {ours:?}")
        });
    }
    judge.finish(130);
}
