//! Every call of a store, for whoever stands before one.

/// Hands every call of a [`TaskStore`](crate::TaskStore) to another macro, but for
/// [`stirred`](crate::TaskStore::stirred), which answers nothing: `fn NAME(ARGUMENT: TYPE, ...)
/// -> ANSWER;`, where the answer comes as a [`StoreResult`](crate::StoreResult). So a store
/// around another, which measures or fails calls, has all of them.
///
/// ```
/// macro_rules! count {
///     ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
///         [$(stringify!($name)),*]
///     };
/// }
/// assert!(wpk_api::store_calls!(count).contains(&"begin_installer"));
/// ```
#[macro_export]
macro_rules! store_calls {
    ($into:ident) => {
        $into! {
            fn enter(entry: &$crate::Entry) -> $crate::Entrance;
            fn renew() -> ();
            fn leave() -> ();
            fn clock() -> Option<$crate::UnixTime>;
            fn nodes() -> Vec<$crate::NodeState>;
            fn orphans(after: $crate::TaskId, limit: usize) -> Vec<$crate::Task>;
            fn take_over(tasks: &[$crate::TaskId]) -> Vec<$crate::TaskId>;
            fn hand_over(tasks: &[$crate::TaskId], to: &str) -> Vec<$crate::TaskId>;
            fn begun(task: $crate::TaskId) -> Option<$crate::Incarnation>;
            fn documents(prefix: &str, after: &str, limit: usize) -> Vec<$crate::Document>;
            fn documents_since(prefix: &str, after: u64, limit: usize) -> Vec<$crate::Document>;
            fn write_documents(writes: Vec<$crate::DocumentWrite>, guard: Option<$crate::Guard>) -> Option<Vec<u64>>;
            fn create_guarded(tasks: Vec<$crate::NewTask>, guard: $crate::Guard) -> Option<Vec<$crate::Created>>;
            fn attempts(key: &str, after: $crate::TaskId, limit: usize) -> Vec<$crate::Attempt>;
            fn write_attempts(writes: Vec<$crate::AttemptWrite>, guard: Option<$crate::Guard>) -> Option<u64>;
            fn attempts_of(tasks: &[$crate::TaskId]) -> Vec<Option<$crate::Attempt>>;
            fn staging(node: &str, after: $crate::TaskId, limit: usize) -> Vec<$crate::Claimed>;
            fn create(tasks: Vec<$crate::NewTask>) -> Vec<$crate::Created>;
            fn latest(agents: &[$crate::AgentId]) -> Vec<Option<$crate::Task>>;
            fn tasks(ids: &[$crate::TaskId]) -> Vec<Option<$crate::Task>>;
            fn history(query: &$crate::TaskQuery) -> $crate::TaskPage;
            fn transition(moves: Vec<$crate::Transition>) -> Vec<$crate::TransitionResult>;
            fn claim(node: &str, limit: usize, now: $crate::UnixTime) -> Vec<$crate::Claimed>;
            fn interrupted(node: &str, crashed: bool) -> Vec<$crate::Claimed>;
            fn begin_installer(task: $crate::TaskId, target: Option<$crate::Version>, now: $crate::UnixTime) -> bool;
            fn touch(tasks: &[$crate::TaskId], now: $crate::UnixTime) -> ();
            fn cancel(node: &str, which: $crate::Cancel, now: $crate::UnixTime) -> u64;
            fn withdraw(tasks: &[$crate::TaskId]) -> u64;
            fn in_progress(after: $crate::TaskId, limit: usize) -> Vec<$crate::Task>;
            fn expire(overdue: &[$crate::Overdue], now: $crate::UnixTime) -> Vec<$crate::Task>;
            fn purge(created_until: $crate::UnixTime) -> u64;
            fn note(entries: Vec<($crate::TaskId, $crate::TimelineEntry)>) -> ();
            fn timeline(task: $crate::TaskId) -> Vec<$crate::TimelineEntry>;
            fn awaiting(node: &str, after: $crate::TaskId, limit: usize) -> Vec<$crate::Awaiting>;
            fn confirm(task: $crate::TaskId, what: $crate::Confirmation, entry: $crate::TimelineEntry) -> bool;
            fn changes(after: $crate::Revision, limit: usize) -> Vec<$crate::Change>;
            fn revision() -> $crate::Revision;
            fn place(reader: &str) -> $crate::Revision;
            fn set_place(reader: &str, place: $crate::Revision) -> ();
            fn keep_readers(names: &[String]) -> ();
            fn import(tasks: Vec<$crate::Task>) -> Vec<$crate::Imported>;
        }
    };
}
