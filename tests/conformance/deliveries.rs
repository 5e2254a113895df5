//! `deliveries.jsonl`: whole upgrades, with every frame on the agent channel and
//! every question to the repository; and `channel_frames.jsonl`: the bytes of
//! those frames.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wpk_testkit::repository::{DEB, sha1_hex};
use wpk_testkit::{Repository, wait_until};

use crate::case::{self, Case};
use crate::report::{Mismatch, Tally, differs};
use crate::stand::{PATIENCE, Stand};
use crate::{differences, frames, requests};

/// Where the recorded repository was, and the digest of its first file.
const RECORDED_ADDRESS: &str = "127.0.0.1:18081";
const RECORDED_SHA1: &str = "4f2d06a2af3802730ed038e5a070815a525afdc4";
const NEWEST: &str = "wazuh_agent_v4.14.9_linux_amd64.deb.wpk";

const SETTINGS: &str = r#"
dialect = "wazuh-4"
[[provider]]
type = "repository"
attempts = 5
retry_pause = "5ms"
[[provider]]
type = "local-file"
"#;

/// Bytes without a pattern that a shifted or doubled chunk would fit, too.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// The standard repository of the recordings.
struct Standard {
    repository: Repository,
    newest: Vec<u8>,
}

impl Standard {
    async fn start() -> Self {
        let repository = Repository::start().await.unwrap();
        let newest = noise(100_000);
        let zeros = "0".repeat(40);
        let deb = |version: &str| format!("wazuh_agent_{version}_linux_amd64.deb.wpk");
        let put = |folder: &str, version: &str, file: &str, wpk: &[u8], sha1: &str| {
            repository
                .publish_as(folder, version, file, wpk, sha1)
                .unwrap();
        };
        put(DEB, "v4.14.6", "gone", b"", &zeros);
        put(DEB, "v4.14.7", &deb("v4.14.7"), b"abc", &zeros);
        let large = noise(10 << 20);
        put(DEB, "v4.14.8", &deb("v4.14.8"), &large, &sha1_hex(&large));
        let sha1 = sha1_hex(&newest);
        for (folder, version, file) in [
            (DEB, "v4.14.9", NEWEST),
            (
                "linux/rpm/x86_64",
                "v4.14.9",
                "wazuh_agent_v4.14.9_linux_x86_64.rpm.wpk",
            ),
            ("windows", "v4.14.9", "wazuh_agent_v4.14.9_windows.wpk"),
            (
                "macos/pkg/intel64",
                "v4.14.9",
                "wazuh_agent_v4.14.9_macos_intel64.pkg.wpk",
            ),
            (
                "linux/x86_64",
                "v4.0.4",
                "wazuh_agent_v4.0.4_linux_x86_64.wpk",
            ),
            (
                "linux/x86_64",
                "v4.7.0",
                "wazuh_agent_v4.7.0_linux_x86_64.wpk",
            ),
        ] {
            put(folder, version, file, &newest, &sha1);
        }
        Self { repository, newest }
    }

    /// The recorded addresses and digests, as they are here.
    fn translate(&self, text: &str) -> String {
        let address = self.repository.server.address().to_string();
        text.replace(RECORDED_ADDRESS, &address)
            .replace(RECORDED_SHA1, &sha1_hex(&self.newest))
    }

    /// A repository that has its own list of versions.
    fn own_versions(&self, case: &Case) {
        let Some(versions) = case.setup()["repo"]["versions"].as_str() else {
            return;
        };
        let folder = format!("t_{}", case.name().split_once('/').unwrap().1);
        let folder = self.repository.folder().join(folder).join(DEB);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(NEWEST), &self.newest).unwrap();
        std::fs::write(folder.join("versions"), self.translate(&whole(versions))).unwrap();
    }
}

/// A text that is recorded shortened: one line again and again, and one with
/// the version at its end.
fn whole(text: &str) -> String {
    let Some(length) = text
        .strip_suffix(" bytes)")
        .and_then(|text| text.rsplit_once("...("))
    else {
        return text.to_owned();
    };
    let length: usize = length.1.parse().unwrap();
    let last = format!("v4.14.9 {RECORDED_SHA1}\n");
    let line = format!("v1.0.0 {}\n", "0".repeat(40));
    let mut whole = line.repeat((length - last.len()) / line.len());
    whole += &last;
    assert_eq!(whole.len(), length);
    whole
}

