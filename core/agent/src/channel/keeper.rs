//! Keeps the identity alive while a session lasts: another certificate at two thirds of the
//! life of the one in use, with a new key, and the CAs that the manager announces.
//!
//! A certificate is renewed on a connection of its own, beside the session; then the session
//! ends as soon as no command has come for a while, and the next one shows the new
//! certificate. A manager that does not say how long its certificates live renews none.

use std::future::pending;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};
use wpk_wire::channel::{Authorities, MAX_PAYLOAD, MOST_CAS, PROTOCOL, Renew, Trusts};
use wpk_wire::{ChannelMessage, FrameDecoder};

use super::ended::{Again, Ended};
use super::line::{dial, put, receive};
use crate::credentials::{
    Age, Life, Pair, Store, certificates_in, hexadecimal, is_authority, new_key,
};
use crate::settings::ChannelSettings;

/// The longest that is slept at once: a machine that was asleep looks at its clock then.
const NAP: Duration = Duration::from_secs(3_600);
/// The longest pause before a renewal that is due at once, so that not all agents of a
/// manager come together.
const SPREAD: Duration = Duration::from_secs(60);
/// So long no command has come when a session ends for a new certificate.
const QUIET: Duration = Duration::from_secs(60);

/// When the last command ended, or that one is under way.
#[derive(Debug)]
pub(super) struct Activity(Mutex<Option<Instant>>);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(Instant::now())))
    }

    /// A command begins.
    pub(super) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It has ended.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns when there was none for that long.
    async fn quiet(&self, time: Duration) {
        loop {
            let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let until = last.unwrap_or_else(Instant::now) + time;
            if last.is_some() && until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// What a renewal needs.
#[derive(Clone, Copy)]
pub(super) struct Keeper<'a> {
    pub(super) settings: &'a ChannelSettings,
    pub(super) store: &'a Store,
    pub(super) pair: &'a Pair,
}

impl Keeper<'_> {
    /// Returns when the session is to end. `lives`: for how many seconds the manager's
    /// certificates are good, if it renews any.
    pub(super) async fn keep(
        &self,
        lives: Option<u64>,
        mut announced: mpsc::Receiver<Authorities>,
        outgoing: &mpsc::Sender<ChannelMessage>,
        activity: &Activity,
    ) -> Ended {
        let mut timetable = Timetable::new(self.pair.life, lives, rand::random());
        let mut renewed = false;
        loop {
            let due = async {
                match timetable.until(now()) {
                    Some(wait) => sleep(wait.min(NAP)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some(authorities) = announced.recv() => {
                    let renew = authorities.renew;
                    match self.learn(authorities).await {
                        Ok(trusts) => {
                            let told = ChannelMessage::Trusts(Trusts { trusts });
                            if outgoing.send(told).await.is_err() {
                                return Ended::lost("the connection is over");
                            }
                            // The next session is told again, if its new certificate must go too.
                            if renew && !renewed {
                                timetable.at_once(now(), rand::random());
                            }
                        }
                        Err(error) => tracing::error!("the manager's new CA was not taken over: {error}"),
                    }
                }
                () = activity.quiet(timetable.quiet()), if renewed => {
                    return Ended::new(Again::AtOnce, "the agent has a new certificate");
                }
                () = due, if !renewed => {
                    if !timetable.is_due(now()) {
                        continue;
                    }
                    match self.renew().await {
                        Ok(()) => renewed = true,
                        Err(ended) => {
                            let pause = timetable.later(now(), rand::random());
                            let reason = ended.reason;
                            tracing::warn!(
                                "the certificate was not renewed: {reason}; it is tried again in {pause:?}"
                            );
                        }
                    }
                }
            }
        }
    }

    /// Gets another certificate for a new key, and puts both beside those in use.
    pub(super) async fn renew(&self) -> Result<(), Ended> {
        let (key, csr) = new_key().map_err(Ended::lost)?;
        let asking = async {
            let mut stream = dial(self.settings, self.store, self.pair).await?;
            let mut decoder = FrameDecoder::new(MAX_PAYLOAD);
            let renew = Renew {
                protocol: PROTOCOL,
                csr,
            };
            put(&mut stream, &ChannelMessage::Renew(renew)).await?;
            receive(&mut stream, &mut decoder).await
        };
        let answer = timeout(3 * self.settings.connect_timeout.0, asking).await;
        let certificate = match answer.map_err(|_| Ended::lost("no answer in time"))?? {
            ChannelMessage::Renewed(renewed) => renewed.certificate,
            ChannelMessage::Goodbye { reason } => return Err(Ended::dismissed(&reason)),
            other => return Err(Ended::unexpected(&other)),
        };
        let store = self.store.clone();
        let shown_first = self.pair.age == Age::Next;
        let until = blocking(move || {
            if shown_first {
                // It proved good by this, and the manager forgot the one before: it must
                // not be what the new one is written over.
                store.promote().map_err(|error| error.to_string())?;
            }
            store
                .stage(&key, &certificate, None)
                .map_err(|error| error.to_string())?;
            let pairs = store.pairs().map_err(|error| error.to_string())?;
            match pairs.first().filter(|pair| pair.age == Age::Next) {
                Some(pair) => Ok(pair.life.until),
                None => Err("the manager's answer is for another key".to_owned()),
            }
        })
        .await
        .map_err(Ended::lost)?;
        let days = (until - now()) / 86_400;
        tracing::info!("the certificate was renewed, with a new key, for {days} days");
        Ok(())
    }

    /// Trusts what the manager announces, if any of it is trusted already; answers what is
    /// trusted then.
    async fn learn(&self, authorities: Authorities) -> Result<Vec<String>, String> {
        let store = self.store.clone();
        blocking(move || {
            let announced = certificates_in(&authorities.ca)?;
            if announced.len() > MOST_CAS || !announced.iter().all(|one| is_authority(one)) {
                return Err(format!("it is none, or there are more than {MOST_CAS}"));
            }
            let known = store.authorities().map_err(|error| error.to_string())?;
            if !announced.iter().any(|one| known.contains(one)) {
                return Err("none of those announced is trusted yet".to_owned());
            }
            let told: Vec<_> = announced.iter().map(|one| hexadecimal(one)).collect();
            if announced != known {
                store
                    .trust(&authorities.ca)
                    .map_err(|error| format!("{}: {error}", store.ca.display()))?;
                tracing::info!(
                    "the manager announced its CAs; trusted from now on: {}",
                    told.join(", ")
                );
            }
            Ok(told)
        })
        .await
    }
}

/// When the next renewal is due.
#[derive(Debug)]
struct Timetable {
    /// Seconds since 1970.
    due: Option<i64>,
    /// Of the certificates that this manager issues.
    lives: Duration,
}

impl Timetable {
    /// `chance` is from 0 to 1.
    fn new(life: Life, lives: Option<u64>, chance: f64) -> Self {
        let lives = Duration::from_secs(lives.unwrap_or_default());
        let mut table = Self { due: None, lives };
        if lives.is_zero() {
            return table;
        }
        if life.length() > lives.saturating_mul(2) {
            // Made for an agent that does not renew, or before certificates were renewed;
            // its key may have been made elsewhere.
            table.at_once(now(), chance);
        } else {
            let length = life.length();
            let after = length.mul_f64(2.0 / 3.0) + length.mul_f64(chance / 20.0);
            table.due = Some(life.from.saturating_add(seconds(after)));
        }
        table
    }

    /// Soon, but not all agents at the same time.
    fn at_once(&mut self, now: i64, chance: f64) {
        let spread = SPREAD.min(self.lives / 20).mul_f64(chance);
        self.due = (!self.lives.is_zero()).then(|| now.saturating_add(seconds(spread)));
    }

    /// After one that failed; answers the pause.
    fn later(&mut self, now: i64, chance: f64) -> Duration {
        let longest = (self.lives / 50).clamp(Duration::from_secs(1), NAP);
        let pause = longest.mul_f64(0.5 + chance / 2.0);
        self.due = Some(now.saturating_add(seconds(pause).max(1)));
        pause
    }

    fn is_due(&self, now: i64) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn until(&self, now: i64) -> Option<Duration> {
        let seconds = self.due?.saturating_sub(now).max(0);
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// For how long no command must have come before the session ends.
    fn quiet(&self) -> Duration {
        QUIET.min(self.lives / 30)
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn now() -> i64 {
    seconds(UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// What waits for the disk does so on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn renewal_is_due_at_two_thirds_of_a_life() {
        let life = Life {
            from: 0,
            until: 90 * DAY,
        };
        let lives = Some(90 * 86_400);
        let first = Timetable::new(life, lives, 0.0);
        assert!(!first.is_due(60 * DAY - 1) && first.is_due(60 * DAY));
        assert_eq!(first.until(0), Some(Duration::from_secs(60 * 86_400)));
        let last = Timetable::new(life, lives, 1.0);
        assert!(!last.is_due(64 * DAY) && last.is_due(65 * DAY));
        let mut never = Timetable::new(life, None, 0.0);
        assert!(!never.is_due(i64::MAX));
        never.at_once(0, 0.0);
        assert!(
            !never.is_due(i64::MAX),
            "the manager would not understand it"
        );
    }

    #[test]
    fn a_long_life_ends_with_the_first_manager_that_renews() {
        let life = Life {
            from: 0,
            until: 40_000 * DAY,
        };
        let table = Timetable::new(life, Some(90 * 86_400), 0.5);
        let wait = table.until(now()).unwrap();
        assert!(wait <= Duration::from_secs(30), "{wait:?}");
        let mut table = Timetable::new(life, Some(30), 1.0);
        assert!(table.is_due(now() + 1));
        assert_eq!(table.later(100, 1.0), Duration::from_secs(1));
        assert!(!table.is_due(100) && table.is_due(101));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_quiet_a_while_after_its_last_command() {
        let activity = Activity::new();
        activity.begin();
        let waited = async {
            activity.quiet(QUIET).await;
            Instant::now()
        };
        let begin = Instant::now();
        let (at, ()) = tokio::join!(waited, async {
            sleep(5 * QUIET).await;
            activity.end();
        });
        assert!(at >= begin + 6 * QUIET && at <= begin + 7 * QUIET);
    }
}
