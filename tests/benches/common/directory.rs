//! A directory that is fast: a thread sleeps at each connection and answers at once, with
//! rows that were written before (PROTOCOL.md, section 9). Tests have a stand-in that can
//! be told more, and takes longer to answer than the daemon to ask.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use wpk_testkit::wdb::agent_row;

use super::framed;

/// The longest question there is.
const LONGEST: usize = 64;

/// It listens until the program ends.
#[derive(Debug)]
pub(crate) struct FastDirectory {
    folder: tempfile::TempDir,
}

impl FastDirectory {
    /// It knows so many agents, all active and of v4.7.0.
    pub(crate) fn of(agents: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Self { folder };
        let listener = UnixListener::bind(directory.socket()).unwrap();
        let row = |id| framed(format!("ok [{}]", agent_row(id, "Wazuh v4.7.0")).as_bytes());
        let rows: Arc<[Vec<u8>]> = (1..=i64::from(agents)).map(row).collect();
        thread::spawn(move || {
            for asker in listener.incoming() {
                let (rows, asker) = (Arc::clone(&rows), asker.unwrap());
                thread::spawn(move || answer(asker, &rows));
            }
        });
        directory
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("wdb")
    }

    /// The settings of a daemon that asks it.
    pub(crate) fn settings(&self) -> String {
        format!("[directory]\nsocket = {:?}\n", self.socket())
    }
}

/// Until the asker leaves.
fn answer(asker: UnixStream, rows: &[Vec<u8>]) -> Option<()> {
    let mut writer = asker.try_clone().ok()?;
    let mut asker = BufReader::with_capacity(2 * LONGEST, asker);
    let (mut length, mut question) = ([0; 4], [0; LONGEST]);
    loop {
        asker.read_exact(&mut length).ok()?;
        let question = &mut question[..u32::from_le_bytes(length) as usize];
        asker.read_exact(question).ok()?;
        let id = question.strip_prefix(b"global get-agent-info ");
        let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse::<usize>().ok());
        let row = id.and_then(|id| rows.get(id.wrapping_sub(1)));
        let written = match row {
            Some(row) => writer.write_all(row),
            None => writer.write_all(&framed(b"ok []")),
        };
        written.ok()?;
    }
}
