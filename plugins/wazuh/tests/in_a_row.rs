//! The directory asks about many agents at once where the database daemon reads on, and one
//! by one where it does not; nobody is lost, found twice or taken for another.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use wpk_api::{AgentDirectory, AgentId, Factory};
use wpk_plugin_wazuh::wazuh_db;
use wpk_testkit::Home;
use wpk_testkit::wdb::agent_row;
use wpk_wire::frame::frame;

const DEADLINE: Duration = Duration::from_secs(30);

/// A daemon: each connection is served by a thread, and told how many there were before.
fn daemon(home: &Home, serve: impl Fn(usize, UnixStream) + Send + Sync + 'static) {
    let listener = UnixListener::bind(home.wdb_socket()).unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, asker) in listener.incoming().enumerate() {
            let serve = Arc::clone(&serve);
            let Ok(asker) = asker else { return };
            thread::spawn(move || serve(number, asker));
        }
    });
}

fn directory(home: &Home, settings: &Value) -> Arc<dyn AgentDirectory> {
    wazuh_db().build(settings, &home.context()).unwrap()
}

/// A version for each agent, so that none can be taken for another.
fn row(id: i64) -> Value {
    agent_row(id, &format!("Wazuh v4.7.{id}"))
}

fn answer(row: &Value) -> Vec<u8> {
    frame(format!("ok [{row}]").as_bytes()).to_vec()
}

/// The next question, if there is one more.
fn question(asker: &mut UnixStream) -> Option<i64> {
    let mut length = [0; 4];
    asker.read_exact(&mut length).ok()?;
    let mut text = vec![0; u32::from_le_bytes(length) as usize];
    asker.read_exact(&mut text).ok()?;
    let text = String::from_utf8(text).unwrap();
    let id = text.strip_prefix("global get-agent-info ").unwrap();
    Some(id.parse().unwrap())
}

/// Each of these agents is found once, as itself.
async fn all_are_found(directory: &dyn AgentDirectory, agents: i64) {
    all_are_found_but(directory, agents, &[]).await;
}

async fn all_are_found_but(directory: &dyn AgentDirectory, agents: i64, unknown: &[i64]) {
    let asked: Vec<_> = (1..=agents).map(|id| AgentId::new(id).unwrap()).collect();
    let found = tokio::time::timeout(DEADLINE, directory.lookup(&asked)).await;
    let mut found = found.expect("an answer in time").unwrap();
    found.sort_by_key(|agent| agent.id);
    let ids: Vec<_> = found.iter().map(|agent| agent.id).collect();
    let known = |agent: &AgentId| !unknown.contains(&i64::from(agent.get()));
    let wanted: Vec<_> = asked.into_iter().filter(known).collect();
    assert_eq!(ids, wanted);
    for agent in found {
        let version = format!("Wazuh v4.7.{}", agent.id.get());
        assert_eq!(agent.version, Some(version), "agent {}", agent.id);
    }
}

/// Whether something is there that was not read yet.
fn is_asked_more(asker: &UnixStream) -> bool {
    asker.set_nonblocking(true).unwrap();
    let more = asker.try_clone().unwrap().read(&mut [0; 1]).is_ok();
    asker.set_nonblocking(false).unwrap();
    more
}

/// The next questions, none of which is answered yet.
fn several(asker: &mut UnixStream, questions: usize) -> Vec<i64> {
    (0..questions).filter_map(|_| question(asker)).collect()
}

fn answer_all(asker: &mut UnixStream, ids: &[i64]) {
    for id in ids {
        asker.write_all(&answer(&row(*id))).unwrap();
    }
}

#[tokio::test]
async fn more_and_more_are_asked_for_at_once() {
    let home = Home::new().unwrap();
    let more = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&more);
    daemon(&home, move |_, mut asker| {
        for questions in [1, 2, 4, 8, 16, 1, 32, 32, 4]
            .into_iter()
            .chain([32, 32, 32, 4])
        {
            let asked = several(&mut asker, questions);
            count.fetch_add(usize::from(is_asked_more(&asker)), Ordering::Relaxed);
            answer_all(&mut asker, &asked);
        }
    });
    let directory = directory(&home, &json!({"connections": 1, "timeout": "100h"}));
    all_are_found(directory.as_ref(), 100).await;
    all_are_found(directory.as_ref(), 100).await;
    assert_eq!(more.load(Ordering::Relaxed), 0, "longer rows than these");
}

