//! `wpkd check`, and what keeps a daemon from starting.

use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;
use wpk_testkit::{Manager, binary};

async fn wpkd(arguments: &[&str]) -> Output {
    Command::new(binary("wpkd").unwrap())
        .args(arguments)
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn check_prints_every_mistake_with_file_and_key() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    let text = r#"
        dialect = "wazuh-5"
        [node]
        nmae = "x"
        [[provider]]
        type = "repository"
        atempts = 3
        timeout = "soon"
        [[provider]]
        type = "s3"
        [store]
        type = "sqlite"
        path = 5
        [[source]]
        type = "unix-socket"
        mode = "rw"
        [transport]
        type = "remoted"
        tiemout = "1s"
    "#;
    std::fs::write(&file, text).unwrap();
    let output = wpkd(&["check", "--config", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    let printed = String::from_utf8(output.stderr).unwrap();
    let keys = [
        "dialect:",
        "node.nmae:",
        "[[provider]] number 1: atempts:",
        "[[provider]] number 1: timeout:",
        "[[provider]] number 2: type:",
        "store.path:",
        "[[source]] number 1: mode:",
        "transport.tiemout:",
    ];
    for key in keys {
        let found = printed
            .lines()
            .any(|line| line.contains("wpkd.toml") && line.contains(key));
        assert!(found, "{key} is not in\n{printed}");
    }
}

#[tokio::test]
async fn an_examination_reads_the_settings_as_the_start_does() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    let home = folder.path().join("home");
    let arguments = ["examine", "--json", "--config", file.to_str().unwrap()];
    let lines = |output: &Output| -> Vec<Value> {
        let printed = String::from_utf8(output.stdout.clone()).unwrap();
        let lines = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let mistakes = "home = \"relative\"\n[[provider]]\ntype = \"s3\"\n[store]\npath = 5\n";
    std::fs::write(&file, mistakes).unwrap();
    let output = wpkd(&arguments).await;
    assert_eq!(output.status.code(), Some(2));
    let told = lines(&output);
    let checked = wpkd(&["check", "--config", file.to_str().unwrap()]).await;
    let checked = String::from_utf8(checked.stderr).unwrap();
    let (end, checks) = told.split_last().unwrap();
    assert_eq!(*end, json!({"event": "end"}));
    assert_eq!(checks.len(), 3, "{checks:?}");
    for check in checks {
        assert_eq!([&check["name"], &check["level"]], ["settings", "failure"]);
        let mistake = check["detail"].as_str().unwrap();
        assert!(
            checked.lines().any(|line| line == mistake),
            "{mistake} is not in\n{checked}"
        );
    }

    // A daemon that never ran: it says so, makes nothing, and nothing has failed.
    std::fs::write(&file, format!("home = {home:?}\n")).unwrap();
    let output = wpkd(&arguments).await;
    assert_eq!(output.status.code(), Some(0));
    let told = lines(&output);
    assert_eq!(told[0]["level"], "ok", "{told:?}");
    let upgrade = told
        .iter()
        .find(|line| line["name"] == "upgrade socket")
        .unwrap();
    assert_eq!(
        [&upgrade["level"], &upgrade["section"]],
        ["warning", "source.0"]
    );
    assert_eq!(*told.last().unwrap(), json!({"event": "end"}));
    assert!(!home.exists());
}

#[tokio::test]
async fn a_file_that_is_not_there_and_a_variable_are_told_with_what_to_do() {
    let output = wpkd(&["check", "--config", "/nonexistent/wpkd.toml"]).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.starts_with("/nonexistent/wpkd.toml: cannot be read: "),
        "{errors}"
    );
    assert!(errors.contains("`wpkd settings` prints"), "{errors}");
    let home = tempfile::TempDir::new().unwrap();
    let check = |variable: &str, value: &str| {
        let mut command = Command::new(binary("wpkd").unwrap());
        command.arg("check").arg("--home").arg(home.path());
        command.env(variable, value).output()
    };
    for (variable, value) in [
        ("WPKD_LOG__FILTER", "a=b=c"),
        ("WPKD_TASKS__TASK_TIMEOUT", "soon"),
    ] {
        let output = check(variable, value).await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.starts_with(&format!("{variable}: ")), "{errors}");
    }
    let output = check("RUST_LOG", "a=b=c").await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("RUST_LOG is no filter: "), "{errors}");
}

#[tokio::test]
async fn the_commented_example_is_good_and_says_the_defaults() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/wpkd.toml");
    let output = wpkd(&["check", "--config", example]).await;
    let (printed, errors) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{errors}");
    let without = String::from_utf8(wpkd(&["check"]).await.stdout).unwrap();
    assert_eq!(printed, without);
}

