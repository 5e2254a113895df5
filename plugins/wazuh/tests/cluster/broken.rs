//! A master that is away, slow, or answers what makes no sense.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wpk_api::{Selector, Status, StoreError, TransitionResult};
use wpk_testkit::cluster::{Mood, TaskTable};
use wpk_testkit::cluster_suite::{NODE, NOW, Stand, id, to, upgrade};

use crate::factory;

#[tokio::test]
async fn without_a_master_every_question_ends_soon() {
    let mut stand = Stand::new(&factory(), TaskTable::wazuh4());
    stand.create(1).await;
    stand.go_away();
    let began = Instant::now();
    let store = &stand.store;
    let all = [
        store.create(vec![upgrade(2)]).await.map(|_| ()),
        store.latest(&[id(1)]).await.map(|_| ()),
        store.claim(NODE, 1, NOW).await.map(|_| ()),
        store
            .transition(vec![to(Selector::LatestOf(id(1)), Status::Done, None)])
            .await
            .map(|_| ()),
    ];
    for one in all {
        let Err(StoreError::Unavailable(text)) = one else {
            panic!("{one:?}");
        };
        assert!(text.contains("c-internal.sock"), "{text}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    // What needs no master goes on, and nothing was left behind.
    stand.settle(NOW).await;
    stand.come_back();
    stand.create(2).await;
    assert_eq!(stand.claim().await.len(), 2);
}

#[tokio::test]
async fn a_silent_master_is_waited_for_no_longer_than_the_limit() {
    let stand = Stand::new(&factory(), TaskTable::wazuh4());
    stand.cluster().set_mood(Mood::Silent);
    let store = stand.store(&json!({"timeout": "300ms", "attempts": 100}));
    let began = Instant::now();
    let waits = (0..8).map(|agent| store.create(vec![upgrade(agent)]));
    for one in futures_util::future::join_all(waits).await {
        assert!(matches!(one, Err(StoreError::Unavailable(_))), "{one:?}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_hiccup_is_not_noticed() {
    let stand = Stand::new(&factory(), TaskTable::wazuh4());
    let cluster = stand.cluster();
    cluster.set_next(Mood::Away);
    cluster.set_next(Mood::Failing("Error 3020".to_owned()));
    stand.create(1).await;
    stand.claim().await;
    // Its answer is lost, and the second time the master refuses what it has done.
    cluster.set_next(Mood::Well);
    cluster.set_next(Mood::Forgetful);
    let moved = stand
        .store
        .transition(vec![to(Selector::LatestOf(id(1)), Status::Done, None)])
        .await
        .unwrap();
    assert!(
        matches!(&moved[..], [TransitionResult::Moved(task)] if task.status == Status::Done),
        "{moved:?}"
    );
}

#[tokio::test]
async fn answers_that_make_no_sense_are_errors() {
    let stand = Stand::new(&factory(), TaskTable::wazuh4());
    stand.create(1).await;
    let header = |length: u32| {
        let mut header = vec![0, 0, 0, 1];
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(b"sendsync ---");
        header
    };
    let item = |text: &str| {
        let item = format!(r#"{{"error":0,"message":"Success","data":[{text}]}}"#);
        Mood::Payload(item.into_bytes())
    };
    let moods = [
        Mood::Garbage(Vec::new()),
        Mood::Garbage(b"short".to_vec()),
        Mood::Garbage(header(u32::MAX)),
        Mood::Garbage(header(1_000)),
        Mood::Garbage(vec![0xff; 4_096]),
        Mood::Payload(Vec::new()),
        Mood::Payload(b"{}".to_vec()),
        Mood::Payload(b"null".to_vec()),
        Mood::Payload(vec![b'['; 500_000]),
        Mood::Payload(vec![0xff; 1_000]),
        Mood::Payload(br#"{"error":4,"data":[],"message":"Database error"}"#.to_vec()),
        Mood::Failing("\u{fffd}".repeat(10_000)),
        item(r#"{"error":6,"message":"Error in DB request"}"#),
        item(r#"{"error":0,"message":"Success","agent":"1"}"#),
    ];
    for mood in moods {
        stand.cluster().set_mood(mood.clone());
        let store = stand.store(&json!({"attempts": 1}));
        let latest = store.latest(&[id(1)]).await;
        assert!(latest.is_err(), "{mood:?}: {latest:?}");
        let text = latest.unwrap_err().to_string();
        assert!(text.len() < 2_000, "{} bytes", text.len());
        let created = store.create(vec![upgrade(2)]).await;
        assert!(created.is_err(), "{mood:?}: {created:?}");
    }
    stand.cluster().set_mood(Mood::Well);
    assert_eq!(stand.table.statuses(2), Vec::<String>::new());
    stand.create(2).await;
}

#[tokio::test]
async fn words_about_others_and_odd_values_do_no_harm() {
    let stand = Stand::new(&factory(), TaskTable::wazuh4());
    let odd = r#"{"error":0,"message":"","data":[
        {"error":0,"message":"","agent":2,"task_id":7,"status":"Updating"},
        {"error":0,"message":"","agent":-5,"task_id":8},
        {"error":0,"message":"","agent":1,"task_id":-9223372036854775808,"status":"?",
         "create_time":"9999/99/99 99:99:99","update_time":"soon"}]}"#;
    stand.cluster().set_next(Mood::Payload(odd.into()));
    let latest = stand.store.latest(&[id(1), id(3)]).await.unwrap();
    let [Some(task), None] = &latest[..] else {
        panic!("{latest:?}");
    };
    assert_eq!(task.status, Status::Other("?".to_owned()));
    assert_eq!((task.created, task.updated), (0, None));
}
