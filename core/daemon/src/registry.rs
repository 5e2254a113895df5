//! The plugins the daemon knows by name: the built-ins (`builtins.rs`) and what
//! the libraries of `[[plugin]]` bring. Configuration checks ask it
//! ([`Plugins`]), and [`Registry::build`] makes the parts of an engine out of
//! checked settings.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use wpk_api::examine::{Check, Examine};
use wpk_api::settings::Problem;
use wpk_api::{
    AgentDirectory, Context, Demands, Factory, NodeInfo, Outlook, PluginKind, RequestSource,
    Resource, TaskObserver, TaskStore, Transport, WpkProvider,
};
use wpk_config::{Fragments, PluginFile, PluginSection, Plugins, Settings};
use wpk_loader::{LoadError, LoadOptions, LoadedPlugin};
use wpk_runtime::{Components, NamedObserver};

use crate::factories::{Asked, Factories};
use crate::observers;
use crate::start_error::StartError;

/// The types of the sections of a kind that nobody wrote, on a node.
pub(crate) type Usual = fn(PluginKind, &NodeInfo, bool) -> Vec<&'static str>;

/// All plugins known by name.
pub(crate) struct Registry {
    sources: Factories<dyn RequestSource>,
    directories: Factories<dyn AgentDirectory>,
    providers: Factories<dyn WpkProvider>,
    transports: Factories<dyn Transport>,
    stores: Factories<dyn TaskStore>,
    observers: Factories<dyn TaskObserver>,
    libraries: Vec<LoadedPlugin>,
    usual: Usual,
}

