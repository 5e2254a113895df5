//! The one way in which a plugin is written, built-in or loaded: a struct for
//! its section of the configuration, and a function that opens it.
//!
//! ```
//! use serde::Deserialize;
//! use wpk_api::section::{Section, plugin};
//! use wpk_api::settings::{Problem, Problems};
//! use wpk_api::{BuildError, Context, Factory, ProviderError, WpkProvider};
//! # use wpk_api::{ByteStream, Offer, Wanted};
//!
//! /// The section `[[provider]] type = "shelf"`.
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// The folder with the files.
//!     folder: std::path::PathBuf,
//! }
//!
//! impl Section for Settings {
//!     fn problems(&self) -> Vec<Problem> {
//!         let mut problems = Problems::new();
//!         problems.not_empty("folder", &self.folder, "name the folder with the files");
//!         problems.found()
//!     }
//! }
//!
//! struct Shelf(std::path::PathBuf);
//! # #[async_trait::async_trait]
//! # impl WpkProvider for Shelf {
//! #     fn serves(&self, _: &Wanted) -> bool { true }
//! #     async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
//! #         Err(ProviderError::NotListed("it is empty".into()))
//! #     }
//! #     async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
//! #         Err(ProviderError::NoFile("it is empty".into()))
//! #     }
//! # }
//!
//! fn open(settings: Settings, context: &Context) -> Result<Shelf, BuildError> {
//!     Ok(Shelf(context.path(settings.folder)))
//! }
//!
//! /// The plugin, as the daemon's list of built-ins or a library names it.
//! pub fn shelf() -> impl Factory<dyn WpkProvider> {
//!     plugin("shelf", open)
//! }
//!
//! let problems = shelf().check(&serde_json::json!({"folder": "", "fodler": "x"}));
//! assert_eq!(problems[0].key, "fodler");
//! ```

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::examine::{Check, Examine};
use crate::settings::{self, Problem};
use crate::{
    AgentDirectory, BuildError, Context, Demands, Factory, Outlook, RequestSource, TaskObserver,
    TaskStore, Transport, WpkProvider,
};

/// The section of a plugin in the configuration: a struct with
/// `#[serde(deny_unknown_fields)]`, and `#[serde(default)]` on what may be left out.
#[async_trait]
pub trait Section: DeserializeOwned + Send + Sync + 'static {
    /// See [`Factory::reloadable`].
    const RELOADABLE: bool = false;

    /// Mistakes that types cannot tell: a number out of range, two keys that
    /// exclude each other. Touches nothing.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// See [`Factory::demands`].
    fn demands(&self, context: &Context) -> Demands {
        let _ = context;
        Demands::default()
    }

    /// See [`Factory::outlook`].
    async fn outlook(&self, context: &Context) -> Outlook {
        let _ = context;
        Outlook::default()
    }

    /// See [`Factory::examine`].
    async fn examine(&self, context: &Context, asked: &Examine) -> Vec<Check> {
        let _ = (context, asked);
        Vec::new()
    }

    /// A JSON schema of the section, for the description of a library. By default
    /// there is none, and [`problems`](Self::problems) and the types say it all.
    fn schema() -> Option<Value> {
        None
    }

    /// Reads the section.
    ///
    /// # Errors
    /// Every mistake in it.
    fn read(section: &Value) -> Result<Self, Vec<Problem>> {
        let problems = match settings::read::<Self>(section) {
            Ok(read) => match read.problems() {
                problems if problems.is_empty() => return Ok(read),
                problems => problems,
            },
            Err(mut problems) => {
                problems.extend(others::<Self>(section, &problems));
                problems
            }
        };
        Err(problems)
    }
}

/// What is wrong beside the keys that cannot be read. What is said of a key that is
/// not written may come of one of those, and is left out.
fn others<S: Section>(section: &Value, found: &[Problem]) -> Vec<Problem> {
    let Value::Object(entries) = section else {
        return Vec::new();
    };
    let first = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
    let mut rest = entries.clone();
    rest.retain(|key, _| !found.iter().any(|problem| first(&problem.key) == *key));
    let written = |problem: &Problem| rest.contains_key(&first(&problem.key));
    match settings::read::<S>(&Value::Object(rest.clone())) {
        Ok(read) => read.problems().into_iter().filter(written).collect(),
        Err(_) => Vec::new(),
    }
}

/// The section of a plugin that has no settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

impl Section for NoSettings {
    fn schema() -> Option<Value> {
        settings::schema_of::<Self>()
    }
}

/// What opens under a trait: everything that implements it, and what is shared of it.
pub trait Opens<T: ?Sized> {
    /// The same, as the engine holds it.
    fn opened(self) -> Arc<T>;
}

macro_rules! opens {
    ($($trait:path),*) => {$(
        impl<P: $trait + 'static> Opens<dyn $trait> for P {
            fn opened(self) -> Arc<dyn $trait> {
                Arc::new(self)
            }
        }

        impl<P: $trait + 'static> Opens<dyn $trait> for Arc<P> {
            fn opened(self) -> Arc<dyn $trait> {
                self
            }
        }
    )*};
}
opens!(
    RequestSource,
    AgentDirectory,
    Transport,
    WpkProvider,
    TaskStore,
    TaskObserver
);

/// A factory made of a section and a function; see [`plugin`].
pub struct Plugin<S, F> {
    type_name: &'static str,
    open: F,
    section: PhantomData<fn() -> S>,
}

/// The plugin that answers to `type = "type_name"`, whose section is `S` and
/// which `open` makes. `open` may open files and bind sockets, must not block for
/// long, and runs inside a tokio runtime.
pub fn plugin<S, P, F>(type_name: &'static str, open: F) -> Plugin<S, F>
where
    S: Section,
    F: Fn(S, &Context) -> Result<P, BuildError> + Send + Sync,
{
    Plugin {
        type_name,
        open,
        section: PhantomData,
    }
}

#[async_trait]
impl<S, P, F, T> Factory<T> for Plugin<S, F>
where
    S: Section,
    P: Opens<T>,
    F: Fn(S, &Context) -> Result<P, BuildError> + Send + Sync,
    T: ?Sized,
{
    fn kind(&self) -> &'static str {
        self.type_name
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        S::read(settings).err().unwrap_or_default()
    }

    fn schema(&self) -> Option<Value> {
        S::schema()
    }

    fn reloadable(&self) -> bool {
        S::RELOADABLE
    }

    fn demands(&self, settings: &Value, context: &Context) -> Demands {
        S::read(settings).map_or_else(|_| Demands::default(), |section| section.demands(context))
    }

    async fn outlook(&self, settings: &Value, context: &Context) -> Outlook {
        match S::read(settings) {
            Ok(section) => section.outlook(context).await,
            Err(_) => Outlook::default(),
        }
    }

    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check> {
        match S::read(settings) {
            Ok(section) => section.examine(context, asked).await,
            Err(_) => Vec::new(),
        }
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<T>, BuildError> {
        let section = S::read(settings).map_err(BuildError::Settings)?;
        Ok((self.open)(section, context)?.opened())
    }
}
