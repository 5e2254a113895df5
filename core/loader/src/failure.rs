//! Why an operation brought no answer, and what that is in the words of each
//! trait.

use wpk_abi::codes::status;
use wpk_api::border::Words;
use wpk_api::settings::Problem;
use wpk_api::{
    AgentId, BuildError, DirectoryError, ObserverError, ProviderError, SourceError, StoreError,
    TransportError,
};

/// The longest message that is taken from a plugin, in characters.
const LONGEST: usize = 4096;

/// Why an operation brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The plugin is not called any more.
    Quarantined(String),
    /// All threads of the plugin are taken, and stay so.
    Busy(String),
    /// The plugin says no.
    Failed(Said),
    /// The answer makes no sense.
    Garbage(String),
}

/// A plugin's error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) message: String,
    pub(crate) problems: Vec<Problem>,
    pub(crate) source: Option<String>,
}

impl Said {
    /// Reads a plugin's error; nonsense becomes an error as well.
    pub(crate) fn read(status: i32, json: &[u8]) -> Self {
        let words = serde_json::from_slice::<Words>(json).unwrap_or_default();
        let mut message = words.message;
        for cause in &words.causes {
            message = format!("{message}: {cause}");
        }
        if message.is_empty() {
            message = format!("the plugin failed (status {status}) and gave no reason");
        }
        Self {
            status,
            message: tame(&message),
            problems: words.problems,
            source: words.source.map(|source| tame(&source)),
        }
    }
}

/// A plugin's text, fit for a log line and an answer.
pub(crate) fn tame(text: &str) -> String {
    let printable = |c: char| if wpk_api::words::steers(c) { ' ' } else { c };
    text.chars().take(LONGEST).map(printable).collect()
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Quarantined(text) | Self::Busy(text) | Self::Garbage(text) => text,
            Self::Failed(said) => &said.message,
        })
    }
}

impl CallError {
    /// Whether the plugin does not know the operation.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self, Self::Failed(said) if said.status == status::UNSUPPORTED)
    }

    fn said(self) -> (i32, String) {
        match self {
            Self::Failed(said) => (said.status, said.message),
            other => (status::FAILED, other.to_string()),
        }
    }

    pub(crate) fn build(self) -> BuildError {
        match self {
            Self::Failed(said) if said.status == status::SETTINGS && !said.problems.is_empty() => {
                BuildError::Settings(said.problems)
            }
            other => BuildError::Failed(other.to_string()),
        }
    }

    pub(crate) fn source(self, kind: &str) -> SourceError {
        match self {
            Self::Failed(said) => SourceError {
                source_name: said.source.unwrap_or_else(|| kind.to_owned()),
                message: said.message,
            },
            other => SourceError {
                source_name: kind.to_owned(),
                message: other.to_string(),
            },
        }
    }

    pub(crate) fn directory(self) -> DirectoryError {
        let garbage = matches!(self, Self::Garbage(_));
        let (status, text) = self.said();
        match status {
            _ if garbage => DirectoryError::Malformed(text),
            status::DAMAGED => DirectoryError::Malformed(text),
            status::NOT_SUPPORTED | status::UNSUPPORTED => DirectoryError::NotSupported,
            status::REFUSED => DirectoryError::Refused(text),
            _ => DirectoryError::Unavailable(text),
        }
    }

    /// `otherwise` is the error of the step, for what has no status of its own.
    pub(crate) fn provider(self, otherwise: fn(String) -> ProviderError) -> ProviderError {
        let quarantined = matches!(self, Self::Quarantined(_));
        let (status, text) = self.said();
        match status {
            _ if quarantined => ProviderError::NotReachable(text),
            status::NO_PACKAGE => ProviderError::NoPackage(text),
            status::NOT_REACHABLE => ProviderError::NotReachable(text),
            status::NOT_LISTED => ProviderError::NotListed(text),
            status::NO_FILE => ProviderError::NoFile(text),
            _ => otherwise(text),
        }
    }

    pub(crate) fn transport(self, agent: AgentId) -> TransportError {
        let (status, reason) = self.said();
        match status {
            status::NOT_CONNECTED => TransportError::NotConnected(agent),
            status::TIMED_OUT => TransportError::TimedOut(agent),
            status::CLOSED => TransportError::Closed { agent, reason },
            status::REFUSED => TransportError::Refused { agent, reason },
            _ => TransportError::Unavailable(reason),
        }
    }

    pub(crate) fn store(self) -> StoreError {
        let garbage = matches!(self, Self::Garbage(_));
        let (status, text) = self.said();
        match status {
            _ if garbage => StoreError::Damaged(text),
            status::DAMAGED => StoreError::Damaged(text),
            status::FULL => StoreError::Full(text),
            status::UNCERTAIN => StoreError::Uncertain(text),
            status::FENCED => StoreError::Fenced(text),
            _ => StoreError::Unavailable(text),
        }
    }

    pub(crate) fn observer(self) -> ObserverError {
        ObserverError(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_plugin_says_becomes_one_readable_line() {
        let said = Said::read(3, br#"{"message": "a\nb", "causes": ["c", "d"]}"#);
        assert_eq!(said.message, "a b: c: d");
        for nonsense in [&b""[..], b"{", b"[]", b"\xff", br#"{"message": 5}"#] {
            let said = Said::read(77, nonsense);
            assert!(said.message.contains("status 77"), "{said:?}");
        }
        let long = format!(r#"{{"message": "{}"}}"#, "x".repeat(100_000));
        assert_eq!(Said::read(3, long.as_bytes()).message.len(), LONGEST);
    }

    #[test]
    fn each_status_is_the_error_it_came_from() {
        let failed = |status| {
            CallError::Failed(Said {
                status,
                message: "why".into(),
                ..Said::default()
            })
        };
        assert_eq!(failed(status::FULL).store(), StoreError::Full("why".into()));
        assert_eq!(
            failed(status::NOT_LISTED).provider(ProviderError::NoFile),
            ProviderError::NotListed("why".into())
        );
        assert_eq!(
            failed(status::PANICKED).provider(ProviderError::NoFile),
            ProviderError::NoFile("why".into())
        );
        let agent = AgentId::MANAGER;
        assert_eq!(
            failed(status::TIMED_OUT).transport(agent),
            TransportError::TimedOut(agent)
        );
        assert_eq!(
            CallError::Garbage("why".into()).directory(),
            DirectoryError::Malformed("why".into())
        );
    }
}
