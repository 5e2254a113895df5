//! Watching a rollout: asks again and again until nothing is left to do, it is stopped, or
//! Ctrl-C. On a terminal the picture of `board`, on a screen of its own, so that what stood
//! there before comes back; elsewhere a line for each change, or an object.

use std::io::IsTerminal;
use std::time::Duration;

use console::Term;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};
use wpk_wire::own::rollout::{AskRollout, RolloutState, StatusOfRollout};

use super::ask;
use super::board::{Size, lay_out};
use super::text::{failure, gate, title, warnings};
use crate::error::CtlError;
use crate::manager::client::Client;
use crate::output::Output;
use crate::rollout::words::counts;
use crate::watch::passing;

/// How long a manager that went away is waited for.
const RECONNECT_FOR: Duration = Duration::from_secs(300);
/// Counts alone are a change worth a line this often.
const COUNTS_EVERY: Duration = Duration::from_secs(10);

/// How watching ended.
#[derive(Debug)]
pub(super) struct Watched {
    /// What was seen last.
    pub(super) status: Option<StatusOfRollout>,
    /// Ctrl-C ended it.
    pub(super) interrupted: bool,
}

/// Asks until the rollout is over or stopped, or somebody ends the watching.
///
/// # Errors
/// When the manager cannot be reached for five minutes, or refuses.
pub(super) async fn until_over(
    client: &mut Client,
    asked: &AskRollout,
    pause: Duration,
    out: &Output,
) -> Result<Watched, CtlError> {
    let mut view = View::new(*out);
    let mut status = None;
    // Whoever ends it gets the usual screen back.
    let mut end = signal(SignalKind::terminate()).map_err(CtlError::Runtime)?;
    let interrupted = {
        let watching = look(client, asked, pause, &mut view, &mut status);
        tokio::select! {
            ended = watching => {
                ended?;
                false
            }
            _ = tokio::signal::ctrl_c() => true,
            _ = end.recv() => true,
        }
    };
    drop(view);
    Ok(Watched {
        status,
        interrupted,
    })
}

