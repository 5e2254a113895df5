//! Why a store did not do what it was asked.

/// What a call of a store comes to.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a store did not do it. Nothing of the call took effect, but for
/// [`Uncertain`](Self::Uncertain).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or is closed.
    #[error("the task store is not available: {0}")]
    Unavailable(String),
    /// The disk is full or the store may not grow.
    #[error("the task store cannot be written: {0}; free disk space, nothing was lost")]
    Full(String),
    /// The store answered something that makes no sense, or is damaged.
    #[error("the task store is damaged or has an unknown layout: {0}")]
    Damaged(String),
    /// Nobody knows whether the call took effect: the connection was lost while it was being
    /// committed, and the store cannot be asked now. Whoever needs to know asks again.
    #[error("whether the task store carried it out is not known: {0}")]
    Uncertain(String),
    /// Another daemon entered under this one's name: this one must end.
    #[error("the task store shut this daemon out: {0}")]
    Fenced(String),
}

impl StoreError {
    /// What the calls about documents end with where a store keeps none.
    pub fn keeps_no_documents() -> Self {
        Self::Unavailable("it keeps no rollouts, labels or holds; use another store".to_owned())
    }

    /// What the calls that change what was made for a document end with where a store knows
    /// none of them.
    pub fn changes_no_attempts() -> Self {
        Self::Unavailable(
            "it cannot change what waits for a rollout; use another store, or a newer version of \
             its plugin"
                .to_owned(),
        )
    }

    /// What [`TaskStore::history`](crate::TaskStore::history) ends with where a store lists no tasks.
    pub fn lists_no_tasks() -> Self {
        Self::Unavailable(
            "it cannot list its tasks; ask for agents, or use another store, or a newer version \
             of its plugin"
                .to_owned(),
        )
    }

    /// What a move of an operator ends with where a store knows none
    /// ([`Mover::Operator`](crate::Mover::Operator)).
    pub fn takes_nothing_back() -> Self {
        Self::Unavailable(
            "it cannot take tasks back; use another store, or a newer version of its plugin"
                .to_owned(),
        )
    }

    /// What [`TaskStore::import`](crate::TaskStore::import) ends with where a store takes nothing over.
    pub fn imports_nothing() -> Self {
        Self::Unavailable("it takes no tasks of other programs over; use another store".to_owned())
    }
}
