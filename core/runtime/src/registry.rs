//! The plugins the daemon knows by name. The daemon fills it with the
//! built-ins, the configuration adds libraries; configuration checks ask it, and [`Registry::build`] makes the
//! parts of an engine out of checked settings.

use std::sync::Arc;

use serde_json::Value;
use wpk_api::settings::Problem;
use wpk_api::{
    AgentDirectory, BuildError, Context, Factory, RequestSource, TaskStore, Transport, WpkProvider,
};

use crate::config::{PluginSection, Settings};
use crate::plugin::{LoadError, LoadedFactory, LoadedPlugin};

/// A named set of factories of one trait.
pub struct Factories<T: ?Sized>(Vec<Box<dyn Factory<T>>>);

impl<T: ?Sized> Default for Factories<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ?Sized> Factories<T> {
    fn find(&self, kind: &str) -> Option<&dyn Factory<T>> {
        self.0
            .iter()
            .find(|factory| factory.kind() == kind)
            .map(|factory| &**factory)
    }

    /// Adds what a library brings, unless a type is known already.
    fn add(
        &mut self,
        what: &'static str,
        plugin: &LoadedPlugin,
        factories: Vec<LoadedFactory<T>>,
    ) -> Result<(), LoadError>
    where
        LoadedFactory<T>: Factory<T> + 'static,
    {
        if let Some(known) = (factories.iter()).find(|one| self.find(one.kind()).is_some()) {
            return Err(LoadError::Known {
                path: plugin.path().to_owned(),
                kind: what,
                name: known.kind().to_owned(),
            });
        }
        for factory in factories {
            self.0.push(Box::new(factory));
        }
        Ok(())
    }

    fn build(
        &self,
        what: &'static str,
        section: &PluginSection,
        context: &Context,
    ) -> Result<Arc<T>, StartError> {
        let kind = &section.kind;
        let factory = self.find(kind).ok_or_else(|| StartError::UnknownKind {
            what,
            kind: kind.clone(),
        })?;
        factory
            .build(&section.settings, context)
            .map_err(|cause| StartError::Build {
                what,
                kind: kind.clone(),
                cause,
            })
    }
}

/// What a configuration check asks of a set of factories.
pub trait Kinds {
    /// The known types.
    fn names(&self) -> Vec<&'static str>;
    /// The mistakes in a section of this type; `None` for an unknown type.
    fn check(&self, kind: &str, settings: &Value) -> Option<Vec<Problem>>;
}

impl<T: ?Sized> Kinds for Factories<T> {
    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|factory| factory.kind()).collect()
    }

    fn check(&self, kind: &str, settings: &Value) -> Option<Vec<Problem>> {
        self.find(kind).map(|factory| factory.check(settings))
    }
}

/// All plugins known by name.
#[derive(Default)]
pub struct Registry {
    sources: Factories<dyn RequestSource>,
    directories: Factories<dyn AgentDirectory>,
    providers: Factories<dyn WpkProvider>,
    transports: Factories<dyn Transport>,
    stores: Factories<dyn TaskStore>,
    plugins: Vec<LoadedPlugin>,
}

macro_rules! kind_of_plugin {
    ($add:ident, $list:ident, $what:literal, $type:ty) => {
        #[doc = concat!("Adds a ", $what, ".")]
        #[must_use]
        pub fn $add(mut self, factory: impl Factory<$type> + 'static) -> Self {
            self.$list.0.push(Box::new(factory));
            self
        }

        #[doc = concat!("Every known ", $what, ", for configuration checks.")]
        pub fn $list(&self) -> &dyn Kinds {
            &self.$list
        }
    };
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    kind_of_plugin!(with_source, sources, "request source", dyn RequestSource);
    kind_of_plugin!(
        with_directory,
        directories,
        "agent directory",
        dyn AgentDirectory
    );
    kind_of_plugin!(with_provider, providers, "WPK provider", dyn WpkProvider);
    kind_of_plugin!(with_transport, transports, "transport", dyn Transport);
    kind_of_plugin!(with_store, stores, "task store", dyn TaskStore);

    /// Adds everything a library brings.
    ///
    /// # Errors
    /// [`LoadError::Known`] if a type of it is known already.
    pub fn add_plugin(&mut self, plugin: &LoadedPlugin) -> Result<(), LoadError> {
        self.sources.add("source", plugin, plugin.sources())?;
        self.directories
            .add("directory", plugin, plugin.directories())?;
        self.providers.add("provider", plugin, plugin.providers())?;
        self.transports
            .add("transport", plugin, plugin.transports())?;
        self.stores.add("store", plugin, plugin.stores())?;
        self.plugins.push(plugin.clone());
        Ok(())
    }

    /// Waits, at most 5 seconds for each library, until what its plugins made
    /// and the engine dropped is closed: a store may have something to write.
    pub fn settle(&self) {
        self.plugins.iter().for_each(LoadedPlugin::settle);
    }

    /// Makes the parts of an engine. Sources come last, so that nothing is
    /// accepted before everything it needs is there. A source with the type of
    /// the transport is added by itself: a transport over which agents also
    /// report brings their acknowledgements with it.
    ///
    /// # Errors
    /// [`StartError`] names the plugin and what to do.
    pub fn build(&self, settings: &Settings) -> Result<Components, StartError> {
        let context = Context {
            home: settings.home.clone(),
            node: settings.node.clone(),
        };
        let store = self.stores.build("store", &settings.store, &context)?;
        let transport = self
            .transports
            .build("transport", &settings.transport, &context)?;
        let directory = self
            .directories
            .build("directory", &settings.directory, &context)?;
        let providers = (settings.providers.iter())
            .map(|section| self.providers.build("provider", section, &context))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sections = settings.sources.clone();
        let companion = &settings.transport.kind;
        if self.sources.find(companion).is_some() && !sections.iter().any(|s| s.kind == *companion)
        {
            sections.push(PluginSection::of(companion));
        }
        let sources = (sections.iter())
            .map(|section| self.sources.build("source", section, &context))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Components {
            sources,
            directory,
            providers,
            transport,
            store,
        })
    }
}

/// The parts of an engine.
#[derive(Clone)]
pub struct Components {
    /// Where requests come from.
    pub sources: Vec<Arc<dyn RequestSource>>,
    /// Who the agents are.
    pub directory: Arc<dyn AgentDirectory>,
    /// Where WPKs come from, in the order they are asked.
    pub providers: Vec<Arc<dyn WpkProvider>>,
    /// The agent channel.
    pub transport: Arc<dyn Transport>,
    /// Where tasks are kept.
    pub store: Arc<dyn TaskStore>,
}

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A `type` nobody answers to.
    #[error("{what}.type: {kind:?} is unknown")]
    UnknownKind {
        /// The section.
        what: &'static str,
        /// Its type.
        kind: String,
    },
    /// A plugin could not be made.
    #[error("{what} {kind:?}: {cause}")]
    Build {
        /// The section.
        what: &'static str,
        /// Its type.
        kind: String,
        /// Why.
        cause: BuildError,
    },
    /// A folder the engine needs cannot be made or used.
    #[error("{path}: {cause}; create it, or give its owner to the user wpkd runs as", path = path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The certificates WPKs are checked against cannot be read.
    #[error("cache.ca_store: {0}")]
    CaStore(String),
}
