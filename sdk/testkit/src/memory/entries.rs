//! Who entered, and what of a node whose lease ran out may be taken over: what
//! [`wpk_api::TaskStore`] asks for, word by word, over the map of [`Tables`].

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wpk_api::{
    Entered, Entrance, Entry, Held, Holder, Incarnation, NodeState, Task, TaskId, TimelineEntry,
    UnixTime,
};

use super::tables::{Row, Tables, id};

/// An open store, as the entry that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mine {
    pub(super) node: String,
    pub(super) incarnation: Incarnation,
}

/// Who entered last under a name.
#[derive(Debug, Clone)]
struct Seat {
    holder: Holder,
    incarnation: Incarnation,
    /// By the store's clock: when it was heard of, and until when its lease lives.
    heard: Duration,
    until: Duration,
}

/// The clock of a store that is shared.
#[derive(Debug, Clone, Copy)]
struct Shared {
    lease: Duration,
    now: Duration,
}

/// All entries, and who calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    seats: BTreeMap<String, Seat>,
    last: Incarnation,
    /// `None`: it is one daemon's.
    shared: Option<Shared>,
    caller: Option<Mine>,
}

impl Entries {
    /// Those of a store that several daemons share, whose clock begins at `now`.
    pub(super) fn shared(lease: Duration, now: UnixTime) -> Self {
        let now = Duration::from_secs(now.unsigned_abs());
        Self {
            shared: Some(Shared { lease, now }),
            ..Self::default()
        }
    }

    /// Whose calls those are that come now.
    pub(super) fn call(&mut self, caller: Option<Mine>) {
        self.caller = caller;
    }

    pub(super) fn caller(&self) -> Option<&str> {
        self.caller.as_ref().map(|mine| mine.node.as_str())
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.caller.as_ref().map_or(0, |mine| mine.incarnation)
    }

    pub(super) fn may_carry_out(&self, node: &str) -> bool {
        self.caller().is_none_or(|caller| caller == node)
    }

    /// Who shut the caller out, if somebody did. In a store that is one daemon's whoever
    /// enters shuts out all others.
    pub(super) fn fenced(&self) -> Option<Incarnation> {
        let mine = self.caller.as_ref()?;
        let newest = match self.shared {
            Some(_) => self.seats.get(&mine.node)?.incarnation,
            None => self.last,
        };
        (newest != mine.incarnation).then_some(newest)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The store's clock, in whole seconds.
    pub(super) fn clock(&self) -> Option<UnixTime> {
        let seconds = self.shared?.now.as_secs();
        Some(seconds.cast_signed())
    }

    /// Lets time pass by the store's clock.
    pub(super) fn pass(&mut self, time: Duration) {
        if let Some(shared) = &mut self.shared {
            shared.now += time;
        }
    }

    fn now(&self) -> UnixTime {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH);
        (self.clock()).unwrap_or_else(|| system().map_or(0, |now| now.as_secs().cast_signed()))
    }

    /// Whether a node's lease lives.
    fn lives(&self, node: &str) -> bool {
        match self.shared {
            Some(shared) => (self.seats.get(node)).is_some_and(|seat| seat.until > shared.now),
            None => self.caller() == Some(node),
        }
    }

    fn held(&self, seat: &Seat) -> Held {
        let now = self.shared.map_or(Duration::ZERO, |shared| shared.now);
        Held {
            holder: seat.holder.clone(),
            incarnation: seat.incarnation,
            age: now.saturating_sub(seat.heard),
            left: seat.until.saturating_sub(now),
        }
    }

    /// See [`wpk_api::TaskStore::enter`].
    pub(super) fn enter(&mut self, entry: &Entry) -> Entrance {
        if let Some(seat) = self.seats.get(&entry.node)
            && self.shared.is_some()
            && self.lives(&entry.node)
            && entry.replaces != Some(seat.incarnation)
        {
            return Entrance::Held(self.held(seat));
        }
        self.last += 1;
        let now = self.shared.map_or(Duration::ZERO, |shared| shared.now);
        let lease = self.shared.map(|shared| shared.lease);
        let seat = Seat {
            holder: entry.holder.clone(),
            incarnation: self.last,
            heard: now,
            until: now + lease.unwrap_or_default(),
        };
        self.seats.insert(entry.node.clone(), seat);
        Entrance::Entered(Entered {
            incarnation: self.last,
            lease,
        })
    }

    /// See [`wpk_api::TaskStore::renew`] and [`wpk_api::TaskStore::leave`].
    pub(super) fn heard(&mut self, stays: bool) {
        let (Some(shared), Some(mine)) = (self.shared, &self.caller) else {
            return;
        };
        if let Some(seat) = self.seats.get_mut(&mine.node) {
            seat.heard = shared.now;
            seat.until = match stays {
                true => shared.now + shared.lease,
                false => shared.now,
            };
        }
    }

    /// See [`wpk_api::TaskStore::nodes`].
    pub(super) fn nodes(&self) -> Vec<NodeState> {
        if self.shared.is_none() {
            return Vec::new();
        }
        let state = |(node, seat): (&String, &Seat)| NodeState {
            node: node.clone(),
            held: self.held(seat),
            lives: self.lives(node),
        };
        self.seats.iter().map(state).collect()
    }
}

impl Tables {
    /// See [`wpk_api::TaskStore::orphans`].
    pub fn orphans(&self, after: TaskId, limit: usize) -> Vec<Task> {
        let rows = self.rows.values().filter(|row| row.task.id > after);
        rows.filter(|row| self.is_orphan(row))
            .take(limit)
            .map(|row| row.task.clone())
            .collect()
    }

    fn is_orphan(&self, row: &Row) -> bool {
        let Some(caller) = self.entries.caller() else {
            return false;
        };
        let free = row.standing.ours && !row.standing.begun && row.task.status.is_live();
        free && row.task.node != caller && !self.entries.lives(&row.task.node)
    }

    /// See [`wpk_api::TaskStore::take_over`].
    pub fn take_over(&mut self, tasks: &[TaskId]) -> Vec<TaskId> {
        let Some(caller) = self.entries.caller().map(str::to_owned) else {
            return Vec::new();
        };
        self.move_to(&caller, tasks, Self::is_orphan)
    }

    /// See [`wpk_api::TaskStore::hand_over`].
    pub fn hand_over(&mut self, tasks: &[TaskId], to: &str) -> Vec<TaskId> {
        let caller = self.entries.caller();
        if caller.is_none_or(|caller| caller == to) || !self.entries.lives(to) {
            return Vec::new();
        }
        self.move_to(to, tasks, |tables, row| {
            let free = row.standing.ours && !row.standing.begun && row.task.status.is_live();
            free && tables.entries.caller() == Some(&row.task.node)
        })
    }

    fn move_to(
        &mut self,
        node: &str,
        tasks: &[TaskId],
        may: impl Fn(&Self, &Row) -> bool,
    ) -> Vec<TaskId> {
        let now = self.entries.now();
        let mut moved = Vec::new();
        for task in tasks {
            let Some(row) = self.rows.get(task).filter(|row| may(self, row)) else {
                continue;
            };
            moved.push(id(row));
            self.change(*task, |row| {
                let entry = TimelineEntry::moved(now, &row.task.node, node);
                row.timeline.push(entry);
                row.task.node = node.to_owned();
                row.claimed = false;
            });
        }
        moved
    }

    /// See [`wpk_api::TaskStore::begun`].
    pub fn begun(&self, task: TaskId) -> Option<Incarnation> {
        self.rows.get(&task)?.begun_in
    }
}
