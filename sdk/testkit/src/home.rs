//! The folder of a manager or an agent, for one test.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wpk_api::{Context, NodeInfo, Role, Version};

/// Folders of a real installation that the software uses.
const FOLDERS: [&str; 10] = [
    "etc",
    "logs",
    "queue/cluster",
    "queue/db",
    "queue/sockets",
    "queue/tasks",
    "tmp",
    "var/incoming",
    "var/run",
    "var/upgrade",
];

/// Those that an agent uses.
const AGENT_FOLDERS: [&str; 6] = [
    "etc",
    "logs",
    "queue/sockets",
    "tmp",
    "var/incoming",
    "var/upgrade",
];

/// Makes the folders that an agent uses in its home, and no others.
///
/// # Errors
/// Those of creating folders.
pub fn make_agent_folders(home: &Path) -> io::Result<()> {
    make_folders(home, &AGENT_FOLDERS)
}

fn make_folders(home: &Path, folders: &[&str]) -> io::Result<()> {
    let mut paths = folders.iter().map(|folder| home.join(folder));
    paths.try_for_each(std::fs::create_dir_all)
}

/// A temporary installation folder; removed when dropped.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// A new one with the folders of an installation. Its path is short,
    /// because the path of a socket has at most 107 bytes.
    ///
    /// # Errors
    /// Those of creating folders.
    pub fn new() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wpk").tempdir_in("/tmp")?;
        make_folders(dir.path(), &FOLDERS)?;
        Ok(Self { dir })
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path inside.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// `queue/tasks/upgrade`.
    pub fn upgrade_socket(&self) -> PathBuf {
        self.path("queue/tasks/upgrade")
    }

    /// `queue/tasks/task`.
    pub fn task_socket(&self) -> PathBuf {
        self.path("queue/tasks/task")
    }

    /// `var/wpkd/tasks.db`, our own.
    pub fn tasks_db(&self) -> PathBuf {
        self.path("var/wpkd/tasks.db")
    }

    /// `queue/tasks/tasks.db`, a manager's.
    pub fn manager_tasks_db(&self) -> PathBuf {
        self.path("queue/tasks/tasks.db")
    }

    /// `queue/sockets/remote`.
    pub fn remote_socket(&self) -> PathBuf {
        self.path("queue/sockets/remote")
    }

    /// `queue/db/wdb`.
    pub fn wdb_socket(&self) -> PathBuf {
        self.path("queue/db/wdb")
    }

    /// What a plugin gets to know when it is built for this folder: master node
    /// `node01`, v4.14.9.
    pub fn context(&self) -> Context {
        let node = NodeInfo {
            name: "node01".to_owned(),
            role: Role::Master,
            version: Some(Version::new(4, 14, 9)),
        };
        Context::new(self.root(), node)
    }
}
