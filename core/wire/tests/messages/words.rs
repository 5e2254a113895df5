//! Words of agents and of other nodes.

use wpk_api::TaskId;
use wpk_wire::task::CreateCommand;
use wpk_wire::{Acknowledgement, AskedId, TaskRequest, UpgradeCode, UpgradeRequest, Verdict};

use crate::common::*;

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
