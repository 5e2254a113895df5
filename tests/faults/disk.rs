//! A disk that is full for a while: what was accepted is carried out in the
//! end, what cannot be accepted is refused, and the daemon goes on. Needs root,
//! because the disk is a small tmpfs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, wait_until};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_full_disk_of_the_task_store_loses_nothing_that_was_accepted,
        "disk of the task store",
        "full for a while",
        "all accepted Updated, once each"
    ),
    check!(
        a_full_disk_of_the_downloads_is_told_and_forgotten,
        "disk of the downloads",
        "full for a while",
        "Error with the cause, nothing left, then Updated"
    ),
];

/// A small file system; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user or this machine may not mount.
    fn mount(at: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={kib}k,mode=0750"),
                "tmpfs",
            ])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            _ => {
                let why = format!("only root can mount a tmpfs at {}", at.display());
                wpk_testkit::skipped::say_skipped(&why);
                None
            }
        }
    }

    /// Leaves no byte free.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        for size in [65_536, 4_096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the daemon of a failed test may still have files open.
        let unmounted = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} was not unmounted", self.0.display());
        }
    }
}

const SETTINGS: &str = "[delivery]\nmax_concurrent = 4\nchunk_size = 8192";

async fn repository(len: usize) -> (Repository, serde_json::Value) {
    wpk_testkit::release(&vec![7; len]).await.unwrap()
}

/// The disk of the task store fills up while agents are written to.
async fn a_full_disk_of_the_task_store_loses_nothing_that_was_accepted() -> Option<String> {
    let mut manager = Manager::prepare(SETTINGS).await.unwrap();
    let disk = Disk::mount(&manager.home.path("queue/tasks"), 4_096)?;
    manager.boot().await.unwrap();
    let (_repository, parameters) = repository(200_000).await;
    let rows = (1..=60).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    manager.remoted.set_latency(Duration::from_millis(20));
    manager
        .remoted
        .set_ack_interval(Some(Duration::from_millis(300)));
    let agents: Vec<u32> = (1..=20).collect();
    let items = manager.upgrade(&agents, parameters.clone()).await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    let begun = manager.remoted.wait_for_nth(1, "write", 2, PATIENCE).await;
    begun.expect("the deliveries go on");

    disk.fill();
    // Until the log of the store has no room left, requests may still fit.
    let others: Vec<u32> = (21..=60).collect();
    let mut accepted = Vec::new();
    let mut refused = 0;
    for agent in others {
        let items = manager.upgrade(&[agent], parameters.clone()).await;
        match items[0]["error"].as_i64().unwrap() {
            0 => accepted.push(agent),
            4 => refused += 1,
            other => panic!("{other}: {items:?}"),
        }
    }
    assert!(
        manager.result(1).await["task_id"].is_i64(),
        "still answered"
    );
    disk.free();

    for agent in agents.iter().chain(&accepted) {
        let ended = manager.wait_for_status(*agent, &["Updated", "Error", "Timeout"]);
        let Some(ended) = ended.await else {
            panic!("agent {agent}, {refused} refused\n{}", manager.output());
        };
        assert_eq!(ended["status"], "Updated", "{ended}\n{}", manager.output());
        let steps = manager.remoted.steps(*agent);
        let upgrades = steps.iter().filter(|step| *step == "upgrade").count();
        assert_eq!(upgrades, 1, "agent {agent}");
    }
    // A new one is accepted again.
    let rows = manager.upgrade(&[1], parameters).await;
    assert_ne!(rows[0]["error"], 4, "{rows:?}");
    Some("all accepted Updated, once each".to_owned())
}

/// The disk of the downloads is full: the tasks say so, nothing half is left
/// behind, and once there is room the same request succeeds.
async fn a_full_disk_of_the_downloads_is_told_and_forgotten() -> Option<String> {
    let mut manager = Manager::prepare(SETTINGS).await.unwrap();
    let folder = manager.home.path("var/upgrade");
    let disk = Disk::mount(&folder, 2_048)?;
    manager.boot().await.unwrap();
    let (_repository, parameters) = repository(600_000).await;
    manager
        .wdb
        .set_agents((1..=3).map(|id| agent_row(id, "Wazuh v4.7.0")));
    disk.fill();
    manager.upgrade(&[1, 2, 3], parameters.clone()).await;
    for agent in 1..=3 {
        let ended = manager.wait_for_status(agent, &["Updated", "Error"]).await;
        let ended = ended.expect("an end");
        let cause = ended["error_msg"].as_str().unwrap();
        assert!(
            cause.starts_with("Upgrade procedure could not start"),
            "{ended}"
        );
        assert!(cause.contains("No space left"), "{ended}");
    }
    disk.free();
    let empty = wait_until(PATIENCE, async || {
        let left = std::fs::read_dir(&folder).ok()?.count();
        (left == 0).then_some(())
    });
    empty.await.expect("no half of a download is left");
    manager.upgrade(&[1, 2, 3], parameters).await;
    for agent in 1..=3 {
        let ended = manager.wait_for_status(agent, &["Updated", "Error"]).await;
        assert_eq!(ended.expect("an end")["status"], "Updated");
    }
    Some("Error with the cause, nothing left, then Updated".to_owned())
}
