//! The database as calls use it: where it is, who we are there, and how a call is tried
//! until it is answered or its time is over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::PoolConfig;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_postgres::Row;
use wpk_api::{StoreError, StoreResult};

use crate::fault::Fault;
use crate::place::Place;
use crate::pool::{Borrowed, Maker, Pool, Sql, Values, borrow};
use crate::schema;
use crate::settings::Settings;
use crate::work::{Attempts, Own, Work};

/// More time for each task that a call writes.
const EACH: Duration = Duration::from_millis(1);

/// A database, as one daemon works with it.
pub(crate) struct Database {
    pool: Pool,
    pub(crate) shown: String,
    timeout: Duration,
    own: Arc<Mutex<Option<Own>>>,
    /// Whether the tables are as they must be.
    ready: OnceCell<()>,
}

/// A transaction from its beginning to its end, tried again where that helps. `$rows`: how
/// many tasks it writes.
macro_rules! write {
    ($database:expr, $rows:expr, |$work:ident| $body:expr) => {{
        let database = $database;
        let mut attempts = database.attempts($rows);
        loop {
            let outcome = async {
                let mut $work = database.begin(&attempts).await?;
                let answer = $body.await?;
                $work.commit().await?;
                Ok::<_, Fault>(answer)
            };
            match outcome.await {
                Ok(answer) => break Ok(answer),
                Err(fault) if attempts.again(&fault).await => {}
                Err(fault) => break Err(fault.into_error()),
            }
        }
    }};
}

/// The same, which ends without effect where the answer is `None`.
macro_rules! write_if {
    ($database:expr, $rows:expr, |$work:ident| $body:expr) => {{
        let database = $database;
        let mut attempts = database.attempts($rows);
        loop {
            let outcome = async {
                let mut $work = database.begin(&attempts).await?;
                let answer = $body.await?;
                match answer {
                    Some(_) => $work.commit().await?,
                    None => $work.abandon().await?,
                }
                Ok::<_, Fault>(answer)
            };
            match outcome.await {
                Ok(answer) => break Ok(answer),
                Err(fault) if attempts.again(&fault).await => {}
                Err(fault) => break Err(fault.into_error()),
            }
        }
    }};
}

pub(crate) use {write, write_if};

impl Database {
    /// Connects to nothing yet.
    pub(crate) fn new(
        place: Place,
        settings: &Settings,
        own: Arc<Mutex<Option<Own>>>,
    ) -> Result<Self, StoreError> {
        let shown = place.shown.clone();
        let maker = Maker {
            place,
            schema: settings.schema.clone(),
            prepared: settings.prepared,
        };
        let pool = Pool::builder(maker)
            .config(PoolConfig::new(settings.pool))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self {
            pool,
            shown,
            timeout: settings.timeout.0,
            own,
            ready: OnceCell::new(),
        })
    }

    /// Who we are there, once we entered.
    pub(crate) fn own(&self) -> Option<Own> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.clone()
    }

    /// We entered.
    pub(crate) fn entered(&self, as_whom: Own) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(as_whom);
    }

    pub(crate) fn attempts(&self, rows: usize) -> Attempts {
        let more = EACH.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
        Attempts::within(self.timeout + more)
    }

    /// Whether the tables are there and of our layout, found out once.
    async fn prepared(&self, deadline: Instant) -> Result<(), Fault> {
        let prepare = async || {
            let session = borrow(&self.pool, deadline).await?;
            let schema = &self.pool.manager().schema;
            let prepared = schema::prepare(&session, schema, deadline).await;
            if prepared.is_err() {
                drop(Borrowed::take(session));
            }
            prepared
        };
        self.ready.get_or_try_init(prepare).await.map(|_| ())
    }

    /// Begins a call that writes.
    pub(crate) async fn begin(&self, attempts: &Attempts) -> Result<Work<'_>, Fault> {
        self.begin_as(self.own(), attempts).await
    }

    /// The same as somebody, or as nobody.
    pub(crate) async fn begin_as(
        &self,
        own: Option<Own>,
        attempts: &Attempts,
    ) -> Result<Work<'_>, Fault> {
        self.prepared(attempts.deadline).await?;
        Work::begin(&self.pool, own, attempts.deadline).await
    }

    /// Asks one thing that changes nothing but itself.
    pub(crate) async fn ask(&self, sql: &'static Sql, values: Values<'_>) -> StoreResult<Vec<Row>> {
        let mut attempts = self.attempts(0);
        loop {
            match self.ask_once(sql, values, attempts.deadline).await {
                Ok(rows) => return Ok(rows),
                Err(fault) if attempts.again(&fault).await => {}
                Err(fault) => return Err(fault.into_error()),
            }
        }
    }

    async fn ask_once(
        &self,
        sql: &'static Sql,
        values: Values<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Fault> {
        self.prepared(deadline).await?;
        let mut session = Kept(Some(borrow(&self.pool, deadline).await?));
        session.ask(sql, values, deadline).await
    }
}

/// A connection that is only given back where its question was answered.
struct Kept(Option<Borrowed>);

impl Kept {
    async fn ask(
        &mut self,
        sql: &'static Sql,
        values: Values<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Fault> {
        let gone = || Fault::Lost("the connection is gone".to_owned());
        let session = self.0.as_mut().ok_or_else(gone)?;
        let rows = session.ask(sql, values, deadline).await?;
        self.0 = None;
        Ok(rows)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            drop(Borrowed::take(session));
        }
    }
}
