//! What the tests of this crate share: a socket of ours that is accepted from and kept
//! in the background.
// Each test binary uses its part of it.
#![allow(dead_code)]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wpk_socket_file::{Kept, Names, SocketError, SocketFile, Wanted};
use wpk_testkit::{Home, ask_json, wait_until};

/// Far longer than anything here takes.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn wanted(path: impl Into<PathBuf>, take_over: bool) -> Wanted {
    Wanted {
        path: path.into(),
        mode: 0o660,
        group: None,
        take_over,
        names: Names::MANAGER,
    }
}

pub fn taking_over(home: &Home) -> Result<SocketFile, SocketError> {
    SocketFile::open(wanted(home.upgrade_socket(), true))
}

/// A socket of ours at work: whoever comes is told `{"by":"ours"}`.
pub struct Ours {
    pub backs: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    work: JoinHandle<()>,
}

impl Ours {
    pub fn serve(mut socket: SocketFile) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let backs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&backs);
        let work = tokio::spawn(async move {
            loop {
                tokio::select! {
                    accepted = socket.listener().accept() => {
                        tokio::spawn(answer(accepted.unwrap().0));
                        continue;
                    }
                    kept = socket.kept() => match kept.unwrap() {
                        Kept::Back => { counted.fetch_add(1, Ordering::SeqCst); }
                        Kept::Anew(anew) => socket = anew,
                    },
                    _ = &mut stopped => {
                        socket.give_back();
                        return;
                    }
                }
            }
        });
        Self {
            backs,
            stop: Some(stop),
            work,
        }
    }

    /// As a program that is told to stop.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.work.await.unwrap();
    }

    pub fn backs(&self) -> usize {
        self.backs.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: tokio::net::UnixStream) {
    let mut length = [0; 4];
    if stream.read_exact(&mut length).await.is_err() {
        return;
    }
    let mut request = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut request).await.unwrap();
    let answer = br#"{"by":"ours"}"#;
    let length = u32::try_from(answer.len()).unwrap().to_le_bytes();
    stream.write_all(&length).await.unwrap();
    stream.write_all(answer).await.unwrap();
}

/// Who answers at a path: `ours`, `modulesd`, or nobody.
pub async fn who(path: impl AsRef<Path>) -> Option<String> {
    let answer = ask_json(path, &json!({"command": "upgrade_result"})).await?;
    Some(answer["by"].as_str()?.to_owned())
}

/// Waits until that is who answers.
pub async fn until(path: &Path, expected: &str) {
    let answered = wait_until(DEADLINE, async || {
        (who(path).await.as_deref() == Some(expected)).then_some(())
    });
    assert!(answered.await.is_some(), "{expected} does not answer");
}

/// The names in the folder of a path that begin with its own, or with a dot and it.
pub fn names(path: &Path) -> Vec<String> {
    let wanted = path.file_name().unwrap().to_str().unwrap();
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.trim_start_matches('.').starts_with(wanted))
        .collect();
    names.sort();
    names
}

pub fn inode(path: impl AsRef<Path>) -> Option<u64> {
    Some(std::fs::symlink_metadata(path).ok()?.ino())
}

/// A socket that a killed program of ours left at its path, as the kernel leaves it.
pub fn kill(socket: SocketFile) {
    // Its descriptor is closed and its files stay, as at a kill.
    let inodes = (inode(socket.path()), socket.path().to_owned());
    let spare = socket.path().with_file_name("spare");
    let own = wpk_socket_file::own_path(socket.path());
    let builtin = wpk_socket_file::builtin_path(socket.path());
    let kept: Vec<_> = [socket.path().to_owned(), own, builtin]
        .into_iter()
        .filter(|name| name.exists())
        .enumerate()
        .map(|(number, name)| {
            let aside = spare.with_extension(number.to_string());
            std::fs::rename(&name, &aside).unwrap();
            (name, aside)
        })
        .collect();
    drop(socket);
    for (name, aside) in kept {
        std::fs::rename(aside, name).unwrap();
    }
    assert_eq!(inode(inodes.1), inodes.0);
}

pub fn answers(value: &Value) -> &str {
    value["by"].as_str().unwrap_or_default()
}
