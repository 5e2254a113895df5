//! What all who have to do with rollouts share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;
use wpk_api::Incarnation;

use super::book::{KnownLabels, KnownSites};
use super::eyes::Eyes;
use super::links::Links;
use super::pins::Pins;

/// One per engine.
#[derive(Default)]
pub(crate) struct Rollouts {
    /// Something was written: look at once.
    pub(super) wake: Notify,
    /// What is known; held while it is looked, never while it is waited.
    pub(super) eyes: AsyncMutex<Eyes>,
    /// The labels that the store keeps, as they were read last.
    pub(super) labels: AsyncMutex<KnownLabels>,
    /// The sites, likewise.
    pub(super) sites: AsyncMutex<KnownSites>,
    /// How much may be sent to which site.
    pub(crate) links: Links,
    /// Which files releases may be.
    pub(crate) pins: Pins,
    health: Mutex<Health>,
    written: AtomicU64,
    documents: AtomicU64,
}

/// How planning goes here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    /// When a plan was carried out last.
    pub(crate) planned: Option<Instant>,
    /// Why none can be, in the words of whoever is asked.
    pub(crate) trouble: Option<String>,
}

impl Rollouts {
    /// How planning goes here.
    pub(crate) fn health(&self) -> Health {
        self.kept().clone()
    }

    /// A plan was carried out, or could not be; whether that is news.
    pub(super) fn went(&self, trouble: Option<String>) -> bool {
        let mut health = self.kept();
        if trouble.is_none() {
            health.planned = Some(Instant::now());
        }
        let news = health.trouble.is_some() != trouble.is_some();
        health.trouble = trouble;
        news
    }

    /// A text that no other writing has, of any daemon.
    pub(super) fn unique(&self, incarnation: Incarnation) -> String {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        format!("{incarnation}-{process}-{number}")
    }

    /// Documents were written here, or may have been.
    pub(super) fn wrote(&self) {
        self.documents.fetch_add(1, Ordering::SeqCst);
    }

    /// How often documents were written here.
    pub(super) fn writings(&self) -> u64 {
        self.documents.load(Ordering::SeqCst)
    }

    fn kept(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
