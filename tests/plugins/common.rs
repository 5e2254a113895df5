//! What the stories share: hostile libraries and the settings that load them.

use std::path::Path;

use serde_json::Value;
use sha1::{Digest, Sha1};
use wpk_testkit::library::Library;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository};

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../sdk/testkit/hostile/hostile.c"
);

/// The size of the file the hostile plugins offer, in bytes.
pub(crate) const SIZE: usize = 2_500_000;

/// The SHA-1 of that file.
pub(crate) fn sha1() -> String {
    let digest = Sha1::digest(vec![5; SIZE]);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The C plugin that breaks the rule `mode`.
pub(crate) fn hostile(mode: &str) -> Library {
    let defines = [
        format!("MODE=\"{mode}\""),
        format!("SIZE={SIZE}"),
        format!("SHA1=\"{}\"", sha1()),
    ];
    let defines: Vec<&str> = defines.iter().map(String::as_str).collect();
    Library::of_c(Path::new(SOURCE), &defines).unwrap()
}

/// `[[plugin]]` with short deadlines.
pub(crate) fn plugin(library: &Library) -> String {
    format!(
        "[[plugin]]\npath = {:?}\ndeadline = \"3s\"\ngrace = \"1500ms\"\n",
        library.path()
    )
}

/// Agents 1 to 9 of a manager can be upgraded.
pub(crate) fn enroll(manager: &Manager) {
    let agents = (1..=9).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(agents);
}

/// A repository with one release, and the parameters that name it.
pub(crate) async fn repository() -> (Repository, Value) {
    wpk_testkit::release(&[9; 100_000]).await.unwrap()
}

/// The final status of an agent's task.
pub(crate) async fn end(manager: &Manager, agent: u32) -> Value {
    manager
        .wait_for_status(agent, &["Error", "Updated"])
        .await
        .unwrap_or_else(|| panic!("agent {agent} has no end:\n{}", manager.output()))
}
