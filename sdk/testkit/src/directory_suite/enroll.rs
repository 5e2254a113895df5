//! Enrolment, where the directory does it: ids and names are given once, and
//! nobody sees a key. Comes last, since it changes the directory.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use wpk_api::{AgentDirectory, AgentId, ConnectionStatus, DirectoryError, Enrollment};

use super::stand::found;
use crate::suite::{at_every_point, ok, within};

/// Enrolments at a time.
const AT_ONCE: usize = 16;

/// All stories.
pub(super) async fn run(directory: &Arc<dyn AgentDirectory>) {
    let first = match within("enroll", directory.enroll("first-of-the-suite")).await {
        Err(DirectoryError::NotSupported) => return is_never_supported(&**directory).await,
        other => ok("enroll", other),
    };
    is_complete(&**directory, &first, "first-of-the-suite").await;
    let again = within("enroll", directory.enroll("first-of-the-suite")).await;
    assert!(
        matches!(again, Err(DirectoryError::Refused(_))),
        "the name is taken: {again:?}"
    );
    for bad in [
        "",
        " ",
        "a\nb",
        "a\0b",
        "../../etc/passwd",
        &"x".repeat(5_000),
    ] {
        let enrolled = within("enroll", directory.enroll(bad)).await;
        assert!(
            matches!(enrolled, Err(DirectoryError::Refused(_))),
            "{bad:.20?} is no name for an agent: {enrolled:?}"
        );
    }
    one_of_many_gets_a_name(directory).await;
    each_of_many_gets_an_id(directory).await;
    given_up(directory).await;
}

async fn is_never_supported(directory: &dyn AgentDirectory) {
    for name in ["first-of-the-suite", "", "another"] {
        let enrolled = within("enroll", directory.enroll(name)).await;
        assert_eq!(enrolled, Err(DirectoryError::NotSupported));
    }
}

async fn is_complete(directory: &dyn AgentDirectory, enrollment: &Enrollment, name: &str) {
    assert_ne!(enrollment.id, AgentId::MANAGER);
    assert_eq!(enrollment.name, name);
    for pem in [
        &enrollment.key_pem,
        &enrollment.certificate_pem,
        &enrollment.ca_pem,
    ] {
        assert!(pem.starts_with("-----BEGIN "), "something is no PEM");
    }
    let shown = format!("{enrollment:?}");
    assert!(!shown.contains("BEGIN"), "a key may end up in a log");
    let known = found(directory, &[enrollment.id]).await;
    assert_eq!(known.len(), 1, "an enrolled agent is known");
    for agent in known {
        assert_eq!(agent.name.as_deref(), Some(name));
        assert_eq!(agent.connection, ConnectionStatus::NeverConnected);
    }
}

async fn one_of_many_gets_a_name(directory: &Arc<dyn AgentDirectory>) {
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let directory = Arc::clone(directory);
        callers.spawn(async move { directory.enroll("wanted-by-many").await });
    }
    let mut winners = 0;
    for outcome in within("enrolments", callers.join_all()).await {
        match outcome {
            Ok(_) => winners += 1,
            Err(DirectoryError::Refused(_)) => {}
            Err(other) => panic!("a taken name is refused, not: {other}"),
        }
    }
    assert_eq!(winners, 1, "so many got the same name");
}

async fn each_of_many_gets_an_id(directory: &Arc<dyn AgentDirectory>) {
    let mut callers = JoinSet::new();
    for n in 0..AT_ONCE {
        let directory = Arc::clone(directory);
        callers.spawn(async move { directory.enroll(&format!("one-of-many-{n}")).await });
    }
    let outcomes = within("enrolments", callers.join_all()).await;
    let enrolled: Vec<_> = outcomes.into_iter().map(|one| ok("enroll", one)).collect();
    let ids: HashSet<_> = enrolled.iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), AT_ONCE, "ids are given once");
    let ids: Vec<_> = ids.into_iter().collect();
    assert_eq!(found(&**directory, &ids).await.len(), AT_ONCE);
}

/// Whoever gives up does not learn whether the agent was enrolled, but it was
/// or it was not: the name is refused or free, and the directory works.
async fn given_up(directory: &Arc<dyn AgentDirectory>) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let name = |n: usize| format!("given-up-{n}");
    let order = std::sync::atomic::Ordering::SeqCst;
    at_every_point(
        "an enrolment that is given up",
        async || drop(directory.enroll(&name(next.load(order))).await),
        async || {
            let n = next.fetch_add(1, order);
            match directory.enroll(&name(n)).await {
                Ok(_) | Err(DirectoryError::Refused(_)) => {}
                Err(other) => panic!("after an enrolment that was given up: {other}"),
            }
        },
    )
    .await;
}
