//! SIGHUP: the settings are read again, and what can be changed while the daemon
//! runs is changed: the log's filter, the engine's limits, and providers whose
//! factory says so. Each change and each refusal is logged with its key. Settings
//! with mistakes change nothing, and nothing here ends the daemon.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};
use wpk_api::{Context, PluginKind, WpkProvider};
use wpk_config::{PluginSection, Settings, Written};
use wpk_runtime::Control;

use crate::cli::Where;
use crate::registry::Registry;
use crate::settings;
use crate::telemetry::Log;

/// Keeps SIGHUP from ending this process from now on, whatever it is doing.
///
/// # Errors
/// Those of the system.
pub(crate) fn outlive_hangups() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    // What it registers stays when the runtime is gone.
    runtime.block_on(async { signal(SignalKind::hangup()).map(drop) })
}

/// Providers, each with what it was made of.
type Providers = Vec<(PluginSection, Arc<dyn WpkProvider>)>;

/// What can be changed, and what is in force.
pub(crate) struct Reload<'a> {
    pub(crate) place: &'a Where,
    pub(crate) registry: &'a Registry,
    pub(crate) log: &'a Log,
    pub(crate) control: Control,
    /// As they were written, but for keys that wait for a restart.
    pub(crate) written: Written,
    /// What providers are made with.
    pub(crate) context: Context,
    /// Those in force.
    pub(crate) providers: Providers,
}

impl Reload<'_> {
    /// Reloads at every SIGHUP; never ends.
    pub(crate) async fn at_every(mut self, mut hangups: Signal) -> Infallible {
        while hangups.recv().await.is_some() {
            self.now();
        }
        std::future::pending().await
    }

    fn now(&mut self) {
        info!("SIGHUP: reading the settings again");
        let (settings, written) = match settings::read_again(self.place, self.registry) {
            Ok(read) => read,
            Err(findings) => {
                for finding in &findings.0 {
                    error!(key = finding.key, "{finding}");
                }
                error!("the settings have mistakes; everything stays as it was");
                return;
            }
        };
        for warning in settings::warnings(&settings) {
            warn!("{warning}");
        }
        let changed = self.written.changed(&written);
        let providers = self.provide(&settings);
        let (mut taken, mut left) = (0, 0);
        for key in changed {
            let refusal = match key.split('.').next() {
                Some("provider") => providers.as_ref().err().cloned(),
                Some("log") if key == "log.filter" => self.log.fixed(),
                Some("log") => None,
                _ => needs_restart(&key).then(|| "it needs a restart".to_owned()),
            };
            match refusal {
                Some(reason) => {
                    left += 1;
                    warn!(key, %reason, "a changed setting is not taken over");
                }
                None => {
                    taken += 1;
                    info!(key, "a changed setting is taken over");
                    self.written.take(&key, &written);
                }
            }
        }
        self.control.set_limits(&settings);
        self.log.show(&settings.log);
        if let Ok(providers) = providers {
            let repository = settings.context().wpk_repository;
            if repository != self.context.wpk_repository {
                taken += 1;
                info!(
                    key = "wazuh.ossec_conf",
                    "a changed repository is taken over"
                );
            }
            let made = providers.iter().map(|(_, provider)| provider.clone());
            self.control.set_providers(made.collect());
            self.context.wpk_repository = repository;
            self.providers = providers;
        }
        info!(taken, left, "the settings were read again");
    }

    /// The providers of these settings: those that did not change, and new ones in
    /// the places of those that did. Or why they all stay as they are.
    fn provide(&self, settings: &Settings) -> Result<Providers, String> {
        let context = Context {
            wpk_repository: settings.context().wpk_repository,
            ..self.context.clone()
        };
        let same_context = context == self.context;
        let mut kept: Vec<_> = self.providers.iter().collect();
        let mut provided = Vec::new();
        for section in &settings.providers {
            let reloadable = self.registry.reloadable(PluginKind::Provider, section);
            let known = kept.iter().position(|(known, _)| known == section);
            let known = known.map(|at| kept.remove(at));
            let provider = match known {
                // It may read of the context only what it can take over.
                Some((_, provider)) if same_context || !reloadable => provider.clone(),
                _ if !reloadable => return Err(fixed(section)),
                _ => (self.registry.provider(section, &context))
                    .map_err(|error| error.to_string())?,
            };
            provided.push((section.clone(), provider));
        }
        // One that cannot be made anew may not be taken away either.
        let gone = kept.into_iter().map(|(section, _)| section);
        let mut fixtures =
            gone.filter(|gone| !self.registry.reloadable(PluginKind::Provider, gone));
        match fixtures.next() {
            Some(section) => Err(fixed(section)),
            None => Ok(provided),
        }
    }
}

fn fixed(section: &PluginSection) -> String {
    let name = &section.kind;
    format!("a provider of type {name:?} cannot be changed while wpkd runs; it needs a restart")
}

/// Whether a key outside `[[provider]]` and `[log]` counts at the start alone.
fn needs_restart(key: &str) -> bool {
    let taken = match key.split_once('.') {
        // The room for what is read is made at the start.
        Some(("delivery", key)) => key != "max_memory",
        Some(("tasks", key)) => key != "on_restart",
        Some(("cache", key)) => matches!(key, "max_size" | "max_total"),
        _ => false,
    };
    !taken
}
