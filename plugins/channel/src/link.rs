//! The live connection of one agent as the rest of the channel sees it: a queue
//! of frames to write, the commands that wait for an answer, and a way to end it.
//!
//! Requests enter through [`Link::request`]; the session that owns the socket
//! takes frames from the queue and hands answers back.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use wpk_api::{AgentId, CancellationToken, TransportError};
use wpk_wire::ChannelMessage;

use crate::goodbye::Ending;

/// Frames that may wait for a slow agent; a request waits for room, everything
/// else is left out when there is none.
const QUEUE: usize = 8;

/// Commands of one agent that may wait for answers at a time.
const MOST_WAITING: usize = 64;

/// Commands of one agent that nobody waits for any more and whose late answers
/// are no offence; of the oldest ones beyond it they are.
const MOST_GIVEN_UP: usize = 1_024;

/// One agent's connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) agent: AgentId,
    /// Whether it says in its acknowledgements which task they are about.
    pub(crate) names_tasks: bool,
    /// Whether the agent renews its certificate and learns new CAs.
    pub(crate) renews: bool,
    outgoing: mpsc::Sender<Bytes>,
    streams: Mutex<Streams>,
    over: CancellationToken,
    acknowledging: AtomicBool,
}

#[derive(Debug, Default)]
struct Streams {
    last: u32,
    waiting: HashMap<u32, oneshot::Sender<Bytes>>,
    given_up: VecDeque<u32>,
    ending: Option<Ending>,
}

/// A command under way; its stream id is free again when this is dropped.
struct Call<'a> {
    link: &'a Link,
    stream: u32,
    answer: oneshot::Receiver<Bytes>,
}

/// The one acknowledgement of an agent that may be under way.
#[derive(Debug)]
pub(crate) struct Acknowledging(Arc<Link>);

impl Link {
    /// A link and the end of its queue that the session writes from; `names_tasks`
    /// is what the agent's Hello says.
    pub(crate) fn new(
        agent: AgentId,
        names_tasks: bool,
        renews: bool,
    ) -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let link = Self {
            agent,
            names_tasks,
            renews,
            outgoing,
            streams: Mutex::default(),
            over: CancellationToken::new(),
            acknowledging: AtomicBool::new(false),
        };
        (Arc::new(link), queue)
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn request(
        &self,
        command: Bytes,
        limit: Duration,
    ) -> Result<Bytes, TransportError> {
        let mut call = self.begin()?;
        let message = ChannelMessage::Command {
            stream: call.stream,
            bytes: command,
        };
        let frame = message.encode().map_err(|error| self.refused(error))?;
        let exchange = async {
            self.outgoing.send(frame).await.ok()?;
            (&mut call.answer).await.ok()
        };
        tokio::select! {
            // An answer that is there wins over the end of the connection.
            biased;
            exchanged = tokio::time::timeout(limit, exchange) => match exchanged {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) => Err(self.closed()),
                Err(_) => Err(TransportError::TimedOut(self.agent)),
            },
            () = self.over.cancelled() => Err(self.closed()),
        }
    }

    fn begin(&self) -> Result<Call<'_>, TransportError> {
        let mut streams = self.streams();
        if streams.ending.is_some() {
            drop(streams);
            return Err(self.closed());
        }
        if streams.waiting.len() >= MOST_WAITING {
            return Err(self.refused(format!("{MOST_WAITING} commands already wait for answers")));
        }
        let (sender, answer) = oneshot::channel();
        // Ends, since fewer ids are taken than there are.
        loop {
            streams.last = streams.last.wrapping_add(1).max(1);
            let stream = streams.last;
            if let Entry::Vacant(free) = streams.waiting.entry(stream) {
                free.insert(sender);
                return Ok(Call {
                    link: self,
                    stream,
                    answer,
                });
            }
        }
    }

    /// Hands an answer to whom it belongs; false if nobody ever asked for it. Of
    /// a command that was given up it was asked for, and goes nowhere.
    pub(crate) fn answer(&self, stream: u32, answer: Bytes) -> bool {
        let mut streams = self.streams();
        if let Some(waiting) = streams.waiting.remove(&stream) {
            // Whoever waited may be leaving at this moment.
            let _ = waiting.send(answer);
            return true;
        }
        let late = streams.given_up.iter().position(|known| *known == stream);
        late.is_some_and(|late| streams.given_up.remove(late).is_some())
    }

    /// Puts a frame into the queue; false if there is no room.
    pub(crate) fn send(&self, message: &ChannelMessage) -> bool {
        message
            .encode()
            .is_ok_and(|frame| self.outgoing.try_send(frame).is_ok())
    }

    /// Ends the connection and everything that waits for it. The first ending counts.
    pub(crate) fn end(&self, ending: Ending) {
        let mut streams = self.streams();
        streams.ending.get_or_insert(ending);
        streams.waiting.clear();
        drop(streams);
        self.over.cancel();
    }

    /// Returns when the connection has been ended.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Whether the agent can be reached.
    pub(crate) fn is_live(&self) -> bool {
        !self.over.is_cancelled()
    }

    /// How it ended, if it has.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.streams().ending.clone()
    }

    /// Leave to pass on an acknowledgement; `None` while another is under way.
    pub(crate) fn acknowledge(self: &Arc<Self>) -> Option<Acknowledging> {
        (!self.acknowledging.swap(true, Ordering::AcqRel)).then(|| Acknowledging(Arc::clone(self)))
    }

    fn closed(&self) -> TransportError {
        TransportError::Closed {
            agent: self.agent,
            reason: self.ending().map_or_else(
                || "the connection was closed".to_owned(),
                |ending| ending.to_string(),
            ),
        }
    }

    fn refused(&self, reason: impl ToString) -> TransportError {
        TransportError::Refused {
            agent: self.agent,
            reason: reason.to_string(),
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut streams = self.link.streams();
        if streams.waiting.remove(&self.stream).is_some() {
            if streams.given_up.len() >= MOST_GIVEN_UP {
                streams.given_up.pop_front();
            }
            streams.given_up.push_back(self.stream);
        }
    }
}

