//! `wpkctl agent ca`: the CA of the agent channel, and how another takes its place without
//! cutting anyone off.

use clap::{Args, Subcommand};
use wpk_api::{AgentId, CaReport, CaStep};
use wpk_wire::UpgradeRequest;
use wpk_wire::own::{AskCa, CaState};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::socket;
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};
use crate::table::{render, table};

/// Ids that are shown.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct CaArgs {
    #[command(subcommand)]
    step: Option<StepCommand>,
}

#[derive(Debug, Subcommand)]
enum StepCommand {
    /// Step 1: make a new CA. It signs agents' certificates from now on; agents learn to
    /// trust it and renew theirs. Nobody is cut off.
    Replace,
    /// Step 2, once the agents trust it: the manager's own certificate becomes its.
    Switch(Force),
    /// Step 3, once the agents have certificates of it: the CA before is trusted no more.
    Finish(Force),
}

#[derive(Debug, Args)]
struct Force {
    /// Take the step although agents are cut off by it; they must be enrolled again.
    #[arg(long)]
    force: bool,
}

/// Shows the CA, or takes a step.
pub(crate) async fn run(global: &Global, args: CaArgs, out: &Output) -> Result<Ending, CtlError> {
    let (step, force) = match args.step {
        None => (CaStep::Show, false),
        Some(StepCommand::Replace) => (CaStep::Replace, false),
        Some(StepCommand::Switch(Force { force })) => (CaStep::Switch, force),
        Some(StepCommand::Finish(Force { force })) => (CaStep::Finish, force),
    };
    let mut client = Client::new(socket::path(global)?);
    let asked = UpgradeRequest::Own(AskCa { step, force }.into());
    let items = client.send(&asked).await?;
    let CaState(report) = items.first().and_then(CaState::from_item).ok_or_else(|| {
        CtlError::Unexpected(format!(
            "the answer of the manager at {} to `agent_ca` tells of no CA",
            client.socket().display()
        ))
    })?;
    out.last(&report)?;
    let mut table = table(&["ca", "state", "end"]);
    for one in &report.authorities {
        table.add_row([clean(&one.sha256), clean(&one.state), time(one.end)]);
    }
    out.line(render(&table))?;
    out.line(format!(
        "the manager's own certificate ends on {}, and is renewed before by itself",
        time(report.manager_end)
    ))?;
    out.line(next(&report))?;
    Ok(Ending::Well)
}

/// What is to be done, and who is not ready for it.
fn next(report: &CaReport) -> String {
    let count = report.behind_count;
    let (word, lack) = match report.authorities.get(1).map(|one| one.state.as_str()) {
        Some("new") => ("switch", "do not trust the new CA yet"),
        Some(_) => ("finish", "have no certificate of the new CA yet"),
        None => return "next: nothing; `wpkctl agent ca replace` begins a replacement".to_owned(),
    };
    match count {
        0 => format!("next: wpkctl agent ca {word}"),
        _ => format!(
            "next: wpkctl agent ca {word}, but {count} of {} agents {lack}: {}. They do with \
             their next connection, unless they are too old to learn it; those are cut off by \
             the step",
            report.agents,
            ids(&report.behind, count)
        ),
    }
}

fn ids(behind: &[AgentId], count: u64) -> String {
    let shown: Vec<String> = behind.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = count.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
