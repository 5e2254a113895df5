//! A rollout over two real nodes: the one that plans is killed in the middle, and the other
//! goes on. And a site's limit of bandwidth, measured where the bytes arrive.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wpk_testkit::fleet::RELEASE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository};

use crate::stand::{Site, name};

const AGENTS: u32 = 40;
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

async fn ask(node: &Manager, command: &str, parameters: Value) -> Value {
    let request = json!({
        "origin": {"module": "api"}, "command": command, "parameters": parameters,
    });
    let answer = node.ask(request.to_string()).await;
    answer.unwrap_or_else(|| panic!("{command}: no answer\n{}", node.output()))
}

/// Plans and applies.
async fn apply(node: &Manager, definition: &str) {
    let planned = ask(node, "rollout_plan", json!({"definition": definition})).await;
    let digest = &planned["data"][0]["digest"];
    let asked = json!({"definition": definition, "digest": digest});
    let applied = ask(node, "rollout_apply", asked).await;
    assert_eq!(applied["error"], 0, "{planned}\n{applied}");
}

async fn status(node: &Manager) -> Value {
    let told = ask(node, "rollout_status", json!({"name": "all"})).await;
    told["data"][0].clone()
}

/// Who ran an installer runs the release from then on, as every directory shows.
fn installed(nodes: &[Manager]) -> BTreeMap<u32, usize> {
    let mut begun = BTreeMap::new();
    for frame in nodes.iter().flat_map(|node| node.remoted.frames()) {
        if frame.step == "upgrade" {
            *begun.entry(frame.agent).or_default() += 1;
        }
    }
    for agent in begun.keys() {
        for node in nodes {
            let version = json!(format!("Wazuh {RELEASE}"));
            node.wdb.set_column(i64::from(*agent), "version", version);
        }
    }
    begun
}

/// Looks until something is so.
async fn until<T>(
    what: &str,
    nodes: &[Manager],
    mut look: impl AsyncFnMut(&BTreeMap<u32, usize>) -> Option<T>,
) -> T {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        if let Some(found) = look(&installed(nodes)).await {
            return found;
        }
        if began.elapsed() > PATIENCE {
            let logs = nodes.iter().map(Manager::output).collect::<Vec<_>>();
            panic!("it never comes: {what}\n{}", logs.join("\n----\n"));
        }
    }
}

#[tokio::test]
async fn another_node_goes_on_where_the_one_that_plans_is_killed() {
    let repository = Repository::start().await.unwrap();
    repository.publish(RELEASE, &[7; 50_000]).unwrap();
    let more = format!(
        "[[provider]]\ntype = \"repository\"\nurl = \"http://{}\"\n",
        repository.base()
    );
    let Some(mut site) = Site::start(1_000, &more).await else {
        return;
    };
    site.place(1..=AGENTS / 2, 0);
    site.place(AGENTS / 2 + 1..=AGENTS, 1);
    for node in &site.nodes {
        node.remoted.set_ack_interval(Some(Duration::from_secs(1)));
    }
    site.acquainted().await;
    let definition = format!(
        "[[rollout]]\nname = \"all\"\nselect = \"id > 0\"\ntarget = \"{RELEASE}\"\n\
         max_concurrent = 8\nunknown_after = \"1m\"\nretry_pause = \"1m\"\n\
         [[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\nsoak = \"1s\"\n\
         max_failures = \"50%\"\n"
    );
    // Asked at one node, whichever plans.
    apply(&site.nodes[1], &definition).await;
    let in_the_middle = async |begun: &BTreeMap<u32, usize>| (begun.len() >= 12).then_some(());
    until("the middle", &site.nodes, in_the_middle).await;
    let planner = status(&site.nodes[1]).await["planner"]["node"].clone();
    let dies = usize::from(planner == json!(name(1)));
    assert_eq!(planner, json!(name(dies)));
    let lives = 1 - dies;
    site.nodes[dies].kill().await.unwrap();
    let begun = installed(&site.nodes);
    assert!(begun.len() < 36, "it dies too late: {begun:?}");
    // Its agents go to the other node.
    let socket = site.nodes[lives].home.upgrade_socket();
    site.nodes[dies].remoted.acknowledge_to(socket);
    for agent in 1..=i64::from(AGENTS) {
        let node = &site.nodes[lives];
        node.wdb.set_column(agent, "node_name", json!(name(lives)));
    }
    let survivor = &site.nodes[lives];
    let end = until("the end", &site.nodes, async |_| {
        let told = status(survivor).await;
        (told["state"] == "converged").then_some(told)
    });
    let end = end.await;
    assert_eq!(end["planner"]["node"], json!(name(lives)), "{end}");
    assert_eq!(end["counts"]["succeeded"], json!(AGENTS), "{end}");
    let begun = installed(&site.nodes);
    let once: BTreeMap<u32, usize> = (1..=AGENTS).map(|agent| (agent, 1)).collect();
    assert_eq!(begun, once, "everybody got one installer");
}

/// Bytes a second that the slow site may get, of which its agents want so many seconds.
const RATE: usize = 250_000;
const SECONDS: usize = 14;

#[tokio::test]
async fn a_sites_bandwidth_is_what_its_agents_get() {
    let size = RATE * SECONDS / 4;
    let repository = Repository::start().await.unwrap();
    repository.publish(RELEASE, &vec![7; size]).unwrap();
    let settings = format!(
        "[[provider]]\ntype = \"repository\"\nurl = \"http://{}\"\n",
        repository.base()
    );
    let node = Manager::start(&settings).await.unwrap();
    for agent in 1..=6 {
        let mut row = agent_row(agent, "Wazuh v4.7.0");
        row["group"] = json!(if agent <= 4 { "slow" } else { "fast" });
        node.wdb.set_agent(row);
    }
    let definition = format!(
        "[[site]]\nname = \"slow\"\nselect = \"group = slow\"\nbandwidth = \"{}kbit/s\"\n\
         [[rollout]]\nname = \"all\"\nselect = \"id > 0\"\ntarget = \"{RELEASE}\"\n\
         [[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\n",
        RATE * 8 / 1_000
    );
    apply(&node, &definition).await;
    let nodes = [node];
    let got = |agents: std::ops::RangeInclusive<u32>| -> usize {
        let received = agents.filter_map(|agent| nodes[0].remoted.received(agent));
        received.map(|bytes| bytes.len()).sum()
    };
    let (began, mut fast) = (Instant::now(), None);
    let mut recent: VecDeque<(Instant, usize)> = VecDeque::new();
    until("all bytes", &nodes, async |_| {
        let (now, bytes) = (Instant::now(), got(1..=4));
        if got(5..=6) == 2 * size {
            fast.get_or_insert_with(|| began.elapsed());
        }
        recent.push_back((now, bytes));
        while recent
            .front()
            .is_some_and(|(at, _)| now - *at > Duration::from_secs(10))
        {
            recent.pop_front();
        }
        let before = recent.front().map_or(0, |(_, bytes)| *bytes);
        assert!(
            bytes - before <= 10 * RATE,
            "{} bytes in 10 s",
            bytes - before
        );
        (bytes == 4 * size).then_some(())
    })
    .await;
    let (took, fast) = (
        began.elapsed(),
        fast.expect("who has no limit is through first"),
    );
    let least = Duration::from_secs(SECONDS as u64 - 10);
    assert!(took >= least, "{took:?} for {SECONDS} s of bytes");
    assert!(fast < took, "{fast:?} without a limit, {took:?} with it");
}
