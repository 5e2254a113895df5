//! Repositories that lie, beside one that does not.

use serde_json::json;
use wpk_testkit::repository::{DEB, sha1_hex};
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_repository_that_sends_garbage_harms_no_other,
        "repository",
        "lists the good one's name and digest, sends garbage",
        "its task Error: The WPK sha1 of the file is not valid, the good one's Updated"
    ),
    check!(
        a_repository_that_lists_and_has_nothing_harms_no_other,
        "repository",
        "lists the good one's name and digest, has no file",
        "its task Error: The WPK file does not exist, the good one's Updated"
    ),
];

/// Two agents are upgraded to the same release, from a bad repository and a good
/// one; the bad one has `file` under the good one's name, or nothing.
async fn beside(file: Option<&[u8]>) -> String {
    const VERSION: &str = "v4.14.8";
    let good = Repository::start().await.unwrap();
    let wpk = vec![7; 200_000];
    good.publish(VERSION, &wpk).unwrap();
    let bad = Repository::start().await.unwrap();
    let name = format!("wazuh_agent_{VERSION}_linux_amd64.deb.wpk");
    let content = file.unwrap_or_default();
    bad.publish_as(DEB, VERSION, &name, content, &sha1_hex(&wpk))
        .unwrap();
    if file.is_none() {
        std::fs::remove_file(bad.folder().join(DEB).join(&name)).unwrap();
    }
    let manager = Manager::start("").await.unwrap();
    let rows = (1..=2).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    // So that both are asked for at the same time.
    good.set_pace(Some(200_000));
    for (agent, repository) in [(1, &bad), (2, &good)] {
        let parameters = json!({"wpk_repo": repository.base(), "use_http": true});
        manager.upgrade(&[agent], parameters).await;
    }
    let mut seen = Vec::new();
    for agent in [1, 2] {
        let ended = manager.wait_for_status(agent, &["Updated", "Error"]).await;
        let ended = ended.expect("an end");
        let status = ended["status"].as_str().unwrap().to_owned();
        seen.push(match ended["error_msg"].as_str() {
            Some(error_msg) => format!("{status}: {error_msg}"),
            None => status,
        });
    }
    assert_eq!(manager.remoted.received(2).unwrap(), wpk);
    format!("its task {}, the good one's {}", seen[0], seen[1])
}

async fn a_repository_that_sends_garbage_harms_no_other() -> String {
    beside(Some(b"garbage")).await
}

async fn a_repository_that_lists_and_has_nothing_harms_no_other() -> String {
    beside(None).await
}
