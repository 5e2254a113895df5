//! TaskStore: where tasks are kept.

use async_trait::async_trait;

use crate::{
    AgentId, Attempt, AttemptWrite, Change, Confirmation, Document, DocumentWrite, Entered,
    Entrance, Entry, Guard, Incarnation, NodeState, Revision, Task, TaskId, TimelineEntry,
    UnixTime, Version,
};

mod asked;
mod calls;
mod contract;
mod error;
mod history;
mod walk;

pub use asked::{
    Awaiting, Cancel, Claimed, Created, Imported, NewTask, Overdue, Selector, Transition,
    TransitionResult,
};
pub use contract::{OLDEST_STORE_CONTRACT, STORE_CONTRACT};
pub use error::{StoreError, StoreResult};
pub use history::{TaskKind, TaskPage, TaskPlace, TaskQuery};

/// Keeps tasks so that a crash loses none and no upgrade runs twice
/// (PROTOCOL.md, section 3).
///
/// Every call is one transaction: all of it is on disk when the call returns
/// `Ok`, nothing of it when it returns an error, but for
/// [`StoreError::Uncertain`]. `node` is always the name of the calling node.
///
/// # One store, several daemons
///
/// A daemon [enters](Self::enter) a store once, before any other call. From then on the
/// open store *is* that entry: its writes (every call but the questions, which go on
/// answering) are refused with [`StoreError::Fenced`], without effect, once a later one
/// entered under the same name. An entry lives by one
/// lease, which the daemon [renews](Self::renew) and the store judges by its own clock. One whose lease
/// ran out is not shut out by that alone: it may renew, as long as nobody else entered
/// under its name; meanwhile others may [take over](Self::take_over) what it has not begun.
/// A store that was opened and never entered takes every word for that of any node, and the
/// times that it is given, as it did before there were entries.
///
/// Where a store can be shared, times come from the store: what a caller gives as `now`,
/// `created` and `at` (also that of a [`TimelineEntry`]) counts only in a store that tells no
/// [clock](Self::clock), and is replaced by that clock's otherwise. Whoever compares stored
/// times, or says until when something is old ([`purge`](Self::purge)), asks that clock.
///
/// A task that is ours is carried out by the daemon that entered under the name of its
/// node alone ([`Standing::is_carried_out_by`](crate::Standing::is_carried_out_by)): to any
/// other a move by [`Mover::Delivery`](crate::Mover::Delivery) is refused, [`begin_installer`](Self::begin_installer)
/// says `false`, [`touch`](Self::touch) and [`cancel`](Self::cancel) leave it as it is, and
/// [`claim`](Self::claim) and [`interrupted`](Self::interrupted) find nothing. An agent's
/// word counts whoever passes it on, and so do a time-out, a verdict, and an operator who
/// takes a task back ([`Mover::Operator`](crate::Mover::Operator)).
///
/// A task is *ours* if it was created with an [`Order`](crate::Order), also after it ended;
/// it is *begun* once [`begin_installer`](Self::begin_installer) said `true`.
/// Both stay known for as long as the task is there. Every change of a task (its
/// creation, a new status, time of update, text, confirmation or node, its deletion)
/// gets the next [`Revision`].
#[allow(
    unused_variables,
    reason = "a default does nothing with what it is given"
)]
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Enters the store under the name of a node, which shuts out whoever entered under
    /// it before. A name whose lease lives is not entered ([`Entrance::Held`]), unless the
    /// entry [`replaces`](Entry::replaces) that very incarnation. An open store that
    /// already entered may do so again, under the same rules: it is its newest entry.
    ///
    /// By default the store is one daemon's: everybody enters, and no entry has a lease.
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        Ok(Entrance::Entered(Entered {
            incarnation: 0,
            lease: None,
        }))
    }

    /// The entry lives for one more lease, by the store's clock.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] where a later daemon entered under the same name.
    async fn renew(&self) -> StoreResult<()> {
        Ok(())
    }

    /// The entry's lease ends now: the daemon stops, and others need not wait. Nothing where
    /// it never entered.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] where a later daemon entered under the same name: its lease
    /// stays.
    async fn leave(&self) -> StoreResult<()> {
        Ok(())
    }

    /// The store's clock, where it has one that all who share it go by; `None` where
    /// the caller's counts. In whole seconds since 1970 UTC.
    async fn clock(&self) -> StoreResult<Option<UnixTime>> {
        Ok(None)
    }

    /// The nodes that ever entered, by name; those without any task that were gone for a
    /// week may be forgotten. Empty in a store that is one daemon's.
    async fn nodes(&self) -> StoreResult<Vec<NodeState>> {
        Ok(Vec::new())
    }

    /// Up to `limit` tasks with ids above `after`, ascending, that another node may take
    /// over: live, ours, their installer not begun, and their node's lease ran out, or its
    /// name never entered. None that is this daemon's own, and none before it entered. In a
    /// store that is one daemon's no other name lives: what was left under a node's
    /// former name is found.
    async fn orphans(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        Ok(Vec::new())
    }

    /// Makes those of the tasks this daemon's own that are still
    /// [orphans](Self::orphans), in the given order; returns which. They wait to be
    /// [claimed](Self::claim) as if nobody had taken them, and their status stays until then,
    /// as do the [crashes](Claimed::crashes) that were counted.
    /// Their timelines get [`TimelineEntry::moved`], and the feed tells of it.
    async fn take_over(&self, tasks: &[TaskId]) -> StoreResult<Vec<TaskId>> {
        Ok(Vec::new())
    }

    /// Gives those of this daemon's own tasks to another node, whose lease lives, that are
    /// live, ours and not begun, as [`take_over`](Self::take_over) would; returns which.
    /// None where that node's lease does not live.
    async fn hand_over(&self, tasks: &[TaskId], to: &str) -> StoreResult<Vec<TaskId>> {
        Ok(Vec::new())
    }

    /// The incarnation in which the installer of a task was begun, `None` where it was
    /// not or there is no such task: for whoever was told that it is
    /// [uncertain](StoreError::Uncertain) whether it was.
    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        Ok(None)
    }

    /// Up to `limit` documents whose keys begin with `prefix` and are above `after`, in the
    /// order of their bytes; an empty `after` begins.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a store keeps none, which is the default; so for
    /// all calls about documents.
    async fn documents(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        Err(StoreError::keeps_no_documents())
    }

    /// Up to `limit` documents whose keys begin with `prefix` and that were written since
    /// `after`, ascending by [version](Document::version); of deletions nothing is told. By
    /// default all documents are read for it.
    async fn documents_since(
        &self,
        prefix: &str,
        after: u64,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        let mut walk = walk::Walk::after(after);
        while walk.take(self.documents(prefix, walk.last(), walk::PAGE).await?) {}
        Ok(walk.end(limit))
    }

    /// Writes all of these documents, or none: where one has not the version that is
    /// expected, the guard does not hold, an epoch would be lowered, or a key or a text is
    /// too long. Their new versions, in the same order; `None` where nothing
    /// was written.
    async fn write_documents(
        &self,
        writes: Vec<DocumentWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<Vec<u64>>> {
        Err(StoreError::keeps_no_documents())
    }

    /// As [`create`](Self::create), but only while the guard holds; `None` where it does not.
    async fn create_guarded(
        &self,
        tasks: Vec<NewTask>,
        guard: Guard,
    ) -> StoreResult<Option<Vec<Created>>> {
        Err(StoreError::keeps_no_documents())
    }

    /// Up to `limit` tasks that were made for the document of this key
    /// ([`NewTask::fence`]), with ids above `after`, ascending.
    async fn attempts(&self, key: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Attempt>> {
        Err(StoreError::keeps_no_documents())
    }

    /// Carries out changes of tasks that were made for documents, one after the other, of
    /// whichever node they are; those that do not apply ([`AttemptChange::is_open`](crate::AttemptChange::is_open)), and those of tasks that
    /// are not there or have no fence, are left out. How many applied; `None` where the
    /// guard does not hold: then none. A change that applied gets the next [`Revision`] in the feed,
    /// but for a mark, and leaves the time of the last update, but for a cancellation. The
    /// daemon that carries a task out that was opened may be [stirred](Self::stirred).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a store knows no such changes, which is the default.
    async fn write_attempts(
        &self,
        writes: Vec<AttemptWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<u64>> {
        Err(StoreError::changes_no_attempts())
    }

    /// The attempts with these ids, in the order asked; `None` where there is no such
    /// task or it was made for no document.
    ///
    /// # Errors
    /// As [`write_attempts`](Self::write_attempts).
    async fn attempts_of(&self, tasks: &[TaskId]) -> StoreResult<Vec<Option<Attempt>>> {
        Err(StoreError::changes_no_attempts())
    }

    /// Up to `limit` tasks of `node` that are fenced, Pending, and were never taken, with ids above
    /// `after`, ascending: what can be sent to agents before it may be installed. Nothing
    /// changes.
    async fn staging(&self, node: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Claimed>> {
        Ok(Vec::new())
    }

    /// Ends when another daemon may have made, given, freed or opened tasks that this one could
    /// claim: a wake-up, which may come too often, late, or not at all. The default never
    /// ends.
    async fn stirred(&self) {
        std::future::pending().await
    }

    /// Creates tasks in the given order, all with status Pending. An
    /// `exclusive` task is refused, alone, when its agent already has a live
    /// task (Pending or In progress), an earlier one of the same call included;
    /// a Pending task of *another* node of which nobody holds an order (neither ours nor
    /// [`held`](NewTask::held)) does not count and is deleted instead
    /// (what `upgrade_get_status` does to it, PROTOCOL.md, section 3).
    /// The result has one entry per new task, in the same order. The timeline of
    /// each begins with [`TimelineStep::Created`](crate::TimelineStep::Created).
    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>>;

    /// The newest task (highest id) of each of the agents, in the order asked;
    /// `None` where an agent has none. Duplicates in `agents` are answered twice.
    /// Never waits for a writer.
    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>>;

    /// The tasks with these ids, in the order asked; `None` where there is no such
    /// task, or none that this node knows of.
    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>>;

    /// Some of the tasks that are wanted, in the order of their [places](TaskPlace). Looks at
    /// [`limit`](TaskQuery::limit) tasks, wanted or not: a page may be short, or empty, and say
    /// where to go on. Those that live and those since some time are found without looking at the
    /// others. Never waits for a writer. By default a store lists none, and is unavailable.
    async fn history(&self, query: &TaskQuery) -> StoreResult<TaskPage> {
        Err(StoreError::lists_no_tasks())
    }

    /// Carries out moves one after the other, each if it is legal at that
    /// moment ([`Transition::is_open`]): compare and set. A move's `entry` is added to the timeline of the task it moves; where
    /// that had timed out, a report is a late one
    /// ([`TimelineEntry::of_late`](crate::TimelineEntry::of_late)). A task that
    /// becomes Done without a text loses the one it had. A task of ours that ends
    /// gets the confirmation of [`Confirmation::at_end`], and keeps the one it had
    /// where that is `None`.
    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>>;

    /// Takes up to `limit` tasks of `node` that have an [`Order`](crate::Order) and were never
    /// taken, oldest first, and makes them In progress in the same transaction:
    /// Pending ones, and those that somebody made In progress without carrying
    /// them out; of those with a [`Fence`](crate::Fence) the ones that it has
    /// [opened](crate::Fence::opens). A task is taken once, however many ask at the same time.
    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>>;

    /// The tasks of `node` that are In progress, were taken, have an [`Order`](crate::Order),
    /// and whose installer was never begun: what a crash interrupted and may
    /// safely be delivered again. Oldest first. Where the last run `crashed`, one
    /// more crash of each is counted ([`Claimed::crashes`]); nothing else changes.
    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>>;

    /// Records, before the agent is told to run the installer, that it is about
    /// to be, and which version the agent will run then: `target`, `None` where
    /// that is not known or nobody could tell afterwards. `true` exactly once per
    /// task, only while it is In progress, and while the document of its
    /// [`Fence`](crate::Fence) has the same epoch and the fence has not
    /// [closed](crate::Fence::closes); on `false` the installer must not be
    /// run. `true` adds [`TimelineStep::Upgrade`](crate::TimelineStep::Upgrade) to
    /// the timeline and makes `now` the time of the last update.
    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool>;

    /// Makes `now` the time of the last update of tasks that are In progress.
    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()>;

    /// Makes tasks of `node` Cancelled; returns how many.
    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64>;

    /// Deletes tasks that are still Pending and of which nobody holds an order (neither
    /// ours nor [`held`](NewTask::held)), in the given order; returns how many.
    /// (What `upgrade_get_status` does to a Pending task of another node.)
    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64>;

    /// Up to `limit` tasks of any node that are In progress, with ids above
    /// `after`, ascending.
    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>>;

    /// Makes those of the tasks Timeout that are still In progress and were not
    /// updated since the caller looked; returns them in the given order. One that
    /// waits to be taken ([`claim`](Self::claim)) goes on waiting. The
    /// timeline gets
    /// [`TimelineStep::Timeout`](crate::TimelineStep::Timeout).
    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>>;

    /// Deletes tasks that have ended, of whatever status that is not live,
    /// created at or before `created_until`, and all that belongs to them;
    /// returns how many. One stays as long as an older task of its agent stays that
    /// is In progress or timed out: a word about the newer would be taken for one
    /// about the older. One that is fenced by a document that
    /// [keeps its tasks](crate::NewDocument::keeps_tasks) stays as well.
    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64>;

    /// Adds entries to the timelines of tasks, in the given order. Entries of
    /// tasks that are not there are left out. Of one task the newest
    /// [`LONGEST_TIMELINE`](crate::LONGEST_TIMELINE) are kept.
    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()>;

    /// The timeline of a task, oldest first; empty if there is no such task.
    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>>;

    /// Up to `limit` tasks of `node` whose confirmation is
    /// [`Confirmation::Awaited`], with ids above `after`, ascending.
    async fn awaiting(&self, node: &str, after: TaskId, limit: usize)
    -> StoreResult<Vec<Awaiting>>;

    /// Says what became of the check of an agent's version; `entry` is added to the
    /// timeline. Only a task whose confirmation is
    /// [`Confirmation::Awaited`] takes it: a verdict is final. `false`: no such task.
    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool>;

    /// Up to `limit` changes with revisions above `after`, ascending: each with
    /// the task as it was after that change. A change that is visible has no
    /// invisible one before it. What every known reader has passed
    /// ([`set_place`](Self::set_place)) may be forgotten.
    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>>;

    /// The revision of the newest change; 0 where there was none.
    async fn revision(&self) -> StoreResult<Revision>;

    /// How far a reader of the feed has come ([`set_place`](Self::set_place)); 0
    /// for one that is not known.
    async fn place(&self, reader: &str) -> StoreResult<Revision>;

    /// Remembers how far a reader of the feed has come; from then on it is known,
    /// and no change that it has not passed is forgotten. A reader's name is 1 to
    /// 64 bytes. Its place only goes forward.
    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()>;

    /// Forgets every reader of the feed that has none of these names: one that does not
    /// come any more must not keep what was deleted for ever. Called at the start, with
    /// the names of all observers. By default all are kept.
    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        Ok(())
    }

    /// Takes over tasks that somebody else made (rows that a 4.x manager's own module
    /// wrote), as they are: without an [`Order`](crate::Order), so that they are never ours and nobody
    /// claims them, and without the constraint of one live task per agent. Two tasks are
    /// the same if agent, node, module, command and time of creation are.
    ///
    /// One that is not here keeps its id if no other task has it, and gets the next free
    /// one otherwise; ids of later tasks are above all of these. One that was imported
    /// before and differs takes the status, time of update and text that it
    /// has now, if its status [may become](crate::Status::may_become) that one. One that is here
    /// otherwise, or was deleted and whose deletion a known reader has not passed yet, is
    /// left alone. The result has one entry for each, in the same order. In the feed they
    /// are [`Changed::Foreign`](crate::Changed::Foreign).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a store takes nothing over, which is the default.
    async fn import(&self, tasks: Vec<Task>) -> StoreResult<Vec<Imported>> {
        Err(StoreError::imports_nothing())
    }
}