/// What a daemon answers that takes all that it reads at once for one question, of which
/// this is the first and this the last agent. `None`: it closes.
type Misreads = fn(i64, i64) -> Option<Vec<u8>>;

#[tokio::test]
async fn a_daemon_that_does_not_read_on_is_asked_one_by_one() {
    let cases: [(&str, Misreads); 7] = [
        ("answers the first", |first, _| Some(answer(&row(first)))),
        ("answers the last", |_, last| Some(answer(&row(last)))),
        ("is silent", |_, _| Some(Vec::new())),
        ("closes", |_, _| None),
        ("refuses", |_, _| {
            Some(frame(b"err Invalid DB query").to_vec())
        }),
        ("knows nobody", |_, _| Some(frame(b"ok []").to_vec())),
        ("refuses each", |_, _| Some(frame(b"err").repeat(2))),
    ];
    for (name, misreads) in cases {
        let home = Home::new().unwrap();
        let misread = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&misread);
        daemon(&home, move |_, mut asker| {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = asker.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[4..read]).into_owned();
                let numbers = text.split(|other: char| !other.is_ascii_digit());
                let ids: Vec<i64> = numbers.filter_map(|id| id.parse().ok()).collect();
                let (first, last) = (ids[0], *ids.last().unwrap());
                let answer = if first == last {
                    Some(answer(&row(first)))
                } else {
                    count.fetch_add(1, Ordering::Relaxed);
                    misreads(first, last)
                };
                match answer {
                    Some(answer) => asker.write_all(&answer).unwrap(),
                    None => return,
                }
            }
        });
        // Of which a row is waited for a sixtieth.
        let directory = directory(&home, &json!({"timeout": "6s"}));
        all_are_found(directory.as_ref(), 300).await;
        let tried = misread.load(Ordering::Relaxed);
        // Each of the eight connections may try before another one knows.
        assert!((1..=8).contains(&tried), "{name}: {tried}");
        all_are_found(directory.as_ref(), 300).await;
        assert_eq!(misread.load(Ordering::Relaxed), tried, "{name}");
    }
}

#[tokio::test]
async fn a_daemon_that_falls_silent_in_a_row_is_asked_one_by_one() {
    let home = Home::new().unwrap();
    let (others, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, more) = (Arc::clone(&others), Arc::clone(&at_once));
    let in_rows = Arc::new(AtomicUsize::new(0));
    let reached = Arc::clone(&in_rows);
    daemon(&home, move |number, mut asker| {
        if number == 0 {
            for questions in [1, 2, 3] {
                let asked = several(&mut asker, questions);
                answer_all(&mut asker, &asked);
                reached.fetch_add(questions, Ordering::Relaxed);
            }
            // Until nobody waits any more.
            let _ = asker.read_to_end(&mut Vec::new());
            return;
        }
        count.fetch_add(1, Ordering::Relaxed);
        while let Some(id) = question(&mut asker) {
            more.fetch_add(usize::from(is_asked_more(&asker)), Ordering::Relaxed);
            asker.write_all(&answer(&row(id))).unwrap();
        }
    });
    let directory = directory(&home, &json!({"connections": 1, "timeout": "6s"}));
    for _ in 0..2 {
        all_are_found(directory.as_ref(), 100).await;
    }
    assert_eq!(
        others.load(Ordering::Relaxed),
        1,
        "one connection for all others"
    );
    assert_eq!(at_once.load(Ordering::Relaxed), 0, "one by one");
}

/// Who is not known is asked for alone as well, and it is no reason to ask nobody in a row.
#[tokio::test]
async fn agents_that_nobody_knows_do_not_end_rows() {
    let home = Home::new().unwrap();
    let longest = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&longest);
    daemon(&home, move |_, mut asker| {
        let mut buffer = [0; 4096];
        // A row comes at once.
        while let Ok(read @ 1..) = asker.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            let ids: Vec<i64> = text
                .split("global get-agent-info ")
                .skip(1)
                .map(|rest| {
                    rest.chars()
                        .take_while(char::is_ascii_digit)
                        .collect::<String>()
                })
                .map(|id| id.parse().unwrap())
                .collect();
            count.fetch_max(ids.len(), Ordering::Relaxed);
            for id in ids {
                let told = match id {
                    ..=40 => frame(b"ok []").to_vec(),
                    _ => answer(&row(id)),
                };
                asker.write_all(&told).unwrap();
            }
        }
    });
    let directory = directory(&home, &json!({"connections": 1, "timeout": "100h"}));
    let unknown: Vec<i64> = (1..=40).collect();
    all_are_found_but(directory.as_ref(), 200, &unknown).await;
    assert_eq!(longest.load(Ordering::Relaxed), 32);
}

