//! The factories of a library's plugins, beside those of the built-ins.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wpk_abi::Operation;
use wpk_api::border::{Described, Opened, Section};
use wpk_api::examine::{Check, Examine};
use wpk_api::settings::Problem;
use wpk_api::{
    BuildError, Context, Demands, Factory, OLDEST_STORE_CONTRACT, PluginKind, STORE_CONTRACT,
};

use crate::border::Border;
use crate::failure::CallError;
use crate::handles::Handle;
use crate::instance::{self, Instance};
use crate::schema;

/// The minor version since which `demands` and `examine` are asked.
const ASKED_MORE: u16 = 1;

/// Makes instances of one plugin of a library.
pub struct LoadedFactory<T: ?Sized> {
    border: &'static Border,
    entry: &'static Described,
    make: fn(Instance, Opened) -> Arc<T>,
}

impl<T: ?Sized> LoadedFactory<T> {
    pub(crate) fn new(
        border: &'static Border,
        entry: &'static Described,
        make: fn(Instance, Opened) -> Arc<T>,
    ) -> Self {
        Self {
            border,
            entry,
            make,
        }
    }

    fn section(&self, settings: &Value) -> Section {
        Section {
            kind: self.entry.kind,
            type_name: self.entry.type_name.clone(),
            settings: settings.clone(),
            context: None,
            examine: None,
        }
    }

    fn ask_problems(&self, settings: &Value) -> Result<Vec<Problem>, CallError> {
        let section = self.section(settings);
        let answer = instance::ask_now(self.border, &Handle::None, Operation::Check, &section)?;
        instance::read(self.border, Operation::Check, &answer.json)
    }

    fn ask_demands(&self, section: &Section) -> Result<Demands, CallError> {
        let answer = instance::ask_now(self.border, &Handle::None, Operation::Demands, section)?;
        instance::read(self.border, Operation::Demands, &answer.json)
    }

    /// A store that was built for a contract that is too old or too new would lose what it
    /// does not know.
    fn contract(&self) -> Option<Problem> {
        let built_for = self.entry.contract.unwrap_or(1);
        let known = OLDEST_STORE_CONTRACT..=STORE_CONTRACT;
        let wrong = self.entry.kind == PluginKind::Store && !known.contains(&built_for);
        wrong.then(|| {
            let advice = match built_for < STORE_CONTRACT {
                true => "rebuild it with this SDK",
                false => "use the wpkd it was built for",
            };
            let name = self.border.name();
            Problem::new(
                "type",
                format!("plugin {name} was built for store contract {built_for}; {advice}"),
            )
        })
    }
}

#[async_trait]
impl<T: ?Sized> Factory<T> for LoadedFactory<T> {
    fn kind(&self) -> &'static str {
        &self.entry.type_name
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        if let Some(problem) = self.contract() {
            return vec![problem];
        }
        let mut problems = match &self.entry.schema {
            Some(schema) => schema::check(schema, settings),
            None => Vec::new(),
        };
        match self.ask_problems(settings) {
            // The plugin's own words are better than those of the schema.
            Ok(asked) => {
                problems.retain(|known| asked.iter().all(|problem| problem.key != known.key));
                problems.extend(asked);
            }
            Err(error) => problems.push(Problem::new("", error.to_string())),
        }
        problems
    }

    fn schema(&self) -> Option<Value> {
        self.entry.schema.clone()
    }

    fn reloadable(&self) -> bool {
        self.entry.reloadable
    }

    fn demands(&self, settings: &Value, context: &Context) -> Demands {
        if !self.border.speaks(ASKED_MORE) {
            return Demands::default();
        }
        let section = Section {
            context: Some(context.clone()),
            ..self.section(settings)
        };
        self.ask_demands(&section).unwrap_or_else(|error| {
            if !error.is_unsupported() {
                tracing::warn!(plugin = self.border.name(), %error, "what a section demands is not known");
            }
            Demands::default()
        })
    }

    async fn examine(&self, settings: &Value, context: &Context, asked: &Examine) -> Vec<Check> {
        if !self.border.speaks(ASKED_MORE) {
            return Vec::new();
        }
        let section = Section {
            context: Some(context.clone()),
            examine: Some(asked.clone()),
            ..self.section(settings)
        };
        let answer = instance::ask(self.border, Operation::Examine, &section).await;
        match answer {
            Ok(checks) => checks,
            Err(error) if error.is_unsupported() => Vec::new(),
            Err(error) => {
                let name = format!("plugin {}", self.border.name());
                vec![Check::failure(
                    name,
                    error.to_string(),
                    "look into wpkd's log",
                )]
            }
        }
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<T>, BuildError> {
        if let Some(problem) = self.contract() {
            return Err(BuildError::Settings(vec![problem]));
        }
        let section = Section {
            context: Some(context.clone()),
            ..self.section(settings)
        };
        // The one before may hold a socket or a lock until it is closed.
        instance::wait_here(|| self.border.settle());
        let opened = instance::ask_now(self.border, &Handle::None, Operation::Open, &section)
            .map_err(CallError::build)?;
        let answer: Option<Opened> =
            instance::read(self.border, Operation::Open, &opened.json).map_err(CallError::build)?;
        let instance = Instance::new(self.border, opened.handle);
        Ok((self.make)(instance, answer.unwrap_or_default()))
    }
}
