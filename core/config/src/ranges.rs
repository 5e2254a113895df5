//! What no single key can tell: ranges, and settings of our own sections that do
//! not fit together. Pure; whether the files that are named exist is seen at the
//! start.

use wpk_api::settings::{ByteSize, Problem, Problems, Span};

use crate::sections::{CacheSettings, DeliverySettings, Settings, TaskSettings};

/// The longest time that can be written, 100 years.
const LONGEST: Span = Span::seconds(100 * 365 * 86_400);

/// Every mistake, with its full key.
pub(crate) fn check(settings: &Settings) -> Vec<Problem> {
    let sections = [
        ("cache", cache(&settings.cache)),
        ("delivery", delivery(&settings.delivery)),
        ("tasks", tasks(&settings.tasks)),
    ];
    let inside = |(section, problems): (&'static str, Problems)| {
        let found = problems.found().into_iter();
        found.map(move |problem| problem.inside(section))
    };
    sections.into_iter().flat_map(inside).collect()
}

fn cache(cache: &CacheSettings) -> Problems {
    let mut problems = Problems::new();
    // With 0 every file would be refused.
    let max_size = ByteSize(1)..=ByteSize(1 << 62);
    problems.in_range("max_size", cache.max_size, max_size);
    problems
}

fn delivery(delivery: &DeliverySettings) -> Problems {
    let mut problems = Problems::new();
    let memory = ByteSize(1 << 20)..=ByteSize(1 << 40);
    problems.in_range("max_memory", delivery.max_memory, memory);
    problems.in_range("attempts", delivery.attempts, 1..=100);
    problems.in_range("timeout", delivery.timeout, Span::seconds(60)..=LONGEST);
    let ready_within = Span::seconds(0)..=Span::seconds(3_600);
    problems.in_range("ready_within", delivery.ready_within, ready_within);
    if delivery.max_bandwidth.is_some_and(|rate| rate.0 < 1024) {
        let message = "must be at least \"1KiB/s\"; leave it out for no limit";
        problems.add("max_bandwidth", message);
    }
    problems
}

fn tasks(tasks: &TaskSettings) -> Problems {
    let mut problems = Problems::new();
    let task_timeout = Span::seconds(1)..=LONGEST;
    problems.in_range("task_timeout", tasks.task_timeout, task_timeout);
    let confirm_within = Span::seconds(1)..=Span::seconds(86_400);
    problems.in_range("confirm_within", tasks.confirm_within, confirm_within);
    problems
}

/// Two keys of a section that do not fit together.
pub(crate) struct Relation {
    pub(crate) section: &'static str,
    /// Both, in full.
    pub(crate) keys: [&'static str; 2],
    /// At the first of them.
    pub(crate) problem: Problem,
}

/// What is wrong with two keys, neither of which is wrong alone.
pub(crate) fn relations(settings: &Settings) -> Vec<Relation> {
    let (tasks, cache) = (&settings.tasks, &settings.cache);
    let mut found = Vec::new();
    let mut check = |bad, section, keys: [&'static str; 2], message: &str| {
        if bad {
            found.push(Relation {
                section,
                keys,
                problem: Problem::new(keys[0], message),
            });
        }
    };
    check(
        tasks.cleanup_time < tasks.task_timeout,
        "tasks",
        ["tasks.cleanup_time", "tasks.task_timeout"],
        "must not be below tasks.task_timeout",
    );
    check(
        cache.verify_signature && cache.ca_store.is_empty(),
        "cache",
        ["cache.ca_store", "cache.verify_signature"],
        "must name a CA file or folder, since verify_signature is on",
    );
    check(
        cache.total() < cache.max_size.0,
        "cache",
        ["cache.max_total", "cache.max_size"],
        "must not be below cache.max_size",
    );
    found
}
