//! `wpkctl rollout history`.

use wpk_wire::own::rollout::{AskHistory, HistoryEvent, LONGEST_PAGE, Words};

use super::args::HistoryArgs;
use super::words::named;
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};
use crate::table::{render, table};

/// Shows what happened, newest first.
pub(super) async fn run(
    global: &Global,
    args: HistoryArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let events = events(&mut client, &args).await?;
    for event in &events {
        out.last(event)?;
    }
    if events.is_empty() {
        out.line("Nothing has happened yet.")?;
        return Ok(Ending::Well);
    }
    let mut table = table(&["time", "rollout", "what", "who", ""]);
    for event in &events {
        let shown = |text: &Option<Words>| {
            let text = text.as_ref();
            text.map_or_else(|| "-".to_owned(), |text| clean(text))
        };
        let rollout = event.rollout.as_ref();
        table.add_row([
            time(event.at),
            rollout.map_or_else(
                || "-".to_owned(),
                |name| named(name, event.generation.unwrap_or(1)),
            ),
            clean(&event.what),
            shown(&event.who),
            clean(&event.words),
        ]);
    }
    out.line(render(&table))?;
    Ok(Ending::Well)
}

/// As many as are wanted, page by page.
async fn events(client: &mut Client, args: &HistoryArgs) -> Result<Vec<HistoryEvent>, CtlError> {
    let mut found: Vec<HistoryEvent> = Vec::new();
    while found.len() < args.limit {
        let before = found.last().map(|event| event.number);
        let asked = AskHistory {
            name: args.name.clone(),
            before,
            limit: Some((args.limit - found.len()).min(LONGEST_PAGE)),
        };
        let items = rollouts::ask(client, asked).await?;
        let page = items.iter().filter_map(HistoryEvent::from_item);
        // A page that does not go on would be asked for ever.
        let page: Vec<_> = page
            .filter(|event| before.is_none_or(|before| event.number < before))
            .collect();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    found.truncate(args.limit);
    Ok(found)
}
