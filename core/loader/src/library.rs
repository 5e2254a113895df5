//! The dynamic linker: loads sealed bytes and calls their entry.
//!
//! Unsafe, because loading a library runs its code and its symbol is taken for
//! what its name says. That is the trust an administrator gives by naming the
//! library in the configuration; `file` has made sure that it is that library.
#![allow(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use wpk_abi::host::{HostTable, PluginView, Refusal};
use wpk_abi::tables::EntryFn;

use crate::LoadError;
use crate::file::Sealed;
use crate::suspects::Suspect;

/// How long a library may take to initialise.
const LIMIT: Duration = Duration::from_secs(30);

enum Trouble {
    Linker(String),
    NoEntry,
    Refused(Refusal),
}

/// Loads the library and negotiates. It is never unloaded: threads of its own
/// may run in it, and whatever it gave out points into it.
pub(crate) fn enter(
    path: &Path,
    sealed: Sealed,
    host: &HostTable,
    suspect: &'static Suspect,
) -> Result<PluginView, LoadError> {
    let (send, receive) = mpsc::channel();
    let host = host.clone();
    // On a thread of its own, because it may never come back.
    let loading = std::thread::Builder::new()
        .name("wpk-load".to_owned())
        .spawn(move || {
            // Nobody listens any more if it took too long.
            let entered = suspect.run(|| enter_here(sealed.into_path(), &host, suspect));
            let _ = send.send(entered);
        });
    if let Err(cause) = loading {
        let path = path.to_owned();
        return Err(LoadError::Io { path, cause });
    }
    let path = path.to_owned();
    match receive.recv_timeout(LIMIT) {
        Ok(Ok(view)) => Ok(view),
        Ok(Err(Trouble::Linker(cause))) => Err(LoadError::Linker { path, cause }),
        Ok(Err(Trouble::NoEntry)) => Err(LoadError::NoEntry(path)),
        Ok(Err(Trouble::Refused(cause))) => Err(LoadError::Refused { path, cause }),
        Err(_) => Err(LoadError::Hangs { path, limit: LIMIT }),
    }
}

fn enter_here(
    path: PathBuf,
    host: &HostTable,
    suspect: &'static Suspect,
) -> Result<PluginView, Trouble> {
    // SAFETY: the administrator trusts this library, see above.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| Trouble::Linker(words(&error)))?;
    // SAFETY: the symbol's name carries the version of its type.
    let entry = unsafe { library.get::<EntryFn>(wpk_abi::ENTRY) }.map(|symbol| *symbol);
    std::mem::forget(library);
    let entry = entry.map_err(|_| Trouble::NoEntry)?;
    suspect.is_at(entry as usize);
    // SAFETY: as above, and the library is never unloaded.
    unsafe { PluginView::enter(entry, host) }.map_err(Trouble::Refused)
}

/// What the linker said, with its causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
