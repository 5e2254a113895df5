//! What of the settings can be changed while the engine runs: the limits of
//! deliveries, of tasks and of the cache, and where WPKs come from.

use std::sync::Arc;

use wpk_api::WpkProvider;
use wpk_config::Settings;

use crate::parts::PluginState;
use crate::vitals;
use crate::workshop::{Limits, Workshop};

/// Changes a running engine, and looks at it.
#[derive(Clone)]
pub struct Control {
    workshop: Arc<Workshop>,
}

impl Control {
    pub(crate) fn new(workshop: Arc<Workshop>) -> Self {
        Self { workshop }
    }

    /// Takes over `[delivery]` (but for `max_memory`), `[tasks]` (but for `on_restart`),
    /// both of which count at a start, and the sizes of `[cache]`. What was begun goes on as it was begun: an
    /// attempt keeps its chunk size and its time, a task the number of its attempts,
    /// a download its largest size. With fewer slots than before, those in use are
    /// given back as deliveries end.
    pub fn set_limits(&self, settings: &Settings) {
        let workshop = &self.workshop;
        let bandwidth = settings.delivery.max_bandwidth;
        workshop.bandwidth.set(bandwidth.map(|rate| rate.0));
        workshop.cache.set_limits(&settings.cache);
        workshop.limits.send_replace(Limits::of(settings));
    }

    /// What is counted and measured, in the text form of OpenMetrics.
    /// `plugins` are the libraries that were loaded.
    pub async fn metrics(&self, plugins: &[PluginState]) -> String {
        vitals::metrics(&self.workshop, plugins).await
    }

    /// Whether requests can be answered now.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self) -> Result<(), String> {
        vitals::ready(&self.workshop).await
    }

    /// Waits until the tasks of the last run are found again, and requests are answered;
    /// for ever if the engine ends before.
    pub async fn begun(&self) {
        let mut begun = self.workshop.begun.subscribe();
        // The workshop, which tells, is there for as long as this.
        let _ = begun.wait_for(|begun| *begun).await;
    }

    /// The next wish is answered by these providers. Files that were found before
    /// are still fetched from where they were found.
    pub fn set_providers(&self, providers: Vec<Arc<dyn WpkProvider>>) {
        self.workshop.resolver.set_providers(providers);
        self.workshop.stock.forget();
    }
}
