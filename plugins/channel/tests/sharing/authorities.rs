//! One CA for all managers, also while it is replaced.

use wpk_api::{AgentDirectory, CaReport, CaStep, CaWish};
use wpk_testkit::channel_agent::{ChannelAgent, DEADLINE};
use wpk_testkit::wait_until;

use crate::common::Manager;
use crate::site::Site;

async fn step(manager: &Manager, step: CaStep, force: bool) -> Result<CaReport, String> {
    let wish = CaWish { step, force };
    let report = manager.channel.authority(wish).await;
    report.map_err(|error| error.to_string())
}

/// The CAs as a manager shows them.
async fn shown(manager: &Manager) -> Vec<(String, String)> {
    let report = step(manager, CaStep::Show, false).await.unwrap();
    let all = report.authorities.into_iter();
    all.map(|one| (one.state, one.sha256)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_one_takes_all_take() {
    let site = Site::new();
    let (first, second) = (site.manager("node01").await, site.manager("node02").await);
    let one = first.enroll("web01").await;
    assert_eq!(shown(&first).await, shown(&second).await);
    for (by, what) in [
        (&first, CaStep::Replace),
        (&second, CaStep::Switch),
        (&first, CaStep::Finish),
    ] {
        step(by, what, true).await.unwrap();
        assert_eq!(shown(&first).await, shown(&second).await, "{what:?}");
    }
    // Whoever got a certificate of the CA that went is cut off everywhere.
    let mut there = one.clone();
    there.address = Some(second.address());
    assert!(ChannelAgent::connect(&there).await.is_err());
    let new = second.enroll("web02").await;
    let mut there = new.clone();
    there.address = Some(first.address());
    ChannelAgent::connect(&there).await.unwrap();
    // Whoever only looks meanwhile turns nothing back.
    let looking = async {
        for _ in 0..10 {
            shown(&first).await;
            shown(&second).await;
        }
    };
    let (taken, ()) = tokio::join!(step(&first, CaStep::Replace, true), looking);
    let taken: Vec<_> = (taken.unwrap().authorities.into_iter())
        .map(|one| (one.state, one.sha256))
        .collect();
    assert_eq!(shown(&first).await, taken);
    assert_eq!(shown(&second).await, taken);
    step(&second, CaStep::Switch, true).await.unwrap();
    step(&second, CaStep::Finish, true).await.unwrap();
    // One that the others cannot be told of is not taken.
    let before = shown(&first).await;
    site.wire.writings(0);
    let refused = step(&first, CaStep::Replace, true).await.unwrap_err();
    assert!(refused.contains("the wire is cut"), "{refused}");
    site.wire.writings(usize::MAX);
    assert_eq!(shown(&first).await, before);
    let new = first.enroll("web03").await;
    let mut there = new.clone();
    there.address = Some(second.address());
    ChannelAgent::connect(&there).await.unwrap();
    // The same step is not taken twice at one moment.
    let (a, b) = tokio::join!(
        step(&first, CaStep::Replace, true),
        step(&second, CaStep::Replace, true)
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?}, {b:?}");
    let same = async || (shown(&first).await == shown(&second).await).then_some(());
    wait_until(DEADLINE, same).await.unwrap();
    let ours = shown(&first).await;
    first.stop().await;
    second.stop().await;
    // Each has its own files of them.
    for node in ["node01", "node02"] {
        let manager = site.manager(node).await;
        assert_eq!(shown(&manager).await, ours, "{node}");
        manager.stop().await;
    }
}