/// Replays all cases, and judges the frames recorded with some of them.
pub async fn replay() -> (Tally, Tally) {
    let mut tally = Tally::new("deliveries.jsonl", differences::DELIVERIES);
    let mut channel = Tally::new("channel_frames.jsonl", differences::FRAMES);
    let mut recorded: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for frame in case::load("channel_frames.jsonl") {
        recorded
            .entry(frame.text("case").unwrap().to_owned())
            .or_default()
            .push(frame);
    }
    let standard = Standard::start().await;
    let stand = Stand::start(SETTINGS).await;
    let files = stand.manager.home.path("REF");
    std::fs::create_dir(&files).unwrap();
    for name in ["custom1.wpk", "custom 1.wpk"] {
        std::fs::write(files.join(name), noise(70_000)).unwrap();
    }
    std::fs::write(files.join("empty.wpk"), "").unwrap();
    for case in case::load("deliveries.jsonl") {
        let replay = Replay {
            stand: &stand,
            standard: &standard,
            case: &case,
        };
        tally.judge(case.name(), replay.run().await);
        if let Some(expected) = recorded.remove(case.name()) {
            frames::compare(&mut channel, &expected, &stand.manager.remoted.frames());
        }
    }
    assert!(
        recorded.is_empty(),
        "frames of no delivery: {:?}",
        recorded.keys()
    );
    (tally, channel)
}

struct Replay<'a> {
    stand: &'a Stand,
    standard: &'a Standard,
    case: &'a Case,
}

