//! Beside a running 4.x manager: who answers, what the engine is told, what `check` and
//! `doctor` say of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::path::Path;
use std::sync::atomic::Ordering;

use common::{DEADLINE, build, serve_at};
use serde_json::{Value, json};
use wpk_api::examine::{Check, Examine, Level};
use wpk_api::{Context, Factory, Outlook, Role};
use wpk_plugin_unix_socket::plugin;
use wpk_testkit::{Client, FakeModulesd, Home, ask, wait_until};

const TAKE_OVER: &str = "take_over";

async fn manager() -> (Home, FakeModulesd) {
    let home = Home::new().unwrap();
    let mut modulesd = FakeModulesd::of_master(&home, "node01");
    modulesd.start().await.unwrap();
    (home, modulesd)
}

/// Whether ours answers there, which says what it was asked.
async fn is_ours(path: &Path) -> bool {
    ask(path, "{}")
        .await
        .is_some_and(|answer| answer.ends_with(b" {}"))
}

async fn outlook(settings: &Value, context: &Context) -> Outlook {
    plugin().outlook(settings, context).await
}

async fn examine(settings: &Value, home: &Home) -> Vec<Check> {
    let context = home.context();
    plugin()
        .examine(settings, &context, &Examine::default())
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sockets_are_taken_over_and_the_engine_hears_of_each_return() {
    let (home, mut modulesd) = manager().await;
    let served = serve_at(home, &json!({TAKE_OVER: true}));
    let (upgrade, task) = (served.home.upgrade_socket(), served.home.task_socket());
    assert!(is_ours(&upgrade).await && is_ours(&task).await);
    assert_eq!(served.words.away.load(Ordering::SeqCst), 0);
    for times in 1..=3 {
        modulesd.restart().await.unwrap();
        let told = wait_until(DEADLINE, async || {
            (served.words.away.load(Ordering::SeqCst) == 2 * times).then_some(())
        });
        told.await.expect("not told");
        assert!(is_ours(&upgrade).await && is_ours(&task).await);
    }
    assert!(modulesd.broken().is_empty());
    served.stop.cancel();
    served.ended.await.unwrap().unwrap();
    assert!(!is_ours(&upgrade).await && !is_ours(&task).await);
    assert!(ask(&upgrade, "{}").await.is_some() && ask(&task, "{}").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_worker_the_task_socket_is_nobodys() {
    let home = Home::new().unwrap();
    let mut modulesd = FakeModulesd::at(home.upgrade_socket());
    modulesd.start().await.unwrap();
    let mut context = home.context();
    context.node.role = Role::Worker;
    let settings = json!({TAKE_OVER: true});
    let source = plugin().build(&settings, &context).unwrap();
    assert!(!home.task_socket().exists());
    let notes = outlook(&settings, &context).await.notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    drop(source);
    assert!(ask(home.upgrade_socket(), "{}").await.is_some());
    // Without the key it is as it was.
    modulesd.stop().await;
    let _source = plugin().build(&json!({}), &context).unwrap();
    assert!(home.task_socket().exists());
}

/// Who had connected when the stop came is answered by us, everybody later by the module.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_left_unanswered_at_the_end() {
    let (home, modulesd) = manager().await;
    let served = serve_at(home, &json!({TAKE_OVER: true, "max_connections": 1}));
    let upgrade = served.home.upgrade_socket();
    // One holds the only place, the others wait in the queue of the kernel.
    let mut busy = Client::connect(&upgrade).await.unwrap();
    busy.send("wait").await.unwrap();
    let reached = wait_until(DEADLINE, async || {
        (served.words.calls.load(Ordering::SeqCst) == 1).then_some(())
    });
    reached.await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(Client::connect(&upgrade).await.unwrap());
    }
    served.stop.cancel();
    let given_back = wait_until(DEADLINE, async || {
        let answer = ask(&upgrade, r#"{"parameters":{"agents":[1]}}"#).await?;
        answer.starts_with(b"{").then_some(())
    });
    given_back.await.expect("the module does not answer");
    for client in &mut waiting {
        assert_eq!(client.ask("late").await.unwrap().unwrap(), b"Upgrade late");
    }
    served.words.gate.add_permits(1);
    assert_eq!(busy.receive().await.unwrap().unwrap(), b"Upgrade wait");
    served.ended.await.unwrap().unwrap();
    drop(modulesd);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_and_doctor_say_who_serves() {
    let (home, _modulesd) = manager().await;
    let (ours, theirs) = (json!({TAKE_OVER: true}), json!({}));
    let context = home.context();
    let upgrade = home.upgrade_socket();

    let seen = outlook(&ours, &context).await;
    assert!(seen.problems.is_empty(), "{seen:?}");
    assert_eq!(seen.notes.len(), 2);
    assert!(seen.notes[0].starts_with("upgrade socket /"), "{seen:?}");
    assert!(
        seen.notes[0].contains("wpkd starts it takes it over"),
        "{seen:?}"
    );
    let seen = outlook(&theirs, &context).await;
    assert!(seen.notes.is_empty(), "{seen:?}");
    assert_eq!(seen.problems[0].key, TAKE_OVER);
    assert!(seen.problems[0].message.contains("take_over = true"));
    let checks = examine(&ours, &home).await;
    assert_eq!(checks[0].level, Level::Warning, "{checks:?}");
    let checks = examine(&theirs, &home).await;
    assert_eq!(checks[0].level, Level::Failure, "{checks:?}");
    assert!(checks[0].advice.contains("take_over = true"), "{checks:?}");

    let _source = build(&home, &ours).unwrap();
    for settings in [&ours, &theirs] {
        let seen = outlook(settings, &context).await;
        assert!(
            seen.problems.is_empty(),
            "one that runs is no mistake: {seen:?}"
        );
        let note = format!(
            "upgrade socket {}: served by wpkd, the manager's own module is behind it at {}",
            upgrade.display(),
            home.path("queue/tasks/.upgrade.builtin").display()
        );
        assert_eq!(seen.notes[0], note);
    }
}

#[tokio::test]
async fn check_finds_what_would_stop_the_start() {
    let home = Home::new().unwrap();
    std::fs::write(home.task_socket(), "precious").unwrap();
    let settings = json!({"upgrade": "x".repeat(200), "group": "no-such-group"});
    let seen = outlook(&settings, &home.context()).await;
    let keys: Vec<&str> = (seen.problems.iter())
        .map(|problem| problem.key.as_str())
        .collect();
    assert_eq!(keys, ["upgrade", "task", "group"], "{seen:?}");
}
