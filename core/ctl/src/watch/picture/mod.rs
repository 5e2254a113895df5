//! The tasks as a picture that fits a terminal: counts by state, the slowest that are under
//! way, the newest that did not end well. Pure: what is drawn follows from the board, the
//! size and the time alone.

use std::time::Duration;

use console::{measure_text_width, truncate_str};
use tokio::time::Instant;
use wpk_wire::own::TaskPhase;

use super::board::Board;
use super::counts::Counts;
use super::entry::{Entry, percent};
use super::paint::{Line, Paint, bar, wrapped};
use super::screen::Size;
use crate::manager::state::State;

/// What stands at the bottom.
const LEAVE: &str = "Ctrl-C leaves; the tasks go on";
/// The longest bar of all agents, and that of one, in columns.
const LONGEST_BAR: usize = 50;
const LONGEST_ROW_BAR: usize = 20;
/// From how many columns on an agent has a bar.
const ROOM_FOR_BARS: usize = 64;
/// The longest name that is shown in full, in columns.
const LONGEST_NAME: usize = 24;

/// The lines of the picture, at most `size.height`, none wider than `size.width`. `note` is
/// what the connection has to tell.
pub(super) fn draw(board: &Board, size: Size, now: Instant, note: Option<&str>) -> Vec<Line> {
    let mut head = head(board, size.width, now);
    let mut tail: Vec<Line> = Vec::new();
    tail.extend(note.map(|note| Line::new(Paint::Doubt, note)));
    tail.push(Line::new(Paint::Plain, LEAVE));
    head.truncate(size.height.saturating_sub(tail.len()).max(1));

    let running = slowest(board);
    let failed = newest_failures(board);
    let room = size.height.saturating_sub(head.len() + tail.len());
    // Failures have a third of the lines, and what those under way leave of theirs.
    let for_failed =
        needed(failed.len()).min((room / 3).max(room.saturating_sub(needed(running.len()))));
    let for_running = needed(running.len()).min(room - for_failed);
    let slow = |entry: &Entry, columns: &Columns| row(entry, columns, now);
    let under_way = section(
        "under way, slowest first:",
        &running,
        for_running,
        size,
        slow,
    );
    let bad = |entry: &Entry, columns: &Columns| failure(entry, columns);
    let not_well = section("not well, newest first:", &failed, for_failed, size, bad);
    let lines = head
        .into_iter()
        .chain(under_way)
        .chain(not_well)
        .chain(tail);
    let fitting = lines.take(size.height.max(1));
    fitting.map(|line| line.fit(size.width)).collect()
}

/// All agents: how many, for how long, and how they are.
fn head(board: &Board, width: usize, now: Instant) -> Vec<Line> {
    let counts = Counts::of(board);
    let parts = counts.parts();
    let whole: usize = parts.iter().map(|part| part.count).sum();
    let ended: usize = whole - counts.going_on();
    let numbers = format!(" {ended}/{whole} ended");
    let columns = width
        .saturating_sub(numbers.len() + 2)
        .clamp(5, LONGEST_BAR);
    let signs: Vec<(char, u64)> = (parts.iter())
        .map(|part| (part.sign, u64::try_from(part.count).unwrap_or(u64::MAX)))
        .collect();
    let bar = bar(&signs, u64::try_from(whole).unwrap_or(u64::MAX), columns);
    let took = long(now.saturating_duration_since(board.started()));
    let agents = if whole == 1 { "agent" } else { "agents" };
    let mut lines = vec![
        Line::new(
            Paint::Strong,
            format!("upgrade of {whole} {agents}, {took}"),
        ),
        Line::new(Paint::Plain, format!("[{bar}]{numbers}")),
    ];
    let told = (parts.iter().filter(|part| part.count > 0))
        .map(|part| (part.paint, format!("{} {}", part.count, part.what)));
    lines.extend(wrapped(told, width));
    lines
}

/// Those under way, the longest first.
fn slowest(board: &Board) -> Vec<&Entry> {
    let entries = board.entries().iter();
    let mut running: Vec<&Entry> = entries
        .filter(|entry| entry.task.is_some() && entry.state == State::Updating)
        .collect();
    running.sort_by_key(|entry| (entry.since, entry.agent));
    running
}

