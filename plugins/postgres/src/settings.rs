//! The `[store]` section with `type = "postgres"`: what can be set.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wpk_api::settings::Span;

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
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
    #[schemars(extend("unit" = "a TCP port"))]
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
    #[schemars(extend("unit" = "connections"))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
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
