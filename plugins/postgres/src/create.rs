//! How tasks come to be: all of a request at once, under the constraint of one live
//! upgrade task for an agent.
//!
//! Those who create come one after the other, over all nodes: whether an agent has a live
//! task is looked up once for all, the index `tasks_live` only has to hold, and two
//! requests for the same agents in another order cannot wait for each other.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;
use wpk_api::{AgentId, Created, Fence, KeptOrder, NewTask, Task, TaskId};

use crate::attempts;
use crate::documents;
use crate::ends;
use crate::fault::Fault;
use crate::listen;
use crate::pool::{Sql, Values};
use crate::rows::{all, known, text};
use crate::work::Work;

/// Tasks that are sent at a time.
const ROUND: usize = 2_048;

static TURN: Sql = Sql {
    text: "SELECT 1 FROM @turns WHERE turn = 'create' FOR UPDATE",
    types: &[],
};

macro_rules! live_of_each {
    ($which:literal) => {
        concat!(
            "SELECT ",
            all!(),
            " FROM unnest($1::int4[]) u(agent) CROSS JOIN LATERAL (SELECT * FROM @tasks o \
                 WHERE o.agent = u.agent AND ",
            $which,
            " AND o.status IN ('Pending', 'In progress') OFFSET 0) t"
        )
    };
}

/// Two indexes, each of which holds only what is live. Each agent is looked up by itself:
/// `OFFSET 0` keeps the planner from comparing all that live with all that are asked for,
/// which it takes for cheap where nobody lived when it counted last.
static LIVE: Sql = Sql {
    text: concat!(
        live_of_each!("o.exclusive"),
        " UNION ALL ",
        live_of_each!("NOT o.exclusive"),
        " ORDER BY 1"
    ),
    types: &[Type::INT4_ARRAY],
};

/// As many as are needed, in one go: nobody else draws any meanwhile.
static IDS: Sql = Sql {
    text: "SELECT setval('@tasks_id_seq', nextval('@tasks_id_seq') + $1 - 1)",
    types: &[Type::INT8],
};

static INSERT: Sql = Sql {
    text: "INSERT INTO @tasks (id, agent, node, module, command, created, status, task_order, \
               ours, held, exclusive, fence_key, fence_epoch, \
               fence_opens, fence_closes, fence_mark) \
           SELECT u.id, u.agent, u.node, u.module, u.command, u.created, 'Pending', u.task_order, \
               u.task_order IS NOT NULL, u.held, u.exclusive, u.fence_key, u.fence_epoch, \
               u.fence_opens, u.fence_closes, u.fence_mark \
           FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::text[], \
               $8::bool[], $9::bool[], $10::text[], $11::int8[], $12::int8[], $13::int8[], $14::text[]) \
               u(created, id, agent, node, module, command, task_order, held, exclusive, \
                 fence_key, fence_epoch, fence_opens, fence_closes, fence_mark)",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT4_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::BOOL_ARRAY,
        Type::BOOL_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
    ],
};

/// A task that is there, or the place of one among those that will be made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Which {
    There(TaskId),
    Made(usize),
}

/// A live task of an agent, as far as it matters here.
struct Live<'a> {
    which: Which,
    node: Cow<'a, str>,
    gives_way: bool,
}

/// What becomes of a new task.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Made(usize),
    AlreadyLive(Which),
    Fenced,
}

/// What is to be done for a request.
#[derive(Default)]
struct Plan {
    /// For each new task: its place among those to be made, or the one that is live.
    answers: Vec<Answer>,
    /// The new tasks that are made, by their places in the request.
    made: Vec<usize>,
    /// What happens, in its order: a task is made, or (`true`) deleted.
    events: Vec<(Which, bool)>,
    /// Places of those that are made and deleted at once.
    given_way: HashSet<usize>,
}

