//! What the code under test logs, on the thread of the test.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest, set_default, set_global_default};
use tracing::{Event, Metadata, Subscriber};

/// An event: each field as text, `message` among them.
pub type Fields = BTreeMap<&'static str, String>;

/// The events of a crate, from [`Log::keep`] on.
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

    /// Keeps what this thread logs, for as long as the guard lives.
    ///
    /// Other tests of the process may log the same on threads of their own, where nobody listens.
    /// `tracing` asks once what a line of code may log to, and the answer of a thread without a
    /// subscriber holds for all of them: so that such a thread leaves it open, the process has
    /// a subscriber as well, which listens to nothing.
    pub fn keep(&self) -> DefaultGuard {
        static OTHERS: Once = Once::new();
        OTHERS.call_once(|| {
            let _ = set_global_default(Nobody);
        });
        set_default(Kept(self.clone()))
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

struct Kept(Log);

impl Subscriber for Kept {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target().starts_with(self.0.target)
    }

    fn event(&self, event: &Event<'_>) {
        let mut reader = Reader(Fields::new());
        event.record(&mut reader);
        self.0.kept().push(reader.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Listens to nothing, and has every event ask the subscriber of its own thread.
struct Nobody;

impl Subscriber for Nobody {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
