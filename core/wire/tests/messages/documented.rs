//! The documented examples, and what is asked for in which dialect.

use wpk_api::{Command, Status, TaskId};
use wpk_wire::task::{UPGRADE_MODULE, show_status};
use wpk_wire::{
    AskedId, CustomParams, Dialect, Item, Response, TaskRequest, UpgradeParams, UpgradeRequest,
};

use crate::common::*;

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
                    ..CustomParams::default()
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
