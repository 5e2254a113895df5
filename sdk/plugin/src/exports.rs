//! What an author exports: plugins by kind and type, each with its settings.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;
use wpk_api::border::{Described, Description};
use wpk_api::examine::{Check, Examine};
use wpk_api::settings::{self, Problem};
use wpk_api::{
    AgentDirectory, BuildError, Context, Demands, Factory, PluginKind, RequestSource,
    STORE_CONTRACT, TaskStore, Transport, WpkProvider,
};

/// The settings of a plugin: a struct with
/// `#[derive(Deserialize, JsonSchema)] #[serde(deny_unknown_fields)]`, with
/// `#[serde(default)]` on what may be left out. A doc comment on a field becomes
/// its description. [`Span`](settings::Span) and [`ByteSize`](settings::ByteSize)
/// need `#[schemars(with = "String")]`.
pub trait Settings: DeserializeOwned + JsonSchema {
    /// Mistakes that types cannot tell: a number out of range, two keys that
    /// exclude each other. Touches nothing.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// A plugin without settings.
impl Settings for NoSettings {}

/// The settings of a plugin that has none.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// The factories of one library.
pub struct Exports {
    pub(crate) entries: Vec<Entry>,
}

pub(crate) struct Entry {
    pub(crate) kind: PluginKind,
    pub(crate) name: &'static str,
    pub(crate) schema: Option<Value>,
    pub(crate) maker: Maker,
}

pub(crate) enum Maker {
    Source(Box<dyn Factory<dyn RequestSource>>),
    Directory(Box<dyn Factory<dyn AgentDirectory>>),
    Provider(Box<dyn Factory<dyn WpkProvider>>),
    Transport(Box<dyn Factory<dyn Transport>>),
    Store(Box<dyn Factory<dyn TaskStore>>),
}

/// What is asked of a factory whatever it makes.
#[async_trait]
pub(crate) trait Asked: Send + Sync {
    fn check(&self, settings: &Value) -> Vec<Problem>;
    fn demands(&self, settings: &Value, context: &Context) -> Demands;
    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check>;
}

#[async_trait]
impl<T: ?Sized> Asked for Box<dyn Factory<T>> {
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
        match &self.maker {
            Maker::Source(factory) => factory,
            Maker::Directory(factory) => factory,
            Maker::Provider(factory) => factory,
            Maker::Transport(factory) => factory,
            Maker::Store(factory) => factory,
        }
    }

    fn described(&self) -> Described {
        Described {
            kind: self.kind,
            type_name: self.name.to_owned(),
            schema: self.schema.clone(),
            contract: (self.kind == PluginKind::Store).then_some(STORE_CONTRACT),
        }
    }
}

macro_rules! kinds {
    ($($kind:literal, $add:ident, $add_factory:ident, $variant:ident, $trait:path;)*) => {$(
        #[doc = concat!("Adds a ", $kind, " with its settings and the function that makes it.")]
        #[must_use]
        pub fn $add<S, P, F>(mut self, name: &'static str, open: F) -> Self
        where
            S: Settings + 'static,
            P: $trait + 'static,
            F: Fn(S, &Context) -> Result<P, BuildError> + Send + Sync + 'static,
        {
            let make = move |settings: S, context: &Context| -> Result<Arc<dyn $trait>, BuildError> {
                Ok(Arc::new(open(settings, context)?))
            };
            let factory = Typed { name, make, settings: PhantomData };
            let maker = Maker::$variant(Box::new(factory));
            let schema = Some(schema::<S>());
            self.entries.push(Entry { kind: PluginKind::$variant, name, schema, maker });
            self
        }

        #[doc = concat!("Adds a ", $kind, " that has a factory already, as built-in plugins do. \
            Its settings are checked by the factory alone.")]
        #[must_use]
        pub fn $add_factory(mut self, factory: impl Factory<dyn $trait> + 'static) -> Self {
            let name = factory.kind();
            let maker = Maker::$variant(Box::new(factory));
            self.entries.push(Entry { kind: PluginKind::$variant, name, schema: None, maker });
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
        "source", source, source_factory, Source, RequestSource;
        "directory", directory, directory_factory, Directory, AgentDirectory;
        "provider", provider, provider_factory, Provider, WpkProvider;
        "transport", transport, transport_factory, Transport, Transport;
        "store", store, store_factory, Store, TaskStore;
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

fn schema<S: JsonSchema>() -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    generator.into_root_schema_for::<S>().to_value()
}

/// A factory made of a settings struct and a function.
struct Typed<S, F> {
    name: &'static str,
    make: F,
    settings: PhantomData<fn() -> S>,
}

impl<S, F> Typed<S, F> {
    fn read(settings: &Value) -> Result<S, Vec<Problem>>
    where
        S: Settings,
    {
        let read: S = settings::read(settings)?;
        let problems = read.problems();
        if problems.is_empty() {
            Ok(read)
        } else {
            Err(problems)
        }
    }
}

impl<S, F, T> Factory<T> for Typed<S, F>
where
    S: Settings,
    T: ?Sized,
    F: Fn(S, &Context) -> Result<Arc<T>, BuildError> + Send + Sync,
{
    fn kind(&self) -> &'static str {
        self.name
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        Self::read(settings).err().unwrap_or_default()
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<T>, BuildError> {
        let settings = Self::read(settings).map_err(BuildError::Settings)?;
        (self.make)(settings, context)
    }
}
