//! Selectors: which agents. A text such as
//! `group = prod and not label.frozen = yes and version < v4.14.7`.
//!
//! ```text
//! selector   = or
//! or         = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" or ")" | condition
//! condition  = field op value | field "in" "(" value { "," value } ")"
//! field      = "group" | "label." NAME | "name" | "id" | "version" | "platform"
//!            | "arch" | "site" | "node" | "status"
//! op         = "=" | "!=" | "<" | "<=" | ">" | ">="
//! value      = bare word | "quoted \"text\""; of an id also a range, 10-20
//! ```
//!
//! `<`, `<=`, `>`, `>=` compare versions and ids only; a version of two numbers, `v4.14`,
//! may stand behind `<` and `>=`, and is the first of its kind there, `v4.14.0`; `*` in a name
//! stands for any characters. What is not known of an agent equals nothing: `version = v4.14.0` and
//! `version < v4.14.0` are both false of an agent whose version nobody knows, and
//! `version != v4.14.0` is true.

mod error;
mod parse;
mod show;
mod tree;
mod value;

pub use error::SelectorError;
pub use tree::Selector;
pub use value::{DEEPEST_SELECTOR, Field, LONGEST_SELECTOR, MOST_VALUES, Op, Value};
