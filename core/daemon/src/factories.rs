//! Factories of plugins, by the `type` they answer to. The registry has a set of them for
//! each kind of plugin.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wpk_api::examine::{Check, Examine};
use wpk_api::settings::Problem;
use wpk_api::{Context, Demands, Factory, Outlook, PluginKind};
use wpk_config::PluginSection;

use crate::start_error::StartError;

/// A named set of factories of one trait.
pub(crate) struct Factories<T: ?Sized>(pub(crate) Vec<Box<dyn Factory<T>>>);

impl<T: ?Sized> Default for Factories<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ?Sized> Factories<T> {
    pub(crate) fn find(&self, type_name: &str) -> Option<&dyn Factory<T>> {
        let found = self.0.iter().find(|factory| factory.kind() == type_name);
        found.map(|factory| &**factory)
    }

    /// Makes the plugin of a section.
    ///
    /// # Errors
    /// [`StartError`]
    pub(crate) fn build(
        &self,
        kind: PluginKind,
        section: &PluginSection,
        context: &Context,
    ) -> Result<Arc<T>, StartError> {
        let type_name = &section.kind;
        let factory = self
            .find(type_name)
            .ok_or_else(|| StartError::UnknownType {
                kind,
                type_name: type_name.clone(),
            })?;
        factory
            .build(&section.settings, context)
            .map_err(|cause| StartError::Build {
                kind,
                type_name: type_name.clone(),
                cause,
            })
    }
}

/// What is asked of factories whatever they make.
#[async_trait]
pub(crate) trait Asked: Send + Sync {
    fn types(&self) -> Vec<&'static str>;
    fn check(&self, type_name: &str, settings: &Value) -> Option<Vec<Problem>>;
    fn demands(&self, type_name: &str, settings: &Value, context: &Context) -> Option<Demands>;
    fn schema(&self, type_name: &str) -> Option<Value>;
    fn reloadable(&self, type_name: &str) -> bool;
    async fn outlook(&self, section: &PluginSection, context: &Context) -> Outlook;
    async fn examine(
        &self,
        section: &PluginSection,
        context: &Context,
        asked: &Examine,
    ) -> Vec<Check>;
}

#[async_trait]
impl<T: ?Sized> Asked for Factories<T> {
    fn types(&self) -> Vec<&'static str> {
        self.0.iter().map(|factory| factory.kind()).collect()
    }

    fn check(&self, type_name: &str, settings: &Value) -> Option<Vec<Problem>> {
        self.find(type_name).map(|factory| factory.check(settings))
    }

    fn demands(&self, type_name: &str, settings: &Value, context: &Context) -> Option<Demands> {
        let factory = self.find(type_name)?;
        Some(factory.demands(settings, context))
    }

    fn schema(&self, type_name: &str) -> Option<Value> {
        self.find(type_name)?.schema()
    }

    fn reloadable(&self, type_name: &str) -> bool {
        self.find(type_name).is_some_and(Factory::reloadable)
    }

    async fn outlook(&self, section: &PluginSection, context: &Context) -> Outlook {
        match self.find(&section.kind) {
            Some(factory) => factory.outlook(&section.settings, context).await,
            None => Outlook::default(),
        }
    }

    async fn examine(
        &self,
        section: &PluginSection,
        context: &Context,
        asked: &Examine,
    ) -> Vec<Check> {
        match self.find(&section.kind) {
            Some(factory) => factory.examine(&section.settings, context, asked).await,
            None => Vec::new(),
        }
    }
}
