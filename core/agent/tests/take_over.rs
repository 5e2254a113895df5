//! Beside the upgrade module of a real agent daemon, which binds its socket at each start
//! (PROTOCOL.md, section 14).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::Path;

use common::{DEADLINE, answer, command, home, start_in};
use wpk_testkit::process::Signal;
use wpk_testkit::{FakeModulesd, Process, ask, wait_until};

const SETTINGS: &str = "[listen]\ntake_over = true\n";
const UNKNOWN: &str = r#"{"command":"nope","parameters":{}}"#;

async fn is_ours(path: &Path) -> bool {
    ask(path, UNKNOWN).await == Some(answer(2, "Command not found").into_bytes())
}

async fn is_theirs(path: &Path) -> bool {
    let answer = ask(path, UNKNOWN).await.unwrap_or_default();
    String::from_utf8(answer)
        .unwrap()
        .contains(r#""by":"modulesd""#)
}

/// What `wpk-agent` says with a further argument, and whether it is content.
async fn says(home: &Path, settings: &str, argument: &str) -> (bool, String) {
    let output = command(home, settings)
        .arg(argument)
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_taken_over_kept_and_given_back() {
    let home = home();
    let path = home.path().join("queue/sockets/upgrade");
    let mut modulesd = FakeModulesd::at(&path);
    modulesd.start().await.unwrap();

    let (good, said) = says(home.path(), "[listen]\n", "check").await;
    assert!(!good && said.contains("listen.take_over: "), "{said}");
    let (good, said) = says(home.path(), SETTINGS, "check").await;
    assert!(
        good && said.contains("when wpk-agent starts it takes it over"),
        "{said}"
    );
    let mut refused = Process::start(
        command(home.path(), "[listen]\n"),
        home.path().join("refused.log"),
    )
    .unwrap();
    assert!(!refused.wait(DEADLINE).await.unwrap().success());
    assert!(
        refused.output().contains("take_over = true"),
        "{}",
        refused.output()
    );

    let mut agent = start_in(home, SETTINGS).await;
    let line = format!(
        "upgrade socket {}: served by wpk-agent, the agent's own module is behind it at ",
        agent.socket().display()
    );
    assert!(
        agent.process.output().contains(&line),
        "{}",
        agent.process.output()
    );
    assert!(is_ours(&path).await);
    for _ in 0..3 {
        modulesd.restart().await.unwrap();
        let back = wait_until(DEADLINE, async || is_ours(&path).await.then_some(()));
        assert!(back.await.is_some(), "{}", agent.process.output());
    }
    assert!(modulesd.broken().is_empty());
    let (good, said) = says(agent.home.path(), SETTINGS, "give-back").await;
    assert!(good && said.contains("left alone"), "{said}");
    agent.process.signal(Signal::TERM).unwrap();
    assert!(agent.process.wait(DEADLINE).await.unwrap().success());
    assert!(is_theirs(&path).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_give_back_does_it() {
    let home = home();
    let path = home.path().join("queue/sockets/upgrade");
    let mut modulesd = FakeModulesd::at(&path);
    modulesd.start().await.unwrap();
    let mut agent = start_in(home, SETTINGS).await;
    agent.process.kill().await.unwrap();
    assert!(ask(&path, UNKNOWN).await.is_none(), "nobody serves it");
    let (good, said) = says(agent.home.path(), SETTINGS, "give-back").await;
    assert!(
        good && said.contains("given back to the agent's own module"),
        "{said}"
    );
    assert!(is_theirs(&path).await);
    let (good, said) = says(agent.home.path(), SETTINGS, "give-back").await;
    assert!(good && said.contains("nothing of wpk-agent's"), "{said}");
}
