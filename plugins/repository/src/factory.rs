//! From the section of the configuration to a provider.

use async_trait::async_trait;
use wpk_api::examine::{Check, Examine};
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Value, schema_of};
use wpk_api::{Context, Factory, Outlook, WpkProvider};

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

    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        self.mistakes()
    }

    async fn outlook(&self, context: &Context) -> Outlook {
        let mut outlook = Outlook::default();
        if let Err(error) = Repository::open(self.clone(), context) {
            // Its text begins with the key that is concerned, where there is one.
            let text = error.to_string();
            let key = text.split(' ').next().unwrap_or_default();
            let key = ["ca_file", "password_file"]
                .into_iter()
                .find(|known| *known == key);
            let message = key.map_or(&*text, |key| text[key.len()..].trim_start());
            outlook
                .problems
                .push(Problem::new(key.unwrap_or_default(), message));
        }
        outlook
    }

    async fn examine(&self, context: &Context, asked: &Examine) -> Vec<Check> {
        examine::examine(self.clone(), context, asked).await
    }
}
