//! The write commands of the files that are being sent: read and encoded once for all
//! deliveries that are near each other in a file, with a bound on the memory of all of
//! them together (`delivery.max_memory`).
//!
//! A [`Session`](super::session) asks for the command at its place of the file. Commands
//! lie in memory of their own, each with its share of the bound, which is given back when
//! the last delivery has sent it. Blocks of them are kept for those who come after, until
//! the room is needed, or nobody sends anything.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wpk_api::Sha1;
use wpk_wire::{AgentCommand, CommandForm};

use crate::cache::WpkFile;
use crate::single_flight::SingleFlight;

/// The most that is read at once, in bytes: a disk is not asked for each command.
const BLOCK: usize = 256 << 10;
/// Reads at a time. Each is a thread, and two keep a disk busy.
const READERS: usize = 4;
/// What one permit of the bound stands for, in bytes.
const UNIT: usize = 1 << 10;
/// More than the head and tail of a command, in bytes.
const COMMAND_ROOM: usize = 512;
/// The least bound, in bytes: room for a block and what is on its way.
const LEAST: u64 = 1 << 20;

/// The commands of one file, in one form.
#[derive(Debug, PartialEq, Eq)]
struct Stream {
    /// Of all that follows: it is asked for with each command.
    hash: u64,
    sha1: Sha1,
    len: u64,
    name: String,
    form: CommandForm,
    chunk: usize,
}

impl Hash for Stream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl Stream {
    fn new(file: &WpkFile, form: CommandForm, chunk: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        (file.sha1, file.len, &file.name, form, chunk).hash(&mut hasher);
        Self {
            hash: hasher.finish(),
            sha1: file.sha1,
            len: file.len,
            name: file.name.clone(),
            form,
            chunk,
        }
    }
}

/// Which commands: `pieces` of them, from the `number`th group of as many on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    stream: Arc<Stream>,
    pieces: usize,
    number: u64,
}

type Block = Arc<Vec<Bytes>>;

/// A block that may be wanted again.
struct Kept {
    block: Block,
    used: u64,
}

#[derive(Default)]
struct Shelf {
    blocks: HashMap<Place, Kept>,
    /// Counts what was asked for, so that the oldest is known.
    clock: u64,
    /// Readers that wait for room: nothing is kept meanwhile.
    waiting: usize,
}

/// All commands that are in memory.
pub(crate) struct Pieces {
    shelf: Arc<Mutex<Shelf>>,
    flights: SingleFlight<Place, Result<Block, Arc<io::Error>>>,
    room: Arc<Semaphore>,
    size: usize,
    readers: Arc<Semaphore>,
    senders: AtomicUsize,
}

/// One delivery that sends a file.
pub(crate) struct Sender<'a> {
    pieces: &'a Pieces,
    file: &'a WpkFile,
    stream: Arc<Stream>,
}

impl Drop for Sender<'_> {
    fn drop(&mut self) {
        // Nobody comes after the last one soon: the memory goes back.
        if self.pieces.senders.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.pieces.shelf().blocks.clear();
        }
    }
}

impl Pieces {
    /// With room for `max_memory` bytes, 1 MiB at least.
    pub(crate) fn new(max_memory: u64) -> Self {
        let size = usize::try_from(max_memory.max(LEAST)).unwrap_or(usize::MAX);
        // A permit is a KiB; tokio counts in 61 bits of them.
        let size = (size / UNIT).min(u32::MAX as usize);
        Self {
            shelf: Arc::default(),
            flights: SingleFlight::new(),
            room: Arc::new(Semaphore::new(size)),
            size,
            readers: Arc::new(Semaphore::new(READERS)),
            senders: AtomicUsize::new(0),
        }
    }

    /// Whether anything is sent.
    pub(crate) fn are_sent(&self) -> bool {
        self.senders.load(Ordering::Relaxed) > 0
    }

    /// Begins to send a file, `chunk` bytes of it with each command.
    pub(crate) fn send<'a>(
        &'a self,
        file: &'a WpkFile,
        form: CommandForm,
        chunk: usize,
    ) -> Sender<'a> {
        self.senders.fetch_add(1, Ordering::Relaxed);
        Sender {
            pieces: self,
            file,
            stream: Arc::new(Stream::new(file, form, chunk)),
        }
    }

    /// Forgets what was read of a file with this digest: somebody doubts that it was read
    /// well.
    pub(crate) fn forget(&self, sha1: Sha1) {
        let mut shelf = self.shelf();
        shelf.blocks.retain(|place, _| place.stream.sha1 != sha1);
    }

    /// How many commands a block has: few where many senders share the room, so that what
    /// one reads is not thrown away before another comes to it.
    fn pieces(&self, command: usize) -> usize {
        let senders = self.senders.load(Ordering::Relaxed).max(1);
        let share = self.size.saturating_mul(UNIT) / 2 / senders;
        let fit = share.min(BLOCK) / command.max(1);
        // Blocks of different sizes share nothing: few sizes.
        fit.checked_ilog2().map_or(1, |log| 1 << log)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        lock(&self.shelf)
    }

    fn kept(&self, place: &Place) -> Option<Block> {
        let mut shelf = self.shelf();
        shelf.clock += 1;
        let clock = shelf.clock;
        let kept = shelf.blocks.get_mut(place)?;
        kept.used = clock;
        Some(kept.block.clone())
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sender<'_> {
    /// The command for the bytes from `offset` on, which is a multiple of the chunk size
    /// below the file's length.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it was.
    pub(crate) async fn command(&self, offset: u64) -> Result<Bytes, Arc<io::Error>> {
        let chunk = self.stream.chunk.max(1);
        let pieces = self.pieces.pieces(self.command_size());
        let index = offset / chunk as u64;
        let place = Place {
            stream: self.stream.clone(),
            pieces,
            number: index / pieces as u64,
        };
        let block = match self.pieces.kept(&place) {
            Some(block) => block,
            None => self.read(place).await?,
        };
        let inside = (index % pieces as u64) as usize;
        let piece = block.get(inside).cloned();
        piece.ok_or_else(|| Arc::new(shorter()))
    }

    /// The most that a command takes, in bytes.
    fn command_size(&self) -> usize {
        let data = match self.stream.form {
            CommandForm::Json => self.stream.chunk.div_ceil(3) * 4,
            CommandForm::Com => self.stream.chunk,
        };
        // A quoted name takes six bytes for one at most.
        data + self.file.name.len() * 6 + COMMAND_ROOM
    }

    async fn read(&self, place: Place) -> Result<Block, Arc<io::Error>> {
        let job = Read {
            file: self.file.clone(),
            each: self.command_size(),
            place: place.clone(),
            shelf: self.pieces.shelf.clone(),
            room: self.pieces.room.clone(),
            readers: self.pieces.readers.clone(),
        };
        self.pieces.flights.run(place, || job.run()).await
    }
}

