//! Requests and responses of the two sockets: the documented examples, what is
//! asked for in which dialect, and that printing and parsing agree.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use wpk_api::{Command, PackageType, Status, TaskId};
use wpk_wire::task::{CreateCommand, UPGRADE_MODULE, show_status};
use wpk_wire::{
    Acknowledgement, AskedId, CustomParams, Dialect, Item, Refusal, Response, TaskRequest,
    UpgradeCode, UpgradeParams, UpgradeRequest, Verdict, json,
};

const BOTH: [Dialect; 2] = [Dialect::Documented, Dialect::Wazuh4];

fn parse(text: &str, dialect: Dialect) -> Result<UpgradeRequest, Refusal> {
    UpgradeRequest::parse(text.as_bytes(), dialect)
}

fn asked<const N: usize>(ids: [i64; N]) -> Vec<AskedId> {
    ids.map(AskedId::from).to_vec()
}

fn code(text: &str, dialect: Dialect) -> u8 {
    parse(text, dialect).map_or_else(|refusal| refusal.code().number(), |_| 0)
}

#[test]
fn the_documented_upgrade() {
    let text = r#"{
        "origin": { "module": "api" },
        "command": "upgrade",
        "parameters": {
            "agents": [5,6],
            "wpk_repo": "packages.wazuh.com/wpk/",
            "version": "v4.2.1",
            "use_http": false,
            "force_upgrade": false
        }
    }"#;
    for dialect in BOTH {
        assert_eq!(
            parse(text, dialect).unwrap(),
            UpgradeRequest::Upgrade {
                agents: asked([5, 6]),
                params: UpgradeParams {
                    wpk_repo: Some("packages.wazuh.com/wpk/".into()),
                    version: Some("v4.2.1".into()),
                    ..UpgradeParams::default()
                },
            }
        );
    }
}

#[test]
fn an_upgrade_passes_over_a_file_and_says_so() {
    let text = r#"{"origin":{"module":"api"},"command":"upgrade","parameters":
        {"agents":[5],"file_path":5}}"#;
    for dialect in BOTH {
        let UpgradeRequest::Upgrade { params, .. } = parse(text, dialect).unwrap() else {
            panic!("another command");
        };
        assert!(params.names_file && params.wpk_repo.is_none());
    }
}

#[test]
fn the_documented_custom_upgrade_and_result() {
    let custom = r#"{"origin":{"module":"api"},"command":"upgrade_custom","parameters":
        {"agents":[20,23],"file_path":"/home/user/agent.wpk","installer":"custom-upgrade-script.sh"}}"#;
    let result =
        r#"{"origin":{"module":"api"},"command":"upgrade_result","parameters":{"agents":[5,10]}}"#;
    for dialect in BOTH {
        assert_eq!(
            parse(custom, dialect).unwrap(),
            UpgradeRequest::UpgradeCustom {
                agents: asked([20, 23]),
                params: CustomParams {
                    file_path: Some("/home/user/agent.wpk".into()),
                    installer: Some("custom-upgrade-script.sh".into()),
                    dry_run: false,
                },
            }
        );
        assert_eq!(
            parse(result, dialect).unwrap(),
            UpgradeRequest::Result {
                agents: asked([5, 10])
            }
        );
    }
    // The documentation sends the same bytes to the task socket.
    assert_eq!(
        TaskRequest::parse(result.as_bytes()).unwrap(),
        TaskRequest::Result {
            agents: asked([5, 10])
        }
    );
}

