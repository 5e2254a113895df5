//! What the code under test logs, on the thread of the test.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// An event: each field as text, `message` among them.
pub type Fields = BTreeMap<&'static str, String>;

/// Keeps the events of a crate, from [`tracing::subscriber::set_default`] on.
#[derive(Debug, Clone)]
pub struct Log {
    target: &'static str,
    events: Arc<Mutex<Vec<Fields>>>,
}

impl Log {
    /// Of the crate with this name, underscores in it.
    pub fn of(target: &'static str) -> Self {
        Self {
            target,
            events: Arc::default(),
        }
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Fields> {
        self.kept().clone()
    }

    /// The events with this message.
    pub fn find(&self, message: &str) -> Vec<Fields> {
        let mut events = self.events();
        events.retain(|event| event.get("message").is_some_and(|text| text == message));
        events
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Fields>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reader(Fields);

impl Visit for Reader {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    /// As it is: a writer of logs may not escape it.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Log {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target().starts_with(self.target)
    }

    fn event(&self, event: &Event<'_>) {
        let mut reader = Reader(Fields::new());
        event.record(&mut reader);
        self.kept().push(reader.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