impl Replay<'_> {
    async fn run(&self) -> Vec<Mismatch> {
        let (case, manager) = (self.case, &self.stand.manager);
        self.stand.set_up(case.setup());
        self.standard.own_versions(case);
        self.fill_cache();
        let seen = self.standard.repository.server.requests().len();
        let files = manager.home.path("REF").display().to_string();
        let request = self.standard.translate(case.text("request").unwrap());
        let request = request.replace("/REF", &files);
        let out_of_order = self.out_of_order();
        let raw = case::frame(request.as_bytes());
        let answers = self
            .stand
            .send(case.text("socket").unwrap(), &raw, false)
            .await
            .unwrap();
        if let Some(OutOfOrder::File(_)) = &out_of_order {
            // The agent is told to stop behind the answer; it must not be
            // reached when the socket is back.
            let failed = "could not be told to stop repeating its result";
            let tried = async || manager.output().contains(failed).then_some(());
            wait_until(PATIENCE, tried).await.expect(failed);
        }
        drop(out_of_order);
        let answer = answers
            .first()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let mut mismatches = Vec::new();
        let recorded = case.text("response").unwrap();
        mismatches.extend(differs("answer", recorded, answer.unwrap_or_default()));
        let agent = case.setup()["agents"]["id"].as_i64().unwrap();
        self.stand.settle(&[agent]).await;
        let steps: Vec<&str> = case.0["frame_sequence"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let number = u32::try_from(agent).unwrap();
        // Shown only by the counts where the sequence is cut.
        if case.0["agent_frames_by_step"]["clear_upgrade_result"].is_u64() {
            manager.wait_for_step(number, "clear_upgrade_result").await;
        }
        mismatches.extend(requests::table(self.stand, case, "final_tasks").await);
        let ours = manager.remoted.steps(number);
        // The recording keeps the first forty.
        let kept = if steps.len() == 40 { 40 } else { usize::MAX };
        let first: Vec<&str> = ours.iter().take(kept).map(String::as_str).collect();
        mismatches.extend(differs("frames", steps.join(" "), first.join(" ")));
        mismatches.extend(self.counts(&ours));
        mismatches.extend(self.urls(seen));
        mismatches.extend(self.result(agent).await);
        let violations = manager.remoted.violations();
        mismatches.extend(differs("violations", "[]", format!("{violations:?}")));
        mismatches
    }

    /// The parts that are missing while the request of an `infra` case is
    /// answered. Where the recorded manager's task manager was away, ours, which
    /// is the same program, has no table.
    fn out_of_order(&self) -> Option<OutOfOrder<'_>> {
        let name = self.case.name().strip_prefix("infra/")?;
        if name.starts_with("task_socket_missing/") {
            self.stand.break_tasks(true);
            return Some(OutOfOrder::Tasks(self.stand));
        }
        assert_eq!(name, "remoted_missing_update_status");
        let path = self.stand.manager.home.remote_socket();
        Some(OutOfOrder::File(Aside::put(&path)))
    }

    /// The recorded manager had what it did not ask for.
    fn fill_cache(&self) {
        let folder = self.stand.manager.home.path("var/upgrade");
        for entry in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let urls = self.urls_recorded();
        let downloads = urls.iter().any(|url| url.ends_with(".wpk"));
        let name = self.case.name();
        if name == "repo/corrupt_local_copy_is_redownloaded" {
            std::fs::write(folder.join(NEWEST), "corrupt").unwrap();
        } else if !downloads {
            std::fs::write(folder.join(NEWEST), &self.standard.newest).unwrap();
        }
    }

    fn urls_recorded(&self) -> Vec<String> {
        let urls = self.case.0["urls"].as_array().unwrap().iter();
        urls.filter_map(|url| url["url"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// What was asked of the repository. Nobody listens elsewhere.
    fn urls(&self, seen: usize) -> Option<Mismatch> {
        let address = self.standard.repository.server.address();
        let expected: Vec<String> = self
            .urls_recorded()
            .iter()
            .map(|url| self.standard.translate(url))
            .filter(|url| url.contains(&address.to_string()))
            .collect();
        let asked = self.standard.repository.server.requests();
        let ours: Vec<String> = asked[seen..]
            .iter()
            .map(|request| format!("http://{address}{}", request.target))
            .collect();
        differs("urls", expected.join(" "), ours.join(" "))
    }

    fn counts(&self, steps: &[String]) -> Option<Mismatch> {
        let mut ours: HashMap<&str, u64> = HashMap::new();
        for step in steps {
            *ours.entry(step).or_default() += 1;
        }
        differs(
            "frames by step",
            sorted(&self.case.0["agent_frames_by_step"]),
            sorted(&json!(ours)),
        )
    }

    async fn result(&self, agent: i64) -> Option<Mismatch> {
        let recorded = self.case.text("upgrade_result_after")?;
        let request = json!({"command": "upgrade_result", "parameters": {"agents": [agent]}});
        let answers = self
            .stand
            .send(
                "upgrade",
                &case::frame(request.to_string().as_bytes()),
                false,
            )
            .await
            .unwrap();
        let ours = String::from_utf8(answers[0].clone()).unwrap();
        differs("result", without_times(recorded), without_times(&ours))
    }
}

enum OutOfOrder<'a> {
    Tasks(&'a Stand),
    File(#[allow(dead_code, reason = "comes back when dropped")] Aside),
}

impl Drop for OutOfOrder<'_> {
    fn drop(&mut self) {
        if let Self::Tasks(stand) = self {
            stand.break_tasks(false);
        }
    }
}

/// A file that is not there while this lives.
pub struct Aside {
    path: PathBuf,
    aside: PathBuf,
}

impl Aside {
    pub fn put(path: &Path) -> Self {
        let aside = path.with_extension("aside");
        std::fs::rename(path, &aside).unwrap();
        Self {
            path: path.to_owned(),
            aside,
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        std::fs::rename(&self.aside, &self.path).unwrap();
    }
}

fn sorted(object: &Value) -> String {
    let members: BTreeMap<&String, &Value> = object.as_object().into_iter().flatten().collect();
    json!(members).to_string()
}

/// Every `YYYY/MM/DD HH:MM:SS` becomes a word: fresh times differ.
fn without_times(text: &str) -> String {
    const SHAPE: &str = "0000/00/00 00:00:00";
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        match rest.get(..SHAPE.len()) {
            Some(start) if shape(start) == SHAPE => {
                out.push_str("TIME");
                rest = &rest[SHAPE.len()..];
            }
            _ => {
                let mut characters = rest.chars();
                out.extend(characters.next());
                rest = characters.as_str();
            }
        }
    }
    out
}
