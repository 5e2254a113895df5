//! The tasks that are fenced by documents, over the map of [`Tables`].

use wpk_api::{
    Attempt, AttemptChange, AttemptWrite, Claimed, Created, Document, DocumentWrite, Fence, Guard,
    NewTask, Status, TaskId, TimelineEntry, TimelineStep,
};

use super::tables::{Row, Tables, id, waits};

impl Tables {
    /// See [`wpk_api::TaskStore::documents`].
    pub fn documents(&self, prefix: &str, after: &str, limit: usize) -> Vec<Document> {
        let found = self.documents.after(prefix, after);
        found.take(limit).cloned().collect()
    }

    /// See [`wpk_api::TaskStore::write_documents`].
    pub fn write_documents(
        &mut self,
        writes: Vec<DocumentWrite>,
        guard: Option<&Guard>,
    ) -> Option<Vec<u64>> {
        if guard.is_some_and(|guard| !self.documents.holds(guard)) {
            return None;
        }
        let mut written = self.documents.clone();
        let mut versions = Vec::new();
        let mut ends = Vec::new();
        for write in writes {
            let key = write.key.clone();
            let (version, epoch) = written.write(write)?;
            versions.push(version);
            ends.push((key, epoch));
        }
        self.documents = written;
        for (key, epoch) in ends {
            self.end_before(&key, epoch);
        }
        Some(versions)
    }

    /// Ends what was made for a document with a lower epoch, or for one that is gone.
    fn end_before(&mut self, key: &str, epoch: Option<u64>) {
        let meant = |row: &&Row| {
            let fence = row.fence.as_deref().filter(|fence| fence.key == key);
            let before = |fence: &Fence| epoch.is_none_or(|epoch| fence.epoch < epoch);
            fence.is_some_and(before) && row.task.status.is_live() && !row.standing.begun
        };
        let now = self.entries.now();
        let ids: Vec<TaskId> = self.rows.values().filter(meant).map(id).collect();
        for id in ids {
            self.change(id, |row| {
                row.task.status = Status::Cancelled;
                row.task.updated = Some(now);
                let entry = TimelineEntry::new(now, TimelineStep::Cancelled).asked(key);
                row.timeline.push(entry);
            });
        }
    }

    /// See [`wpk_api::TaskStore::create_guarded`].
    pub fn create_guarded(&mut self, tasks: Vec<NewTask>, guard: &Guard) -> Option<Vec<Created>> {
        (self.documents.holds(guard)).then(|| self.create(tasks))
    }

    /// See [`wpk_api::TaskStore::staging`].
    pub fn staging(&self, node: &str, after: TaskId, limit: usize) -> Vec<Claimed> {
        let rows = self.rows.values().filter(|row| row.task.id > after);
        let ready = rows.filter(|row| {
            let fenced = row.fence.is_some() && row.task.status == Status::Pending;
            fenced && row.task.node == node && waits(row) && self.carries_out(row)
        });
        ready
            .filter_map(|row| self.claimed(id(row)))
            .take(limit)
            .collect()
    }

    /// See [`wpk_api::TaskStore::attempts`].
    pub fn attempts(&self, key: &str, after: TaskId, limit: usize) -> Vec<Attempt> {
        let rows = self.rows.values().filter(|row| row.task.id > after);
        let made = rows.filter(|row| row.fence.as_ref().is_some_and(|fence| fence.key == key));
        made.filter_map(attempt).take(limit).collect()
    }

    /// See [`wpk_api::TaskStore::attempts_of`].
    pub fn attempts_of(&self, tasks: &[TaskId]) -> Vec<Option<Attempt>> {
        let found = |id: &TaskId| self.rows.get(id).and_then(attempt);
        tasks.iter().map(found).collect()
    }

    /// See [`wpk_api::TaskStore::write_attempts`].
    pub fn write_attempts(
        &mut self,
        writes: Vec<AttemptWrite>,
        guard: Option<&Guard>,
    ) -> Option<u64> {
        if guard.is_some_and(|guard| !self.documents.holds(guard)) {
            return None;
        }
        let mut applied = 0;
        for write in writes {
            applied += u64::from(self.write_attempt(write));
        }
        Some(applied)
    }

    fn write_attempt(&mut self, write: AttemptWrite) -> bool {
        let now = self.entries.now();
        let Some(row) = self.rows.get_mut(&write.task) else {
            return false;
        };
        let (status, begun) = (&row.task.status, row.standing.begun);
        let Some(fence) = &mut row.fence else {
            return false;
        };
        if !write.change.is_open(status, begun) {
            return false;
        }
        match write.change {
            AttemptChange::Open { opens, closes } => (fence.opens, fence.closes) = (opens, closes),
            AttemptChange::Staged(staged) => row.staged = staged,
            AttemptChange::Cancel(words) => {
                let entry = TimelineEntry::taken_back(now, &fence.key, &words);
                row.timeline.push(entry);
                row.task.status = Status::Cancelled;
                row.task.updated = Some(now);
            }
            AttemptChange::Mark(mark) => {
                fence.mark = mark;
                return true;
            }
        }
        self.change(write.task, |_| {});
        true
    }
}

/// What a row says of an attempt; `None` if it was made for no document.
fn attempt(row: &Row) -> Option<Attempt> {
    let fence = row.fence.as_ref()?;
    Some(Attempt {
        task: row.task.clone(),
        key: fence.key.clone(),
        epoch: fence.epoch,
        begun: row.standing.begun,
        target: row.target,
        opens: fence.opens,
        closes: fence.closes,
        begun_at: row.begun_at,
        staged: row.staged,
        mark: fence.mark.clone(),
    })
}
