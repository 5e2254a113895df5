//! Results that are none.

use crate::stand::Stand;
use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        an_empty_result,
        "an installer ran",
        "upgrade_result is empty",
        "Failed: Upgrade failed: upgrade_result is empty (a full disk?); works"
    ),
    check!(
        a_result_of_other_words,
        "an installer ran",
        "upgrade_result says something else",
        "Failed: Upgrade failed: upgrade_result cannot be read, or says neither 0, 1 nor 2; works"
    ),
    check!(
        a_folder_as_result,
        "an installer ran",
        "upgrade_result is a folder",
        "Failed: Upgrade failed: upgrade_result cannot be read, or says neither 0, 1 nor 2; works"
    ),
    check!(
        a_pipe_as_result,
        "an installer ran",
        "upgrade_result is a pipe",
        "Failed: Upgrade failed: upgrade_result is empty (a full disk?); works"
    ),
    check!(
        an_empty_result_from_before,
        "the agent starts",
        "an empty upgrade_result was left",
        "Failed: Upgrade failed: upgrade_result is empty (a full disk?); works"
    ),
];

async fn after(script: &str) -> String {
    let stand = Stand::start("").await;
    assert_eq!(stand.install(script).await.0, 0);
    told_and_works(&stand).await
}

async fn told_and_works(stand: &Stand) -> String {
    let told = stand.told().await;
    assert_eq!(stand.clear().await, 0);
    format!("{told}; {}", stand.works().await)
}

async fn an_empty_result() -> String {
    after(": > var/upgrade/upgrade_result").await
}

async fn a_result_of_other_words() -> String {
    after("echo failed > var/upgrade/upgrade_result").await
}

async fn a_folder_as_result() -> String {
    after("mkdir -p var/upgrade/upgrade_result/deep").await
}

async fn a_pipe_as_result() -> String {
    after("mkfifo var/upgrade/upgrade_result").await
}

async fn an_empty_result_from_before() -> String {
    let stand = Stand::start_after("", |home| {
        std::fs::write(home.join("var/upgrade/upgrade_result"), "").unwrap();
    })
    .await;
    told_and_works(&stand).await
}
