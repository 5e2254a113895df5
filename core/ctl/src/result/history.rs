//! `wpkctl result --all`: every task that the manager still has, the newest first.

use std::num::NonZeroUsize;

use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use wpk_api::{AgentId, TaskKind};
use wpk_wire::Item;
use wpk_wire::own::{ListTasks, ListedTask};

use super::found::{COLUMNS, Found};
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::history;
use crate::output::{Ending, Output, csv, print};
use crate::since::Since;
use crate::table::{render, table};

/// The most tasks of a table; as objects and as CSV there may be more.
const MOST_ROWS: usize = 10_000;

/// Behind them in CSV.
const MORE: [&str; 3] = ["late", "confirmation", "seen"];

/// Which of them, and how they are printed.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// As --all, but only tasks that were created since: some time ago (2h, 3d), a day in UTC
    /// (2026-12-05), or a moment (2026-12-05T01:00:00+01:00).
    #[arg(long, value_name = "TIME", conflicts_with_all = ["task", "log"])]
    pub(crate) since: Option<Since>,
    /// As --all, but only tasks that ended, and not well as far as is known: failed, cancelled,
    /// timed out, and not confirmed.
    #[arg(long, conflicts_with_all = ["task", "log"])]
    pub(crate) failed: bool,
    /// Print comma-separated values; of --all, --since and --failed.
    #[arg(long, requires = "history", conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Of --all, --since and --failed at most so many; without it 10000 in a table, and no limit
    /// otherwise.
    #[arg(long, value_name = "NUMBER", requires = "history")]
    pub(crate) limit: Option<NonZeroUsize>,
}

/// What asks for more than the last tasks.
pub(super) fn group() -> ArgGroup {
    ArgGroup::new("history")
        .multiple(true)
        .args(["all", "since", "failed"])
}

/// Prints them, and how they ended together.
pub(super) async fn run(
    client: &mut Client,
    args: &HistoryArgs,
    agents: &[AgentId],
    out: &Output,
) -> Result<Ending, CtlError> {
    let in_table = !args.csv && !out.json;
    let most = match args.limit {
        Some(limit) => limit.get(),
        None if in_table => MOST_ROWS,
        None => usize::MAX,
    };
    if args.csv {
        print(&csv(COLUMNS.iter().chain(&MORE).map(ToString::to_string)))?;
    }
    let mut rows = table(&COLUMNS);
    let (mut count, mut ending) = (0, Ending::Well);
    let asked = ListTasks {
        only: match args.failed {
            true => TaskKind::Troubled,
            false => TaskKind::All,
        },
        since: args.since.map(|since| since.0),
        ..ListTasks::default()
    };
    let take = |item: Item| {
        let listed = ListedTask::from_item(&item);
        let found = Found::listed(item);
        count += 1;
        ending = ending.max(found.ending());
        if args.csv {
            return print(&csv(row(&found).into_iter().chain(found.doubts())));
        }
        out.event(&object(&found, listed.as_ref()))?;
        if in_table {
            rows.add_row(found.cells());
        }
        Ok(())
    };
    let more = history::each(client, &asked, agents, most, take).await?;
    if in_table {
        match count {
            0 => out.line("There are no such tasks.")?,
            _ => out.line(render(&rows))?,
        }
    }
    if more {
        out.warn(format!(
            "there are more than {count} such tasks; --limit tells how many are shown, and the \
             exit status is that of these"
        ));
    }
    Ok(ending)
}

/// As that of `wpkctl result`, and what only the list tells.
fn object(found: &Found, listed: Option<&ListedTask>) -> Value {
    let mut object = found.object(false);
    if let (Some(listed), Value::Object(members)) = (listed, &mut object) {
        members.insert("created".to_owned(), json!(listed.created));
        members.insert("updated".to_owned(), json!(listed.updated));
    }
    object
}

/// What stands in [`COLUMNS`]; what is not known is empty.
fn row(found: &Found) -> [String; 9] {
    found.cells().map(|cell| match cell.as_str() {
        "-" => String::new(),
        _ => cell,
    })
}
