//! One agent: whether the manager lists it and reaches it, and what it would do
//! with an upgrade.

use wpk_wire::{Item, UpgradeParams};

use super::args::DoctorArgs;
use super::report::Check;
use super::repository::Platform;
use crate::cli::LinuxPackage;
use crate::ids::show;
use crate::online::client::{Client, accepted};
use crate::online::fleet::{self, Agent};
use crate::online::send::Ask;

const NAME: &str = "agent";

/// The checks, and the agent's platform where it is known.
pub(super) async fn look(
    client: &mut Client,
    id: i64,
    args: &DoctorArgs,
) -> (Vec<Check>, Option<Platform>) {
    let agent = match fleet::find(client, [id]).await {
        Ok(mut agents) => agents.remove(&id),
        Err(error) => {
            let detail = format!("{} cannot be looked at: {error}", show(id));
            return (vec![Check::failure(NAME, detail, "")], None);
        }
    };
    let Some(agent) = agent else {
        let detail = format!("{} is not known to the manager", show(id));
        let advice = "see `wpkctl agents`";
        return (vec![Check::failure(NAME, detail, advice)], None);
    };
    let checks = vec![connection(&agent), dry_run(client, id).await];
    (checks, platform(&agent, args))
}

fn connection(agent: &Agent) -> Check {
    let member = |name| agent.text(name).unwrap_or_else(|| "unknown".to_owned());
    let status = member("connection_status");
    let detail = format!(
        "{} ({}) is {status}, version {}, {} {}",
        show(agent.id),
        member("name"),
        member("version"),
        member("os_platform"),
        member("os_arch")
    );
    match status.as_str() {
        "active" => Check::ok(NAME, detail),
        _ => Check::failure(NAME, detail, "start it, and look into its log"),
    }
}

/// The manager lists agents, so it is ours and knows dry runs.
async fn dry_run(client: &mut Client, id: i64) -> Check {
    const NAME: &str = "dry run";
    let ask = Ask::Release(UpgradeParams {
        dry_run: true,
        ..UpgradeParams::default()
    });
    let agent = show(id);
    let answer = client.send(&ask.request(&[id])).await;
    let items = answer.and_then(|response| accepted(ask.command(), response));
    let item = match items {
        Ok(items) => items.into_iter().find(|item| item.agent == Some(id)),
        Err(error) => return Check::failure(NAME, error.to_string(), ""),
    };
    let Some(item) = item else {
        let detail = format!("the manager did not answer for agent {agent}");
        return Check::failure(NAME, detail, "look into its log");
    };
    let text = |item: &Item, name| {
        let member = item.extra.get(name).and_then(serde_json::Value::as_str);
        member.map(str::to_owned)
    };
    let unknown = || "what is newest".to_owned();
    match item.error {
        0 => Check::ok(
            NAME,
            format!(
                "{agent} would be upgraded to {} from {}",
                text(&item, "target").unwrap_or_else(unknown),
                text(&item, "location").unwrap_or_else(unknown)
            ),
        ),
        // Current already, or being upgraded right now.
        code @ (10 | 12) => Check::ok(NAME, format!("{agent}: code {code}: {}", item.message)),
        code => {
            let reason = text(&item, "reason");
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            let detail = format!("{agent}: code {code}: {}{reason}", item.message);
            Check::failure(NAME, detail, "upgrades of it will be refused or fail")
        }
    }
}

/// Its platform, as the repository sorts it.
fn platform(agent: &Agent, args: &DoctorArgs) -> Option<Platform> {
    let name = agent.text("os_platform")?.to_ascii_lowercase();
    let package_type = match name.as_str() {
        "debian" | "ubuntu" => LinuxPackage::Deb,
        "amzn"
        | "centos"
        | "fedora"
        | "ol"
        | "opensuse"
        | "opensuse-leap"
        | "opensuse-tumbleweed"
        | "rhel"
        | "sles"
        | "suse"
        | "rocky"
        | "almalinux" => LinuxPackage::Rpm,
        _ => args.package_type,
    };
    let name = match name.as_str() {
        "windows" | "darwin" => name,
        _ => "linux".to_owned(),
    };
    Some(Platform {
        name,
        arch: agent.text("os_arch"),
        package_type,
    })
}