#[test]
fn the_documented_result_item() {
    let item = Item {
        agent: Some(AskedId::from(10)),
        task_id: Some(TaskId(16)),
        node: Some("node02".into()),
        module: Some(UPGRADE_MODULE.into()),
        command: Some(Command::Upgrade),
        status: show_status(&Status::Failed, Dialect::Documented).map(Into::into),
        error_msg: Some("SHA1 verification error".into()),
        create_time: Some("2020/08/11 00:05:30".into()),
        update_time: Some("0".into()),
        ..Item::default()
    };
    let response = Response::success(vec![item]);
    let bytes = response.to_bytes();
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        concat!(
            r#"{"error":0,"data":[{"error":0,"message":"Success","agent":10,"task_id":16,"#,
            r#""node":"node02","module":"upgrade_module","command":"upgrade","status":"Error","#,
            r#""error_msg":"SHA1 verification error","create_time":"2020/08/11 00:05:30","#,
            r#""update_time":"0"}],"message":"Success"}"#
        )
    );
    assert_eq!(Response::parse(&bytes).unwrap(), response);
}

#[test]
fn origin_and_file_path_are_asked_for_by_the_documented_dialect_only() {
    let cases = [
        (r#"{"command":"upgrade","parameters":{"agents":[1]}}"#, 2),
        (
            r#"{"origin":"api","command":"upgrade","parameters":{"agents":[1]}}"#,
            2,
        ),
        (
            r#"{"origin":{},"command":"upgrade_result","parameters":{"agents":[1]}}"#,
            2,
        ),
        (
            r#"{"origin":{"module":"cli"},"command":"upgrade","parameters":{"agents":[1]}}"#,
            3,
        ),
        (
            r#"{"origin":{"module":1},"command":"upgrade_result","parameters":{"agents":[1]}}"#,
            3,
        ),
        (
            r#"{"origin":{"module":"api"},"command":"upgrade_custom","parameters":{"agents":[1]}}"#,
            2,
        ),
        (
            r#"{"command":"upgrade_update_status","parameters":{"agents":[1],"error":0,"status":"Done"}}"#,
            0,
        ),
    ];
    for (text, documented) in cases {
        assert_eq!(code(text, Dialect::Documented), documented, "{text}");
        assert_eq!(code(text, Dialect::Wazuh4), 0, "{text}");
    }
    let refusal = parse(cases[3].0, Dialect::Documented).unwrap_err();
    assert_eq!(
        refusal.to_bytes(),
        concat!(
            r#"{"error":3,"data":[{"error":3,"message":"Parameter \"module\" should be \"api\""}],"#,
            r#""message":"JSON parameter not recognized"}"#
        )
    );
}

#[test]
fn agent_ids() {
    let of = |ids: &str| {
        let text = format!(r#"{{"command":"upgrade","parameters":{{"agents":[{ids}]}}}}"#);
        match parse(&text, Dialect::Wazuh4) {
            Ok(UpgradeRequest::Upgrade { agents, .. }) => Ok(agents),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err((refusal.code().number(), refusal.detail().to_owned())),
        }
    };
    assert_eq!(
        of("1,1,-1,2147483648").unwrap(),
        asked([1, 1, -1, 2_147_483_648])
    );
    assert_eq!(of("1e0,1.0,1.,-0,01").unwrap(), asked([1, 1, 1, 0, 1]));
    assert_eq!(
        of("1e400,-1e20,18446744073709551615").unwrap(),
        asked([i64::MAX, i64::MIN, i64::MAX])
    );
    let refused = Err((3, "Agent id not recognized".to_owned()));
    for ids in ["1.9", "-0.5", "\"1\"", "true", "null", "[1]", "1,{}"] {
        assert_eq!(of(ids), refused, "{ids}");
    }
}

#[test]
fn other_commands_are_unknown() {
    let text = r#"{"command":"agent_lists","parameters":{"agents":["x"]}}"#;
    assert_eq!(
        parse(text, Dialect::Documented).unwrap_err().to_bytes(),
        concat!(
            r#"{"error":3,"data":[{"error":3,"message":"JSON parameter not recognized"}],"#,
            r#""message":"JSON parameter not recognized"}"#
        )
    );
}

#[test]
fn acknowledgements() {
    for (result, message, status, verdict) in [
        (0, "Upgrade was successful", "Done", Verdict::Done),
        (
            1,
            "Upgrade failed due missing dependency",
            "Failed",
            Verdict::Failed(UpgradeCode::MissingDependency),
        ),
        (
            2,
            "Upgrade failed",
            "Failed",
            Verdict::Failed(UpgradeCode::UpgradeFailed),
        ),
    ] {
        let ack = Acknowledgement::for_result(result).unwrap();
        let text = format!(
            r#"{{"command":"upgrade_update_status","parameters":{{"error":{result},"message":"{message}","status":"{status}"}}}}"#
        );
        assert_eq!(ack.to_bytes(), text.as_bytes());
        assert_eq!(Acknowledgement::parse(text.as_bytes()).unwrap(), ack);
        let datagram = format!("u:upgrade_module:{text}\0");
        assert_eq!(ack.to_datagram(), datagram.as_bytes());
        assert_eq!(
            Acknowledgement::parse_datagram(datagram.as_bytes()).unwrap(),
            ack
        );
        assert_eq!(ack.verdict(), verdict);
        for dialect in BOTH {
            assert_eq!(
                UpgradeRequest::parse(&ack.to_bytes_for(&asked([7])), dialect).unwrap(),
                UpgradeRequest::UpdateStatus {
                    agents: asked([7]),
                    ack: ack.clone()
                }
            );
        }
    }
    assert_eq!(Acknowledgement::for_result(3), None);
}

#[test]
fn the_error_of_an_acknowledgement_decides_over_its_status() {
    let verdict = |parameters: &str| {
        let text =
            format!(r#"{{"command":"upgrade_update_status","parameters":{{{parameters}}}}}"#);
        Acknowledgement::parse(text.as_bytes()).unwrap().verdict()
    };
    let failed = Verdict::Failed(UpgradeCode::UpgradeFailed);
    let dependency = Verdict::Failed(UpgradeCode::MissingDependency);
    for (parameters, expected) in [
        (r#""error":0,"status":"Failed""#, Verdict::Done),
        (r#""error":2,"status":"Done""#, failed),
        (r#""error":1,"status":"Done""#, dependency),
        (r#""error":1.5,"status":"Failed""#, dependency),
        (r#""error":0.5,"status":"Done""#, failed),
        (r#""error":-1,"status":"Failed""#, failed),
        (r#""error":99,"status":"Done""#, failed),
        (r#""status":"Done""#, Verdict::Done),
        (r#""status":"Failed""#, failed),
        (r#""error":0"#, Verdict::Unusable),
        (r#""error":0,"status":"done""#, Verdict::Unusable),
        (r#""error":0,"status":"Timeout""#, Verdict::Unusable),
        (r#""error":0,"status":"In progress""#, Verdict::InProgress),
        (r#""error":0,"status":"Legacy""#, Verdict::Legacy),
    ] {
        assert_eq!(verdict(parameters), expected, "{parameters}");
    }
}

#[test]
fn duplicate_keys_and_case() {
    let text = r#"{"command":"upgrade","command":"upgrade_result","parameters":{"agents":[1]}}"#;
    assert!(matches!(
        parse(text, Dialect::Wazuh4).unwrap(),
        UpgradeRequest::Result { .. }
    ));
    assert_eq!(
        code(
            r#"{"Command":"upgrade","parameters":{"agents":[1]}}"#,
            Dialect::Wazuh4
        ),
        2
    );
}

#[test]
fn json_limits() {
    // On a small stack, as a debug build of a runtime's thread has.
    std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(|| {
            let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
            assert!(json::parse(&nested(json::MAX_DEPTH)).is_ok());
            assert!(json::parse(&nested(json::MAX_DEPTH + 1)).is_err());
            assert!(json::parse(&vec![b'['; 1 << 20]).is_err());
        })
        .unwrap()
        .join()
        .unwrap();
    let many = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    assert!(json::parse(many(json::MAX_VALUES - 1).as_bytes()).is_ok());
    assert!(json::parse(many(json::MAX_VALUES).as_bytes()).is_err());
    let error = json::parse(b"{\"a\":1,}").unwrap_err();
    assert_eq!(error.offset, 7);
    for bad in [
        "",
        "\"",
        "\"\\",
        "\"\\u12",
        "-",
        "1e",
        "1e+",
        "tru",
        "{\"a\"",
        "{\"a\":",
        "[1",
        "nulx",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\\",
    ] {
        assert!(json::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert_eq!(json::parse(b"\"\\ud83d\\ude00\"").unwrap(), "\u{1f600}");
}

#[test]
fn ten_thousand_items_are_printed_and_read_in_no_time() {
    let items = (0..10_000)
        .map(|id| Item::created(id, TaskId(id + 1)))
        .collect();
    let response = Response::success(items);
    let start = Instant::now();
    let bytes = response.to_bytes();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(Response::parse(&bytes).unwrap(), response);

    let request = UpgradeRequest::Result {
        agents: (0..50_000).map(AskedId::from).collect(),
    };
    let start = Instant::now();
    let again = UpgradeRequest::parse(&request.to_bytes(), Dialect::Documented).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(again, request);
}

#[test]
fn an_acknowledgement_names_its_task_on_our_channel_alone() {
    let ack = Acknowledgement::for_result(0).unwrap();
    let named = ack.clone().about(Some(TaskId(7)));
    let text = r#"{"command":"upgrade_update_status","parameters":{"error":0,"message":"Upgrade was successful","status":"Done","task_id":7}}"#;
    assert_eq!(named.to_bytes(), text.as_bytes());
    assert_eq!(Acknowledgement::parse(text.as_bytes()).unwrap(), named);
    let handed_on = String::from_utf8(named.to_bytes_for(&[AskedId::from(3)])).unwrap();
    assert!(
        handed_on.ends_with(r#""task_id":7,"agents":[3]}}"#),
        "{handed_on}"
    );
    // A 4.x manager gets what is recorded.
    assert_eq!(named.to_datagram(), ack.to_datagram());
    let other = text.replace(":7", ":\"7\"");
    let refusal = Acknowledgement::parse(other.as_bytes()).unwrap_err();
    assert_eq!(refusal.detail(), "Parameter \"task_id\" should be a number");
}

/// What a worker of ours says of its orders, and what a 4.x node sends.
#[test]
fn a_node_says_that_it_holds_the_orders_of_its_tasks() {
    let create = |holds_order| TaskRequest::Create {
        node: "worker01".into(),
        module: "upgrade_module".into(),
        command: CreateCommand::Upgrade,
        agents: asked([7]),
        holds_order,
    };
    let cancel = |holds_order| TaskRequest::Cancel {
        node: "worker01".into(),
        holds_order,
    };
    let origin = r#"{"origin":{"name":"worker01","module":"upgrade_module"}"#;
    for (request, rest) in [
        (create(false), r#""upgrade","parameters":{"agents":[7]}}"#),
        (
            create(true),
            r#""upgrade","parameters":{"agents":[7],"holds_order":true}}"#,
        ),
        (cancel(false), r#""upgrade_cancel_tasks","parameters":{}}"#),
        (
            cancel(true),
            r#""upgrade_cancel_tasks","parameters":{"holds_order":true}}"#,
        ),
    ] {
        let text = format!(r#"{origin},"command":{rest}"#);
        assert_eq!(String::from_utf8(request.to_bytes()).unwrap(), text);
        assert_eq!(TaskRequest::parse(text.as_bytes()).unwrap(), request);
    }
    // Whatever else stands there is no word of ours, and no mistake.
    for other in ["false", "1", "\"true\"", "null", "[true]"] {
        let more = format!(r#","holds_order":{other},"since":"v5"}}}}"#);
        let text = format!(r#"{origin},"command":"upgrade","parameters":{{"agents":[7]{more}"#);
        let read = TaskRequest::parse(text.as_bytes()).unwrap();
        assert_eq!(read, create(false), "{other}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.chars().take(40).collect())
}

fn acks() -> impl Strategy<Value = Acknowledgement> {
    (
        any::<Option<i64>>(),
        prop::option::of(texts()),
        prop::option::of(texts()),
        any::<Option<i64>>(),
    )
        .prop_map(|(error, message, status, task)| Acknowledgement {
            error,
            message,
            status: status.map(|word| Status::from_word(&word)),
            task: task.map(TaskId),
        })
}

fn ids() -> impl Strategy<Value = Vec<AskedId>> {
    prop::collection::vec(any::<i64>().prop_map(AskedId::from), 1..20)
}

fn requests() -> impl Strategy<Value = UpgradeRequest> {
    let agents = ids;
    let package = prop::option::of(prop_oneof![Just(PackageType::Rpm), Just(PackageType::Deb)]);
    prop_oneof![
        (
            agents(),
            prop::option::of(texts()),
            prop::option::of(texts()),
            any::<[bool; 3]>(),
            package
        )
            .prop_map(
                |(agents, wpk_repo, version, [http, force, dry_run], package_type)| {
                    UpgradeRequest::Upgrade {
                        agents,
                        params: UpgradeParams {
                            wpk_repo,
                            version,
                            use_http: http,
                            force_upgrade: force,
                            package_type,
                            dry_run,
                            names_file: false,
                        },
                    }
                }
            ),
        (agents(), texts(), prop::option::of(texts())).prop_map(|(agents, file, installer)| {
            UpgradeRequest::UpgradeCustom {
                agents,
                params: CustomParams {
                    file_path: Some(file),
                    dry_run: installer.is_none(),
                    installer,
                },
            }
        }),
        agents().prop_map(|agents| UpgradeRequest::Result { agents }),
        (agents(), acks()).prop_map(|(agents, ack)| UpgradeRequest::UpdateStatus { agents, ack }),
    ]
}

fn task_requests() -> impl Strategy<Value = TaskRequest> {
    let agents = ids;
    let statuses = prop::sample::select(TaskRequest::STATUSES.to_vec());
    let commands = prop::sample::select(vec![CreateCommand::Upgrade, CreateCommand::UpgradeCustom]);
    prop_oneof![
        (texts(), texts(), commands, agents(), any::<bool>()).prop_map(
            |(node, module, command, agents, holds_order)| TaskRequest::Create {
                node,
                module,
                command,
                agents,
                holds_order,
            }
        ),
        (texts(), agents()).prop_map(|(node, agents)| TaskRequest::GetStatus { node, agents }),
        (texts(), agents(), statuses, prop::option::of(texts())).prop_map(
            |(node, agents, status, error_msg)| TaskRequest::UpdateStatus {
                node,
                agents,
                status,
                error_msg
            }
        ),
        agents().prop_map(|agents| TaskRequest::Result { agents }),
        (texts(), any::<bool>())
            .prop_map(|(node, holds_order)| TaskRequest::Cancel { node, holds_order }),
    ]
}

proptest! {
    #[test]
    fn upgrade_requests_survive_printing(request in requests()) {
        for dialect in BOTH {
            prop_assert_eq!(&UpgradeRequest::parse(&request.to_bytes(), dialect).unwrap(), &request);
        }
    }

    #[test]
    fn task_requests_survive_printing(request in task_requests()) {
        prop_assert_eq!(TaskRequest::parse(&request.to_bytes()).unwrap(), request);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = json::parse(&bytes);
        let _ = UpgradeRequest::parse(&bytes, Dialect::Documented);
        let _ = TaskRequest::parse(&bytes);
        let _ = Response::parse(&bytes);
        let _ = Acknowledgement::parse_datagram(&bytes);
    }

    #[test]
    fn strict_json_is_read_like_any_other_reader_does(text in "[\\[\\]{}\":,0-9a-z\\\\ .eE+-]{0,60}") {
        if let Ok(strict) = serde_json::from_str::<serde_json::Value>(&text) {
            prop_assert_eq!(json::parse(text.as_bytes()).unwrap(), strict);
        }
    }
}
