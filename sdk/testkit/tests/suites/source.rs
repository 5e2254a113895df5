//! Sources that are reached through pipes in memory.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use wpk_api::{
    CancellationToken, Endpoint, Peer, Request, RequestService, RequestSource, SourceError,
};
use wpk_testkit::source_suite::{self, SourceClient, Stand};
use wpk_testkit::suite::now;

use super::{complains, verdict};

const MOST: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// No fault where only reports come in.
    AnswersNothing,
    HandsOnTwice,
    OneClientAtATime,
    OneRequestAtATime,
    WrongPeer,
    WrongEndpoint,
    NoLimit,
    Greets,
    NeverStops,
    DropsAnswersAtStop,
    ServesOnWhenDropped,
}

/// One connection, both ends.
struct Pipe {
    endpoint: Endpoint,
    requests: mpsc::UnboundedReceiver<Bytes>,
    answers: mpsc::UnboundedSender<Bytes>,
}

struct End {
    requests: mpsc::UnboundedSender<Bytes>,
    answers: mpsc::UnboundedReceiver<Bytes>,
}

#[async_trait]
impl SourceClient for End {
    async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let request = Bytes::copy_from_slice(request);
        let sent = self.requests.send(request);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    async fn begin(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.answers.recv().await.map(|answer| answer.to_vec()))
    }
}

/// Where clients knock; the open source listens.
type Door = Arc<Mutex<Option<mpsc::UnboundedSender<Pipe>>>>;

struct Piped {
    fault: Fault,
    knocks: Mutex<Option<mpsc::UnboundedReceiver<Pipe>>>,
}

#[async_trait]
impl RequestSource for Piped {
    async fn serve(
        &self,
        service: Arc<dyn RequestService>,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let mut knocks = self.knocks.lock().unwrap().take().unwrap();
        let fault = self.fault;
        let end = match fault {
            Fault::NeverStops => CancellationToken::new(),
            _ => stop.child_token(),
        };
        let _ended = (fault != Fault::ServesOnWhenDropped).then(|| end.clone().drop_guard());
        let tracker = TaskTracker::new();
        let turn = Arc::new(Semaphore::new(match fault {
            Fault::OneRequestAtATime => 1,
            _ => 1_000,
        }));
        let accepting = {
            let (tracker, end) = (tracker.clone(), end.clone());
            tokio::spawn(async move {
                while let Some(Some(pipe)) = end.run_until_cancelled(knocks.recv()).await {
                    let serving = converse(fault, pipe, service.clone(), end.clone(), turn.clone());
                    match fault {
                        Fault::OneClientAtATime => serving.await,
                        _ => drop(tracker.spawn(serving)),
                    }
                }
            })
        };
        accepting.await.unwrap();
        tracker.close();
        if fault != Fault::DropsAnswersAtStop {
            let _ = tokio::time::timeout(Duration::from_secs(5), tracker.wait()).await;
        }
        Ok(())
    }
}

async fn converse(
    fault: Fault,
    mut pipe: Pipe,
    service: Arc<dyn RequestService>,
    end: CancellationToken,
    turn: Arc<Semaphore>,
) {
    if fault == Fault::Greets {
        let _ = pipe.answers.send("welcome".into());
    }
    while let Some(Some(payload)) = end.run_until_cancelled(pipe.requests.recv()).await {
        if payload.is_empty() || payload.len() > MOST && fault != Fault::NoLimit {
            return;
        }
        let _turn = turn.acquire().await.unwrap();
        let request = Request {
            endpoint: match fault {
                Fault::WrongEndpoint => Endpoint::Task,
                _ => pipe.endpoint,
            },
            peer: match fault {
                Fault::WrongPeer => Peer::Unknown,
                _ => Peer::Local { uid: 7 },
            },
            payload,
        };
        if fault == Fault::HandsOnTwice {
            service.call(request.clone()).await;
        }
        let call = service.call(request);
        let answer = match fault {
            Fault::DropsAnswersAtStop => end.run_until_cancelled(call).await.flatten(),
            _ => call.await,
        };
        if fault == Fault::AnswersNothing {
            continue;
        }
        let Some(answer) = answer else { return };
        if pipe.answers.send(answer).is_err() || end.is_cancelled() {
            return;
        }
    }
}

fn run(fault: Fault) -> String {
    verdict(move || async move { source_suite::run(async || stand(fault)).await })
}

fn run_one_way(fault: Fault) -> String {
    verdict(move || async move { source_suite::one_way::run(async || stand(fault)).await })
}

fn stand(fault: Fault) -> Stand {
    let door = Door::default();
    let outside = Arc::clone(&door);
    Stand::new(
        Peer::Local { uid: 7 },
        move || {
            let (knock, knocks) = mpsc::unbounded_channel();
            *door.lock().unwrap() = Some(knock);
            now(Arc::new(Piped {
                fault,
                knocks: Mutex::new(Some(knocks)),
            }) as Arc<dyn RequestSource>)
        },
        move |endpoint| {
            let (requests, arriving) = mpsc::unbounded_channel();
            let (answering, answers) = mpsc::unbounded_channel();
            let pipe = Pipe {
                endpoint,
                requests: arriving,
                answers: answering,
            };
            let knock = outside.lock().unwrap().clone();
            let opened = knock.is_some_and(|knock| knock.send(pipe).is_ok());
            now(match opened {
                true => Ok(Box::new(End { requests, answers }) as Box<dyn SourceClient>),
                false => Err(io::ErrorKind::ConnectionRefused.into()),
            })
        },
    )
    .max_request(MOST)
}

#[test]
fn a_good_source_passes() {
    assert_eq!(run(Fault::None), "");
}

#[test]
fn bad_sources_are_found_out() {
    complains(&run(Fault::OneClientAtATime), "an answer took longer");
    complains(&run(Fault::OneRequestAtATime), "on their way to the engine");
    complains(&run(Fault::WrongPeer), "Unknown");
    complains(&run(Fault::WrongEndpoint), "the answer should be");
    complains(&run(Fault::NoLimit), "100001 bytes were answered");
    complains(&run(Fault::Greets), "the answer should be");
    complains(&run(Fault::NeverStops), "the end of a stopped source");
    complains(&run(Fault::DropsAnswersAtStop), "the answer should be");
    complains(&run(Fault::ServesOnWhenDropped), "still answers");
}

#[test]
fn sources_of_reports_are_judged_too() {
    assert_eq!(run_one_way(Fault::AnswersNothing), "");
    complains(&run_one_way(Fault::HandsOnTwice), "reaches the engine once");
    complains(
        &run_one_way(Fault::OneClientAtATime),
        "on their way to the engine",
    );
    complains(
        &run_one_way(Fault::NeverStops),
        "the end of a stopped source",
    );
}