#[tokio::test]
async fn a_second_daemon_does_not_take_the_sockets_away() {
    let manager = Manager::start("").await.unwrap();
    let config = manager.config();
    let second = async |store: &str| {
        let run = Command::new(binary("wpkd").unwrap())
            .args(["--config", config.to_str().unwrap()])
            .env("WPKD_STORE__PATH", store)
            .output();
        let output = run.await.unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    // Nor the task file; the sockets are another matter than the file.
    let errors = second("var/wpkd/tasks.db").await;
    assert!(
        errors.contains("belongs to another wpkd (process "),
        "{errors}"
    );
    let errors = second("other.db").await;
    assert!(errors.contains("queue/tasks/upgrade"), "{errors}");
    assert!(
        manager.ask("{}").await.is_some(),
        "the first one still answers"
    );
}

/// Whatever ends the start is told by `check` and `doctor` before, at its key.
#[tokio::test]
async fn what_would_stop_the_start_is_found_before() {
    let home = wpk_testkit::Home::new().unwrap();
    std::fs::write(home.path("a-file"), "").unwrap();
    let other = std::os::unix::net::UnixListener::bind(home.path("taken")).unwrap();
    // Somebody who hangs up at once.
    std::thread::spawn(move || other.incoming().for_each(drop));
    let file = home.path("wpkd.toml");
    let repository = |key: &str| format!("[[provider]]\ntype = \"repository\"\n{key}\n");
    let signatures = "[cache]\nverify_signature = true\nca_store = [\"none.pem\"]\n";
    for (key, text) in [
        (
            "group",
            "[[source]]\ngroup = \"no-such-group\"\n".to_owned(),
        ),
        ("upgrade", "[[source]]\nupgrade = \"a-file\"\n".to_owned()),
        ("take_over", "[[source]]\nupgrade = \"taken\"\n".to_owned()),
        ("ca_file", repository("ca_file = \"none.pem\"")),
        ("ca_file", repository("ca_file = \"a-file\"")),
        (
            "password_file",
            repository("url = \"r.local\"\nuser = \"u\"\npassword_file = \"none\""),
        ),
        ("cache.dir", "[cache]\ndir = \"a-file\"\n".to_owned()),
        ("cache.dir", "[cache]\ndir = \"a-file/below\"\n".to_owned()),
        ("cache.ca_store", signatures.to_owned()),
        ("store.path", "[store]\npath = \"var\"\n".to_owned()),
        (
            "store.path",
            "[store]\npath = \"a-file/tasks.db\"\n".to_owned(),
        ),
        ("home", "home = \"HOME/a-file\"\n".to_owned()),
    ] {
        let text = match key {
            "home" => text.replace("HOME", home.root().to_str().unwrap()),
            _ => format!(
                "home = {:?}\n{text}[transport]\nlisten = \"127.0.0.1:0\"\n",
                home.root()
            ),
        };
        std::fs::write(&file, &text).unwrap();
        let config = file.to_str().unwrap();
        let checked = wpkd(&["check", "--config", config]).await;
        let told = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(2), "{text}\n{told}");
        assert!(
            told.lines().next().unwrap().contains(&format!("{key}: ")),
            "{key}: {told}"
        );
        assert_eq!(told.lines().count(), 2, "{told}");

        let examined = wpkd(&["examine", "--config", config]).await;
        let told = String::from_utf8(examined.stdout).unwrap();
        assert!(!examined.status.success(), "{text}\n{told}");

        let run = ["run", "--config", config];
        let started = wpkd(&run);
        let started = tokio::time::timeout(wpk_testkit::manager::PATIENCE, started).await;
        let started = started.unwrap_or_else(|_| panic!("it starts: {text}"));
        assert!(!started.status.success(), "{text}");
    }
}

/// A mistake in the files hides nothing that is wrong with the world, and is told once.
#[tokio::test]
async fn a_mistake_hides_nothing_that_would_stop_the_start() {
    let home = wpk_testkit::Home::new().unwrap();
    let usual = home.path("var/wpkd/tasks.db");
    std::fs::create_dir_all(usual).unwrap();
    let file = home.path("wpkd.toml");
    let group = "[[source]]\ntype = \"unix-socket\"\ngroup = \"no-such-group\"\n";
    let channel = "[transport]\ntype = \"channel\"\nlisten = \"127.0.0.1:0\"\n";
    let store = "[store]\npath = \"tasks.db\"\n";
    let repository = "[[provider]]\ntype = \"repository\"\natempts = 3\nca_file = \"none.pem\"\n";
    let dir = "[cache]\ndir = \"wpkd.toml\"\nmax_sizes = 1\n";
    for (text, keys) in [
        (
            format!("{group}{channel}{store}[delivery]\natempts = 3\n"),
            vec!["delivery.atempts", "[[source]] number 1: group"],
        ),
        (
            format!("{group}mdoe = \"0660\"\n{channel}{store}"),
            vec!["[[source]] number 1: mdoe", "[[source]] number 1: group"],
        ),
        (
            format!("{repository}{channel}{store}{dir}"),
            vec![
                "[[provider]] number 1: atempts",
                "[[provider]] number 1: ca_file",
                "cache.max_sizes",
                "cache.dir",
            ],
        ),
        (
            format!("{group}{channel}{store}[log]\nfilter = \"((\"\n[node]\nnmae = \"x\"\n"),
            vec!["log.filter", "[[source]] number 1: group", "node.nmae"],
        ),
        // What only follows from a mistake is no news: a folder is where the file lies
        // that nobody meant, and nobody knows which group a source that is none has.
        (
            format!("{channel}[store]\npaht = \"x.db\"\n"),
            vec!["store.paht"],
        ),
        (
            format!("{channel}{store}{}", group.replace("unix-socket", "unix")),
            vec!["[[source]] number 1: type"],
        ),
        (
            format!("{group}{store}stroe = 1\n"),
            vec!["store.stroe", "[[source]] number 1: group"],
        ),
    ] {
        let text = format!("home = {:?}\n{text}", home.root());
        std::fs::write(&file, &text).unwrap();
        let checked = wpkd(&["check", "--config", file.to_str().unwrap()]).await;
        assert_eq!(checked.status.code(), Some(2), "{text}");
        let told = String::from_utf8(checked.stderr).unwrap();
        for key in &keys {
            let place = format!(": {key}: ");
            let told_at = told.lines().filter(|line| line.contains(&place)).count();
            assert_eq!(told_at, 1, "{key} in\n{told}\nof\n{text}");
        }
        assert_eq!(told.lines().count(), keys.len() + 1, "{told}\nof\n{text}");
    }
}
