//! From the section of the configuration to a provider.

use async_trait::async_trait;
use wpk_api::examine::{Check, Examine};
use wpk_api::section::{self, Section};
use wpk_api::settings::Problem;
use wpk_api::{Context, Factory, WpkProvider};

use crate::examine;
use crate::provider::Repository;
use crate::settings::Settings;

/// `[[provider]] type = "repository"`.
pub fn plugin() -> impl Factory<dyn WpkProvider> {
    section::plugin("repository", Repository::open)
}

// Not beside the settings: the examination asks the provider, which has them.
#[async_trait]
impl Section for Settings {
    const RELOADABLE: bool = true;

    fn problems(&self) -> Vec<Problem> {
        self.mistakes()
    }

    async fn examine(&self, context: &Context, asked: &Examine) -> Vec<Check> {
        examine::examine(self.clone(), context, asked).await
    }
}
