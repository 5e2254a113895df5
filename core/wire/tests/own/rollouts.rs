//! Requests about rollouts: their bytes, and what is refused.

use wpk_wire::own::rollout::*;
use wpk_wire::{Dialect, OwnRequest, UpgradeCode, UpgradeCommand, UpgradeRequest};

use crate::common::*;

fn name() -> String {
    "prod".to_owned()
}

fn change(change: RolloutChange) -> OwnRequest {
    let name = name();
    ChangeRollout { name, change }.into()
}

#[test]
fn requests_are_printed_as_before_and_read_back() {
    let (definition, digest) = ("[[rollout]]\n".to_owned(), "0a".repeat(32));
    let settle = RolloutChange::Settle {
        agent: agent(7),
        succeeded: true,
    };
    let version = "v4.14.7".parse().unwrap();
    let rehearse = RehearseRollout {
        definition: definition.clone(),
        failure_rate: Some("2%".into()),
        seed: Some(7),
        ..RehearseRollout::default()
    };
    let deny = ChangeRelease::Deny {
        version,
        reason: "breaks".into(),
    };
    let label = LabelAgents {
        agents: vec![agent(7)],
        set: [("site".to_owned(), "lyon".to_owned())].into(),
        remove: vec!["rack".into()],
    };
    let cases: Vec<(OwnRequest, String)> = vec![
        (
            PlanRollout {
                definition: definition.clone(),
            }
            .into(),
            r#"rollout_plan {"definition":"[[rollout]]\n"}"#.into(),
        ),
        (
            ApplyRollout {
                definition,
                digest: digest.clone(),
            }
            .into(),
            format!(r#"rollout_apply {{"definition":"[[rollout]]\n","digest":"{digest}"}}"#),
        ),
        (ListRollouts::default().into(), "rollout_list {}".into()),
        (
            AskRollout {
                name: name(),
                failures: Some(3),
            }
            .into(),
            r#"rollout_status {"failures":3,"name":"prod"}"#.into(),
        ),
        (
            ListMembers {
                name: name(),
                state: Some(AgentState::Failed),
                after: Some(agent(5)),
                limit: Some(9),
            }
            .into(),
            r#"rollout_agents {"after":5,"limit":9,"name":"prod","state":"failed"}"#.into(),
        ),
        (
            ExplainAgent {
                name: name(),
                agent: agent(7),
            }
            .into(),
            r#"rollout_explain {"agent":7,"name":"prod"}"#.into(),
        ),
        (
            change(RolloutChange::Pause),
            r#"rollout_pause {"name":"prod"}"#.into(),
        ),
        (
            change(RolloutChange::Resume),
            r#"rollout_resume {"name":"prod"}"#.into(),
        ),
        (
            change(RolloutChange::Halt("x".into())),
            r#"rollout_halt {"name":"prod","reason":"x"}"#.into(),
        ),
        (
            change(RolloutChange::Cancel),
            r#"rollout_cancel {"name":"prod"}"#.into(),
        ),
        (
            change(RolloutChange::Retry(Which::Failed)),
            r#"rollout_retry {"failed":true,"name":"prod"}"#.into(),
        ),
        (
            change(RolloutChange::Retry(Which::Agents(vec![agent(7)]))),
            r#"rollout_retry {"agents":[7],"name":"prod"}"#.into(),
        ),
        (
            change(RolloutChange::Skip(vec![agent(7)])),
            r#"rollout_skip {"agents":[7],"name":"prod"}"#.into(),
        ),
        (
            change(settle),
            r#"rollout_settle {"agent":7,"name":"prod","succeeded":true}"#.into(),
        ),
        (
            AskHistory {
                name: Some(name()),
                before: Some(9),
                limit: Some(2),
            }
            .into(),
            r#"rollout_history {"before":9,"limit":2,"name":"prod"}"#.into(),
        ),
        (
            rehearse.into(),
            r#"rollout_rehearse {"definition":"[[rollout]]\n","failure_rate":"2%","seed":7}"#
                .into(),
        ),
        (ListReleases {}.into(), "release_list {}".into()),
        (
            deny.into(),
            r#"release_deny {"reason":"breaks","version":"v4.14.7"}"#.into(),
        ),
        (
            ChangeRelease::Allow { version }.into(),
            r#"release_allow {"version":"v4.14.7"}"#.into(),
        ),
        (
            HoldAgents {
                agents: vec![agent(7)],
                reason: "ticket 12".into(),
            }
            .into(),
            r#"agent_hold {"agents":[7],"reason":"ticket 12"}"#.into(),
        ),
        (
            UnholdAgents {
                agents: vec![agent(7)],
            }
            .into(),
            r#"agent_unhold {"agents":[7]}"#.into(),
        ),
        (ListHolds::default().into(), "agent_holds {}".into()),
        (
            label.into(),
            r#"agent_labels {"agents":[7],"remove":["rack"],"set":{"site":"lyon"}}"#.into(),
        ),
    ];
    for (request, line) in cases {
        let (command, parameters) = line.split_once(' ').unwrap();
        let expected = format!(
            r#"{{"command":"{command}","origin":{{"module":"api"}},"parameters":{parameters}}}"#
        );
        let request = UpgradeRequest::Own(request);
        let bytes = request.to_bytes();
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
        for dialect in [Dialect::Documented, Dialect::Wazuh4] {
            let read = UpgradeRequest::parse(&bytes, dialect).unwrap();
            assert_eq!(read, request, "{line}");
        }
    }
}

#[test]
fn every_change_says_that_it_is_one() {
    let all = UpgradeCommand::ALL.iter();
    let changing: Vec<&str> = all
        .filter(|command| command.changes_rollouts())
        .map(|command| command.as_str())
        .collect();
    assert_eq!(
        changing,
        [
            "rollout_apply",
            "rollout_pause",
            "rollout_resume",
            "rollout_halt",
            "rollout_cancel",
            "rollout_retry",
            "rollout_skip",
            "rollout_settle",
            "release_deny",
            "release_allow",
            "agent_hold",
            "agent_unhold",
            "agent_labels",
        ]
    );
}

#[test]
fn what_is_missing_is_refused() {
    use UpgradeCommand as C;
    for (command, parameters) in [
        (C::RolloutPlan, "{}"),
        (C::RolloutPlan, "[]"),
        (C::RolloutApply, r#"{"definition":""}"#),
        (C::RolloutStatus, "{}"),
        (C::RolloutExplain, r#"{"name":"a"}"#),
        (C::RolloutRetry, r#"{"name":"a"}"#),
        (C::RolloutRetry, r#"{"name":"a","failed":false}"#),
        (C::RolloutSkip, r#"{"name":"a"}"#),
        (C::RolloutSettle, r#"{"name":"a","agent":7}"#),
        (C::RolloutRehearse, "{}"),
        (C::ReleaseDeny, "{}"),
        (C::AgentHold, "{}"),
        (C::AgentLabels, r#"{"agents":[7]}"#),
    ] {
        let (code, _) = refused(command, parameters);
        let missing = UpgradeCode::RequiredParameters;
        assert_eq!(code, missing, "{command} {parameters}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    use UpgradeCommand as C;
    let long = "n".repeat(LONGEST_NAME + 1);
    let long_name = format!(r#"{{"name":"{long}"}}"#);
    let long_reason = format!(
        r#"{{"name":"a","reason":"{}"}}"#,
        "r".repeat(LONGEST_REASON + 1)
    );
    let cases = [
        (C::RolloutPlan, r#"{"definition":7}"#, "\"definition\""),
        (
            C::RolloutApply,
            r#"{"definition":"","digest":"12"}"#,
            "64 hexadecimal digits",
        ),
        (C::RolloutStatus, r#"{"name":""}"#, "1 to 64 bytes"),
        (C::RolloutStatus, &long_name, "1 to 64 bytes"),
        (
            C::RolloutStatus,
            r#"{"name":"a","failures":-1}"#,
            "\"failures\"",
        ),
        (
            C::RolloutAgents,
            r#"{"name":"a","state":"fine"}"#,
            "\"state\"",
        ),
        (
            C::RolloutAgents,
            r#"{"name":"a","state":"other"}"#,
            "\"state\"",
        ),
        (C::RolloutAgents, r#"{"name":"a","after":-1}"#, "-1"),
        (
            C::RolloutExplain,
            r#"{"name":"a","agent":"7"}"#,
            "\"agent\"",
        ),
        (C::RolloutHalt, &long_reason, "\"reason\""),
        (
            C::RolloutRetry,
            r#"{"name":"a","failed":true,"agents":[1]}"#,
            "\"failed\"",
        ),
        (
            C::RolloutSkip,
            r#"{"name":"a","agents":[1,"2"]}"#,
            "\"agents\"",
        ),
        (C::RolloutSkip, r#"{"name":"a","agents":[-2]}"#, "-2"),
        (C::RolloutSkip, r#"{"name":"a","agents":[]}"#, "1 to 10000"),
        (
            C::RolloutSettle,
            r#"{"name":"a","agent":7,"succeeded":"yes"}"#,
            "\"succeeded\"",
        ),
        (
            C::RolloutRehearse,
            r#"{"definition":"","speed":9}"#,
            "\"speed\"",
        ),
        (
            C::RolloutRehearse,
            r#"{"definition":"","seed":-9}"#,
            "\"seed\"",
        ),
        (C::ReleaseDeny, r#"{"version":"new"}"#, "\"version\""),
        (C::AgentHold, r#"{"agents":[1],"reason":7}"#, "\"reason\""),
        (C::AgentLabels, r#"{"agents":[1],"set":{"a":1}}"#, "\"set\""),
        (
            C::AgentLabels,
            r#"{"agents":[1],"remove":"a"}"#,
            "\"remove\"",
        ),
    ];
    for (command, parameters, words) in cases {
        let (code, text) = refused(command, parameters);
        let code = code == UpgradeCode::NotRecognized;
        assert!(
            code && text.contains(words),
            "{command} {parameters}: {text}"
        );
    }
}

#[test]
fn limits_are_held() {
    let definition = |bytes: usize| format!(r#"{{"definition":"{}"}}"#, "#".repeat(bytes));
    let command = UpgradeCommand::RolloutPlan;
    assert!(read(command, &definition(LONGEST_DEFINITION)).is_ok());
    let (_, text) = refused(command, &definition(LONGEST_DEFINITION + 1));
    assert!(text.contains("1048577 bytes"), "{text}");

    let agents = |count: usize| format!(r#"{{"agents":{:?}}}"#, vec![1; count]);
    let command = UpgradeCommand::AgentHold;
    assert!(read(command, &agents(MOST_AGENTS)).is_ok());
    let (_, text) = refused(command, &agents(MOST_AGENTS + 1));
    assert!(text.contains("10001"), "{text}");

    let status = |failures| AskRollout {
        name: name(),
        failures,
    };
    assert_eq!(status(None).failures(), 10);
    assert_eq!(status(Some(0)).failures(), 0);
    assert_eq!(
        status(Some(usize::MAX)).failures(),
        AskRollout::MOST_FAILURES
    );
    for (limit, page) in [(None, 1000), (Some(0), 1), (Some(7), 7), (Some(1001), 1000)] {
        let members = ListMembers {
            limit,
            ..ListMembers::default()
        };
        assert_eq!(members.page(), page, "{limit:?}");
    }
}
