//! What an author exports: plugins by kind and type.

use async_trait::async_trait;
use serde_json::Value;
use wpk_api::border::{Described, Description};
use wpk_api::examine::{Check, Examine};
use wpk_api::settings::Problem;
use wpk_api::{
    AgentDirectory, Context, Demands, Factory, PluginKind, RequestSource, STORE_CONTRACT,
    TaskObserver, TaskStore, Transport, WpkProvider,
};

/// The plugins of one library.
pub struct Exports {
    pub(crate) entries: Vec<Entry>,
}

/// One plugin, by its kind.
pub(crate) enum Entry {
    Source(Box<dyn Factory<dyn RequestSource>>),
    Directory(Box<dyn Factory<dyn AgentDirectory>>),
    Provider(Box<dyn Factory<dyn WpkProvider>>),
    Transport(Box<dyn Factory<dyn Transport>>),
    Store(Box<dyn Factory<dyn TaskStore>>),
    Observer(Box<dyn Factory<dyn TaskObserver>>),
}

/// What is asked of a factory whatever it makes.
#[async_trait]
pub(crate) trait Asked: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn schema(&self) -> Option<Value>;
    fn reloadable(&self) -> bool;
    fn check(&self, settings: &Value) -> Vec<Problem>;
    fn demands(&self, settings: &Value, context: &Context) -> Demands;
    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check>;
}

#[async_trait]
impl<T: ?Sized> Asked for Box<dyn Factory<T>> {
    fn type_name(&self) -> &'static str {
        (**self).kind()
    }

    fn schema(&self) -> Option<Value> {
        (**self).schema()
    }

    fn reloadable(&self) -> bool {
        (**self).reloadable()
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        (**self).check(settings)
    }

    fn demands(&self, settings: &Value, context: &Context) -> Demands {
        (**self).demands(settings, context)
    }

    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check> {
        (**self).examine(settings, context, asked).await
    }
}

impl Entry {
    pub(crate) fn asked(&self) -> &dyn Asked {
        match self {
            Self::Source(factory) => factory,
            Self::Directory(factory) => factory,
            Self::Provider(factory) => factory,
            Self::Transport(factory) => factory,
            Self::Store(factory) => factory,
            Self::Observer(factory) => factory,
        }
    }

    pub(crate) fn kind(&self) -> PluginKind {
        match self {
            Self::Source(_) => PluginKind::Source,
            Self::Directory(_) => PluginKind::Directory,
            Self::Provider(_) => PluginKind::Provider,
            Self::Transport(_) => PluginKind::Transport,
            Self::Store(_) => PluginKind::Store,
            Self::Observer(_) => PluginKind::Observer,
        }
    }

    fn described(&self) -> Described {
        let (kind, asked) = (self.kind(), self.asked());
        Described {
            kind,
            type_name: asked.type_name().to_owned(),
            schema: asked.schema(),
            contract: (kind == PluginKind::Store).then_some(STORE_CONTRACT),
            reloadable: asked.reloadable(),
        }
    }
}

macro_rules! kinds {
    ($($kind:literal, $add:ident, $variant:ident, $trait:path;)*) => {$(
        #[doc = concat!("Adds ", $kind, ": what [`plugin`](crate::plugin) makes of a section \
            and a function, or any other factory.")]
        #[must_use]
        pub fn $add(mut self, factory: impl Factory<dyn $trait> + 'static) -> Self {
            self.entries.push(Entry::$variant(Box::new(factory)));
            self
        }
    )*};
}

impl Exports {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    kinds! {
        "a source", source, Source, RequestSource;
        "a directory", directory, Directory, AgentDirectory;
        "a provider", provider, Provider, WpkProvider;
        "a transport", transport, Transport, Transport;
        "a store", store, Store, TaskStore;
        "an observer", observer, Observer, TaskObserver;
    }

    /// The description of the header.
    pub(crate) fn description(&self, name: &str, version: &str) -> Description {
        Description {
            name: name.to_owned(),
            version: version.to_owned(),
            plugins: self.entries.iter().map(Entry::described).collect(),
        }
    }
}
