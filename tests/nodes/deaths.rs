//! A node is killed in the middle of two thousand deliveries, then the database is: every
//! task ends with what is true, and no installer runs twice.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use wpk_testkit::wait_until;

use crate::stand::{LEASE, Site};

const AGENTS: u32 = 2_000;
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn tell(text: &str) {
    // Not through the macros, through which a passing test is not heard.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[tokio::test]
async fn two_thousand_tasks_survive_a_node_and_the_database() {
    // What was begun at the very moment of a death waits for a word that never comes.
    let more = "[tasks]\ntask_timeout = \"30s\"\n[delivery]\nmax_concurrent = 16\n";
    let Some(mut site) = Site::start(50_000, more).await else {
        return;
    };
    let (first, second) = (1..=AGENTS / 2, AGENTS / 2 + 1..=AGENTS);
    site.place(first.clone(), 0);
    site.place(second, 1);
    for node in &site.nodes {
        node.remoted.set_ack_interval(Some(Duration::from_secs(1)));
        node.remoted.set_latency(Duration::from_millis(2));
    }
    site.acquainted().await;

    // All are asked of the second node.
    let all: Vec<u32> = (1..=AGENTS).collect();
    let asked = Instant::now();
    let items = site.nodes[1].upgrade(&all, site.parameters.clone()).await;
    let accepted = items
        .iter()
        .filter(|item| item["error"] == json!(0))
        .count();
    assert_eq!(accepted, all.len());
    let in_the_middle = wait_until(PATIENCE, async || {
        let begun = site.begun().range(first.clone()).count();
        (begun > 200).then_some(begun)
    });
    let begun = in_the_middle.await.unwrap();
    assert!(
        begun < 900,
        "{begun} of 1,000 at the first node: it dies too late"
    );
    site.nodes[0].kill().await.unwrap();
    let died = Instant::now();
    // Its agents go to the other node, and tell it what they have to tell.
    site.nodes[0]
        .remoted
        .acknowledge_to(site.nodes[1].home.upgrade_socket());
    site.place(first.clone(), 1);
    // They wait in its queue from then on, behind its own.
    let late = wait_until(PATIENCE, async || {
        let output = site.nodes[1].output();
        output
            .contains("took over tasks of nodes that are gone")
            .then_some(())
    });
    late.await.unwrap();
    let taken_over = died.elapsed();
    assert!(
        taken_over <= Duration::from_secs(2 * LEASE),
        "taken over after {taken_over:?}, leases of {LEASE} s\n{}",
        site.nodes[1].output()
    );

    site.database.kill();
    site.database.restart();
    let ended = site.all_ended(1, &all, PATIENCE).await;
    let mut counts = BTreeMap::<(&str, usize), usize>::new();
    let begun = site.begun();
    for (agent, status) in &ended {
        *counts
            .entry((status, begun.get(agent).copied().unwrap_or_default()))
            .or_default() += 1;
    }
    tell(&format!(
        "\n2,000 agents: taken over after {taken_over:.1?}, over after {:.1?}: {counts:?}\n",
        asked.elapsed()
    ));
    for ((status, begun), number) in &counts {
        let true_of_it = match *status {
            "Updated" => *begun == 1,
            // Begun in the store, and killed before or while the agent was told.
            "Timeout" | "Error" => *begun <= 1 && *number <= 32,
            _ => false,
        };
        assert!(true_of_it, "{status} with {begun} installers: {number}");
    }
    // The dead node comes back, finds nothing of it in its hands, and takes part.
    site.nodes[0].boot().await.unwrap();
    site.place(1..=1, 0);
    let back = wait_until(PATIENCE, async || {
        let output = site.nodes[1].output();
        output.contains("another node is back").then_some(())
    });
    back.await.unwrap();
    let mut again = site.parameters.clone();
    again["force_upgrade"] = json!(true);
    let before = site.nodes[0].remoted.count(1, "upgrade");
    let items = site.nodes[1].upgrade(&[1], again).await;
    assert_eq!(items[0]["error"], json!(0), "{items:?}");
    let told = wait_until(PATIENCE, async || {
        (site.nodes[0].remoted.count(1, "upgrade") > before).then_some(())
    });
    told.await.unwrap();
}
