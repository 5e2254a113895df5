//! How the stories write documents, and make tasks for them.

use wpk_api::{
    AttemptChange, AttemptWrite, DocumentWrite, Fence, Guard, NewDocument, NewTask, TaskId,
    TaskStore,
};

use crate::store_suite::tasks::{START, create, ok, upgrade};

/// What there is to lose in a restart: a document that changes and has tasks, and one that
/// goes and comes, whose versions differ.
pub(in crate::store_suite) async fn change_some(store: &dyn TaskStore, round: u32) {
    let found = ok(store.documents("", "", 9).await);
    let version = |key: &str| {
        let found = found.iter().find(|one| one.key == key);
        found.map(|one| one.version)
    };
    let newest = found.iter().map(|one| one.version).max().unwrap_or(0);
    if let Some(there) = version("b") {
        put(store, delete("b", Some(there))).await;
    }
    let again = put(store, write("b", None, 0, "")).await;
    assert!(again > newest, "{again} after {newest}");
    let one = write("a", version("a"), round.into(), &"text ".repeat(999));
    put(store, one).await;
    let mut task = made_for("a", round.into(), 100 + round);
    if let Some(fence) = &mut task.fence {
        fence.mark = format!("round {round}");
    }
    let task = create(store, task).await;
    let changes = [
        AttemptChange::Open {
            opens: START,
            closes: Some(START + 9),
        },
        AttemptChange::Staged(true),
    ];
    let writes = changes.map(|change| AttemptWrite { task, change });
    let written = ok(store.write_attempts(writes.into(), None).await);
    assert_eq!(written, Some(2));
}

pub(super) fn write(key: &str, expected: Option<u64>, epoch: u64, text: &str) -> DocumentWrite {
    DocumentWrite {
        key: key.to_owned(),
        expected,
        becomes: Some(NewDocument {
            epoch,
            keeps_tasks: false,
            text: text.to_owned(),
        }),
    }
}

pub(super) fn delete(key: &str, expected: Option<u64>) -> DocumentWrite {
    DocumentWrite {
        key: key.to_owned(),
        expected,
        becomes: None,
    }
}

/// Writes one document, which is as expected; its new version.
pub(super) async fn put(store: &dyn TaskStore, one: DocumentWrite) -> u64 {
    match ok(store.write_documents(vec![one.clone()], None).await).as_deref() {
        Some([version]) => *version,
        other => panic!("{one:?} was to be written: {other:?}"),
    }
}

pub(super) async fn refused(
    store: &dyn TaskStore,
    writes: Vec<DocumentWrite>,
    guard: Option<Guard>,
) {
    let before = ok(store.documents("", "", 99).await);
    let shown: Vec<String> = writes.iter().map(|one| one.key.clone()).collect();
    let written = ok(store.write_documents(writes, guard).await);
    assert_eq!(written, None, "{shown:?}");
    assert_eq!(ok(store.documents("", "", 99).await), before);
}

pub(super) fn guard(key: &str, version: u64) -> Guard {
    Guard {
        key: key.to_owned(),
        version,
    }
}

/// A task that is made for a document.
pub(super) fn made_for(key: &str, epoch: u64, id: u32) -> NewTask {
    NewTask {
        fence: Some(Box::new(Fence {
            key: key.to_owned(),
            epoch,
            opens: 0,
            closes: None,
            mark: String::new(),
        })),
        ..upgrade(id, "node01", START)
    }
}

pub(super) async fn statuses(store: &dyn TaskStore, tasks: &[TaskId]) -> Vec<String> {
    let found = ok(store.tasks(tasks).await).into_iter().flatten();
    found.map(|task| task.status.to_string()).collect()
}
