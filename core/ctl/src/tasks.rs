//! `wpkctl tasks`: what waits or runs now.

use clap::Args;
use serde_json::{Value, json};
use wpk_api::TaskKind;
use wpk_wire::Item;
use wpk_wire::own::{ListTasks, ListedTask};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::state::State;
use crate::manager::{history, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};
use crate::table::{render, table};
use crate::who::{self, Who};

#[derive(Debug, Args)]
#[command(group = who::may())]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Only tasks of this manager node.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// At most so many, the newest.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub(crate) limit: usize,
}

/// Lists them; with `--json` one object per task. Well unless it cannot be asked.
pub(crate) async fn run(
    global: &Global,
    args: TasksArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let agents = match args.who.is_empty() {
        true => Vec::new(),
        false => args.who.find(&mut client).await?,
    };
    let mut rows = table(&[
        "agent", "name", "task", "node", "since", "command", "state", "progress",
    ]);
    let mut count = 0;
    let asked = ListTasks {
        only: TaskKind::Live,
        node: args.node.clone(),
        ..ListTasks::default()
    };
    let take = |item: Item| {
        let Some(listed) = ListedTask::from_item(&item) else {
            return Ok(());
        };
        out.event(&object(&item, &listed))?;
        if !out.json {
            rows.add_row(cells(&item, &listed));
        }
        count += 1;
        Ok(())
    };
    let more = history::each(&mut client, &asked, &agents, args.limit, take).await?;
    if count == 0 {
        out.line("No task waits or runs.")?;
    } else {
        out.line(render(&rows))?;
    }
    if more {
        out.warn(format!(
            "there are more than {count} tasks; --limit tells how many are shown"
        ));
    }
    Ok(Ending::Well)
}

fn state(item: &Item) -> Option<State> {
    item.status.as_deref().and_then(State::from_shown)
}

fn cells(item: &Item, listed: &ListedTask) -> [String; 8] {
    let or_dash = |text: Option<&str>| text.map_or("-".to_owned(), clean);
    let state = state(item).map(State::word);
    [
        item.agent_id().map_or("-".to_owned(), |id| id.to_string()),
        or_dash(listed.name.as_deref()),
        listed.task_id.to_string(),
        or_dash(item.node.as_deref()),
        time(listed.created),
        or_dash(item.command.as_ref().map(|command| command.as_str())),
        or_dash(state.or(item.status.as_deref())),
        progress(listed),
    ]
}

/// What the manager that was asked does about it right now.
fn progress(listed: &ListedTask) -> String {
    let Some(step) = listed.step else {
        return "-".to_owned();
    };
    match (listed.sent, listed.total) {
        (Some(sent), Some(total)) if total > 0 => {
            let percent = u128::from(sent.min(total)) * 100 / u128::from(total);
            format!("{step} {percent}%")
        }
        _ => step.to_string(),
    }
}

fn object(item: &Item, listed: &ListedTask) -> Value {
    json!({
        "agent": item.agent,
        "name": listed.name,
        "task_id": listed.task_id,
        "node": item.node,
        "command": item.command,
        "status": state(item).map(State::status).or(item.status.as_deref()),
        "created": listed.created,
        "updated": listed.updated,
        "step": listed.step,
        "sent": listed.sent,
        "total": listed.total,
    })
}
