//! `wpkctl rollout list`.

use wpk_wire::own::rollout::{LONGEST_PAGE, ListRollouts, ListedRollout};

use super::args::ListArgs;
use super::words::{done, named};
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};
use crate::table::{render, table};

/// The most rollouts that are listed.
const MOST_LISTED: usize = 100_000;

/// Lists the rollouts, the last applied first.
pub(super) async fn run(global: &Global, args: ListArgs, out: &Output) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let listed = all(&mut client, args.all).await?;
    for rollout in &listed {
        out.last(rollout)?;
    }
    if listed.is_empty() {
        out.line("There are no rollouts.")?;
        return Ok(Ending::Well);
    }
    let mut table = table(&[
        "rollout", "state", "target", "wave", "done", "left", "failed", "unknown", "applied",
    ]);
    for rollout in &listed {
        let counts = &rollout.counts;
        let left = [
            counts.waiting,
            counts.running,
            counts.soaking,
            counts.unreachable,
        ];
        let target = rollout.target.as_ref().or(rollout.file.as_ref());
        table.add_row([
            named(&rollout.name, rollout.generation),
            rollout.state.to_string(),
            target.map_or_else(|| "-".to_owned(), |target| clean(target)),
            rollout
                .wave
                .as_ref()
                .map_or_else(|| "-".to_owned(), |wave| clean(wave)),
            done(counts).to_string(),
            left.into_iter().fold(0, u64::saturating_add).to_string(),
            counts.failed.to_string(),
            counts.unknown.to_string(),
            time(rollout.applied),
        ]);
    }
    out.line(render(&table))?;
    for rollout in &listed {
        let name = named(&rollout.name, rollout.generation);
        if let Some(reason) = &rollout.reason {
            out.line(format!("{name}: {}", clean(reason)))?;
        }
        if let Some(left) = rollout.overdue {
            out.line(format!("{name}: its deadline is over, {left} are left"))?;
        }
    }
    Ok(Ending::Well)
}

/// All pages.
async fn all(client: &mut Client, over: bool) -> Result<Vec<ListedRollout>, CtlError> {
    let mut found: Vec<ListedRollout> = Vec::new();
    loop {
        let before = found.last().map(|rollout| rollout.order);
        let asked = ListRollouts {
            all: over,
            before,
            limit: Some(LONGEST_PAGE),
        };
        let items = rollouts::ask(client, asked).await?;
        let page = items.iter().filter_map(ListedRollout::from_item);
        // A page that does not go on would be asked for ever.
        let page: Vec<_> = page
            .filter(|rollout| before.is_none_or(|before| rollout.order < before))
            .collect();
        if page.is_empty() || found.len() > MOST_LISTED {
            return Ok(found);
        }
        found.extend(page);
    }
}