/// See [`wpk_api::TaskStore::create`].
pub(crate) async fn create(work: &mut Work<'_>, new: &[NewTask]) -> Result<Vec<Created>, Fault> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    work.ask(&TURN, &[]).await?;
    let live = live(work, new).await?;
    let open = documents::open(work, new).await?;
    let plan = plan(new, &open, live);
    // First, so that the index has room for those that take their place.
    let there: Vec<TaskId> = (plan.events.iter())
        .filter_map(|(which, gone)| match which {
            Which::There(id) => gone.then_some(*id),
            Which::Made(_) => None,
        })
        .collect();
    let mut deleted: HashMap<TaskId, Task> = (ends::delete(work, &there).await?.into_iter())
        .map(|task| (task.id, task))
        .collect();
    let made: Vec<&NewTask> = plan.made.iter().map(|at| &new[*at]).collect();
    // What a later one of the same call took the place of was there only for the feed.
    let kept: Vec<bool> = (0..made.len())
        .map(|at| !plan.given_way.contains(&at))
        .collect();
    let ids = insert(work, &made, &kept).await?;
    let id = |which: Which| match which {
        Which::There(id) => id,
        Which::Made(at) => ids[at],
    };
    if plan.events.iter().any(|(_, gone)| *gone) {
        let task = |at: usize| Task {
            created: work.time(made[at].created),
            ..made[at].task(ids[at])
        };
        let events = plan.events.iter().filter_map(|(which, gone)| match which {
            Which::Made(at) => Some((task(*at), *gone)),
            Which::There(id) => deleted.remove(id).map(|task| (task, true)),
        });
        let events: Vec<(Task, bool)> = events.collect();
        for (task, gone) in events {
            work.pending.tell(task, gone);
        }
    } else if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
        work.pending.made(*first, *last);
    }
    listen::tell(work, made.iter().map(|task| task.node.as_str())).await?;
    let answers = plan.answers.into_iter().map(|answer| match answer {
        Answer::Made(at) => Created::Task(ids[at]),
        Answer::AlreadyLive(which) => Created::AlreadyLive(id(which)),
        Answer::Fenced => Created::Fenced,
    });
    Ok(answers.collect())
}

/// Who of these agents has which live tasks, where that matters.
async fn live<'a>(
    work: &mut Work<'_>,
    new: &[NewTask],
) -> Result<HashMap<AgentId, Vec<Live<'a>>>, Fault> {
    let agents: HashSet<AgentId> = (new.iter())
        .filter(|task| task.exclusive)
        .map(|task| task.agent)
        .collect();
    let mut live: HashMap<AgentId, Vec<Live<'_>>> = HashMap::with_capacity(agents.len());
    if agents.is_empty() {
        return Ok(live);
    }
    let agents: Vec<i32> = agents.into_iter().map(number).collect();
    for row in work.ask(&LIVE, &[&agents]).await? {
        let known = known(&row)?;
        live.entry(known.task.agent).or_default().push(Live {
            which: Which::There(known.task.id),
            gives_way: known.gives_way(),
            node: known.task.node.into(),
        });
    }
    Ok(live)
}

fn plan<'a>(new: &'a [NewTask], open: &[bool], mut live: HashMap<AgentId, Vec<Live<'a>>>) -> Plan {
    let mut plan = Plan::default();
    for (at, (task, open)) in new.iter().zip(open).enumerate() {
        if !open {
            plan.answers.push(Answer::Fenced);
            continue;
        }
        let theirs = live.entry(task.agent).or_default();
        if task.exclusive {
            theirs.retain(|one| {
                let goes = one.gives_way && one.node != task.node;
                if goes {
                    plan.events.push((one.which, true));
                }
                if let (true, Which::Made(at)) = (goes, one.which) {
                    plan.given_way.insert(at);
                }
                !goes
            });
            if let Some(one) = theirs.last() {
                plan.answers.push(Answer::AlreadyLive(one.which));
                continue;
            }
        }
        let place = plan.made.len();
        // Nearly all have one, and there may be fifty thousand of them.
        theirs.reserve_exact(1);
        theirs.push(Live {
            which: Which::Made(place),
            node: task.node.as_str().into(),
            gives_way: task.order.is_none() && !task.held,
        });
        plan.made.push(at);
        plan.answers.push(Answer::Made(place));
        plan.events.push((Which::Made(place), false));
    }
    plan
}

