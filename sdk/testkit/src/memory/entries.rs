//! Who entered, until when their leases live, and who calls: what
//! [`wpk_api::TaskStore::enter`] and its like ask for, word by word.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wpk_api::{Entered, Entrance, Entry, Held, Holder, Incarnation, NodeState, UnixTime};

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

    pub(super) fn now(&self) -> UnixTime {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH);
        (self.clock()).unwrap_or_else(|| system().map_or(0, |now| now.as_secs().cast_signed()))
    }

    /// Whether a node's lease lives.
    pub(super) fn lives(&self, node: &str) -> bool {
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