impl Drop for Acknowledging {
    fn drop(&mut self) {
        self.0.acknowledging.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn link() -> (Arc<Link>, mpsc::Receiver<Bytes>) {
        Link::new(AgentId::new(7).unwrap(), false, false)
    }

    fn stream_of(frame: &Bytes) -> u32 {
        match ChannelMessage::decode(&frame.slice(4..)).unwrap() {
            ChannelMessage::Command { stream, .. } => stream,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn answers_find_their_commands_in_any_order() {
        let (link, mut queue) = link();
        let other_end = async {
            let first = stream_of(&queue.recv().await.unwrap());
            let second = stream_of(&queue.recv().await.unwrap());
            assert!(link.answer(second, Bytes::from_static(b"second")));
            assert!(link.answer(first, Bytes::from_static(b"first")));
            assert!(!link.answer(first, Bytes::new()), "answered twice");
            assert!(!link.answer(77, Bytes::new()), "never asked");
        };
        let (first, second, ()) = tokio::join!(
            link.request(Bytes::from_static(b"1"), LONG),
            link.request(Bytes::from_static(b"2"), LONG),
            other_end
        );
        assert_eq!(first.unwrap(), "first");
        assert_eq!(second.unwrap(), "second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_or_late_request_leaves_nothing_behind() {
        let (link, mut queue) = link();
        let late = link.request(Bytes::new(), Duration::from_secs(1)).await;
        assert_eq!(late, Err(TransportError::TimedOut(link.agent)));
        let mut request = Box::pin(link.request(Bytes::new(), LONG));
        assert!(futures_poll(request.as_mut()).await.is_none());
        drop(request);
        assert!(link.streams().waiting.is_empty());
        for _ in 0..2 {
            let stream = stream_of(&queue.recv().await.unwrap());
            assert!(link.answer(stream, Bytes::new()), "asked for, only late");
            assert!(!link.answer(stream, Bytes::new()), "but once");
        }
        assert!(link.streams().given_up.is_empty());
    }

    /// Polls once.
    async fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut future = Some(future);
        std::future::poll_fn(|context| {
            let polled = future.take().map(|future| future.poll(context));
            std::task::Poll::Ready(match polled {
                Some(std::task::Poll::Ready(output)) => Some(output),
                _ => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn what_was_given_up_is_not_remembered_for_ever() {
        let (link, _queue) = link();
        for _ in 0..MOST_GIVEN_UP + 1 {
            drop(link.begin().unwrap());
        }
        assert_eq!(link.streams().given_up.len(), MOST_GIVEN_UP);
        assert!(!link.answer(1, Bytes::new()) && link.answer(2, Bytes::new()));
    }

    #[tokio::test]
    async fn the_end_of_a_link_ends_what_waits() {
        let (link, mut queue) = link();
        let (answer, ()) = tokio::join!(link.request(Bytes::new(), LONG), async {
            queue.recv().await.unwrap();
            link.end(Ending::Theirs("gone".into()));
            link.end(Ending::Theirs("gone again".into()));
        });
        let closed = TransportError::Closed {
            agent: link.agent,
            reason: "gone".into(),
        };
        assert_eq!(answer, Err(closed.clone()));
        assert_eq!(link.request(Bytes::new(), LONG).await, Err(closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_makes_requests_wait_but_not_for_ever() {
        let (link, _queue) = link();
        while link.send(&ChannelMessage::Ping) {}
        let answer = link.request(Bytes::new(), LONG).await;
        assert_eq!(answer, Err(TransportError::TimedOut(link.agent)));
    }

    #[tokio::test]
    async fn stream_ids_wrap_around_zero_and_those_in_use() {
        let (link, _queue) = link();
        let first = link.begin().unwrap();
        link.streams().last = u32::MAX - 1;
        let highest = link.begin().unwrap();
        let next = link.begin().unwrap();
        assert_eq!(
            (first.stream, highest.stream, next.stream),
            (1, u32::MAX, 2)
        );
        let calls: Vec<_> = (3..MOST_WAITING).map(|_| link.begin().unwrap()).collect();
        assert!(matches!(link.begin(), Err(TransportError::Refused { .. })));
        drop(calls);
    }

    #[test]
    fn one_acknowledgement_at_a_time() {
        let (link, _queue) = link();
        let first = link.acknowledge();
        assert!(first.is_some() && link.acknowledge().is_none());
        drop(first);
        assert!(link.acknowledge().is_some());
    }
}
