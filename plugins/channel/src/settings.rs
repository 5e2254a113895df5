//! The settings of `[transport] type = "channel"`. The directory and the
//! request source of the channel share them and have none of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use wpk_api::paths;
use wpk_api::settings::{Problem, Span, read};
use wpk_api::{Context, Demands, Occupied, Resource};

/// Settings of the channel; every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where agents dial in, `ADDRESS:PORT`; port 0 takes a free one.
    pub listen: String,
    /// What newly enrolled agents are told to dial, `HOST:PORT`. Absent: the
    /// bound address (for `0.0.0.0` and `[::]` the address of this machine that
    /// faces its default route).
    pub advertise: Option<String>,
    /// The folder of the CA and the manager's certificate, mode 0700.
    pub state: PathBuf,
    /// The file with the enrolled agents, mode 0600.
    pub database: PathBuf,
    /// After this long without a word the manager asks an agent for a sign of
    /// life; after three times as long the connection is lost. 50 ms to 10 m.
    pub keepalive: Span,
    /// How long a command may take until its answer. 10 ms to 1 h.
    pub request_timeout: Span,
    /// Most connections at a time. 1 to 1,000,000.
    pub max_connections: usize,
    /// From the accepted connection to the agent's Hello. 10 ms to 10 m.
    pub handshake_timeout: Span,
    /// How long certificates of agents and of the manager are valid. 1 to 36,500.
    pub certificate_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:1517".to_owned(),
            advertise: None,
            state: PathBuf::from(paths::CHANNEL_FOLDER),
            database: PathBuf::from("queue/channel/agents.db"),
            keepalive: Span(Duration::from_secs(10)),
            request_timeout: Span(Duration::from_secs(75)),
            max_connections: 60_000,
            handshake_timeout: Span(Duration::from_secs(10)),
            certificate_days: 3_650,
        }
    }
}

impl Settings {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_value(section: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Self = read(section)?;
        let problems = settings.problems();
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// The address agents dial, and the file of the enrolled ones.
    pub fn demands(&self, context: &Context) -> Demands {
        let occupied = |key: &str, what| Occupied {
            key: key.to_owned(),
            what,
        };
        let listen = self.listen.parse().ok().map(Resource::Tcp);
        let mut occupies = vec![occupied(
            "database",
            Resource::Path(context.path(&self.database)),
        )];
        occupies.extend(listen.map(|what| occupied("listen", what)));
        Demands {
            occupies,
            needs: Vec::new(),
        }
    }

    /// Every value that is out of its range.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.listen_address().is_none() {
            problems.push(Problem::new(
                "listen",
                format!(
                    "{:?} is no address: write ADDRESS:PORT, for example \"0.0.0.0:1517\"",
                    self.listen
                ),
            ));
        }
        if let Some(advertise) = self.advertise.as_deref().filter(|text| !is_host_port(text)) {
            problems.push(Problem::new(
                "advertise",
                format!("{advertise:?} is nothing to dial: write HOST:PORT, for example \"manager.example.org:1517\""),
            ));
        }
        for (key, path) in [("state", &self.state), ("database", &self.database)] {
            if path.as_os_str().is_empty() {
                problems.push(Problem::new(key, "must name a path"));
            }
        }
        let minute = Duration::from_secs(60);
        for (key, span, shortest, longest) in [
            ("keepalive", self.keepalive, 50, 10 * minute),
            ("request_timeout", self.request_timeout, 10, 60 * minute),
            ("handshake_timeout", self.handshake_timeout, 10, 10 * minute),
        ] {
            let shortest = Duration::from_millis(shortest);
            if span.0 < shortest || span.0 > longest {
                problems.push(Problem::new(
                    key,
                    format!("must be {} to {}", Span(shortest), Span(longest)),
                ));
            }
        }
        if !(1..=1_000_000).contains(&self.max_connections) {
            problems.push(Problem::new("max_connections", "must be 1 to 1000000"));
        }
        if !(1..=36_500).contains(&self.certificate_days) {
            problems.push(Problem::new("certificate_days", "must be 1 to 36500"));
        }
        problems
    }

    /// `listen` as an address.
    pub(crate) fn listen_address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
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
        assert_eq!(Settings::from_value(&json!({})), Ok(Settings::default()));
    }

    #[test]
    fn every_mistake_is_named() {
        let problems = Settings::from_value(&json!({
            "listen": "here", "advertise": "host", "state": "", "keepalive": "1ms",
            "request_timeout": "2h", "handshake_timeout": "0s", "max_connections": 0,
            "certificate_days": 40_000,
        }))
        .unwrap_err();
        let keys: Vec<_> = problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "listen",
                "advertise",
                "state",
                "keepalive",
                "request_timeout",
                "handshake_timeout",
                "max_connections",
                "certificate_days"
            ]
        );
        assert!(Settings::from_value(&json!({"lisen": "x"})).is_err());
    }
}
