//! Every `ossec.conf` of `ossec-conf/` as a real manager judges it
//! (PROTOCOL.md, section 11; `ossec-conf/README.md` says what a verdict holds).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use wpk_config::{OssecConf, Settings, Sources};

#[derive(Deserialize)]
struct Verdict {
    manager_starts: bool,
    reason: Option<String>,
    line: Option<usize>,
    #[serde(default)]
    sections: BTreeMap<String, BTreeMap<String, Value>>,
    means: Option<Means>,
}

#[derive(Deserialize)]
struct Means {
    chunk_size: u64,
    max_threads: usize,
    task_timeout: u64,
    cleanup_time: u64,
    /// Not there where parts of a manager differ.
    role: Option<String>,
}

fn inputs() -> (PathBuf, BTreeMap<String, Verdict>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ossec-conf");
    let text = std::fs::read_to_string(folder.join("verdicts.json")).unwrap();
    (folder, serde_json::from_str(&text).unwrap())
}

/// What holds with this file below settings that say nothing else.
fn in_force(file: &Path) -> Settings {
    let folder = TempDir::new().unwrap();
    let ours = folder.path().join("wpkd.toml");
    std::fs::write(&ours, format!("[wazuh]\nossec_conf = {file:?}\n")).unwrap();
    let sources = Sources {
        file: Some(ours),
        home: Some(folder.path().to_owned()),
    };
    wpk_config::load(&sources, None).unwrap()
}

#[test]
fn every_file_is_judged_as_by_a_manager() {
    let (folder, verdicts) = inputs();
    let mut wrong = Vec::new();
    for (name, verdict) in &verdicts {
        let file = folder.join(name).with_extension("conf");
        // Reasons that the software may pass over.
        let reason = verdict.reason.as_deref().unwrap_or_default();
        let may_accept = reason.starts_with("ossec_config:");
        match OssecConf::load(&file) {
            Err(findings) if verdict.manager_starts => {
                wrong.push(format!("{name}: refused: {findings}"));
            }
            Err(findings) => {
                let told = findings.to_string();
                let place = match verdict.line {
                    Some(line) => format!(".conf:{line}: "),
                    None => format!(": {}: ", reason.split(": ").next().unwrap()),
                };
                if !told.contains(&place) {
                    wrong.push(format!("{name}: {told}; wanted {place}"));
                }
            }
            Ok(_) if !verdict.manager_starts && !may_accept => {
                wrong.push(format!("{name}: accepted, although {reason}"));
            }
            Ok(conf) => {
                let given = repository(verdict);
                if conf.wpk_repository != given {
                    let ours = &conf.wpk_repository;
                    wrong.push(format!("{name}: {ours:?} instead of {given:?}"));
                }
            }
        }
    }
    assert!(verdicts.len() > 150, "{}", verdicts.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The repository as the manager has it; none where it is empty.
fn repository(verdict: &Verdict) -> Option<String> {
    let value = verdict
        .sections
        .get("agent-upgrade")?
        .get("wpk_repository")?;
    let text = value.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[test]
fn every_number_means_what_it_means_to_a_manager() {
    let (folder, verdicts) = inputs();
    let mut seen = 0;
    for (name, verdict) in verdicts {
        let Some(means) = verdict.means else { continue };
        seen += 1;
        let settings = in_force(&folder.join(&name).with_extension("conf"));
        let (tasks, delivery) = (&settings.tasks, &settings.delivery);
        let role = means.role.as_ref().map(|_| settings.node.role);
        let chunk = match delivery.chunk_size {
            Some(wpk_config::ChunkSize::Bytes(bytes)) => bytes as u64,
            Some(wpk_config::ChunkSize::Auto) | None => 32_768,
        };
        // Where nobody says how many, we take as many as answer quickly; a manager 8.
        let threads = match delivery.max_concurrent {
            wpk_config::Concurrency::Number(number) => number,
            wpk_config::Concurrency::Auto => 8,
        };
        assert_eq!(
            json!([
                chunk,
                threads,
                tasks.task_timeout.0.as_secs(),
                tasks.cleanup_time.0.as_secs(),
                role
            ]),
            json!([
                means.chunk_size,
                means.max_threads,
                means.task_timeout,
                means.cleanup_time,
                means.role
            ]),
            "{name}"
        );
    }
    assert!(seen > 80, "{seen}");
}

/// What is accepted and would better be written otherwise is told.
#[test]
fn what_a_manager_would_not_like_is_warned_of() {
    let (folder, _) = inputs();
    for (name, key) in [
        ("enabled-true", "agent-upgrade.enabled"),
        ("unknown-option-in-task-manager", "task-manager.enabled"),
        ("upper-case-option", "agent-upgrade.Chunk_Size"),
        ("self-closed", "agent-upgrade"),
        ("clusters-contradict-in-one-root", "cluster.node_name"),
        ("second-root-switches-cluster-off", "cluster.disabled"),
        ("empty-repo", "agent-upgrade.wpk_repository"),
    ] {
        let conf = OssecConf::load(&folder.join(name).with_extension("conf")).unwrap();
        let keys: Vec<&str> = conf.warnings.iter().map(|w| w.key.as_str()).collect();
        assert!(keys.contains(&key), "{name}: {keys:?}");
    }
}
