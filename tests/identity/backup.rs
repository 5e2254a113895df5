//! A manager whose files were put back from a backup.

use std::fs;
use std::path::Path;

use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wait_until;

use crate::site::{Site, start};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_renewed_after_the_backup_come_back() {
    // Long lives, so that an agent renews once only: at its first welcome, because what the
    // folder brought lives for ten years.
    let mut site = Site::with(&[("CERTIFICATE_LIFE", "5m")]).await;
    let home = site.home.path("web01");
    site.wpkctl(&["agent", "enroll", "web01", "--out", home.to_str().unwrap()])
        .await
        .ended(0);
    let backup = site.home.path("backup");
    site.stop().await;
    for folder in ["etc/channel", "queue/channel"] {
        copy(&site.home.path("m").join(folder), &backup.join(folder));
    }
    site.again().await;
    let agent = start(&home.join("etc/wpk-agent.toml"), home.join("agent.log")).await;
    let count = |what: &str| agent.output().matches(what).count();
    // It shows the new certificate once nothing has been asked for a while.
    let renewed = wait_until(4 * PATIENCE, async || {
        (count("was renewed") == 1 && count("connected to") == 2).then_some(())
    });
    assert!(renewed.await.is_some(), "{}", agent.output());
    site.stop().await;
    for folder in ["etc/channel", "queue/channel"] {
        let place = site.home.path("m").join(folder);
        fs::remove_dir_all(&place).unwrap();
        copy(&backup.join(folder), &place);
    }
    site.again().await;
    let back = wait_until(2 * PATIENCE, async || {
        (count("connected to") == 3).then_some(())
    });
    assert!(back.await.is_some(), "{}", agent.output());
    assert_eq!(
        site.agent("web01").await.unwrap()["connection_status"],
        "active"
    );
}
