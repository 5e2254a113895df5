//! What is asked, as it is printed and read.

use wpk_api::{AgentChange, CaStep, Labels, Revision, TaskId, TaskKind, TaskPlace};
use wpk_wire::own::{AskCa, IssueToken, ListTokens, RevokeToken};
use wpk_wire::own::{
    AskChanges, AskProgress, AskTimeline, AskVersions, CancelTasks, ChangeAgent, EnrollAgent,
    ListAgents, ListTasks, ShowAgent, VersionFilter,
};
use wpk_wire::task::TaskCommand;
use wpk_wire::{OwnRequest, UpgradeCode, UpgradeCommand, UpgradeRequest};

use crate::common::*;

#[test]
fn requests_are_printed_as_before_and_read_back() {
    let change = |change| ChangeAgent {
        agent: agent(7),
        change,
    };
    let site = ("site".to_owned(), "lyon".to_owned());
    let label = AgentChange::Label {
        set: [site].into(),
        unset: vec!["rack".into()],
    };
    let cases: [(OwnRequest, &str); 23] = [
        (
            AskVersions {}.into(),
            r#"upgrade_versions","origin":{"module":"api"},"parameters":{}}"#,
        ),
        (
            CancelTasks {
                agents: vec![agent(3), agent(1)],
            }
            .into(),
            r#"upgrade_cancel","origin":{"module":"api"},"parameters":{"agents":[3,1]}}"#,
        ),
        (
            ListTasks::default().into(),
            r#"upgrade_tasks","origin":{"module":"api"},"parameters":{}}"#,
        ),
        (
            ListTasks {
                before: Some(TaskPlace {
                    created: 6,
                    task: TaskId(9),
                }),
                limit: Some(50),
                only: TaskKind::Troubled,
                since: Some(5),
                agents: vec![agent(7)],
                node: Some("node01".into()),
            }
            .into(),
            r#"upgrade_tasks","origin":{"module":"api"},"parameters":{"agents":[7],"before":{"created":6,"task":9},"limit":50,"node":"node01","only":"troubled","since":5}}"#,
        ),
        (
            IssueToken {
                uses: 5,
                expires_in: 60,
                labels: Labels::new(),
            }
            .into(),
            r#"agent_token","origin":{"module":"api"},"parameters":{"expires_in":60,"uses":5}}"#,
        ),
        (
            ListTokens {}.into(),
            r#"agent_token_list","origin":{"module":"api"},"parameters":{}}"#,
        ),
        (
            AskCa {
                step: CaStep::Switch,
                force: true,
            }
            .into(),
            r#"agent_ca","origin":{"module":"api"},"parameters":{"force":true,"step":"switch"}}"#,
        ),
        (
            RevokeToken { token: "a7".into() }.into(),
            r#"agent_token_revoke","origin":{"module":"api"},"parameters":{"token":"a7"}}"#,
        ),
        (
            ListAgents {
                details: true,
                ..ListAgents::default()
            }
            .into(),
            r#"agent_list","origin":{"module":"api"},"parameters":{"details":true}}"#,
        ),
        (
            ShowAgent { agent: agent(7) }.into(),
            r#"agent_show","origin":{"module":"api"},"parameters":{"agent":7}}"#,
        ),
        (
            change(AgentChange::Revoke).into(),
            r#"agent_revoke","origin":{"module":"api"},"parameters":{"agent":7}}"#,
        ),
        (
            change(AgentChange::Remove).into(),
            r#"agent_remove","origin":{"module":"api"},"parameters":{"agent":7}}"#,
        ),
        (
            change(AgentChange::Rename("web".into())).into(),
            r#"agent_rename","origin":{"module":"api"},"parameters":{"agent":7,"name":"web"}}"#,
        ),
        (
            change(label).into(),
            r#"agent_label","origin":{"module":"api"},"parameters":{"agent":7,"set":{"site":"lyon"},"unset":["rack"]}}"#,
        ),
        (
            ListAgents::default().into(),
            r#"agent_list","origin":{"module":"api"},"parameters":{}}"#,
        ),
        (
            ListAgents {
                after: Some(agent(0)),
                limit: Some(1),
                version: Some(VersionFilter::Older),
                details: false,
            }
            .into(),
            r#"agent_list","origin":{"module":"api"},"parameters":{"after":0,"limit":1,"version":"older"}}"#,
        ),
        (
            ListAgents {
                version: Some(VersionFilter::Different),
                ..ListAgents::default()
            }
            .into(),
            r#"agent_list","origin":{"module":"api"},"parameters":{"version":"different"}}"#,
        ),
        (
            EnrollAgent {
                name: "a \"b\"".into(),
            }
            .into(),
            r#"agent_enroll","origin":{"module":"api"},"parameters":{"name":"a \"b\""}}"#,
        ),
        (
            AskProgress {
                agents: vec![agent(3), agent(1)],
            }
            .into(),
            r#"upgrade_progress","origin":{"module":"api"},"parameters":{"agents":[3,1]}}"#,
        ),
        (
            AskTimeline {
                agents: vec![agent(3)],
                ..AskTimeline::default()
            }
            .into(),
            r#"upgrade_timeline","origin":{"module":"api"},"parameters":{"agents":[3]}}"#,
        ),
        (
            AskChanges {
                agents: vec![agent(3)],
                ..AskChanges::default()
            }
            .into(),
            r#"upgrade_changes","origin":{"module":"api"},"parameters":{"agents":[3]}}"#,
        ),
        (
            AskChanges {
                after: Some(Revision(7)),
                wait: Some(500),
                ..AskChanges::default()
            }
            .into(),
            r#"upgrade_changes","origin":{"module":"api"},"parameters":{"after":7,"wait":500}}"#,
        ),
        (
            AskTimeline {
                tasks: vec![TaskId(7)],
                entries: Some(0),
                ..AskTimeline::default()
            }
            .into(),
            r#"upgrade_timeline","origin":{"module":"api"},"parameters":{"entries":0,"tasks":[7]}}"#,
        ),
    ];
    for (request, rest) in cases {
        let bytes = UpgradeRequest::Own(request.clone()).to_bytes();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, format!(r#"{{"command":"{rest}"#));
        assert_eq!(parse(&text).unwrap(), request);
    }
}

#[test]
fn they_need_neither_origin_nor_more_than_their_own_parameters() {
    assert_eq!(
        parse(r#"{"command":"agent_list"}"#).unwrap(),
        ListAgents::default().into()
    );
    let missing = UpgradeCode::RequiredParameters;
    for command in [
        UpgradeCommand::AgentList,
        UpgradeCommand::AgentEnroll,
        UpgradeCommand::UpgradeProgress,
        UpgradeCommand::UpgradeTimeline,
    ] {
        assert_eq!(refused(command, "[]").0, missing, "{command}");
    }
    for parameters in ["{}", r#"{"name":7}"#] {
        assert_eq!(
            refused(UpgradeCommand::AgentEnroll, parameters).0,
            missing,
            "{parameters}"
        );
    }
    for (command, parameters) in [
        (UpgradeCommand::AgentShow, "{}"),
        (UpgradeCommand::AgentRevoke, "{}"),
        (UpgradeCommand::AgentRename, r#"{"agent":7}"#),
        (UpgradeCommand::AgentRename, r#"{"agent":7,"name":7}"#),
        (UpgradeCommand::AgentLabel, "{}"),
    ] {
        assert_eq!(refused(command, parameters).0, missing, "{parameters}");
    }
    for (command, parameters, words) in [
        (UpgradeCommand::AgentShow, r#"{"agent":"7"}"#, "\"agent\""),
        (UpgradeCommand::AgentRemove, r#"{"agent":-1}"#, "-1"),
        (
            UpgradeCommand::AgentLabel,
            r#"{"agent":7,"set":[]}"#,
            "\"set\"",
        ),
        (
            UpgradeCommand::AgentLabel,
            r#"{"agent":7,"set":{"a":1}}"#,
            "\"set\"",
        ),
        (
            UpgradeCommand::AgentLabel,
            r#"{"agent":7,"unset":{}}"#,
            "\"unset\"",
        ),
    ] {
        let (_, text) = refused(command, parameters);
        assert!(text.contains(words), "{parameters}: {text}");
    }
    for parameters in ["{}", r#"{"agents":7}"#] {
        assert_eq!(
            refused(UpgradeCommand::UpgradeProgress, parameters).0,
            missing,
            "{parameters}"
        );
    }
}

#[test]
fn parameters_of_the_list() {
    let list = |parameters: &str| match read(UpgradeCommand::AgentList, parameters).unwrap() {
        OwnRequest::AgentList(list) => list,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        list(r#"{"after":null,"limit":null}"#),
        ListAgents::default()
    );
    for (limit, page) in [
        ("-1", 1000),
        ("0", 1),
        ("1", 1),
        ("999", 999),
        ("1000", 1000),
        ("1001", 1000),
        ("9223372036854775807", 1000),
    ] {
        assert_eq!(
            list(&format!(r#"{{"limit":{limit}}}"#)).page(),
            page,
            "{limit}"
        );
    }
    assert_eq!(ListAgents::default().page(), 1000);

    let code = UpgradeCode::NotRecognized;
    for (parameters, text) in [
        (r#"{"after":"1"}"#, "Parameter \"after\" should be a number"),
        (r#"{"limit":1.5}"#, "Parameter \"limit\" should be a number"),
        (
            r#"{"after":-1}"#,
            "-1 is no agent id: ids are 0 to 2147483647",
        ),
        (
            r#"{"version":"newer"}"#,
            "Parameter \"version\" should be \"older\" or \"different\"",
        ),
        (
            r#"{"version":null}"#,
            "Parameter \"version\" should be \"older\" or \"different\"",
        ),
    ] {
        assert_eq!(
            refused(UpgradeCommand::AgentList, parameters),
            (code, text.to_owned())
        );
    }
}

#[test]
fn what_a_timeline_is_asked_for() {
    let command = UpgradeCommand::UpgradeTimeline;
    let odd = r#"{"agents":[1,-1,"2"],"tasks":[7,"8",1.5],"entries":null}"#;
    let asked = AskTimeline {
        agents: vec![agent(1)],
        tasks: vec![TaskId(7)],
        entries: None,
    };
    assert_eq!(read(command, odd).unwrap(), asked.into());
    for nothing in ["{}", r#"{"agents":[],"tasks":[-1.5]}"#] {
        let (code, _) = refused(command, nothing);
        assert_eq!(code, UpgradeCode::RequiredParameters, "{nothing}");
    }
    let many = |count: usize| format!(r#"{{"agents":[1],"tasks":{:?}}}"#, vec![1; count]);
    assert!(read(command, &many(AskTimeline::MOST - 1)).is_ok());
    let (code, text) = refused(command, &many(AskTimeline::MOST));
    assert_eq!(code, UpgradeCode::NotRecognized);
    assert_eq!(text, "At most 1000 agents and tasks at a time");
    let text = refused(command, r#"{"tasks":[1],"entries":-1}"#).1;
    assert_eq!(text, "Parameter \"entries\" should be a number, 0 or more");
}

#[test]
fn every_command_has_its_word() {
    let words: Vec<&str> = UpgradeCommand::ALL.iter().map(|c| c.as_str()).collect();
    assert_eq!(
        words,
        [
            "upgrade",
            "upgrade_custom",
            "upgrade_result",
            "upgrade_update_status",
            "agent_list",
            "agent_enroll",
            "agent_show",
            "agent_revoke",
            "agent_remove",
            "agent_rename",
            "agent_label",
            "agent_token",
            "agent_token_list",
            "agent_token_revoke",
            "agent_ca",
            "upgrade_progress",
            "upgrade_timeline",
            "upgrade_changes",
            "upgrade_tasks",
            "upgrade_cancel",
            "upgrade_versions",
            "rollout_plan",
            "rollout_apply",
            "rollout_list",
            "rollout_status",
            "rollout_agents",
            "rollout_explain",
            "rollout_pause",
            "rollout_resume",
            "rollout_halt",
            "rollout_cancel",
            "rollout_retry",
            "rollout_skip",
            "rollout_settle",
            "rollout_history",
            "rollout_rehearse",
            "release_list",
            "release_deny",
            "release_allow",
            "agent_hold",
            "agent_unhold",
            "agent_holds",
            "agent_labels",
        ]
    );
    let creating: Vec<&str> = (UpgradeCommand::ALL.iter())
        .filter(|command| command.creates_tasks())
        .map(|command| command.as_str())
        .collect();
    assert_eq!(creating, ["upgrade", "upgrade_custom"]);
    let words: Vec<String> = TaskCommand::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "upgrade",
            "upgrade_custom",
            "upgrade_get_status",
            "upgrade_update_status",
            "upgrade_result",
            "upgrade_cancel_tasks"
        ]
    );
    for word in ["", "Upgrade", "upgrade ", "upgrades"] {
        assert_eq!(UpgradeCommand::from_word(word), None, "{word:?}");
        assert_eq!(TaskCommand::from_word(word), None, "{word:?}");
    }
}

#[test]
fn changes_are_asked_of_some_agents_or_of_all() {
    let command = UpgradeCommand::UpgradeChanges;
    let asked = |parameters| match read(command, parameters).unwrap() {
        OwnRequest::UpgradeChanges(asked) => asked,
        other => panic!("{other:?}"),
    };
    let some = asked(r#"{"agents":[1,-1],"after":7,"wait":99999999}"#);
    assert_eq!(some.agents, [agent(1)]);
    assert_eq!(some.after, Some(Revision(7)));
    assert_eq!(some.waits(), AskChanges::LONGEST_WAIT);
    assert_eq!(asked(r#"{"after":0}"#).agents, []);
    assert_eq!(asked(r#"{"after":0}"#).waits(), 0);
    let missing = UpgradeCode::RequiredParameters;
    for nobody in ["{}", r#"{"agents":[]}"#, r#"{"agents":[-1],"after":7}"#] {
        assert_eq!(refused(command, nobody).0, missing, "{nobody}");
    }
    for (parameters, words) in [
        (r#"{"after":-1}"#, "\"after\""),
        (r#"{"after":"7"}"#, "\"after\""),
        (r#"{"after":7,"wait":1.5}"#, "\"wait\""),
    ] {
        let (_, text) = refused(command, parameters);
        assert!(text.contains(words), "{parameters}: {text}");
    }
    let many = vec!["7"; AskChanges::MOST + 1].join(",");
    let (code, text) = refused(command, &format!(r#"{{"agents":[{many}],"after":7}}"#));
    assert_eq!(code, UpgradeCode::NotRecognized);
    assert!(text.contains("At most 1000 agents"), "{text}");
}
