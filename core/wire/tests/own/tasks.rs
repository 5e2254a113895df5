//! Items about tasks and deliveries.

use wpk_api::{
    Cause, Confirmation, Revision, Target, TaskId, TimelineEntry, TimelineStep, Version,
};
use wpk_wire::own::{
    AskProgress, AskVersions, Delivery, DeliveryStep, FeedPlace, Forecast, Incomplete,
    ListedVersion, TaskNow, TaskPhase, TaskTimeline, TimelineLine,
};
use wpk_wire::{Item, Step, UpgradeCode, UpgradeCommand};

use crate::common::*;

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
fn deliveries() {
    let delivery = Delivery {
        agent: agent(1),
        task_id: TaskId(5),
        step: Step::Write.into(),
        sent: 512,
        total: 1024,
        at_once: 24,
    };
    let got = sent(
        delivery.to_item(),
        r#""error":0,"message":"Success","agent":1,"task_id":5,"at_once":24,"sent":512,"step":"write","total":1024"#,
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
fn versions_and_why_there_may_be_others() {
    let command = UpgradeCommand::UpgradeVersions;
    for parameters in ["{}", r#"{"later":1}"#] {
        assert_eq!(read(command, parameters).unwrap(), AskVersions {}.into());
    }
    let version = ListedVersion {
        version: Version::new(4, 14, 10),
    };
    let got = sent(
        version.to_item(),
        r#""error":0,"message":"Success","version":"v4.14.10""#,
    );
    assert_eq!(ListedVersion::from_item(&got), Some(version));
    assert_eq!(Incomplete::from_item(&got), None);
    let incomplete = Incomplete {
        incomplete: vec!["the cable is cut".into()],
    };
    let got = sent(
        incomplete.to_item(),
        r#""error":0,"message":"Success","incomplete":["the cable is cut"]"#,
    );
    assert_eq!(Incomplete::from_item(&got), Some(incomplete));
    assert_eq!(ListedVersion::from_item(&got), None);
    let odd = item(r#""error":0,"message":"Success","version":"latest""#);
    assert_eq!(ListedVersion::from_item(&odd), None);
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
fn tasks_as_they_are_now() {
    let place = FeedPlace {
        revision: Revision(12),
        behind: true,
        more: false,
    };
    let got = sent(
        place.to_item(),
        r#""error":0,"message":"Success","behind":true,"more":false,"revision":12"#,
    );
    assert_eq!(FeedPlace::from_item(&got), Some(place));
    assert_eq!(TaskNow::from_item(&got), None);

    let now = TaskNow {
        phase: Some(TaskPhase::Sending),
        step: Some(Step::Write.into()),
        sent: 512,
        total: 1024,
        seconds: Some(3),
        ..TaskNow::new(agent(1), TaskId(5))
    };
    let result = Item {
        status: Some("Updating".into()),
        ..Item::created(agent(1), TaskId(5))
    };
    let got = sent(
        now.to_item(result),
        concat!(
            r#""error":0,"message":"Success","agent":1,"task_id":5,"status":"Updating","#,
            r#""late":false,"older":0,"phase":"sending","seconds":3,"sent":512,"step":"write","#,
            r#""timeline":[],"total":1024"#
        ),
    );
    assert_eq!(TaskNow::from_item(&got), Some(now));
    assert_eq!(FeedPlace::from_item(&got), None);

    let later = item(
        r#""error":0,"message":"Success","agent":1,"task_id":5,"phase":"soaking","waits_for":"rain""#,
    );
    let later = TaskNow::from_item(&later).unwrap();
    assert_eq!(later.phase, Some(TaskPhase::Other));
    assert_eq!(later.waits_for.as_deref(), Some("rain"));
}
