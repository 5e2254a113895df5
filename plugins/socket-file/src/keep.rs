//! Keeps a socket of ours at its path while its program runs. Whoever removes it (a
//! clean-up of the folder, a manager that restarts) would else leave a program that
//! looks healthy and that nobody can reach.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use crate::error::SocketError;
use crate::place::{Lies, Name};
use crate::socket_file::{LOOK_AGAIN, SocketFile};
use crate::take::Taken;
use crate::watch::Watch;

/// How long the built-in may take from removing ours to listening at its own. Whoever
/// binds in between would break it. After that ours goes where it was.
const GRACE: Duration = Duration::from_secs(3);
/// How often it is tried to make a socket again that lost all its names, a look apart:
/// another program may hold the folder for a moment.
const ATTEMPTS: u32 = 8;
/// The pause between two of these.
const PAUSE: Duration = Duration::from_millis(250);

/// How a place that was lost was had back.
#[derive(Debug)]
pub enum Kept {
    /// With the same socket: go on.
    Back,
    /// With another one, which is to be accepted from and kept from now on; at the old one
    /// nobody new can come.
    Anew(SocketFile),
}

impl SocketFile {
    /// Watches the path, and returns when it was lost and is had back (with
    /// [`Kept::Anew`] it comes to its path while that one is kept). To be called again and
    /// again. Where it takes over, a socket that the built-in bound there is pushed aside
    /// as soon as it listens; else one of somebody else's is left alone, and said.
    ///
    /// # Errors
    /// [`SocketError`] if it cannot be put there again; not where it takes over, unless it
    /// lost all its names.
    pub async fn kept(&self) -> Result<Kept, SocketError> {
        let mut watch = Watch::new(&self.place);
        let mut away = Away::default();
        loop {
            if self.place.has_moved() {
                return self.anew().await;
            }
            match self.look(&mut away) {
                Ok(Look::InPlace) => watch.changed().await,
                Ok(Look::Back) => return Ok(Kept::Back),
                Ok(Look::Nameless) => return self.anew().await,
                Ok(Look::Soon) => {
                    tokio::select! {
                        () = watch.changed() => {}
                        () = sleep(LOOK_AGAIN) => {}
                    }
                }
                Err(error) => {
                    away.complain(&error);
                    away.failures += u32::from(matches!(error, SocketError::System { .. }));
                    // Where it takes over, clients have the built-in meanwhile.
                    if away.failures > ATTEMPTS && !self.wanted.take_over {
                        return Err(error);
                    }
                    watch.changed().await;
                }
            }
        }
    }

    fn look(&self, away: &mut Away) -> Result<Look, SocketError> {
        if self.place.lies(Name::Path)?.is(self.file) {
            self.mind_own_name()?;
            if away.said {
                let path = self.path().display();
                tracing::info!(%path, "the socket is back at its path");
                *away = Away::default();
            }
            return Ok(Look::InPlace);
        }
        let since = *away.since.get_or_insert_with(Instant::now);
        Ok(match self.put_there(since.elapsed() < GRACE, None)? {
            Taken::Ours => {
                self.say_back(since);
                Look::Back
            }
            Taken::NotYet => Look::Soon,
            Taken::Nameless => Look::Nameless,
        })
    }

    /// By the name of ours others see that we run.
    fn mind_own_name(&self) -> Result<(), SocketError> {
        if self.place.lies(Name::Own)? != Lies::Nothing {
            return Ok(());
        }
        match self.place.link(Name::Path, Name::Own) {
            Ok(()) => {}
            // It was removed, or the name was given, a moment ago: the next look sees it.
            Err(Errno::NOENT | Errno::EXIST) => return Ok(()),
            Err(error) => return Err(self.place.failed("give it its second name again", error)),
        }
        if self.place.lies(Name::Own)?.is(self.file) {
            return Ok(());
        }
        // Another one came to the path in between.
        self.place.unlink(Name::Own)
    }

    fn say_back(&self, since: Instant) {
        let pushed_aside = matches!(self.place.lies(Name::Builtin), Ok(Lies::Socket(_)));
        let times = self.losses.fetch_add(1, Ordering::Relaxed) + 1;
        let (path, after_ms) = (self.path().display(), since.elapsed().as_millis());
        let (us, them) = (self.wanted.names.us, self.wanted.names.them);
        match self.wanted.take_over && pushed_aside {
            true => tracing::info!(
                %path, times, after_ms,
                "{them} bound its socket anew (it was started again); {us} has the path back"
            ),
            false => tracing::warn!(
                %path, times, after_ms, "the socket was removed; it is there again"
            ),
        }
    }

    /// One with new names: those of this one were removed, most often with their folder.
    async fn anew(&self) -> Result<Kept, SocketError> {
        let mut failures = 0;
        loop {
            let bound = Self::bind(self.wanted.clone(), Arc::clone(&self.losses));
            let error = match bound {
                Ok((socket, _)) => return Ok(Kept::Anew(socket)),
                Err(error) => error,
            };
            failures += 1;
            if failures > ATTEMPTS {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }
}

/// What was seen at a look.
enum Look {
    /// All is well.
    InPlace,
    /// It was lost, and is had back.
    Back,
    /// It cannot be had back yet; look again soon.
    Soon,
    /// It has no name any more.
    Nameless,
}

/// How long the place is lost, and what was said of it.
#[derive(Debug, Default)]
struct Away {
    since: Option<Instant>,
    said: bool,
    failures: u32,
}

impl Away {
    /// Says once why the place is not had back.
    fn complain(&mut self, error: &SocketError) {
        if self.said {
            return;
        }
        self.said = true;
        match error {
            SocketError::Served(path) => tracing::error!(
                path = %path.display(),
                "the socket was replaced by somebody else, whom clients reach now; end that \
                 program and remove what it left, and the socket is made again (beside a running \
                 Wazuh manager or agent: set take_over = true)"
            ),
            error => tracing::error!("the socket is not at its path: {error}"),
        }
    }
}
