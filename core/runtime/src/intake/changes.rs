//! `upgrade_changes`: what changed of tasks, from the store's feed, and where each is now.
//! Whoever asks may be made to wait for a change, for a moment. Ours; a 4.x manager does not
//! know it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;
use wpk_api::{
    AgentId, Changed, Revision, Status, StoreError, Task, TaskId, TimelineEntry, TimelineStep,
    UnixTime,
};
use wpk_wire::own::{AskChanges, AskTimeline, FeedPlace, TaskNow, TaskPhase};
use wpk_wire::{Item, Refusal, Response, TaskCode, UpgradeCode};

use super::timeline::Show;
use crate::in_hand::{Installer, Progress};
use crate::workshop::Workshop;

/// Changes read from the store at a time.
const PAGE: usize = 1_000;
/// How many pages are read for one answer where they tell of other agents.
const PAGES: usize = 20;
/// The most deliveries that one answer tells of: more are not shown anywhere.
const DELIVERIES: usize = 1_000;
/// Bytes of an item on the wire beside its texts.
const FRAME: usize = 512;

/// The place in the feed, tasks that changed, and deliveries.
pub(super) async fn answer(workshop: &Workshop, asked: AskChanges) -> Result<Response, Refusal> {
    let told = match asked.after {
        Some(after) => follow(workshop, &asked, after).await,
        None => present(workshop, &asked.agents).await,
    };
    told.map_err(|error| {
        error!(%error, "changes of tasks cannot be read");
        Refusal::upgrade(UpgradeCode::TaskManagerCommunication)
    })
}

/// The newest task of each agent as it is now.
async fn present(workshop: &Workshop, agents: &[AgentId]) -> Result<Response, StoreError> {
    let store = workshop.store();
    // What changes from now on is told by the feed.
    let place = FeedPlace {
        revision: store.revision().await?,
        ..FeedPlace::default()
    };
    let mut answer = Answer::new(workshop).await?;
    let newest = store.latest(agents).await?;
    for (agent, task) in agents.iter().zip(newest) {
        if answer.is_full() {
            break;
        }
        match task {
            Some(task) => answer.tell(task).await?,
            None => answer.items.push(Item::task(TaskCode::NoTask, *agent)),
        }
    }
    Ok(answer.behind(place))
}

/// The changes behind `after`; where there are none, those that come within the time that
/// is waited.
async fn follow(
    workshop: &Workshop,
    asked: &AskChanges,
    mut after: Revision,
) -> Result<Response, StoreError> {
    let following = &workshop.following;
    let until = Instant::now() + Duration::from_millis(asked.waits());
    let place = (asked.waits() > 0).then(|| following.wait()).flatten();
    let mut last = place.is_none();
    let agents: HashSet<AgentId> = asked.agents.iter().copied().collect();
    loop {
        if last || following.newest(workshop.store()).await? != after {
            // Looked at before the feed: a delivery that is over by then is told there.
            let under_way = under_way(workshop, &asked.agents);
            let news = News::read(workshop, &agents, after).await?;
            if last || news.place.behind || !news.changed.is_empty() {
                return news.answer(workshop, under_way).await;
            }
            after = news.place.revision;
        }
        last = !following.pause(until).await;
    }
}

/// The deliveries that are under way, of these agents or of all.
fn under_way(workshop: &Workshop, agents: &[AgentId]) -> Vec<(AgentId, Progress)> {
    let in_hand = &workshop.in_hand;
    match agents {
        [] => in_hand.some(DELIVERIES),
        agents => (agents.iter())
            .filter_map(|agent| Some((*agent, in_hand.of(*agent)?)))
            .collect(),
    }
}

/// What the feed says.
struct News {
    place: FeedPlace,
    /// The last change of each task, with the task where it is still there.
    changed: BTreeMap<Revision, (TaskId, Option<Task>)>,
}

impl News {
    /// Reads what is behind `after`, until there is something of these agents; none: of all.
    async fn read(
        workshop: &Workshop,
        agents: &HashSet<AgentId>,
        after: Revision,
    ) -> Result<Self, StoreError> {
        let store = workshop.store();
        let mut place = FeedPlace {
            revision: after,
            ..FeedPlace::default()
        };
        let mut latest: BTreeMap<TaskId, (Revision, Option<Task>)> = BTreeMap::new();
        for _ in 0..PAGES {
            let newest = store.revision().await?;
            let page = store.changes(place.revision, PAGE).await?;
            place.more = page.len() == PAGE;
            let mut next = place.revision.0.saturating_add(1);
            for change in page {
                place.behind |= change.revision.0 != next;
                next = change.revision.0.saturating_add(1);
                place.revision = change.revision;
                let (id, task, agent) = match change.changed {
                    Changed::Task(task) | Changed::Foreign(task) => {
                        let agent = task.agent;
                        (task.id, Some(task), Some(agent))
                    }
                    Changed::Deleted(id) => (id, None, change.was.map(|task| task.agent)),
                };
                let meant = agents.is_empty() || agent.is_none_or(|agent| agents.contains(&agent));
                if meant {
                    latest.insert(id, (change.revision, task));
                }
            }
            // The end of the feed is forgotten, or it is another feed.
            if !place.more && (place.revision < newest || after > newest) {
                (place.behind, place.revision) = (true, newest);
            }
            if place.behind || !latest.is_empty() || !place.more {
                break;
            }
        }
        let by_revision = |(id, (revision, task))| (revision, (id, task));
        Ok(Self {
            place,
            changed: latest.into_iter().map(by_revision).collect(),
        })
    }

