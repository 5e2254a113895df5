//! Agents selected by the site they are in.

use super::fleet::{ALL, Fleet, apply, ask, definition};
use crate::stand::{NEWEST, Stand};

use serde_json::json;

/// A rollout of those in site `hq`, which has these.
fn to_hq(of_site: &str) -> String {
    let rollout = definition(ALL).replace("group = prod", "site = hq");
    format!("[[site]]\nname = \"hq\"\nselect = \"{of_site}\"\n{rollout}")
}

#[tokio::test(start_paused = true)]
async fn a_rollout_to_a_site_reaches_its_agents_and_those_that_move_there() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 4);
    // The plan knows the sites that are to be, before they are applied.
    let asked = json!({"definition": to_hq("id = 1-2")});
    let planned = ask(&stand, "rollout_plan", asked).await.unwrap();
    assert_eq!(planned[0]["rollouts"][0]["waves"][0]["agents"], 2);
    apply(&stand, &to_hq("id = 1-2")).await.unwrap();
    let end = fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(end["counts"]["succeeded"], 2, "{end}");
    assert_eq!(fleet.running(NEWEST), [1, 2].into());
    // The sites alone change: agent 3 is in it now, and joins.
    apply(&stand, "[[site]]\nname = \"hq\"\nselect = \"id = 1-3\"\n")
        .await
        .unwrap();
    fleet
        .until(&stand, |fleet, _| fleet.running(NEWEST).len() == 3)
        .await;
    fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(fleet.running(NEWEST), [1, 2, 3].into());
}

/// Whoever names agents by their site means those whom a rollout would mean.
#[tokio::test(start_paused = true)]
async fn the_list_tells_in_which_site_each_agent_is() {
    let stand = Stand::new().await;
    let _fleet = Fleet::of(&stand, 4);
    let sites = async || {
        let asked = json!({"limit": 4, "details": true});
        let listed = ask(&stand, "agent_list", asked).await.unwrap().into_iter();
        let site = |agent: serde_json::Value| agent["site"].as_str().map(str::to_owned);
        listed.map(site).collect::<Option<Vec<String>>>().unwrap()
    };
    // Where none were applied all are in the one that is always there.
    assert_eq!(sites().await, ["default"; 4]);
    let two = "[[site]]\nname = \"hq\"\nselect = \"id = 1-2\"\n\
               [[site]]\nname = \"lyon\"\nselect = \"label.city = lyon\"\n";
    apply(&stand, two).await.unwrap();
    assert_eq!(sites().await, ["hq", "hq", "default", "default"]);
    // Labels that the store keeps count, and the first site that selects an agent.
    let label = json!({"agents": [1, 3], "set": {"city": "lyon"}});
    ask(&stand, "agent_labels", label).await.unwrap();
    assert_eq!(sites().await, ["hq", "hq", "lyon", "default"]);
    let shown = ask(&stand, "agent_show", json!({"agent": 3}))
        .await
        .unwrap();
    assert_eq!(shown[0]["site"], "lyon");
    // It is told where more is asked for, as labels are.
    let brief = ask(&stand, "agent_list", json!({})).await.unwrap();
    assert_eq!(brief[0].get("site"), None);
}
