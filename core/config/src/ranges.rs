//! What no single key can tell: ranges, and settings of our own sections that do
//! not fit together. Pure; whether the files that are named exist is seen at the
//! start.

use wpk_api::settings::Problem;

use crate::sections::{CacheSettings, DeliverySettings, Settings, TaskSettings};

/// Every mistake, with its full key.
pub(crate) fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(delivery(&settings.delivery));
    problems.extend(tasks(&settings.tasks));
    problems.extend(cache(&settings.cache));
    problems
}

fn delivery(delivery: &DeliverySettings) -> Vec<Problem> {
    let checks = [
        (
            delivery.max_concurrent > 100_000,
            "delivery.max_concurrent",
            "must be 0 to 100000",
        ),
        (
            !(1..=100).contains(&delivery.attempts),
            "delivery.attempts",
            "must be 1 to 100",
        ),
        (
            delivery.timeout.0.as_secs() < 60,
            "delivery.timeout",
            "must be at least \"1m\"",
        ),
        (
            delivery.ready_within.0.as_secs() > 3_600,
            "delivery.ready_within",
            "must be at most \"1h\"",
        ),
        (
            delivery.max_bandwidth.is_some_and(|rate| rate.0 < 1024),
            "delivery.max_bandwidth",
            "must be at least \"1KiB/s\"; leave it out for no limit",
        ),
    ];
    wrong(checks)
}

fn tasks(tasks: &TaskSettings) -> Vec<Problem> {
    let checks = [
        (
            tasks.task_timeout.0.as_secs() == 0,
            "tasks.task_timeout",
            "must be at least 1s",
        ),
        (
            tasks.cleanup_time < tasks.task_timeout,
            "tasks.cleanup_time",
            "must not be below tasks.task_timeout",
        ),
    ];
    wrong(checks)
}

fn wrong<const N: usize>(checks: [(bool, &'static str, &'static str); N]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (wrong, key, message) in checks {
        if wrong {
            problems.push(Problem::new(key, message));
        }
    }
    problems
}

fn cache(cache: &CacheSettings) -> Vec<Problem> {
    wrong([(
        cache.verify_signature && cache.ca_store.is_empty(),
        "cache.ca_store",
        "must name a CA file or folder, since verify_signature is on",
    )])
}
