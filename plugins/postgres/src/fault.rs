//! What goes wrong between us and the database, what follows from it for the call, and in
//! which words of [`StoreError`] a caller hears of it. No text here holds a password.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};
use wpk_api::StoreError;

/// Why a statement, or the call it belongs to, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection broke, or was found broken, before the call was committed: nothing of
    /// it took effect, and another connection may do.
    Lost(String),
    /// There is no connection, or no answer within the time of a call.
    Unavailable(String),
    /// Others were in the way; the same again may go well.
    Again(String),
    /// The database cannot grow.
    Full(String),
    /// What is stored makes no sense, or is not what was expected.
    Nonsense(String),
    /// A later daemon entered under this one's name.
    Fenced(String),
    /// Whether it was committed is not known.
    Uncertain(String),
}

impl Fault {
    /// Nothing answered in time.
    pub(crate) fn silent() -> Self {
        Self::Unavailable("the database did not answer in time".to_owned())
    }

    /// The error a caller sees.
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Lost(text) | Self::Unavailable(text) => StoreError::Unavailable(text),
            Self::Again(text) => StoreError::Unavailable(format!(
                "{text}; others were in the way again and again, ask again"
            )),
            Self::Full(text) => StoreError::Full(text),
            Self::Nonsense(text) => StoreError::Damaged(text),
            Self::Fenced(text) => StoreError::Fenced(text),
            Self::Uncertain(text) => StoreError::Uncertain(text),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(said) => of_server(said),
            None if error.is_closed() => Self::Lost("the connection was closed".to_owned()),
            None => match error.source() {
                Some(cause) if cause.is::<std::io::Error>() => {
                    Self::Lost(format!("the connection broke: {cause}"))
                }
                // What a driver cannot read or write is a mistake in a statement or a table.
                _ => Self::Nonsense(told(&error)),
            },
        }
    }
}

/// Why no connection came about.
pub(crate) fn unreachable(error: &Error, place: &str) -> Fault {
    let Some(said) = error.as_db_error() else {
        return Fault::Unavailable(format!("{place}: {}", told(error)));
    };
    let code = said.code();
    let advice = if [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
    ]
    .contains(code)
    {
        "; look at store.user, at the password and at pg_hba.conf of the server"
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        "; create the database, or name another with store.database"
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        "; make store.pool smaller, or max_connections of the server larger"
    } else {
        ""
    };
    Fault::Unavailable(format!("{place}: {}{advice}", said.message()))
}

fn of_server(said: &DbError) -> Fault {
    let code = said.code();
    let text = format!("{} ({})", said.message(), code.code());
    let any = |codes: &[SqlState]| codes.contains(code);
    if any(&[
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        // Two creations met in the index that keeps one live task for an agent.
        SqlState::UNIQUE_VIOLATION,
    ]) {
        Fault::Again(text)
    } else if any(&[SqlState::DISK_FULL]) {
        Fault::Full(text)
    } else if any(&[SqlState::READ_ONLY_SQL_TRANSACTION]) {
        Fault::Unavailable(format!(
            "{text}: the server is a standby or was made read-only; name the primary in \
             store.url, or all servers of the cluster"
        ))
    } else if any(&[
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::DATABASE_DROPPED,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ]) || code.code().starts_with("08")
    {
        Fault::Lost(text)
    } else if any(&[
        SqlState::UNDEFINED_PSTATEMENT,
        SqlState::DUPLICATE_PSTATEMENT,
    ]) {
        Fault::Unavailable(format!(
            "{text}: a pooler between us and the server does not keep prepared statements; set \
             store.prepared = false"
        ))
    } else if any(&[SqlState::QUERY_CANCELED]) {
        Fault::Unavailable(format!("{text}: it took longer than store.timeout"))
    } else if any(&[SqlState::INSUFFICIENT_PRIVILEGE]) {
        Fault::Unavailable(format!(
            "{text}: grant the user of store.user what `wpkd examine` names"
        ))
    } else if code.code().starts_with("53") || code.code().starts_with("57") {
        Fault::Unavailable(text)
    } else {
        Fault::Nonsense(text)
    }
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_may_do_is_told_by_the_kind_of_the_error() {
        let text = || "x".to_owned();
        assert!(matches!(
            Fault::Lost(text()).into_error(),
            StoreError::Unavailable(_)
        ));
        assert!(matches!(
            Fault::Full(text()).into_error(),
            StoreError::Full(_)
        ));
        assert!(matches!(
            Fault::Uncertain(text()).into_error(),
            StoreError::Uncertain(_)
        ));
        let again = Fault::Again(text()).into_error().to_string();
        assert!(again.contains("ask again"), "{again}");
    }
}
