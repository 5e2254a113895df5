//! Which moves are legal, and for whom.

use super::*;

const FOREIGN: Standing = Standing {
    ours: false,
    begun: false,
};
const WAITING: Standing = Standing {
    ours: true,
    begun: false,
};
const BEGUN: Standing = Standing {
    ours: true,
    begun: true,
};

fn legal(standing: Standing, by: Mover) -> Vec<String> {
    let mut legal = Vec::new();
    for from in Status::KNOWN {
        for to in Status::KNOWN {
            if from.may_become(&to, standing, by) {
                legal.push(format!("{from} -> {to}"));
            }
        }
    }
    legal
}

#[test]
fn a_task_without_an_order_has_the_moves_of_4_x() {
    for by in [Mover::Delivery, Mover::Report] {
        assert_eq!(
            legal(FOREIGN, by),
            [
                "Pending -> In progress",
                "Pending -> Cancelled",
                "In progress -> Done",
                "In progress -> Failed",
                "In progress -> Timeout",
                "In progress -> Legacy",
            ]
        );
    }
    assert!(!Status::Other("Weird".into()).may_become(&Status::Done, FOREIGN, Mover::Report));
}

#[test]
fn no_word_of_an_agent_is_about_an_installer_that_was_not_begun() {
    let usual = [
        "Pending -> In progress",
        "Pending -> Cancelled",
        "In progress -> Cancelled",
        "In progress -> Timeout",
        "In progress -> Legacy",
    ];
    assert_eq!(legal(WAITING, Mover::Report), usual);
    let delivery = legal(WAITING, Mover::Delivery);
    assert!(
        delivery.contains(&"In progress -> Failed".to_owned()),
        "{delivery:?}"
    );
    assert!(
        !delivery.contains(&"Timeout -> Failed".to_owned()),
        "{delivery:?}"
    );
}

#[test]
fn a_late_word_corrects_a_time_out_and_nothing_else() {
    let late = legal(BEGUN, Mover::Report);
    assert!(late.contains(&"Timeout -> Done".to_owned()), "{late:?}");
    assert!(late.contains(&"Timeout -> Failed".to_owned()), "{late:?}");
    assert!(
        !late.contains(&"In progress -> Cancelled".to_owned()),
        "{late:?}"
    );
    for ended in [
        Status::Done,
        Status::Failed,
        Status::Cancelled,
        Status::Legacy,
    ] {
        for to in Status::KNOWN {
            assert!(
                !ended.may_become(&to, BEGUN, Mover::Report),
                "{ended} -> {to}"
            );
        }
    }
    let delivery = legal(BEGUN, Mover::Delivery);
    assert!(
        !delivery.contains(&"Timeout -> Done".to_owned()),
        "{delivery:?}"
    );
}

#[test]
fn an_operator_takes_back_what_is_ours_and_not_begun_and_does_nothing_else() {
    let moves = ["Pending -> Cancelled", "In progress -> Cancelled"];
    assert_eq!(legal(WAITING, Mover::Operator), moves);
    for standing in [BEGUN, FOREIGN] {
        assert_eq!(legal(standing, Mover::Operator), [""; 0]);
    }
}

#[test]
fn a_live_status_is_one_that_goes_on_by_itself() {
    for from in Status::KNOWN {
        let moves = Status::KNOWN
            .iter()
            .any(|to| from.may_become(to, BEGUN, Mover::Delivery));
        assert_eq!(from.is_live(), moves, "{from}");
    }
}

#[test]
fn some_moves_are_the_owners_alone() {
    let owners = [Status::InProgress, Status::Legacy, Status::Cancelled];
    for status in Status::KNOWN {
        assert_eq!(
            status.needs_same_node(),
            owners.contains(&status),
            "{status}"
        );
    }
}

#[test]
fn commands_are_written_as_on_the_wire() {
    for word in ["upgrade", "upgrade_custom", "downgrade"] {
        assert_eq!(Command::from_word(word).as_str(), word);
    }
    assert_eq!(Command::from_word("upgrade"), Command::Upgrade);
    assert_eq!(Command::from_word("upgrade_custom"), Command::UpgradeCustom);
}

#[test]
fn words_round_trip() {
    for status in Status::KNOWN {
        assert_eq!(Status::from_word(status.as_str()), status);
    }
    assert_eq!(Status::from_word("Weird").as_str(), "Weird");
}

#[test]
fn only_what_was_sent_with_its_version_is_awaited() {
    let target = Some(Version::new(4, 14, 9));
    for status in Status::KNOWN {
        let wanted = match status {
            Status::Done => [Some(Confirmation::Awaited), Some(Confirmation::NotChecked)],
            Status::Legacy => [
                Some(Confirmation::NotChecked),
                Some(Confirmation::NotChecked),
            ],
            _ => [None, None],
        };
        let got = [target, None].map(|target| Confirmation::at_end(&status, target));
        assert_eq!(got, wanted, "{status}");
    }
}

#[test]
fn confirmations_have_the_words_that_are_stored() {
    for (confirmation, word) in [
        (Confirmation::Awaited, "awaited"),
        (Confirmation::Confirmed, "confirmed"),
        (Confirmation::Unconfirmed("v1.2.3".into()), "unconfirmed"),
        (Confirmation::NotChecked, "not_checked"),
    ] {
        assert_eq!(confirmation.as_str(), word);
    }
}

#[test]
fn what_is_ours_is_carried_out_by_who_entered_under_its_node() {
    for ours in [WAITING, BEGUN] {
        assert!(ours.is_carried_out_by("node01", Some("node01")));
        assert!(!ours.is_carried_out_by("node01", Some("node02")));
        assert!(
            ours.is_carried_out_by("node01", None),
            "as before there were entries"
        );
    }
    assert!(FOREIGN.is_carried_out_by("node01", Some("node02")));
}

#[test]
fn a_move_is_open_to_the_node_that_carries_the_task_out() {
    let task = Task {
        id: TaskId(1),
        agent: AgentId::MANAGER,
        node: "node01".into(),
        module: "upgrade_module".into(),
        command: Command::Upgrade,
        created: 1,
        updated: None,
        status: Status::InProgress,
        error_msg: None,
        confirmation: None,
    };
    let open = |to: &Status, node: &str, by, standing, entered| {
        let one = crate::Transition {
            select: crate::Selector::Task(task.id),
            to: to.clone(),
            node: node.into(),
            error_msg: None,
            at: 2,
            by,
            entry: None,
        };
        one.is_open(&task, standing, entered)
    };
    let (delivery, report) = (Mover::Delivery, Mover::Report);
    // Whoever names its node moves a task without an order; ours only its own daemon.
    for entered in [None, Some("node01"), Some("node02")] {
        assert!(open(&Status::Legacy, "node01", delivery, FOREIGN, entered));
        assert!(!open(&Status::Legacy, "node02", delivery, FOREIGN, entered));
        let its_own = entered != Some("node02");
        for (node, to) in [("node01", Status::Legacy), ("node02", Status::Failed)] {
            assert_eq!(open(&to, node, delivery, BEGUN, entered), its_own);
        }
        // An agent's word may reach any node, and is not about what was not begun.
        assert!(open(&Status::Done, "node02", report, BEGUN, entered));
        assert!(!open(&Status::Done, "node02", report, WAITING, entered));
        // So may an operator.
        let operator = Mover::Operator;
        assert!(open(
            &Status::Cancelled,
            "node02",
            operator,
            WAITING,
            entered
        ));
        assert!(!open(
            &Status::Cancelled,
            "node01",
            operator,
            BEGUN,
            entered
        ));
    }
}
