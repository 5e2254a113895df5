//! Settings that change while the agent runs: the program reads them again at SIGHUP.
//! `[upgrade]`, `[limits]`, `[agent]` and what `[channel]` says count from the next
//! command, report or connection on. `home` and `[listen]`, and whether there is a
//! `[channel]` at all, are what the agent stands on: they need a restart.

use std::sync::Arc;

use tokio::sync::watch;

use crate::settings::Settings;
use crate::state::State;

/// The settings that count now.
#[derive(Debug, Clone)]
pub struct Live(watch::Receiver<Arc<Settings>>);

/// Where later ones are told.
#[derive(Debug)]
pub struct Renew(watch::Sender<Arc<Settings>>);

impl Live {
    /// Begins with these.
    pub fn new(settings: Settings) -> (Renew, Self) {
        let (sender, receiver) = watch::channel(Arc::new(settings));
        (Renew(sender), Self(receiver))
    }

    pub(crate) fn now(&self) -> Arc<Settings> {
        Arc::clone(&self.0.borrow())
    }
}

impl Renew {
    /// Has all of `new` count that can; answers the sections and keys that need a restart.
    pub fn renew(&self, mut new: Settings) -> Vec<&'static str> {
        let old = Arc::clone(&self.0.borrow());
        let mut later = Vec::new();
        if new.home != old.home {
            later.push("home");
        }
        if new.listen != old.listen {
            later.push("[listen]");
        }
        if new.channel.is_some() != old.channel.is_some() {
            later.push("[channel]");
            new.channel.clone_from(&old.channel);
        }
        new.home.clone_from(&old.home);
        new.listen.clone_from(&old.listen);
        self.0.send_replace(Arc::new(new));
        later
    }
}

/// Carries over `upgrade.enabled`, which a manager's clear may have overruled: only a
/// change of it does. `enabled`: what the state began with. The settings may have changed
/// before this is polled for the first time.
pub(crate) async fn switch(mut live: Live, state: Arc<State>, mut enabled: bool) {
    while live.0.changed().await.is_ok() {
        let now = live.now().upgrade.enabled;
        if now != enabled {
            enabled = now;
            state.enable(now);
        }
    }
    // Nobody renews any more.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hangup may come before anything of the agent runs.
    #[tokio::test]
    async fn a_change_before_the_first_look_is_carried_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Settings::load(&file, Some(dir.path())).unwrap()
        };
        let (renew, live) = Live::new(read("[upgrade]\nenabled = true\n[listen]\n"));
        let state = Arc::new(State::in_folder(dir.path()));
        let switching = switch(live, Arc::clone(&state), true);
        renew.renew(read("[upgrade]\nenabled = false\n[listen]\n"));
        let mut switching = std::pin::pin!(switching);
        let polled = poll_once(switching.as_mut()).await;
        assert!(polled.is_pending() && !state.allows_upgrades());
    }

    /// Polls once.
    async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await
    }
}
