//! A rollout as a picture that fits a terminal: waves as bars, the gate that is waited
//! for, the last failures, what happens next. Pure: what is drawn follows from the status
//! and the size alone.

use console::{measure_text_width, truncate_str};
use wpk_wire::own::rollout::{FailedAgent, GateWord, StatusOfRollout, StatusOfWave, Words};

use super::text::{title, warnings};
use crate::output::{clean, time};
use crate::rollout::words::{counts, done, span};
use crate::watch::paint::{self, Line, Paint, wrapped};
use crate::watch::screen::Size;

/// What stands at the bottom.
const LEAVE: &str = "Ctrl-C leaves; the rollout goes on";
/// The longest name of a wave that is shown in full, in columns.
const LONGEST_NAME: usize = 16;
/// The longest bar, in columns.
const LONGEST_BAR: usize = 50;

/// The lines of the picture, at most `size.height`, none wider than `size.width`. `note`
/// is what the connection has to tell.
pub(super) fn lay_out(status: &StatusOfRollout, note: Option<&str>, size: Size) -> Vec<Line> {
    let plain = |text: String| Line::new(Paint::Plain, text);
    let mut head = vec![Line::new(Paint::Strong, title(status))];
    let doubts = warnings(status).into_iter();
    head.extend(doubts.map(|text| Line::new(Paint::Doubt, text)));
    let mut tail = Vec::new();
    if let Some(next) = &status.next {
        let within = span(next.at.saturating_sub(status.now));
        let what = clean(&next.what);
        tail.push(format!("next in {within}: {what}, {}", time(next.at)));
    }
    tail.extend(note.map(str::to_owned));
    tail.push(LEAVE.to_owned());

    // What is told of the whole comes first, then the waves, then single agents.
    let room = size.height.saturating_sub(tail.len()).max(1);
    head.truncate(room.saturating_sub(3).max(1));
    let counted = format!("agents: {}", counts(&status.counts));
    let counted = counted
        .split(", ")
        .map(|part| (Paint::Plain, part.to_owned()));
    let counted = wrapped(counted, size.width);
    let most = (room / 4).max(1);
    head.extend(counted.into_iter().take(most));
    let room = room.saturating_sub(head.len());
    let failures: Vec<String> = status.failures.iter().map(failed).collect();
    let least_failures = failures.len().min(3).min(room / 3);
    let waves = waves(status, size.width, room - least_failures);
    let room = room - waves.len();
    let failures = failures.into_iter().take(room);
    let failures = failures.map(|text| Line::new(Paint::Bad, text));
    let waves = waves.into_iter().map(wave_line);

    let tail = tail.into_iter().map(plain);
    let lines = head.into_iter().chain(waves).chain(failures).chain(tail);
    lines
        .take(size.height.max(1))
        .map(|line| line.fit(size.width))
        .collect()
}

/// A line of a wave: what stops it is seen.
fn wave_line(text: String) -> Line {
    let paint = match text.starts_with("  gate exceeded") {
        true => Paint::Bad,
        false => Paint::Plain,
    };
    Line::new(paint, text)
}

/// An agent that failed; the cause stands where a narrow line still has it.
fn failed(failed: &FailedAgent) -> String {
    let named = |text: &Option<Words>| {
        let text = text.as_ref();
        text.map_or_else(String::new, |text| format!(" {}", clean(text)))
    };
    let wave = named(&failed.wave);
    let at = failed
        .at
        .map_or_else(String::new, |at| format!(", {}", time(at)));
    let again = match failed.tries_left {
        0 => String::new(),
        left => format!(", tries left: {left}"),
    };
    let (agent, name, cause) = (failed.agent, named(&failed.name), clean(&failed.cause));
    format!("failed {agent}{name}: {cause} (wave{wave}{at}{again})")
}

/// The waves in at most so many lines: where not all fit, those around the one that is
/// open, and how many are left out.
fn waves(status: &StatusOfRollout, width: usize, room: usize) -> Vec<String> {
    let all = &status.waves;
    let name = |wave: &StatusOfWave| measure_text_width(&clean(&wave.name));
    let names = all.iter().map(name).max().unwrap_or(0).min(LONGEST_NAME);
    let numbers = |wave: &StatusOfWave| measure_text_width(&numbers(wave));
    let columns = Columns {
        name: names,
        // Name, blank, brackets, blank, numbers.
        bar: width
            .saturating_sub(names + 4 + all.iter().map(numbers).max().unwrap_or(0))
            .clamp(5, LONGEST_BAR),
    };
    let drawn: Vec<Vec<String>> = all.iter().map(|wave| draw(wave, columns)).collect();
    let needed: usize = drawn.iter().map(Vec::len).sum();
    if needed <= room {
        return drawn.concat();
    }
    let open = all.iter().position(|wave| wave.gate != GateWord::Passed);
    let first = open.unwrap_or(all.len().saturating_sub(1));
    let mut lines: Vec<String> = drawn.iter().skip(first).flatten().cloned().collect();
    let mut from = first;
    // Those that passed are worth the lines that are left.
    while from > 0 && lines.len() + 1 < room {
        from -= 1;
        let before = drawn.get(from).cloned().unwrap_or_default();
        lines.splice(0..0, before);
    }
    if lines.len() > room || from > 0 {
        lines.truncate(room.saturating_sub(1));
        let shown = lines.iter().filter(|line| line.contains('[')).count();
        lines.push(format!(
            "and {} more waves",
            all.len() - shown.min(all.len())
        ));
    }
    lines.truncate(room);
    lines
}

/// How many columns the parts of a line have.
#[derive(Debug, Clone, Copy)]
struct Columns {
    name: usize,
    bar: usize,
}

fn numbers(wave: &StatusOfWave) -> String {
    let failed = match wave.failed {
        0 => String::new(),
        failed => format!(", {failed} failed, {} may", wave.may_fail),
    };
    format!("{}/{}{failed}", done(&wave.counts), wave.members)
}

/// A wave: its bar, and where it matters what its gate says.
fn draw(wave: &StatusOfWave, columns: Columns) -> Vec<String> {
    let name = truncate_str(&clean(&wave.name), columns.name, "…").into_owned();
    let pad = " ".repeat(columns.name.saturating_sub(measure_text_width(&name)));
    let (bar, numbers) = (bar(wave, columns.bar), numbers(wave));
    let mut lines = vec![format!("{name}{pad} [{bar}] {numbers}")];
    let words = match &*wave.gate_words {
        "" => String::new(),
        words => format!(": {}", clean(words)),
    };
    match wave.gate {
        GateWord::Passed | GateWord::NotOpen => {}
        GateWord::Exceeded => lines.push(format!("  gate exceeded{words}")),
        GateWord::Passes => lines.push(format!("  gate passes{words}")),
        GateWord::Waits | GateWord::Other => lines.push(format!("  gate waits{words}")),
    }
    lines
}

/// `=` is done, `-` soaks, `>` runs, `!` failed, `?` is unknown. Whatever there is has at
/// least one column, as long as there is room.
fn bar(wave: &StatusOfWave, columns: usize) -> String {
    let of = &wave.counts;
    let whole = wave.members.max(of.all());
    let parts = [
        ('=', done(of)),
        ('-', of.soaking),
        ('>', of.running),
        ('!', of.failed),
        ('?', of.unknown),
    ];
    paint::bar(&parts, whole, columns)
}

#[cfg(test)]
mod tests;
