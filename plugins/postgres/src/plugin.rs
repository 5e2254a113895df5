//! The store as a plugin: what is wrong with its section, and how it is opened.

use std::sync::Arc;

use async_trait::async_trait;
use wpk_api::examine::{Check, Examine};
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Problems, Span, Value, schema_of};
use wpk_api::{BuildError, Context, Demands, Factory, Outlook, TaskStore};

use crate::place::{Place, read_url};
use crate::settings::Settings;
use crate::{PostgresStore, examine};

/// The longest name of a schema, in bytes: what PostgreSQL keeps of a name.
const LONGEST_NAME: usize = 63;

#[async_trait]
impl Section for Settings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        let usual = Self::default();
        for (key, url) in [("url", &self.url), ("listen_url", &self.listen_url)] {
            if let Some(Err(error)) = url.as_deref().map(read_url) {
                problems.add(key, error);
            }
        }
        if self.url.is_some() {
            let both = [
                ("host", self.host != usual.host),
                ("port", self.port != usual.port),
            ];
            for (key, _) in both.into_iter().filter(|(_, set)| *set) {
                problems.add(key, "url says it already: leave one of the two out");
            }
        }
        problems.not_empty("host", &self.host, "write the name of the server");
        problems.in_range("port", self.port, 1..=u16::MAX);
        problems.not_empty("user", &self.user, "write whom the server knows us as");
        problems.not_empty("database", &self.database, "write the name of the database");
        if !is_name(&self.schema) {
            let words = "must be 1 to 63 lower-case letters, digits and _, not begin with a \
                         digit, and not with pg_";
            problems.add("schema", words);
        }
        problems.in_range("pool", self.pool, 2..=100);
        problems.in_range("lease", self.lease, Span::seconds(3)..=Span::seconds(300));
        let millis = |millis| Span(std::time::Duration::from_millis(millis));
        problems.in_range(
            "connect_timeout",
            self.connect_timeout,
            millis(100)..=Span::seconds(60),
        );
        problems.in_range("timeout", self.timeout, millis(500)..=Span::seconds(300));
        if !self.listen && self.listen_url.is_some() {
            problems.add("listen_url", "listen = false: leave one of the two out");
        }
        problems.found()
    }

    fn demands(&self, _: &Context) -> Demands {
        // Under one name for all, each would shut the others out.
        Demands::default().needing_node_name()
    }

    async fn outlook(&self, context: &Context) -> Outlook {
        let place = Place::of(self, |path| context.path(path));
        let problem = match place.map(|place| place.password()) {
            Ok(Ok(_)) => None,
            Ok(Err(fault)) => Some(Problem::new(
                "password_file",
                fault.into_error().to_string(),
            )),
            Err((key, error)) => Some(Problem::new(key, error)),
        };
        Outlook {
            problems: problem.into_iter().collect(),
            ..Outlook::default()
        }
    }

    async fn examine(&self, context: &Context, _: &Examine) -> Vec<Check> {
        examine::examine(self, context).await
    }
}

/// What needs no quotes to be a name.
fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(letters)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("pg_")
}

/// `[store] type = "postgres"`.
pub fn plugin() -> impl Factory<dyn TaskStore> {
    section::plugin("postgres", open)
}

fn open(settings: Settings, context: &Context) -> Result<Arc<PostgresStore>, BuildError> {
    let store = PostgresStore::open(&settings, |path| context.path(path));
    store
        .map(Arc::new)
        .map_err(|error| BuildError::Failed(error.to_string()))
}
