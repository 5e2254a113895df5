//! From the section of the configuration to a provider.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wpk_api::examine::{Check, Examine};
use wpk_api::settings::Problem;
use wpk_api::{BuildError, Context, Factory, WpkProvider};

use crate::examine;
use crate::provider::Repository;
use crate::settings::Settings;

/// Makes providers of `type = "repository"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepositoryFactory;

#[async_trait]
impl Factory<dyn WpkProvider> for RepositoryFactory {
    fn kind(&self) -> &'static str {
        "repository"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        Settings::read(settings).err().unwrap_or_default()
    }

    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check> {
        match Settings::read(settings) {
            Ok(settings) => examine::examine(settings, context, asked).await,
            Err(_) => Vec::new(),
        }
    }

    fn build(
        &self,
        settings: &Value,
        context: &Context,
    ) -> Result<Arc<dyn WpkProvider>, BuildError> {
        let settings = Settings::read(settings).map_err(BuildError::Settings)?;
        Ok(Arc::new(Repository::open(settings, context)?))
    }
}