/// Those that ended in another way than well, the newest first.
fn newest_failures(board: &Board) -> Vec<&Entry> {
    let entries = board.entries().iter();
    let mut failed: Vec<&Entry> = entries
        .filter(|entry| entry.state.ended() && !entry.state.well())
        .collect();
    // Those that got no task have no time of an end, and are the oldest.
    failed.sort_by_key(|entry| std::cmp::Reverse((entry.ended, entry.agent)));
    failed
}

/// The lines of a section: its heading and a line for each.
const fn needed(rows: usize) -> usize {
    if rows == 0 { 0 } else { rows + 1 }
}

/// A heading, as many rows as there is room for, and how many are left out.
fn section(
    heading: &str,
    entries: &[&Entry],
    room: usize,
    size: Size,
    row: impl Fn(&Entry, &Columns) -> Line,
) -> Vec<Line> {
    let rows = match room.saturating_sub(1) {
        rows if rows >= entries.len() => entries.len(),
        rows => rows.saturating_sub(1),
    };
    let more = entries.len() - rows;
    if room == 0 || entries.is_empty() {
        return Vec::new();
    }
    if rows == 0 {
        let one = format!("{heading} {more} agents");
        return vec![Line::new(Paint::Strong, one)];
    }
    let shown = entries.get(..rows).unwrap_or_default();
    let columns = Columns::of(shown, size.width);
    let mut lines = vec![Line::new(Paint::Strong, heading)];
    lines.extend(shown.iter().map(|entry| row(entry, &columns)));
    if more > 0 {
        lines.push(Line::new(Paint::Plain, format!("  and {more} more")));
    }
    lines
}

/// How many columns the parts of a row have.
struct Columns {
    id: usize,
    name: usize,
    bar: usize,
}

impl Columns {
    fn of(entries: &[&Entry], width: usize) -> Self {
        let widest = |of: fn(&Entry) -> usize| entries.iter().map(|entry| of(entry)).max();
        let name = |entry: &Entry| entry.name.as_deref().map_or(0, measure_text_width);
        let longest = LONGEST_NAME.min(width / 4);
        Self {
            id: widest(|entry| entry.agent.to_string().len()).unwrap_or(0),
            name: widest(name).unwrap_or(0).min(longest),
            bar: match width {
                ROOM_FOR_BARS.. => (width / 4).min(LONGEST_ROW_BAR),
                _ => 0,
            },
        }
    }

    /// The agent: its id, and its name where there is one.
    fn agent(&self, entry: &Entry) -> String {
        let id = format!("  {:>width$}", entry.agent.to_string(), width = self.id);
        if self.name == 0 {
            return id;
        }
        let name = truncate_str(entry.name.as_deref().unwrap_or("-"), self.name, "…");
        let pad = " ".repeat(self.name.saturating_sub(measure_text_width(&name)));
        format!("{id} {name}{pad}")
    }
}

/// One that is under way.
fn row(entry: &Entry, columns: &Columns, now: Instant) -> Line {
    let done = match (entry.phase, entry.delivery.as_ref()) {
        (Some(TaskPhase::Installing), _) => Some(100),
        (_, Some(delivery)) => percent(delivery),
        (_, None) if entry.delivered => Some(100),
        _ => None,
    };
    let mut line = Line::new(Paint::Plain, columns.agent(entry));
    if columns.bar > 0 {
        let bar = bar(&[('=', done.unwrap_or(0))], 100, columns.bar);
        line = line.and(Paint::Work, format!(" [{bar}]"));
    }
    let since = entry.since.unwrap_or(now);
    let took = long(now.saturating_duration_since(since));
    line.and(Paint::Plain, format!(" {took:>6} {}", entry.doing()))
}

/// One that did not end well, and why.
fn failure(entry: &Entry, columns: &Columns) -> Line {
    let paint = match entry.state.open() {
        true => Paint::Doubt,
        false => Paint::Bad,
    };
    let line = Line::new(Paint::Plain, columns.agent(entry));
    line.and(paint, format!(" {}", entry.describe(1)))
}

/// A time as people read it: `7s`, `3m 07s`, `2h 05m`.
fn long(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests;
