//! What no single key can tell: ranges, and settings that do not fit together.
//! Pure; whether the files that are named exist is seen at the start.

use std::collections::HashMap;

use serde_json::Value;
use wpk_api::paths;
use wpk_api::settings::Problem;

use super::sections::{CacheSettings, DeliverySettings, PluginSection, Settings, TaskSettings};

/// Every mistake, with its full key.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(delivery(&settings.delivery));
    problems.extend(tasks(&settings.tasks));
    problems.extend(cache(&settings.cache));
    problems.extend(sockets(settings));
    problems.extend(channel(settings));
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

/// Two sources cannot serve one socket.
fn sockets(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut first: HashMap<std::path::PathBuf, String> = HashMap::new();
    for (i, source) in settings.sources.iter().enumerate() {
        for (name, path) in sockets_of(source) {
            let key = format!("source.{i}.{name}");
            if let Some(other) = first.get(&settings.path(path)) {
                problems.push(Problem::new(
                    key,
                    format!("{path:?} is served by {other} already"),
                ));
            } else {
                first.insert(settings.path(path), key);
            }
        }
    }
    problems
}

/// The sockets of a `unix-socket` source: their keys and paths.
fn sockets_of(source: &PluginSection) -> Vec<(&'static str, &str)> {
    let path = |name, default| {
        let path = source
            .settings
            .get(name)
            .map_or(Some(default), Value::as_str);
        path.filter(|path| !path.is_empty())
            .map(|path| (name, path))
    };
    if source.kind != "unix-socket" {
        return Vec::new();
    }
    let both = [
        path("upgrade", paths::UPGRADE_SOCKET),
        path("task", paths::TASK_SOCKET),
    ];
    both.into_iter().flatten().collect()
}

/// The channel is one thing with three sides; none is there without the transport.
fn channel(settings: &Settings) -> Vec<Problem> {
    if settings.transport.kind == "channel" {
        return Vec::new();
    }
    let message = "\"channel\" needs transport.type = \"channel\" as well";
    let mut problems = Vec::new();
    if settings.directory.kind == "channel" {
        problems.push(Problem::new("directory.type", message));
    }
    for (i, source) in settings.sources.iter().enumerate() {
        if source.kind == "channel" {
            problems.push(Problem::new(format!("source.{i}.type"), message));
        }
    }
    problems
}
