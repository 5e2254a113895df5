//! Why an upgrade failed, from the mouth of a real agent to the administrator's
//! terminal.

use serde_json::Value;
use wpk_testkit::wpk::SigningCa;

use crate::embedded::Site;

const SAID: &str = "Could not verify signature (error 13)";
const ADVICE: &str = "look at the agent's words";

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_signature_is_told_in_the_agents_words() {
    let (ca, stranger) =
        tokio::task::spawn_blocking(|| (SigningCa::new().unwrap(), SigningCa::new().unwrap()))
            .await
            .unwrap();
    let mut site = Site::start().await;
    let file = site.home.path("agent.wpk");
    let script = b"#!/bin/sh\n(echo 2 > var/upgrade/upgrade_result) >/dev/null 2>&1 &\n".as_slice();
    std::fs::write(&file, ca.package(&[("upgrade.sh", script)]).unwrap()).unwrap();
    let file = file.to_str().unwrap().to_owned();
    site.agent("wary", stranger.certificate_pem()).await;
    site.agent("trusting", ca.certificate_pem()).await;

    // In the lines of the watch, and in the table at its end.
    let upgrade = ["upgrade", "1-2", "--watch", "--file", &file];
    let (status, text) = site.wpkctl(&upgrade).await;
    assert_eq!(status, Some(1), "{text}");
    for begin in ["agent 001 (wary): Error", "001 "] {
        let tells = |line: &&str| {
            line.starts_with(begin)
                && ["Send upgrade command error", SAID, ADVICE]
                    .iter()
                    .all(|words| line.contains(words))
        };
        assert!(text.lines().any(|line| tells(&line)), "{begin}: {text}");
    }
    // What an installer says of itself is a cause as well.
    let failed = "Upgrade procedure exited with error code: Upgrade failed";
    assert!(text.contains(failed), "{text}");

    let (status, text) = site.wpkctl(&["result", "1", "--log"]).await;
    assert_eq!(status, Some(1), "{text}");
    let log = text.split_once("\nagent 001, task ").expect("a log").1;
    let step = |word: &str| log.lines().find(|line| line.contains(word));
    assert!(step(" created").is_some(), "{text}");
    let refused = step(SAID).unwrap_or_else(|| panic!("{text}"));
    assert!(refused.contains(" upgrade "), "{text}");
    assert!(
        refused.contains("code 23") && refused.contains(ADVICE),
        "{text}"
    );

    let (_, text) = site.wpkctl(&["result", "1", "2", "--log", "--json"]).await;
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cause = &objects[0]["cause"]["failure"];
    assert_eq!(cause["code"], 23, "{text}");
    assert!(cause["said"].as_str().unwrap().contains(SAID), "{text}");
    let steps = objects[0]["timeline"].as_array().unwrap();
    assert_eq!(steps.last(), Some(&objects[0]["cause"]), "{text}");
    assert_eq!(
        objects[1]["cause"]["failure"]["said"], "Upgrade failed",
        "{text}"
    );
    // By its id it is the same.
    let task = objects[0]["task_id"].to_string();
    let (_, by_id) = site
        .wpkctl(&["result", "--task", &task, "--log", "--json"])
        .await;
    assert_eq!(by_id.lines().next(), text.lines().next());
}
