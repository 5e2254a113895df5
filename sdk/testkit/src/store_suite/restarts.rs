//! A store that is opened again and again: nothing is lost, nothing happens by itself.
//!
//! ```no_run
//! # async fn example(open_a_store: fn(&std::path::Path) -> std::sync::Arc<dyn wpk_api::TaskStore>) {
//! use wpk_testkit::{store_suite::{Stand, restarts}, suite::now};
//!
//! restarts::run(async || {
//!     let folder = std::env::temp_dir().join("a folder of its own, empty");
//!     Stand::new(move || now(open_a_store(&folder)))
//! })
//! .await;
//! # }
//! ```
//!
//! The maker is called several times. Whoever has it open is dropped without a word,
//! which is no stop, and the next one is opened and entered under the same name.

use wpk_api::{
    Incarnation, Mover, Revision, Selector, Status, TaskId, TaskStore, TimelineEntry, TimelineStep,
    Transition,
};

use super::documents;
use super::stand::{Daemon, Stand};
use super::tasks::{START, TARGET, agent, bare, create, held, ok, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: impl AsyncFn() -> Stand) {
    everything_is_there_after_every_step(&make().await).await;
    no_number_is_given_twice(&make().await).await;
    what_a_crash_interrupted_is_counted(&make().await).await;
    documents_are_there_again(&make().await).await;
}

/// The next run of the same node.
async fn again(stand: &Stand, daemon: Daemon) -> Daemon {
    let died = daemon.kill();
    let next = stand.start("node01", Some(died)).await;
    let incarnation = next.entered.incarnation;
    assert!(incarnation > died, "{incarnation} after {died}");
    next
}

async fn everything_is_there_after_every_step(stand: &Stand) {
    let mut daemon = stand.daemon("node01").await;
    ok(daemon.store.set_place("reader", Revision(0)).await);
    for new in [bare(2, "node02", START), held(3, "node02", START)] {
        create(&*daemon.store, new).await;
    }
    let task = create(&*daemon.store, upgrade(1, "node01", START)).await;
    for step in 0..7 {
        let store = &*daemon.store;
        match step {
            0 => {}
            1 => assert_eq!(ok(store.claim("node01", 9, START + 1).await).len(), 1),
            2 => ok(store.touch(&[task], START + 2).await),
            3 => {
                let wait = TimelineEntry::new(START + 3, TimelineStep::Wait);
                ok(store.note(vec![(task, wait.detail("an agent"))]).await);
            }
            4 => {
                let target = Some(TARGET);
                assert!(ok(store.begin_installer(task, target, START + 4).await));
            }
            5 => {
                let word = Transition {
                    select: Selector::SpokenOf(agent(1)),
                    by: Mover::Report,
                    error_msg: Some("it said \"so\"".to_owned()),
                    entry: Some(TimelineEntry::new(START + 5, TimelineStep::Report)),
                    ..to(task, Status::Done, "whoever", START + 5)
                };
                ok(store.transition(vec![word]).await);
            }
            _ => ok(store.set_place("reader", Revision(2)).await),
        }
        let before = seen(store, task).await;
        daemon = again(stand, daemon).await;
        assert_eq!(seen(&*daemon.store, task).await, before, "step {step}");
    }
}

/// All that can be asked about a task.
async fn seen(store: &dyn TaskStore, task: TaskId) -> String {
    let all: Vec<_> = [1, 2, 3].map(agent).into();
    let begun: Option<Incarnation> = ok(store.begun(task).await);
    let seen = (
        ok(store.latest(&all).await),
        ok(store.tasks(&[task, TaskId(task.0 + 99)]).await),
        ok(store.timeline(task).await),
        ok(store.interrupted("node01", false).await),
        ok(store.in_progress(TaskId(0), 9).await),
        ok(store.awaiting("node01", TaskId(0), 9).await),
        begun,
        (
            ok(store.revision().await),
            ok(store.place("reader").await),
            ok(store.changes(Revision(0), 99).await),
        ),
    );
    format!("{seen:#?}")
}

/// Neither an id nor a revision, whatever was deleted.
async fn no_number_is_given_twice(stand: &Stand) {
    let mut daemon = stand.daemon("node01").await;
    let (mut last, mut revision) = (TaskId(0), Revision(0));
    for _ in 0..3 {
        let task = create(&*daemon.store, bare(1, "node01", START)).await;
        assert!(task > last, "{task} after {last}");
        last = task;
        let now = ok(daemon.store.revision().await);
        assert!(now > revision, "{now:?} after {revision:?}");
        assert_eq!(ok(daemon.store.withdraw(&[task]).await), 1);
        revision = ok(daemon.store.revision().await);
        assert!(revision > now, "{revision:?} after {now:?}");
        daemon = again(stand, daemon).await;
    }
}

async fn what_a_crash_interrupted_is_counted(stand: &Stand) {
    let mut daemon = stand.daemon("node01").await;
    let task = create(&*daemon.store, upgrade(1, "node01", START)).await;
    assert_eq!(ok(daemon.store.claim("node01", 9, START).await).len(), 1);
    for crashes in 1..=3 {
        daemon = again(stand, daemon).await;
        let interrupted = ok(daemon.store.interrupted("node01", true).await);
        assert_eq!(interrupted.len(), 1);
        assert_eq!(interrupted[0].task.id, task);
        assert_eq!(interrupted[0].crashes, crashes);
        assert_eq!(ok(daemon.store.claim("node01", 9, START).await), []);
    }
}

/// Where the store keeps any.
async fn documents_are_there_again(stand: &Stand) {
    let mut daemon = stand.daemon("node01").await;
    let Ok(mut kept) = daemon.store.documents("", "", 99).await else {
        return;
    };
    for round in 0..3 {
        documents::change_some(&*daemon.store, round).await;
        let attempts = ok(daemon.store.attempts("a", TaskId(0), 99).await);
        assert_eq!(attempts.len(), 1 + round as usize);
        let before = ok(daemon.store.documents("", "", 99).await);
        assert_ne!(before, kept);
        daemon = again(stand, daemon).await;
        kept = ok(daemon.store.documents("", "", 99).await);
        assert_eq!(kept, before);
        assert_eq!(
            ok(daemon.store.attempts("a", TaskId(0), 99).await),
            attempts
        );
    }
}
