//! `wpkctl agents`: the list of agents, chosen, sorted, and as a table, JSON or CSV.

use std::cmp::Ordering;

use clap::{Args, ValueEnum};
use wpk_api::{ConnectionStatus, Version};
use wpk_wire::own::VersionFilter;

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::fleet::{self, Agent};
use crate::manager::socket;
use crate::options::{Global, LabelWish};
use crate::output::{Ending, Output, csv, print, time};
use crate::table::{render, table};
use crate::who::{self, Who};

#[derive(Debug, Args)]
#[command(group = who::may())]
pub(crate) struct AgentsArgs {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Only agents whose version is below the manager's.
    #[arg(long)]
    pub(crate) outdated: bool,
    /// Only agents with this label; several times: with all of them.
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) label: Vec<LabelWish>,
    /// Only agents that a command would not reach.
    #[arg(long)]
    pub(crate) offline: bool,
    /// In which order; `seen`: those that were not heard for longest come first.
    #[arg(long, value_enum, default_value_t = Sort::Id)]
    pub(crate) sort: Sort,
    /// Also labels, address, last seen, last result, the end of the certificate and the site.
    #[arg(long)]
    pub(crate) wide: bool,
    /// Print comma-separated values, all that is known.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// What agents are sorted by; where that is the same, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    Id,
    Name,
    Version,
    Seen,
}

/// The columns of every table; those behind them are only shown where asked for.
const COLUMNS: [&str; 8] = [
    "agent", "name", "version", "status", "system", "arch", "group", "node",
];
const MORE: [&str; 6] = [
    "labels",
    "address",
    "last_seen",
    "last_result",
    "certificate_end",
    "site",
];

/// Lists them; with `--json` one object per agent.
pub(crate) async fn run(
    global: &Global,
    args: AgentsArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let version = args.outdated.then_some(VersionFilter::Older);
    let filtered = args.offline || !args.label.is_empty() || !args.who.is_empty();
    let labels = !args.label.is_empty() || args.who.asks_details();
    let details = out.json || args.wide || args.csv || labels || args.sort == Sort::Seen;
    let mut agents = fleet::list(&mut client, version, details).await?;
    args.who.retain(&mut agents)?;
    agents.retain(|agent| {
        let labels = agent.labels();
        (!args.offline || agent.connection() != ConnectionStatus::Active)
            && (args.label.iter()).all(|wish| labels.is_some_and(|labels| wish.is_met(labels)))
    });
    sort(&mut agents, args.sort);
    if args.csv {
        return print_csv(&agents);
    }
    for agent in &agents {
        out.event(agent.listed())?;
    }
    // Nobody is an answer where a selector asks; who is named and is not there is a mistake.
    let missed = agents.is_empty() && !args.who.agents.is_empty();
    if out.json {
        return Ok(Ending::when(!missed));
    }
    if agents.is_empty() {
        out.line(match (filtered, args.outdated) {
            (true, _) => "There are no such agents.",
            (false, true) => "All agents are updated.",
            (false, false) => "There are no agents.",
        })?;
        return Ok(Ending::when(!missed));
    }
    let more = if args.wide { &MORE[..] } else { &[] };
    let mut table = table(&[&COLUMNS[..], more].concat());
    for agent in &agents {
        let mut row = row(agent);
        if args.wide {
            row.extend(details_of(agent));
        }
        table.add_row(row.into_iter().map(|text| match text.is_empty() {
            true => "-".to_owned(),
            false => text,
        }));
    }
    out.line(render(&table))?;
    let what = if args.outdated {
        "outdated agents"
    } else {
        "agents"
    };
    out.line(format!("\n{} {what}", agents.len()))?;
    Ok(Ending::Well)
}

/// What stands in [`COLUMNS`]; what is not known is empty.
fn row(agent: &Agent) -> Vec<String> {
    let system = match (agent.system(), agent.system_version()) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (name, version) => name.or(version),
    };
    vec![
        agent.id().to_string(),
        agent.name().unwrap_or_default(),
        agent.version().unwrap_or_default(),
        agent.connection().as_str().to_owned(),
        system.unwrap_or_default(),
        agent.arch().unwrap_or_default(),
        agent.group().unwrap_or_default(),
        agent.node().unwrap_or_default(),
    ]
}

/// What stands in [`MORE`].
fn details_of(agent: &Agent) -> Vec<String> {
    let details = &agent.listed().details;
    vec![
        agent.labels_text(),
        agent.address().unwrap_or_default(),
        details.last_seen.map(time).unwrap_or_default(),
        agent.last_result().unwrap_or_default(),
        details.certificate_end.map(time).unwrap_or_default(),
        agent.site().unwrap_or_default(),
    ]
}

fn sort(agents: &mut [Agent], by: Sort) {
    // Sorting keeps the order of ids among those that are alike.
    match by {
        Sort::Id => agents.sort_by_key(Agent::id),
        Sort::Name => agents.sort_by_cached_key(Agent::name),
        Sort::Version => agents.sort_by_cached_key(|agent| {
            let text = agent.version_text();
            (text.as_deref().and_then(Version::find), text)
        }),
        // `None`, never heard, is the longest.
        Sort::Seen => agents.sort_by(|a, b| seen(a).cmp(&seen(b)).then(Ordering::Equal)),
    }
}

fn seen(agent: &Agent) -> Option<i64> {
    match agent.connection() {
        ConnectionStatus::Active => Some(i64::MAX),
        _ => agent.listed().details.last_seen,
    }
}

/// All that is known, as comma-separated values.
fn print_csv(agents: &[Agent]) -> Result<Ending, CtlError> {
    let mut text = csv(COLUMNS.iter().chain(&MORE).map(ToString::to_string));
    for agent in agents {
        text += &csv(row(agent).into_iter().chain(details_of(agent)));
    }
    print(&text)?;
    Ok(Ending::Well)
}
