//! Commands to an agent and their answers, from both ends.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use bytes::BytesMut;
use proptest::prelude::*;
use wpk_api::{AgentId, TaskId, Version};
use wpk_wire::agent::command::max_chunk;
use wpk_wire::agent::{ReplyError, Routed, route};
use wpk_wire::{
    AgentCode, AgentCommand, AgentReply, AgentRequest, AgentResponse, CommandForm,
    PEER_MAX_PAYLOAD, Step, remoted,
};

fn agent(id: i64) -> AgentId {
    AgentId::new(id).unwrap()
}

fn encode(command: AgentCommand<'_>, form: CommandForm) -> Vec<u8> {
    let mut out = BytesMut::new();
    command.encode(form, &mut out);
    out.to_vec()
}

fn read(command: AgentCommand<'_>) -> AgentRequest {
    let bytes = encode(command, CommandForm::Json);
    match route(&bytes) {
        Routed::Upgrade(json) => AgentRequest::parse(json).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_form_follows_the_version() {
    assert_eq!(
        CommandForm::for_version(Version::new(4, 1, 0)),
        CommandForm::Json
    );
    assert_eq!(
        CommandForm::for_version(Version::new(10, 0, 0)),
        CommandForm::Json
    );
    assert_eq!(
        CommandForm::for_version(Version::new(4, 0, 99)),
        CommandForm::Com
    );
    assert_eq!(
        CommandForm::for_version(Version::new(3, 13, 0)),
        CommandForm::Com
    );
}

#[test]
fn the_largest_chunk_fills_a_frame_and_one_more_would_not_fit() {
    for (file, agent) in [
        ("f", agent(1)),
        ("wazuh_agent_v4.14.9_linux_amd64.deb.wpk", agent(123_456)),
    ] {
        for (form, unit) in [(CommandForm::Json, 3), (CommandForm::Com, 1)] {
            let size = |len: usize| {
                let chunk = vec![0; len];
                let command = AgentCommand::Write {
                    file,
                    chunk: &chunk,
                };
                remoted::address(agent).len() + encode(command, form).len()
            };
            let largest = max_chunk(form, file, agent);
            assert!(size(largest) <= PEER_MAX_PAYLOAD);
            assert!(size(largest + unit) > PEER_MAX_PAYLOAD);
        }
    }
    let absurd = "x".repeat(70_000);
    assert_eq!(max_chunk(CommandForm::Json, &absurd, agent(1)), 0);
    assert_eq!(max_chunk(CommandForm::Com, &absurd, agent(1)), 0);
}

/// A thousand of them are made for a package: room is made once, and little more
/// than what is written.
#[test]
fn the_room_for_a_chunk_is_made_at_once() {
    let (file, chunk) = ("x".repeat(150), vec![7; 30_000]);
    let command = AgentCommand::Write {
        file: &file,
        chunk: &chunk,
    };
    let mut out = BytesMut::new();
    command.encode(CommandForm::Json, &mut out);
    assert!(out.capacity() < out.len() + 128, "{}", out.capacity());
}

#[test]
fn odd_names_are_quoted() {
    assert_eq!(
        encode(
            AgentCommand::Close {
                file: "a\"b\\c\n/é"
            },
            CommandForm::Json
        ),
        r#"upgrade {"command":"close","parameters":{"file":"a\"b\\c\n/é"}}"#.as_bytes()
    );
}

#[test]
fn what_is_printed_is_read_back() {
    let file = "wazuh agent\".wpk";
    assert_eq!(
        read(AgentCommand::Open { file }),
        AgentRequest::Open { file: file.into() }
    );
    assert_eq!(
        read(AgentCommand::Upgrade {
            file,
            installer: "upgrade.sh",
            task: None
        }),
        AgentRequest::Upgrade {
            file: file.into(),
            installer: "upgrade.sh".into(),
            task: None
        }
    );
    assert_eq!(
        read(AgentCommand::ClearUpgradeResult { task: None }),
        AgentRequest::ClearUpgradeResult { task: None }
    );
    let restart = encode(AgentCommand::LockRestart, CommandForm::Json);
    assert_eq!(route(&restart), Routed::LockRestart);
    assert_eq!(route(b"com open wb x"), Routed::Unknown);
}

#[test]
fn refusals_tell_the_agent_what_to_clean_up() {
    let refusal =
        AgentRequest::parse(br#"{"command":"open","parameters":{"mode":"r","file":"a"}}"#)
            .unwrap_err();
    assert_eq!(refusal.code, AgentCode::FileMode);
    assert_eq!(refusal.step, Some(Step::Open));
    assert_eq!(refusal.file.as_deref(), Some("a"));

    let refusal = AgentRequest::parse(
        br#"{"command":"upgrade","parameters":{"file":"a.wpk","installer":"../x"}}"#,
    )
    .unwrap_err();
    assert_eq!(refusal.code, AgentCode::FileName);
    assert_eq!(refusal.file.as_deref(), Some("a.wpk"));

    let upgrade = |installer: &str| {
        let parameters = format!(r#"{{"file":"a.wpk","installer":"{installer}"}}"#);
        let text = format!(r#"{{"command":"upgrade","parameters":{parameters}}}"#);
        AgentRequest::parse(text.as_bytes())
    };
    for inside in [
        "upgrade.sh",
        "sub/dir/upgrade.sh",
        "./upgrade.sh",
        "a/./b",
        "...",
    ] {
        assert!(upgrade(inside).is_ok(), "{inside}");
    }
    for not in [
        "",
        ".",
        "..",
        "/a",
        "a/",
        "a//b",
        "a/..",
        "a/.",
        "../a",
        "a/../b",
        "a/../../b",
        "//",
    ] {
        assert_eq!(upgrade(not).unwrap_err().code, AgentCode::FileName, "{not}");
    }

    let refusal = AgentRequest::parse(br#"{"command":"nope"}"#).unwrap_err();
    assert!(refusal.named);
    assert!(!AgentRequest::parse(b"{}").unwrap_err().named);
    for name in ["", ".", "..", "a/b", "/a", "a\\u0000b"] {
        let text = format!(r#"{{"command":"sha1","parameters":{{"file":"{name}"}}}}"#);
        let refusal = AgentRequest::parse(text.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, AgentCode::FileName, "{name}");
        assert_eq!(refusal.file, None);
    }
}

#[test]
fn responses() {
    assert_eq!(
        AgentResponse::ok().to_bytes(),
        br#"{"error":0,"message":"ok","data":[]}"#
    );
    assert_eq!(
        AgentResponse::open_error("Is a directory").to_bytes(),
        br#"{"error":6,"message":"File Open Error: Is a directory","data":[]}"#
    );
    for code in AgentCode::ALL.iter().skip(1) {
        let bytes = AgentResponse::failure(*code).to_bytes();
        assert!(matches!(
            AgentReply::parse(CommandForm::Json, &bytes, Step::Open),
            Err(ReplyError::Agent { code: number, .. }) if number == i64::from(code.code())
        ));
    }
}

#[test]
fn digests_are_compared() {
    let digest = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    let other = "da39a3ee5e6b4b0d3255bfef95601890afd80700";
    for answer in [digest.to_uppercase(), format!(" {digest}\n")] {
        let answer = format!("ok {answer}");
        let reply = AgentReply::parse(CommandForm::Com, answer.as_bytes(), Step::Sha1).unwrap();
        assert!(reply.check_sha1(digest.parse().unwrap()).is_ok());
        assert!(matches!(
            reply.check_sha1(other.parse().unwrap()),
            Err(ReplyError::Sha1 { .. })
        ));
    }
}

#[test]
fn what_is_a_good_answer() {
    let com = |answer: &[u8], step| AgentReply::parse(CommandForm::Com, answer, step);
    let message = |reply: AgentReply| reply.message;
    for (answer, text) in [("ok", ""), ("ok ", ""), ("ok a b", "a b")] {
        let reply = com(answer.as_bytes(), Step::Open);
        assert_eq!(reply.map(message), Ok(text.to_owned()), "{answer}");
    }
    for (answer, expected) in [
        ("err no", Some(true)),
        ("err", Some(true)),
        ("error", Some(false)),
        ("o", Some(false)),
        ("", None),
    ] {
        match (com(answer.as_bytes(), Step::Open).unwrap_err(), expected) {
            (ReplyError::Err { text, .. }, Some(true)) => assert_eq!(text, answer),
            (ReplyError::Garbage { text, .. }, Some(false)) => assert_eq!(text, answer),
            (ReplyError::Empty { step: Step::Open }, None) => {}
            (other, _) => panic!("{answer}: {other}"),
        }
    }
    for (answer, good) in [
        ("ok 0", true),
        ("ok 01", true),
        ("ok 1", false),
        ("ok ", false),
    ] {
        assert_eq!(
            com(answer.as_bytes(), Step::Upgrade).is_ok(),
            good,
            "{answer}"
        );
    }

    let json = |answer: &str, step| AgentReply::parse(CommandForm::Json, answer.as_bytes(), step);
    for (answer, text) in [
        (r#"{"error":0,"message":"ok","data":[]}"#, "ok"),
        (r#"{"error":0.0}"#, ""),
        (r#"{"error":0,"message":7}"#, ""),
    ] {
        assert_eq!(json(answer, Step::Open).map(message), Ok(text.to_owned()));
    }
    for (answer, code) in [
        (r#"{"error":1,"message":"no"}"#, Some(1)),
        (r#"{"error":0.5}"#, Some(-1)),
        (r#"{"error":"0"}"#, None),
        (r#"{"message":"ok"}"#, None),
        ("[0]", None),
        ("ok", None),
    ] {
        match (json(answer, Step::Open).unwrap_err(), code) {
            (ReplyError::Agent { code, .. }, Some(expected)) => assert_eq!(code, expected),
            (ReplyError::Garbage { .. }, None) => {}
            (other, _) => panic!("{answer}: {other}"),
        }
    }
    // These two steps have one form, whatever the agent's is.
    assert!(json("ok ", Step::LockRestart).is_ok());
    assert!(com(br#"{"error":0}"#, Step::ClearUpgradeResult).is_ok());
}

/// What an agent says reaches logs and the task: never raw, never long.
#[test]
fn no_word_of_an_agent_is_shown_as_it_came() {
    let evil = format!("1\u{1b}[2J\n\u{202e}{}", "x".repeat(50_000));
    let said = |form, answer: &str| {
        let reply = AgentReply::parse(form, answer.as_bytes(), Step::Upgrade);
        reply.unwrap_err().to_string()
    };
    let answers = [
        serde_json::json!({"error": 0, "message": evil, "data": []}),
        serde_json::json!({"error": 13, "message": evil, "data": []}),
        serde_json::json!({"message": evil}),
    ];
    for answer in answers {
        let answer = answer.to_string();
        let error = said(CommandForm::Json, &answer);
        assert!(!error.contains(wpk_api::words::steers), "{error:?}");
        assert!(error.len() < 1_000, "{} bytes", error.len());
    }
    for answer in [format!("ok {evil}"), format!("err {evil}"), evil] {
        let error = said(CommandForm::Com, &answer);
        assert!(!error.contains(wpk_api::words::steers), "{error:?}");
        assert!(error.len() < 1_000, "{} bytes", error.len());
    }
}

#[test]
fn routes_are_whole_words() {
    for (command, route_) in [
        (&b"com lock_restart"[..], Routed::LockRestart),
        (b"com lock_restart 5", Routed::LockRestart),
        (b"com lock_restarts", Routed::Unknown),
        (b"upgrade {}", Routed::Upgrade(b"{}")),
        (b"upgrade ", Routed::Upgrade(b"")),
        (b"upgrade", Routed::Unknown),
        (b"", Routed::Unknown),
    ] {
        assert_eq!(route(command), route_);
    }
    let unlocked = AgentRequest::parse(br#"{"command":"lock_restart","parameters":{"file":"f"}}"#);
    assert_eq!(unlocked.unwrap_err().code, AgentCode::CommandNotFound);
}

#[test]
fn steps_fail_with_their_own_code() {
    let codes: Vec<Option<u8>> = (Step::ALL.iter())
        .map(|step| step.failure().map(|code| code.code()))
        .collect();
    let expected = [18, 19, 20, 21, 22, 23].map(Some);
    assert_eq!(codes[..6], expected);
    assert_eq!(codes[6..], [None]);
}

#[test]
fn a_long_answer_is_cut_where_it_may_be() {
    let text =
        |answer: &str| match AgentReply::parse(CommandForm::Com, answer.as_bytes(), Step::Open) {
            Err(ReplyError::Garbage { text, .. }) => text,
            other => panic!("{other:?}"),
        };
    for character in ["x", "é", "\u{1f600}"] {
        let fits = character.repeat(200);
        assert_eq!(text(&fits), fits);
        assert_eq!(text(&character.repeat(201)), fits);
    }
}

#[test]
fn a_hostile_answer_makes_a_short_error() {
    let answer = vec![b'\n'; 1 << 20];
    let error = AgentReply::parse(CommandForm::Json, &answer, Step::Write).unwrap_err();
    let text = error.to_string();
    assert!(text.len() < 400 && !text.contains('\n'), "{text}");
}

#[test]
fn addresses() {
    for (id, text) in [(0, "000 "), (7, "007 "), (999, "999 "), (1000, "1000 ")] {
        let id = agent(id);
        assert_eq!(*remoted::address(id), *text.as_bytes());
        let request = format!("{text}com x y");
        assert_eq!(
            remoted::split_address(request.as_bytes()),
            Some((id, &b"com x y"[..]))
        );
    }
    for bad in [
        "",
        "007",
        "07 x",
        "-07 x",
        "99999999999 x",
        "2147483648 x",
        "+007 x",
    ] {
        assert_eq!(remoted::split_address(bad.as_bytes()), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn chunks_survive(chunk in prop::collection::vec(any::<u8>(), 1..5000)) {
        let write = read(AgentCommand::Write { file: "f", chunk: &chunk });
        prop_assert_eq!(write, AgentRequest::Write { file: "f".into(), chunk: Some(chunk) });
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = AgentRequest::parse(&bytes);
        let _ = route(&bytes);
        let _ = remoted::split_address(&bytes);
        for form in [CommandForm::Json, CommandForm::Com] {
            for step in [Step::LockRestart, Step::Sha1, Step::Upgrade] {
                let _ = AgentReply::parse(form, &bytes, step);
            }
        }
    }
}

/// Only an agent that said so is told its task; what others get is recorded.
#[test]
fn a_task_is_a_member_more() {
    let task = Some(TaskId(7));
    let (file, installer) = ("a.wpk", "upgrade.sh");
    let upgrade = AgentCommand::Upgrade {
        file,
        installer,
        task,
    };
    assert_eq!(
        encode(upgrade, CommandForm::Json),
        br#"upgrade {"command":"upgrade","parameters":{"file":"a.wpk","installer":"upgrade.sh","task_id":7}}"#
            .as_slice()
    );
    assert_eq!(
        encode(upgrade, CommandForm::Com),
        b"com upgrade a.wpk upgrade.sh".as_slice()
    );
    assert_eq!(
        read(upgrade),
        AgentRequest::Upgrade {
            file: file.into(),
            installer: installer.into(),
            task
        }
    );
    let clear = AgentCommand::ClearUpgradeResult { task };
    assert_eq!(
        encode(clear, CommandForm::Json),
        br#"upgrade {"command":"clear_upgrade_result","parameters":{"task_id":7}}"#.as_slice()
    );
    assert_eq!(read(clear), AgentRequest::ClearUpgradeResult { task });
    for nobodys in ["0", "-1", "1.5", "\"7\"", "null", "[7]"] {
        let command =
            format!(r#"{{"command":"clear_upgrade_result","parameters":{{"task_id":{nobodys}}}}}"#);
        assert_eq!(
            AgentRequest::parse(command.as_bytes()).unwrap(),
            AgentRequest::ClearUpgradeResult { task: None },
            "{nobodys}"
        );
    }
}
