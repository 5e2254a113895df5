//! `release`, `agent hold | unhold | holds`, and labels that the manager's store keeps.

use serde_json::json;
use wpk_wire::own::rollout::*;

use crate::common::*;
use crate::stage::*;

#[test]
fn releases_are_listed_denied_and_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, _| {
        let release = |version: &str, denied| ListedRelease {
            version: version.into(),
            floors: vec!["v4.14.0".into()],
            denied,
            reason: denied.then(|| "breaks".into()),
            at: denied.then_some(NOW),
            who: denied.then(|| "root".into()),
            sha256: Default::default(),
        };
        Some(match command {
            "release_list" => vec![
                release("v5.0.0", false).to_item(),
                release("v5.0.1", true).to_item(),
            ],
            "release_deny" => vec![release("v5.0.1", true).to_item()],
            "release_allow" => vec![release("v5.0.1", false).to_item()],
            _ => return None,
        })
    });
    let run = ask(&manager, &["release", "list"]).ended(0);
    assert_eq!(
        run.out,
        "\
release  floors   denied  since                    who   reason
v5.0.0   v4.14.0  -       -                        -     -
v5.0.1   v4.14.0  denied  2026/11/30 00:53:20 UTC  root  breaks
"
    );
    let arguments = ["release", "deny", "5.0.1", "--reason", "breaks"];
    let run = ask(&manager, &arguments).ended(0);
    assert_eq!(run.out, "release v5.0.1: denied\n");
    assert_eq!(
        parameters_of(&manager, "release_deny"),
        json!({"version": "v5.0.1", "reason": "breaks"})
    );
    let run = ask(&manager, &["--json", "release", "allow", "v5.0.1"]).ended(0);
    assert_eq!(object(&run)["event"], "allowed");
    ask(&manager, &["release", "deny", "newest"]).ended(2);
}

#[test]
fn agents_are_held_and_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, parameters| {
        let agent = |id| wpk_api::AgentId::new(id).unwrap();
        let held = |id| HeldAgent {
            agent: agent(id),
            name: Some("web".into()),
            reason: "ticket 12".into(),
            since: Some(NOW),
            who: Some("root".into()),
        };
        Some(match (command, parameters["after"].as_i64()) {
            ("agent_hold", _) => {
                let not_known = vec![agent(9)];
                vec![
                    Touched {
                        changed: 2,
                        not_known,
                    }
                    .to_item(),
                ]
            }
            ("agent_unhold", _) => vec![
                Touched {
                    changed: 1,
                    not_known: vec![],
                }
                .to_item(),
            ],
            ("agent_holds", None) => vec![held(7).to_item()],
            ("agent_holds", Some(7)) => vec![held(8).to_item()],
            _ => vec![],
        })
    });
    let arguments = ["agent", "hold", "7-9", "--reason", "ticket 12"];
    let run = ask(&manager, &arguments).ended(1);
    assert_eq!(run.out, "2 agents: held\n");
    assert_eq!(run.err, "wpkctl: the manager does not know agent 009\n");
    let sent = parameters_of(&manager, "agent_hold");
    assert_eq!(sent, json!({"agents": [7, 8, 9], "reason": "ticket 12"}));
    let run = ask(&manager, &["agent", "unhold", "7"]).ended(0);
    assert_eq!(run.out, "1 agent: let go\n");
    let run = ask(&manager, &["agent", "holds"]).ended(0);
    assert_eq!(
        run.out,
        "\
agent  name  since                    who   reason
007    web   2026/11/30 00:53:20 UTC  root  ticket 12
008    web   2026/11/30 00:53:20 UTC  root  ticket 12
"
    );
}

#[test]
fn labels_that_the_directory_cannot_keep_the_manager_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "agent_label" => refusal(3, "not supported here: the agents are a 4.x manager's"),
            _ => answer(vec![json!({
                "error": 0, "message": "Success", "changed": 3, "not_known": [],
            })]),
        }
    });
    let arguments = ["agent", "label", "7-9", "site=lyon", "--remove", "rack"];
    let run = ask(&manager, &arguments).ended(0);
    assert_eq!(run.out, "3 agents: labelled\n");
    assert_eq!(manager.asked("agent_label").len(), 1);
    assert_eq!(
        parameters_of(&manager, "agent_labels"),
        json!({"agents": [7, 8, 9], "set": {"site": "lyon"}, "remove": ["rack"]})
    );
}
