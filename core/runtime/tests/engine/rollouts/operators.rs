//! What operators do: pause, cancel, deny, hold, label; and who may.

use serde_json::json;
use wpk_api::{Endpoint, Peer, Status};

use super::fleet::{ALL, Fleet, apply, ask, definition, explain, status, wish};
use crate::stand::{NEWEST, Stand};

const ONE_BY_ONE: &str =
    "[[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\nmax_concurrent = 1\nsoak = \"1m\"\n";

#[tokio::test(start_paused = true)]
async fn nothing_begins_after_a_pause_returned_and_it_goes_on_when_resumed() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 6);
    apply(&stand, &definition(ONE_BY_ONE)).await.unwrap();
    fleet.until(&stand, |fleet, _| fleet.begun.len() == 2).await;
    let paused = wish(&stand, "rollout_pause", "prod").await;
    assert_eq!(paused["state"], "paused", "{paused}");
    let begun = stand.transport.order_of("upgrade").len();
    fleet.pass(&stand, 900).await;
    assert_eq!(stand.transport.order_of("upgrade").len(), begun);
    let again = ask(&stand, "rollout_pause", json!({"name": "prod"}))
        .await
        .unwrap_err();
    assert!(again.contains("is paused already"), "{again}");
    wish(&stand, "rollout_resume", "prod").await;
    fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(fleet.running(NEWEST).len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_rollout_takes_back_what_has_not_begun() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 6);
    let night = "[[site]]\nname = \"hq\"\nselect = \"group = prod\"\nwindows = [\"22:30-23:30\"]\n";
    apply(&stand, &format!("{night}{}", definition(ALL)))
        .await
        .unwrap();
    fleet.pass(&stand, 600).await;
    assert_eq!(stand.task(1).status, Status::Pending);
    wish(&stand, "rollout_cancel", "prod").await;
    assert!((1..=6).all(|agent| stand.task(agent).status == Status::Cancelled));
    fleet.pass(&stand, 3_600).await;
    assert_eq!(fleet.begun.len(), 0);
    let over = ask(&stand, "rollout_resume", json!({"name": "prod"}))
        .await
        .unwrap_err();
    assert!(over.contains("is over"), "{over}");
    // Another one of the name begins anew.
    let applied = apply(&stand, &definition(ALL)).await.unwrap();
    assert_eq!(
        (&applied[0]["generation"], &applied[0]["state"]),
        (&json!(2), &json!("running"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_denied_release_halts_what_goes_there() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 4);
    apply(&stand, &definition(ONE_BY_ONE)).await.unwrap();
    fleet.until(&stand, |fleet, _| fleet.begun.len() == 1).await;
    let asked = json!({"version": NEWEST.to_string(), "reason": "it breaks logins"});
    let denied = ask(&stand, "release_deny", asked).await.unwrap();
    assert_eq!(
        (&denied[0]["denied"], &denied[0]["reason"]),
        (&json!(true), &json!("it breaks logins"))
    );
    let begun = stand.transport.order_of("upgrade").len();
    fleet.pass(&stand, 900).await;
    assert_eq!(stand.transport.order_of("upgrade").len(), begun);
    let told = status(&stand, "prod").await;
    assert_eq!(told["state"], "halted", "{told}");
    ask(
        &stand,
        "release_allow",
        json!({"version": NEWEST.to_string()}),
    )
    .await
    .unwrap();
    wish(&stand, "rollout_resume", "prod").await;
    fleet.until_state(&stand, "prod", "converged").await;
    let history = ask(&stand, "rollout_history", json!({})).await.unwrap();
    let what: Vec<_> = history
        .iter()
        .map(|one| (one["what"].as_str().unwrap(), one["who"].as_str()))
        .collect();
    assert!(
        what.contains(&("denied", Some("uid 0"))) && what.contains(&("opened", None)),
        "{what:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn held_and_labelled_agents_are_left_out_and_let_in() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 4);
    let held = ask(
        &stand,
        "agent_hold",
        json!({"agents": [2, 77], "reason": "a demo"}),
    )
    .await
    .unwrap();
    assert_eq!(
        (&held[0]["changed"], &held[0]["not_known"]),
        (&json!(1), &json!([77])),
        "{held:?}"
    );
    ask(
        &stand,
        "agent_labels",
        json!({"agents": [3], "set": {"frozen": "yes"}}),
    )
    .await
    .unwrap();
    // The list tells all labels, none as well: who selects by them must know that they are told.
    let listed = ask(&stand, "agent_list", json!({"limit": 4, "details": true})).await;
    let labels: Vec<_> = (listed.unwrap().iter())
        .map(|agent| agent["labels"].clone())
        .collect();
    let (none, frozen) = (json!({}), json!({"frozen": "yes"}));
    assert_eq!(labels, [none.clone(), none.clone(), frozen, none]);
    let text = definition(ALL).replace("group = prod", "group = prod and not label.frozen = yes");
    apply(&stand, &text).await.unwrap();
    fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(fleet.running(NEWEST), [1, 4].into());
    let told = explain(&stand, "prod", 2).await;
    assert_eq!(
        (told["state"].as_str(), told["reason"].as_str()),
        (Some("excluded"), Some("it is held: a demo")),
        "{told}"
    );
    ask(&stand, "agent_unhold", json!({"agents": [2]}))
        .await
        .unwrap();
    ask(
        &stand,
        "agent_labels",
        json!({"agents": [3], "remove": ["frozen"]}),
    )
    .await
    .unwrap();
    fleet
        .until(&stand, |fleet, _| fleet.running(NEWEST).len() == 4)
        .await;
    assert_eq!(
        ask(&stand, "agent_holds", json!({})).await.unwrap().len(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_was_planned_is_applied_and_only_by_those_who_may() {
    let stand = Stand::new().await;
    let _fleet = Fleet::of(&stand, 4);
    let planned = ask(
        &stand,
        "rollout_plan",
        json!({"definition": definition(ALL)}),
    )
    .await
    .unwrap();
    assert_eq!(
        planned[0]["rollouts"][0]["waves"][0]["agents"], 4,
        "{planned:?}"
    );
    let typo = definition(ALL).replace("group = prod", "group = prood");
    let asked = json!({"definition": typo});
    let nobody = ask(&stand, "rollout_plan", asked).await.unwrap();
    let told = |planned: &[serde_json::Value]| planned[0]["assumptions"].to_string();
    assert!(told(&nobody).contains("no agent matches"), "{nobody:?}");
    assert!(!told(&planned).contains("no agent matches"), "{planned:?}");
    let other = definition(ONE_BY_ONE);
    let asked = json!({"definition": other, "digest": planned[0]["digest"]});
    let refused = ask(&stand, "rollout_apply", asked.clone())
        .await
        .unwrap_err();
    assert!(refused.contains("not what was planned"), "{refused}");
    let request =
        json!({"origin": {"module": "api"}, "command": "rollout_apply", "parameters": asked});
    let stranger = Peer::Local { uid: 12_345 };
    let answer = stand.call(Endpoint::Upgrade, stranger, &request).await;
    assert!(answer.to_string().contains("Only root"), "{answer}");
    let bad = ask(
        &stand,
        "rollout_plan",
        json!({"definition": "[[rollout]]\nname = \"x\""}),
    )
    .await;
    assert!(bad.unwrap_err().contains("select"), "the key is named");
}

#[tokio::test(start_paused = true)]
async fn a_skipped_agent_is_left_alone_until_it_is_tried_again() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 3);
    apply(&stand, &definition(ONE_BY_ONE)).await.unwrap();
    fleet.until(&stand, |fleet, _| fleet.begun.len() == 1).await;
    let left = (1..=3).find(|agent| !fleet.begun.contains(agent)).unwrap();
    ask(
        &stand,
        "rollout_skip",
        json!({"name": "prod", "agents": [left]}),
    )
    .await
    .unwrap();
    fleet.until_state(&stand, "prod", "converged").await;
    assert!(!fleet.begun.contains(&left));
    let stranger = ask(
        &stand,
        "rollout_skip",
        json!({"name": "prod", "agents": [10]}),
    )
    .await;
    assert!(
        stranger
            .unwrap_err()
            .contains("Agent 010 is not in rollout prod")
    );
    ask(
        &stand,
        "rollout_retry",
        json!({"name": "prod", "agents": [left]}),
    )
    .await
    .unwrap();
    fleet
        .until(&stand, |fleet, _| fleet.running(NEWEST).len() == 3)
        .await;
}
