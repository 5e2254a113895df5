//! The settings of `[transport] type = "channel"`. The directory and the
//! request source of the channel share them and have none of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::section::Section;
use wpk_api::settings::{Problem, Problems, Span, Value, schema_of};
use wpk_api::{Context, Demands, Outlook, Resource};

use crate::certificate::Lives;
use crate::ends;

/// Settings of the channel; every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where agents dial in, `ADDRESS:PORT`; port 0 takes a free one.
    pub listen: String,
    /// What newly enrolled agents are told to dial, `HOST:PORT`. Absent: the
    /// bound address (for `0.0.0.0` and `[::]` the address of this machine that
    /// faces its default route).
    pub advertise: Option<String>,
    /// The folder of the CA, the manager's certificate and the list of revoked agents,
    /// mode 0700.
    pub state: PathBuf,
    /// A file whose first line is the passphrase that seals the CA's keys, for example a
    /// credential of systemd. A key that is not sealed yet is at the next start. Absent: the
    /// keys are protected by their mode alone.
    pub ca_passphrase_file: Option<PathBuf>,
    /// Where the agents are kept: in a file of this manager alone, or in the task store, so
    /// that all managers that share it have the same ones, and the same CAs.
    pub registry: Place,
    /// The file with the enrolled agents, mode 0600. With `registry = "store"` it is a copy.
    pub database: PathBuf,
    /// After this long without a word the manager asks an agent for a sign of
    /// life; after three times as long the connection is lost. 50ms to 10m.
    pub keepalive: Span,
    /// How long a command may take until its answer. 10ms to 1h.
    pub request_timeout: Span,
    /// Most connections at a time, 1 to 1000000.
    #[schemars(extend("unit" = "connections"))]
    pub max_connections: usize,
    /// From the accepted connection to the agent's Hello. 10ms to 10m.
    pub handshake_timeout: Span,
    /// How long certificates are valid of the manager and of agents that renew theirs, as
    /// they do at two thirds of it. 1 to 36500. An agent of which that is not known is given
    /// one for 3650 days or more.
    #[schemars(extend("unit" = "days"))]
    pub certificate_days: u32,
    /// For how long after its end a certificate may still be renewed, 0s to 36500d.
    pub renew_within: Span,
    /// In the place of `certificate_days` where it is set: for lives shorter than a day.
    /// 1s to 36500d. Absent: `certificate_days` counts.
    pub certificate_life: Option<Span>,
}

/// Where the agents are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the file `database`.
    #[default]
    File,
    /// In the task store.
    Store,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:1517".to_owned(),
            advertise: None,
            state: PathBuf::from(paths::CHANNEL_FOLDER),
            ca_passphrase_file: None,
            registry: Place::File,
            database: PathBuf::from("queue/channel/agents.db"),
            keepalive: Span(Duration::from_secs(10)),
            request_timeout: Span(Duration::from_secs(75)),
            max_connections: 60_000,
            handshake_timeout: Span(Duration::from_secs(10)),
            certificate_days: 90,
            renew_within: Span::seconds(365 * 86_400),
            certificate_life: None,
        }
    }
}

#[async_trait]
impl Section for Settings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        if self.listen_address().is_none() {
            problems.add(
                "listen",
                format!(
                    "{:?} is no address: write ADDRESS:PORT, for example \"0.0.0.0:1517\"",
                    self.listen
                ),
            );
        }
        if let Some(advertise) = self.advertise.as_deref().filter(|text| !is_host_port(text)) {
            problems.add(
                "advertise",
                format!("{advertise:?} is nothing to dial: write HOST:PORT, for example \"manager.example.org:1517\""),
            );
        }
        if self.registry == Place::Store && self.ca_passphrase_file.is_none() {
            problems.add(
                "ca_passphrase_file",
                "is needed with registry = \"store\": the CA's keys lie in the task store then, \
                 sealed; name a file with the passphrase that all managers have",
            );
        }
        problems.not_empty("state", &self.state, "name a folder");
        problems.not_empty("database", &self.database, "name a file");
        let millis = |millis: u64| Span(Duration::from_millis(millis));
        let minutes = |minutes: u64| Span::seconds(60 * minutes);
        problems.in_range("keepalive", self.keepalive, millis(50)..=minutes(10));
        problems.in_range(
            "request_timeout",
            self.request_timeout,
            millis(10)..=minutes(60),
        );
        problems.in_range(
            "handshake_timeout",
            self.handshake_timeout,
            millis(10)..=minutes(10),
        );
        problems.in_range("max_connections", self.max_connections, 1..=1_000_000);
        problems.in_range("certificate_days", self.certificate_days, 1..=36_500);
        let longest = Span::seconds(36_500 * 86_400);
        if let Some(life) = self.certificate_life {
            problems.in_range("certificate_life", life, Span::seconds(1)..=longest);
        }
        let longest = Span::seconds(36_500 * 86_400);
        problems.in_range(
            "renew_within",
            self.renew_within,
            Span::seconds(0)..=longest,
        );
        problems.found()
    }

    /// The file of the enrolled agents, and the address they dial.
    fn demands(&self, context: &Context) -> Demands {
        let database = Resource::Path(context.path(&self.database));
        let demands = Demands::default().occupying("database", database);
        match self.listen_address() {
            Some(listen) => demands.occupying("listen", Resource::Tcp(listen)),
            None => demands,
        }
    }

    async fn outlook(&self, context: &Context) -> Outlook {
        let (state, registry) = (context.path(&self.state), context.path(&self.database));
        let listen = self.listen_address();
        let looked =
            tokio::task::spawn_blocking(move || crate::outlook::outlook(listen, &state, &registry));
        looked.await.unwrap_or_default()
    }

    /// Whether the registry lies where it was opened, and what ends soon.
    async fn examine(&self, context: &Context, _asked: &Examine) -> Vec<Check> {
        let registry = context.path(&self.database);
        let moved = wpk_sqlite_file::examine("registry of agents", &registry);
        let (state, life) = (context.path(&self.state), self.lives().renewed);
        let looking = tokio::task::spawn_blocking(move || ends::examine(&state, &registry, life));
        let ends = looking.await.unwrap_or_default();
        moved.into_iter().chain(ends).collect()
    }
}

impl Settings {
    /// `listen` as an address.
    pub(crate) fn listen_address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    /// How long certificates are valid.
    pub(crate) fn lives(&self) -> Lives {
        let days = Span::seconds(u64::from(self.certificate_days) * 86_400);
        Lives::new(self.certificate_life.unwrap_or(days).0)
    }

    /// How long a connection may be silent before it is lost.
    pub(crate) fn silence(&self) -> Duration {
        self.keepalive.0 * 3
    }
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && text.len() <= 300
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_section_is_the_default() {
        assert_eq!(Settings::read(&json!({})), Ok(Settings::default()));
    }

    #[test]
    fn every_mistake_is_named() {
        let problems = Settings::read(&json!({
            "listen": "here", "advertise": "host", "state": "", "keepalive": "1ms",
            "request_timeout": "2h", "handshake_timeout": "0s", "max_connections": 0,
            "certificate_days": 40_000, "certificate_life": "1ms", "renew_within": "40000d",
        }))
        .unwrap_err();
        let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "renew_within",
                "listen",
                "advertise",
                "state",
                "keepalive",
                "request_timeout",
                "handshake_timeout",
                "max_connections",
                "certificate_days",
                "certificate_life"
            ]
        );
        assert!(Settings::read(&json!({"lisen": "x"})).is_err());
    }
}
