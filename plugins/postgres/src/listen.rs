//! News from other nodes: who changes something that another could claim says so with
//! NOTIFY, and a connection of its own LISTENs. It is a wake-up and nothing else: one that
//! is lost costs at most [`PAUSE`], and what counts is always read from the tables.
//!
//! NOTIFY makes the server commit one after the other, so it is only used where another
//! node is concerned.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::fault::{Fault, told, unreachable};
use crate::place::Place;
use crate::pool::Sql;
use crate::tls::Rustls;
use crate::work::{Own, Work};

/// How long news may be lost where nobody listens.
const PAUSE: Duration = Duration::from_secs(2);

/// One channel for a database; what it says begins with the schema.
static NOTIFY: Sql = Sql {
    text: "SELECT pg_notify('wpkd', $1 || ' ' || u.node) FROM unnest($2::text[]) u(node)",
    types: &[Type::TEXT, Type::TEXT_ARRAY],
};

/// Tells other nodes that there is something for them, once the call is committed.
pub(crate) async fn tell<'a>(
    work: &mut Work<'_>,
    nodes: impl Iterator<Item = &'a str>,
) -> Result<(), Fault> {
    let own = work.node().map(str::to_owned);
    let others: BTreeSet<&str> = nodes.filter(|node| own.as_deref() != Some(*node)).collect();
    // Before anybody entered there is nobody else.
    if own.is_none() || others.is_empty() {
        return Ok(());
    }
    let others: Vec<_> = others.into_iter().map(crate::rows::text).collect();
    let schema = work.schema().to_owned();
    work.ask(&NOTIFY, &[&schema, &others]).await?;
    Ok(())
}

/// Tells all.
pub(crate) async fn tell_all(work: &mut Work<'_>) -> Result<(), Fault> {
    let schema = work.schema().to_owned();
    work.ask(&NOTIFY, &[&schema, &vec![String::new()]]).await?;
    Ok(())
}

/// Listens until it is dropped.
pub(crate) struct Listener {
    heard: Mutex<watch::Receiver<()>>,
    works: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.works.abort();
    }
}

impl Listener {
    /// Listens at a place for what concerns this daemon; without a place it only says every
    /// [`PAUSE`] that there may be something.
    pub(crate) fn start(
        place: Option<Place>,
        schema: String,
        own: Arc<Mutex<Option<Own>>>,
    ) -> Self {
        let (says, heard) = watch::channel(());
        let works = tokio::spawn(async move {
            let Some(place) = place else {
                return tick(&says).await;
            };
            loop {
                let concerns = |payload: &str| {
                    let own = own.lock().unwrap_or_else(PoisonError::into_inner);
                    let node = own.as_ref().map(|own| own.node.as_str());
                    concerns(payload, &schema, node)
                };
                if let Err(fault) = listen(&place, &says, concerns).await {
                    let error = fault.into_error();
                    tracing::debug!(%error, "nobody listens for news of other nodes");
                }
                says.send_replace(());
                sleep(PAUSE).await;
            }
        });
        Self {
            heard: Mutex::new(heard),
            works,
        }
    }

    /// Ends when something was heard since the last time that it ended.
    pub(crate) async fn stirred(&self) {
        let mut heard = self.locked().clone();
        if heard.changed().await.is_err() {
            // Nobody says anything any more.
            std::future::pending::<()>().await;
        }
        *self.locked() = heard;
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, watch::Receiver<()>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tick(says: &watch::Sender<()>) {
    loop {
        sleep(PAUSE).await;
        says.send_replace(());
    }
}

/// Whether news are for a node of a schema.
fn concerns(payload: &str, schema: &str, node: Option<&str>) -> bool {
    match payload.split_once(' ') {
        Some((of, whom)) => of == schema && (whom.is_empty() || node.is_none_or(|own| own == whom)),
        None => false,
    }
}

async fn listen(
    place: &Place,
    says: &watch::Sender<()>,
    concerns: impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    let config = place.config()?;
    let slow = |_| Fault::Unavailable("no connection came about in time".to_owned());
    let failed = |error| unreachable(&error, &place.shown);
    match &place.tls {
        Some(trusted) => {
            let dial = timeout(
                place.connect_timeout,
                config.connect(Rustls(trusted.clone())),
            );
            let (client, connection) = dial.await.map_err(slow)?.map_err(failed)?;
            hear(client, connection, says, concerns).await
        }
        None => {
            let dial = timeout(place.connect_timeout, config.connect(NoTls));
            let (client, connection) = dial.await.map_err(slow)?.map_err(failed)?;
            hear(client, connection, says, concerns).await
        }
    }
}

async fn hear<S, T>(
    client: Client,
    mut connection: tokio_postgres::Connection<S, T>,
    says: &watch::Sender<()>,
    concerns: impl Fn(&str) -> bool,
) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages =
        futures_util::stream::poll_fn(move |context| connection.poll_message(context));
    let asked = async {
        let asked = client.batch_execute("LISTEN wpkd").await;
        // What was said before we listened.
        says.send_replace(());
        match asked {
            // The client must live as long as the connection.
            Ok(()) => std::future::pending().await,
            Err(error) => Err(Fault::from(error)),
        }
    };
    let heard = async {
        loop {
            match messages.next().await {
                Some(Ok(AsyncMessage::Notification(news))) if concerns(news.payload()) => {
                    says.send_replace(());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Fault::Lost(told(&error))),
                None => return Err(Fault::Lost("the connection was closed".to_owned())),
            }
        }
    };
    tokio::select! {
        ended = asked => ended,
        ended = heard => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_for_the_node_they_name_or_for_all() {
        assert!(concerns("wpkd node 1", "wpkd", Some("node 1")));
        assert!(concerns("wpkd ", "wpkd", Some("node 1")));
        assert!(!concerns("wpkd node 2", "wpkd", Some("node 1")));
        assert!(!concerns("other node 1", "wpkd", Some("node 1")));
        assert!(!concerns("", "wpkd", None));
    }
}
