//! Observers in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use wpk_api::{Change, Changed, ObserverError, Status, Task, TaskId, TaskObserver};
use wpk_testkit::memory::{Instead, MemoryObserver};
use wpk_testkit::observer_suite::{self, Stand};
use wpk_testkit::suite::now;

use super::{complains, verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    RefusesNothing,
    FirstComesLast,
    RefusesWhatItKnows,
    ForgetsDeletions,
    RefusesUnknownDeletions,
    DeletesWhatItMayNot,
    RefusesOthers,
    RefusesLongWords,
    AtMost1000,
    ForgetsAtRestart,
    SaysYesWhileBroken,
    StaysBroken,
    RemembersWhatItRefused,
    FailsWithoutWords,
    ShowsBackwards,
    ShowsFromAfter,
    ShowsMore,
    ShowsDeleted,
}

#[derive(Default)]
struct Tables {
    tasks: BTreeMap<TaskId, Task>,
    deleted: BTreeMap<TaskId, Task>,
    broken: bool,
    was_broken: bool,
    refused: usize,
}

#[derive(Clone)]
struct Memory(Fault, Arc<Mutex<Tables>>);

impl Tables {
    fn take(&mut self, fault: Fault, change: &Change) -> Result<(), &'static str> {
        match &change.changed {
            Changed::Foreign(_) if fault == Fault::RefusesOthers => Err("not mine"),
            Changed::Foreign(_) => Ok(()),
            Changed::Task(task) => {
                let known = self.tasks.get(&task.id);
                let long = task
                    .error_msg
                    .as_ref()
                    .is_some_and(|text| text.len() > 9_999);
                if long && fault == Fault::RefusesLongWords {
                    return Err("too long");
                }
                if fault == Fault::RefusesWhatItKnows && known == Some(task) {
                    return Err("known");
                }
                self.tasks.insert(task.id, task.clone());
                Ok(())
            }
            Changed::Deleted(_) if fault == Fault::ForgetsDeletions => Ok(()),
            Changed::Deleted(id) => {
                if !self.tasks.contains_key(id) && fault == Fault::RefusesUnknownDeletions {
                    return Err("unknown");
                }
                if fault == Fault::DeletesWhatItMayNot {
                    self.tasks.clear();
                }
                if let Some(task) = self.tasks.remove(id) {
                    self.deleted.insert(*id, task);
                }
                Ok(())
            }
        }
    }
}

#[async_trait]
impl TaskObserver for Memory {
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError> {
        tokio::task::yield_now().await;
        let Self(fault, tables) = self;
        let mut tables = tables.lock().unwrap();
        if tables.broken || (*fault == Fault::StaysBroken && tables.was_broken) {
            tables.was_broken = true;
            tables.refused += 1;
            let words = match fault {
                Fault::SaysYesWhileBroken => return Ok(()),
                Fault::FailsWithoutWords => "",
                _ => "out of order",
            };
            return Err(ObserverError(words.to_owned()));
        }
        let failed = |why: &str| Err(ObserverError(why.to_owned()));
        let mut changes: Vec<&Change> = changes.iter().collect();
        match fault {
            Fault::RefusesNothing if changes.is_empty() => return failed("nothing"),
            Fault::FirstComesLast => changes.reverse(),
            Fault::AtMost1000 => changes.truncate(1_000),
            Fault::RemembersWhatItRefused if tables.refused > 0 => changes.clear(),
            _ => {}
        }
        for change in changes {
            tables.take(*fault, change).or_else(failed)?;
        }
        Ok(())
    }

