//! A home, the real program in it, and what tests ask of both.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod manager;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use wpk_testkit::files::Files;
use wpk_testkit::home::make_agent_folders;
use wpk_testkit::{Client, Process, wait_until};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// Short pauses; everything else as by default.
pub const QUICK: &str = "[upgrade]\nnotification_wait_start = \"30ms\"\n\
    notification_wait_max = \"100ms\"\nresult_wait = \"5s\"\nresult_check = \"10ms\"\n\
    execution_timeout = \"1s\"\n";

pub struct Agent {
    pub home: tempfile::TempDir,
    pub process: Process,
}

pub fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/recordings")
}

pub fn wpk(name: &str) -> Vec<u8> {
    fs::read(recordings().join("wpk").join(name)).unwrap()
}

/// A home that trusts the recordings' CA.
pub fn home() -> tempfile::TempDir {
    let home = tempfile::Builder::new()
        .prefix("wpka")
        .tempdir_in("/tmp")
        .unwrap();
    make_agent_folders(home.path()).unwrap();
    fs::write(home.path().join("etc/wpk_root.pem"), wpk("ca.pem")).unwrap();
    home
}

pub fn command(home: &Path, settings: &str) -> Command {
    let config = home.join("etc/agent.toml");
    fs::write(&config, settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wpk-agent"));
    command
        .arg("--config")
        .arg(config)
        .arg("--home")
        .arg(home)
        .env("WPK_AGENT_LOG", "debug");
    command
}

/// Starts the program and waits until it is ready.
pub async fn start_in(home: tempfile::TempDir, settings: &str) -> Agent {
    let log = home.path().join("agent.log");
    // What an earlier one printed must not count.
    let _ = fs::remove_file(&log);
    let mut process = Process::start(command(home.path(), settings), log).unwrap();
    let ready = process.wait_for_line("the agent is ready", DEADLINE).await;
    assert!(ready.is_some(), "{}", process.output());
    Agent { home, process }
}

pub async fn start(settings: &str) -> Agent {
    start_in(home(), settings).await
}

impl Agent {
    pub fn path(&self, inside: &str) -> PathBuf {
        self.home.path().join(inside)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("queue/sockets/upgrade")
    }

    /// `None`: closed without an answer.
    pub async fn ask(&self, payload: impl AsRef<[u8]>) -> Option<String> {
        let mut client = Client::connect(self.socket()).await.unwrap();
        let answer = client.ask(payload).await.unwrap();
        answer.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub async fn upload(&self, name: &str, bytes: &[u8]) {
        let ok = Some(answer(0, "ok"));
        let name = serde_json::Value::from(name);
        let open = format!(r#"{{"command":"open","parameters":{{"mode":"wb","file":{name}}}}}"#);
        assert_eq!(self.ask(open).await, ok);
        let mut client = Client::connect(self.socket()).await.unwrap();
        for chunk in bytes.chunks(32_768) {
            let buffer = base64_simd::STANDARD.encode_to_string(chunk);
            let length = chunk.len();
            let write = format!(
                r#"{{"command":"write","parameters":{{"buffer":"{buffer}","length":{length},"file":{name}}}}}"#
            );
            let written = client.ask(write).await.unwrap().unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), answer(0, "ok"));
        }
        let close = format!(r#"{{"command":"close","parameters":{{"file":{name}}}}}"#);
        assert_eq!(self.ask(close).await, ok);
    }

    pub async fn upgrade(&self, name: &str, installer: &str) -> Option<String> {
        let (name, installer) = (
            serde_json::Value::from(name),
            serde_json::Value::from(installer),
        );
        let parameters = format!(r#"{{"file":{name},"installer":{installer}}}"#);
        self.ask(format!(
            r#"{{"command":"upgrade","parameters":{parameters}}}"#
        ))
        .await
    }

    /// Waits until `probe` holds.
    pub async fn until(&self, what: &str, mut probe: impl FnMut() -> bool) {
        let met = wait_until(DEADLINE, || std::future::ready(probe().then_some(()))).await;
        assert!(
            met.is_some(),
            "{what} did not happen\n{}",
            self.process.output()
        );
    }
}

pub fn answer(error: u8, message: &str) -> String {
    format!(
        r#"{{"error":{error},"message":{},"data":[]}}"#,
        serde_json::Value::from(message)
    )
}

/// Every file below `folder`: size, mode, digest.
pub fn files(folder: &Path) -> Files {
    wpk_testkit::files::files(folder).unwrap()
}

/// A queue for acknowledgements, as a real agent daemon has it.
pub fn queue(home: &Path) -> tokio::net::UnixDatagram {
    tokio::net::UnixDatagram::bind(home.join("queue/sockets/queue")).unwrap()
}

pub async fn datagram(queue: &tokio::net::UnixDatagram, deadline: Duration) -> Option<String> {
    let mut buffer = vec![0; 4096];
    let length = tokio::time::timeout(deadline, queue.recv(&mut buffer))
        .await
        .ok()?
        .unwrap();
    Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
}

/// A signer of packages of our own.
struct Maker {
    signer: wpk_package::Signer,
    ca: String,
}

fn maker() -> &'static Maker {
    static MAKER: std::sync::OnceLock<Maker> = std::sync::OnceLock::new();
    MAKER.get_or_init(|| {
        use wpk_package::authority::{Authority, SigningKey, Validity};
        let (key, days) = (SigningKey::generate().unwrap(), Validity::days(2));
        let authority = Authority::root("test root", days, &key).unwrap();
        Maker {
            // The same key for both saves making a second one.
            signer: authority.signer("test signer", days, &key).unwrap(),
            ca: authority.certificate_pem().to_owned(),
        }
    })
}

/// Has the home trust the packages of [`package`] too.
pub fn trust_ours(home: &Path) {
    let mut pem = String::from_utf8(wpk("ca.pem")).unwrap();
    pem.push_str(&maker().ca);
    fs::write(home.join("etc/wpk_root.pem"), pem).unwrap();
}

/// A signed package of these files.
pub fn package(files: &[(&str, &[u8])]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = Vec::new();
    for (index, (name, content)) in files.iter().enumerate() {
        let path = dir.path().join(index.to_string());
        fs::write(&path, content).unwrap();
        sources.push(wpk_package::Source {
            name: PathBuf::from(name),
            path,
        });
    }
    let out = dir.path().join("out.wpk");
    wpk_package::build(&sources, &maker().signer, &out, &Default::default()).unwrap();
    fs::read(out).unwrap()
}

/// A signed package of one installer.
pub fn installer(script: &str) -> Vec<u8> {
    package(&[("upgrade.sh", format!("#!/bin/sh\n{script}\n").as_bytes())])
}
