//! The threads. A call to the store becomes a [`Call`], a piece of work with
//! its reply, and goes over a bounded channel to the writer or the readers; both
//! take all that is waiting, up to a bound, into one transaction. While one
//! commit waits for the disk the next calls gather, so that the disk is waited
//! for once per batch and not once per call.

use std::path::PathBuf;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use wpk_api::StoreError;
use wpk_sqlite_file::Place;

use crate::fault::Fault;
use crate::near::Near;
use crate::reserve::Reserve;
use crate::statement::prepared;

/// Calls that may wait in a channel; the next caller waits for a place.
pub(crate) const WAITING: usize = 1024;

/// Calls in one write transaction.
const WRITES_AT_ONCE: usize = 256;

/// Pages in the log from which on it is put back into the file.
const LOG_PAGES: i64 = 1000;

/// Calls in one read transaction; few, so that several readers share a crowd.
const READS_AT_ONCE: usize = 32;

/// What a piece of work is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// New tasks.
    New,
    /// What is there.
    Else,
}

/// A piece of work and the way back to whoever asked.
pub(crate) trait Call: Send {
    /// What it is for.
    fn what(&self) -> What;
    /// Whether somebody still waits for the answer.
    fn wanted(&self) -> bool;
    /// Does it, inside a transaction; may be called again if that is rolled back.
    fn run(&mut self, connection: &Connection) -> Result<(), Fault>;
    /// Notes that it failed.
    fn fail(&mut self, error: StoreError);
    /// Sends what the last `run` or `fail` left.
    fn answer(self: Box<Self>);
}

struct Work<R, W> {
    what: What,
    work: W,
    outcome: Option<Result<R, StoreError>>,
    reply: oneshot::Sender<Result<R, StoreError>>,
}

impl<R, W> Call for Work<R, W>
where
    R: Send,
    W: FnMut(&Connection) -> Result<R, Fault> + Send,
{
    fn what(&self) -> What {
        self.what
    }

    fn wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.outcome = Some(Ok((self.work)(connection)?));
        Ok(())
    }

    fn fail(&mut self, error: StoreError) {
        self.outcome = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        let Self {
            work,
            outcome,
            reply,
            ..
        } = *self;
        // A request of tens of thousands of tasks, which the answer comes instead of.
        drop(work);
        if let Some(outcome) = outcome {
            // Whoever asked may have gone; the work is done all the same.
            drop(reply.send(outcome));
        }
    }
}

/// Sends work to a thread and waits for its outcome. Never hangs: a thread that
/// ends drops the channel and with it every reply.
pub(crate) async fn ask<R, W>(
    thread: Option<&mpsc::Sender<Box<dyn Call>>>,
    what: What,
    work: W,
) -> Result<R, StoreError>
where
    R: Send + 'static,
    W: FnMut(&Connection) -> Result<R, Fault> + Send + 'static,
{
    let closed = || StoreError::Unavailable("it is closed".to_owned());
    let (reply, outcome) = oneshot::channel();
    let call = Box::new(Work {
        what,
        work,
        outcome: None,
        reply,
    });
    thread
        .ok_or_else(closed)?
        .send(call)
        .await
        .map_err(|_| closed())?;
    outcome.await.map_err(|_| closed())?
}

/// Starts a thread.
pub(crate) fn start(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| {
            StoreError::Unavailable(format!("the thread {name} cannot be started: {error}"))
        })
}

/// The thread that writes, until all senders are gone.
pub(crate) struct Writer {
    /// The only connection that writes.
    pub(crate) connection: Connection,
    /// For a disk that is full. It goes after the connection, whose file it has open.
    pub(crate) reserve: Reserve,
    /// Where the file was when it was opened.
    pub(crate) place: Place,
    /// For messages.
    pub(crate) file: PathBuf,
    /// What is to be done.
    pub(crate) calls: mpsc::Receiver<Box<dyn Call>>,
    /// Those who read meanwhile.
    pub(crate) near: Arc<Near>,
}

/// Why a batch did not come through.
enum Broken {
    /// It did not begin: nothing would, now.
    AtBegin(Fault),
    /// It was rolled back as a whole.
    Later(Fault),
}

impl Writer {
    pub(crate) fn run(mut self) {
        while let Some(first) = self.calls.blocking_recv() {
            let mut batch = gather(first, &mut self.calls, WRITES_AT_ONCE);
            // What nobody waits for any more must not be begun: a claim whose
            // caller is gone would be claimed for nobody.
            batch.retain(|call| call.wanted());
            self.carry_out(&mut batch);
            batch.into_iter().for_each(Call::answer);
            self.put_log_back();
        }
    }

    /// Puts what is in the log into the file, once it is much. SQLite itself would do so at
    /// the end of a commit, while the callers wait.
    fn put_log_back(&self) {
        let look = || -> Result<bool, Fault> {
            let mut look = prepared(&self.connection, "PRAGMA wal_checkpoint(NOOP)")?;
            let (pages, back) =
                look.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
            Ok(pages >= LOG_PAGES && back < pages)
        };
        // A log that cannot be looked at now is looked at after the next commit.
        if look().unwrap_or(false) {
            self.make_room();
        }
    }

    /// Leaves an outcome in every call.
    fn carry_out(&self, batch: &mut [Box<dyn Call>]) {
        match self.together(batch) {
            Ok(()) => {}
            Err(Broken::Later(fault)) if batch.len() > 1 || fault.wants_room() => {
                if fault.wants_room() {
                    self.make_room();
                }
                // One call may have taken the others with it (a full disk ends
                // the whole transaction): each gets its own chance.
                for at in 0..batch.len() {
                    let (_, rest) = batch.split_at_mut(at);
                    let Some(call) = rest.first_mut() else { break };
                    match self.alone(call) {
                        Ok(()) => {}
                        Err(Broken::Later(fault)) => call.fail(fault.at(&self.file)),
                        Err(Broken::AtBegin(fault)) => {
                            self.fail(rest, &fault);
                            break;
                        }
                    }
                }
            }
            Err(Broken::AtBegin(fault) | Broken::Later(fault)) => self.fail(batch, &fault),
        }
    }

