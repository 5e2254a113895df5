//! One call that writes: a transaction that begins with the question whether this daemon
//! may still write, and ends with everything that changed, sent in one journey together
//! with the COMMIT.
//!
//! # The order of changes
//!
//! A change that can be seen must have none before it that cannot. Numbers from a sequence
//! do not give that: whoever drew the lower one may commit later; and a counter that each
//! transaction holds until it has committed makes them commit one after the other, each
//! waiting for the disk alone. So a change is written without its revision, and whoever
//! reads the feed first numbers what has been committed since (`number_changes` in
//! `schema.rs`): one after the other, by a row that only readers hold. Changes of one task
//! keep their order, since its row is locked from the decision to the commit.
//!
//! # A commit whose answer is lost
//!
//! Each transaction knows its own number and has drawn a mark, which stands in the changes
//! it makes. If the connection is lost while it is being committed, another one is asked
//! what became of the number, and whether the mark is there: the mark alone would say
//! nothing while the transaction is still under way, and the number alone could be another's
//! after a server that crashed started again.

use std::time::Duration;

use futures_util::future::{join3, join4};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use wpk_api::{Incarnation, UnixTime};

use crate::fault::Fault;
use crate::pending::Pending;
use crate::pool::{Borrowed, Pool, Sql, Values, borrow};
use crate::schema::LAYOUT;

/// How often a call is tried that others were in the way of.
const ATTEMPTS: u32 = 6;
/// Between two questions about a transaction that is still under way.
const PAUSE: Duration = Duration::from_millis(25);

/// Under which name, and in which run, a daemon entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) node: String,
    pub(crate) incarnation: Incarnation,
}

/// What is so of one transaction. `synchronous_commit` may be stronger than `on`, never
/// weaker. A daemon that stands still in the middle of a transaction must not hold up the
/// others: the server ends it.
static BEGIN: Sql = Sql {
    text: "SELECT pg_current_xact_id()::text, floor(extract(epoch FROM clock_timestamp()))::int8, \
           pg_postmaster_start_time()::text, a.layout, \
           (SELECT coalesce(max(seq), 0) FROM @changes), \
           set_config('statement_timeout', $1, true), \
           set_config('idle_in_transaction_session_timeout', $1, true), \
           set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') \
               IN ('on', 'remote_apply') THEN current_setting('synchronous_commit') \
               ELSE 'on' END, true) \
           FROM @about a",
    types: &[Type::TEXT],
};

/// Whoever enters under the same name waits for us, or has shut us out.
static FENCE: Sql = Sql {
    text: "SELECT incarnation FROM @nodes WHERE node = $1 FOR SHARE",
    types: &[Type::TEXT],
};

static BECAME: Sql = Sql {
    text: "SELECT pg_xact_status($1::text::xid8), pg_postmaster_start_time()::text, \
           EXISTS (SELECT 1 FROM @changes WHERE seq > $2 AND mark = $3)",
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// Until when, and how often, a call is tried.
pub(crate) struct Attempts {
    pub(crate) deadline: Instant,
    left: u32,
    lost: bool,
}

impl Attempts {
    /// As many as a call gets in that time.
    pub(crate) fn within(limit: Duration) -> Self {
        Self {
            deadline: Instant::now() + limit,
            left: ATTEMPTS,
            lost: false,
        }
    }

    /// Whether the same is tried again: once on another connection, some times where others
    /// were in the way.
    pub(crate) async fn again(&mut self, fault: &Fault) -> bool {
        let again = match fault {
            Fault::Lost(_) => !std::mem::replace(&mut self.lost, true),
            Fault::Again(_) => {
                self.left -= 1;
                sleep(Duration::from_millis(u64::from(ATTEMPTS - self.left) * 7)).await;
                self.left > 0
            }
            _ => false,
        };
        again && Instant::now() < self.deadline
    }
}

/// A transaction under way. Dropped before its end it closes the connection, and nothing
/// of it took effect.
pub(crate) struct Work<'s> {
    pool: &'s Pool,
    session: Option<Borrowed>,
    deadline: Instant,
    /// The store's clock at the beginning.
    pub(crate) now: UnixTime,
    /// Who this daemon is, if it entered.
    pub(crate) own: Option<Own>,
    number: String,
    started: String,
    /// The newest change that could be seen then.
    before: i64,
    mark: i64,
    /// What changes when it is committed.
    pub(crate) pending: Pending,
}

