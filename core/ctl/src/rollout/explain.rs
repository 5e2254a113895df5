//! `wpkctl rollout explain`: one agent, why it is in its state, what would change that.

use wpk_wire::UpgradeCommand;
use wpk_wire::own::rollout::{AttemptOfAgent, ExplainAgent, Explained, SiteOfAgent, Words};

use super::args::ExplainArgs;
use super::words::named;
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};

/// Explains an agent.
pub(super) async fn run(
    global: &Global,
    args: ExplainArgs,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let asked = ExplainAgent {
        name: args.name,
        agent: args.agent.find(&mut client).await?,
    };
    let items = rollouts::ask(&mut client, asked).await?;
    let command = UpgradeCommand::RolloutExplain;
    let told = rollouts::first(&client, command, &items, Explained::from_item)?;
    out.last(&told)?;
    for line in lines(&told) {
        out.line(line)?;
    }
    Ok(Ending::Well)
}

fn lines(told: &Explained) -> Vec<String> {
    let rollout = named(&told.rollout, told.generation);
    let name = told.name.as_ref();
    let name = name.map_or_else(String::new, |name| format!(" ({})", clean(name)));
    let mut lines = vec![
        format!(
            "agent {}{name} in rollout {rollout}: {}",
            told.agent, told.state
        ),
        format!("  because {}", clean(&told.reason)),
    ];
    let mut changes = told.changes.iter();
    if let Some(first) = changes.next() {
        lines.push(format!("  what would change it: {}", clean(first)));
        lines.extend(changes.map(|next| format!("                    or: {}", clean(next))));
    }
    let mut say = |what: &str, text: String| lines.push(format!("  {what:<12}{text}"));
    if let Some(version) = &told.version {
        say("runs", clean(version));
    }
    if let Some(connection) = &told.connection {
        say("connection", clean(connection));
    }
    say(
        "wave",
        told.wave
            .as_ref()
            .map_or_else(|| "none yet".to_owned(), |wave| clean(wave)),
    );
    if let Some(site) = &told.site {
        say("site", clean(&site.name));
        say("windows", windows(site));
    }
    if !told.hops.is_empty() {
        let hops: Vec<String> = told.hops.iter().map(|hop| clean(hop)).collect();
        say("hops", hops.join(", then "));
    }
    lines.extend(told.attempts.iter().flat_map(attempt));
    lines
}

fn windows(site: &SiteOfAgent) -> String {
    let now = match (site.open, site.changes) {
        (true, None) => "open".to_owned(),
        (true, Some(at)) => format!("open until {}", time(at)),
        (false, Some(at)) => format!("closed until {}", time(at)),
        (false, None) => "closed, and none opens".to_owned(),
    };
    match &site.windows {
        None => "at any time".to_owned(),
        Some(windows) => {
            let all: Vec<String> = windows.iter().map(|window| clean(window)).collect();
            format!("{} ({}): {now}", all.join(", "), clean(&site.time_zone))
        }
    }
}

fn attempt(attempt: &AttemptOfAgent) -> Vec<String> {
    let target = attempt.target.as_ref();
    let target = target.map_or_else(String::new, |target: &Words| {
        format!(" to {}", clean(target))
    });
    let mut lines = vec![format!(
        "  task {}{target}: {}",
        attempt.task_id,
        clean(&attempt.outcome)
    )];
    for (what, at) in [
        ("made", attempt.created),
        ("begun", attempt.begun),
        ("ended", attempt.ended),
        ("seen", attempt.observed),
        ("soaked", attempt.soaked),
    ] {
        if let Some(at) = at {
            lines.push(format!("    {what:<8}{}", time(at)));
        }
    }
    if attempt.staged && attempt.begun.is_none() {
        lines.push("    its file lies at the agent".to_owned());
    }
    lines
}
