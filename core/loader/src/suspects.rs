//! Whose code is running, for whoever reports that the process crashes. All that
//! is asked here may be asked in the handler of a signal: it reads what was written
//! when a library was loaded, takes no lock and allocates nothing.
//!
//! A thread that calls into a library carries a mark ([`of_this_thread`]). A plugin
//! has threads of its own as well: those are known by the addresses on their stack
//! ([`of_address`]).

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use crate::failure::tame;

/// Libraries that can be told apart; those beyond are not named.
const MOST: usize = 64;

static ALL: [OnceLock<&'static Suspect>; MOST] = [const { OnceLock::new() }; MOST];

thread_local! {
    static INSIDE: Cell<Option<&'static Suspect>> = const { Cell::new(None) };
}

/// One library.
#[derive(Debug)]
pub struct Suspect {
    file: String,
    name: OnceLock<String>,
    code: OnceLock<Vec<Range<usize>>>,
}

impl Suspect {
    /// A library that is about to be loaded from `path`.
    pub(crate) fn add(path: &Path) -> &'static Self {
        let suspect: &'static Self = Box::leak(Box::new(Self {
            file: tame(&path.display().to_string()),
            name: OnceLock::new(),
            code: OnceLock::new(),
        }));
        // The first free place.
        let _ = ALL.iter().find(|place| place.set(suspect).is_ok());
        suspect
    }

    /// Its name; before it has said it, its file.
    pub fn name(&self) -> &str {
        self.name.get().unwrap_or(&self.file)
    }

    /// The file it came from.
    pub fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn set_name(&self, name: &str) {
        let _ = self.name.set(name.to_owned());
    }

    /// Its code is what is mapped from the file that `address` is in.
    pub(crate) fn is_at(&self, address: usize) {
        // Without it the marks of threads are left.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let _ = self.code.set(code_of(&maps, address));
    }

    /// Does `work` with this thread marked.
    pub(crate) fn run<T>(&'static self, work: impl FnOnce() -> T) -> T {
        let before = INSIDE.replace(Some(self));
        let done = work();
        INSIDE.set(before);
        done
    }
}

/// The library that this thread has called into.
pub fn of_this_thread() -> Option<&'static Suspect> {
    INSIDE.try_with(Cell::get).ok().flatten()
}

/// The library whose code is at an address.
pub fn of_address(address: usize) -> Option<&'static Suspect> {
    let loaded = ALL.iter().map_while(OnceLock::get).copied();
    let mut loaded = loaded.filter(|suspect| {
        let code = suspect.code.get().map(Vec::as_slice).unwrap_or_default();
        code.iter().any(|range| range.contains(&address))
    });
    loaded.next()
}

/// The executable ranges of the file that `address` is mapped from.
fn code_of(maps: &str, address: usize) -> Vec<Range<usize>> {
    let lines: Vec<Mapped<'_>> = maps.lines().filter_map(mapped).collect();
    let meant = lines.iter().find(|line| line.range.contains(&address));
    let Some(meant) = meant else {
        return Vec::new();
    };
    let same = lines
        .iter()
        .filter(|line| line.file == meant.file && line.executable);
    same.map(|line| line.range.clone()).collect()
}

struct Mapped<'m> {
    range: Range<usize>,
    executable: bool,
    /// Device and inode.
    file: (&'m str, &'m str),
}

/// A line of `/proc/self/maps`: `from-to perms offset device inode path`.
fn mapped(line: &str) -> Option<Mapped<'_>> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let executable = words.next()?.contains('x');
    let (device, inode) = (words.nth(1)?, words.next()?);
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(Mapped {
        range: number(from)?..number(to)?,
        executable,
        file: (device, inode),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
        5000-6000 r-xp 00000000 08:01 11 /usr/bin/wpkd\n\
        7000-8000 r--p 00000000 00:01 77 /memfd:odd (deleted)\n\
        8000-9000 r-xp 00001000 00:01 77 /memfd:odd (deleted)\n\
        a000-b000 rw-p 00003000 00:01 77 /memfd:odd (deleted)\n\
        c000-d000 r-xp 00001000 00:01 78 /memfd:other (deleted)\n\
        e000-f000 rw-p 00000000 00:00 0 [heap]\n\
        not a line\n";

    #[test]
    fn the_code_of_a_library_is_what_is_mapped_from_its_file() {
        for (address, code) in [
            (0x8010, Some(0x8000..0x9000)),
            (0x7000, Some(0x8000..0x9000)),
            (0xcfff, Some(0xc000..0xd000)),
            (0x9000, None),
        ] {
            let found = code_of(MAPS, address);
            assert!(found.iter().eq(&code), "{address:x}: {found:x?}");
        }
    }

    #[test]
    fn a_thread_is_marked_while_it_is_inside() {
        let (one, two) = (
            Suspect::add(Path::new("/one.so")),
            Suspect::add(Path::new("/two.so")),
        );
        let inside = || of_this_thread().map(Suspect::name);
        assert_eq!(inside(), None);
        one.run(|| {
            assert_eq!(inside(), Some("/one.so"));
            two.run(|| assert_eq!(inside(), Some("/two.so")));
            one.set_name("one");
            assert_eq!(inside(), Some("one"));
        });
        assert_eq!(inside(), None);
    }

    #[test]
    fn an_address_leads_to_its_library() {
        let own = Suspect::add(Path::new("/proc/self/exe"));
        let here = an_address_leads_to_its_library as *const () as usize;
        own.is_at(here);
        assert_eq!(of_address(here).map(Suspect::file), Some("/proc/self/exe"));
        assert!(of_address(1).is_none());
    }
}
