//! `wpkctl release list | deny | allow`: the versions that rollouts know.

use clap::{Args, Subcommand};
use serde_json::json;
use wpk_api::Version;
use wpk_wire::OwnRequest;
use wpk_wire::own::rollout::{ChangeRelease, ListReleases, ListedRelease, Words};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{rollouts, socket};
use crate::options::Global;
use crate::output::{Ending, Output, clean, time};
use crate::table::{render, table};

#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// List the releases that rollouts know: what an agent must run before it may go there, and
    /// which are denied.
    List,
    /// Deny a release: no rollout begins it any more, and those that go there are halted.
    Deny(DenyArgs),
    /// Allow a release again that was denied. Rollouts that were halted are resumed by hand.
    Allow(AllowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DenyArgs {
    /// The version: `v4.14.7`.
    pub(crate) version: Version,
    /// Why; shown wherever the release is.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct AllowArgs {
    /// The version: `v4.14.7`.
    pub(crate) version: Version,
}

/// Runs one of the commands.
pub(crate) async fn run(
    global: &Global,
    command: ReleaseCommand,
    out: &Output,
) -> Result<Ending, CtlError> {
    match command {
        ReleaseCommand::List => list(global, out).await,
        ReleaseCommand::Deny(DenyArgs { version, reason }) => {
            let change = ChangeRelease::Deny { version, reason };
            changed(global, change, "denied", out).await
        }
        ReleaseCommand::Allow(AllowArgs { version }) => {
            let change = ChangeRelease::Allow { version };
            changed(global, change, "allowed", out).await
        }
    }
}

async fn list(global: &Global, out: &Output) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let items = rollouts::ask(&mut client, ListReleases {}).await?;
    let releases: Vec<_> = items.iter().filter_map(ListedRelease::from_item).collect();
    for release in &releases {
        out.last(release)?;
    }
    if releases.is_empty() {
        out.line("No releases are known.")?;
        return Ok(Ending::Well);
    }
    let mut table = table(&["release", "floors", "denied", "since", "who", "reason"]);
    for release in &releases {
        let shown = |text: &Option<Words>| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map_or_else(|| "-".to_owned(), clean)
        };
        let floors: Vec<String> = release.floors.iter().map(|floor| clean(floor)).collect();
        table.add_row([
            clean(&release.version),
            match floors.is_empty() {
                true => "-".to_owned(),
                false => floors.join(","),
            },
            if release.denied { "denied" } else { "-" }.to_owned(),
            release.at.map_or_else(|| "-".to_owned(), time),
            shown(&release.who),
            shown(&release.reason),
        ]);
    }
    out.line(render(&table))?;
    Ok(Ending::Well)
}

async fn changed(
    global: &Global,
    change: ChangeRelease,
    done: &str,
    out: &Output,
) -> Result<Ending, CtlError> {
    let mut client = Client::new(socket::path(global)?);
    let request = OwnRequest::from(change);
    let command = request.command();
    let items = rollouts::send(&mut client, request).await?;
    let release = rollouts::first(&client, command, &items, ListedRelease::from_item)?;
    out.last(&json!({"event": done, "release": release}))?;
    out.line(format!("release {}: {done}", clean(&release.version)))?;
    Ok(Ending::Well)
}
