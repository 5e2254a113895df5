//! `wpkctl rollout plan` and `apply`: what a definition would do, and doing it.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use serde_json::json;
use wpk_wire::UpgradeCommand;
use wpk_wire::own::rollout::{
    ApplyRollout, ListedRollout, PlanRollout, Planned, PlannedChange, PlannedRollout,
};

use super::args::{ApplyArgs, FileArgs};
use super::file;
use super::words::{self, agents, destination, kind_lines, kinds, named};
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};
use crate::table::{indented, table};

/// Shows what a definition would do.
pub(super) async fn plan(
    global: &Global,
    args: FileArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let definition = file::read(&args.file)?;
    let planned = ask(&mut client, &definition).await?;
    out.last(&planned)?;
    show(&planned, out)?;
    if words::changes_nothing(&planned) {
        out.line("Applying it would change nothing.")?;
    } else {
        let file = args.file.display();
        out.line(format!("Apply it with: wpkctl rollout apply {file}"))?;
    }
    Ok(Ending::when(starts(&planned)))
}

/// Applies a definition as it was planned and shown.
pub(super) async fn apply(
    global: &Global,
    args: ApplyArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let asks = io::stdin().is_terminal() && io::stdout().is_terminal() && !out.json;
    if !args.yes && !asks {
        return Err(CtlError::Usage(
            "there is no terminal to ask on: look at `wpkctl rollout plan`, then give --yes"
                .to_owned(),
        ));
    }
    let mut client = Client::new(socket::path(global)?);
    let definition = file::read(&args.file)?;
    let planned = ask(&mut client, &definition).await?;
    out.event(&planned)?;
    show(&planned, out)?;
    if words::changes_nothing(&planned) {
        out.line("Nothing is to be changed.")?;
        return Ok(Ending::Well);
    }
    // With --yes the manager says itself why it does not.
    if !args.yes && (!can_be_applied(&planned) || !agreed(&args.file)?) {
        out.line("Nothing was applied.")?;
        return Ok(Ending::Badly);
    }
    let asked = ApplyRollout {
        definition,
        digest: planned.digest.clone(),
    };
    let items = rollouts::send(&mut client, asked).await?;
    let applied = items.iter().filter_map(ListedRollout::from_item);
    let applied: Vec<ListedRollout> = applied.collect();
    out.last(&json!({
        "event": "applied", "digest": planned.digest, "rollouts": applied,
    }))?;
    for rollout in &applied {
        let name = named(&rollout.name, rollout.generation);
        out.line(format!("rollout {name}: applied, {}", rollout.state))?;
    }
    if applied.is_empty() {
        out.line("applied")?;
    }
    Ok(Ending::Well)
}

async fn ask(client: &mut Client, definition: &str) -> Result<Planned, CtlError> {
    let definition = definition.to_owned();
    let items = rollouts::send(client, PlanRollout { definition }).await?;
    rollouts::first(
        client,
        UpgradeCommand::RolloutPlan,
        &items,
        Planned::from_item,
    )
}

/// Whether whoever sits at the terminal says yes.
fn agreed(file: &Path) -> Result<bool, CtlError> {
    let mut out = io::stdout();
    write!(out, "Apply {}? [y/N] ", file.display())
        .and_then(|()| out.flush())
        .map_err(CtlError::Print)?;
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| CtlError::file("read the answer from", Path::new("stdin"), error))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// Whether nothing keeps one of its rollouts from starting.
fn starts(planned: &Planned) -> bool {
    planned.rollouts.iter().all(|one| one.problems.is_empty())
}

/// Whether nothing keeps what it begins or changes from starting; the manager refuses it
/// otherwise.
fn can_be_applied(planned: &Planned) -> bool {
    let rollouts = planned.rollouts.iter();
    let mut touched = rollouts.filter(|one| one.what != PlannedChange::Unchanged);
    touched.all(|one| one.problems.is_empty())
}

fn show(planned: &Planned, out: &Output) -> Result<(), CtlError> {
    for rollout in &planned.rollouts {
        for line in lines(rollout) {
            out.line(line)?;
        }
    }
    for (replaced, what) in [
        (planned.replaces_sites, "sites"),
        (planned.replaces_releases, "releases"),
    ] {
        if replaced {
            out.line(format!(
                "Its {what} take the place of those that were there before."
            ))?;
        }
    }
    if !planned.peak_bandwidth.is_empty() {
        let rates = words::rates(&planned.peak_bandwidth);
        out.line(format!("Most bandwidth: {rates}"))?;
    }
    match (planned.earliest_end, &planned.no_end) {
        (Some(end), _) => out.line(format!("Earliest end: {}", time(end)))?,
        (None, Some(why)) => out.line(format!("No end is in sight: {}", clean(why)))?,
        (None, None) => {}
    }
    for assumed in &planned.assumptions {
        out.line(format!("  assumed: {}", clean(assumed)))?;
    }
    Ok(())
}

fn lines(rollout: &PlannedRollout) -> Vec<String> {
    let name = named(&rollout.name, rollout.generation);
    let does = match rollout.what {
        PlannedChange::Begins => "begins",
        PlannedChange::Changes => "is changed where it stands",
        PlannedChange::Replaces => "takes the place of the one that runs, with waves of its own",
        PlannedChange::Unchanged => "stays as it is",
        PlannedChange::Other => "is changed in a way that this wpkctl does not know",
    };
    let goes = destination(rollout.target.as_ref(), rollout.file.as_ref());
    let mut lines = vec![format!("rollout {name}{goes}: {does}")];
    if !rollout.waves.is_empty() {
        let mut table = table(&["wave", "agents", "may fail", ""]);
        for wave in &rollout.waves {
            let strict = match wave.strict {
                true => format!(
                    "strict: at most {} at once",
                    wave.may_fail.saturating_add(1)
                ),
                false => String::new(),
            };
            let (agents, fail) = (wave.agents.to_string(), wave.may_fail.to_string());
            table.add_row([clean(&wave.name), agents, fail, strict]);
        }
        lines.extend(indented(&table, 2));
    }
    for (what, tallied) in [("sites", &rollout.sites), ("platforms", &rollout.platforms)] {
        if !tallied.is_empty() {
            lines.push(format!("  {what}: {}", kinds(tallied)));
        }
    }
    if rollout.unreachable > 0 {
        let away = agents(rollout.unreachable);
        lines.push(format!("  not connected now: {away} of these"));
    }
    if rollout.left_out > 0 {
        let left = agents(rollout.left_out);
        lines.push(format!("  left out, held, or run it already: {left} more"));
    }
    if !rollout.elsewhere.is_empty() {
        let others = kinds(&rollout.elsewhere);
        lines.push(format!("  belong to rollouts applied before: {others}"));
    }
    if !rollout.unsupported.is_empty() {
        let count = agents(rollout.unsupported.agents());
        lines.push(format!("  cannot be upgraded: {count}"));
        lines.extend(kind_lines(&rollout.unsupported));
    }
    for problem in &rollout.problems {
        lines.push(format!("  cannot start: {}", clean(problem)));
    }
    lines
}
