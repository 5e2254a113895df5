//! Plugins that are dynamic libraries (sdk/abi), behind the traits of `wpk-api`.
//!
//! [`load`] opens a library (`file`: the right owner, the right bytes; `library`:
//! the entry, negotiation; `description`: what is inside) and gives factories
//! that the daemon takes beside those of the built-ins. What they
//! make implements the traits of `wpk-api` (`provider`, `store`, ...) by asking
//! an `instance`; every question goes through the library's `border`, which
//! knows all open operations, their deadlines (`deadlines`), and when a plugin
//! has to be quarantined. Foreign code runs on `workers` only: threads that may
//! be lost without the daemon missing them. What the library calls comes in
//! through `host`. Whose code is running when the process crashes, `suspects`
//! knows.
//!
//! Unsafe code is in `library` alone: what it loads becomes safe to call there.
//!
//! ```no_run
//! use wpk_api::Factory;
//! use wpk_loader::{LoadOptions, load};
//!
//! let library = load("/usr/lib/wpkd/plugins/libshelf.so".as_ref(), &LoadOptions::default())?;
//! for factory in library.providers() {
//!     println!("{} brings the provider {:?}", library.name(), factory.kind());
//! }
//! # Ok::<(), wpk_loader::LoadError>(())
//! ```

mod border;
mod deadlines;
mod description;
mod directory;
mod error;
mod factory;
mod failure;
mod file;
mod handles;
mod host;
mod instance;
mod library;
mod logs;
mod observer;
mod operation;
mod options;
mod provider;
mod requests;
mod schema;
mod source;
mod store;
pub mod suspects;
mod transport;
mod workers;

use std::path::{Path, PathBuf};

use wpk_abi::host::HostTable;
use wpk_api::border::Description;
use wpk_api::{
    AgentDirectory, PluginKind, RequestSource, TaskObserver, TaskStore, Transport, WpkProvider,
};

pub use error::LoadError;
pub use factory::LoadedFactory;
pub use options::LoadOptions;

use border::Border;
use handles::Closes;
use suspects::Suspect;

/// A library that was loaded. It stays loaded for as long as the process lives.
#[derive(Clone)]
pub struct LoadedPlugin {
    border: &'static Border,
    table: HostTable,
    description: &'static Description,
    path: PathBuf,
}

/// Loads the library at `path`, which must be absolute. Blocks while the library
/// is read and initialises itself, at most 30 seconds for the latter.
///
/// # Errors
/// [`LoadError`] names the file and says what to do.
pub fn load(path: &Path, options: &LoadOptions) -> Result<LoadedPlugin, LoadError> {
    let sealed = file::open(path, options.sha256.as_ref())?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let suspect = Suspect::add(path);
    let border = Border::new(&name, suspect, options);
    let table = host::publish(border);
    let view = library::enter(path, sealed, &table, suspect)?;
    let description = description::read(&view).map_err(|cause| LoadError::Description {
        path: path.to_owned(),
        cause,
    })?;
    border.connect(view, &description.name);
    Ok(LoadedPlugin {
        border,
        table,
        description: Box::leak(Box::new(description)),
        path: path.to_owned(),
    })
}

macro_rules! factories {
    ($what:literal, $method:ident, $kind:ident, $trait:path, $make:path) => {
        #[doc = concat!("Its ", $what, ".")]
        pub fn $method(&self) -> Vec<LoadedFactory<dyn $trait>> {
            description::of(self.description, PluginKind::$kind)
                .map(|entry| LoadedFactory::new(self.border, entry, $make))
                .collect()
        }
    };
}

impl LoadedPlugin {
    /// The name it gives itself.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Whether it answers: it is not quarantined.
    pub fn is_up(&self) -> bool {
        self.border.quarantined().is_none()
    }

    /// The version it gives itself.
    pub fn version(&self) -> &str {
        &self.description.version
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    factories!(
        "request sources",
        sources,
        Source,
        RequestSource,
        source::make
    );
    factories!(
        "agent directories",
        directories,
        Directory,
        AgentDirectory,
        directory::make
    );
    factories!(
        "WPK providers",
        providers,
        Provider,
        WpkProvider,
        provider::make
    );
    factories!(
        "transports",
        transports,
        Transport,
        Transport,
        transport::make
    );
    factories!("task stores", stores, Store, TaskStore, store::make);
    factories!(
        "task observers",
        observers,
        Observer,
        TaskObserver,
        observer::make
    );

    /// Why it is not called any more; `None`: it is.
    pub fn quarantined(&self) -> Option<&str> {
        self.border.quarantined()
    }

    /// Waits, at most 5 seconds, until what was dropped is closed.
    pub fn settle(&self) {
        self.border.settle();
    }

    /// How many buffers it has given to the host, and how many of them it got
    /// back. Equal whenever nothing is on its way.
    pub fn buffers(&self) -> (u64, u64) {
        let count = self.table.buffers();
        (count.received(), count.released())
    }

    /// How much is on its way or in use: open operations, buffers that were not
    /// given back, instances and streams that were not closed. 0 soon after the
    /// last of its plugins was dropped.
    pub fn outstanding(&self) -> usize {
        let (received, released) = self.buffers();
        let buffers = usize::try_from(received.saturating_sub(released)).unwrap_or(usize::MAX);
        self.border.open_operations() + self.border.lives().count() + buffers
    }
}
