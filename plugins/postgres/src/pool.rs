//! Connections: made when they are needed, kept for the next call, and thrown away as soon
//! as anything about them is in doubt. What is generic about it is `deadpool`'s; what the
//! driver's own pool (`deadpool-postgres`) would add is the cache of statements below, and
//! it could not read the password anew for each connection.

use std::collections::HashMap;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::fault::{Fault, unreachable};
use crate::place::Place;
use crate::tls::Rustls;

/// What a statement is given.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement: `@` stands for the schema.
pub(crate) struct Sql {
    pub(crate) text: &'static str,
    pub(crate) types: &'static [Type],
}

/// A statement, ready to be sent in one journey.
pub(crate) enum Ready {
    Prepared(Statement),
    /// Where nothing can be prepared: it is planned each time.
    Text(String, &'static [Type]),
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// By the address of their texts, which live as long as the program.
    statements: HashMap<usize, Statement>,
    schema: String,
    prepared: bool,
    works: JoinHandle<()>,
}

/// Without a farewell: whoever drops a connection in the middle of something must not wait
/// for a server that is silent.
impl Drop for Connection {
    fn drop(&mut self) {
        self.works.abort();
    }
}

impl Connection {
    /// A new connection.
    pub(crate) async fn open(place: &Place, schema: &str, prepared: bool) -> Result<Self, Fault> {
        let config = place.config()?;
        let shown = &place.shown;
        let dial = async {
            match &place.tls {
                Some(trusted) => {
                    let (client, connection) = config.connect(Rustls(trusted.clone())).await?;
                    Ok((client, tokio::spawn(serve(connection))))
                }
                None => {
                    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                    Ok((client, tokio::spawn(serve(connection))))
                }
            }
        };
        let (client, works) = timeout(place.connect_timeout, dial)
            .await
            .map_err(|_| Fault::Unavailable(format!("{shown}: no connection came about in time")))?
            .map_err(|error| unreachable(&error, shown))?;
        Ok(Self {
            client,
            statements: HashMap::new(),
            schema: format!("\"{schema}\"."),
            prepared,
            works,
        })
    }

    /// The text of a statement with its schema.
    pub(crate) fn spelled(&self, text: &str) -> String {
        text.replace('@', &self.schema)
    }

    /// Makes a statement ready, by a journey to the server where it is new to it.
    pub(crate) async fn ready(&mut self, sql: &'static Sql) -> Result<Ready, Fault> {
        let text = || sql.text.replace('@', &self.schema);
        if !self.prepared {
            return Ok(Ready::Text(text(), sql.types));
        }
        let key = sql.text.as_ptr() as usize;
        if let Some(statement) = self.statements.get(&key) {
            return Ok(Ready::Prepared(statement.clone()));
        }
        let statement = self.client.prepare_typed(&text(), sql.types).await?;
        self.statements.insert(key, statement.clone());
        Ok(Ready::Prepared(statement))
    }

    /// Sends a statement; several go in one journey if their futures are polled in turn.
    pub(crate) async fn send(&self, ready: &Ready, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        let answer = match ready {
            Ready::Prepared(statement) => self.client.query(statement, values).await,
            Ready::Text(text, types) => {
                let typed: Vec<_> = (values.iter().copied())
                    .zip(types.iter().cloned())
                    .collect();
                self.client.query_typed(text, &typed).await
            }
        };
        Ok(answer?)
    }

    /// Asks one thing.
    pub(crate) async fn ask(
        &mut self,
        sql: &'static Sql,
        values: Values<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Fault> {
        let asked = async {
            let ready = self.ready(sql).await?;
            self.send(&ready, values).await
        };
        timeout_at(deadline, asked)
            .await
            .unwrap_or_else(|_| Err(Fault::silent()))
    }
}

/// Carries what is said, until the connection ends; why it ended is told by the calls on it.
async fn serve(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(error = %crate::fault::told(&error), "a connection to the database ended");
    }
}

/// Makes connections, and says which can be used again.
pub(crate) struct Maker {
    pub(crate) place: Place,
    pub(crate) schema: String,
    pub(crate) prepared: bool,
}

impl managed::Manager for Maker {
    type Type = Connection;
    type Error = Fault;

    async fn create(&self) -> Result<Connection, Fault> {
        Connection::open(&self.place, &self.schema, self.prepared).await
    }

    /// Costs no journey: what broke since is found by the next call, which may take another.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Fault> {
        match connection.client.is_closed() {
            true => Err(RecycleError::message("closed")),
            false => Ok(()),
        }
    }
}

/// All connections of a store.
pub(crate) type Pool = managed::Pool<Maker>;
/// One of them, given back when it is dropped.
pub(crate) type Borrowed = managed::Object<Maker>;

/// A connection for a call, waited for until the deadline.
pub(crate) async fn borrow(pool: &Pool, deadline: Instant) -> Result<Borrowed, Fault> {
    match timeout_at(deadline, pool.get()).await {
        Ok(Ok(borrowed)) => Ok(borrowed),
        Ok(Err(managed::PoolError::Backend(fault))) => Err(fault),
        Ok(Err(_)) => Err(Fault::Unavailable("the store is closed".to_owned())),
        Err(_) => Err(Fault::Unavailable(
            "no connection to the database became free in time; make store.pool larger".to_owned(),
        )),
    }
}
