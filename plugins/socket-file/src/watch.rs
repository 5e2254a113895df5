//! Waits until something happens to the names of a socket. The kernel tells of the
//! folder (inotify); what it does not tell, such as a folder above that was moved, is
//! found by a look now and then.

use std::time::Duration;

use futures_util::StreamExt;
use inotify::{EventStream, Inotify, WatchMask};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::place::Place;

/// How often is looked without being told.
const NOW_AND_THEN: Duration = Duration::from_millis(250);
/// How often where the kernel tells nothing: no instance of inotify was left.
const WITHOUT_EVENTS: Duration = Duration::from_millis(50);
/// Room for the events of one read, in bytes.
const ROOM: usize = 4096;

type Events = EventStream<[u8; ROOM]>;

/// Waits for changes of one place.
pub(crate) struct Watch<'a> {
    place: &'a Place,
    events: Option<Events>,
    looks: Interval,
}

impl<'a> Watch<'a> {
    /// Begins to watch: what happens from now on is not missed.
    pub(crate) fn new(place: &'a Place) -> Self {
        let events = events(place);
        if let Err(error) = &events {
            let folder = place.folder().display();
            tracing::warn!(%folder, %error, "changes of the folder are not told; looking often instead");
        }
        let events = events.ok();
        let mut looks = interval(match events {
            Some(_) => NOW_AND_THEN,
            None => WITHOUT_EVENTS,
        });
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        Self {
            place,
            events,
            looks,
        }
    }

    /// Returns when something may have happened to one of the names, or it is time to look.
    pub(crate) async fn changed(&mut self) {
        tokio::select! {
            () = told(&mut self.events, self.place) => {}
            _ = self.looks.tick() => {}
        }
    }
}

fn events(place: &Place) -> std::io::Result<Events> {
    let inotify = Inotify::init()?;
    let what = WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVED_FROM
        | WatchMask::MOVED_TO
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR;
    inotify.watches().add(place.folder(), what)?;
    inotify.into_event_stream([0; ROOM])
}

/// Returns at an event that concerns the place; never without events.
async fn told(events: &mut Option<Events>, place: &Place) {
    while let Some(stream) = events {
        match stream.next().await {
            // Without a name: of the folder itself, or some were lost.
            Some(Ok(event)) => match event.name {
                Some(name) if !place.knows(&name) => {}
                _ => return,
            },
            Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
            ended => {
                let (folder, error) = (place.folder().display(), ended.and_then(Result::err));
                tracing::warn!(%folder, ?error, "changes of the folder are not told any more");
                *events = None;
            }
        }
    }
    std::future::pending().await
}