    async fn shown(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, ObserverError> {
        tokio::task::yield_now().await;
        let Self(fault, tables) = self;
        let tables = tables.lock().unwrap();
        let mut all = tables.tasks.clone();
        if *fault == Fault::ShowsDeleted {
            all.extend(tables.deleted.clone());
        }
        let from = match fault {
            Fault::ShowsFromAfter => after,
            _ => TaskId(after.0.saturating_add(1)),
        };
        let last = after == TaskId(i64::MAX);
        let rest = all.into_values();
        let rest = rest.filter(|task| task.id >= from && !last);
        let more = usize::from(*fault == Fault::ShowsMore);
        let mut shown: Vec<_> = rest.take(limit + more).collect();
        if *fault == Fault::ShowsBackwards {
            shown.reverse();
        }
        Ok(shown)
    }
}

fn run(fault: Fault) -> String {
    verdict(move || async move {
        observer_suite::run(async || {
            let tables = Arc::new(Mutex::new(Tables::default()));
            let (opened, seen, broken) = (tables.clone(), tables.clone(), tables);
            Stand::new(move || {
                let mut tables = opened.lock().unwrap();
                if fault == Fault::ForgetsAtRestart {
                    *tables = Tables::default();
                }
                tables.refused = 0;
                now(Arc::new(Memory(fault, opened.clone())) as Arc<dyn TaskObserver>)
            })
            .look(move || statuses(&seen.lock().unwrap().tasks))
            .break_it(move |breaks| broken.lock().unwrap().broken = breaks)
        })
        .await;
    })
}

fn statuses(tasks: &BTreeMap<TaskId, Task>) -> BTreeMap<TaskId, Status> {
    let tasks = tasks.values();
    tasks.map(|task| (task.id, task.status.clone())).collect()
}

#[test]
fn a_good_observer_passes() {
    assert_eq!(run(Fault::None), "");
}

#[test]
fn each_fault_is_found() {
    for (fault, about) in [
        (Fault::RefusesNothing, "no change at all was to be taken"),
        (Fault::FirstComesLast, "changes that came together: task 1"),
        (
            Fault::RefusesWhatItKnows,
            "one change twice was to be taken",
        ),
        (Fault::ForgetsDeletions, "the same changes again: task 2"),
        (Fault::RefusesUnknownDeletions, "gone was to be taken"),
        (Fault::DeletesWhatItMayNot, "the same changes again: task 1"),
        (
            Fault::RefusesOthers,
            "tasks of somebody else was to be taken",
        ),
        (Fault::RefusesLongWords, "a task with the text \"xxxx"),
        (Fault::AtMost1000, "10,000 changes: task 1 "),
        (Fault::ForgetsAtRestart, "a restart: task 1"),
        (Fault::SaysYesWhileBroken, "said that it took"),
        (
            Fault::StaysBroken,
            "what could not be taken before was to be",
        ),
        (
            Fault::RemembersWhatItRefused,
            "changes after trouble: task 1",
        ),
        (Fault::FailsWithoutWords, "an error without words"),
        (Fault::ShowsBackwards, "ids that do not ascend"),
        (Fault::ShowsFromAfter, "were asked for: ["),
        (Fault::ShowsMore, "2 tasks, and 1 were asked for"),
        (Fault::ShowsDeleted, "what it shows of 40 tasks"),
    ] {
        let verdict = run(fault);
        assert!(!verdict.is_empty(), "{fault:?} was not found");
        complains(&verdict, about);
    }
}

/// The observer that the engine is tested with keeps what the trait promises.
fn memory(make: fn() -> MemoryObserver, instead: Instead) -> String {
    verdict(move || async move {
        observer_suite::run(async || {
            let observer = Arc::new(make());
            let (opened, seen, broken) = (observer.clone(), observer.clone(), observer);
            let instead = instead.clone();
            Stand::new(move || now(opened.clone() as Arc<dyn TaskObserver>))
                .look(move || statuses(&seen.picture()))
                .break_it(move |breaks| match breaks {
                    true => broken.rule("observe", instead.clone(), usize::MAX),
                    false => broken.release(),
                })
        })
        .await;
    })
}

#[test]
fn the_one_in_memory_passes() {
    for make in [MemoryObserver::default, MemoryObserver::that_writes] {
        assert_eq!(memory(make, Instead::Fail("it is down")), "");
        assert_eq!(memory(make, Instead::FailAfterwards("it is odd")), "");
        assert_eq!(memory(make, Instead::Hang), "");
    }
}