macro_rules! kind_of_plugin {
    ($(#[$meta:meta])* $with:ident, $list:ident, $what:literal, $trait:ty) => {
        $(#[$meta])*
        #[doc = concat!("Adds a ", $what, ".")]
        #[must_use]
        pub(crate) fn $with(mut self, factory: impl Factory<$trait> + 'static) -> Self {
            self.$list.0.push(Box::new(factory));
            self
        }
    };
}

impl Registry {
    /// A registry without plugins; `usual` names those that stand for sections
    /// nobody wrote.
    pub(crate) fn new(usual: Usual) -> Self {
        Self {
            sources: Factories::default(),
            directories: Factories::default(),
            providers: Factories::default(),
            transports: Factories::default(),
            stores: Factories::default(),
            observers: Factories::default(),
            libraries: Vec::new(),
            usual,
        }
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
    kind_of_plugin!(
        #[allow(dead_code)] // Until one is built in.
        with_observer,
        observers,
        "task observer",
        dyn TaskObserver
    );

    /// Loads the libraries of `[[plugin]]` that are named well, and tells the
    /// configuration what is wrong with the others.
    pub(crate) fn load_libraries(&mut self, fragments: &mut Fragments) {
        for (number, file) in fragments.plugin_files() {
            let added = wpk_loader::load(&file.path, &options(&file))
                .map_err(LibraryError::from)
                .and_then(|library| self.add_library(&library));
            if let Err(error) = added {
                fragments.reject_plugin(number, error.to_string());
            }
        }
    }

    /// Adds everything a library brings, unless a type of it is known already.
    fn add_library(&mut self, library: &LoadedPlugin) -> Result<(), LibraryError> {
        let brought: [(PluginKind, Vec<&'static str>); 6] = [
            (PluginKind::Source, types(&library.sources())),
            (PluginKind::Directory, types(&library.directories())),
            (PluginKind::Transport, types(&library.transports())),
            (PluginKind::Provider, types(&library.providers())),
            (PluginKind::Store, types(&library.stores())),
            (PluginKind::Observer, types(&library.observers())),
        ];
        for (kind, names) in brought {
            let known = self.of(kind).types();
            if let Some(name) = names.into_iter().find(|name| known.contains(name)) {
                return Err(LibraryError::Known {
                    path: library.path().to_owned(),
                    kind,
                    name,
                });
            }
        }
        self.sources.0.extend(boxed(library.sources()));
        self.directories.0.extend(boxed(library.directories()));
        self.providers.0.extend(boxed(library.providers()));
        self.transports.0.extend(boxed(library.transports()));
        self.stores.0.extend(boxed(library.stores()));
        self.observers.0.extend(boxed(library.observers()));
        self.libraries.push(library.clone());
        Ok(())
    }

    /// The libraries that were loaded.
    pub(crate) fn libraries(&self) -> &[LoadedPlugin] {
        &self.libraries
    }

    /// Waits, at most 5 seconds for each library, until what its plugins made
    /// and the engine dropped is closed: a store may have something to write.
    pub(crate) fn settle(&self) {
        self.libraries.iter().for_each(LoadedPlugin::settle);
    }

    fn of(&self, kind: PluginKind) -> &dyn Asked {
        match kind {
            PluginKind::Source => &self.sources,
            PluginKind::Directory => &self.directories,
            PluginKind::Transport => &self.transports,
            PluginKind::Provider => &self.providers,
            PluginKind::Store => &self.stores,
            PluginKind::Observer => &self.observers,
        }
    }

    /// The sections of a kind that the daemon starts with.
    pub(crate) fn sections(&self, kind: PluginKind, settings: &Settings) -> Vec<PluginSection> {
        match kind {
            PluginKind::Source => self.sources(settings),
            kind => settings.sections(kind).to_vec(),
        }
    }

    /// A source with the type of the transport is added by itself: a transport
    /// over which agents also report brings their acknowledgements with it.
    fn sources(&self, settings: &Settings) -> Vec<PluginSection> {
        let mut sections = settings.sources.clone();
        if let Some(PluginSection { kind, .. }) = &settings.transport
            && self.sources.find(kind).is_some()
            && !sections.iter().any(|section| section.kind == *kind)
        {
            sections.push(PluginSection::of(kind));
        }
        sections
    }

    /// Whether the world would stop the start of the plugin of a section; see
    /// [`Factory::outlook`]. Nothing for an unknown type.
    pub(crate) async fn outlook(
        &self,
        kind: PluginKind,
        section: &PluginSection,
        context: &Context,
    ) -> Outlook {
        self.of(kind).outlook(section, context).await
    }

    /// What the plugin of a section finds of its surroundings; see
    /// [`Factory::examine`]. Nothing for an unknown type.
    pub(crate) async fn examine(
        &self,
        kind: PluginKind,
        section: &PluginSection,
        context: &Context,
        asked: &Examine,
    ) -> Vec<Check> {
        self.of(kind).examine(section, context, asked).await
    }

    /// The paths at which sources serve.
    pub(crate) fn served(&self, settings: &Settings) -> Vec<PathBuf> {
        let (kind, context) = (PluginKind::Source, settings.context());
        let sections = self.sections(kind, settings);
        let demands = (sections.iter()).map(|section| self.demands(kind, section, &context));
        let occupied = demands.flat_map(|demands| demands.occupies);
        let paths = occupied.filter_map(|occupied| match occupied.what {
            Resource::Path(path) => Some(path),
            Resource::Tcp(_) => None,
        });
        paths.collect()
    }

    /// Every type that is known with its schema, where it has one, by kind.
    pub(crate) fn schemas(&self) -> Vec<(PluginKind, &'static str, Option<Value>)> {
        let kinds = PluginKind::ALL.into_iter();
        let of = |kind| {
            let types = self.of(kind).types().into_iter();
            types.map(move |name| (kind, name, self.of(kind).schema(name)))
        };
        kinds.flat_map(of).collect()
    }

    /// Whether the plugin of a section can be made anew while its predecessor works.
    pub(crate) fn reloadable(&self, kind: PluginKind, section: &PluginSection) -> bool {
        self.of(kind).reloadable(&section.kind)
    }

    /// Makes the provider of a section.
    ///
    /// # Errors
    /// [`StartError`] names it and what to do.
    pub(crate) fn provider(
        &self,
        section: &PluginSection,
        context: &Context,
    ) -> Result<Arc<dyn WpkProvider>, StartError> {
        self.providers.build(PluginKind::Provider, section, context)
    }

    /// Makes the observers of all sections, under names that the next start gives them too.
    ///
    /// # Errors
    /// As for [`build`](Self::build).
    pub(crate) fn observers(
        &self,
        settings: &Settings,
        context: &Context,
    ) -> Result<Vec<NamedObserver>, StartError> {
        let sections = &settings.observers;
        let named = observers::names(sections).into_iter().zip(sections);
        let built = named.map(|(name, section)| {
            let observer = (self.observers).build(PluginKind::Observer, section, context)?;
            Ok(NamedObserver { name, observer })
        });
        built.collect()
    }

    /// Makes the parts of an engine. Sources come last, so that nothing is
    /// accepted before everything it needs is there.
    ///
    /// # Errors
    /// [`StartError`] names the plugin and what to do.
    pub(crate) fn build(&self, settings: &Settings) -> Result<Components, StartError> {
        let context = settings.context();
        let one = |kind| (settings.sections(kind).first()).ok_or(StartError::NoSection(kind));
        let store = one(PluginKind::Store)?;
        let store = self.stores.build(PluginKind::Store, store, &context)?;
        let transport = one(PluginKind::Transport)?;
        let transport = self
            .transports
            .build(PluginKind::Transport, transport, &context)?;
        let directory = one(PluginKind::Directory)?;
        let directory = self
            .directories
            .build(PluginKind::Directory, directory, &context)?;
        let providers = (settings.providers.iter())
            .map(|section| self.provider(section, &context))
            .collect::<Result<Vec<_>, _>>()?;
        let observers = self.observers(settings, &context)?;
        let sources = (self.sources(settings).iter())
            .map(|section| self.sources.build(PluginKind::Source, section, &context))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Components {
            sources,
            directory,
            providers,
            transport,
            store,
            observers,
        })
    }
}

fn types<T: ?Sized>(factories: &[impl Factory<T>]) -> Vec<&'static str> {
    factories.iter().map(Factory::kind).collect()
}

fn boxed<T: ?Sized>(
    factories: Vec<impl Factory<T> + 'static>,
) -> impl Iterator<Item = Box<dyn Factory<T>>> {
    let boxed = |factory| Box::new(factory) as Box<dyn Factory<T>>;
    factories.into_iter().map(boxed)
}

/// How the configuration wants a library to be loaded.
fn options(file: &PluginFile) -> LoadOptions {
    let usual = LoadOptions::default();
    LoadOptions {
        sha256: file.sha256,
        deadline: file.deadline,
        grace: file.grace.unwrap_or(usual.grace),
    }
}

impl Plugins for Registry {
    fn types(&self, kind: PluginKind) -> Vec<&'static str> {
        self.of(kind).types()
    }

    fn usual(&self, kind: PluginKind, node: &NodeInfo, manager: bool) -> Vec<&'static str> {
        (self.usual)(kind, node, manager)
    }

    fn check(&self, kind: PluginKind, type_name: &str, settings: &Value) -> Option<Vec<Problem>> {
        self.of(kind).check(type_name, settings)
    }

    fn demands(&self, kind: PluginKind, section: &PluginSection, context: &Context) -> Demands {
        let factories = self.of(kind);
        let demands = factories.demands(&section.kind, &section.settings, context);
        demands.unwrap_or_default()
    }
}

/// Why a library of `[[plugin]]` is not used.
#[derive(Debug, thiserror::Error)]
enum LibraryError {
    /// It cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It brings a type that is known already.
    #[error(
        "{path}: brings the {kind} type {name:?}, which is known already; rename it or leave one of the two out",
        path = .path.display()
    )]
    Known {
        path: std::path::PathBuf,
        kind: PluginKind,
        name: &'static str,
    },
}
