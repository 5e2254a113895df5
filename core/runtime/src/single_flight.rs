//! Work that several callers want at the same time is done once: the cache
//! downloads through it, the resolver asks repositories through it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};

/// Work that several wait for, and what knows it while at least one of them does.
type Flight<V> = future::Shared<BoxFuture<'static, V>>;
type Known<V> = future::WeakShared<BoxFuture<'static, V>>;

/// Joins callers that ask for the same key while it is being worked on. A
/// result is not remembered: the next caller after the end starts anew. If all
/// callers go away, the work stops.
pub(crate) struct SingleFlight<K, V: Clone> {
    flights: Mutex<HashMap<K, Known<V>>>,
}

impl<K: Eq + Hash + Clone, V: Clone + Send + Sync + 'static> SingleFlight<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            flights: Mutex::new(HashMap::new()),
        }
    }

    /// Joins the work on `key`, or begins it with `make`.
    pub(crate) async fn run<F>(&self, key: K, make: impl FnOnce() -> F) -> V
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = self.join_or_begin(&key, make);
        let value = flight.clone().await;
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Only a flight that landed is taken away; a newer one stays.
        if flights
            .get(&key)
            .and_then(Known::upgrade)
            .is_none_or(|f| f.peek().is_some())
        {
            flights.remove(&key);
        }
        value
    }

    fn join_or_begin<F>(&self, key: &K, make: impl FnOnce() -> F) -> Flight<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let running = flights
            .get(key)
            .and_then(Known::upgrade)
            .filter(|f| f.peek().is_none());
        running.unwrap_or_else(|| {
            let flight = make().boxed().shared();
            if let Some(weak) = flight.downgrade() {
                flights.insert(key.clone(), weak);
            }
            flight
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn many_callers_share_one_run_and_the_next_starts_anew() {
        let flights = Arc::new(SingleFlight::<&str, usize>::new());
        let runs = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Notify::new());
        let call = || {
            let (flights, runs, gate) = (flights.clone(), runs.clone(), gate.clone());
            tokio::spawn(async move {
                flights
                    .run("key", || async move {
                        let run = runs.fetch_add(1, Ordering::SeqCst);
                        gate.notified().await;
                        run
                    })
                    .await
            })
        };
        let calls: Vec<_> = (0..10).map(|_| call()).collect();
        tokio::task::yield_now().await;
        gate.notify_one();
        for call in calls {
            assert_eq!(call.await.unwrap(), 0);
        }
        gate.notify_one();
        assert_eq!(call().await.unwrap(), 1);
        assert!(flights.flights.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_end_the_work_of_others() {
        let flights = Arc::new(SingleFlight::<u8, u8>::new());
        let gate = Arc::new(Notify::new());
        let begin = |flights: Arc<SingleFlight<u8, u8>>, gate: Arc<Notify>| async move {
            flights
                .run(1, || async move {
                    gate.notified().await;
                    7
                })
                .await
        };
        let first = tokio::spawn(begin(flights.clone(), gate.clone()));
        let second = tokio::spawn(begin(flights.clone(), gate.clone()));
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.is_err());
        gate.notify_one();
        assert_eq!(second.await.unwrap(), 7);
    }
}
