//! The errors of the traits as the header writes them: a status and
//! `{message, causes}`. The host turns them back into the same error.

use wpk_abi::codes::status;
use wpk_api::border::Words;
use wpk_api::{
    BuildError, DirectoryError, ObserverError, ProviderError, SourceError, StoreError,
    TransportError,
};

/// An operation that ends as an error.
pub(crate) struct Failure {
    pub(crate) status: i32,
    pub(crate) words: Words,
}

impl Failure {
    pub(crate) fn new(status: i32, message: impl Into<String>) -> Self {
        Self {
            status,
            words: Words {
                message: message.into(),
                ..Words::default()
            },
        }
    }

    pub(crate) fn malformed(cause: impl std::fmt::Display) -> Self {
        Self::new(
            status::MALFORMED,
            format!("the question cannot be read: {cause}"),
        )
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let message = error.to_string();
        match error {
            BuildError::Settings(problems) => Self {
                status: status::SETTINGS,
                words: Words {
                    message,
                    problems,
                    ..Words::default()
                },
            },
            BuildError::Failed(message) => Self::new(status::FAILED, message),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self {
            status: status::FAILED,
            words: Words {
                message: error.message,
                source: Some(error.source_name),
                ..Words::default()
            },
        }
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Unavailable(text) => Self::new(status::UNAVAILABLE, text),
            DirectoryError::Malformed(text) => Self::new(status::DAMAGED, text),
            DirectoryError::NotSupported => Self::new(status::NOT_SUPPORTED, error.to_string()),
            DirectoryError::Refused(text) => Self::new(status::REFUSED, text),
        }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::NoPackage(text) => Self::new(status::NO_PACKAGE, text),
            ProviderError::NotReachable(text) => Self::new(status::NOT_REACHABLE, text),
            ProviderError::NotListed(text) => Self::new(status::NOT_LISTED, text),
            ProviderError::NoFile(text) => Self::new(status::NO_FILE, text),
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Unavailable(text) => Self::new(status::UNAVAILABLE, text),
            TransportError::NotConnected(_) => Self::new(status::NOT_CONNECTED, error.to_string()),
            TransportError::TimedOut(_) => Self::new(status::TIMED_OUT, error.to_string()),
            TransportError::Closed { reason, .. } => Self::new(status::CLOSED, reason),
            TransportError::Refused { reason, .. } => Self::new(status::REFUSED, reason),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(text) => Self::new(status::UNAVAILABLE, text),
            StoreError::Full(text) => Self::new(status::FULL, text),
            StoreError::Damaged(text) => Self::new(status::DAMAGED, text),
            StoreError::Uncertain(text) => Self::new(status::UNCERTAIN, text),
            StoreError::Fenced(text) => Self::new(status::FENCED, text),
        }
    }
}

impl From<ObserverError> for Failure {
    fn from(ObserverError(text): ObserverError) -> Self {
        Self::new(status::FAILED, text)
    }
}
