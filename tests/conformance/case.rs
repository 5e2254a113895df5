//! The recordings as they lie in `recordings/*.jsonl`: one JSON object per line
//! (see the README there), and what is recorded shortened, made whole again.

use std::path::PathBuf;

use serde_json::{Value, json};

/// The folder of the recordings.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance/recordings")
}

/// One recorded case.
#[derive(Debug, Clone)]
pub struct Case(pub Value);

/// All cases of a file, in their order.
pub fn load(file: &str) -> Vec<Case> {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines()
        .map(|line| Case(serde_json::from_str(line).unwrap()))
        .collect()
}

impl Case {
    pub fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    pub fn setup(&self) -> &Value {
        &self.0["setup"]
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.0[key].as_str()
    }

    /// The payload of the one frame of the request; `None` where the recording
    /// is of raw bytes.
    pub fn payload(&self) -> Option<Vec<u8>> {
        match &self.0["request"] {
            Value::String(text) => Some(text.clone().into_bytes()),
            Value::Object(request) => Some(expand(request.clone()).to_string().into_bytes()),
            _ => self.text("request_hex").map(unhex),
        }
    }

    /// The raw bytes that were written, lengths included.
    pub fn raw(&self) -> Vec<u8> {
        match self.payload() {
            Some(payload) => frame(&payload),
            None => unhex(self.text("request_raw_hex").unwrap()),
        }
    }
}

/// A payload with its length in front.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// `"agents": "1..700"` is a list of so many.
fn expand(mut request: serde_json::Map<String, Value>) -> Value {
    let agents = request["parameters"]["agents"].as_str().unwrap();
    let (first, last) = agents.split_once("..").unwrap();
    let ids: Vec<u32> = (first.parse().unwrap()..=last.parse().unwrap()).collect();
    request["parameters"]["agents"] = json!(ids);
    request.into()
}

/// Bytes from hexadecimal digits.
pub fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from((byte as char).to_digit(16).unwrap()).unwrap();
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