async fn look(
    client: &mut Client,
    asked: &AskRollout,
    pause: Duration,
    view: &mut View,
    last: &mut Option<StatusOfRollout>,
) -> Result<(), CtlError> {
    let mut ticker = interval(pause);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away: Option<Instant> = None;
    loop {
        ticker.tick().await;
        match ask::status(client, asked).await {
            Ok(status) => {
                if away.take().is_some() {
                    view.note("back", "the manager is back")?;
                }
                view.show(&status)?;
                let over = is_over(&status);
                *last = Some(status);
                if over {
                    return Ok(());
                }
            }
            Err(error) if passing(&error) => {
                if away.is_none() {
                    view.note("lost", &format!("{error}; trying again"))?;
                }
                if away.get_or_insert_with(Instant::now).elapsed() >= RECONNECT_FOR {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether nothing happens any more unless somebody does something.
fn is_over(status: &StatusOfRollout) -> bool {
    use RolloutState::{Cancelled, Converged, Halted, Superseded};
    let in_flight = status.counts.running > 0;
    match status.state {
        Converged | Cancelled | Superseded | Halted => !in_flight,
        _ => false,
    }
}

/// Where it is shown.
enum View {
    /// A terminal.
    Screen(Screen),
    /// Anything else.
    Lines(Lines),
}

impl View {
    fn new(out: Output) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let screen = std::io::stdout().is_terminal() && !dumb && !out.json && !out.quiet;
        match screen {
            true => Self::Screen(Screen::open()),
            false => Self::Lines(Lines {
                out,
                told: Vec::new(),
                counted: None,
                status: None,
            }),
        }
    }

    fn show(&mut self, status: &StatusOfRollout) -> Result<(), CtlError> {
        match self {
            Self::Screen(screen) => {
                screen.note = None;
                screen.draw(status)
            }
            Self::Lines(lines) => lines.show(status),
        }
    }

    /// Says something about the connection.
    fn note(&mut self, event: &str, text: &str) -> Result<(), CtlError> {
        match self {
            Self::Screen(screen) => {
                screen.note = Some(text.to_owned());
                let last = screen.last.take();
                last.map_or(Ok(()), |status| screen.draw(&status))
            }
            Self::Lines(lines) => {
                let out = lines.out;
                out.event(&serde_json::json!({"event": event, "message": text}))?;
                if !out.json && !out.quiet {
                    out.warn(text);
                }
                Ok(())
            }
        }
    }
}

/// The other screen of a terminal; the usual one comes back when it is dropped.
struct Screen {
    term: Term,
    note: Option<String>,
    last: Option<StatusOfRollout>,
}

/// To the other screen, without a cursor and without lines that go on in the next one.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// Back.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// To the first column of the first line.
const HOME: &str = "\x1b[H";
/// What is left of a line, and of the screen, is wiped.
const WIPE: &str = "\x1b[K";
const WIPE_BELOW: &str = "\x1b[J";

impl Screen {
    fn open() -> Self {
        let term = Term::buffered_stdout();
        // A terminal that is gone cannot be told.
        let _ = term.write_str(ENTER);
        Self {
            term,
            note: None,
            last: None,
        }
    }

    /// One write for the whole picture, so that nobody sees a half of it.
    fn draw(&mut self, status: &StatusOfRollout) -> Result<(), CtlError> {
        let (height, width) = self.term.size_checked().unwrap_or((24, 80));
        let size = Size {
            width: width.into(),
            height: height.into(),
        };
        let lines = lay_out(status, self.note.as_deref(), size);
        let text = format!(
            "{HOME}{}{WIPE}{WIPE_BELOW}",
            lines.join(&format!("{WIPE}\n"))
        );
        self.last = Some(status.clone());
        self.term
            .write_str(&text)
            .and_then(|()| self.term.flush())
            .map_err(CtlError::Print)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.term.write_str(LEAVE);
        let _ = self.term.flush();
    }
}

/// Lines for what changed.
struct Lines {
    out: Output,
    told: Vec<String>,
    counted: Option<Instant>,
    status: Option<StatusOfRollout>,
}

impl Lines {
    fn show(&mut self, status: &StatusOfRollout) -> Result<(), CtlError> {
        // Its clock goes on without a change.
        let same = self.status.as_ref().is_some_and(|last| {
            let last = StatusOfRollout {
                now: status.now,
                planner: status.planner.clone(),
                ..last.clone()
            };
            last == *status
        });
        if same {
            return Ok(());
        }
        self.out.event(status)?;
        let mut now = vec![title(status)];
        now.extend(warnings(status));
        let opened = status.waves.iter().filter(|wave| wave.opened.is_some());
        now.extend(opened.map(gate));
        now.extend(status.failures.iter().rev().map(failure));
        for line in &now {
            if !self.told.contains(line) && !self.counts_only(line) {
                self.out.line(line)?;
            }
        }
        if self.counted.is_none_or(|at| at.elapsed() >= COUNTS_EVERY) {
            self.out
                .line(format!("agents: {}", counts(&status.counts)))?;
            self.counted = Some(Instant::now());
        }
        self.told = now;
        self.status = Some(status.clone());
        Ok(())
    }

    /// Whether a gate says what it said before with other numbers.
    fn counts_only(&self, line: &str) -> bool {
        let bare = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        let gate = line.starts_with("gate of ");
        gate && self.told.iter().any(|told| bare(told) == bare(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_wire::own::rollout::StateCounts;

    #[test]
    fn watching_ends_when_nothing_happens_by_itself() {
        let with = |state, running| StatusOfRollout {
            state,
            counts: StateCounts {
                running,
                ..StateCounts::default()
            },
            ..StatusOfRollout::default()
        };
        assert!(is_over(&with(RolloutState::Converged, 0)));
        assert!(is_over(&with(RolloutState::Halted, 0)));
        // What was begun ends by itself, and is worth waiting for.
        assert!(!is_over(&with(RolloutState::Halted, 1)));
        assert!(!is_over(&with(RolloutState::Paused, 0)));
        assert!(!is_over(&with(RolloutState::Running, 0)));
    }
}