    /// One call; what is not new gets the room that is kept, if there is no other.
    fn alone(&self, call: &mut Box<dyn Call>) -> Result<(), Broken> {
        let what = call.what();
        let wants_room = |done: &Result<(), Broken>| match done {
            Err(Broken::Later(fault)) => what != What::New && fault.wants_room(),
            _ => false,
        };
        let mut done = self.together(slice::from_mut(call));
        if wants_room(&done) {
            // Others filled the log meanwhile.
            self.make_room();
            done = self.together(slice::from_mut(call));
        }
        if wants_room(&done) && self.reserve.let_go(&self.connection, &self.file) {
            done = self.together(slice::from_mut(call));
        }
        done
    }

    fn fail(&self, batch: &mut [Box<dyn Call>], fault: &Fault) {
        let error = fault.at(&self.file);
        batch.iter_mut().for_each(|call| call.fail(error.clone()));
    }

    /// The log cannot grow. Once what is in it has been put into the file, which has room
    /// for it ([`Reserve::back`]), its space is used again.
    fn make_room(&self) {
        let _writing = self.near.writing();
        if let Err(error) = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        {
            tracing::debug!(%error, "the log of the task store could not be put back");
        }
    }

    /// One transaction around all calls, a savepoint around each if they are several: what
    /// one of them changed before it failed must not stay. One alone needs none, and SQLite
    /// need not keep a copy of every page that it changes.
    fn together(&self, batch: &mut [Box<dyn Call>]) -> Result<(), Broken> {
        if batch.is_empty() {
            return Ok(());
        }
        let _writing = self.near.writing();
        (self.place.check().map_err(Fault::Moved))
            .and_then(|()| say(&self.connection, "BEGIN IMMEDIATE"))
            .map_err(Broken::AtBegin)?;
        let is_new = batch.iter().any(|call| call.what() == What::New);
        let keep = || match is_new {
            true => self.reserve.keep(&self.connection),
            false => Ok(()),
        };
        let done = self
            .each(batch)
            .and_then(|()| keep())
            .and_then(|()| self.reserve.back(&self.connection))
            .and_then(|()| say(&self.connection, "COMMIT"))
            .map_err(Broken::Later);
        if done.is_ok() && is_new {
            self.reserve.kept();
        }
        if done.is_err()
            && !self.connection.is_autocommit()
            && let Err(fault) = say(&self.connection, "ROLLBACK")
        {
            let error = fault.at(&self.file);
            tracing::error!(%error, "a transaction of the task store could not be rolled back");
        }
        done
    }

    fn each(&self, batch: &mut [Box<dyn Call>]) -> Result<(), Fault> {
        if let [alone] = batch {
            return alone.run(&self.connection);
        }
        for call in batch {
            say(&self.connection, "SAVEPOINT one_call")?;
            if let Err(fault) = call.run(&self.connection) {
                if self.connection.is_autocommit() {
                    return Err(fault);
                }
                call.fail(fault.at(&self.file));
                say(&self.connection, "ROLLBACK TO one_call")?;
            }
            say(&self.connection, "RELEASE one_call")?;
        }
        Ok(())
    }
}

/// A thread that reads, until all senders are gone.
pub(crate) struct Reader {
    /// A connection that cannot write.
    pub(crate) connection: Connection,
    /// For messages.
    pub(crate) file: PathBuf,
    /// What is asked; the readers take turns to wait at it.
    pub(crate) calls: Arc<Mutex<mpsc::Receiver<Box<dyn Call>>>>,
}

impl Reader {
    pub(crate) fn run(self) {
        while let Some(batch) = self.next() {
            self.carry_out(batch);
        }
    }

    fn next(&self) -> Option<Vec<Box<dyn Call>>> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let first = calls.blocking_recv()?;
        Some(gather(first, &mut calls, READS_AT_ONCE))
    }

    /// One read transaction, begun after every call was made: each sees all that
    /// was committed before it was called.
    fn carry_out(&self, mut batch: Vec<Box<dyn Call>>) {
        let say = |sql| say(&self.connection, sql).map_err(|fault| fault.at(&self.file));
        if let Err(error) = say("BEGIN") {
            batch.iter_mut().for_each(|call| call.fail(error.clone()));
        } else {
            for call in &mut batch {
                if let Err(fault) = call.run(&self.connection) {
                    call.fail(fault.at(&self.file));
                }
            }
        }
        if !self.connection.is_autocommit()
            && let Err(error) = say("COMMIT")
        {
            // The next BEGIN is refused then and this is tried again; no old
            // state is shown.
            tracing::error!(%error, "a reading transaction of the task store did not end");
        }
        batch.into_iter().for_each(Call::answer);
    }
}

fn gather(
    first: Box<dyn Call>,
    calls: &mut mpsc::Receiver<Box<dyn Call>>,
    at_most: usize,
) -> Vec<Box<dyn Call>> {
    let mut batch = vec![first];
    while batch.len() < at_most {
        match calls.try_recv() {
            Ok(next) => batch.push(next),
            Err(_) => break,
        }
    }
    batch
}

fn say(connection: &Connection, sql: &str) -> Result<(), Fault> {
    prepared(connection, sql)?.execute([])?;
    Ok(())
}
