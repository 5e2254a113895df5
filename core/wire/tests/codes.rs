//! Codes, ids and targets as types: what stands behind each number and text.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use wpk_api::{AgentId, Command, InvalidAgentId, Target, TaskId, Version};
use wpk_wire::task::CreateCommand;
use wpk_wire::{
    AgentCode, AskedId, Code, Item, Refusal, Response, TaskCode, UpgradeCode, UpgradeParams,
};

#[test]
fn every_table_is_numbered_without_gaps() {
    macro_rules! check {
        ($table:ident, $last:literal) => {
            for (number, code) in (0..).zip($table::ALL) {
                assert_eq!(code.code(), number);
                assert_eq!($table::from_code(number), Some(*code));
                assert_eq!(code.to_string(), code.text());
            }
            assert_eq!($table::ALL.last().unwrap().code(), $last);
            assert_eq!($table::from_code($last + 1), None);
            assert_eq!($table::from_code(u8::MAX), None);
        };
    }
    check!(UpgradeCode, 26);
    check!(TaskCode, 7);
    check!(AgentCode, 19);
}

/// A code as a peer sent it.
fn sent(number: u8) -> Code {
    let answer = format!(r#"{{"error":{number},"data":[],"message":""}}"#);
    Response::parse(answer.as_bytes()).unwrap().error
}

#[test]
fn a_code_in_an_answer_has_a_meaning_in_each_table() {
    assert!(sent(0).is_success());
    assert!(!sent(1).is_success());
    assert_eq!(sent(3).upgrade(), Some(UpgradeCode::NotRecognized));
    assert_eq!(sent(3).task(), Some(TaskCode::NoTask));
    assert_eq!(sent(7).task(), Some(TaskCode::Unknown));
    assert_eq!(sent(8).task(), None);
    assert_eq!(sent(26).upgrade(), Some(UpgradeCode::Unknown));
    assert_eq!(sent(27).upgrade(), None);
    assert_eq!(sent(200).number(), 200);
    assert_eq!(sent(200).to_string(), "200");
    assert_eq!(sent(0), Code::default());
    assert_eq!(sent(10), UpgradeCode::AlreadyUpgrading);
    assert_ne!(sent(11), UpgradeCode::AlreadyUpgrading);
    assert_eq!(sent(4), TaskCode::Database);
    assert_ne!(sent(5), TaskCode::Database);
    assert_eq!(serde_json::to_string(&sent(14)).unwrap(), "14");
}

#[test]
fn refusals_tell_their_code_and_their_reason() {
    let plain = Refusal::task(TaskCode::InvalidCommand);
    assert_eq!(plain.code(), TaskCode::InvalidCommand);
    assert_eq!(plain.detail(), "Invalid command");
    assert_eq!(
        plain.to_response(),
        Response::task(
            TaskCode::InvalidCommand,
            vec![Item::of_request(TaskCode::InvalidCommand)]
        )
    );
    let special = Refusal::not_recognized("why");
    assert_eq!(special.code(), UpgradeCode::NotRecognized);
    assert_eq!(special.to_string(), "request refused with code 3: why");
    assert_eq!(
        special.to_bytes(),
        r#"{"error":3,"data":[{"error":3,"message":"why"}],"message":"JSON parameter not recognized"}"#
    );
}

#[test]
fn an_asked_id_is_kept_as_it_was_sent() {
    let agent = |id| AgentId::new(id).unwrap();
    for (number, good) in [
        (0, true),
        (i64::from(i32::MAX), true),
        (i64::from(i32::MAX) + 1, false),
        (-1, false),
        (i64::MIN, false),
    ] {
        let asked = AskedId::from(number);
        assert_eq!(asked.number(), number);
        assert_eq!(asked.to_string(), number.to_string());
        match good {
            true => assert_eq!(asked.agent(), Ok(agent(number))),
            false => assert_eq!(asked.agent(), Err(InvalidAgentId(number))),
        }
        let item = Item::upgrade(UpgradeCode::AgentNotFound, asked);
        assert_eq!(item.agent, Some(asked));
        assert_eq!(item.agent_id().is_some(), good);
    }
    assert_eq!(AskedId::from(agent(7)), agent(7));
    assert_ne!(AskedId::from(agent(7)), agent(8));
    assert_eq!(AskedId::from(agent(7)).to_string(), "7");
    assert_eq!(format!("{:?}", AskedId::from(-1)), "AskedId(-1)");
    assert_eq!(Item::default().agent_id(), None);
}

#[test]
fn items_say_what_their_making_says() {
    let agent = AgentId::new(7).unwrap();
    let created = Item::created(agent, TaskId(3));
    assert!(created.error.is_success());
    assert_eq!(
        (created.agent_id(), created.task_id),
        (Some(agent), Some(TaskId(3)))
    );
    let none = Item::task(TaskCode::NoTask, agent);
    assert_eq!(none.error, TaskCode::NoTask);
    assert_eq!(none.message, "No task in DB");
    assert_eq!(none.agent_id(), Some(agent));
    assert_eq!(Item::of_request(TaskCode::Success), Item::default());
}

#[test]
fn the_target_of_a_request() {
    let target = |version: Option<&str>| {
        let params = UpgradeParams {
            version: version.map(str::to_owned),
            ..UpgradeParams::default()
        };
        params.target()
    };
    let exactly = Some(Target::Exactly(Version::new(4, 14, 0)));
    assert_eq!(target(None), None);
    assert_eq!(target(Some("v4.14.0")), exactly);
    assert_eq!(target(Some("4.14.0")), exactly);
    for text in ["", "v4.14", "latest", &"é".repeat(64)] {
        assert_eq!(target(Some(text)), Some(Target::Invalid(text.to_owned())));
    }
    assert_eq!(
        target(Some(&"é".repeat(65))),
        Some(Target::Invalid("é".repeat(64)))
    );
}

#[test]
fn only_two_commands_create_tasks() {
    for (command, creates) in [
        (Command::Upgrade, CreateCommand::Upgrade),
        (Command::UpgradeCustom, CreateCommand::UpgradeCustom),
    ] {
        assert_eq!(CreateCommand::try_from(&command), Ok(creates));
        assert_eq!(Command::from(creates), command);
    }
    let other = Command::Other("reboot".to_owned());
    assert_eq!(CreateCommand::try_from(&other), Err("reboot".to_owned()));
}
