//! Passwords of repositories and proxies: sent, and shown nowhere.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use wpk_testkit::http::{HttpServer, Response};
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, binary};

/// In ossec.conf, in our settings, in a request, in a file, of a proxy; the first
/// three as a URL writes them too.
const SECRETS: [&str; 8] = [
    "ossec0secret",
    "url0secret",
    "request0secret",
    "file0secret",
    "proxy0secret",
    "user0name",
    // `user0name:...` in base64, wherever it is cut.
    "dXNlcjBuYW1l",
    "VzZXIwbmFtZT",
];

/// Everything that was said, and by whom.
#[derive(Default)]
struct Heard(Vec<(String, String)>);

impl Heard {
    fn add(&mut self, by: impl Into<String>, text: impl Into<String>) {
        self.0.push((by.into(), text.into()));
    }

    async fn run(&mut self, program: &str, arguments: &[&str], environment: &[(&str, &str)]) {
        let mut command = Command::new(binary(program).unwrap());
        command.args(arguments).env("RUST_LOG", "trace");
        command.envs(environment.iter().copied());
        let output = command.output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        let by = format!("{program} {}", arguments.join(" "));
        self.add(by, String::from_utf8_lossy(&text));
    }

    fn said(&self, word: &str) -> bool {
        self.0.iter().any(|(_, text)| text.contains(word))
    }

    fn no_secret(&self) {
        for (by, text) in &self.0 {
            for secret in SECRETS {
                let line = text.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "{secret} is told by {by}");
            }
        }
    }
}

/// Lets `user0name` in with any of the passwords, and nobody else.
async fn closed(repository: &Repository) -> HttpServer {
    let files = wpk_testkit::http::Folder::new(repository.folder()).unwrap();
    HttpServer::start(move |request| {
        let login = request.header("authorization").unwrap_or_default();
        match login.starts_with("Basic dXNlcjBuYW1l") {
            true => files.answer(request),
            false => Response::new(401, "who are you?"),
        }
    })
    .await
    .unwrap()
}

async fn talk(manager: &Manager, heard: &mut Heard, command: &str, parameters: Value) -> Value {
    let request =
        json!({"origin": {"module": "api"}, "command": command, "parameters": parameters});
    let answer = manager.ask(request.to_string()).await.unwrap();
    heard.add(format!("the answer to {command}"), answer.to_string());
    answer
}

/// All programs, and all commands that tell something.
async fn look(manager: &Manager, heard: &mut Heard) {
    let config = manager.config();
    let config = config.to_str().unwrap();
    heard.run("wpkd", &["check", "--config", config], &[]).await;
    heard
        .run("wpkd", &["examine", "--config", config], &[])
        .await;
    let doctor = [
        "--config",
        config,
        "doctor",
        "--agent",
        "1",
        "--download",
        "1",
    ];
    heard.run("wpkctl", &doctor, &[]).await;
    for command in [
        ["upgrade", "3", "--dry-run"].as_slice(),
        &["result", "1-3", "--log"],
        &["result", "1-3", "--log", "--json"],
    ] {
        let arguments = [["--config", config].as_slice(), command].concat();
        heard.run("wpkctl", &arguments, &[]).await;
    }
    for command in ["upgrade_result", "upgrade_progress", "upgrade_timeline"] {
        talk(manager, heard, command, json!({"agents": [1, 2, 3]})).await;
    }
    let tasks = json!({"origin": {"name": "node01"}, "command": "upgrade_result",
        "parameters": {"agents": [1, 2, 3]}});
    let answer = manager.ask_tasks(tasks.to_string()).await;
    heard.add("the task socket", format!("{answer:?}"));
}

async fn logs(manager: &Manager, heard: &mut Heard) {
    for entry in std::fs::read_dir(manager.home.path("logs")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        heard.add(path.display().to_string(), String::from_utf8_lossy(&text));
    }
}

async fn manager(settings: &str) -> Manager {
    let mut manager = Manager::prepare(settings).await.unwrap();
    manager.log = "trace".to_owned();
    manager
        .wdb
        .set_agents((1..=3).map(|id| agent_row(id, "Wazuh v4.7.0")));
    manager
}

fn write_conf(home: &Path, server: &HttpServer, path: &str) {
    let text = format!(
        "<ossec_config><agent-upgrade><wpk_repository>http://user0name:ossec0secret@{}/{path}\
         </wpk_repository></agent-upgrade></ossec_config>",
        server.address()
    );
    std::fs::write(home.join("etc/ossec.conf"), text).unwrap();
}