    async fn answer(
        mut self,
        workshop: &Workshop,
        under_way: Vec<(AgentId, Progress)>,
    ) -> Result<Response, StoreError> {
        let mut answer = Answer::new(workshop).await?;
        let mut told = HashSet::new();
        for (revision, (id, task)) in std::mem::take(&mut self.changed) {
            if answer.is_full() {
                self.place.more = true;
                self.place.revision = Revision(revision.0.saturating_sub(1));
                break;
            }
            told.insert(id);
            match task {
                Some(task) => answer.tell(task).await?,
                None => answer.items.push(Item {
                    task_id: Some(id),
                    ..Item::of_request(TaskCode::NoTask)
                }),
            }
        }
        for (agent, progress) in under_way {
            if !told.contains(&progress.task) {
                let now = with_progress(TaskNow::new(agent, progress.task), &progress);
                let item = now.to_item(Item::created(agent, progress.task));
                answer.items.push(item);
            }
        }
        Ok(answer.behind(self.place))
    }
}

/// The items of an answer, and how long they are.
struct Answer<'a> {
    workshop: &'a Workshop,
    show: Show,
    now: UnixTime,
    items: Vec<Item>,
    size: usize,
}

impl<'a> Answer<'a> {
    async fn new(workshop: &'a Workshop) -> Result<Self, StoreError> {
        Ok(Self {
            workshop,
            show: Show::new(workshop.settings.dialect, 0),
            now: workshop.store_time().await?,
            items: Vec::new(),
            size: 0,
        })
    }

    fn is_full(&self) -> bool {
        self.size >= AskTimeline::LONGEST_ANSWER
    }

    /// A task as it is now.
    async fn tell(&mut self, task: Task) -> Result<(), StoreError> {
        let asks = matches!(
            task.status,
            Status::InProgress | Status::Failed | Status::Timeout
        );
        let timeline = match asks {
            true => self.workshop.store().timeline(task.id).await?,
            false => Vec::new(),
        };
        let in_hand = self.workshop.in_hand.of(task.agent);
        let in_hand = in_hand.filter(|progress| progress.task == task.id);
        let placed = |now: TaskNow| match (&task.status, in_hand) {
            (Status::Pending, _) => at(now, TaskPhase::Queued),
            (Status::InProgress, _) if is_begun(&timeline) => at(now, TaskPhase::Installing),
            (Status::InProgress, Some(progress)) => with_progress(now, &progress),
            (Status::InProgress, None) => waiting(now, &timeline),
            (Status::Other(_), _) => now,
            _ => at(now, TaskPhase::Ended),
        };
        let now = placed(TaskNow::of(self.show.told(&task, &timeline)).taking(&task, self.now));
        self.size += FRAME + self.show.bytes(&now.told);
        let item = now.to_item(self.show.result(task));
        self.items.push(item);
        Ok(())
    }

    /// The answer with its place before its items.
    fn behind(mut self, place: FeedPlace) -> Response {
        self.items.insert(0, place.to_item());
        Response::success(self.items)
    }
}

/// Whether the installer was begun: written down before the agent is told.
fn is_begun(timeline: &[TimelineEntry]) -> bool {
    (timeline.iter()).any(|entry| entry.step == TimelineStep::Upgrade)
}

const fn at(mut now: TaskNow, phase: TaskPhase) -> TaskNow {
    now.phase = Some(phase);
    now
}

/// Of one that nobody has in hand here: it waits if somebody said so last. Another node may
/// be at it.
fn waiting(mut now: TaskNow, timeline: &[TimelineEntry]) -> TaskNow {
    let wait = timeline.last();
    if let Some(wait) = wait.filter(|entry| entry.step == TimelineStep::Wait) {
        now.waits_for.clone_from(&wait.detail);
        return at(now, TaskPhase::Waiting);
    }
    now
}

/// Of one that is in hand here.
fn with_progress(mut now: TaskNow, progress: &Progress) -> TaskNow {
    use wpk_wire::own::DeliveryStep::Download;
    let (phase, waits_for) = match (progress.installer, progress.step) {
        (Installer::Begun, _) => (TaskPhase::Installing, None),
        (Installer::NotBegun, Some(Download)) => (TaskPhase::Waiting, Some("file")),
        (Installer::NotBegun, None) => (TaskPhase::Waiting, Some("turn")),
        (Installer::NotBegun, Some(_)) => (TaskPhase::Sending, None),
    };
    now.waits_for = waits_for.map(str::to_owned);
    (now.step, now.sent, now.total) = (progress.step, progress.sent, progress.total);
    at(now, phase)
}
