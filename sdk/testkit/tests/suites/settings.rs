//! Factories that read their settings well and badly.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use wpk_api::settings::Problem;
use wpk_api::{AgentId, BuildError, Context, Factory, Transport, TransportError};
use wpk_testkit::settings_suite;

use super::{complains, verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    IgnoresUnknown,
    BuildsAnyway,
    TouchesFirst,
    TellsOne,
    SaysFailed,
}

struct Nothing;

#[async_trait]
impl Transport for Nothing {
    async fn request(&self, agent: AgentId, _: Bytes) -> Result<Bytes, TransportError> {
        Err(TransportError::NotConnected(agent))
    }
}

#[derive(Debug, serde::Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[allow(dead_code)]
    name: String,
}

impl Factory<dyn Transport> for Fault {
    fn kind(&self) -> &'static str {
        "nothing"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        if *self == Self::IgnoresUnknown && settings.is_object() {
            return Vec::new();
        }
        let read = wpk_api::settings::read::<Settings>(settings);
        let mut problems = read.err().unwrap_or_default();
        if *self == Self::TellsOne {
            problems.truncate(1);
        }
        problems
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<dyn Transport>, BuildError> {
        if *self == Self::TouchesFirst {
            std::fs::write(context.path("etc/made"), "").unwrap();
        }
        match self.check(settings) {
            problems if problems.is_empty() || *self == Self::BuildsAnyway => Ok(Arc::new(Nothing)),
            problems if *self == Self::SaysFailed => {
                Err(BuildError::Failed(format!("{problems:?}")))
            }
            problems => Err(BuildError::Settings(problems)),
        }
    }
}

fn run(fault: Fault) -> String {
    verdict(move || async move { settings_suite::run(&fault, &json!({"name": "x"})) })
}

#[test]
fn settings_that_are_read_badly_are_found_out() {
    assert_eq!(run(Fault::None), "");
    complains(&run(Fault::IgnoresUnknown), "is not named by");
    complains(&run(Fault::BuildsAnyway), "a plugin was built");
    complains(&run(Fault::TouchesFirst), "files were made");
    complains(&run(Fault::TellsOne), "is not named by");
    complains(&run(Fault::SaysFailed), "must be told as such");
}
