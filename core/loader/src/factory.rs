//! The factories of a library's plugins, beside those of the built-ins.

use std::sync::Arc;

use serde_json::{Value, json};
use wpk_abi::codes::operation as op;
use wpk_api::settings::Problem;
use wpk_api::{BuildError, Context, Factory};

use crate::border::Border;
use crate::description::Entry;
use crate::failure::CallError;
use crate::handles::Handle;
use crate::instance::{self, Instance};
use crate::schema;

/// Makes instances of one plugin of a library.
pub struct LoadedFactory<T: ?Sized> {
    border: &'static Border,
    entry: &'static Entry,
    make: fn(Instance, Answer) -> Arc<T>,
}

/// What a plugin says about a new instance.
pub(crate) type Answer = Value;

impl<T: ?Sized> LoadedFactory<T> {
    pub(crate) fn new(
        border: &'static Border,
        entry: &'static Entry,
        make: fn(Instance, Answer) -> Arc<T>,
    ) -> Self {
        Self {
            border,
            entry,
            make,
        }
    }

    fn section(&self, settings: &Value) -> Value {
        json!({"kind": self.entry.kind.as_str(), "type": self.entry.name, "settings": settings})
    }

    fn ask_problems(&self, settings: &Value) -> Result<Vec<Problem>, CallError> {
        let section = self.section(settings);
        let answer = instance::ask_now(self.border, &Handle::None, op::CHECK, &section)?;
        instance::read(self.border, op::CHECK, &answer.json)
    }
}

impl<T: ?Sized> Factory<T> for LoadedFactory<T> {
    fn kind(&self) -> &'static str {
        &self.entry.name
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
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

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<T>, BuildError> {
        let mut section = self.section(settings);
        if let Some(section) = section.as_object_mut() {
            section.insert("context".to_owned(), json!(context));
        }
        // The one before may hold a socket or a lock until it is closed.
        instance::wait_here(|| self.border.settle());
        let opened = instance::ask_now(self.border, &Handle::None, op::OPEN, &section)
            .map_err(CallError::build)?;
        let answer = instance::read(self.border, op::OPEN, &opened.json);
        let instance = Instance::new(self.border, opened.handle);
        Ok((self.make)(instance, answer.map_err(CallError::build)?))
    }
}
