//! What all suites share: options, deadlines, and ways to give up a future at
//! every point of its life. The suites enter here; an author needs [`Options`].

use std::any::Any;
use std::fmt;
use std::future::{Ready, poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// No single step of a suite may take longer.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A future is given up after at most this many polls.
const MOST_POLLS: usize = 64;
/// And after this many turns of the scheduler, which is another moment in the
/// life of what runs on threads of its own.
const TURNS: [usize; 6] = [1, 4, 16, 64, 256, 2_048];

/// How a suite is run; the default is right for a plugin that is linked in.
#[derive(Clone)]
pub struct Options {
    leaks: Option<Arc<dyn Fn() -> usize + Send + Sync>>,
    pub(crate) huge: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            leaks: None,
            huge: 64 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("leaks", &self.leaks.is_some())
            .field("huge", &self.huge)
            .finish()
    }
}

impl Options {
    /// For a plugin behind a border: `leaks` says how much crossed it and was
    /// not given back (buffers, streams, calls). It must be 0 soon after the end.
    pub fn counting(leaks: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        Self {
            leaks: Some(Arc::new(leaks)),
            ..Self::default()
        }
    }

    /// The size of the huge file of the provider's suite, in bytes; 64 MiB
    /// unless said otherwise. Below 48 MiB memory is not watched.
    #[must_use]
    pub fn huge(mut self, bytes: usize) -> Self {
        self.huge = bytes;
        self
    }

    /// Everything must have been given back by now, or soon: what was cancelled
    /// may end on another thread.
    pub(crate) async fn no_leaks(&self) {
        let Some(leaks) = &self.leaks else { return };
        let none = crate::wait_until(DEADLINE, || {
            let none = (leaks() == 0).then_some(());
            async move { none }
        });
        assert!(
            none.await.is_some(),
            "{} things crossed the border and were never given back",
            leaks()
        );
    }
}

/// Opens a plugin, again and again on the same data: how a suite restarts it.
/// The suite drops the plugin it had before it asks for the next.
pub struct Opener<T: ?Sized>(Box<dyn Fn() -> BoxFuture<'static, Arc<T>> + Send + Sync>);

impl<T: ?Sized> Opener<T> {
    pub(crate) fn new<F, Fut>(open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Arc<T>> + Send + 'static,
    {
        Self(Box::new(move || Box::pin(open())))
    }

    pub(crate) async fn open(&self) -> Arc<T> {
        within("opening the plugin", (self.0)()).await
    }
}

impl<T: ?Sized> fmt::Debug for Opener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

/// What has to live as long as a plugin is tested: servers, folders.
pub(crate) type Keep = Option<Box<dyn Any + Send + Sync>>;

/// For openers that need not wait: `Stand::new(move || now(build()))`.
pub fn now<T>(value: T) -> Ready<T> {
    ready(value)
}

/// Waits for `future`; the suite fails, naming `what`, if it takes too long.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} took longer than {DEADLINE:?}"),
    }
}

/// The value, or the suite fails with the error.
#[track_caller]
pub(crate) fn ok<T, E: fmt::Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what} failed: {error}"),
    }
}

/// Polls `future` at most `polls` times and then drops it; `None` if it was
/// not done by then.
async fn after_polls<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops `future` after some turns of the scheduler.
async fn after_turns<F: Future>(turns: usize, future: F) -> Option<F::Output> {
    let yields = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        output = future => Some(output),
        () = yields => None,
    }
}

/// Starts `work` again and again and gives it up at another point each time:
/// before its first poll, after each further one, after some turns of the
/// scheduler. `after` looks each time whether all is well.
pub(crate) async fn at_every_point<W, A>(what: &str, work: W, after: A)
where
    W: AsyncFn(),
    A: AsyncFn(),
{
    for polls in 0..MOST_POLLS {
        let done = within(what, after_polls(polls, work())).await.is_some();
        within(what, after()).await;
        if done {
            break;
        }
    }
    for turns in TURNS {
        let done = within(what, after_turns(turns, work())).await.is_some();
        within(what, after()).await;
        if done {
            break;
        }
    }
}

/// Bytes that differ from place to place, so that a lost, doubled or shifted
/// piece is noticed.
pub fn pattern(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32 ^ u32::try_from(length).unwrap_or(1);
    let mut bytes = Vec::with_capacity(length + 4);
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(&state.rotate_left(13).to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// Memory of this process that is really used, in bytes; `None` where the
/// system does not tell.
pub(crate) fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
