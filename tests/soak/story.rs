//! A story: the daemon's lives one after the other, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::channel::Lie;
use crate::dice::Dice;
use crate::life::Life;
use crate::oracle::Fault;
use crate::world::{AGENTS, World};

/// Seeds, and simulated seconds, of stories that are told in every run: a usual one,
/// and those that once found something.
pub const AGAIN: &[(u64, u64)] = &[(1, 3_600)];

/// The most faults that are shown.
const SHOWN: usize = 20;

/// When all is mended and the last life begins.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// At this moment, by the clock on the wall.
    Wall(Instant),
    /// So far into the story, by its own.
    Simulated(Duration),
}

impl Until {
    pub fn is_over(self, simulated: Duration) -> bool {
        match self {
            Self::Wall(end) => Instant::now() >= end,
            Self::Simulated(end) => simulated >= end,
        }
    }
}

/// Where the store lies: in memory where that can be had, since it writes each
/// change through, and a disk that others use as well makes the story shorter.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// What is going to happen.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    pub seed: u64,
    pub lie: Lie,
}

/// Says which story it was that broke off.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            crate::tell(&format!("soak: seed {} broke off\n", self.0));
        }
    }
}

/// What came of a story.
pub struct Told {
    seed: u64,
    lives: usize,
    killed: usize,
    /// When the last life began.
    mended: Duration,
    lasted: Duration,
    took: Duration,
    accepted: usize,
    installers: usize,
    corrected: usize,
    statuses: BTreeMap<String, usize>,
    faults: Vec<(Fault, String)>,
}

impl Story {
    /// Tells it to its end.
    pub fn tell(self, until: Until) -> Told {
        let _named = Named(self.seed);
        let (began, home) = (Instant::now(), folder());
        let world = Arc::new(World::new(self.seed));
        let custom = vec![9; 30_000];
        std::fs::write(home.path().join("custom.wpk"), &custom).unwrap();
        world.state().files.insert(custom.into());
        std::fs::create_dir_all(home.path().join("var/upgrade")).unwrap();
        let mut dice = Dice::of(self.seed, 0);
        let (mut lives, mut killed) = (0, 0);
        while !until.is_over(world.time()) {
            let life = Life::throw(lives, &mut dice, self.lie);
            life.run(&world, home.path(), &mut dice, until);
            lives += 1;
            killed += usize::from(life.killed);
            if !world.book().faults().is_empty() && self.lie == Lie::No {
                break;
            }
        }
        let mended = world.time();
        Life::last(self.lie).run(&world, home.path(), &mut dice, until);
        let installers = world.state().installers();
        let book = world.book();
        Told {
            seed: self.seed,
            lives,
            killed,
            mended,
            lasted: world.time(),
            took: began.elapsed(),
            accepted: book.accepted(),
            installers,
            corrected: book.corrected,
            statuses: book.statuses(),
            faults: book.faults().to_vec(),
        }
    }
}

impl Told {
    pub fn faults(&self) -> &[(Fault, String)] {
        &self.faults
    }

    pub fn count(&self, fault: Fault) -> usize {
        self.faults.iter().filter(|(of, _)| *of == fault).count()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (fault, what) in self.faults.iter().take(SHOWN) {
            let _ = writeln!(text, "{fault:?}: {what}");
        }
        let statuses: Vec<String> = self
            .statuses
            .iter()
            .map(|(status, count)| format!("{status} {count}"))
            .collect();
        let _ = write!(
            text,
            "soak: seed {}, {} lives, {} killed, all mended after {} simulated s; {:.1} h in {:.0?}\n\
             soak: {AGENTS} agents, {} tasks accepted, {} installers run, {} time-outs corrected; {}\n\
             soak: lost {}, installers run twice {}, stuck {}, untrue {}\n",
            self.seed,
            self.lives,
            self.killed,
            self.mended.as_secs(),
            self.lasted.as_secs_f64() / 3_600.0,
            self.took,
            self.accepted,
            self.installers,
            self.corrected,
            statuses.join(", "),
            self.count(Fault::Lost),
            self.count(Fault::Twice),
            self.count(Fault::Stuck),
            self.count(Fault::Untrue),
        );
        text
    }

    /// A story in which nothing happens finds nothing.
    pub fn must_have_met_everything(&self) {
        for status in ["Done", "Failed", "Timeout", "Legacy"] {
            assert!(self.statuses.contains_key(status), "no task was {status}");
        }
        assert!(self.corrected > 0, "no late word corrected a time-out");
        assert!(self.killed > 0, "no daemon was killed");
        assert!(self.installers > 200, "{} installers", self.installers);
    }
}
