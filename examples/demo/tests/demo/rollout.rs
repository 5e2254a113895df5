//! Two rollouts to forty agents.

use wpk_testkit::process::Signal;

use crate::stage::{Demo, PATIENCE, processes_of, row};

#[tokio::test]
async fn the_good_release_reaches_all_and_the_bad_one_breaks_one_of_its_canary() {
    let mut demo = Demo::start(&["rollout"]);
    let (status, printed) = demo.end().await;
    assert_eq!(status, Some(0), "{printed}");
    let (mut canary, mut failed) = (0, 0);
    for number in 1..=40 {
        let (site, of_site) = if number <= 20 {
            ("lyon", number)
        } else {
            ("osaka", number - 20)
        };
        let agent = format!("{number:03} {site}-{of_site:02}");
        let cells = row(&printed, &agent);
        assert_eq!(cells[..2], [site, agent.as_str()], "{printed}");
        canary += usize::from(cells[2] == "upgraded (canary)");
        assert!(cells[2].starts_with("upgraded"), "{printed}");
        match cells[3] {
            "failed, the one before is back (canary)" => failed += 1,
            cell => assert!(cell.starts_with("untouched"), "{printed}"),
        }
    }
    assert_eq!((canary, failed), (4, 1), "{printed}");
    for line in [
        "opened: wave canary, 4 agents",
        "passed: wave canary: 4 were begun and watched, 0 failed, 0 may",
        "opened: wave rest, 36 agents",
        "converged",
        "halted: 1 of 4 agents of wave canary failed, and 0 may",
        "of 8 in osaka, canary 1 of 1",
    ] {
        assert!(printed.contains(line), "{line} is missing:\n{printed}");
    }
    demo.assert_nothing_is_left();
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_a_rollout_leaves_nothing_behind() {
    let mut demo = Demo::start(&["rollout"]);
    // The first that are begun together.
    let busy = demo
        .process
        .wait_for_line("running; its gate", PATIENCE)
        .await;
    assert!(busy.is_some(), "{}", demo.process.output());
    assert!(processes_of(&demo.place.path().join("t")).len() > 40);
    demo.process.signal(Signal::INT).unwrap();
    let (status, printed) = demo.end().await;
    assert_eq!(status, Some(130), "{printed}");
    demo.assert_nothing_is_left();
}
