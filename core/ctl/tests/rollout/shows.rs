//! `list`, `status`, `explain`, `history`.

use wpk_api::TaskId;
use wpk_wire::own::rollout::*;

use crate::common::*;
use crate::stage::*;

#[test]
fn rollouts_are_listed_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, parameters| {
        assert_eq!(command, "rollout_list");
        let first = ListedRollout {
            reason: Some("2 of 20 agents failed, and 1 may".into()),
            overdue: Some(12),
            ..in_list(RolloutState::Halted)
        };
        let second = ListedRollout {
            name: "test".into(),
            generation: 3,
            order: 2,
            target: None,
            file: Some("/srv/wpk/a.wpk".into()),
            wave: None,
            ..in_list(RolloutState::Converged)
        };
        Some(match parameters["before"].as_u64() {
            None => vec![first.to_item()],
            Some(7) => vec![second.to_item()],
            // One that does not go on is not asked for ever.
            Some(_) => vec![first.to_item()],
        })
    });
    let run = ask(&manager, &["rollout", "list"]).ended(0);
    assert_eq!(
        run.out,
        "\
rollout  state      target          wave    done  left  failed  unknown  applied
prod     halted     v4.14.7         canary  5     12    0       0        2026/11/30 00:53:20 UTC
test#3   converged  /srv/wpk/a.wpk  -       5     12    0       0        2026/11/30 00:53:20 UTC
prod: 2 of 20 agents failed, and 1 may
prod: its deadline is over, 12 are left
"
    );
    assert_eq!(manager.asked("rollout_list").len(), 3);
    let json = ask(&manager, &["--json", "rollout", "list", "--all"]).ended(0);
    assert_eq!(json.objects().len(), 2);
    let last = manager.asked("rollout_list").pop().unwrap();
    assert_eq!(last["parameters"]["all"], true);
}

#[test]
fn there_may_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| Some(vec![]));
    let said = |arguments: &[&str]| ask(&manager, arguments).ended(0).out;
    assert_eq!(said(&["rollout", "list"]), "There are no rollouts.\n");
    assert_eq!(said(&["rollout", "history"]), "Nothing has happened yet.\n");
    assert_eq!(said(&["release", "list"]), "No releases are known.\n");
    assert_eq!(said(&["agent", "holds"]), "No agent is held.\n");
}

#[test]
fn a_status_tells_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| {
        let mut told = status(RolloutState::Running);
        told.deadline = Some(NOW + 86_400);
        told.failures = vec![failed(12, "no space left on device")];
        told.causes = Tallied::new([("no space left on device", 1)]);
        told.counts.failed = 1;
        told.elsewhere = Tallied::new([("early", 12)]);
        Some(vec![told.to_item()])
    });
    let run = ask(&manager, &["rollout", "status", "prod"]).ended(1);
    assert_eq!(
        run.out,
        "\
rollout prod to v4.14.7: running
  applied 2026/11/29 22:53:20 UTC, deadline 2026/12/01 00:53:20 UTC
  agents: 18 succeeded, 1 running, 481 waiting, 1 failed
  belong to rollouts applied before: early 12
  wave    agents  done  soaking  running  waiting  away  failed  may fail  unknown
  canary  20      18    0        1        1        0     0       1         0
  rest    480     0     0        0        0        0     0       4         0
  gate of canary waits: 1 of 20 are running
  gate of rest: its wave is not open
  failures by cause:
      1  no space left on device
  newest failures:
    agent 012 (web), wave canary, 2026/11/30 00:53:20 UTC: no space left on device
  next: 2026/11/30 01:03:20 UTC: the window of site lyon opens
  planned by node node01 at 2026/11/30 00:53:20 UTC
"
    );
    assert_eq!(parameters_of(&manager, "rollout_status")["name"], "prod");
    let json = ask(&manager, &["--json", "rollout", "status", "prod"]).ended(1);
    assert_eq!(object(&json)["waves"][0]["gate"], "waits");
}

