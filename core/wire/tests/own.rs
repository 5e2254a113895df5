//! Our own commands, from both ends. The bytes are those of the first release:
//! its tool and its daemon must go on understanding ours.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use wpk_api::{
    AgentChange, AgentId, AgentInfo, CaStep, Cause, Confirmation, ConnectionStatus, Enrollment,
    Labels, Platform, Target, TaskId, TimelineEntry, TimelineStep, Version,
};
use wpk_wire::own::{AskCa, IssueToken, ListTokens, NewToken, RevokeToken};
use wpk_wire::own::{
    AskProgress, AskTimeline, ChangeAgent, Delivery, DeliveryStep, EnrollAgent, EnrolledAgent,
    Forecast, IncompleteEnrolment, ListAgents, ListedAgent, ShowAgent, TaskTimeline, TimelineLine,
    VersionFilter,
};
use wpk_wire::task::TaskCommand;
use wpk_wire::{
    Dialect, Item, OwnRequest, Refusal, Response, Step, UpgradeCode, UpgradeCommand, UpgradeRequest,
};

fn agent(id: i64) -> AgentId {
    AgentId::new(id).unwrap()
}

fn parse(text: &str) -> Result<OwnRequest, Refusal> {
    match UpgradeRequest::parse(text.as_bytes(), Dialect::Documented)? {
        UpgradeRequest::Own(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

/// The parameters of a command, read.
fn read(command: UpgradeCommand, parameters: &str) -> Result<OwnRequest, Refusal> {
    parse(&format!(
        r#"{{"command":"{command}","parameters":{parameters}}}"#
    ))
}

fn refused(command: UpgradeCommand, parameters: &str) -> (UpgradeCode, String) {
    let refusal = read(command, parameters).unwrap_err();
    (
        refusal.code().upgrade().unwrap(),
        refusal.detail().to_owned(),
    )
}

/// The only item of an answer, printed and read again.
fn sent(item: Item, bytes: &str) -> Item {
    let answer = Response::success(vec![item]).to_bytes();
    let expected = format!(r#"{{"error":0,"data":[{{{bytes}}}],"message":"Success"}}"#);
    assert_eq!(std::str::from_utf8(&answer).unwrap(), expected);
    Response::parse(&answer).unwrap().data.remove(0)
}

/// An item that some peer sent.
fn item(members: &str) -> Item {
    let answer = format!(r#"{{"error":0,"data":[{{{members}}}],"message":"Success"}}"#);
    Response::parse(answer.as_bytes()).unwrap().data.remove(0)
}

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
    let cases: [(OwnRequest, &str); 17] = [
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
fn what_is_no_agent_makes_no_progress() {
    let parameters = r#"{"agents":[1,-1,"2",2147483648,3,1.5]}"#;
    assert_eq!(
        read(UpgradeCommand::UpgradeProgress, parameters).unwrap(),
        AskProgress {
            agents: vec![agent(1), agent(3)]
        }
        .into()
    );
}

#[test]
fn listed_agents() {
    let whole = AgentInfo {
        id: agent(7),
        name: Some("web".into()),
        platform: Platform {
            name: Some("ubuntu".into()),
            major: Some("22".into()),
            minor: Some("04".into()),
            arch: Some("x86_64".into()),
        },
        version: Some("Wazuh v4.7.0".into()),
        connection: ConnectionStatus::NeverConnected,
        group: Some("default".into()),
        node: Some("node01".into()),
    };
    let listed = ListedAgent::from(whole);
    let got = sent(
        listed.to_item(),
        concat!(
            r#""error":0,"message":"Success","agent":7,"connection_status":"never_connected","#,
            r#""group":"default","name":"web","node_name":"node01","os_arch":"x86_64","#,
            r#""os_major":"22","os_minor":"04","os_platform":"ubuntu","version":"Wazuh v4.7.0""#
        ),
    );
    assert_eq!(ListedAgent::from_item(&got).unwrap(), listed);

    // What an agent does not have is not sent, and a new word or member harms nobody.
    let bare =
        item(r#""error":0,"message":"Success","agent":1,"connection_status":"asleep","new":[1]"#);
    let bare = ListedAgent::from_item(&bare).unwrap();
    assert_eq!(bare.connection, ConnectionStatus::Unknown);
    sent(
        bare.to_item(),
        r#""error":0,"message":"Success","agent":1,"connection_status":"unknown""#,
    );
    let silent = item(r#""error":0,"message":"Success","agent":1"#);
    assert_eq!(ListedAgent::from_item(&silent).unwrap(), bare);
    for nobody in ["", r#","agent":-1"#] {
        let item = item(&format!(r#""error":0,"message":"Success"{nobody}"#));
        assert_eq!(ListedAgent::from_item(&item), None);
    }
}

#[test]
fn tokens() {
    let day = IssueToken {
        uses: 1,
        expires_in: 86_400,
        labels: Labels::new(),
    };
    assert_eq!(read(UpgradeCommand::AgentToken, "{}").unwrap(), day.into());
    for (parameters, word) in [
        (r#"{"uses":-1}"#, "uses"),
        (r#"{"expires_in":"1h"}"#, "expires_in"),
        (r#"{"labels":7}"#, "labels"),
    ] {
        let (_, text) = refused(UpgradeCommand::AgentToken, parameters);
        assert!(text.contains(word), "{text}");
    }
    let missing = refused(UpgradeCommand::AgentTokenRevoke, "{}").0;
    assert_eq!(missing, UpgradeCode::RequiredParameters);
    let token = NewToken {
        token: "a7".into(),
        text: "wpk1.secret".into(),
        expires: 5,
        address: None,
    };
    let got = sent(
        token.to_item(),
        r#""error":0,"message":"Success","expires":5,"text":"wpk1.secret","token":"a7""#,
    );
    assert_eq!(NewToken::from_item(&got).unwrap(), token);
    assert!(!format!("{token:?}").contains("secret"));
}

#[test]
fn enrolled_agents() {
    let pem = |what: &str| format!("-----BEGIN {what}-----\nx\n");
    let enrollment = Enrollment {
        id: agent(7),
        name: "web".into(),
        key_pem: pem("PRIVATE KEY"),
        certificate_pem: pem("CERTIFICATE"),
        ca_pem: pem("CERTIFICATE"),
        address: None,
    };
    let enrolled = EnrolledAgent::from(enrollment);
    let got = sent(
        enrolled.to_item(),
        concat!(
            r#""error":0,"message":"Success","agent":7,"address":null,"#,
            r#""ca":"-----BEGIN CERTIFICATE-----\nx\n","certificate":"-----BEGIN CERTIFICATE-----\nx\n","#,
            r#""key":"-----BEGIN PRIVATE KEY-----\nx\n","name":"web""#
        ),
    );
    assert_eq!(EnrolledAgent::from_item(&got).unwrap(), enrolled);
    let shown = format!("{enrolled:?}");
    assert!(shown.contains("\"web\"") && !shown.contains("PRIVATE"));

    let of = |members: &str| {
        let item = item(&format!(r#""error":0,"message":"Success"{members}"#));
        EnrolledAgent::from_item(&item)
    };
    let parts =
        r#","agent":7,"key":" -----BEGIN k","certificate":"-----BEGIN c","ca":"-----BEGIN a""#;
    let address = |text: &str| of(&format!("{parts},\"address\":{text}")).unwrap().address;
    assert_eq!(address("\"m:1\"").as_deref(), Some("m:1"));
    assert_eq!(address("\"\""), None);
    assert_eq!(of(parts).unwrap().address, None);
    for (members, text) in [
        ("", "missing field `agent`"),
        (r#","agent":7"#, "has no `key`"),
        (r#","agent":7,"key":"no pem""#, "has no PEM in `key`"),
        (r#","agent":7,"key":"-----BEGIN k""#, "has no `certificate`"),
        (
            r#","agent":7,"key":"-----BEGIN k","certificate":"-----BEGIN c","ca":"-----BEGIN""#,
            "has no PEM in `ca`",
        ),
    ] {
        let error: IncompleteEnrolment = of(members).unwrap_err();
        assert!(error.to_string().contains(text), "{members}: {error}");
    }
}

#[test]
fn deliveries() {
    let delivery = Delivery {
        agent: agent(1),
        task_id: TaskId(5),
        step: Step::Write.into(),
        sent: 512,
        total: 1024,
    };
    let got = sent(
        delivery.to_item(),
        r#""error":0,"message":"Success","agent":1,"task_id":5,"sent":512,"step":"write","total":1024"#,
    );
    assert_eq!(Delivery::from_item(&got), Some(delivery));
    let created = Item::created(agent(1), TaskId(5));
    assert_eq!(Delivery::from_item(&created), None, "no step, no delivery");

    let early = item(r#""error":0,"message":"Success","agent":1,"task_id":5,"step":"verify""#);
    let early = Delivery::from_item(&early).unwrap();
    assert_eq!(
        (early.step, early.sent, early.total),
        (DeliveryStep::Other, 0, 0)
    );
}

#[test]
fn steps_of_a_delivery_are_words() {
    let steps = Step::ALL.iter().copied().map(DeliveryStep::Agent);
    let words: Vec<&str> = [DeliveryStep::Download]
        .into_iter()
        .chain(steps)
        .inspect(|step| assert_eq!(DeliveryStep::from_word(step.as_str()), *step))
        .map(DeliveryStep::as_str)
        .collect();
    assert_eq!(
        words,
        [
            "download",
            "lock_restart",
            "open",
            "write",
            "close",
            "sha1",
            "upgrade",
            "clear_upgrade_result"
        ]
    );
    assert_eq!(DeliveryStep::from_word("Write"), DeliveryStep::Other);
    assert_eq!(DeliveryStep::Other.to_string(), "other");
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
fn timelines() {
    let failed = TimelineLine {
        time: "2025/01/02 03:04:05".into(),
        entry: TimelineEntry::new(1_735_787_045, TimelineStep::Upgrade)
            .asked("agent 001")
            .failed(Cause::new(
                23,
                "Could not verify signature (error 13)",
                "sign it",
            )),
    };
    let told = TaskTimeline {
        late: true,
        cause: Some(failed.clone()),
        timeline: vec![failed],
        older: 3,
        ..TaskTimeline::new(agent(1), TaskId(5))
    };
    let result = Item {
        status: Some("Error".into()),
        ..Item::created(agent(1), TaskId(5))
    };
    let line = concat!(
        r#"{"asked":"agent 001","at":1735787045,"failure":{"advice":"sign it","code":23,"#,
        r#""said":"Could not verify signature (error 13)"},"step":"upgrade","#,
        r#""time":"2025/01/02 03:04:05"}"#
    );
    let got = sent(
        told.to_item(result),
        &format!(
            concat!(
                r#""error":0,"message":"Success","agent":1,"task_id":5,"status":"Error","#,
                r#""cause":{},"late":true,"older":3,"timeline":[{}]"#
            ),
            line, line
        ),
    );
    assert_eq!(TaskTimeline::from_item(&got), Some(told));

    // A release that tells less, and one that tells more.
    let bare = item(r#""error":0,"message":"Success","agent":1,"task_id":5"#);
    let bare = TaskTimeline::from_item(&bare).unwrap();
    assert_eq!(bare, TaskTimeline::new(agent(1), TaskId(5)));
    let later = item(concat!(
        r#""error":0,"message":"Success","agent":1,"task_id":5,"confirmation":"doubted","#,
        r#""timeline":[{"at":1,"step":"dance","by":"night"}]"#
    ));
    let later = TaskTimeline::from_item(&later).unwrap();
    assert_eq!(later.confirmation, None);
    assert_eq!(later.timeline[0].entry.step, TimelineStep::Other);
}

#[test]
fn what_is_known_of_a_version_is_a_word() {
    for (confirmation, members) in [
        (Confirmation::Awaited, r#""confirmation":"awaited""#),
        (Confirmation::Confirmed, r#""confirmation":"confirmed""#),
        (Confirmation::NotChecked, r#""confirmation":"not_checked""#),
        (
            Confirmation::Unconfirmed("v4.7.0".into()),
            r#""confirmation":"unconfirmed""#,
        ),
    ] {
        let told = TaskTimeline {
            confirmation: Some(confirmation.clone()),
            ..TaskTimeline::new(agent(1), TaskId(5))
        };
        let seen = match confirmation {
            Confirmation::Unconfirmed(_) => r#","seen":"v4.7.0""#,
            _ => "",
        };
        let got = sent(
            told.to_item(Item::created(agent(1), TaskId(5))),
            &format!(
                r#""error":0,"message":"Success","agent":1,"task_id":5,{members},"late":false,"older":0{seen},"timeline":[]"#
            ),
        );
        let read = TaskTimeline::from_item(&got).unwrap();
        assert_eq!(read.confirmation, Some(confirmation));
    }
}

#[test]
fn forecasts_of_a_dry_run() {
    let good = Forecast {
        file: Some("a.wpk".into()),
        location: Some("https://r/a.wpk".into()),
        reason: None,
        target: Target::Exactly(Version::new(4, 14, 0)),
    };
    let got = sent(
        good.to_item(UpgradeCode::Success, agent(1).into()),
        concat!(
            r#""error":0,"message":"Success","agent":1,"#,
            r#""file":"a.wpk","location":"https://r/a.wpk","target":"v4.14.0""#
        ),
    );
    assert_eq!(Forecast::from_item(&got), good);
    assert_eq!(good.target().as_deref(), Some("v4.14.0"));

    let bad = Forecast {
        reason: Some("gone".into()),
        target: Target::Invalid("v4".into()),
        ..Forecast::default()
    };
    let got = sent(
        bad.to_item(UpgradeCode::RepositoryUnreachable, agent(1).into()),
        concat!(
            r#""error":14,"message":"The repository is not reachable","agent":1,"#,
            r#""file":null,"location":null,"reason":"gone","target":"v4""#
        ),
    );
    assert_eq!(Forecast::from_item(&got), bad);
    assert_eq!(bad.target().as_deref(), Some("v4"));

    let open = Forecast::default();
    let got = sent(
        open.to_item(UpgradeCode::Success, agent(1).into()),
        r#""error":0,"message":"Success","agent":1,"file":null,"location":null,"target":null"#,
    );
    assert_eq!(Forecast::from_item(&got), open);
    assert_eq!(open.target(), None);
    let refused = Item::upgrade(UpgradeCode::AgentNotActive, agent(1));
    assert_eq!(Forecast::from_item(&refused), open);
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
            "upgrade_timeline"
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
