//! A whole healthy 4.x manager as the doctor sees it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use wpk_testkit::http::{HttpServer, Request, Response};
use wpk_testkit::wdb::{FakeWazuhDb, agent_row};

use crate::common::{Manager, Reply, Run, agents, answer, listed, programs, refusal};

pub(crate) const FOLDER: &str = "/wpk/linux/deb/amd64";

/// What runs; dropping it stops it.
pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) upgrade: Manager,
    _task: Manager,
    _database: FakeWazuhDb,
    _remote: UnixListener,
    _repository: HttpServer,
    url: String,
}

impl Site {
    /// With a repository that answers by `handler`; it is at `/wpk/`.
    pub(crate) async fn new(
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let repository = HttpServer::start(handler).await.unwrap();
        let url = format!("{}wpk", repository.url());
        Self::at(&url, repository)
    }

    pub(crate) fn at(url: &str, repository: HttpServer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        for folder in [
            "queue/tasks",
            "queue/db",
            "queue/sockets",
            "var/upgrade",
            "var/wpkd",
            "etc",
        ] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        let upgrade = Manager::start(&home.join("queue/tasks/upgrade"), wpkd);
        let task = Manager::start(&home.join("queue/tasks/task"), |request| {
            assert_eq!(request["command"], "upgrade_result");
            let items = agents(request).into_iter();
            answer(
                items
                    .map(|agent| json!({"error": 3, "message": "No task in DB", "agent": agent}))
                    .collect(),
            )
        });
        let database = FakeWazuhDb::start(home.join("queue/db/wdb")).unwrap();
        database.set_agent(agent_row(0, "Wazuh v4.14.0"));
        let remote = UnixListener::bind(home.join("queue/sockets/remote")).unwrap();
        for socket in ["queue/tasks/upgrade", "queue/tasks/task"] {
            let mode = std::fs::Permissions::from_mode(0o660);
            std::fs::set_permissions(home.join(socket), mode).unwrap();
        }
        let site = Self {
            upgrade,
            _task: task,
            _database: database,
            _remote: remote,
            _repository: repository,
            url: url.to_owned(),
            dir,
        };
        site.configure(&site.provider());
        let database = rusqlite::Connection::open(site.database()).unwrap();
        database.execute_batch(TABLES).unwrap();
        site
    }

    /// The section of the repository; more keys of it may follow.
    pub(crate) fn provider(&self) -> String {
        let url = &self.url;
        format!("[[provider]]\ntype = \"repository\"\nurl = \"{url}\"\n")
    }

    /// Writes the settings, with these providers and whatever follows them.
    pub(crate) fn configure(&self, more: &str) {
        let settings = format!(
            "home = \"{}\"\ndialect = \"wazuh-4\"\nnode = {{ version = \"v4.14.0\" }}\n\
             directory = {{ type = \"wazuh-db\" }}\ntransport = {{ type = \"remoted\" }}\n{more}",
            self.dir.path().display()
        );
        std::fs::write(self.config(), settings).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("etc/wpkd.toml")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("var/wpkd/tasks.db")
    }

    pub(crate) fn doctor(&self, more: &[&str]) -> Run {
        let config = self.config();
        doctor(&[&["--config", config.to_str().unwrap()][..], more].concat())
    }

    /// Runs it and gives the line of one check, which must be the only one of
    /// that name.
    #[track_caller]
    pub(crate) fn line(&self, check: &str, more: &[&str]) -> String {
        let run = self.doctor(more);
        let name = format!(" {check}: ");
        let found: Vec<&str> = run
            .out
            .lines()
            .filter(|line| line.contains(&name))
            .collect();
        assert_eq!(found.len(), 1, "{check}: {}{}", run.out, run.err);
        let failed = run.out.lines().any(|line| line.starts_with("failure "));
        assert_eq!(run.status, Some(i32::from(failed)), "{}", run.out);
        found[0].to_owned()
    }
}

/// Runs the doctor, who has the daemon beside him.
pub(crate) fn doctor(arguments: &[&str]) -> Run {
    let program = programs().join("wpkctl");
    let mut command = Command::new(program);
    command.arg("doctor").args(arguments).env_clear();
    Run::of(command.output().unwrap())
}

/// `wpkd` with the agents 1 (active) and 2 (disconnected).
fn wpkd(request: &Value) -> Reply {
    match request["command"].as_str().unwrap() {
        "agent_list" => {
            let after = request["parameters"]["after"].as_i64().unwrap_or(0);
            let agents = (after + 1..=2).map(|agent| {
                let mut item = listed(agent, "v4.7.0");
                if agent == 2 {
                    item["connection_status"] = "disconnected".into();
                }
                item
            });
            answer(agents.collect())
        }
        "upgrade" => {
            assert_eq!(request["parameters"]["dry_run"], true);
            let item = |agent| match agent {
                1 => json!({"error": 0, "message": "Success", "agent": 1, "target": "v4.14.0",
                            "file": "a.wpk", "location": "http://x/a.wpk"}),
                agent => json!({"error": 8, "message": "Agent is not active", "agent": agent}),
            };
            answer(agents(request).into_iter().map(item).collect())
        }
        _ => refusal(3, "JSON parameter not recognized"),
    }
}

/// The tables of a 4.x manager.
pub(crate) const TABLES: &str = "
CREATE TABLE TASKS (TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT, AGENT_ID INT, NODE TEXT,
    MODULE TEXT, COMMAND TEXT, CREATE_TIME INTEGER, LAST_UPDATE_TIME INTEGER, STATUS TEXT,
    ERROR_MESSAGE TEXT);
CREATE TABLE METADATA (key TEXT PRIMARY KEY, value TEXT);
INSERT INTO METADATA VALUES ('db_version', '1');";

/// A repository with one version and its file.
pub(crate) fn healthy(wpk: Vec<u8>) -> impl Fn(&Request) -> Response + Send + Sync + 'static {
    let sha1 = wpk_testkit::repository::sha1_hex(&wpk);
    move |request| {
        let versions = format!("{FOLDER}/versions");
        let file = format!("{FOLDER}/wazuh_agent_v4.14.0_linux_amd64.deb.wpk");
        if request.target == versions {
            Response::new(200, format!("v4.14.0 {sha1}\n"))
        } else if request.target == file {
            Response::new(200, wpk.clone())
        } else {
            Response::new(404, "no")
        }
    }
}