impl<'s> Work<'s> {
    /// Begins, if this daemon may still write.
    pub(crate) async fn begin(
        pool: &'s Pool,
        own: Option<Own>,
        deadline: Instant,
    ) -> Result<Work<'s>, Fault> {
        let session = borrow(pool, deadline).await?;
        let mut work = Self {
            pool,
            session: Some(session),
            deadline,
            now: 0,
            own,
            number: String::new(),
            started: String::new(),
            before: 0,
            mark: rand::random(),
            pending: Pending::default(),
        };
        timeout_at(deadline, work.start())
            .await
            .unwrap_or_else(|_| Err(Fault::silent()))?;
        Ok(work)
    }

    async fn start(&mut self) -> Result<(), Fault> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let millis = left.as_millis().max(1).to_string();
        let node = self.own.as_ref().map(|own| own.node.clone());
        let session = self.session()?;
        let (begin, fence) = (session.ready(&BEGIN).await?, session.ready(&FENCE).await?);
        let (begun, told, fence) = join3(
            async { Ok::<_, Fault>(session.client.batch_execute("BEGIN").await?) },
            session.send(&begin, &[&millis]),
            session.send(&fence, &[&node]),
        )
        .await;
        let (told, fence): (Vec<Row>, Vec<Row>) = begun.and_then(|()| Ok((told?, fence?)))?;
        let told = told
            .first()
            .ok_or_else(|| nonsense("its row `about` is gone"))?;
        let layout: i32 = told.try_get(3)?;
        if layout != LAYOUT {
            return Err(crate::schema::unknown(layout));
        }
        self.number = told.try_get(0)?;
        self.now = told.try_get(1)?;
        self.started = told.try_get(2)?;
        self.before = told.try_get(4)?;
        let Some(own) = &self.own else {
            return Ok(());
        };
        match fence
            .first()
            .map(|row| row.try_get::<_, i64>(0))
            .transpose()?
        {
            Some(found) if found.unsigned_abs() == own.incarnation => Ok(()),
            found => Err(shut_out(own, found)),
        }
    }

    fn session(&mut self) -> Result<&mut Borrowed, Fault> {
        let ended = || Fault::Unavailable("the transaction has ended".to_owned());
        self.session.as_mut().ok_or_else(ended)
    }

    /// The time that counts for a caller's: ours, once it entered.
    pub(crate) fn time(&self, callers: UnixTime) -> UnixTime {
        match self.own {
            Some(_) => self.now,
            None => callers,
        }
    }

    /// The schema of the tables.
    pub(crate) fn schema(&self) -> &str {
        &self.pool.manager().schema
    }

    /// Whose name this daemon entered under.
    pub(crate) fn node(&self) -> Option<&str> {
        self.own.as_ref().map(|own| own.node.as_str())
    }

    /// In which incarnation it did; 0 where it never did.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.own.as_ref().map_or(0, |own| own.incarnation)
    }

    /// Asks one thing inside it.
    pub(crate) async fn ask(
        &mut self,
        sql: &'static Sql,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let deadline = self.deadline;
        self.session()?.ask(sql, values, deadline).await
    }

    /// Ends it without effect; the connection can be used again.
    pub(crate) async fn abandon(mut self) -> Result<(), Fault> {
        let deadline = self.deadline;
        let session = self.session()?;
        timeout_at(deadline, session.client.batch_execute("ROLLBACK"))
            .await
            .map_err(|_| Fault::silent())??;
        self.session = None;
        Ok(())
    }

    /// Ends it with everything that is pending.
    pub(crate) async fn commit(mut self) -> Result<(), Fault> {
        let deadline = self.deadline;
        let pending = std::mem::take(&mut self.pending);
        let mark = self.mark;
        let told = pending.is_told();
        let session = self.session()?;
        let prepared = timeout_at(deadline, pending.prepare(session)).await;
        let ready = prepared.unwrap_or_else(|_| Err(Fault::silent()))?;
        let connection = &*session;
        let all = join4(
            pending.tasks(connection, &ready),
            pending.timeline(connection, &ready),
            pending.feed(connection, &ready, mark),
            async { Ok::<_, Fault>(connection.client.batch_execute("COMMIT").await?) },
        );
        let ended = match timeout_at(deadline, all).await {
            Ok((tasks, timeline, feed, commit)) => tasks.and(timeline).and(feed).and(commit),
            Err(_) => Err(Fault::Lost(
                "the database did not answer in time".to_owned(),
            )),
        };
        match ended {
            Ok(()) => {
                self.session = None;
                Ok(())
            }
            Err(Fault::Lost(why)) => {
                self.close();
                self.ask_what_became(&why, told).await
            }
            // The server ended it without effect, and is ready for the next.
            Err(fault) => {
                self.session = None;
                Err(fault)
            }
        }
    }

    fn close(&mut self) {
        if let Some(session) = self.session.take() {
            drop(Borrowed::take(session));
        }
    }

    /// Finds out, on another connection, whether it was committed.
    async fn ask_what_became(&self, why: &str, told: bool) -> Result<(), Fault> {
        let until = Instant::now() + SETTLED;
        let uncertain = |more: &str| {
            Fault::Uncertain(format!("{why} while it was being committed, and {more}"))
        };
        loop {
            let asked = async {
                let mut session = borrow(self.pool, until).await?;
                let values: Values<'_> = &[&self.number, &self.before, &self.mark];
                let rows = session.ask(&BECAME, values, until).await;
                if rows.is_err() {
                    drop(Borrowed::take(session));
                }
                rows
            };
            let became = match asked.await {
                Ok(rows) => match rows.first() {
                    Some(row) => self.read(row, told)?,
                    None => Some(Became::Unknown),
                },
                // Only a server that was started anew can know of no such number yet: then
                // what was done under it is gone.
                Err(Fault::Nonsense(text)) if text.contains("22023") => Some(Became::Nothing),
                Err(fault) if Instant::now() >= until => {
                    return Err(uncertain(&fault.into_error().to_string()));
                }
                Err(_) => None,
            };
            match became {
                Some(Became::Committed) => return Ok(()),
                Some(Became::Nothing) => {
                    return Err(Fault::Lost(format!(
                        "{why}; nothing of the call took effect"
                    )));
                }
                Some(Became::Unknown) => {
                    return Err(uncertain("the server was started anew since"));
                }
                None if Instant::now() >= until => {
                    return Err(uncertain("it is still under way"));
                }
                None => sleep(PAUSE).await,
            }
        }
    }

    fn read(&self, row: &Row, told: bool) -> Result<Option<Became>, Fault> {
        let status: Option<String> = row.try_get(0)?;
        let same_server = row.try_get::<_, String>(1)? == self.started;
        if row.try_get(2)? {
            return Ok(Some(Became::Committed));
        }
        Ok(match status.as_deref() {
            Some("aborted") => Some(Became::Nothing),
            Some("in progress") if same_server => None,
            Some("committed") if same_server => Some(Became::Committed),
            // A crash has ended it; what has its number now is another's.
            Some("in progress") => Some(Became::Nothing),
            Some("committed") if told => Some(Became::Nothing),
            _ => Some(Became::Unknown),
        })
    }
}

enum Became {
    Committed,
    Nothing,
    Unknown,
}

/// How long the question what became of a transaction may take.
const SETTLED: Duration = Duration::from_millis(1_900);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// This daemon's name belongs to a later one.
pub(crate) fn shut_out(own: &Own, found: Option<i64>) -> Fault {
    let by = match found {
        Some(later) => format!("incarnation {later} has entered since"),
        None => "it was forgotten".to_owned(),
    };
    Fault::Fenced(format!(
        "node {:?} was entered here as incarnation {}, and {by}",
        own.node, own.incarnation
    ))
}

fn nonsense(what: &str) -> Fault {
    Fault::Nonsense(what.to_owned())
}
