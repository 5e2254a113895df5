//! No descriptor left for `accept`: the source waits and goes on afterwards.
//! Alone in its process, because the limit is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{DEADLINE, serve};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::time::timeout;
use wpk_testkit::Client;

#[tokio::test]
async fn running_out_of_descriptors_is_survived() {
    let served = serve(&json!({"idle_timeout": "1h"}));
    let path = served.home.task_socket();
    let mut first = Client::connect(&path).await.unwrap();
    first.ask("hello").await.unwrap().unwrap();

    let usual = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let narrow = Rlimit {
        current: Some(open + 20),
        maximum: usual.maximum,
    };
    setrlimit(Resource::Nofile, narrow).unwrap();
    // Until there is none left; the last ones wait to be accepted.
    let mut clients = Vec::new();
    while let Ok(client) = Client::connect(&path).await {
        clients.push(client);
    }
    assert!(clients.len() >= 10, "{}", clients.len());
    // Those already connected are served meanwhile.
    let answer = timeout(DEADLINE, first.ask("hello")).await.unwrap();
    assert_eq!(answer.unwrap().unwrap(), b"Task hello");

    let mut last = clients.pop().unwrap();
    clients.clear();
    let answer = timeout(DEADLINE, last.ask("hello")).await.unwrap();
    assert_eq!(answer.unwrap().unwrap(), b"Task hello");
    setrlimit(Resource::Nofile, usual).unwrap();
}
