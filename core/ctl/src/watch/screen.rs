//! The other screen of a terminal, on which a picture is drawn again and again, so that what
//! stood there before comes back afterwards. Lines are written over those before, the whole
//! picture at once: nothing flickers, and nobody sees a half.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use console::Term;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::paint::Line;

/// Between two pictures at least: five a second.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two pictures where nothing changes but the time.
const TICK: Duration = Duration::from_secs(1);
/// What a terminal has that does not tell.
const USUAL: Size = Size {
    width: 80,
    height: 24,
};

/// The size of a terminal, in columns and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
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

/// One of the two streams that may lead to a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Stream {
    /// Whether pictures can be drawn on it.
    pub(crate) fn can_draw(self) -> bool {
        self.term().is_term() && !is_dumb()
    }

    fn term(self) -> Term {
        match self {
            Self::Out => Term::stdout(),
            Self::Err => Term::stderr(),
        }
    }

    /// What is written to it arrives as it was written: nothing is held back.
    fn file(self) -> io::Result<File> {
        Ok(File::from(match self {
            Self::Out => io::stdout().as_fd().try_clone_to_owned()?,
            Self::Err => io::stderr().as_fd().try_clone_to_owned()?,
        }))
    }
}

/// Whether the terminal says that it can do nothing, or says nothing.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// The other screen. The usual one comes back when it is dropped.
pub(crate) struct Screen {
    to: Box<dyn Write + Send>,
    size: Box<dyn Fn() -> Option<Size> + Send>,
    colors: bool,
    /// When the last picture was drawn; `None`: never.
    drawn: Option<Instant>,
    /// Something is not drawn yet.
    stale: bool,
    resized: Option<Signal>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Screen {
    /// Takes the terminal of a stream.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) fn open(stream: Stream, colors: bool) -> io::Result<Self> {
        let term = stream.term();
        let size = move || {
            let (height, width) = term.size_checked()?;
            Some(Size {
                width: width.into(),
                height: height.into(),
            })
        };
        // Without the signal the next picture has the new size.
        let resized = signal(SignalKind::window_change()).ok();
        Ok(Self::over(stream.file()?, size, colors, resized))
    }

    fn over(
        to: impl Write + Send + 'static,
        size: impl Fn() -> Option<Size> + Send + 'static,
        colors: bool,
        resized: Option<Signal>,
    ) -> Self {
        let mut to: Box<dyn Write + Send> = Box::new(to);
        // A terminal that is gone cannot be told.
        let _ = to.write_all(ENTER.as_bytes());
        Self {
            to,
            size: Box::new(size),
            colors,
            drawn: None,
            stale: true,
            resized,
        }
    }

    /// Something has changed. `true`: it may be drawn now.
    pub(crate) fn changed(&mut self) -> bool {
        self.stale = true;
        self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW)
    }

    /// Returns when the next picture is due: a moment after what changed, and every second.
    pub(crate) async fn due(&mut self) {
        // The first one is drawn by whoever has something to show.
        let Some(drawn) = self.drawn else {
            return std::future::pending().await;
        };
        let next = drawn + if self.stale { REDRAW } else { TICK };
        match &mut self.resized {
            None => tokio::time::sleep_until(next).await,
            Some(resized) => {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    _ = resized.recv() => tokio::time::sleep_until(drawn + REDRAW).await,
                }
            }
        }
    }

    /// Draws: one write for the whole picture.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(crate) fn draw(&mut self, picture: impl FnOnce(Size) -> Vec<Line>) -> io::Result<()> {
        let size = (self.size)().filter(|size| size.width > 0 && size.height > 0);
        let size = size.unwrap_or(USUAL);
        let lines: Vec<String> = (picture(size).into_iter().take(size.height))
            .map(|line| line.fit(size.width).text(self.colors))
            .collect();
        let text = format!(
            "{HOME}{}{WIPE}{WIPE_BELOW}",
            lines.join(&format!("{WIPE}\n"))
        );
        (self.drawn, self.stale) = (Some(Instant::now()), false);
        self.to.write_all(text.as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.to.write_all(LEAVE.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::paint::Paint;
    use super::*;

    /// Remembers each write and when it came.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<(Duration, String)>>>, Option<Instant>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let at = self.1.map(|start| start.elapsed()).unwrap_or_default();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.lock().unwrap().push((at, text));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn five_pictures_a_second_at_most_and_one_where_nothing_changes() {
        let writes = Writes(Arc::default(), Some(Instant::now()));
        let mut screen = Screen::over(writes.clone(), || None, false, None);
        let line = |text: String| move |_| vec![Line::new(Paint::Plain, text)];
        // A change every 10 ms for ten seconds.
        let mut changes = tokio::time::interval(Duration::from_millis(10));
        let mut seen = 0;
        while seen < 1_000 {
            tokio::select! {
                biased;
                _ = changes.tick() => {
                    seen += 1;
                    if screen.changed() {
                        screen.draw(line(format!("change {seen}"))).unwrap();
                    }
                }
                () = screen.due() => screen.draw(line(format!("change {seen}"))).unwrap(),
            }
        }
        let pictures = |writes: &Writes| -> Vec<(Duration, String)> {
            let all = writes.0.lock().unwrap().clone();
            (all.into_iter().filter(|(_, text)| text.starts_with(HOME))).collect()
        };
        let drawn = pictures(&writes);
        assert!((45..=51).contains(&drawn.len()), "{}", drawn.len());
        for pair in drawn.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= REDRAW, "{pair:?}");
        }
        // The last change is drawn soon, then the time alone goes on.
        for at in 0..5 {
            screen.due().await;
            screen.draw(line(format!("quiet {at}"))).unwrap();
        }
        let quiet = pictures(&writes).split_off(drawn.len());
        assert!(quiet[0].0 - drawn[drawn.len() - 1].0 <= REDRAW);
        for pair in quiet.windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, TICK);
        }
        drop(screen);
        let all = writes.0.lock().unwrap().clone();
        assert_eq!((&*all[0].1, &*all[all.len() - 1].1), (ENTER, LEAVE));
        assert!(all.iter().all(|(_, text)| !text.contains("\x1b[2J")));
    }
}