fn shorter() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the WPK became shorter meanwhile",
    )
}

/// One block on its way from the disk.
struct Read {
    file: WpkFile,
    /// The most that a command takes, in bytes.
    each: usize,
    place: Place,
    shelf: Arc<Mutex<Shelf>>,
    room: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

impl Read {
    async fn run(self) -> Result<Block, Arc<io::Error>> {
        let room = self.make_room().await;
        let reader = self.readers.clone().acquire_owned().await;
        let (file, each) = (self.file, self.each);
        let place = self.place.clone();
        let read = tokio::task::spawn_blocking(move || {
            // Given back when the thread is free again, whoever still waits for it.
            let _reader = reader;
            read(&file, each, &place, room)
        });
        let block = read.await.map_err(io::Error::other).flatten();
        let block = Arc::new(block.map_err(Arc::new)?);
        let mut shelf = lock(&self.shelf);
        if shelf.waiting == 0 {
            shelf.clock += 1;
            let kept = Kept {
                block: block.clone(),
                used: shelf.clock,
            };
            shelf.blocks.insert(self.place, kept);
        }
        Ok(block)
    }

    /// Room for the whole block; what was used longest ago goes for it. What is being sent
    /// keeps its room until it is sent.
    async fn make_room(&self) -> Vec<OwnedSemaphorePermit> {
        let units = u32::try_from(self.each.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let mut found = Vec::with_capacity(self.place.pieces);
        while found.len() < self.place.pieces {
            if let Ok(piece) = self.room.clone().try_acquire_many_owned(units) {
                found.push(piece);
                continue;
            }
            if drop_oldest(&mut lock(&self.shelf)) {
                continue;
            }
            // What is on its way is kept by nobody from now on.
            let waits = Waits::new(&self.shelf);
            while drop_oldest(&mut lock(&self.shelf)) {}
            // One at a time, while nothing is held: two who hold half of what they need
            // would wait for each other.
            found.clear();
            let all = units.saturating_mul(self.place.pieces as u32);
            let Ok(mut room) = self.room.clone().acquire_many_owned(all).await else {
                // Closed never.
                break;
            };
            drop(waits);
            while let Some(piece) = room.split(units as usize) {
                found.push(piece);
            }
        }
        found.truncate(self.place.pieces);
        found
    }
}

/// Somebody waits for room as long as this is there.
struct Waits<'a>(&'a Mutex<Shelf>);

impl<'a> Waits<'a> {
    fn new(shelf: &'a Mutex<Shelf>) -> Self {
        lock(shelf).waiting += 1;
        Self(shelf)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        lock(self.0).waiting -= 1;
    }
}

/// Forgets the block that was used longest ago, if there is one.
fn drop_oldest(shelf: &mut Shelf) -> bool {
    let oldest = shelf.blocks.iter().min_by_key(|(_, kept)| kept.used);
    let Some(place) = oldest.map(|(place, _)| place.clone()) else {
        return false;
    };
    shelf.blocks.remove(&place).is_some()
}

/// A command, and its share of the room.
struct Held {
    command: BytesMut,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.command
    }
}

/// Blocks.
fn read(
    file: &WpkFile,
    each: usize,
    place: &Place,
    room: Vec<OwnedSemaphorePermit>,
) -> io::Result<Vec<Bytes>> {
    let chunk = place.stream.chunk.max(1);
    let offset = place.number * (place.pieces * chunk) as u64;
    let left = usize::try_from(file.len.saturating_sub(offset)).unwrap_or(usize::MAX);
    let data = file.read_at(offset, left.min(place.pieces * chunk))?;
    if data.len() < left.min(place.pieces * chunk) {
        return Err(shorter());
    }
    let commands = data.chunks(chunk).zip(room).map(|(chunk, room)| {
        let mut command = BytesMut::with_capacity(each);
        let write = AgentCommand::Write {
            file: &file.name,
            chunk,
        };
        write.encode(place.stream.form, &mut command);
        Bytes::from_owner(Held {
            command,
            _room: room,
        })
    });
    Ok(commands.collect())
}

#[cfg(test)]
mod tests;