#[test]
fn numbers_out_of_all_bounds_harm_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let counts = serde_json::json!({
        "waiting": u64::MAX, "running": u64::MAX, "failed": u64::MAX, "succeeded": u64::MAX,
        "current": u64::MAX, "unreachable": u64::MAX, "soaking": u64::MAX,
    });
    let kinds = serde_json::json!({
        "kinds": [{"what": "a", "agents": u64::MAX}, {"what": "b", "agents": u64::MAX}],
        "other_kinds": u64::MAX, "other_agents": u64::MAX,
    });
    let manager = Manager::start(&dir.path().join("s"), move |request| {
        if request["parameters"]["before"] == 0 {
            return answer(vec![]);
        }
        let wave = serde_json::json!({
            "name": "w", "members": u64::MAX, "counts": counts, "failed": u64::MAX,
            "may_fail": u64::MAX, "gate": "ajar", "soak": u64::MAX, "strict": true,
            "agents": u64::MAX, "opened": i64::MIN, "passed": i64::MAX,
        });
        answer(vec![serde_json::json!({
            "error": 0, "message": "Success", "name": "p", "digest": "x", "counts": counts,
            "generation": u32::MAX, "waves": [wave], "causes": kinds, "unsupported": kinds,
            "next": {"at": i64::MAX, "what": "w"}, "now": i64::MIN, "applied": i64::MAX,
            "deadline": i64::MIN, "overdue": u64::MAX, "state": "odd", "began": i64::MIN,
            "planner": {"node": "n", "stale_since": i64::MAX}, "ended": i64::MAX,
            "most_down": u64::MAX, "rollouts": [{"name": "p", "waves": [wave], "sites": kinds}],
            "peak_bandwidth": [{"site": "s", "bytes_per_second": u64::MAX}],
            "earliest_end": i64::MAX,
        })])
    });
    let file = definition(&dir);
    ask(&manager, &["rollout", "list"]).ended(0);
    ask(&manager, &["rollout", "status", "p"]).ended(1);
    ask(&manager, &["rollout", "plan", &file]).ended(0);
    ask(&manager, &["rollout", "rehearse", &file]).ended(0);
}

#[test]
fn the_exit_status_is_true_to_what_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, parameters| {
        let mut told = status(RolloutState::Running);
        match parameters["name"].as_str().unwrap() {
            "halted" => {
                told.state = RolloutState::Halted;
                told.reason = Some("an operator said so".into());
            }
            "unknown" => told.counts.unknown = 1,
            "stale" => {
                told.planner.stale_since = Some(NOW - 90);
                told.planner.node = None;
            }
            "stuck" => {
                told.problems = vec!["which version is in the file is not known".into()];
                told.reason = Some("which version is in the file is not known".into());
            }
            _ => {}
        }
        Some(vec![told.to_item()])
    });
    for (name, status, words) in [
        ("fine", 0, "running"),
        ("halted", 1, "  halted: an operator said so\n"),
        ("stuck", 1, "  cannot start: which version is in the file"),
        ("unknown", 3, "1 unknown"),
        ("stale", 3, "  what is told here is 1m 30s old\n"),
    ] {
        let run = ask(&manager, &["rollout", "status", name]).ended(status);
        assert!(run.out.contains(words), "{name}: {}", run.out);
    }
    ask(&manager, &["rollout", "status", ""]).ended(2);
    ask(&manager, &["rollout", "status", "a", "--state", "failed"]).ended(2);
    let run = ask(
        &manager,
        &["rollout", "status", "a", "--agents", "--state", "x"],
    )
    .ended(2);
    assert!(run.err.contains("unreachable"), "{}", run.err);
}

