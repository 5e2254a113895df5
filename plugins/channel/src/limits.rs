//! What bounds strangers and talkative agents: how many connections there may
//! be, how often one may speak up unasked, how often a log line may repeat.
//! The listener and the sessions enter.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wpk_api::AgentId;

/// Connections that one agent's certificate may have at a time, from the moment it
/// was shown: the live one, and a few that are greeting or ending. An agent that
/// lost its network dials again before the manager has noticed.
const MOST_OF_ONE: usize = 8;

/// Tokens that refill at a steady rate up to a burst.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(burst: u32, per_second: u32) -> Self {
        Self {
            tokens: burst.into(),
            burst: burst.into(),
            per_second: per_second.into(),
            at: Instant::now(),
        }
    }

    /// The tokens that are in it now.
    fn level(&mut self) -> f64 {
        let now = Instant::now();
        let refill = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + refill).min(self.burst);
        self.at = now;
        self.tokens
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self) -> bool {
        let there = self.level() >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

/// Lets a log line through now and then, so that strangers cannot fill the disk.
#[derive(Debug)]
pub(crate) struct Quiet(Mutex<(Bucket, u64)>);

impl Quiet {
    /// Ten lines at once, then one a second.
    pub(crate) fn new() -> Self {
        Self(Mutex::new((Bucket::new(10, 1), 0)))
    }

    /// `Some` if the line may be written: how many were not since the last one.
    pub(crate) fn may_speak(&self) -> Option<u64> {
        let (bucket, suppressed) = &mut *lock(&self.0);
        if bucket.take() {
            Some(std::mem::take(suppressed))
        } else {
            *suppressed += 1;
            None
        }
    }
}

/// Lets each address try a few times, so that nobody guesses. What is remembered is
/// bounded.
#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<IpAddr, Bucket>>);

impl Tries {
    /// Addresses that are remembered.
    const MOST: usize = 4_096;
    /// Refusals at once, then one a second.
    const REFUSALS: u32 = 16;

    /// Whether `address` may try; the refusals before count.
    pub(crate) fn may_try(&self, address: IpAddr) -> bool {
        let mut tries = lock(&self.0);
        tries
            .get_mut(&network(address))
            .is_none_or(|bucket| bucket.level() >= 1.0)
    }

    /// An address was refused.
    pub(crate) fn refused(&self, address: IpAddr) {
        let mut tries = lock(&self.0);
        if tries.len() >= Self::MOST {
            let burst = f64::from(Self::REFUSALS);
            tries.retain(|_, bucket| bucket.level() < burst);
        }
        if tries.len() >= Self::MOST {
            tries.clear();
        }
        let bucket = tries.entry(network(address));
        bucket
            .or_insert_with(|| Bucket::new(Self::REFUSALS, 1))
            .take();
    }
}

/// Bounds how often one certificate is renewed: each renewal makes the disk work. What is
/// remembered is bounded by the number of agents.
#[derive(Debug, Default)]
pub(crate) struct Renewals(Mutex<HashMap<AgentId, Bucket>>);

impl Renewals {
    /// At once; then one in half a minute.
    const BURST: u32 = 8;

    /// Whether this agent may renew its certificate now.
    pub(crate) fn may(&self, agent: AgentId) -> bool {
        let mut renewals = lock(&self.0);
        let bucket = renewals.entry(agent);
        bucket
            .or_insert_with(|| Bucket {
                per_second: 1.0 / 30.0,
                ..Bucket::new(Self::BURST, 1)
            })
            .take()
    }
}

/// How many connections there are, and from where those that have not yet
/// proved who they are.
#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    most_strangers: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    strangers: HashMap<IpAddr, usize>,
    agents: HashMap<AgentId, usize>,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    stranger: Option<IpAddr>,
    agent: Option<AgentId>,
}

impl Admission {
    /// At most `most` connections. One address may hold a quarter of the places
    /// (but 16) with connections that have not said Hello, so that it cannot keep
    /// everybody else out.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_strangers: (most / 4).max(16),
            counts: Mutex::default(),
        })
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut counts = lock(&self.counts);
        if counts.all >= self.most {
            return None;
        }
        let strangers = counts.strangers.entry(network).or_default();
        if *strangers >= self.most_strangers {
            return None;
        }
        *strangers += 1;
        counts.all += 1;
        Some(Place {
            admission: Arc::clone(self),
            stranger: Some(network),
            agent: None,
        })
    }
}

impl Place {
    /// The connection has shown this agent's certificate; false where too many of
    /// its connections are there already. It still counts for its address.
    pub(crate) fn shown(&mut self, agent: AgentId) -> bool {
        let mut counts = lock(&self.admission.counts);
        let count = counts.agents.entry(agent).or_default();
        if *count >= MOST_OF_ONE {
            return false;
        }
        *count += 1;
        self.agent = Some(agent);
        true
    }

    /// The connection has said Hello: it counts for its agent alone.
    pub(crate) fn known(&mut self) {
        let mut counts = lock(&self.admission.counts);
        counts.forget(self.stranger.take());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.admission.counts);
        counts.all = counts.all.saturating_sub(1);
        counts.forget(self.stranger.take());
        if let Some(agent) = self.agent {
            one_less(&mut counts.agents, agent);
        }
    }
}

impl Counts {
    fn forget(&mut self, stranger: Option<IpAddr>) {
        if let Some(network) = stranger {
            one_less(&mut self.strangers, network);
        }
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// Whoever has one address of an IPv6 /64 has all of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let host = u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long saying goodbye may take; a connection ends within a few of these.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let admission = Admission::new(20);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::2:1".parse().unwrap();
        let agent = AgentId::new(7).unwrap();
        let mut places: Vec<_> = (0..16).map(|_| admission.admit(one).unwrap()).collect();
        let shown = places
            .iter_mut()
            .filter_map(|p| p.shown(agent).then_some(()));
        assert_eq!(shown.count(), MOST_OF_ONE, "one certificate has its share");
        assert!(admission.admit(one).is_none(), "one address has its share");
        places.extend((0..2).map(|_| admission.admit(other).unwrap()));
        places[0].known();
        places.push(admission.admit(one).unwrap());
        places.push(admission.admit(same).unwrap());
        assert!(admission.admit(other).is_none(), "all places are taken");
        drop(places);
        let counts = admission.counts.lock().unwrap();
        assert_eq!((counts.all, counts.strangers.len()), (0, 0));
        assert!(counts.agents.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_refills_with_time() {
        let mut bucket = Bucket::new(2, 1);
        assert_eq!(
            [bucket.take(), bucket.take(), bucket.take()],
            [true, true, false]
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!([bucket.take(), bucket.take()], [true, false]);

        let tries = Tries::default();
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        for _ in 0..Tries::REFUSALS {
            assert!(tries.may_try(one));
            tries.refused(one);
        }
        assert!(!tries.may_try(one) && tries.may_try(other));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tries.may_try(one));
        for n in 0..10_000_u32 {
            tries.refused(std::net::Ipv4Addr::from(n).into());
        }
        assert!(lock(&tries.0).len() <= Tries::MOST);

        let quiet = Quiet::new();
        let spoken = (0..15).filter(|_| quiet.may_speak().is_some()).count();
        assert_eq!(spoken, 10);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(quiet.may_speak(), Some(5));
    }
}