/// Makes those of the tasks that are kept; the ids of all, which ascend.
async fn insert(
    work: &mut Work<'_>,
    made: &[&NewTask],
    kept: &[bool],
) -> Result<Vec<TaskId>, Fault> {
    if made.is_empty() {
        return Ok(Vec::new());
    }
    let count = made.len() as i64;
    let last: i64 = match work.ask(&IDS, &[&count]).await?.first() {
        Some(row) => row.try_get(0)?,
        None => return Err(Fault::Nonsense("the ids of tasks are gone".to_owned())),
    };
    let ids: Vec<i64> = (last - count + 1..=last).collect();
    let kept = (made.iter().copied().zip(ids.iter().copied()).zip(kept))
        .filter_map(|(one, kept)| kept.then_some(one));
    let kept: Vec<(&NewTask, i64)> = kept.collect();
    for some in kept.chunks(ROUND) {
        insert_some(work, some).await?;
    }
    Ok(ids.into_iter().map(TaskId).collect())
}

/// Makes some of them: a request of tens of thousands is not doubled in memory.
async fn insert_some(work: &mut Work<'_>, some: &[(&NewTask, i64)]) -> Result<(), Fault> {
    let all = some.iter().map(|(task, _)| *task);
    let numbers: Vec<i64> = some.iter().map(|(_, id)| *id).collect();
    let agents: Vec<i32> = all.clone().map(|task| number(task.agent)).collect();
    let created: Vec<i64> = all.clone().map(|task| work.time(task.created)).collect();
    let nodes: Vec<Cow<'_, str>> = all.clone().map(|task| text(&task.node)).collect();
    let modules: Vec<Cow<'_, str>> = all.clone().map(|task| text(&task.module)).collect();
    let commands = all.clone().map(|task| text(task.command.as_str()));
    let commands: Vec<Cow<'_, str>> = commands.collect();
    // JSON says NUL in other characters.
    let orders = (all.clone()).map(|task| task.order.as_ref().map(KeptOrder::to_json));
    let orders: Vec<Option<String>> = orders.collect();
    let held: Vec<bool> = all.clone().map(|task| task.held).collect();
    let exclusive: Vec<bool> = all.clone().map(|task| task.exclusive).collect();
    let fences = all.map(|task| task.fence.as_deref());
    let keys: Vec<Option<&str>> = (fences.clone())
        .map(|fence| fence.map(|fence| fence.key.as_str()))
        .collect();
    let of = |get: fn(&Fence) -> Option<i64>| {
        let fences = fences.clone();
        fences.map(|fence| fence.and_then(get)).collect::<Vec<_>>()
    };
    let epochs = of(|fence| Some(documents::number(fence.epoch)));
    let mut marks = Vec::with_capacity(some.len());
    for fence in fences.clone() {
        let mark = fence.map_or("", |fence| fence.mark.as_str());
        attempts::keepable(mark)?;
        marks.push(mark);
    }
    let (opens, closes) = (of(|fence| Some(fence.opens)), of(|fence| fence.closes));
    let values: Values<'_> = &[
        &created, &numbers, &agents, &nodes, &modules, &commands, &orders, &held, &exclusive,
        &keys, &epochs, &opens, &closes, &marks,
    ];
    work.ask(&INSERT, values).await?;
    Ok(())
}

/// An agent's id as the database keeps it; none is larger.
fn number(agent: AgentId) -> i32 {
    i32::try_from(agent.get()).unwrap_or(i32::MAX)
}
