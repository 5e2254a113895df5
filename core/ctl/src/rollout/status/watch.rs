//! Watching a rollout: asks again and again until nothing is left to do, it is stopped, or
//! Ctrl-C. On a terminal the picture of `board`, on a screen of its own, so that what stood
//! there before comes back; elsewhere a line for each change, or an object.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use wpk_wire::own::rollout::{AskRollout, RolloutState, StatusOfRollout};

use super::ask;
use super::board::lay_out;
use super::text::{failure, gate, title, warnings};
use crate::error::CtlError;
use crate::manager::client::{Client, passing};
use crate::output::Output;
use crate::rollout::words::counts;
use crate::watch::args::RolloutPace;
use crate::watch::screen::{Screen, Stream};
use crate::watch::unless_interrupted;

/// Counts alone are a change worth a line this often.
const COUNTS_EVERY: Duration = Duration::from_secs(10);

/// How watching ended.
#[derive(Debug)]
pub(super) struct Watched {
    /// What was seen last.
    pub(super) status: Option<StatusOfRollout>,
    /// What ended the watching.
    pub(super) end: End,
}

/// What ended the watching of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing is left to do, or it is stopped.
    Over,
    /// It was watched for as long as was wished.
    TimedOut(Duration),
    /// Ctrl-C.
    Interrupted,
}

/// Asks until the rollout is over or stopped, or somebody ends the watching.
///
/// # Errors
/// When the manager cannot be reached for [`RolloutPace::reconnect_for`], or refuses.
pub(super) async fn until_over(
    client: &mut Client,
    asked: &AskRollout,
    pace: &RolloutPace,
    out: &Output,
) -> Result<Watched, CtlError> {
    let mut view = View::new(*out);
    let mut status = None;
    let watching = async {
        let looking = look(client, asked, pace, &mut view, &mut status);
        match pace.timeout {
            None => looking.await.map(|()| End::Over),
            Some(limit) => match timeout(limit, looking).await {
                Ok(looked) => looked.map(|()| End::Over),
                Err(_) => Ok(End::TimedOut(limit)),
            },
        }
    };
    let end = unless_interrupted(watching)
        .await?
        .unwrap_or(End::Interrupted);
    drop(view);
    Ok(Watched { status, end })
}

async fn look(
    client: &mut Client,
    asked: &AskRollout,
    pace: &RolloutPace,
    view: &mut View,
    last: &mut Option<StatusOfRollout>,
) -> Result<(), CtlError> {
    let mut ticker = interval(pace.interval);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away: Option<Instant> = None;
    loop {
        view.until_tick(&mut ticker).await?;
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
                if away.get_or_insert_with(Instant::now).elapsed() >= pace.reconnect_for {
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
    Picture(Picture),
    /// Anything else.
    Lines(Lines),
}

impl View {
    fn new(out: Output) -> Self {
        let draws = Stream::Out.can_draw() && !out.json && !out.quiet;
        let screen = draws.then(|| Screen::open(Stream::Out, out.colors(true)).ok());
        match screen.flatten() {
            Some(screen) => Self::Picture(Picture {
                screen,
                note: None,
                last: None,
            }),
            None => Self::Lines(Lines {
                out,
                told: Vec::new(),
                counted: None,
                status: None,
            }),
        }
    }

    fn show(&mut self, status: &StatusOfRollout) -> Result<(), CtlError> {
        match self {
            Self::Picture(picture) => {
                picture.note = None;
                picture.last = Some(status.clone());
                picture.draw()
            }
            Self::Lines(lines) => lines.show(status),
        }
    }

    /// Says something about the connection.
    fn note(&mut self, event: &str, text: &str) -> Result<(), CtlError> {
        match self {
            Self::Picture(picture) => {
                picture.note = Some(text.to_owned());
                picture.draw()
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

    /// Shows it again at another size, until the time is over.
    async fn until_tick(&mut self, ticker: &mut Interval) -> Result<(), CtlError> {
        loop {
            let Self::Picture(picture) = self else {
                ticker.tick().await;
                return Ok(());
            };
            tokio::select! {
                biased;
                _ = ticker.tick() => return Ok(()),
                () = picture.screen.due() => picture.draw()?,
            }
        }
    }
}

/// What is drawn on a terminal, and where.
struct Picture {
    screen: Screen,
    note: Option<String>,
    last: Option<StatusOfRollout>,
}

impl Picture {
    fn draw(&mut self) -> Result<(), CtlError> {
        let Some(status) = &self.last else {
            return Ok(());
        };
        let note = self.note.as_deref();
        let drawn = self.screen.draw(|size| lay_out(status, note, size));
        drawn.map_err(CtlError::Print)
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
