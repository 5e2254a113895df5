//! Threads that run foreign code. One that never comes back is lost to its
//! plugin, and to nobody else.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::error;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(60);

/// A few threads with one queue. It lives as long as the process.
pub(crate) struct Workers {
    name: &'static str,
    most: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Workers {
    pub(crate) fn new(name: &'static str, most: usize) -> Self {
        Self {
            name,
            most,
            state: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `job` on one of the threads, at once if one is free or may be made.
    pub(crate) fn submit(&'static self, job: Job) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.queue.push_back(job);
        if state.queue.len() <= state.idle {
            self.wake.notify_one();
            return;
        }
        if state.threads == self.most {
            return;
        }
        let thread = std::thread::Builder::new().name(self.name.to_owned());
        match thread.spawn(|| self.work()) {
            Ok(_) => state.threads += 1,
            // The job waits for a thread that is there, or for its deadline.
            Err(error) => error!(%error, "no thread can be started for a plugin"),
        }
    }

    /// Nothing is run any more.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.queue)
        };
        self.wake.notify_all();
        drop(waiting);
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                job();
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (woken, waited) = self
                .wake
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_lost_thread_does_not_stop_the_others() {
        let workers: &'static Workers = Box::leak(Box::new(Workers::new("test", 3)));
        let (_never, blocked) = mpsc::channel::<()>();
        workers.submit(Box::new(move || {
            let _ = blocked.recv();
        }));
        let (send, receive) = mpsc::channel();
        for i in 0..100 {
            let send = send.clone();
            workers.submit(Box::new(move || send.send(i).unwrap()));
        }
        let deadline = Duration::from_secs(20);
        let mut seen: Vec<i32> = (0..100)
            .map(|_| receive.recv_timeout(deadline).unwrap())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert!(workers.lock().threads <= 3);
    }
}
