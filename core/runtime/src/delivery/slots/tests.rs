//! Slots, and who gets one when.

use futures_util::FutureExt;
use tokio::sync::oneshot;
use wpk_api::{Wanted, WantedFile};

use super::*;

fn wish(path: &str) -> WishId {
    WishId::of(&Wanted::File(WantedFile {
        path: Some(path.into()),
    }))
}

/// The queue may hold anything.
fn slots(slots: usize) -> Slots {
    Slots::new(slots.into(), 10_000, Arc::default())
}

/// One turn, as soon as it comes.
async fn turn(slots: &Slots) -> Slot {
    let turns = slots.next(&CancellationToken::new(), 1).await;
    turns.unwrap().pop().unwrap()
}

/// One that has entered, if a slot is free now.
fn entered(slots: &Slots) -> Option<Slot> {
    let enters = async {
        let mut slot = turn(slots).await;
        slot.enter().await;
        slot
    };
    enters.now_or_never()
}

/// A file that does not come, and another one that is here.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_file_has_no_slot() {
    let slots = slots(1);
    let began = Instant::now();
    for _ in 0..500 {
        let mut slot = turn(&slots).await;
        tokio::spawn(async move {
            slot.for_file(wish("/slow"), std::future::pending::<()>())
                .await;
        });
    }
    assert_eq!(slots.free.available_permits(), 1);
    let mut slot = turn(&slots).await;
    slot.for_file(wish("/here"), async {}).await;
    slot.enter().await;
    assert_eq!(began.elapsed(), FETCHED_WITHIN, "the first is looked at");
    assert!(entered(&slots).is_none());
}

/// Those that are in memory and wait are not kept from the slot by those that are not.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_has_no_slot() {
    let slots = Slots::new(1.into(), 2, Arc::default());
    let (tell, told) = oneshot::channel();
    let mut first = turn(&slots).await;
    let served = tokio::spawn(async move {
        first.for_file(wish("/late"), told).await.unwrap();
        first.enter().await;
    });
    let mut second = turn(&slots).await;
    let waits = tokio::spawn(async move {
        second
            .for_file(wish("/slow"), std::future::pending::<()>())
            .await;
    });
    let mut third = Box::pin(turn(&slots));
    let early = tokio::time::timeout(Duration::from_secs(60), &mut third);
    assert!(early.await.is_err(), "memory is bounded");
    tell.send(()).unwrap();
    served.await.unwrap();
    third.await.enter().await;
    waits.abort();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_came_is_no_longer_waited_for() {
    let slots = slots(1);
    let late = tokio::time::sleep(Duration::from_secs(1));
    turn(&slots).await.for_file(wish("/late"), late).await;
    let mut slot = turn(&slots).await;
    slot.for_file(wish("/late"), async {}).await;
    assert!(!slots.awaited.contains(wish("/late")));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_taken_from_the_queue_than_slots_are_free() {
    let slots = slots(2);
    let stop = CancellationToken::new();
    let mut taken = slots.next(&stop, 64).await.unwrap();
    assert_eq!(taken.len(), 2);
    assert!(slots.next(&stop, 64).now_or_never().is_none());
    for slot in &mut taken {
        slot.enter().await;
        assert!(slots.next(&stop, 64).now_or_never().is_none());
    }
    drop(taken.pop());
    assert_eq!(slots.next(&stop, 64).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_long_steps_aside_and_comes_back_in_its_turn() {
    let slots = slots(1);
    let mut first = entered(&slots).unwrap();
    assert!(entered(&slots).is_none());
    let (tell, told) = oneshot::channel();
    let waiting = tokio::spawn(async move {
        first.aside(told).await.unwrap();
        first
    });
    let mut second = turn(&slots).await;
    second.enter().await;
    tell.send(()).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!waiting.is_finished(), "the slot is another's now");
    drop(second);
    let first = waiting.await.unwrap();
    assert!(entered(&slots).is_none());
    drop(first);
    assert!(entered(&slots).is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_gives_its_slot_away_for_a_moment() {
    let slots = slots(1);
    let mut slot = entered(&slots).unwrap();
    let watched = async {
        tokio::time::sleep(NOT_WORTH_IT / 2).await;
        entered(&slots).is_none()
    };
    assert!(slot.aside(watched).await);
}

/// Deliveries that are under way keep their slots: as long as they do, answers are as slow as
/// they were, however few slots there are.
#[tokio::test(start_paused = true)]
async fn slots_are_not_taken_away_again_before_the_last_time_is_felt() {
    let slots = Slots::new(Concurrency::Auto, 10_000, Arc::default());
    let answers = async |used: &[Slot], took: u64| {
        tokio::time::advance(Duration::from_millis(100)).await;
        for slot in used {
            let quickest = Duration::from_millis(5);
            slot.answered(Duration::from_millis(took), quickest, true);
        }
        slots.size().slots
    };
    let mut used = Vec::new();
    while used.len() < 256 {
        while let Some(slot) = entered(&slots) {
            used.push(slot);
        }
        answers(&used, 5).await;
    }
    let (there, in_use) = (slots.size().slots, used.len());
    // From the first slow answers on.
    let mut fewer = there;
    for _ in 0..20 {
        fewer = answers(&used, 60).await;
    }
    assert!(
        (in_use * 3 / 4..in_use).contains(&fewer),
        "{fewer} of {in_use}"
    );
    // Of the answers until then some came from those that were too many.
    used.truncate(fewer);
    assert_eq!(answers(&used, 60).await, fewer);
    let fewest = answers(&used, 60).await;
    assert_eq!(fewest, fewer - fewer / 4, "felt, and still slow");
}

#[tokio::test]
async fn slots_can_become_more_and_fewer_while_they_are_in_use() {
    let slots = slots(3);
    let mut used = Vec::new();
    for _ in 0..2 {
        used.push(entered(&slots).unwrap());
    }
    slots.resize(1.into());
    assert!(entered(&slots).is_none());
    drop(used.pop());
    assert!(entered(&slots).is_none(), "one too many is in use");
    slots.resize(2.into());
    let second = entered(&slots).unwrap();
    assert!(entered(&slots).is_none());
    slots.resize(4.into());
    used.extend([entered(&slots).unwrap(), entered(&slots).unwrap()]);
    assert!(entered(&slots).is_none());
    drop((used, second));
    let mut last: Vec<Slot> = (0..4).map(|_| entered(&slots).unwrap()).collect();
    assert!(entered(&slots).is_none());
    last.pop();
    assert!(entered(&slots).is_some());
}

#[tokio::test]
async fn whoever_waits_for_a_turn_hears_of_more_slots() {
    let slots = slots(1);
    let _used = entered(&slots).unwrap();
    let mut next = Box::pin(turn(&slots));
    assert!((&mut next).now_or_never().is_none());
    slots.resize(2.into());
    next.await;
}

#[tokio::test]
async fn a_daemon_that_stops_hands_out_none() {
    let (slots, stop) = (slots(1), CancellationToken::new());
    stop.cancel();
    assert!(slots.next(&stop, 1).await.is_none());
}
