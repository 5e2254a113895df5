//! `channel_frames.jsonl`: every frame to an agent, byte for byte. The file's
//! content was random, so of a write frame what surrounds it is compared, and
//! its length; the recording holds only the start and the end of these anyhow.

use wpk_testkit::remoted::{Form, Frame};

use crate::case::Case;
use crate::report::{Mismatch, Tally, differs};

/// Judges the frames of one delivery against the recorded ones, in order.
pub fn compare(tally: &mut Tally, recorded: &[Case], ours: &[Frame]) {
    for (at, expected) in recorded.iter().enumerate() {
        let name = format!("{}#{at}", expected.text("case").unwrap());
        let mismatches = match ours.get(at) {
            Some(frame) => one(expected, frame),
            None => differs("frame", expected.0["frame"].to_string(), "none")
                .into_iter()
                .collect(),
        };
        tally.judge(&name, mismatches);
    }
    if let Some(more) = ours.get(recorded.len()) {
        let name = format!("{}#{}", recorded[0].text("case").unwrap(), recorded.len());
        tally.judge(&name, differs("frame", "none", more.step.clone()));
    }
}

fn one(expected: &Case, frame: &Frame) -> Vec<Mismatch> {
    let form = match frame.form {
        Form::Json => "json",
        Form::Com => "com",
    };
    let number = |key: &str| expected.0[key].as_u64().unwrap().to_string();
    let text = |key: &str| expected.text(key).unwrap_or_default();
    let answer = frame.answer.as_deref().map(latin).unwrap_or_default();
    let (ours, theirs) = (latin(&frame.bytes), text("frame"));
    let mut mismatches = vec![
        differs("agent", number("agent"), frame.agent.to_string()),
        differs("step", text("step"), frame.step.clone()),
        differs("form", text("format"), form),
        differs("length", number("frame_len"), frame.bytes.len().to_string()),
        differs(
            "answer",
            without_digest(text("reply")),
            without_digest(&answer),
        ),
    ];
    if frame.step == "write" {
        let (head, tail) = around_content(theirs, text("frame_tail"));
        let start = |ours: &str| ours.chars().take(head.chars().count()).collect::<String>();
        let end = ours
            .get(ours.len().saturating_sub(tail.len())..)
            .unwrap_or_default();
        mismatches.push(differs("start", head.clone(), start(&ours)));
        mismatches.push(differs("end", tail.clone(), end));
    } else {
        mismatches.push(differs("frame", theirs, ours));
    }
    mismatches.into_iter().flatten().collect()
}

/// What stands before and after the content of the file.
fn around_content(frame: &str, tail: &str) -> (String, String) {
    const BUFFER: &str = "\"buffer\":\"";
    match frame.find(BUFFER) {
        Some(at) => {
            let end = tail.rfind("\",\"length\":").unwrap();
            (
                frame[..at + BUFFER.len()].to_owned(),
                tail[end..].to_owned(),
            )
        }
        // `002 com write 32768 FILE `
        None => {
            let head: String = frame.split_inclusive(' ').take(5).collect();
            (head, String::new())
        }
    }
}

/// Bytes as characters of the same number, as the recording writes them.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The digest that an agent answers is that of another file.
fn without_digest(answer: &str) -> String {
    let is_digit = |c: char| c.is_ascii_hexdigit();
    let words = answer.split_inclusive(|c: char| !is_digit(c));
    let word = |word: &str| {
        let digits = word.trim_end_matches(|c| !is_digit(c));
        match digits.len() {
            40 => word.replace(digits, "DIGEST"),
            _ => word.to_owned(),
        }
    };
    words.map(word).collect()
}
