//! `wpkctl guide`: the administrator's guide, which lies in `core/ctl/guide` and is part of
//! the program. `pages` are the pages, `markdown` reads what they are written in,
//! `terminal` lays one out, `manual` makes a man page of it.

mod manual;
mod markdown;
mod pages;
mod terminal;

use std::io::{self, IsTerminal};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use console::Term;
use serde_json::json;

use crate::error::CtlError;
use crate::output::{Ending, Output, print};
pub(crate) use manual::page as man_page;
pub(crate) use pages::PAGES;
use terminal::Look;

/// The longest line, in columns: longer ones are hard to read.
const WIDEST: usize = 100;
/// The shortest, in columns.
const NARROWEST: usize = 20;
/// Where nobody knows how wide it is.
const USUAL: usize = 80;

#[derive(Debug, Args)]
pub(crate) struct GuideArgs {
    /// The page to show; absent: the list of all.
    #[arg(value_name = "TOPIC", value_parser = PossibleValuesParser::new(topics()))]
    pub(crate) topic: Option<String>,
}

/// The topics, which completions and man pages show with their titles.
fn topics() -> impl Iterator<Item = PossibleValue> {
    let pages = PAGES.iter();
    pages.map(|page| PossibleValue::new(page.topic).help(page.title()))
}

/// Prints a page, or the list of pages; with `--json` an object for each.
///
/// # Errors
/// [`CtlError::Print`].
pub(crate) fn run(args: &GuideArgs, out: &Output) -> Result<Ending, CtlError> {
    let named = (args.topic.as_deref()).and_then(|topic| PAGES.iter().find(|p| p.topic == topic));
    if out.json {
        let shown = named.map_or(PAGES, std::slice::from_ref);
        for page in shown {
            let mut object = json!({"event": "page", "topic": page.topic, "title": page.title()});
            if let Some(named) = named {
                object["text"] = named.text.into();
            }
            out.last(&object)?;
        }
        return Ok(Ending::Well);
    }
    let look = look(out);
    print(&match named {
        Some(page) => terminal::lay_out(page.text, look),
        None => list(look),
    })?;
    Ok(Ending::Well)
}

/// A terminal gets its width and bold letters, anybody else plain text.
fn look(out: &Output) -> Look {
    let is_terminal = io::stdout().is_terminal();
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let told = variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let seen = || {
        let (_, columns) = Term::stdout().size_checked()?;
        Some(usize::from(columns))
    };
    let columns = told.or_else(seen).unwrap_or(USUAL);
    Look {
        width: columns.clamp(NARROWEST, WIDEST),
        bold: out.colors(is_terminal),
    }
}

fn list(look: Look) -> String {
    let mut text = "# The guide of wpkd\n\n`wpkctl guide TOPIC` shows a page.\n\n".to_owned();
    text.push_str("| topic | what it is about |\n| --- | --- |\n");
    for page in PAGES {
        text.push_str(&format!("| `{}` | {} |\n", page.topic, page.title()));
    }
    terminal::lay_out(&text, look)
}