#[tokio::test]
async fn a_password_that_is_right_is_told_nowhere() {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.8", &[5; 20_000]).unwrap();
    let server = closed(&repository).await;
    let address = server.address();
    let mut heard = Heard::default();
    let mut manager = manager("[wazuh]\nossec_conf = \"etc/ossec.conf\"").await;
    write_conf(manager.home.root(), &server, "");
    manager.boot().await.unwrap();
    talk(&manager, &mut heard, "upgrade", json!({"agents": [1]})).await;
    let named =
        json!({"agents": [2], "wpk_repo": format!("http://user0name:request0secret@{address}")});
    talk(&manager, &mut heard, "upgrade", named).await;
    for agent in [1, 2] {
        let done = manager.wait_for_status(agent, &["Updated"]).await;
        assert!(done.is_some(), "{}", manager.output());
    }
    look(&manager, &mut heard).await;

    // The same with settings of our own, taken over while it runs.
    let file = manager.home.path("etc/password");
    std::fs::write(&file, "file0secret\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).unwrap();
    let settings = format!(
        "[[provider]]\ntype = \"repository\"\nurl = \"http://user0name:url0secret@127.0.0.1:9/\"\n\
         [[provider]]\ntype = \"repository\"\nurl = \"http://{address}/\"\n\
         user = \"user0name\"\npassword_file = \"etc/password\"\n"
    );
    manager.configure(&settings).unwrap();
    let before = manager.output().len();
    manager
        .daemon()
        .unwrap()
        .signal(wpk_testkit::process::Signal::HUP)
        .unwrap();
    let taken = wpk_testkit::wait_until(wpk_testkit::manager::PATIENCE, async || {
        manager
            .output()
            .get(before..)?
            .contains("taken over")
            .then_some(())
    });
    taken.await.unwrap();
    talk(&manager, &mut heard, "upgrade", json!({"agents": [3]})).await;
    let done = manager.wait_for_status(3, &["Updated"]).await;
    assert!(done.is_some(), "{}", manager.output());
    look(&manager, &mut heard).await;
    logs(&manager, &mut heard).await;
    assert!(
        heard.said(&format!("http://{address}/linux")),
        "addresses are told"
    );
    heard.no_secret();
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_nowhere() {
    let server = HttpServer::start(|_| Response::new(401, "no"))
        .await
        .unwrap();
    let address = server.address();
    let mut heard = Heard::default();
    let mut manager = manager("[wazuh]\nossec_conf = \"etc/ossec.conf\"").await;
    write_conf(manager.home.root(), &server, "");
    manager.boot().await.unwrap();
    let version = "v4.14.8";
    for (agent, repository) in [
        (1, None),
        (
            2,
            Some(format!("http://user0name:request0secret@{address}")),
        ),
        (
            3,
            Some("http://user0name:request0secret@127.0.0.1:1".to_owned()),
        ),
    ] {
        let mut wish = json!({"agents": [agent], "version": version});
        if let Some(repository) = repository {
            wish["wpk_repo"] = repository.into();
        }
        talk(&manager, &mut heard, "upgrade", wish).await;
        let failed = manager.wait_for_status(agent, &["Error"]).await;
        assert!(failed.is_some(), "{}", manager.output());
    }
    look(&manager, &mut heard).await;
    for repository in [
        "http://user0name:request0secret@1.2.3.999/",
        "http://user0name:request0secret/@x",
        "ftp://user0name:request0secret@x/",
        "user0name:request0secret@x?y",
        "http://x/?user0name=request0secret",
    ] {
        let wish = json!({"agents": [1], "wpk_repo": repository, "version": version});
        let mut dry = wish.clone();
        dry["dry_run"] = json!(true);
        talk(&manager, &mut heard, "upgrade", dry).await;
        talk(&manager, &mut heard, "upgrade", wish).await;
        assert!(manager.wait_for_status(1, &["Error"]).await.is_some());
        let timeline = json!({"agents": [1]});
        talk(&manager, &mut heard, "upgrade_timeline", timeline).await;
    }
    logs(&manager, &mut heard).await;
    assert!(heard.said("401 Unauthorized"));
    heard.no_secret();
}

#[tokio::test]
async fn mistakes_are_told_without_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wpkd.toml");
    let mut heard = Heard::default();
    for text in [
        "",
        "[[provider]]\ntype = \"repository\"\nurl = \"ftp://user0name:url0secret@x/\"",
        "[[provider]]\ntype = \"repository\"\nurl = \"http://user0name:url0secret@x/",
        "[[provider]]\ntype = \"repository\"\nurl = [\"http://user0name:url0secret@x/\"]",
        "[[provider]]\ntype = \"repository\"\nurl = \"http://user0name:url0secret@1.2.3.999/\"",
        "[[provider]]\ntype = \"repository\"\nproxy = \"socks://user0name:proxy0secret@x/\"",
        "[[provider]]\ntype = \"repository\"\nproxy = \"http://user0name:proxy0secret@127.0.0.1:1/\"",
        "url = \"http://user0name:url0secret@x/\"",
        "provider = \"http://user0name:url0secret@x/\"",
        "[provider]\nurl = \"http://user0name:url0secret@x/\"",
        "[[provider]]\nurl = \"http://user0name:url0secret@x/\"\ntype = \"repo\"",
    ] {
        std::fs::write(&file, text).unwrap();
        let (config, home) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
        let place = ["--config", config, "--home", home];
        let environment = [
            ("HTTPS_PROXY", "http://user0name:proxy0secret@127.0.0.1:1"),
            ("HTTP_PROXY", "socks5://user0name:proxy0secret@127.0.0.1:1"),
        ];
        let check = [["check"].as_slice(), &place].concat();
        heard.run("wpkd", &check, &environment).await;
        let examine = [
            "examine",
            "--platform",
            "debian",
            "--arch",
            "x86_64",
            "--os-version",
            "12",
        ];
        let examine = [examine.as_slice(), &place].concat();
        heard.run("wpkd", &examine, &environment).await;
    }
    assert!(heard.said("HTTP_PROXY") && heard.said("HTTPS_PROXY"));
    heard.no_secret();
}
