//! The plugin's own numbers for instances and streams, and when they are closed.
//!
//! A handle is shared by those who use it and by the open operations about it;
//! the plugin is told when the last of them lets go.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whoever tells a plugin that something of its is closed, and counts what is not.
pub(crate) trait Closes: Sync {
    /// The host is done with an instance.
    fn close(&'static self, instance: u64);
    /// The host is done with a stream.
    fn close_stream(&'static self, stream: u64);
    /// What is not closed.
    fn lives(&self) -> &Lives;
}

/// Something of the plugin's that has to be closed.
#[derive(Clone)]
pub(crate) enum Handle {
    None,
    Instance(Arc<InstanceHandle>),
    Stream(Arc<StreamHandle>),
}

impl Handle {
    /// The number to pass to the plugin.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Instance(instance) => instance.number,
            Self::Stream(stream) => stream.number,
        }
    }
}

/// An instance of a plugin.
pub(crate) struct InstanceHandle {
    border: &'static dyn Closes,
    number: u64,
}

impl InstanceHandle {
    pub(crate) fn new(border: &'static dyn Closes, number: u64) -> Arc<Self> {
        border.lives().change(|lives| lives.instances += 1);
        Arc::new(Self { border, number })
    }
}

impl Drop for InstanceHandle {
    fn drop(&mut self) {
        let number = self.number;
        self.border.close(number);
        self.border.lives().change(|lives| lives.instances -= 1);
    }
}

/// An open stream.
pub(crate) struct StreamHandle {
    /// Closed after its streams.
    instance: Arc<InstanceHandle>,
    number: u64,
}

impl StreamHandle {
    pub(crate) fn new(instance: Arc<InstanceHandle>, number: u64) -> Arc<Self> {
        instance.border.lives().change(|lives| lives.streams += 1);
        Arc::new(Self { instance, number })
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        let (number, border) = (self.number, self.instance.border);
        border.close_stream(number);
        border.lives().change(|lives| lives.streams -= 1);
    }
}

/// A trait object that uses an instance.
pub(crate) struct User(&'static dyn Closes);

impl User {
    pub(crate) fn new(border: &'static dyn Closes) -> Arc<Self> {
        border.lives().change(|lives| lives.users += 1);
        Arc::new(Self(border))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.lives().change(|lives| lives.users -= 1);
    }
}

/// What of one library is in use.
#[derive(Default)]
pub(crate) struct Lives {
    counts: Mutex<Counts>,
    changed: Condvar,
}

/// How many there are.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    /// Instances the plugin was not told to close.
    instances: usize,
    /// Streams the plugin was not told to close.
    streams: usize,
    /// Instances somebody uses.
    users: usize,
}

impl Lives {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Instances and streams that are not closed.
    pub(crate) fn count(&self) -> usize {
        let counts = self.lock();
        counts.instances + counts.streams
    }

    /// Waits until no instance is left over that nobody uses: operations that
    /// were given up keep theirs until they end.
    pub(crate) fn wait(&self, most: Duration) {
        let left_over = |counts: &mut Counts| counts.instances > counts.users;
        // Whether it came to that or not, the caller goes on.
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), most, left_over);
    }
}
