//! The `[store]` section with `type = "postgres"`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use wpk_api::examine::{Check, Examine};
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Problems, Span};
use wpk_api::{BuildError, Context, Demands, Factory, Outlook, TaskStore};

use crate::place::{Place, read_url};
use crate::{PostgresStore, examine};

/// The longest name of a schema, in bytes: what PostgreSQL keeps of a name.
const LONGEST_NAME: usize = 63;

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The database as a URL, `postgresql://USER@HOST:PORT/DATABASE`; several hosts,
    /// separated by commas, are the servers of one cluster, of which the one that can be
    /// written is used. Without a password. Default: absent, and the next four keys say it.
    pub url: Option<String>,
    /// The name or address of the server, or the folder of its Unix socket. Default:
    /// `/var/run/postgresql`.
    pub host: String,
    /// Its port, 1 to 65535. Default: 5432.
    pub port: u16,
    /// Who we are there. Default: `wpkd`. Also where a URL names none.
    pub user: String,
    /// The database, which must be there. Default: `wpkd`. Also where a URL names none.
    pub database: String,
    /// A file that holds the password and nothing else, relative to `home`; read for each
    /// new connection. Default: absent, and the environment's `PGPASSWORD` counts.
    pub password_file: Option<PathBuf>,
    /// The schema of the tables, made if absent: 1 to 63 lower-case letters, digits and
    /// `_`. Default: `wpkd`.
    pub schema: String,
    /// Whether the connection is encrypted, and the server's certificate verified: `auto`
    /// (everywhere but on this machine, and not where the URL says `sslmode=disable`), `on`,
    /// `off`. Default: `auto`.
    pub tls: Tls,
    /// The CAs that the server's certificate may come from, in PEM, relative to `home`.
    /// Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Connections at a time, 2 to 100, beside the one that listens. Default: 8.
    pub pool: usize,
    /// How long this node counts as alive without a word of it, 3s to 5m: after that others
    /// take over what it has not begun. Default: 15s.
    pub lease: Span,
    /// How long a connection may take to come about, 100ms to 1m. Default: 1500ms.
    pub connect_timeout: Span,
    /// How long the database may take to answer a call before it counts as not available,
    /// 500ms to 5m; 1 ms more for each task that a call writes. Default: 2s.
    pub timeout: Span,
    /// Whether statements are prepared once for each connection. `false` for a pooler in
    /// transaction mode that keeps none (pgbouncer before 1.21, or without
    /// `max_prepared_statements`): each statement is then planned each time. Default: true.
    pub prepared: bool,
    /// Whether other nodes' news are waited for with LISTEN, which needs a session of its
    /// own; `false`: they are looked for every 2 s. Default: true.
    pub listen: bool,
    /// Where LISTEN is possible, if `url` leads to a pooler in transaction mode. Default:
    /// absent, as `url`.
    pub listen_url: Option<String>,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Where it leaves this machine.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            host: "/var/run/postgresql".to_owned(),
            port: 5432,
            user: "wpkd".to_owned(),
            database: "wpkd".to_owned(),
            password_file: None,
            schema: "wpkd".to_owned(),
            tls: Tls::Auto,
            ca_file: None,
            pool: 8,
            lease: Span::seconds(15),
            connect_timeout: Span(std::time::Duration::from_millis(1_500)),
            timeout: Span::seconds(2),
            prepared: true,
            listen: true,
            listen_url: None,
        }
    }
}

#[async_trait]
impl Section for Settings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        let usual = Self::default();
        for (key, url) in [("url", &self.url), ("listen_url", &self.listen_url)] {
            if let Some(Err(error)) = url.as_deref().map(read_url) {
                problems.add(key, error);
            }
        }
        if self.url.is_some() {
            let both = [
                ("host", self.host != usual.host),
                ("port", self.port != usual.port),
            ];
            for (key, _) in both.into_iter().filter(|(_, set)| *set) {
                problems.add(key, "url says it already: leave one of the two out");
            }
        }
        problems.not_empty("host", &self.host, "write the name of the server");
        problems.in_range("port", self.port, 1..=u16::MAX);
        problems.not_empty("user", &self.user, "write whom the server knows us as");
        problems.not_empty("database", &self.database, "write the name of the database");
        if !is_name(&self.schema) {
            let words = "must be 1 to 63 lower-case letters, digits and _, not begin with a \
                         digit, and not with pg_";
            problems.add("schema", words);
        }
        problems.in_range("pool", self.pool, 2..=100);
        problems.in_range("lease", self.lease, Span::seconds(3)..=Span::seconds(300));
        let millis = |millis| Span(std::time::Duration::from_millis(millis));
        problems.in_range(
            "connect_timeout",
            self.connect_timeout,
            millis(100)..=Span::seconds(60),
        );
        problems.in_range("timeout", self.timeout, millis(500)..=Span::seconds(300));
        if !self.listen && self.listen_url.is_some() {
            problems.add("listen_url", "listen = false: leave one of the two out");
        }
        problems.found()
    }

    fn demands(&self, _: &Context) -> Demands {
        // Under one name for all, each would shut the others out.
        Demands::default().needing_node_name()
    }

    async fn outlook(&self, context: &Context) -> Outlook {
        let place = Place::of(self, |path| context.path(path));
        let problem = match place.map(|place| place.password()) {
            Ok(Ok(_)) => None,
            Ok(Err(fault)) => Some(Problem::new(
                "password_file",
                fault.into_error().to_string(),
            )),
            Err((key, error)) => Some(Problem::new(key, error)),
        };
        Outlook {
            problems: problem.into_iter().collect(),
            ..Outlook::default()
        }
    }

    async fn examine(&self, context: &Context, _: &Examine) -> Vec<Check> {
        examine::examine(self, context).await
    }
}

/// What needs no quotes to be a name.
fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(letters)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("pg_")
}

/// `[store] type = "postgres"`.
pub fn plugin() -> impl Factory<dyn TaskStore> {
    section::plugin("postgres", open)
}

fn open(settings: Settings, context: &Context) -> Result<Arc<PostgresStore>, BuildError> {
    let store = PostgresStore::open(&settings, |path| context.path(path));
    store
        .map(Arc::new)
        .map_err(|error| BuildError::Failed(error.to_string()))
}
