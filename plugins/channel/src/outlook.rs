//! What would stop the start of the channel: another program at its port, or something
//! else where its folder or its registry lies. Looked at without touching either.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use wpk_api::Outlook;
use wpk_api::settings::Problem;

/// `registry`: a daemon that runs has it open.
pub(crate) fn outlook(listen: Option<SocketAddr>, state: &Path, registry: &Path) -> Outlook {
    let mut outlook = Outlook::default();
    let mut problem = |key: &str, text: String| outlook.problems.push(Problem::new(key, text));
    if let Some(text) = wpk_sqlite_file::misplaced(registry) {
        problem("database", text);
    }
    if let Some(text) = no_folder(state) {
        problem("state", text);
    }
    match listen.map(|address| (address, TcpListener::bind(address))) {
        None | Some((_, Ok(_))) => {}
        Some((address, Err(error))) if error.kind() == ErrorKind::AddrInUse => {
            if wpk_sqlite_file::is_open(registry) {
                outlook
                    .notes
                    .push(format!("agent channel {address}: served by wpkd"));
            } else {
                problem(
                    "listen",
                    format!(
                        "another program listens at {address} (or wpkd as another user: ask as \
                         root then); end it, or choose another port"
                    ),
                );
            }
        }
        Some((address, Err(error))) => problem(
            "listen",
            format!(
                "{address}: {error}; name an address of this machine and a port that wpkd may use"
            ),
        ),
    }
    outlook
}

/// What keeps a path from being a folder, or from being made one.
fn no_folder(path: &Path) -> Option<String> {
    let there = path.ancestors().find(|path| path.exists())?;
    (!there.is_dir()).then(|| {
        format!(
            "{}: {} is no folder; move it away, or name another place",
            path.display(),
            there.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(outlook: &Outlook) -> Vec<&str> {
        let problems = outlook.problems.iter();
        problems.map(|problem| problem.key.as_str()).collect()
    }

    #[test]
    fn what_stands_in_the_way_is_named_by_its_key() {
        let home = tempfile::tempdir().unwrap();
        let (state, registry) = (
            home.path().join("etc/channel"),
            home.path().join("q/agents.db"),
        );
        let free = "127.0.0.1:0".parse().ok();
        assert_eq!(outlook(free, &state, &registry), Outlook::default());
        std::fs::write(home.path().join("etc"), "").unwrap();
        std::fs::write(home.path().join("q"), "").unwrap();
        assert_eq!(
            keys(&outlook(free, &state, &registry)),
            ["database", "state"]
        );
        let elsewhere = "203.0.113.7:1517".parse().ok();
        let home = home.path().join("other");
        assert_eq!(
            keys(&outlook(elsewhere, &home, &home.join("a.db"))),
            ["listen"]
        );
    }

    #[test]
    fn a_taken_port_is_a_problem_unless_wpkd_has_it() {
        let home = tempfile::tempdir().unwrap();
        let registry = home.path().join("agents.db");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().ok();
        let found = outlook(listen, home.path(), &registry);
        assert_eq!(keys(&found), ["listen"]);
        let told = found.problems[0].to_string();
        assert!(
            told.contains("another program listens at 127.0.0.1:"),
            "{told}"
        );
        // A daemon that runs has its registry open.
        std::fs::write(&registry, "").unwrap();
        let mut daemon = std::process::Command::new("cat");
        let file = std::fs::File::open(&registry).unwrap();
        daemon
            .arg("-")
            .stdin(std::process::Stdio::piped())
            .stderr(file);
        let mut daemon = daemon.spawn().unwrap();
        let found = outlook(listen, home.path(), &registry);
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        assert_eq!(keys(&found), Vec::<&str>::new());
        assert_eq!(found.notes.len(), 1, "{found:?}");
    }
}
