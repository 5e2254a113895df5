//! How JSON is read and printed: odd keys, limits, and that both agree.

use proptest::prelude::*;
use std::time::{Duration, Instant};
use wpk_api::{PackageType, Status, TaskId};
use wpk_wire::task::CreateCommand;
use wpk_wire::{
    Acknowledgement, AskedId, CustomParams, Dialect, Item, Response, TaskRequest, UpgradeParams,
    UpgradeRequest, json,
};

use crate::common::*;

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
                    check_file: installer.is_some(),
                    ca: installer.clone().map(|ca| ca.chars().rev().collect()),
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