#[test]
fn the_agents_of_a_rollout_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, parameters| {
        if command == "rollout_status" {
            return Some(vec![status(RolloutState::Running).to_item()]);
        }
        assert_eq!(command, "rollout_agents");
        assert_eq!(parameters["state"], "unknown");
        let member = |agent: i64| RolloutMember {
            agent: wpk_api::AgentId::new(agent).unwrap(),
            name: Some("web\u{1b}[2J".into()),
            state: AgentState::Unknown,
            reason: "its installer was begun and no word came".into(),
            wave: Some("canary".into()),
            task_id: Some(TaskId(100 + agent)),
        };
        Some(match parameters["after"].as_i64() {
            None => vec![member(3).to_item(), member(7).to_item()],
            Some(7) => vec![member(9).to_item()],
            Some(_) => vec![],
        })
    });
    let arguments = [
        "rollout", "status", "prod", "--agents", "--state", "unknown",
    ];
    let run = ask(&manager, &arguments).ended(0);
    run.begins(
        "\
agent  name          state    wave    task  reason
003    web\\u{1b}[2J  unknown  canary  103   its installer was begun and no word came
007    web\\u{1b}[2J  unknown  canary  107   its installer was begun and no word came
009    web\\u{1b}[2J  unknown  canary  109   its installer was begun and no word came

rollout prod",
    );
    let json = ask(&manager, &[&["--json"][..], &arguments].concat()).ended(0);
    let objects = json.objects();
    assert_eq!(objects.len(), 4);
    assert_eq!(objects[2]["agent"], 9);
}

#[test]
fn an_agent_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| {
        let attempt = AttemptOfAgent {
            task_id: TaskId(12),
            target: Some("v4.14.0".into()),
            created: Some(NOW),
            staged: true,
            begun: Some(NOW + 60),
            ended: Some(NOW + 90),
            outcome: "failed: no space left".into(),
            observed: None,
            soaked: None,
        };
        let told = Explained {
            agent: wpk_api::AgentId::new(7).unwrap(),
            name: Some("web".into()),
            rollout: "prod".into(),
            generation: 1,
            state: AgentState::Waiting,
            reason: "the window of site lyon opens at 2026-11-30T21:00:00Z".into(),
            changes: vec!["the window opens".into(), "an operator skips it".into()],
            version: Some("v4.9.0".into()),
            connection: Some("active".into()),
            wave: Some("canary".into()),
            site: Some(SiteOfAgent {
                name: "lyon".into(),
                time_zone: "Europe/Paris".into(),
                windows: Some(vec!["Mon-Thu 22:00-05:00".into()]),
                open: false,
                changes: Some(NOW + 600),
            }),
            hops: vec!["v4.14.0".into(), "v5.0.0".into()],
            attempts: vec![attempt],
        };
        Some(vec![told.to_item()])
    });
    let run = ask(&manager, &["rollout", "explain", "prod", "007"]).ended(0);
    assert_eq!(
        run.out,
        "\
agent 007 (web) in rollout prod: waiting
  because the window of site lyon opens at 2026-11-30T21:00:00Z
  what would change it: the window opens
                    or: an operator skips it
  runs        v4.9.0
  connection  active
  wave        canary
  site        lyon
  windows     Mon-Thu 22:00-05:00 (Europe/Paris): closed until 2026/11/30 01:03:20 UTC
  hops        v4.14.0, then v5.0.0
  task 12 to v4.14.0: failed: no space left
    made    2026/11/30 00:53:20 UTC
    begun   2026/11/30 00:54:20 UTC
    ended   2026/11/30 00:54:50 UTC
"
    );
    let json = ask(&manager, &["--json", "rollout", "explain", "prod", "7"]).ended(0);
    let object = object(&json);
    assert_eq!(
        (&object["agent"], &object["state"]),
        (&7.into(), &"waiting".into())
    );
    ask(&manager, &["rollout", "explain", "prod", "5-7"]).ended(2);
}

#[test]
fn history_is_newest_first_and_as_long_as_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, parameters| {
        let newest = parameters["before"].as_u64().unwrap_or(2_500);
        let limit = parameters["limit"].as_u64().unwrap();
        let first = newest.saturating_sub(limit.min(1_000));
        let event = |number: u64| {
            HistoryEvent {
                number,
                at: NOW,
                rollout: Some("prod".into()),
                generation: Some(2),
                who: number.is_multiple_of(2).then(|| "root".into()),
                what: "paused".into(),
                words: "by hand".into(),
            }
            .to_item()
        };
        Some((first..newest).rev().map(event).collect())
    });
    let run = ask(&manager, &["rollout", "history", "prod", "--limit", "2"]).ended(0);
    assert_eq!(
        run.out,
        "\
time                     rollout  what    who
2026/11/30 00:53:20 UTC  prod#2   paused  -     by hand
2026/11/30 00:53:20 UTC  prod#2   paused  root  by hand
"
    );
    let arguments = ["--json", "rollout", "history", "--limit", "1500"];
    let all = ask(&manager, &arguments).ended(0).objects();
    assert_eq!(all.len(), 1_500);
    assert_eq!(all[1_499]["number"], 1_000);
}
