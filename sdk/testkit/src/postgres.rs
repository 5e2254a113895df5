//! A PostgreSQL server of a test's own: the one that is installed on this machine, with
//! its data in a temporary folder, on a Unix socket and a free port of the loopback. It
//! can be stopped, killed and started again, and ends with the test.
//!
//! Where no server is installed [`PostgresServer::start`] says so on the terminal, also
//! where the test's output is captured, and the test leaves itself out; with
//! `WPK_REQUIRE_TOOLS` or `CI` set it fails instead.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::skipped::leave_out;
use crate::store_bench::computed_by;

/// How long a start may take, and a stop.
const PATIENCE: Duration = Duration::from_secs(60);
const READY: &str = "database system is ready to accept connections";
/// Whom a server runs as that root starts: it refuses to be root.
const USER: &str = "postgres";

/// A running server, or one that a test has stopped.
#[derive(Debug)]
pub struct PostgresServer {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    running: Option<Running>,
    log: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Ends when the last process of the server has closed its output.
    reader: JoinHandle<()>,
}

impl PostgresServer {
    /// A new, empty cluster that trusts everybody; its superuser is `postgres`. `None`
    /// where no server is installed.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            leave_out("no PostgreSQL server is installed (apt-get install postgresql)");
            return None;
        };
        let folder = match tempfile::Builder::new().prefix("wpkpg").tempdir() {
            Ok(folder) => folder,
            Err(error) => panic!("no folder for a PostgreSQL server: {error}"),
        };
        give_away(folder.path());
        let mut server = Self {
            folder,
            programs,
            port: 0,
            running: None,
            log: Arc::default(),
        };
        let made = server
            .command("initdb")
            .args(["--no-sync", "--auth=trust", "--username=postgres"])
            .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(server.data())
            .output();
        match made {
            Ok(made) if made.status.success() => {}
            other => panic!("initdb: {other:?}"),
        }
        server.configure("fsync = off\nmax_connections = 60\n");
        server.restart();
        Some(server)
    }

    /// Appends to `postgresql.conf`; counts from the next [`restart`](Self::restart).
    pub fn configure(&self, lines: &str) {
        self.append("postgresql.conf", lines);
    }

    /// Replaces `pg_hba.conf`; counts from the next [`restart`](Self::restart).
    pub fn admit(&self, rules: &str) {
        self.put("pg_hba.conf", rules);
    }

    /// Puts a file with mode 0600 into the data folder, and returns its path.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let file = self.data().join(name);
        let written = std::fs::write(&file, text)
            .and_then(|()| std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)));
        if let Err(error) = written {
            panic!("{}: {error}", file.display());
        }
        give_away(&file);
        file
    }

    fn append(&self, name: &str, lines: &str) {
        let file = self.data().join(name);
        let opened = std::fs::OpenOptions::new().append(true).open(&file);
        if let Err(error) = opened.and_then(|mut opened| writeln!(opened, "{lines}")) {
            panic!("{}: {error}", file.display());
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder of its Unix socket, as a client names it as a host.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it runs as another user than the test.
    pub fn is_somebody_elses(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Its port, on 127.0.0.1 and of its socket; the same for its whole life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.join("\n")
    }

    /// Runs statements as the superuser through `psql`, and returns what it prints
    /// (unaligned, without headers).
    pub fn sql(&self, statements: &str) -> String {
        self.sql_in("postgres", statements)
    }

    /// The same in a database.
    pub fn sql_in(&self, database: &str, statements: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER])
            .args(["-d", database, "-c", statements, "-h"])
            .arg(self.socket_folder())
            .args(["-p", &self.port.to_string()])
            .output();
        match output {
            Ok(output) if output.status.success() => {
                String::from_utf8_lossy(&output.stdout).trim().to_owned()
            }
            other => panic!("psql: {other:?}"),
        }
    }

    /// Starts it, after a fast stop where it runs, and waits until it takes connections.
    pub fn restart(&mut self) {
        self.stop();
        for _ in 0..5 {
            if self.port == 0 {
                self.port = free_port();
            }
            if self.launch() {
                return;
            }
            let taken = self.log().contains("Address already in use");
            if !taken {
                break;
            }
            self.port = 0;
        }
        panic!("PostgreSQL does not start:\n{}", self.log());
    }

    fn launch(&mut self) -> bool {
        let (said, told) = channel();
        let child = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.socket_folder())
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => panic!("postgres: {error}"),
        };
        let Some(output) = child.stderr.take() else {
            return false;
        };
        let log = Arc::clone(&self.log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains(READY) {
                    let _ = said.send(());
                }
                log.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        self.running = Some(Running { child, reader });
        // Also ends at once where the process does.
        let ready = told.recv_timeout(PATIENCE).is_ok();
        if !ready {
            self.end(Signal::KILL);
        }
        ready
    }

    /// Ends it in good order; connections are cut.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// Kills it in the middle of whatever it does, and waits until its last process is
    /// gone.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Holds all of it, as a machine without time does, until [`resume`](Self::resume):
    /// connections stay open, and nobody answers.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// How long its processes have computed, those that ended included.
    pub fn computed(&self) -> Duration {
        let folder = |id: i32| PathBuf::from(format!("/proc/{id}"));
        let live = self.processes().into_iter().map(folder);
        let live = live.filter_map(|folder| computed_by(&folder)).sum();
        let Some(running) = &self.running else {
            return live;
        };
        // Of those that ended, in hundredths of a second: the words after the program's name.
        let told = std::fs::read_to_string(format!("/proc/{}/stat", running.child.id()));
        let told = told.unwrap_or_default();
        let words = told.rsplit(')').next().unwrap_or_default();
        let ended: u64 = (words.split_whitespace().skip(13).take(2))
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        live + Duration::from_millis(10 * ended)
    }

    /// Its main process and those that serve connections.
    fn processes(&self) -> Vec<i32> {
        let Some(running) = &self.running else {
            return Vec::new();
        };
        let children = format!("/proc/{0}/task/{0}/children", running.child.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let all = children.split_whitespace().filter_map(|id| id.parse().ok());
        all.chain(i32::try_from(running.child.id()).ok()).collect()
    }

    fn signal_all(&self, signal: Signal) {
        for id in self.processes() {
            if let Some(id) = Pid::from_raw(id) {
                // One that has just ended needs none.
                let _ = kill_process(id, signal);
            }
        }
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        if let Some(id) = i32::try_from(running.child.id())
            .ok()
            .and_then(Pid::from_raw)
        {
            let _ = kill_process(id, signal);
        }
        let _ = running.child.wait();
        let _ = running.reader.join();
    }

    /// A program of the server's, run as a user that it takes.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        // Keys on the terminal are for the test; it ends the server itself.
        command.process_group(0).current_dir(self.folder.path());
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.resume();
        self.end(Signal::QUIT);
    }
}

/// Where the server's programs lie: the newest that is installed.
fn programs() -> Option<PathBuf> {
    let in_path = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default();
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| {
            versions
                .flatten()
                .map(|one| one.path().join("bin"))
                .collect()
        })
        .unwrap_or_default();
    installed.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name);
        version.and_then(|version| version.to_str()?.parse::<u32>().ok())
    });
    let whole = |folder: &PathBuf| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    in_path
        .into_iter()
        .chain(installed.into_iter().rev())
        .find(whole)
}

/// Makes a file or folder the server's, where it runs as another user.
fn give_away(path: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let owner = |what: &str| {
        let output = Command::new("id").args([what, USER]).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if let Err(error) = std::os::unix::fs::chown(path, owner("-u"), owner("-g")) {
        panic!("{} for {USER}: {error}", path.display());
    }
}

/// A port that was free a moment ago; PostgreSQL takes no port 0.
fn free_port() -> u16 {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    match bound {
        Ok(address) => address.port(),
        Err(error) => panic!("no free port: {error}"),
    }
}
