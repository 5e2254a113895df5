//! What the engine counts and measures, in the text form of OpenMetrics; a test holds that
//! each name is described in `config/monitoring/METRICS.md`. The rooms of the engine write
//! here as things happen; what only is so at a moment `vitals.rs` looks at when somebody
//! asks.

mod rollouts;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use wpk_api::{
    Change, Changed, ObserverError, Revision, StoreResult, TaskObserver, TaskStore, UnixTime,
};
use wpk_wire::{Item, Step, UpgradeCode};

use crate::membership::Membership;

pub(crate) use self::store::Measured;

/// Under which the store keeps how far the changes of tasks are counted.
pub(crate) const READER: &str = "wpkd-metrics";
/// Any other text than those of the protocol.
const OTHER: &str = "other";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    status: String,
    cause: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStep {
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfObserver {
    observer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    call: &'static str,
    ok: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlugin {
    plugin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCertificate {
    certificate: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLife {
    lives: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// One per engine.
pub(crate) struct Metrics {
    registry: Registry,
    created: Counter,
    refused: Family<Code, Counter>,
    ended: Family<Ended, Counter>,
    sent: Counter,
    steps: Family<OfStep, Histogram, fn() -> Histogram>,
    pub(crate) slots: Gauge,
    deliveries: Gauge,
    claimed: Gauge,
    behind: Family<OfObserver, Gauge<i64, AtomicI64>>,
    store_up: Gauge,
    store_seconds: Seconds,
    lease: Seconds,
    nodes: Family<OfLife, Gauge>,
    store_calls: Family<OfCall, Histogram, fn() -> Histogram>,
    oldest: Seconds,
    pub(crate) cache_found: Counter,
    pub(crate) cache_fetched: Counter,
    cache_files: Gauge,
    cache_bytes: Gauge,
    plugins: Family<OfPlugin, Gauge>,
    certificates: Family<OfCertificate, Gauge<f64, AtomicU64>>,
    pub(crate) rollouts: rollouts::Rollouts,
}

/// From a millisecond to more than a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

/// From a tenth of a millisecond to some seconds.
fn short() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 4.0, 9))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("wpkd");
        let steps: Family<OfStep, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(seconds);
        let mut metrics = Self {
            registry: Registry::default(),
            created: Counter::default(),
            refused: Family::default(),
            ended: Family::default(),
            sent: Counter::default(),
            steps,
            slots: Gauge::default(),
            deliveries: Gauge::default(),
            claimed: Gauge::default(),
            behind: Family::default(),
            store_up: Gauge::default(),
            store_seconds: Seconds::default(),
            lease: Seconds::default(),
            nodes: Family::default(),
            store_calls: Family::new_with_constructor(short),
            oldest: Seconds::default(),
            cache_found: Counter::default(),
            cache_fetched: Counter::default(),
            cache_files: Gauge::default(),
            cache_bytes: Gauge::default(),
            plugins: Family::default(),
            certificates: Family::default(),
            rollouts: rollouts::Rollouts::default(),
        };
        let m = &metrics;
        let help = "Upgrade tasks that were made";
        registry.register("tasks_created", help, m.created.clone());
        let help = "Agents of requests that got no task, by the code of the answer";
        registry.register("agents_refused", help, m.refused.clone());
        let help = "Upgrade tasks that ended, or timed out, by status and text";
        registry.register("tasks_ended", help, m.ended.clone());
        let help = "Bytes of WPKs that agents took";
        registry.register_with_unit("wpk_sent", help, Unit::Bytes, m.sent.clone());
        let help = "How long agents took to answer a command";
        registry.register_with_unit("step_duration", help, Unit::Seconds, m.steps.clone());
        let help = "How many agents may be written to at a time now";
        registry.register("slots", help, m.slots.clone());
        let help = "Tasks with a step under way";
        registry.register("deliveries", help, m.deliveries.clone());
        let help =
            "Tasks taken from the queue and not over, those that wait for something included";
        registry.register("tasks_in_hand", help, m.claimed.clone());
        let help = "Changes of tasks that an observer has not heard of";
        registry.register("observer_behind", help, m.behind.clone());
        let help = "1: the task store answered just now, 0: it did not";
        registry.register("store_up", help, m.store_up.clone());
        let help = "How long the task store took to answer just now";
        registry.register_with_unit("store_answer", help, Unit::Seconds, m.store_seconds.clone());
        let help =
            "Until the lease in a shared task store runs out, below 0 where it has; 0 without one";
        registry.register_with_unit("store_lease_left", help, Unit::Seconds, m.lease.clone());
        let help = "Other nodes of a shared task store, by whether their lease lives";
        registry.register("store_nodes", help, m.nodes.clone());
        let help = "How long calls of the task store took";
        registry.register_with_unit("store_call", help, Unit::Seconds, m.store_calls.clone());
        let help = "Age of the oldest task that waits, 0 where none does";
        registry.register_with_unit("queue_age", help, Unit::Seconds, m.oldest.clone());
        let help = "WPKs of repositories that were in the cache when a delivery asked";
        registry.register("cache_found", help, m.cache_found.clone());
        let help = "WPKs of repositories that had to be fetched";
        registry.register("cache_fetched", help, m.cache_fetched.clone());
        let help = "Files in the cache";
        registry.register("cache_files", help, m.cache_files.clone());
        let help = "What they and downloads under way take of cache.max_total";
        registry.register_with_unit("cache_used", help, Unit::Bytes, m.cache_bytes.clone());
        let help = "1: the library answers, 0: it is quarantined until a restart";
        registry.register("plugin_up", help, m.plugins.clone());
        let help = "Days until a certificate ends, below 0 where it has";
        registry.register("certificate_days_left", help, m.certificates.clone());
        m.rollouts.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    /// The agent answered a command.
    pub(crate) fn step(&self, step: Step, took: Duration) {
        let step = OfStep {
            step: step.as_str(),
        };
        self.steps.get_or_create(&step).observe(took.as_secs_f64());
    }

    /// The agent took so much of a WPK.
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }

    /// What an `upgrade` or `upgrade_custom` came to, for one agent.
    pub(crate) fn answered(&self, item: &Item) {
        match item.error.upgrade() {
            Some(UpgradeCode::Success) => drop(self.created.inc()),
            Some(code) => drop(
                self.refused
                    .get_or_create(&Code { code: code.code() })
                    .inc(),
            ),
            None => {}
        }
    }

    /// How many tasks are in hand, and how many of them have a step under way.
    pub(crate) fn in_hand(&self, (claimed, deliveries): (usize, usize)) {
        let number = |n| i64::try_from(n).unwrap_or(i64::MAX);
        self.claimed.set(number(claimed));
        self.deliveries.set(number(deliveries));
    }

    /// The store answered within this time, or did not.
    pub(crate) fn store(&self, took: Option<Duration>) {
        self.store_up.set(i64::from(took.is_some()));
        if let Some(took) = took {
            self.store_seconds.set(took.as_secs_f64());
        }
    }

    /// A call of the store ended.
    pub(crate) fn store_call(&self, call: &'static str, ok: bool, took: Duration) {
        let ok = if ok { "yes" } else { "no" };
        let call = OfCall { call, ok };
        let calls = self.store_calls.get_or_create(&call);
        calls.observe(took.as_secs_f64());
    }

    /// How old the oldest waiting task is, in seconds.
    pub(crate) fn queue_age(&self, seconds: UnixTime) {
        // Exact for every age that a task can have.
        self.oldest.set(seconds as f64);
    }

    /// What lies in the cache.
    pub(crate) fn cache(&self, files: usize, bytes: u64) {
        self.cache_files
            .set(i64::try_from(files).unwrap_or(i64::MAX));
        self.cache_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Whether a library answers.
    pub(crate) fn plugin(&self, plugin: String, up: bool) {
        let plugin = OfPlugin { plugin };
        self.plugins.get_or_create(&plugin).set(i64::from(up));
    }

    /// When these certificates end, in seconds from now; all others are forgotten.
    pub(crate) fn certificates(&self, ends: impl IntoIterator<Item = (String, UnixTime)>) {
        const DAY: f64 = 86_400.0;
        self.certificates.clear();
        for (certificate, seconds) in ends {
            let certificate = OfCertificate { certificate };
            let days = seconds as f64 / DAY;
            self.certificates.get_or_create(&certificate).set(days);
        }
    }

    /// This daemon's place in a store that others share.
    pub(crate) fn place(&self, membership: &Membership) {
        self.lease.set(membership.lease_left().unwrap_or_default());
        let others = membership.others();
        for (lives, nodes) in [("yes", &others.living), ("no", &others.dead)] {
            let number = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
            self.nodes.get_or_create(&OfLife { lives }).set(number);
        }
    }

    /// How many changes an observer has not heard of.
    pub(crate) fn behind(&self, observer: &str, changes: u64) {
        let observer = OfObserver {
            observer: observer.to_owned(),
        };
        let gauge = self.behind.get_or_create(&observer);
        gauge.set(i64::try_from(changes).unwrap_or(i64::MAX));
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Into memory: nothing fails.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// What was before the first start with metrics is not counted.
///
/// # Errors
/// Those of the store.
pub(crate) async fn count_from_now(store: &dyn TaskStore) -> StoreResult<()> {
    if store.place(READER).await? == Revision(0) {
        let newest = store.revision().await?;
        store.set_place(READER, newest).await?;
    }
    Ok(())
}

/// Counts from the feed what became of tasks, whoever said it. Of a store that several
/// daemons share each counts what belongs to its node, so that the sum is true.
pub(crate) struct Count {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) membership: Arc<Membership>,
    pub(crate) node: String,
}

#[async_trait]
impl TaskObserver for Count {
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError> {
        for change in changes {
            let Changed::Task(task) = &change.changed else {
                continue;
            };
            // A verdict on an agent's version comes later, and ends nothing.
            let not_here = self.membership.is_shared() && task.node != self.node;
            if task.status.is_live() || not_here {
                continue;
            }
            let ended = Ended {
                status: task.status.as_str().to_owned(),
                cause: cause(task.error_msg.as_deref()).to_owned(),
            };
            self.metrics.ended.get_or_create(&ended).inc();
        }
        Ok(())
    }
}

/// One of the texts of the protocol: anybody's words would be names without end.
fn cause(text: Option<&str>) -> &'static str {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return "";
    };
    let known = UpgradeCode::ALL.iter().map(|code| code.text());
    known
        .into_iter()
        .find(|known| *known == text)
        .unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybodys_words_make_no_new_name() {
        assert_eq!(cause(None), "");
        assert_eq!(cause(Some("Send open file error")), "Send open file error");
        assert_eq!(cause(Some("a\"} 1\nforged 2")), "other");
    }
}