/// A connection of which the row of sixteen is served so, from agent 16 on; others, and what
/// comes before and after it, as they should be. All but `unknown` are found; who was asked for
/// after that row is given back.
async fn in_a_row(
    unknown: &[i64],
    serve: impl Fn(&mut UnixStream, &[i64]) + Send + Sync + 'static,
) -> Vec<i64> {
    let home = Home::new().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&asked);
    daemon(&home, move |number, mut asker| {
        if number == 0 {
            for questions in [1, 2, 4, 8] {
                let asked = several(&mut asker, questions);
                answer_all(&mut asker, &asked);
            }
            let row = several(&mut asker, 16);
            serve(&mut asker, &row);
        }
        while let Some(id) = question(&mut asker) {
            note.lock().unwrap().push(id);
            if asker.write_all(&answer(&row(id))).is_err() {
                return;
            }
        }
    });
    let directory = directory(&home, &json!({"connections": 1, "timeout": "100h"}));
    all_are_found_but(directory.as_ref(), 100, unknown).await;
    let asked = asked.lock().unwrap();
    asked.clone()
}

#[tokio::test]
async fn a_connection_that_is_lost_in_a_row_is_replaced() {
    let asked = in_a_row(&[], |asker, ids| {
        for id in &ids[..5] {
            asker.write_all(&answer(&row(*id))).unwrap();
        }
        asker.shutdown(std::net::Shutdown::Both).unwrap();
    })
    .await;
    assert_eq!(
        asked,
        (21..=100).collect::<Vec<_>>(),
        "who was answered is not asked again"
    );
}

#[tokio::test]
async fn an_answer_too_many_in_a_row_is_taken_for_nobodys() {
    for named in [true, false] {
        in_a_row(&[], move |asker, ids| {
            let mut answers = vec![row(ids[0])];
            answers.extend(ids.iter().map(|id| row(*id)));
            for row in &mut answers {
                if !named {
                    row.as_object_mut().unwrap().remove("id");
                }
                // Until the connection is given up.
                let _ = asker.write_all(&answer(row));
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_that_comes_after_its_row_is_taken_for_nobodys() {
    in_a_row(&[], |asker, ids| {
        for id in ids {
            asker.write_all(&answer(&row(*id))).unwrap();
        }
        // Whoever is next has been asked for.
        let next = question(asker).unwrap();
        asker.write_all(&answer(&row(ids[0]))).unwrap();
        asker.write_all(&answer(&row(next))).unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_in_a_row_is_asked_for_alone_where_it_may_be_about_another() {
    // After 20 come answers that are in their place, after 31 none.
    let nobody: [&[u8]; 3] = [b"ok []", b"err busy", b""];
    for bad in nobody {
        let asked = in_a_row(&[20], move |asker, ids| {
            for id in ids {
                let good = answer(&row(*id));
                let told = if [20, 31].contains(id) {
                    frame(bad).to_vec()
                } else {
                    good
                };
                asker.write_all(&told).unwrap();
            }
        })
        .await;
        assert_eq!(asked[..3], [31, 32, 33], "{}", bad.escape_ascii());
    }
    // Another agent's answer, after which all may be.
    let asked = in_a_row(&[], |asker, ids| {
        for id in ids {
            let about = if *id == 20 { 7_000 } else { *id };
            let _ = asker.write_all(&answer(&row(about)));
        }
    })
    .await;
    assert_eq!(asked[..3], [20, 21, 22]);
    // An announcement that is too long ends the connection.
    let asked = in_a_row(&[], |asker, ids| {
        asker.write_all(&answer(&row(ids[0]))).unwrap();
        asker.write_all(&70_000u32.to_le_bytes()).unwrap();
    })
    .await;
    assert_eq!(asked[0], 17);
}
