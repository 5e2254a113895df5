//! `wpkctl complete`, hidden: what may stand at the end of a command line, as the manager
//! knows it. The completions that `generate` writes call it; it is quick, or says nothing.
//! `asked` reads the command line, here the manager is asked; `scripts` are what
//! shells run.

mod asked;
mod scripts;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use clap::Args;
use tokio::time::timeout;
use wpk_api::{AgentId, Version};
use wpk_wire::own::rollout::{ListReleases, ListRollouts, ListedRelease, ListedRollout};
use wpk_wire::own::{AskVersions, ListAgents, ListedVersion};

use crate::error::CtlError;
use crate::manager::client::Client;
use crate::manager::{fleet, socket};
use crate::options::duration;
use crate::output::{Ending, print};
use asked::Kind;
pub(crate) use asked::Line;
pub(crate) use scripts::asking;

/// How long whoever pressed the key waits at most, unless he says otherwise in [`VARIABLE`].
const WITHIN: Duration = Duration::from_millis(800);
const VARIABLE: &str = "WPKCTL_COMPLETE_WITHIN";
/// The most that is proposed.
const MOST: usize = 500;

/// `complete`.
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// The words of the command line behind the program's name, up to the one that is typed.
    #[arg(last = true)]
    pub(crate) words: Vec<String>,
}

/// Prints one proposal a line; nothing where there is none, whatever the reason.
pub(crate) async fn run(line: Line) -> Result<Ending, CtlError> {
    let mut found = Vec::new();
    if let Ok(socket) = socket::path(&line.global) {
        let mut client = Client::new(socket);
        // What was found until then is worth something.
        let asking = ask(&mut client, &line, &mut found);
        let _ = timeout(within(), asking).await;
    }
    let mut seen = HashSet::new();
    found.retain(|word| {
        word.starts_with(line.word.as_str()) && is_plain(word) && seen.insert(word.clone())
    });
    found.truncate(MOST);
    for word in found {
        print(&format!("{}{word}\n", line.before))?;
    }
    Ok(Ending::Well)
}

fn within() -> Duration {
    let said = std::env::var(VARIABLE).ok();
    let said = said.and_then(|text| duration(&text).ok());
    said.unwrap_or(WITHIN)
}

/// Whether a word can stand on any shell's command line as it is: strangers chose it.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !word.starts_with('-') && word.len() < 256 && word.chars().all(plain)
}

async fn ask(client: &mut Client, line: &Line, found: &mut Vec<String>) -> Result<(), CtlError> {
    match line.kind {
        Kind::Agents => agents(client, &line.word, found).await,
        Kind::Rollouts => names(client, found).await,
        Kind::Watched => {
            // Few, and soon told: there may be very many agents.
            let none = names(client, found).await;
            agents(client, &line.word, found).await.and(none)
        }
        Kind::Versions => match versions(client, found).await {
            // One that has no such list.
            Err(CtlError::Refused { .. }) => releases(client, found, |_| true).await,
            told => told,
        },
        Kind::Releases => {
            let none = releases(client, found, |_| true).await;
            versions(client, found).await.and(none)
        }
        Kind::Denied => releases(client, found, |release| release.denied).await,
    }
}

/// Those of rollouts, the last applied first.
async fn names(client: &mut Client, found: &mut Vec<String>) -> Result<(), CtlError> {
    let items = client.own(ListRollouts::default()).await?;
    let rollouts = items.iter().filter_map(ListedRollout::from_item);
    found.extend(rollouts.map(|rollout| rollout.name.to_string()));
    Ok(())
}

/// What the repositories have, the newest first: who upgrades rarely means another.
async fn versions(client: &mut Client, found: &mut Vec<String>) -> Result<(), CtlError> {
    let items = client.own(AskVersions {}).await?;
    let versions = items.iter().filter_map(ListedVersion::from_item);
    found.extend(versions.map(|listed| listed.version.to_string()));
    Ok(())
}

/// The releases that rollouts know, the newest first.
async fn releases(
    client: &mut Client,
    found: &mut Vec<String>,
    wanted: fn(&ListedRelease) -> bool,
) -> Result<(), CtlError> {
    let items = client.own(ListReleases {}).await?;
    let releases = items.iter().filter_map(ListedRelease::from_item);
    let releases = releases.filter(wanted);
    let mut versions: Vec<Version> = releases
        .filter_map(|release| Version::find(&release.version))
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    found.extend(versions.iter().map(ToString::to_string));
    Ok(())
}

/// Names, and the ids of agents whose name is no way to call them; while a number is typed,
/// ids.
async fn agents(client: &mut Client, word: &str, found: &mut Vec<String>) -> Result<(), CtlError> {
    let numeric = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut named: BTreeMap<String, AgentId> = BTreeMap::new();
    let mut after = None;
    loop {
        let asked = ListAgents {
            after,
            limit: Some(ListAgents::LONGEST_PAGE),
            ..ListAgents::default()
        };
        let page = fleet::page(client, asked).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.id());
        for agent in page.iter().filter(|agent| agent.id() != AgentId::MANAGER) {
            let name = agent.name().filter(|name| is_plain(name) && !numeric);
            let name = name.filter(|name| name.parse::<u64>().is_err());
            let is_new = |name: &String| named.insert(name.clone(), agent.id()).is_none();
            found.push(
                name.filter(is_new)
                    .unwrap_or_else(|| agent.id().to_string()),
            );
        }
    }
}
